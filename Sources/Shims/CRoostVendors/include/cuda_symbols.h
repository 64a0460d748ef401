// The driver interface of NVIDIA's CUDA 11 to 13, and of Moore Threads' MUSA under another prefix: the functions that
// Roost calls, with the signatures of cuda.h 12.9. A result is 0 or an error number; device addresses are 64-bit words.
//
// A name is written with the version suffix of its 64-bit form: without it, the old libraries have another function.
#ifndef ROOST_CUDA_SYMBOLS_H
#define ROOST_CUDA_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "symbol_table.h"

typedef uint64_t roost_cuda_address;
typedef struct {
  unsigned char bytes[64];
} roost_cuda_ipc_handle;
typedef struct {
  unsigned char bytes[16];
} roost_cuda_uuid;
// CUmemLocation, CUmemcpyAttributes (24 bytes), CUmemAllocationProp (32), CUmemAccessDesc (12).
typedef struct {
  int type, id;
} roost_cuda_location;
typedef struct {
  int source_access_order;
  roost_cuda_location source_hint, target_hint;
  unsigned flags;
} roost_cuda_copy_attributes;
typedef struct {
  int type, handle_types;
  roost_cuda_location location;
  void *windows_meta_data;
  unsigned char flags[8];
} roost_cuda_allocation;
typedef struct {
  roost_cuda_location location;
  int flags;
} roost_cuda_access;
// CUDA_MEMCPY2D, 128 bytes.
typedef struct {
  size_t source_x, source_y;
  int source_type;
  const void *source_host;
  roost_cuda_address source_device;
  void *source_array;
  size_t source_pitch;
  size_t target_x, target_y;
  int target_type;
  void *target_host;
  roost_cuda_address target_device;
  void *target_array;
  size_t target_pitch;
  size_t width, height;
} roost_cuda_rows;

// R: required. O: optional, switches a capability off. (field, name, parameters)
#define ROOST_CUDA_SYMBOLS(R, O)                                                                                     \
  R(init, "Init", (unsigned flags))                                                                                  \
  R(driver_version, "DriverGetVersion", (int *version))                                                              \
  R(error_name, "GetErrorName", (int result, const char **name))                                                     \
  R(device_count, "DeviceGetCount", (int *count))                                                                    \
  R(device_get, "DeviceGet", (int *device, int ordinal))                                                             \
  R(device_name, "DeviceGetName", (char *name, int size, int device))                                                \
  R(device_memory, "DeviceTotalMem_v2", (size_t * bytes, int device))                                                \
  R(device_attribute, "DeviceGetAttribute", (int *value, int attribute, int device))                                 \
  R(device_bus, "DeviceGetPCIBusId", (char *text, int size, int device))                                             \
  R(context_retain, "DevicePrimaryCtxRetain", (void **context, int device))                                          \
  R(context_release, "DevicePrimaryCtxRelease_v2", (int device))                                                     \
  R(context_current, "CtxGetCurrent", (void **context))                                                              \
  R(context_push, "CtxPushCurrent_v2", (void *context))                                                              \
  R(context_pop, "CtxPopCurrent_v2", (void **context))                                                               \
  R(memory_info, "MemGetInfo_v2", (size_t * free, size_t *total))                                                    \
  R(allocate, "MemAlloc_v2", (roost_cuda_address * address, size_t bytes))                                           \
  R(free, "MemFree_v2", (roost_cuda_address address))                                                                \
  R(allocate_host, "MemHostAlloc", (void **address, size_t bytes, unsigned flags))                                   \
  R(free_host, "MemFreeHost", (void *address))                                                                       \
  R(copy, "MemcpyAsync", (roost_cuda_address target, roost_cuda_address source, size_t bytes, void *stream))         \
  R(stream_create, "StreamCreateWithPriority", (void **stream, unsigned flags, int priority))                        \
  R(stream_destroy, "StreamDestroy_v2", (void *stream))                                                              \
  R(stream_query, "StreamQuery", (void *stream))                                                                     \
  R(stream_wait, "StreamWaitEvent", (void *stream, void *event, unsigned flags))                                     \
  R(event_create, "EventCreate", (void **event, unsigned flags))                                                     \
  R(event_destroy, "EventDestroy_v2", (void *event))                                                                 \
  R(event_record, "EventRecord", (void *event, void *stream))                                                        \
  R(event_query, "EventQuery", (void *event))                                                                        \
  O(event_elapsed, "EventElapsedTime", (float *milliseconds, void *start, void *end))                                \
  O(priority_range, "CtxGetStreamPriorityRange", (int *least, int *greatest))                                        \
  O(register_host, "MemHostRegister_v2", (void *address, size_t bytes, unsigned flags))                              \
  O(unregister_host, "MemHostUnregister", (void *address))                                                           \
  O(copy_rows, "Memcpy2DAsync_v2", (const roost_cuda_rows *rows, void *stream))                                      \
  O(copy_batch_8, "MemcpyBatchAsync_v2",                                                                             \
    (roost_cuda_address * targets, roost_cuda_address * sources, size_t *sizes, size_t count,                        \
     roost_cuda_copy_attributes *attributes, size_t *starts, size_t attribute_count, void *stream))                  \
  O(copy_batch_9, "MemcpyBatchAsync",                                                                                \
    (roost_cuda_address * targets, roost_cuda_address * sources, size_t *sizes, size_t count,                        \
     roost_cuda_copy_attributes *attributes, size_t *starts, size_t attribute_count, size_t *failed, void *stream))  \
  O(launch_host, "LaunchHostFunc", (void *stream, void (*function)(void *), void *context))                          \
  O(can_access_peer, "DeviceCanAccessPeer", (int *can, int device, int peer))                                        \
  O(enable_peer, "CtxEnablePeerAccess", (void *context, unsigned flags))                                             \
  O(ipc_export, "IpcGetMemHandle", (roost_cuda_ipc_handle * handle, roost_cuda_address address))                     \
  O(ipc_import, "IpcOpenMemHandle_v2", (roost_cuda_address * address, roost_cuda_ipc_handle handle, unsigned flags)) \
  O(ipc_close, "IpcCloseMemHandle", (roost_cuda_address address))                                                    \
  O(ipc_export_event, "IpcGetEventHandle", (roost_cuda_ipc_handle * handle, void *event))                            \
  O(ipc_import_event, "IpcOpenEventHandle", (void **event, roost_cuda_ipc_handle handle))                            \
  O(granularity, "MemGetAllocationGranularity",                                                                      \
    (size_t * bytes, const roost_cuda_allocation *allocation, int option))                                           \
  O(physical_create, "MemCreate",                                                                                    \
    (uint64_t * handle, size_t bytes, const roost_cuda_allocation *allocation, uint64_t flags))                      \
  O(physical_release, "MemRelease", (uint64_t handle))                                                               \
  O(reserve, "MemAddressReserve",                                                                                    \
    (roost_cuda_address * address, size_t bytes, size_t alignment, roost_cuda_address fixed, uint64_t flags))        \
  O(unreserve, "MemAddressFree", (roost_cuda_address address, size_t bytes))                                         \
  O(map, "MemMap", (roost_cuda_address address, size_t bytes, size_t offset, uint64_t handle, uint64_t flags))       \
  O(unmap, "MemUnmap", (roost_cuda_address address, size_t bytes))                                                   \
  O(set_access, "MemSetAccess",                                                                                      \
    (roost_cuda_address address, size_t bytes, const roost_cuda_access *access, size_t count))                       \
  O(export_physical, "MemExportToShareableHandle", (int *descriptor, uint64_t handle, int type, uint64_t flags))     \
  O(import_physical, "MemImportFromShareableHandle", (uint64_t * handle, void *descriptor, int type))                \
  O(module_load, "ModuleLoadData", (void **module, const void *image))                                               \
  O(module_unload, "ModuleUnload", (void *module))                                                                   \
  O(module_function, "ModuleGetFunction", (void **function, void *module, const char *name))                         \
  O(function_attribute, "FuncSetAttribute", (void *function, int attribute, int value))                              \
  O(launch_kernel, "LaunchKernel",                                                                                   \
    (void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,          \
     unsigned block_z, unsigned shared, void *stream, void **parameters, void **extra))

#define ROOST_FIELD(field, name, parameters) int(*field) parameters;
typedef struct {
  ROOST_CUDA_SYMBOLS(ROOST_FIELD, ROOST_FIELD)
} roost_cuda;

roost_symbol_list roost_cuda_symbols(void);

// A copy, as RoostPrimitives' CopyPiece lays it out.
typedef struct {
  uintptr_t source, target, bytes;
} roost_cuda_piece;

// Pieces as the driver's batch calls want them: three arrays.
typedef struct {
  roost_cuda_address *targets, *sources;
  size_t *sizes;
  size_t capacity;
} roost_cuda_batch;

enum { ROOST_CUDA_STREAM_ORDER = 1, ROOST_CUDA_ANY_ORDER = 3 };

// Makes `context` the calling thread's, if it is not. `pushed`: 1: leave with
// roost_cuda_leave; -1: that failed. Other libraries' choice of a
// context on the same thread is put back, so that nothing of theirs lands on our device.
static inline int roost_cuda_enter(const roost_cuda *driver, void *context, int *pushed) {
  void *current = 0;
  *pushed = 0;
  int result = driver->context_current(&current);
  if (result || current == context) return result;
  result = driver->context_push(context);
  *pushed = result == 0 ? 1 : -1;
  return result;
}
static inline int roost_cuda_leave(const roost_cuda *driver) {
  void *popped;
  return driver->context_pop(&popped);
}

// Copies all pieces, empty ones left out: with the batch call that the driver has, else one by one. The context must be
// entered. `call` says which function failed.
int roost_cuda_copy_pieces(const roost_cuda *driver, const roost_cuda_piece *pieces, size_t count, int order,
                           roost_cuda_batch *batch, void *stream, const char **call);

// What a batch is like: whether every piece is a multiple of 16 bytes at multiples of 16, their sizes, and whether the
// host's side lies in one of the ranges (start, end; sorted) that the device can reach.
typedef struct {
  size_t smallest, largest, total;
  int is_aligned, is_reachable;
} roost_cuda_survey;
enum { ROOST_CUDA_HOST_IS_SOURCE = 1, ROOST_CUDA_HOST_IS_TARGET = 2 };
roost_cuda_survey roost_cuda_survey_pieces(const roost_cuda_piece *pieces, size_t count, const uintptr_t *ranges,
                                           size_t range_count, int host_side);

#endif
