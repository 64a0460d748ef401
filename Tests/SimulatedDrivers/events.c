// Events: counters in memory that processes can share.
#include "events.h"
#include "simulation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint64_t event_magic = 0x6576656e742e3131;
static atomic_long live_events;

void sim_event_let_go(struct event *event) {
  if (atomic_fetch_sub(&event->references, 1) > 1) return;
  event->magic = 0;
  munmap(event->state, sizeof *event->state);
  if (event->descriptor >= 0) close(event->descriptor);
  free(event);
}

struct event *sim_event_checked(void *handle) {
  struct event *event = handle;
  return event && event->magic == event_magic ? event : NULL;
}

static int make_event(void **handle, int descriptor) {
  struct event *event = malloc(sizeof *event);
  if (!event) return SIM_OUT_OF_MEMORY;
  *event = (struct event){.magic = event_magic, .descriptor = descriptor, .references = 1};
  int flags = descriptor < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
  event->state = mmap(NULL, sizeof *event->state, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  if (event->state == MAP_FAILED) {
    free(event);
    return SIM_OUT_OF_MEMORY;
  }
  atomic_fetch_add(&live_events, 1);
  *handle = event;
  return SIM_OK;
}

int sim_event_create(void **handle, unsigned flags) {
  enum { DISABLE_TIMING = 2, INTERPROCESS = 4 };
  if (!(flags & INTERPROCESS)) return make_event(handle, -1);
  if (!(flags & DISABLE_TIMING)) return SIM_INVALID_VALUE;
  int descriptor = memfd_create("roost-simulation-event", MFD_CLOEXEC);
  if (descriptor < 0 || ftruncate(descriptor, sizeof(struct event_state))) return SIM_OUT_OF_MEMORY;
  return make_event(handle, descriptor);
}

int sim_event_destroy(void *handle) {
  struct event *event = sim_event_checked(handle);
  if (!event) return SIM_INVALID_HANDLE;
  atomic_fetch_sub(&live_events, 1);
  sim_event_let_go(event);
  return SIM_OK;
}

int sim_event_query(void *handle) {
  struct event *event = sim_event_checked(handle);
  if (!event) return SIM_INVALID_HANDLE;
  return event->state->completed < event->state->recorded ? SIM_NOT_READY : SIM_OK;
}

int sim_event_elapsed(float *milliseconds, void *start, void *end) {
  struct event *from = sim_event_checked(start), *to = sim_event_checked(end);
  if (!from || !to || !from->state->recorded || !to->state->recorded) return SIM_INVALID_HANDLE;
  if (sim_event_query(start) || sim_event_query(end)) return SIM_NOT_READY;
  *milliseconds = (float)((double)(to->state->nanoseconds - from->state->nanoseconds) / 1e6);
  return SIM_OK;
}

int sim_event_export(void *handle, struct sim_handle *shared) {
  struct event *event = sim_event_checked(handle);
  if (!event || event->descriptor < 0) return SIM_INVALID_VALUE;
  memset(shared, 0, sizeof *shared);
  *shared = (struct sim_handle){.magic = event_magic, .pid = getpid(), .descriptor = event->descriptor};
  return SIM_OK;
}

int sim_event_import(void **handle, const struct sim_handle *shared) {
  if (shared->magic != event_magic) return SIM_INVALID_VALUE;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", shared->pid, shared->descriptor);
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  return descriptor < 0 ? SIM_INVALID_VALUE : make_event(handle, descriptor);
}

long sim_events_live(void) { return live_events; }
