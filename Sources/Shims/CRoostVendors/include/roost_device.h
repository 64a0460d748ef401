// A device from a shared library: what the library exports, as one table of C functions. Copy this file; it needs
// nothing of Roost's. docs/guides/add-a-device.md takes you through it, Examples/device is a whole one.
//
// Calls come from any thread, at any time. None may wait for the device, except `release`, `release_host` and `close`.
// Roost does what is the same for all devices: it checks addresses, keeps failed streams failed, waits with deadlines,
// refuses double frees, aligns to 4 KiB.
#ifndef ROOST_DEVICE_H
#define ROOST_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Raised when the table changes. A library made for another version is refused, and the message says so.
#define ROOST_DEVICE_VERSION 1

// What every function answers; 0 is success. After any other, `last_error` says more.
enum {
  ROOST_DEVICE_OK = 0,
  ROOST_DEVICE_INVALID = 1,        // an argument is wrong
  ROOST_DEVICE_OUT_OF_MEMORY = 2,  // memory, streams or another resource ran out
  ROOST_DEVICE_NOT_FOUND = 3,      // there is no such device
  ROOST_DEVICE_BUSY = 4,           // for one: the memory is registered already
  ROOST_DEVICE_FAILED = 5,         // this call failed; others may not
  ROOST_DEVICE_LOST = 6,           // the device will never work again
};

// Which side of a copy is device memory.
enum { ROOST_DEVICE_TO_HOST = 0, ROOST_HOST_TO_DEVICE = 1, ROOST_DEVICE_TO_DEVICE = 2 };

// One contiguous copy.
typedef struct {
  uintptr_t source, target, bytes;
} roost_device_piece;

// Rows of equal length, `source_pitch` and `target_pitch` bytes apart.
typedef struct {
  uintptr_t source, target, row_bytes, row_count, source_pitch, target_pitch;
} roost_device_rows;

typedef struct {
  char name[128];     // the product
  char driver[32];    // the driver's version; may be empty
  char bus[32];       // the PCI address; may be empty
  uint64_t memory_bytes;
  uint64_t efficient_run_bytes;  // shorter runs are worth staging; 0: none is
  int32_t copy_engine_count;
  int32_t numa_node;             // -1: unknown
  int32_t is_host_addressable;   // the host may read and write device memory
  int32_t has_priorities;        // streams of high priority overtake others
} roost_device_description;

typedef struct {
  uint32_t version;     // ROOST_DEVICE_VERSION
  uint32_t size;        // sizeof(roost_device_table)
  const char *scheme;   // the first part of the devices' URIs: lower-case letters and digits
  const char *vendor;

  // What the calling thread's last failure was, one sentence; valid until its next call.
  const char *(*last_error)(void);
  int (*count)(int *out_count);
  int (*open)(int index, void **out_device);
  int (*close)(void *device);
  int (*describe)(void *device, roost_device_description *out_description);

  int (*free_bytes)(void *device, uint64_t *out_bytes);
  int (*allocate)(void *device, size_t bytes, uintptr_t *out_address);
  int (*release)(void *device, uintptr_t address);
  int (*allocate_host)(void *device, size_t bytes, uintptr_t *out_address);
  int (*release_host)(void *device, uintptr_t address);

  int (*stream_create)(void *device, int is_high_priority, void **out_stream);
  // What was submitted goes on.
  int (*stream_destroy)(void *device, void *stream);
  int (*stream_is_idle)(void *device, void *stream, int *out_is_idle);
  // In the stream's order; unordered among themselves. `pieces` is the caller's again when the call returns.
  int (*copy)(void *device, const roost_device_piece *pieces, size_t count, int direction, void *stream);
  int (*event_create)(void *device, void **out_event);
  int (*event_destroy)(void *device, void *event);
  int (*event_record)(void *device, void *event, void *stream);
  // The stream waits for the last recording before this call; not at all for an event that was never recorded.
  int (*event_wait)(void *device, void *event, void *stream);
  int (*event_is_complete)(void *device, void *event, int *out_is_complete);

  // Optional: NULL switches the capability off.
  int (*register_host)(void *device, uintptr_t address, size_t bytes);
  int (*unregister_host)(void *device, uintptr_t address, size_t bytes);
  int (*copy_rows)(void *device, const roost_device_rows *rows, int direction, void *stream);
  // Calls `function` in the stream's order. It is not called once the device is lost.
  int (*call)(void *device, void (*function)(void *context), void *context, void *stream);
  int (*event_seconds)(void *device, void *start, void *end, double *out_seconds);
} roost_device_table;

// The one function that the library exports. Returns a table that lives as long as the process, or NULL if it has none
// for this version.
const roost_device_table *roost_device_plugin(uint32_t version);

#ifdef __cplusplus
}
#endif
#endif
