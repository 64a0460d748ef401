// The front of AMD's runtime interface: CUDA's numbers, plain names, a device for each thread instead of a context.
#include "simulation.h"

#include <stdio.h>
#include <string.h>

typedef struct { char bytes[SIM_HANDLE_BYTES]; } ipc_handle;

// Every thread begins with device 0; the first call that needs one retains nothing.
static int enter(const char *symbol, enum sim_need need) {
  if (need == SIM_CONTEXT && !sim_current()) sim_set_current(sim_device_at(0));
  return sim_enter(symbol, need);
}
#define ENTER(need)                              \
  do {                                           \
    int entered = enter(__func__, SIM_##need);   \
    if (entered) return entered;                 \
  } while (0)
#define API __attribute__((visibility("default"))) int

API hipInit(unsigned flags) {
  ENTER(ANYTIME);
  int result = flags ? SIM_INVALID_VALUE : sim_initialize();
  return result == SIM_NO_DEVICE ? SIM_INVALID_DEVICE : result;
}
API hipRuntimeGetVersion(int *version) {
  ENTER(ANYTIME);
  *version = 50221153;
  return SIM_OK;
}
API hipGetDeviceCount(int *count) {
  ENTER(INITIALIZED);
  *count = sim_machine.devices;
  return SIM_OK;
}
API hipGetDevice(int *device) {
  ENTER(INITIALIZED);
  *device = sim_current() ? sim_current()->number : 0;
  return SIM_OK;
}
API hipSetDevice(int device) {
  ENTER(INITIALIZED);
  if (!sim_device_at(device)) return SIM_INVALID_DEVICE;
  sim_set_current(sim_device_at(device));
  return SIM_OK;
}
API hipDeviceGetName(char *name, int size, int device) {
  ENTER(INITIALIZED);
  snprintf(name, (size_t)size, "Simulated accelerator %d", device);
  return SIM_OK;
}
API hipDeviceTotalMem(size_t *size, int device) {
  ENTER(INITIALIZED);
  (void)device;
  *size = sim_machine.memory;
  return SIM_OK;
}
API hipDeviceGetAttribute(int *value, int attribute, int device) {
  ENTER(INITIALIZED);
  (void)device;
  *value = attribute == 2 ? 2 : 0;
  return SIM_OK;
}
API hipDeviceGetPCIBusId(char *text, int size, int device) {
  ENTER(INITIALIZED);
  snprintf(text, (size_t)size, "0000:%02x:00.0", device + 1);
  return SIM_OK;
}
API hipDeviceGetStreamPriorityRange(int *least, int *greatest) {
  ENTER(CONTEXT);
  *least = 1;
  *greatest = -1;
  return SIM_OK;
}
API hipMemGetInfo(size_t *free_bytes, size_t *total) {
  ENTER(CONTEXT);
  *total = sim_machine.memory;
  *free_bytes = sim_machine.memory - sim_current()->used;
  return SIM_OK;
}
API hipMalloc(void **address, size_t size) {
  ENTER(CONTEXT);
  return sim_allocate((uintptr_t *)address, size);
}
API hipFree(void *address) {
  ENTER(CONTEXT);
  return sim_free((uintptr_t)address);
}
API hipHostMalloc(void **address, size_t size, unsigned flags) {
  ENTER(CONTEXT);
  return flags & ~7u ? SIM_INVALID_VALUE : sim_allocate_host(address, size);
}
API hipHostFree(void *address) {
  ENTER(CONTEXT);
  return sim_free_host(address);
}
API hipHostRegister(void *address, size_t size, unsigned flags) {
  ENTER(CONTEXT);
  return flags & ~15u ? SIM_INVALID_VALUE : sim_register(address, size);
}
API hipHostUnregister(void *address) {
  ENTER(CONTEXT);
  return sim_unregister(address);
}
static int check_kind(uintptr_t target, uintptr_t source, int kind) {
  enum { TO_DEVICE = 1, TO_HOST = 2, WITHIN = 3, ANY = 4 };
  if (kind == ANY) return SIM_OK;
  bool fits = kind >= TO_DEVICE && kind <= WITHIN && sim_kind_fits(target, source, kind == TO_DEVICE, kind == TO_HOST);
  return fits ? SIM_OK : SIM_INVALID_VALUE;
}
API hipMemcpyAsync(void *target, const void *source, size_t size, int kind, void *stream) {
  ENTER(CONTEXT);
  int result = check_kind((uintptr_t)target, (uintptr_t)source, kind);
  return result ? result : sim_copy((uintptr_t)target, (uintptr_t)source, size, stream);
}
API hipMemcpy2DAsync(void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width,
                     size_t height, int kind, void *stream) {
  ENTER(CONTEXT);
  struct sim_piece piece = {.target = (uintptr_t)target, .source = (uintptr_t)source, .size = width};
  int result = check_kind(piece.target, piece.source, kind);
  return result ? result : sim_copy_rows(&piece, height, target_pitch, source_pitch, stream);
}
API hipStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
  ENTER(CONTEXT);
  return flags > 1 ? SIM_INVALID_VALUE : sim_stream_create(stream, priority);
}
API hipStreamDestroy(void *stream) {
  ENTER(CONTEXT);
  return sim_stream_destroy(stream);
}
API hipStreamQuery(void *stream) {
  ENTER(CONTEXT);
  return sim_stream_query(stream);
}
API hipStreamWaitEvent(void *stream, void *event, unsigned flags) {
  ENTER(CONTEXT);
  return flags ? SIM_INVALID_VALUE : sim_wait_event(stream, event);
}
API hipLaunchHostFunc(void *stream, void (*function)(void *), void *context) {
  ENTER(CONTEXT);
  return sim_call(function, context, stream);
}
struct callback {
  void (*function)(void *, int, void *);
  void *stream, *context;
};
static struct callback callbacks[1024];
static atomic_uint next_callback;
static void call_back(void *handle) {
  struct callback callback = *(struct callback *)handle;
  callback.function(callback.stream, 0, callback.context);
}
API hipStreamAddCallback(void *stream, void (*function)(void *, int, void *), void *context, unsigned flags) {
  ENTER(CONTEXT);
  struct callback *callback = &callbacks[atomic_fetch_add(&next_callback, 1) % 1024];
  *callback = (struct callback){function, stream, context};
  return flags ? SIM_INVALID_VALUE : sim_call(call_back, callback, stream);
}
API hipEventCreateWithFlags(void **event, unsigned flags) {
  ENTER(CONTEXT);
  return sim_event_create(event, flags);
}
API hipEventDestroy(void *event) {
  ENTER(CONTEXT);
  return sim_event_destroy(event);
}
API hipEventRecord(void *event, void *stream) {
  ENTER(CONTEXT);
  return sim_event_record(event, stream);
}
API hipEventQuery(void *event) {
  ENTER(CONTEXT);
  return sim_event_query(event);
}
API hipEventElapsedTime(float *milliseconds, void *start, void *end) {
  ENTER(CONTEXT);
  return sim_event_elapsed(milliseconds, start, end);
}
API hipIpcGetMemHandle(ipc_handle *handle, void *address) {
  ENTER(CONTEXT);
  return sim_export((uintptr_t)address, (struct sim_handle *)handle);
}
API hipIpcOpenMemHandle(void **address, ipc_handle handle, unsigned flags) {
  ENTER(CONTEXT);
  struct sim_handle copy;
  memcpy(&copy, &handle, sizeof copy);
  return flags > 1 ? SIM_INVALID_VALUE : sim_import(&copy, (uintptr_t *)address);
}
API hipIpcCloseMemHandle(void *address) {
  ENTER(CONTEXT);
  return sim_close_import((uintptr_t)address);
}
