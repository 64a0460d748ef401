// Huawei's ACL for Ascend, the functions that Roost calls, with the signatures of acl_rt.h (CANN 8 and later). Each thread
// has a context. A result is 0 or an error number; answers to questions come in out parameters.
#ifndef ROOST_ACL_SYMBOLS_H
#define ROOST_ACL_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "symbol_table.h"

// aclrtMemcpyBatchAttr, 32 bytes: a place is a device's number and a kind, 0 the host, 1 a device.
typedef struct {
  uint32_t id;
  int32_t type;
} roost_acl_place;
typedef struct {
  roost_acl_place target, source;
  uint8_t reserved[16];
} roost_acl_copy_attributes;

// R: required. O: optional. T: optional, returns text. (field, name, parameters)
#define ROOST_ACL_SYMBOLS(R, O, T)                                                                                   \
  R(init, "Init", (const char *configuration))                                                                       \
  R(device_count, "rtGetDeviceCount", (uint32_t * count))                                                            \
  R(device_set, "rtSetDevice", (int32_t device))                                                                     \
  R(device_reset, "rtResetDevice", (int32_t device))                                                                 \
  R(context_current, "rtGetCurrentContext", (void **context))                                                        \
  R(context_choose, "rtSetCurrentContext", (void *context))                                                          \
  R(memory_info, "rtGetMemInfo", (int kind, size_t *free, size_t *total))                                            \
  R(allocate, "rtMalloc", (void **address, size_t bytes, int policy))                                                \
  R(free, "rtFree", (void *address))                                                                                 \
  R(allocate_host, "rtMallocHost", (void **address, size_t bytes))                                                   \
  R(free_host, "rtFreeHost", (void *address))                                                                        \
  R(copy, "rtMemcpyAsync",                                                                                           \
    (void *target, size_t target_bytes, const void *source, size_t bytes, int kind, void *stream))                   \
  R(stream_create, "rtCreateStreamWithConfig", (void **stream, uint32_t priority, uint32_t flags))                   \
  R(stream_destroy, "rtDestroyStream", (void *stream))                                                               \
  R(stream_query, "rtStreamQuery", (void *stream, int32_t *status))                                                  \
  R(stream_wait, "rtStreamWaitEvent", (void *stream, void *event))                                                   \
  R(event_create, "rtCreateEventExWithFlag", (void **event, uint32_t flags))                                         \
  R(event_destroy, "rtDestroyEvent", (void *event))                                                                  \
  R(event_record, "rtRecordEvent", (void *event, void *stream))                                                      \
  R(event_query, "rtQueryEventStatus", (void *event, int32_t *status))                                               \
  O(version, "rtGetVersion", (int32_t * major, int32_t *minor, int32_t *patch))                                      \
  O(event_elapsed, "rtEventElapsedTime", (float *milliseconds, void *start, void *end))                              \
  O(priority_range, "rtDeviceGetStreamPriorityRange", (int32_t * least, int32_t *greatest))                          \
  O(register_host_2, "rtHostRegisterV2", (void *address, uint64_t bytes, uint32_t flags))                            \
  O(register_host, "rtHostRegister", (void *address, uint64_t bytes, int type, void **device))                       \
  O(unregister_host, "rtHostUnregister", (void *address))                                                            \
  O(copy_rows, "rtMemcpy2dAsync",                                                                                    \
    (void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width, size_t height,        \
     int kind, void *stream))                                                                                        \
  O(copy_batch, "rtMemcpyBatchAsync",                                                                                \
    (void **targets, size_t *target_bytes, void **sources, size_t *sizes, size_t count,                              \
     roost_acl_copy_attributes *attributes, size_t *starts, size_t attribute_count, size_t *failed, void *stream))   \
  O(launch_host, "rtLaunchHostFunc", (void *stream, void (*function)(void *), void *context))                        \
  O(ipc_export, "rtIpcMemGetExportKey", (void *address, size_t bytes, char *key, size_t length, uint64_t flags))     \
  O(ipc_import, "rtIpcMemImportByKey", (void **address, const char *key, uint64_t flags))                            \
  O(ipc_close, "rtIpcMemClose", (const char *key))                                                                   \
  T(product, "rtGetSocName", (void))                                                                                 \
  T(recent_error, "GetRecentErrMsg", (void))

#define ROOST_ACL_FIELD(field, name, parameters) int(*field) parameters;
#define ROOST_ACL_TEXT(field, name, parameters) const char *(*field)parameters;
typedef struct {
  ROOST_ACL_SYMBOLS(ROOST_ACL_FIELD, ROOST_ACL_FIELD, ROOST_ACL_TEXT)
} roost_acl;

roost_symbol_list roost_acl_symbols(void);

enum {
  ROOST_ACL_REPEATED_INIT = 100002,
  ROOST_ACL_NO_CONTEXT = 107002,
  // Ours: what a question whose answer is "no" is turned into. No error of ACL's is below 100000.
  ROOST_ACL_NOT_READY = 1,
};

// Initialises the runtime, which another library in the process may have done.
static inline int roost_acl_init(const roost_acl *driver) {
  int result = driver->init(NULL);
  return result == ROOST_ACL_REPEATED_INIT ? 0 : result;
}

// Makes `context` the calling thread's. `former`: what it had, to be put back with roost_acl_leave; NULL: the same, or
// none, and none cannot be put back: such a thread keeps ours, until it chooses a device. `has_asked`: the first of the two
// functions did not fail.
static inline int roost_acl_enter(const roost_acl *driver, void *context, void **former, int *has_asked) {
  void *current = NULL;
  *former = NULL;
  *has_asked = 0;
  int result = driver->context_current(&current);
  if (result == ROOST_ACL_NO_CONTEXT) current = NULL;
  else if (result) return result;
  *has_asked = 1;
  if (current == context) return 0;
  result = driver->context_choose(context);
  if (!result) *former = current;
  return result;
}
static inline int roost_acl_leave(const roost_acl *driver, void *former) {
  return former ? driver->context_choose(former) : 0;
}

// Takes a reference to a device and finds its context, which other libraries in the process share. Gives the device back if
// that fails. `call`: the function that failed.
int roost_acl_open(const roost_acl *driver, int device, void **context, const char **call);

// 0, an error, or ROOST_ACL_NOT_READY. A stream answers 0 if it is done, an event 1.
static inline int roost_acl_stream_query(const roost_acl *driver, void *stream) {
  int32_t status = 0;
  int result = driver->stream_query(stream, &status);
  return result ? result : status ? ROOST_ACL_NOT_READY : 0;
}
static inline int roost_acl_event_query(const roost_acl *driver, void *event) {
  int32_t status = 0;
  int result = driver->event_query(event, &status);
  return result ? result : status ? 0 : ROOST_ACL_NOT_READY;
}

// Page-locks host memory by whichever call the library has.
int roost_acl_register(const roost_acl *driver, void *address, size_t bytes);

// Copies all pieces, empty ones left out: by the batch call if the library has it and `is_batch`, else one by one. `call`
// says which failed. The context must be entered.
int roost_acl_copy_pieces(const roost_acl *driver, const void *pieces, size_t count, int kind, int device, int is_batch,
                          void *stream, const char **call);

#endif
