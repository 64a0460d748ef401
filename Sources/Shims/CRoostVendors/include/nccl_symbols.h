// NVIDIA's NCCL 2, the functions that Roost calls, with the signatures of nccl.h 2.32. A result is 0 or an error number.
#ifndef ROOST_NCCL_SYMBOLS_H
#define ROOST_NCCL_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

#include "symbol_table.h"

// ncclUniqueId, passed by value.
typedef struct {
  unsigned char bytes[128];
} roost_nccl_id;

// R: required. O: optional. T: optional, returns text. (field, name, parameters)
#define ROOST_NCCL_SYMBOLS(R, O, T)                                                                                  \
  R(version, "GetVersion", (int *version))                                                                           \
  R(unique_id, "GetUniqueId", (roost_nccl_id * id))                                                                  \
  R(join, "CommInitRank", (void **group, int rank_count, roost_nccl_id id, int rank))                                \
  R(leave, "CommDestroy", (void *group))                                                                             \
  R(reduce, "AllReduce",                                                                                             \
    (const void *source, void *target, size_t count, int type, int operation, void *group, void *stream))            \
  R(gather, "AllGather", (const void *source, void *target, size_t count, int type, void *group, void *stream))      \
  O(abort, "CommAbort", (void *group))                                                                               \
  T(error_text, "GetErrorString", (int result))                                                                      \
  T(last_error, "GetLastError", (void *group))

#define ROOST_NCCL_FIELD(field, name, parameters) int(*field) parameters;
#define ROOST_NCCL_TEXT(field, name, parameters) const char *(*field)parameters;
typedef struct {
  ROOST_NCCL_SYMBOLS(ROOST_NCCL_FIELD, ROOST_NCCL_FIELD, ROOST_NCCL_TEXT)
} roost_nccl;

roost_symbol_list roost_nccl_symbols(void);

// ncclUint8, ncclFloat32, ncclSum.
enum { ROOST_NCCL_BYTE = 1, ROOST_NCCL_FLOAT = 7, ROOST_NCCL_SUM = 0 };

#endif
