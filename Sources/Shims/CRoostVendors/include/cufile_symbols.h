// NVIDIA's GPUDirect Storage, the functions that Roost calls, with the signatures of cufile.h 1.14. A status is a pair: an
// error from 5001 on, or 0, and the driver's own.
#ifndef ROOST_CUFILE_SYMBOLS_H
#define ROOST_CUFILE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbol_table.h"

// CUfileError_t, returned by value.
typedef struct {
  int error, driver_error;
} roost_cufile_status;
// CUfileDescr_t, 24 bytes: type 1 is a descriptor.
typedef struct {
  int type;
  union {
    int descriptor;
    void *handle;
  } file;
  const void *operations;
} roost_cufile_description;

// R: required. O: optional. (field, name, type of the result, parameters)
#define ROOST_CUFILE_SYMBOLS(R, O)                                                                                   \
  R(open, "DriverOpen", roost_cufile_status, (void))                                                                 \
  R(handle_register, "HandleRegister", roost_cufile_status, (void **handle, roost_cufile_description *description))  \
  R(handle_deregister, "HandleDeregister", void, (void *handle))                                                     \
  R(read, "Read", ssize_t, (void *handle, void *address, size_t bytes, off_t offset, off_t address_offset))          \
  R(write, "Write", ssize_t, (void *handle, const void *address, size_t bytes, off_t offset, off_t address_offset))  \
  O(version, "GetVersion", roost_cufile_status, (int *version))

#define ROOST_CUFILE_FIELD(field, name, type, parameters) type(*field) parameters;
typedef struct {
  ROOST_CUFILE_SYMBOLS(ROOST_CUFILE_FIELD, ROOST_CUFILE_FIELD)
} roost_cufile;

roost_symbol_list roost_cufile_symbols(void);

// What became of a transfer: `error` is 0, a number of cufile.h's, or a negated errno; `call` is the function that failed.
typedef struct {
  int64_t moved;
  int error, driver_error;
  const char *call;
} roost_cufile_result;

// Moves bytes between device memory and a file, over a descriptor of our own with O_DIRECT where the file system has it.
// Fewer bytes only at the end of a file that is read.
roost_cufile_result roost_cufile_transfer(const roost_cufile *driver, int is_write, int descriptor, uintptr_t address,
                                          size_t bytes, int64_t offset);

// Opens the driver.
roost_cufile_result roost_cufile_open(const roost_cufile *driver);

#endif
