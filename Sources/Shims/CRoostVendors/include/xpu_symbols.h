// Baidu's runtime for Kunlun, the functions that Roost calls. Each thread has a device. A result is 0 or an error number
// from 700 on, which may come back negative. There is no question whether a stream is idle, no callback, no timing, no copy
// of rows, no priority, and nothing that says how much memory is free.
#ifndef ROOST_XPU_SYMBOLS_H
#define ROOST_XPU_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "symbol_table.h"

typedef struct {
  unsigned char bytes[64];
} roost_xpu_ipc_handle;

// R: required. O: optional. (field, name, parameters)
#define ROOST_XPU_SYMBOLS(R, O)                                                                                      \
  R(device_count, "device_count", (int *count))                                                                      \
  R(device_current, "current_device", (int *device))                                                                 \
  R(device_choose, "set_device", (int device))                                                                       \
  R(device_attribute, "device_get_attr", (uint64_t * value, int attribute, int device))                              \
  R(allocate, "malloc", (void **address, uint64_t bytes, int kind))                                                  \
  R(free, "free", (void *address))                                                                                   \
  R(allocate_host, "host_alloc", (void **address, uint64_t bytes, unsigned flags))                                   \
  R(free_host, "host_free", (void *address))                                                                         \
  R(copy, "memcpy_async", (void *target, const void *source, size_t bytes, int kind, void *stream))                \
  R(stream_create, "stream_create", (void **stream))                                                                 \
  R(stream_destroy, "stream_destroy", (void *stream))                                                                \
  R(stream_wait, "stream_wait_event", (void *stream, void *event))                                                   \
  R(event_create, "event_create", (void **event))                                                                    \
  R(event_destroy, "event_destroy", (void *event))                                                                   \
  R(event_record, "event_record", (void *event, void *stream))                                                       \
  R(event_query, "event_query", (void *event))                                                                       \
  O(version, "get_runtime_version", (uint32_t * major, uint32_t *minor))                                             \
  O(register_host, "host_register", (void *address, uint64_t bytes, unsigned flags))                                 \
  O(unregister_host, "host_unregister", (void *address))                                                             \
  O(ipc_export, "ipc_get_memhandle", (roost_xpu_ipc_handle * handle, void *address))                                 \
  O(ipc_import, "ipc_open_memhandle", (void **address, roost_xpu_ipc_handle handle, unsigned flags))                 \
  O(ipc_close, "ipc_close_memhandle", (void *address))

#define ROOST_XPU_FIELD(field, name, parameters) int(*field) parameters;
typedef struct {
  ROOST_XPU_SYMBOLS(ROOST_XPU_FIELD, ROOST_XPU_FIELD)
} roost_xpu;

roost_symbol_list roost_xpu_symbols(void);

// XPUERR_BUSY: what a question about an event that has not come answers.
enum { ROOST_XPU_NOT_READY = 716 };

// Whether an event has come: 0, ROOST_XPU_NOT_READY, or an error; never negative.
static inline int roost_xpu_event_query(const roost_xpu *driver, void *event) {
  int result = driver->event_query(event);
  return result < 0 ? -result : result;
}

#endif
