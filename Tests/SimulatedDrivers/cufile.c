// The front of NVIDIA's GPUDirect Storage: reads and writes between files and device memory, in a context only.
#include "simulation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

struct status { int error, driver_error; };
struct description {
  int type;
  union { int descriptor; void *handle; } file;
  const void *operations;
};
struct handle { int descriptor; };
enum { DRIVER_NOT_OPEN = 5001, CUDA_DRIVER = 5011, INVALID = 5022 };
static atomic_bool is_open;

static struct status entered(const char *symbol) {
  int result = sim_enter(symbol, SIM_CONTEXT);
  if (!result) return (struct status){0, 0};
  return result >= 5000 && result < 6000 ? (struct status){result, 0} : (struct status){CUDA_DRIVER, result};
}
#define API(type) __attribute__((visibility("default"))) type

API(struct status) cuFileGetVersion(int *version) {
  *version = 1140;
  return (struct status){0, 0};
}
API(struct status) cuFileDriverOpen(void) {
  struct status status = entered(__func__);
  if (!status.error) is_open = true;
  return status;
}
API(struct status) cuFileHandleRegister(void **handle, struct description *description) {
  struct status status = entered(__func__);
  if (status.error) return status;
  if (!is_open) return (struct status){DRIVER_NOT_OPEN, 0};
  if (description->type != 1) return (struct status){INVALID, 0};
  // The real one takes any offset and size by an O_DIRECT descriptor; here they go by another one, without.
  char path[64];
  int flags = fcntl(description->file.descriptor, F_GETFL);
  if (flags < 0) return (struct status){INVALID, 0};
  snprintf(path, sizeof path, "/proc/self/fd/%d", description->file.descriptor);
  int descriptor = open(path, (flags & O_ACCMODE) | O_CLOEXEC);
  if (descriptor < 0) return (struct status){INVALID, 0};
  struct handle *made = malloc(sizeof *made);
  made->descriptor = descriptor;
  *handle = made;
  return status;
}
API(void) cuFileHandleDeregister(void *handle) {
  close(((struct handle *)handle)->descriptor);
  free(handle);
}
// -1 and errno, or an error below it.
static ssize_t move(const char *symbol, bool is_write, void *handle, uintptr_t address, size_t bytes, off_t offset) {
  struct status status = entered(symbol);
  if (status.error) return -status.error;
  enum sim_kind kind;
  void *memory = sim_resolve(address, bytes, &kind);
  if (!memory || kind != SIM_DEVICE) return -INVALID;
  // In pieces, as the real one may.
  size_t length = bytes > 8192 ? 8192 : bytes;
  int descriptor = ((struct handle *)handle)->descriptor;
  return is_write ? pwrite(descriptor, memory, length, offset) : pread(descriptor, memory, length, offset);
}
API(ssize_t) cuFileRead(void *handle, void *address, size_t bytes, off_t offset, off_t inside) {
  return move(__func__, false, handle, (uintptr_t)address + (uintptr_t)inside, bytes, offset);
}
API(ssize_t) cuFileWrite(void *handle, const void *address, size_t bytes, off_t offset, off_t inside) {
  return move(__func__, true, handle, (uintptr_t)address + (uintptr_t)inside, bytes, offset);
}
