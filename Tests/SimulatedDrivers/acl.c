// The front of Huawei's runtime interface for Ascend: a context for each thread, numbers of its own, answers in out
// parameters, and the size of a copy's target beside that of its source.
#include "simulation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  PARAMETER = 107000,
  DEVICE_NUMBER = 107001,
  NO_CONTEXT = 107002,
  OTHER_CONTEXT = 107003,
  HANDLE = 107017,
  REPEATED_INIT = 100002,
  KEY_BYTES = 65,
};
static _Thread_local int last_error;

// What a result is called here; numbers of a test's own pass.
static int named(int result) {
  int name = result;
  switch (result) {
    case SIM_OK: return 0;
    case SIM_INVALID_VALUE: case SIM_HOST_ALREADY_REGISTERED: case SIM_HOST_NOT_REGISTERED: name = PARAMETER; break;
    case SIM_OUT_OF_MEMORY: name = 207001; break;
    case SIM_NOT_INITIALIZED: name = 100001; break;
    case SIM_NO_DEVICE: name = 207004; break;
    case SIM_INVALID_DEVICE: name = DEVICE_NUMBER; break;
    case SIM_INVALID_CONTEXT: name = NO_CONTEXT; break;
    case SIM_INVALID_HANDLE: name = HANDLE; break;
    case SIM_ILLEGAL_ADDRESS: name = 507053; break;
    case SIM_NOT_PERMITTED: name = 507000; break;
  }
  last_error = name;
  return name;
}
#define ENTER(need)                                      \
  do {                                                   \
    int entered = named(sim_enter(__func__, SIM_##need)); \
    if (entered) return entered;                         \
  } while (0)
#define API __attribute__((visibility("default"))) int
#define API_TEXT __attribute__((visibility("default"))) const char *

API aclInit(const char *configuration) {
  static atomic_bool is_initialized;
  ENTER(ANYTIME);
  (void)configuration;
  int result = named(sim_initialize());
  if (!result && atomic_exchange(&is_initialized, true)) return REPEATED_INIT;
  return result;
}
API aclrtGetVersion(int32_t *major, int32_t *minor, int32_t *patch) {
  ENTER(ANYTIME);
  *major = 1, *minor = 15, *patch = 0;
  return 0;
}
API_TEXT aclrtGetSocName(void) { return "Simulated Ascend"; }
API_TEXT aclGetRecentErrMsg(void) {
  static _Thread_local char text[64];
  if (!last_error) return NULL;
  snprintf(text, sizeof text, "EZ9999: simulated %d\nand more", last_error);
  last_error = 0;
  return text;
}
API aclrtGetDeviceCount(uint32_t *count) {
  ENTER(INITIALIZED);
  *count = (uint32_t)sim_machine.devices;
  return 0;
}
API aclrtSetDevice(int32_t device) {
  ENTER(INITIALIZED);
  if (!sim_device_at(device)) return named(SIM_INVALID_DEVICE);
  sim_retain(sim_device_at(device));
  sim_set_current(sim_device_at(device));
  return 0;
}
API aclrtResetDevice(int32_t device) {
  ENTER(INITIALIZED);
  return sim_device_at(device) ? named(sim_release_context(sim_device_at(device))) : named(SIM_INVALID_DEVICE);
}
API aclrtGetCurrentContext(void **context) {
  ENTER(INITIALIZED);
  *context = sim_current();
  return *context ? 0 : named(SIM_INVALID_CONTEXT);
}
API aclrtSetCurrentContext(void *context) {
  ENTER(INITIALIZED);
  if (!context) return named(SIM_INVALID_VALUE);
  sim_set_current(context);
  return 0;
}
API aclrtGetMemInfo(int kind, size_t *free_bytes, size_t *total) {
  ENTER(CONTEXT);
  if (kind != 1) return named(SIM_INVALID_VALUE);
  *total = sim_machine.memory;
  *free_bytes = sim_machine.memory - sim_current()->used;
  return 0;
}
API aclrtMalloc(void **address, size_t size, int policy) {
  ENTER(CONTEXT);
  return named(policy < 0 || policy > 3 ? SIM_INVALID_VALUE : sim_allocate((uintptr_t *)address, size));
}
API aclrtFree(void *address) {
  ENTER(CONTEXT);
  return named(sim_free((uintptr_t)address));
}
API aclrtMallocHost(void **address, size_t size) {
  ENTER(CONTEXT);
  return named(sim_allocate_host(address, size));
}
API aclrtFreeHost(void *address) {
  ENTER(CONTEXT);
  return named(sim_free_host(address));
}
API aclrtHostRegister(void *address, uint64_t size, int type, void **device) {
  ENTER(CONTEXT);
  *device = address;
  return named(type ? SIM_INVALID_VALUE : sim_register(address, size));
}
API aclrtHostRegisterV2(void *address, uint64_t size, uint32_t flags) {
  ENTER(CONTEXT);
  return named(flags != (2 | 0x10000000) ? SIM_INVALID_VALUE : sim_register(address, size));
}
API aclrtHostUnregister(void *address) {
  ENTER(CONTEXT);
  return named(sim_unregister(address));
}

static int check_stream(void *stream) {
  struct sim_device *device = sim_stream_device(stream);
  return !device ? HANDLE : device != sim_current() ? OTHER_CONTEXT : 0;
}

enum { TO_DEVICE = 1, TO_HOST = 2, WITHIN = 3 };
API aclrtMemcpyAsync(void *target, size_t target_bytes, const void *source, size_t size, int kind, void *stream) {
  ENTER(CONTEXT);
  int result = check_stream(stream);
  if (result) return result;
  if (target_bytes < size || !sim_kind_fits((uintptr_t)target, (uintptr_t)source, kind == TO_DEVICE, kind == TO_HOST)) {
    return named(SIM_INVALID_VALUE);
  }
  return named(sim_copy((uintptr_t)target, (uintptr_t)source, size, stream));
}
API aclrtMemcpy2dAsync(void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width,
                       size_t height, int kind, void *stream) {
  ENTER(CONTEXT);
  struct sim_piece piece = {.target = (uintptr_t)target, .source = (uintptr_t)source, .size = width};
  int result = check_stream(stream);
  if (result) return result;
  if (!sim_kind_fits(piece.target, piece.source, kind == TO_DEVICE, kind == TO_HOST)) return named(SIM_INVALID_VALUE);
  return named(sim_copy_rows(&piece, height, target_pitch, source_pitch, stream));
}

struct place { uint32_t id; int32_t type; };
struct attributes { struct place target, source; uint8_t reserved[16]; };
_Static_assert(sizeof(struct attributes) == 32, "as in acl_rt.h");
API aclrtMemcpyBatchAsync(void **targets, size_t *target_bytes, void **sources, size_t *sizes, size_t count,
                          struct attributes *attributes, size_t *starts, size_t attribute_count, size_t *failed,
                          void *stream) {
  ENTER(CONTEXT);
  int result = check_stream(stream);
  if (result) return result;
  *failed = SIZE_MAX;
  if (!count || attribute_count != 1 || starts[0] != 0) return named(SIM_INVALID_VALUE);
  bool to = attributes->source.type == 0, from = attributes->target.type == 0;
  for (size_t index = 0; index < count; index++) {
    enum sim_kind target, source;
    sim_resolve((uintptr_t)targets[index], 1, &target);
    sim_resolve((uintptr_t)sources[index], 1, &source);
    // Only memory that the runtime knows.
    if (target_bytes[index] >= sizes[index] && target != SIM_PAGEABLE && source != SIM_PAGEABLE &&
        sim_kind_fits((uintptr_t)targets[index], (uintptr_t)sources[index], to, from)) {
      continue;
    }
    *failed = index;
    return named(SIM_INVALID_VALUE);
  }
  return named(sim_copy_batch((uintptr_t *)targets, (uintptr_t *)sources, sizes, count, false, stream));
}

API aclrtDeviceGetStreamPriorityRange(int32_t *least, int32_t *greatest) {
  ENTER(CONTEXT);
  *least = 7;
  *greatest = 0;
  return 0;
}
API aclrtCreateStreamWithConfig(void **stream, uint32_t priority, uint32_t flags) {
  ENTER(CONTEXT);
  return named(priority > 7 || flags > 3 ? SIM_INVALID_VALUE : sim_stream_create(stream, (int)priority));
}
API aclrtDestroyStream(void *stream) {
  ENTER(CONTEXT);
  return named(sim_stream_destroy(stream));
}
API aclrtStreamQuery(void *stream, int32_t *status) {
  ENTER(CONTEXT);
  int result = sim_stream_query(stream);
  *status = result == SIM_NOT_READY;
  return result == SIM_NOT_READY ? 0 : named(result);
}
API aclrtLaunchHostFunc(void *stream, void (*function)(void *), void *context) {
  ENTER(CONTEXT);
  int result = check_stream(stream);
  return result ? result : named(sim_call(function, context, stream));
}

// An event does only what its flags say.
struct event {
  void *inner;
  uint32_t flags;
};
enum { WAITS = 1, TELLS = 2, TIMES = 8 };
API aclrtCreateEventExWithFlag(void **handle, uint32_t flags) {
  ENTER(CONTEXT);
  struct event *event = calloc(1, sizeof *event);
  if (!event) return named(SIM_OUT_OF_MEMORY);
  event->flags = flags;
  int result = sim_event_create(&event->inner, 0);
  if (result) free(event);
  else *handle = event;
  return named(result);
}
API aclrtDestroyEvent(void *handle) {
  ENTER(CONTEXT);
  struct event *event = handle;
  int result = sim_event_destroy(event->inner);
  free(event);
  return named(result);
}
API aclrtRecordEvent(void *event, void *stream) {
  ENTER(CONTEXT);
  int result = check_stream(stream);
  return result ? result : named(sim_event_record(((struct event *)event)->inner, stream));
}
API aclrtStreamWaitEvent(void *stream, void *event) {
  ENTER(CONTEXT);
  int result = check_stream(stream);
  if (result) return result;
  if (!(((struct event *)event)->flags & WAITS)) return named(SIM_INVALID_VALUE);
  return named(sim_wait_event(stream, ((struct event *)event)->inner));
}
API aclrtQueryEventStatus(void *event, int32_t *status) {
  ENTER(CONTEXT);
  if (!(((struct event *)event)->flags & TELLS)) return named(SIM_INVALID_VALUE);
  int result = sim_event_query(((struct event *)event)->inner);
  *status = result == SIM_OK;
  return result == SIM_NOT_READY ? 0 : named(result);
}
API aclrtEventElapsedTime(float *milliseconds, void *start, void *end) {
  ENTER(CONTEXT);
  struct event *from = start, *to = end;
  if (!(from->flags & to->flags & TIMES)) return named(SIM_INVALID_VALUE);
  return named(sim_event_elapsed(milliseconds, from->inner, to->inner));
}

// A key is text, which names the memory and not an address.
API aclrtIpcMemGetExportKey(void *address, size_t size, char *key, size_t length, uint64_t flags) {
  ENTER(CONTEXT);
  struct sim_handle handle;
  if (length != KEY_BYTES || flags > 1 || !size) return named(SIM_INVALID_VALUE);
  int result = sim_export((uintptr_t)address, &handle);
  if (result) return named(result);
  snprintf(key, length, "%08x%08x%016llx%016llx%04x%08x", handle.pid, handle.descriptor,
           (unsigned long long)handle.nonce, (unsigned long long)handle.size, handle.device, handle.rest[0]);
  return 0;
}
static bool read_key(const char *key, struct sim_handle *handle) {
  unsigned long long nonce, size;
  unsigned pid, descriptor, device, offset;
  if (sscanf(key, "%8x%8x%16llx%16llx%4x%8x", &pid, &descriptor, &nonce, &size, &device, &offset) != 6) return false;
  *handle = (struct sim_handle){.magic = sim_memory_magic, .nonce = nonce, .size = size, .pid = (int32_t)pid,
                                .descriptor = (int32_t)descriptor, .device = (int32_t)device};
  handle->rest[0] = (int32_t)offset;
  return true;
}
API aclrtIpcMemImportByKey(void **address, const char *key, uint64_t flags) {
  ENTER(CONTEXT);
  struct sim_handle handle;
  if (flags > 1 || !read_key(key, &handle)) return named(SIM_INVALID_VALUE);
  return named(sim_import(&handle, (uintptr_t *)address));
}
API aclrtIpcMemClose(const char *key) {
  ENTER(CONTEXT);
  struct sim_handle handle;
  if (!read_key(key, &handle)) return named(SIM_INVALID_VALUE);
  return named(sim_close_key(&handle));
}
