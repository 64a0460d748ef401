/* Where libFuzzer comes in; the harness is Swift. */
#include <stddef.h>
#include <stdint.h>

void roost_fuzz_disk(const uint8_t *data, intptr_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  roost_fuzz_disk(data, (intptr_t)size);
  return 0;
}
