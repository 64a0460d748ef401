// A device on host memory: the smallest whole plug-in. Its copies are done before the call returns, so a stream is always
// idle and an event always complete; a real device would hand them to its driver and answer from that.
//
//   cc -shared -fPIC -I../../Sources/Shims/CRoostVendors/include -o libexample.so host_device.c
//   ROOST_DEVICE_PLUGINS=$PWD/libexample.so roost devices
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "roost_device.h"

enum { PAGE = 4096 };
static const size_t memory_bytes = 64u << 20;

struct device {
  atomic_size_t used;
};
struct event {
  double seconds;
};
// What an allocation begins with, one page before the address that is handed out.
struct head {
  size_t bytes;
};

static _Thread_local const char *error = "nothing failed";

static int fail(int status, const char *what) {
  error = what;
  return status;
}

static const char *last_error(void) { return error; }

static int count(int *out_count) {
  *out_count = 1;
  return ROOST_DEVICE_OK;
}

static int open_device(int index, void **out_device) {
  if (index != 0) return fail(ROOST_DEVICE_NOT_FOUND, "there is one device, number 0");
  *out_device = calloc(1, sizeof(struct device));
  return *out_device ? ROOST_DEVICE_OK : fail(ROOST_DEVICE_OUT_OF_MEMORY, "no memory for a device");
}

static int close_device(void *device) {
  free(device);
  return ROOST_DEVICE_OK;
}

static int describe(void *device, roost_device_description *out) {
  (void)device;
  memset(out, 0, sizeof *out);
  snprintf(out->name, sizeof out->name, "example on host memory");
  snprintf(out->driver, sizeof out->driver, "1.0");
  out->memory_bytes = memory_bytes;
  out->numa_node = -1;
  out->is_host_addressable = 1;
  return ROOST_DEVICE_OK;
}

static int free_bytes(void *device, uint64_t *out_bytes) {
  *out_bytes = memory_bytes - ((struct device *)device)->used;
  return ROOST_DEVICE_OK;
}

static int take(size_t bytes, uintptr_t *out_address) {
  size_t padded = (bytes + 2 * PAGE - 1) / PAGE * PAGE;
  char *memory = bytes > SIZE_MAX - 2 * PAGE ? NULL : aligned_alloc(PAGE, padded);
  if (!memory) return fail(ROOST_DEVICE_OUT_OF_MEMORY, "the host has no such memory");
  ((struct head *)memory)->bytes = bytes;
  *out_address = (uintptr_t)memory + PAGE;
  return ROOST_DEVICE_OK;
}

static int allocate(void *handle, size_t bytes, uintptr_t *out_address) {
  struct device *device = handle;
  if (atomic_fetch_add(&device->used, bytes) + bytes > memory_bytes) {
    atomic_fetch_sub(&device->used, bytes);
    return fail(ROOST_DEVICE_OUT_OF_MEMORY, "the device's memory is used up");
  }
  int status = take(bytes, out_address);
  if (status) atomic_fetch_sub(&device->used, bytes);
  return status;
}

static int release(void *device, uintptr_t address) {
  struct head *head = (struct head *)(address - PAGE);
  atomic_fetch_sub(&((struct device *)device)->used, head->bytes);
  free(head);
  return ROOST_DEVICE_OK;
}

static int allocate_host(void *device, size_t bytes, uintptr_t *out_address) {
  (void)device;
  return take(bytes, out_address);
}

static int release_host(void *device, uintptr_t address) {
  (void)device;
  free((void *)(address - PAGE));
  return ROOST_DEVICE_OK;
}

// A stream has nothing to remember but that calls from several threads come one after another.
static int stream_create(void *device, int is_high_priority, void **out_stream) {
  (void)device, (void)is_high_priority;
  pthread_mutex_t *stream = malloc(sizeof *stream);
  if (!stream) return fail(ROOST_DEVICE_OUT_OF_MEMORY, "no memory for a stream");
  pthread_mutex_init(stream, NULL);
  *out_stream = stream;
  return ROOST_DEVICE_OK;
}

static int stream_destroy(void *device, void *stream) {
  (void)device;
  pthread_mutex_destroy(stream);
  free(stream);
  return ROOST_DEVICE_OK;
}

static int stream_is_idle(void *device, void *stream, int *out_is_idle) {
  (void)device, (void)stream;
  *out_is_idle = 1;
  return ROOST_DEVICE_OK;
}

static int copy(void *device, const roost_device_piece *pieces, size_t count, int direction, void *stream) {
  (void)device, (void)direction;
  pthread_mutex_lock(stream);
  for (size_t index = 0; index < count; index++) {
    if (pieces[index].bytes) memmove((void *)pieces[index].target, (void *)pieces[index].source, pieces[index].bytes);
  }
  pthread_mutex_unlock(stream);
  return ROOST_DEVICE_OK;
}

static int copy_rows(void *device, const roost_device_rows *rows, int direction, void *stream) {
  (void)device, (void)direction;
  pthread_mutex_lock(stream);
  for (size_t row = 0; row < rows->row_count; row++) {
    memmove((char *)rows->target + row * rows->target_pitch, (char *)rows->source + row * rows->source_pitch,
            rows->row_bytes);
  }
  pthread_mutex_unlock(stream);
  return ROOST_DEVICE_OK;
}

static int call(void *device, void (*function)(void *), void *context, void *stream) {
  (void)device, (void)stream;
  function(context);
  return ROOST_DEVICE_OK;
}

static int event_create(void *device, void **out_event) {
  (void)device;
  *out_event = calloc(1, sizeof(struct event));
  return *out_event ? ROOST_DEVICE_OK : fail(ROOST_DEVICE_OUT_OF_MEMORY, "no memory for an event");
}

static int event_destroy(void *device, void *event) {
  (void)device;
  free(event);
  return ROOST_DEVICE_OK;
}

static int event_record(void *device, void *event, void *stream) {
  (void)device, (void)stream;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  ((struct event *)event)->seconds = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
  return ROOST_DEVICE_OK;
}

static int event_wait(void *device, void *event, void *stream) {
  (void)device, (void)event, (void)stream;
  return ROOST_DEVICE_OK;
}

static int event_is_complete(void *device, void *event, int *out_is_complete) {
  (void)device, (void)event;
  *out_is_complete = 1;
  return ROOST_DEVICE_OK;
}

static int event_seconds(void *device, void *start, void *end, double *out_seconds) {
  (void)device;
  *out_seconds = ((struct event *)end)->seconds - ((struct event *)start)->seconds;
  return ROOST_DEVICE_OK;
}

// The host's memory needs no preparation: nothing to do, and so the capability is there.
static int register_host(void *device, uintptr_t address, size_t bytes) {
  (void)device, (void)address, (void)bytes;
  return ROOST_DEVICE_OK;
}

static const roost_device_table table = {
    .version = ROOST_DEVICE_VERSION, .size = sizeof(roost_device_table), .scheme = "example", .vendor = "Roost's example",
    .last_error = last_error, .count = count, .open = open_device, .close = close_device, .describe = describe,
    .free_bytes = free_bytes, .allocate = allocate, .release = release, .allocate_host = allocate_host,
    .release_host = release_host, .stream_create = stream_create, .stream_destroy = stream_destroy,
    .stream_is_idle = stream_is_idle, .copy = copy, .event_create = event_create, .event_destroy = event_destroy,
    .event_record = event_record, .event_wait = event_wait, .event_is_complete = event_is_complete,
    .register_host = register_host, .unregister_host = register_host, .copy_rows = copy_rows, .call = call,
    .event_seconds = event_seconds,
};

__attribute__((visibility("default"))) const roost_device_table *roost_device_plugin(uint32_t version) {
  return version == ROOST_DEVICE_VERSION ? &table : NULL;
}
