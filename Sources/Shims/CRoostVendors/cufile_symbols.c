#include "cufile_symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define REQUIRED(field, name, type, parameters) {name, offsetof(roost_cufile, field), true},
#define OPTIONAL(field, name, type, parameters) {name, offsetof(roost_cufile, field), false},
static const roost_symbol symbols[] = {ROOST_CUFILE_SYMBOLS(REQUIRED, OPTIONAL)};

_Static_assert(sizeof(roost_cufile_status) == 8, "as in cufile.h");
_Static_assert(sizeof(roost_cufile_description) == 24, "as in cufile.h");

roost_symbol_list roost_cufile_symbols(void) {
  return (roost_symbol_list){symbols, sizeof symbols / sizeof symbols[0], sizeof(roost_cufile)};
}

enum { ALREADY_OPEN = 5026 };

roost_cufile_result roost_cufile_open(const roost_cufile *driver) {
  roost_cufile_status status = driver->open();
  int error = status.error == ALREADY_OPEN ? 0 : status.error;
  return (roost_cufile_result){.error = error, .driver_error = status.driver_error, .call = "DriverOpen"};
}

static void move_all(const roost_cufile *driver, int is_write, void *handle, uintptr_t address, size_t bytes,
                     int64_t offset, roost_cufile_result *result) {
  result->call = is_write ? "Write" : "Read";
  while ((size_t)result->moved < bytes) {
    size_t rest = bytes - (size_t)result->moved;
    off_t place = offset + result->moved, inside = result->moved;
    ssize_t moved = is_write ? driver->write(handle, (const void *)address, rest, place, inside)
                             : driver->read(handle, (void *)address, rest, place, inside);
    if (moved == -1 && errno == EINTR) continue;
    // -1: errno says what; below: an error of cufile.h's, negated.
    if (moved < 0) result->error = moved == -1 ? -errno : (int)-moved;
    if (moved == 0 && is_write) result->error = -ENOSPC;
    if (moved <= 0) return;
    result->moved += moved;
  }
}

roost_cufile_result roost_cufile_transfer(const roost_cufile *driver, int is_write, int descriptor, uintptr_t address,
                                          size_t bytes, int64_t offset) {
  roost_cufile_result result = {.call = "HandleRegister"};
  if (fcntl(descriptor, F_GETFL) < 0) {
    result.error = -errno;
    return result;
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
  int direct = open(path, (is_write ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
  roost_cufile_description description = {.type = 1, .file.descriptor = direct >= 0 ? direct : descriptor};
  void *handle = NULL;
  roost_cufile_status status = driver->handle_register(&handle, &description);
  result.error = status.error;
  result.driver_error = status.driver_error;
  if (!status.error) {
    move_all(driver, is_write, handle, address, bytes, offset, &result);
    driver->handle_deregister(handle);
  }
  if (direct >= 0) close(direct);
  return result;
}
