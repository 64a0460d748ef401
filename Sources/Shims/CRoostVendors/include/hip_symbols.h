// AMD's HIP runtime, 5.2 to 6.x, and Hygon's copy of it: the functions that Roost calls. Devices are implicit: each thread
// has one. A result is 0 or an error number, mostly CUDA's.
#ifndef ROOST_HIP_SYMBOLS_H
#define ROOST_HIP_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "symbol_table.h"

typedef struct {
  unsigned char bytes[64];
} roost_hip_ipc_handle;

// R: required. O: optional: launch_host has a prototype in 5.2 and is not exported there, add_callback is the old form.
// There is a batch call from 7.1 on, which is a loop, and faults beyond 8,192 copies in some builds: not used.
#define ROOST_HIP_SYMBOLS(R, O)                                                                                      \
  R(init, "Init", (unsigned flags))                                                                                  \
  R(runtime_version, "RuntimeGetVersion", (int *version))                                                            \
  R(device_count, "GetDeviceCount", (int *count))                                                                    \
  R(device_current, "GetDevice", (int *device))                                                                      \
  R(device_choose, "SetDevice", (int device))                                                                        \
  R(device_name, "DeviceGetName", (char *name, int size, int device))                                                \
  R(device_memory, "DeviceTotalMem", (size_t * bytes, int device))                                                   \
  R(device_attribute, "DeviceGetAttribute", (int *value, int attribute, int device))                                 \
  R(device_bus, "DeviceGetPCIBusId", (char *text, int size, int device))                                             \
  R(memory_info, "MemGetInfo", (size_t * free, size_t *total))                                                       \
  R(allocate, "Malloc", (void **address, size_t bytes))                                                              \
  R(free, "Free", (void *address))                                                                                   \
  R(allocate_host, "HostMalloc", (void **address, size_t bytes, unsigned flags))                                     \
  R(free_host, "HostFree", (void *address))                                                                          \
  R(copy, "MemcpyAsync", (void *target, const void *source, size_t bytes, int kind, void *stream))                   \
  R(stream_create, "StreamCreateWithPriority", (void **stream, unsigned flags, int priority))                        \
  R(stream_destroy, "StreamDestroy", (void *stream))                                                                 \
  R(stream_query, "StreamQuery", (void *stream))                                                                     \
  R(stream_wait, "StreamWaitEvent", (void *stream, void *event, unsigned flags))                                     \
  R(event_create, "EventCreateWithFlags", (void **event, unsigned flags))                                            \
  R(event_destroy, "EventDestroy", (void *event))                                                                    \
  R(event_record, "EventRecord", (void *event, void *stream))                                                        \
  R(event_query, "EventQuery", (void *event))                                                                        \
  O(event_elapsed, "EventElapsedTime", (float *milliseconds, void *start, void *end))                                \
  O(priority_range, "DeviceGetStreamPriorityRange", (int *least, int *greatest))                                     \
  O(register_host, "HostRegister", (void *address, size_t bytes, unsigned flags))                                    \
  O(unregister_host, "HostUnregister", (void *address))                                                              \
  O(copy_rows, "Memcpy2DAsync",                                                                                      \
    (void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width, size_t height,        \
     int kind, void *stream))                                                                                        \
  O(launch_host, "LaunchHostFunc", (void *stream, void (*function)(void *), void *context))                          \
  O(add_callback, "StreamAddCallback",                                                                               \
    (void *stream, void (*function)(void *stream, int status, void *context), void *context, unsigned flags))        \
  O(ipc_export, "IpcGetMemHandle", (roost_hip_ipc_handle * handle, void *address))                                   \
  O(ipc_import, "IpcOpenMemHandle", (void **address, roost_hip_ipc_handle handle, unsigned flags))                   \
  O(ipc_close, "IpcCloseMemHandle", (void *address))

#define ROOST_HIP_FIELD(field, name, parameters) int(*field) parameters;
typedef struct {
  ROOST_HIP_SYMBOLS(ROOST_HIP_FIELD, ROOST_HIP_FIELD)
} roost_hip;

roost_symbol_list roost_hip_symbols(void);

// Calls a function in the stream's order by whichever call the library has. The device must be entered.
int roost_hip_call(const roost_hip *driver, void (*function)(void *), void *context, void *stream);

#endif
