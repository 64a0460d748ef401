/* Tests libroost.so against roost.h alone, as any program in C would use it. */
#include "expect.h"

#include <string.h>

int failure_count;

roost_engine make_engine(void) {
  static const char config[] = "{\"groups\":[{\"page_bytes\":4096,\"tokens_per_block\":16}],\"capacity\":\"256KiB\"}";
  roost_engine engine = 0;
  int32_t is_ready = 0;
  EXPECT_OK(roost_engine_open(config, strlen(config), &engine));
  EXPECT_OK(roost_engine_wait_ready(engine, 10, &is_ready));
  EXPECT(is_ready == 1);
  return engine;
}

uint32_t make_identity(roost_engine engine) {
  roost_field fields[] = {
      {sizeof(roost_field), "weights", 7, "a model", 7},
      {sizeof(roost_field), "tokens_per_block", 16, "16", 2},
  };
  uint32_t identity = 99;
  EXPECT_OK(roost_engine_intern(engine, fields, 2, &identity));
  return identity;
}

roost_keys make_keys(uint32_t identity, uint32_t first, size_t count) {
  static uint8_t hashes[64][HASH_BYTES];
  for (size_t index = 0; index < count; index++) {
    memset(hashes[index], (int)(first + index), HASH_BYTES);
  }
  return (roost_keys){sizeof(roost_keys), identity, 0, hashes, count, HASH_BYTES};
}

roost_request make_request(uint64_t number) {
  return (roost_request){.struct_bytes = sizeof(roost_request), .request = number, .output_tokens = -1};
}

int main(void) {
  EXPECT(roost_abi_version() == ROOST_ABI_VERSION);
  EXPECT(strlen(roost_version()) >= 5);
  EXPECT(strcmp(roost_status_name(ROOST_STALE), "stale") == 0);
  EXPECT(strcmp(roost_status_name(-5), "unknown") == 0);
  EXPECT(roost_error_message() != NULL && roost_error_context() != NULL);
  test_handles();
  test_structures();
  test_whole_path();
  test_tier();
  test_layouts();
  test_devices();
  test_threads();
  test_fork();
  if (failure_count > 0) fprintf(stderr, "ABITests: %d expectations failed\n", failure_count);
  return failure_count == 0 ? 0 : 1;
}
