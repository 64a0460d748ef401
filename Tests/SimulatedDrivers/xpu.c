// The front of Baidu's runtime interface for Kunlun: kinds of copies in another order, errors that come back negative, and
// nothing that tells whether a stream is idle.
#include "simulation.h"

#include <string.h>

typedef struct { char bytes[SIM_HANDLE_BYTES]; } ipc_handle;
enum { NOT_READY = 716 };

// What a result is called here; numbers of a test's own pass.
static int named(int result) {
  switch (result) {
    case SIM_OK: return 0;
    case SIM_INVALID_VALUE: case SIM_INVALID_HANDLE: case SIM_INVALID_CONTEXT: return -707;
    case SIM_OUT_OF_MEMORY: return -705;
    case SIM_NOT_INITIALIZED: return -702;
    case SIM_NO_DEVICE: return -703;
    case SIM_INVALID_DEVICE: return -701;
    case SIM_ILLEGAL_ADDRESS: return -714;
    case SIM_HOST_ALREADY_REGISTERED: return -816;
    case SIM_HOST_NOT_REGISTERED: return -707;
    case SIM_NOT_READY: return -NOT_READY;
    case SIM_NOT_PERMITTED: return -713;
    default: return result;
  }
}
// There is no call that initialises: the first one does. Every thread begins with device 0.
static int enter(const char *symbol, enum sim_need need) {
  int result = sim_initialize();
  if (result) return named(result);
  if (need == SIM_CONTEXT && !sim_current()) sim_set_current(sim_device_at(0));
  return named(sim_enter(symbol, need));
}
#define ENTER(need)                              \
  do {                                           \
    int entered = enter(__func__, SIM_##need);   \
    if (entered) return entered;                 \
  } while (0)
#define API __attribute__((visibility("default"))) int

API xpu_get_runtime_version(uint32_t *major, uint32_t *minor) {
  ENTER(INITIALIZED);
  *major = 5, *minor = 0;
  return 0;
}
API xpu_device_count(int *count) {
  ENTER(INITIALIZED);
  *count = sim_machine.devices;
  return 0;
}
API xpu_current_device(int *device) {
  ENTER(INITIALIZED);
  *device = sim_current() ? sim_current()->number : 0;
  return 0;
}
API xpu_set_device(int device) {
  ENTER(INITIALIZED);
  if (!sim_device_at(device)) return named(SIM_INVALID_DEVICE);
  sim_set_current(sim_device_at(device));
  return 0;
}
API xpu_device_get_attr(uint64_t *value, int attribute, int device) {
  enum { BUS = 0, MODEL = 4, MEMORY = 5, COPY_ENGINES = 9 };
  ENTER(INITIALIZED);
  if (!sim_device_at(device)) return named(SIM_INVALID_DEVICE);
  switch (attribute) {
    case BUS: *value = (uint64_t)(device + 1) << 8 | 3 << 3; return 0;
    case MODEL: *value = 300; return 0;
    case MEMORY: *value = sim_machine.memory; return 0;
    case COPY_ENGINES: *value = 2; return 0;
    default: return named(SIM_INVALID_VALUE);
  }
}
API xpu_malloc(void **address, uint64_t size, int kind) {
  ENTER(CONTEXT);
  return named(kind ? SIM_INVALID_VALUE : sim_allocate((uintptr_t *)address, size));
}
API xpu_free(void *address) {
  ENTER(CONTEXT);
  return named(sim_free((uintptr_t)address));
}
API xpu_host_alloc(void **address, uint64_t size, unsigned flags) {
  ENTER(CONTEXT);
  return named(flags ? SIM_INVALID_VALUE : sim_allocate_host(address, size));
}
API xpu_host_free(void *address) {
  ENTER(CONTEXT);
  return named(sim_free_host(address));
}
API xpu_host_register(void *address, uint64_t size, unsigned flags) {
  ENTER(CONTEXT);
  return named(flags ? SIM_INVALID_VALUE : sim_register(address, size));
}
API xpu_host_unregister(void *address) {
  ENTER(CONTEXT);
  return named(sim_unregister(address));
}
API xpu_memcpy_async(void *target, const void *source, uint64_t size, int kind, void *stream) {
  enum { TO_HOST = 0, TO_DEVICE = 1, WITHIN = 2 };
  ENTER(CONTEXT);
  bool fits = kind >= TO_HOST && kind <= WITHIN &&
              sim_kind_fits((uintptr_t)target, (uintptr_t)source, kind == TO_DEVICE, kind == TO_HOST);
  return named(fits ? sim_copy((uintptr_t)target, (uintptr_t)source, size, stream) : SIM_INVALID_VALUE);
}
API xpu_stream_create(void **stream) {
  ENTER(CONTEXT);
  return named(sim_stream_create(stream, 0));
}
API xpu_stream_destroy(void *stream) {
  ENTER(CONTEXT);
  return named(sim_stream_destroy(stream));
}
API xpu_stream_wait_event(void *stream, void *event) {
  ENTER(CONTEXT);
  return named(sim_wait_event(stream, event));
}
API xpu_event_create(void **event) {
  ENTER(CONTEXT);
  return named(sim_event_create(event, 0));
}
API xpu_event_destroy(void *event) {
  ENTER(CONTEXT);
  return named(sim_event_destroy(event));
}
API xpu_event_record(void *event, void *stream) {
  ENTER(CONTEXT);
  return named(sim_event_record(event, stream));
}
API xpu_event_query(void *event) {
  ENTER(CONTEXT);
  return named(sim_event_query(event));
}
API xpu_ipc_get_memhandle(ipc_handle *handle, void *address) {
  ENTER(CONTEXT);
  return named(sim_export((uintptr_t)address, (struct sim_handle *)handle));
}
API xpu_ipc_open_memhandle(void **address, ipc_handle handle, unsigned flags) {
  ENTER(CONTEXT);
  struct sim_handle copy;
  memcpy(&copy, &handle, sizeof copy);
  return named(flags != 1 ? SIM_INVALID_VALUE : sim_import(&copy, (uintptr_t *)address));
}
API xpu_ipc_close_memhandle(void *address) {
  ENTER(CONTEXT);
  return named(sim_close_import((uintptr_t)address));
}
