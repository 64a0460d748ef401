// The front of NVIDIA's driver interface: names, signatures and numbers as in cuda.h 12.9 and 13.0.
#include "simulation.h"

#include "cuda_symbols.h"

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef uint64_t address_t;
typedef struct { char bytes[SIM_HANDLE_BYTES]; } ipc_handle;

#define ENTER(need)                                  \
  do {                                               \
    int entered = sim_enter(__func__, SIM_##need);   \
    if (entered) return entered;                     \
  } while (0)
#define API __attribute__((visibility("default"))) int

API cuInit(unsigned flags) {
  ENTER(ANYTIME);
  return flags ? SIM_INVALID_VALUE : sim_initialize();
}
API cuDriverGetVersion(int *version) {
  ENTER(ANYTIME);
  *version = sim_machine.version;
  return SIM_OK;
}
API cuGetErrorName(int result, const char **name) {
  ENTER(ANYTIME);
  static const struct { int result; const char *name; } names[] = {
      {1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {3, "CUDA_ERROR_NOT_INITIALIZED"},
      {100, "CUDA_ERROR_NO_DEVICE"}, {201, "CUDA_ERROR_INVALID_CONTEXT"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
      {719, "CUDA_ERROR_LAUNCH_FAILED"}, {800, "CUDA_ERROR_NOT_PERMITTED"}};
  for (size_t index = 0; index < sizeof names / sizeof names[0]; index++) {
    *name = names[index].name;
    if (names[index].result == result) return SIM_OK;
  }
  *name = NULL;
  return SIM_INVALID_VALUE;
}

API cuDeviceGetCount(int *count) {
  ENTER(INITIALIZED);
  *count = sim_machine.devices;
  return SIM_OK;
}
API cuDeviceGet(int *device, int ordinal) {
  ENTER(INITIALIZED);
  *device = ordinal;
  return sim_device_at(ordinal) ? SIM_OK : SIM_INVALID_DEVICE;
}
API cuDeviceGetName(char *name, int size, int device) {
  ENTER(INITIALIZED);
  snprintf(name, (size_t)size, "Simulated accelerator %d", device);
  return SIM_OK;
}
API cuDeviceGetUuid_v2(char *uuid, int device) {
  ENTER(INITIALIZED);
  memset(uuid, device + 1, 16);
  return SIM_OK;
}
API cuDeviceTotalMem_v2(size_t *size, int device) {
  ENTER(INITIALIZED);
  (void)device;
  *size = sim_machine.memory;
  return SIM_OK;
}
API cuDeviceGetPCIBusId(char *text, int size, int device) {
  ENTER(INITIALIZED);
  snprintf(text, (size_t)size, "0000:%02x:00.0", device + 1);
  return SIM_OK;
}
API cuDeviceGetAttribute(int *value, int attribute, int device) {
  ENTER(INITIALIZED);
  (void)device;
  switch (attribute) {
    case 40: *value = 3; break;
    case 75: *value = sim_machine.capability / 10; break;
    case 76: *value = sim_machine.capability % 10; break;
    case 16: *value = 132; break;
    case 19: case 41: case 78: case 91: case 99: case 102: case 103: *value = 1; break;
    case 134: *value = sim_machine.version >= 12020 ? 0 : -1; return sim_machine.version >= 12020 ? SIM_OK : 1;
    default: *value = 0;
  }
  return SIM_OK;
}
API cuDeviceCanAccessPeer(int *can, int device, int peer) {
  ENTER(INITIALIZED);
  *can = device != peer;
  return SIM_OK;
}

API cuDevicePrimaryCtxRetain(void **context, int device) {
  ENTER(INITIALIZED);
  *context = sim_device_at(device);
  if (!*context) return SIM_INVALID_DEVICE;
  sim_retain(*context);
  return SIM_OK;
}
API cuDevicePrimaryCtxRelease_v2(int device) {
  ENTER(INITIALIZED);
  return sim_device_at(device) ? sim_release_context(sim_device_at(device)) : SIM_INVALID_DEVICE;
}
API cuCtxGetCurrent(void **context) {
  ENTER(INITIALIZED);
  *context = sim_current();
  return SIM_OK;
}
API cuCtxSetCurrent(void *context) {
  ENTER(INITIALIZED);
  sim_set_current(context);
  return SIM_OK;
}
API cuCtxPushCurrent_v2(void *context) {
  ENTER(INITIALIZED);
  return context ? sim_push(context) : SIM_INVALID_CONTEXT;
}
API cuCtxPopCurrent_v2(void **context) {
  ENTER(INITIALIZED);
  *context = sim_pop();
  return *context ? SIM_OK : SIM_INVALID_CONTEXT;
}
API cuCtxSynchronize(void) {
  ENTER(CONTEXT);
  return sim_device_synchronize(sim_current());
}
API cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  ENTER(CONTEXT);
  *least = 0;
  *greatest = -5;
  return SIM_OK;
}
API cuCtxEnablePeerAccess(void *peer, unsigned flags) {
  ENTER(CONTEXT);
  struct sim_device *device = sim_current(), *other = peer;
  if (flags || !other) return SIM_INVALID_VALUE;
  if (device->peers[other->number]) return SIM_PEER_ALREADY_ENABLED;
  device->peers[other->number] = true;
  return SIM_OK;
}

API cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  ENTER(CONTEXT);
  *total = sim_machine.memory;
  *free_bytes = sim_machine.memory - sim_current()->used;
  return SIM_OK;
}
API cuMemAlloc_v2(address_t *address, size_t size) {
  ENTER(CONTEXT);
  uintptr_t made = 0;
  int result = sim_allocate(&made, size);
  *address = made;
  return result;
}
API cuMemFree_v2(address_t address) {
  ENTER(CONTEXT);
  return sim_free(address);
}
API cuMemHostAlloc(void **address, size_t size, unsigned flags) {
  ENTER(CONTEXT);
  return flags & ~7u ? SIM_INVALID_VALUE : sim_allocate_host(address, size);
}
API cuMemFreeHost(void *address) {
  ENTER(CONTEXT);
  return sim_free_host(address);
}
API cuMemHostRegister_v2(void *address, size_t size, unsigned flags) {
  ENTER(CONTEXT);
  return flags & ~15u ? SIM_INVALID_VALUE : sim_register(address, size);
}
API cuMemHostUnregister(void *address) {
  ENTER(CONTEXT);
  return sim_unregister(address);
}
API cuMemHostGetDevicePointer_v2(address_t *device, void *host, unsigned flags) {
  ENTER(CONTEXT);
  *device = (address_t)(uintptr_t)host;
  return flags ? SIM_INVALID_VALUE : SIM_OK;
}

API cuMemcpyAsync(address_t target, address_t source, size_t size, void *stream) {
  ENTER(CONTEXT);
  return sim_copy(target, source, size, stream);
}
struct rows {
  size_t source_x, source_y;
  int source_type;
  const void *source_host;
  address_t source_device;
  void *source_array;
  size_t source_pitch, target_x, target_y;
  int target_type;
  void *target_host;
  address_t target_device;
  void *target_array;
  size_t target_pitch, width, height;
};
_Static_assert(sizeof(struct rows) == 128, "CUDA_MEMCPY2D has 128 bytes");
API cuMemcpy2DAsync_v2(const struct rows *rows, void *stream) {
  ENTER(CONTEXT);
  enum { HOST = 1, DEVICE = 2, UNIFIED = 4 };
  struct sim_piece piece = {.size = rows->width};
  piece.source = rows->source_type == HOST ? (uintptr_t)rows->source_host : rows->source_device;
  piece.target = rows->target_type == HOST ? (uintptr_t)rows->target_host : rows->target_device;
  if (rows->source_pitch > 0x7fffffff || rows->target_pitch > 0x7fffffff) return SIM_INVALID_VALUE;
  return sim_copy_rows(&piece, rows->height, rows->target_pitch, rows->source_pitch, stream);
}
API cuMemsetD8Async(address_t target, unsigned char value, size_t size, void *stream) {
  ENTER(CONTEXT);
  return sim_fill(target, value, size, stream);
}

struct attributes {
  int order;
  struct { int type, id; } source, target;
  unsigned flags;
};
static int copy_batch(address_t *targets, address_t *sources, size_t *sizes, size_t count, struct attributes *attributes,
                      size_t *starts, size_t attribute_count, void *stream) {
  if (!stream || !count || attribute_count < 1 || starts[0] != 0) return SIM_INVALID_VALUE;
  if (attributes[0].order < 1 || attributes[0].order > 3) return SIM_INVALID_VALUE;
  return sim_copy_batch((uintptr_t *)targets, (uintptr_t *)sources, sizes, count, attributes[0].order != 1, stream);
}
API cuMemcpyBatchAsync(address_t *targets, address_t *sources, size_t *sizes, size_t count,
                       struct attributes *attributes, size_t *starts, size_t attribute_count, size_t *failed,
                       void *stream) {
  ENTER(CONTEXT);
  *failed = SIZE_MAX;
  return copy_batch(targets, sources, sizes, count, attributes, starts, attribute_count, stream);
}
API cuMemcpyBatchAsync_v2(address_t *targets, address_t *sources, size_t *sizes, size_t count,
                          struct attributes *attributes, size_t *starts, size_t attribute_count, void *stream) {
  ENTER(CONTEXT);
  return copy_batch(targets, sources, sizes, count, attributes, starts, attribute_count, stream);
}

API cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
  ENTER(CONTEXT);
  return flags > 1 ? SIM_INVALID_VALUE : sim_stream_create(stream, priority);
}
API cuStreamDestroy_v2(void *stream) {
  ENTER(CONTEXT);
  return sim_stream_destroy(stream);
}
API cuStreamSynchronize(void *stream) {
  ENTER(CONTEXT);
  return sim_stream_synchronize(stream);
}
API cuStreamQuery(void *stream) {
  ENTER(CONTEXT);
  return sim_stream_query(stream);
}
API cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
  ENTER(CONTEXT);
  return flags ? SIM_INVALID_VALUE : sim_wait_event(stream, event);
}
API cuLaunchHostFunc(void *stream, void (*function)(void *), void *context) {
  ENTER(CONTEXT);
  return sim_call(function, context, stream);
}
API cuEventCreate(void **event, unsigned flags) {
  ENTER(CONTEXT);
  return sim_event_create(event, flags);
}
API cuEventDestroy_v2(void *event) {
  ENTER(CONTEXT);
  return sim_event_destroy(event);
}
API cuEventRecord(void *event, void *stream) {
  ENTER(CONTEXT);
  return sim_event_record(event, stream);
}
API cuEventQuery(void *event) {
  ENTER(CONTEXT);
  return sim_event_query(event);
}
API cuEventElapsedTime(float *milliseconds, void *start, void *end) {
  ENTER(CONTEXT);
  return sim_event_elapsed(milliseconds, start, end);
}

API cuIpcGetMemHandle(ipc_handle *handle, address_t address) {
  ENTER(CONTEXT);
  return sim_export(address, (struct sim_handle *)handle);
}
API cuIpcOpenMemHandle_v2(address_t *address, ipc_handle handle, unsigned flags) {
  ENTER(CONTEXT);
  struct sim_handle copy;
  memcpy(&copy, &handle, sizeof copy);
  uintptr_t made = 0;
  int result = flags != 1 ? SIM_INVALID_VALUE : sim_import(&copy, &made);
  *address = made;
  return result;
}
API cuIpcCloseMemHandle(address_t address) {
  ENTER(CONTEXT);
  return sim_close_import(address);
}
API cuIpcGetEventHandle(ipc_handle *handle, void *event) {
  ENTER(CONTEXT);
  return sim_event_export(event, (struct sim_handle *)handle);
}
API cuIpcOpenEventHandle(void **event, ipc_handle handle) {
  ENTER(CONTEXT);
  struct sim_handle copy;
  memcpy(&copy, &handle, sizeof copy);
  return sim_event_import(event, &copy);
}

struct allocation {
  int type, handle_types;
  struct { int type, id; } location;
  void *windows;
  char flags[8];
};
_Static_assert(sizeof(struct allocation) == 32, "CUmemAllocationProp has 32 bytes");
API cuMemGetAllocationGranularity(size_t *size, const struct allocation *allocation, int option) {
  ENTER(CONTEXT);
  (void)allocation;
  *size = 2u << 20;
  return option > 1 ? SIM_INVALID_VALUE : SIM_OK;
}
API cuMemCreate(uint64_t *handle, size_t size, const struct allocation *allocation, uint64_t flags) {
  ENTER(CONTEXT);
  int descriptor = -1;
  if (flags || allocation->type != 1 || allocation->location.type != 1) return SIM_INVALID_VALUE;
  int result = sim_physical_create(size, &descriptor);
  *handle = (uint64_t)descriptor;
  return result;
}
API cuMemRelease(uint64_t handle) {
  ENTER(CONTEXT);
  return close((int)handle) ? SIM_INVALID_VALUE : SIM_OK;
}
API cuMemAddressReserve(address_t *address, size_t size, size_t alignment, address_t fixed, uint64_t flags) {
  ENTER(CONTEXT);
  (void)alignment, (void)fixed;
  uintptr_t made = 0;
  int result = flags ? SIM_INVALID_VALUE : sim_reserve(&made, size);
  *address = made;
  return result;
}
API cuMemAddressFree(address_t address, size_t size) {
  ENTER(CONTEXT);
  return sim_unreserve(address, size);
}
API cuMemMap(address_t address, size_t size, size_t offset, uint64_t handle, uint64_t flags) {
  ENTER(CONTEXT);
  return offset || flags ? SIM_INVALID_VALUE : sim_map(address, size, (int)handle);
}
API cuMemUnmap(address_t address, size_t size) {
  ENTER(CONTEXT);
  (void)size;
  return sim_unmap(address);
}
API cuMemSetAccess(address_t address, size_t size, const void *descriptions, size_t count) {
  ENTER(CONTEXT);
  (void)address, (void)size;
  return descriptions && count ? SIM_OK : SIM_INVALID_VALUE;
}
API cuMemExportToShareableHandle(int *descriptor, uint64_t handle, int type, uint64_t flags) {
  ENTER(CONTEXT);
  *descriptor = dup((int)handle);
  return type != 1 || flags || *descriptor < 0 ? SIM_INVALID_VALUE : SIM_OK;
}
API cuMemImportFromShareableHandle(uint64_t *handle, void *descriptor, int type) {
  ENTER(CONTEXT);
  int copy = dup((int)(intptr_t)descriptor);
  *handle = (uint64_t)copy;
  return type != 1 || copy < 0 ? SIM_INVALID_VALUE : SIM_OK;
}

API cuModuleLoadData(void **module, const void *image) {
  ENTER(CONTEXT);
  return sim_module_load(module, image);
}
API cuModuleUnload(void *module) {
  ENTER(CONTEXT);
  return sim_module_unload(module);
}
API cuModuleGetFunction(void **function, void *module, const char *name) {
  ENTER(CONTEXT);
  return sim_module_function(function, module, name);
}
API cuFuncSetAttribute(void *function, int attribute, int value) {
  ENTER(CONTEXT);
  return function && attribute == 8 && value <= 227 * 1024 ? SIM_OK : SIM_INVALID_VALUE;
}
API cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared, void *stream, void **parameters, void **extra) {
  ENTER(CONTEXT);
  (void)extra;
  if (grid_y != 1 || grid_z != 1 || block_y != 1 || block_z != 1) return SIM_INVALID_VALUE;
  struct sim_launch launch = {.blocks = grid_x, .threads = block_x, .shared = shared};
  int result = sim_kernel_arguments(function, parameters, &launch);
  return result ? result : sim_enqueue_launch(&launch, stream);
}

// Moore Threads' names for the same functions.
#define MUSA(field, name, parameters) \
  __asm__(".globl mu" name "\n.type mu" name ", @function\n.set mu" name ", cu" name "\n");
ROOST_CUDA_SYMBOLS(MUSA, MUSA)
