// Streams: a thread each, which does one operation after another.
#include "events.h"
#include "simulation.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const uint64_t stream_magic = 0x73747265616d2e31;
static atomic_long live_streams, operations_done;
enum { STREAMS_MAX = 4096 };

enum kind { COPIES, ROWS, FILL, RECORD, WAIT, CALL, LAUNCH };
struct operation {
  enum kind kind;
  struct operation *next;
  struct sim_piece *pieces;
  size_t count, target_pitch, source_pitch;
  struct event *event;
  uint64_t number;
  void (*function)(void *);
  void *context;
  unsigned char value;
  struct sim_launch launch;
};
struct stream {
  uint64_t magic, submitted, completed;
  struct sim_device *device;
  struct operation *first, **last, *running;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool held, closing;
  unsigned seed;
};
static struct stream *streams[STREAMS_MAX];
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

static void pause_for(uint64_t nanoseconds) {
  struct timespec time = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
  nanosleep(&time, NULL);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static struct stream *checked(void *handle) {
  struct stream *stream = handle;
  return stream && stream->magic == stream_magic ? stream : NULL;
}

// One piece, with both ends looked up when its turn comes: what was freed meanwhile is an illegal address.
static int move(const struct sim_piece *piece) {
  enum sim_kind target_kind, source_kind;
  void *target = sim_resolve(piece->target, piece->size, &target_kind);
  void *source = sim_resolve(piece->source, piece->size, &source_kind);
  if (!target || !source) return SIM_ILLEGAL_ADDRESS;
  if (piece->early) {
    source = piece->early;
  } else if (source_kind == SIM_PAGEABLE) {
    return SIM_ILLEGAL_ADDRESS;
  }
  if (target_kind == SIM_PAGEABLE) {
    return sim_write_pageable(piece->target, source, piece->size) ? SIM_OK : SIM_ILLEGAL_ADDRESS;
  }
  memmove(target, source, piece->size);
  return SIM_OK;
}

static int copy_all(struct stream *stream, struct operation *operation) {
  if (sim_machine.late && rand_r(&stream->seed) % 16 == 0) {
    pause_for((uint64_t)(rand_r(&stream->seed) % sim_machine.late) * 1000);
  }
  size_t bytes = 0;
  for (size_t index = 0; index < operation->count; index++) {
    int result = move(&operation->pieces[index]);
    if (result) return result;
    bytes += operation->pieces[index].size;
  }
  if (sim_machine.delay) pause_for(bytes / 1024 * sim_machine.delay);
  return SIM_OK;
}

static int copy_rows(struct operation *operation) {
  for (size_t row = 0; row < operation->count; row++) {
    struct sim_piece piece = operation->pieces[0];
    piece.target += row * operation->target_pitch;
    piece.source += row * operation->source_pitch;
    if (piece.early) piece.early = (char *)piece.early + row * operation->source_pitch;
    int result = move(&piece);
    if (result) return result;
  }
  return SIM_OK;
}

static int fill(struct operation *operation) {
  enum sim_kind kind;
  void *target = sim_resolve(operation->pieces[0].target, operation->pieces[0].size, &kind);
  if (!target || kind == SIM_PAGEABLE) return SIM_ILLEGAL_ADDRESS;
  memset(target, operation->value, operation->pieces[0].size);
  return SIM_OK;
}

static void wait_until_completed(struct stream *stream, struct operation *operation) {
  while (operation->event->state->completed < operation->number && !stream->device->sticky) pause_for(20000);
}

static void complete(struct operation *operation) {
  struct event_state *state = operation->event->state;
  state->nanoseconds = now();
  uint64_t seen = state->completed;
  while (seen < operation->number && !atomic_compare_exchange_weak(&state->completed, &seen, operation->number)) {}
}

static void execute(struct stream *stream, struct operation *operation) {
  int result = SIM_OK;
  if (!stream->device->sticky) {
    switch (operation->kind) {
      case COPIES: result = copy_all(stream, operation); break;
      case ROWS: result = copy_rows(operation); break;
      case FILL: result = fill(operation); break;
      case RECORD: complete(operation); break;
      case WAIT: wait_until_completed(stream, operation); break;
      case LAUNCH: result = sim_run_kernel(&operation->launch); break;
      case CALL:
        sim_in_callback = true;
        operation->function(operation->context);
        sim_in_callback = false;
        break;
    }
    long done = atomic_fetch_add(&operations_done, 1) + 1;
    if (sim_machine.lost_after >= 0 && done > sim_machine.lost_after) result = sim_machine.lost_result;
  }
  if (result) sim_fail_for_good(stream->device, result);
}

static void dispose(struct operation *operation) {
  if (operation->event) sim_event_let_go(operation->event);
  for (size_t index = 0; operation->pieces && index < (operation->kind == COPIES ? operation->count : 1); index++) {
    free(operation->pieces[index].early);
  }
  free(operation->pieces);
  free(operation);
}

static void *run(void *handle) {
  struct stream *stream = handle;
  pthread_mutex_lock(&stream->lock);
  while (true) {
    while ((!stream->first && !stream->closing) || (stream->held && !stream->closing)) {
      pthread_cond_wait(&stream->changed, &stream->lock);
    }
    struct operation *operation = stream->first;
    if (!operation) break;
    stream->first = operation->next;
    if (!stream->first) stream->last = &stream->first;
    stream->running = operation;
    pthread_mutex_unlock(&stream->lock);
    execute(stream, operation);
    pthread_mutex_lock(&stream->lock);
    stream->running = NULL;
    dispose(operation);
    stream->completed++;
    pthread_cond_broadcast(&stream->changed);
  }
  pthread_mutex_unlock(&stream->lock);
  pthread_mutex_lock(&streams_lock);
  for (int index = 0; index < STREAMS_MAX; index++) {
    if (streams[index] == stream) streams[index] = NULL;
  }
  stream->magic = 0;
  pthread_mutex_unlock(&streams_lock);
  pthread_mutex_destroy(&stream->lock);
  pthread_cond_destroy(&stream->changed);
  free(stream);
  return NULL;
}

static bool touches(const struct operation *operation, uintptr_t address, size_t size) {
  for (size_t index = 0; operation->pieces && index < (operation->kind == COPIES ? operation->count : 1); index++) {
    const struct sim_piece *piece = &operation->pieces[index];
    size_t rows = operation->kind == ROWS ? operation->count - 1 : 0;
    size_t target = rows * operation->target_pitch + piece->size, source = rows * operation->source_pitch + piece->size;
    if (piece->target < address + size && address < piece->target + target) return true;
    if (operation->kind != FILL && !piece->early && piece->source < address + size && address < piece->source + source) {
      return true;
    }
  }
  return false;
}

bool sim_is_touched(uintptr_t address, size_t size) {
  bool found = false;
  pthread_mutex_lock(&streams_lock);
  for (int index = 0; index < STREAMS_MAX && !found; index++) {
    struct stream *stream = streams[index];
    if (!stream || stream->device->sticky) continue;
    pthread_mutex_lock(&stream->lock);
    found = stream->running && touches(stream->running, address, size);
    for (struct operation *next = stream->first; next && !found; next = next->next) found = touches(next, address, size);
    pthread_mutex_unlock(&stream->lock);
  }
  pthread_mutex_unlock(&streams_lock);
  return found;
}

int sim_stream_create(void **handle, int priority) {
  (void)priority;
  struct stream *stream = calloc(1, sizeof *stream);
  if (!stream) return SIM_OUT_OF_MEMORY;
  *stream = (struct stream){.magic = stream_magic, .device = sim_current(), .seed = (unsigned)now()};
  stream->last = &stream->first;
  pthread_mutex_init(&stream->lock, NULL);
  pthread_cond_init(&stream->changed, NULL);
  int place = 0;
  pthread_mutex_lock(&streams_lock);
  while (place < STREAMS_MAX && streams[place]) place++;
  if (place < STREAMS_MAX) streams[place] = stream;
  pthread_mutex_unlock(&streams_lock);
  pthread_t thread;
  if (place == STREAMS_MAX || pthread_create(&thread, NULL, run, stream)) return SIM_OUT_OF_MEMORY;
  pthread_detach(thread);
  atomic_fetch_add(&live_streams, 1);
  *handle = stream;
  return SIM_OK;
}

// What is queued is finished first, by the stream's own thread.
int sim_stream_destroy(void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return SIM_INVALID_HANDLE;
  atomic_fetch_sub(&live_streams, 1);
  pthread_mutex_lock(&stream->lock);
  stream->closing = true;
  pthread_cond_broadcast(&stream->changed);
  pthread_mutex_unlock(&stream->lock);
  return SIM_OK;
}

struct sim_device *sim_stream_device(void *handle) {
  struct stream *stream = checked(handle);
  return stream ? stream->device : NULL;
}

static int submit(struct stream *stream, struct operation operation, bool waits) {
  struct operation *made = malloc(sizeof *made);
  if (!made) return SIM_OUT_OF_MEMORY;
  *made = operation;
  made->next = NULL;
  pthread_mutex_lock(&stream->lock);
  *stream->last = made;
  stream->last = &made->next;
  uint64_t mine = ++stream->submitted;
  pthread_cond_broadcast(&stream->changed);
  while (waits && stream->completed < mine) pthread_cond_wait(&stream->changed, &stream->lock);
  pthread_mutex_unlock(&stream->lock);
  return SIM_OK;
}

int sim_stream_query(void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return SIM_INVALID_HANDLE;
  if (sim_machine.inert) return SIM_OK;
  pthread_mutex_lock(&stream->lock);
  bool idle = stream->completed == stream->submitted;
  pthread_mutex_unlock(&stream->lock);
  if (stream->device->sticky) return stream->device->sticky;
  return idle ? SIM_OK : SIM_NOT_READY;
}

int sim_stream_synchronize(void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return SIM_INVALID_HANDLE;
  pthread_mutex_lock(&stream->lock);
  uint64_t wanted = stream->submitted;
  while (stream->completed < wanted) pthread_cond_wait(&stream->changed, &stream->lock);
  pthread_mutex_unlock(&stream->lock);
  return stream->device->sticky;
}

int sim_device_synchronize(struct sim_device *device) {
  // Waits by looking, because a stream may go meanwhile.
  for (int index = 0; index < STREAMS_MAX; index++) {
    for (bool busy = true; busy;) {
      pthread_mutex_lock(&streams_lock);
      struct stream *stream = streams[index];
      busy = false;
      if (stream && stream->device == device) {
        pthread_mutex_lock(&stream->lock);
        busy = stream->completed != stream->submitted;
        pthread_mutex_unlock(&stream->lock);
      }
      pthread_mutex_unlock(&streams_lock);
      if (busy) pause_for(20000);
    }
  }
  return device->sticky;
}

// The bytes of a source as they are now: pageable memory is read at the call, as drivers do.
static int read_early(struct sim_piece *piece, size_t size, bool any_order, bool *waits) {
  enum sim_kind source_kind, target_kind;
  void *bytes = sim_resolve(piece->source, size, &source_kind);
  sim_resolve(piece->target, piece->size, &target_kind);
  if (target_kind == SIM_PAGEABLE) *waits = true;
  if (!bytes || (source_kind != SIM_PAGEABLE && !any_order)) return SIM_OK;
  piece->early = malloc(size);
  if (!piece->early) return SIM_OUT_OF_MEMORY;
  if (source_kind != SIM_PAGEABLE) {
    memcpy(piece->early, bytes, size);
    return SIM_OK;
  }
  return sim_read_pageable(piece->early, piece->source, size) ? SIM_OK : SIM_INVALID_VALUE;
}

int sim_copy(uintptr_t target, uintptr_t source, size_t size, void *handle) {
  if (sim_machine.inert) return SIM_OK;
  return sim_copy_batch(&target, &source, &size, 1, false, handle);
}

int sim_copy_batch(const uintptr_t *targets, const uintptr_t *sources, const size_t *sizes, size_t count,
                   bool any_order, void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return SIM_INVALID_HANDLE;
  if (sim_machine.inert) return SIM_OK;
  struct sim_piece *pieces = calloc(count ? count : 1, sizeof *pieces);
  if (!pieces) return SIM_OUT_OF_MEMORY;
  bool waits = false;
  int result = SIM_OK;
  for (size_t index = 0; index < count && !result; index++) {
    pieces[index] = (struct sim_piece){targets[index], sources[index], sizes[index], NULL};
    if (!targets[index] || !sources[index] || !sizes[index]) result = SIM_INVALID_VALUE;
    else result = read_early(&pieces[index], sizes[index], any_order, &waits);
  }
  if (result) {
    for (size_t index = 0; index < count; index++) free(pieces[index].early);
    free(pieces);
    return result;
  }
  for (size_t index = 1; index < count; index++) {
    size_t other = (size_t)rand_r(&stream->seed) % (index + 1);
    struct sim_piece kept = pieces[index];
    pieces[index] = pieces[other];
    pieces[other] = kept;
  }
  return submit(stream, (struct operation){.kind = COPIES, .pieces = pieces, .count = count}, waits);
}

int sim_copy_rows(const struct sim_piece *first, size_t rows, size_t target_pitch, size_t source_pitch, void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return SIM_INVALID_HANDLE;
  if (target_pitch < first->size || source_pitch < first->size || !rows) return SIM_INVALID_VALUE;
  struct sim_piece *piece = malloc(sizeof *piece);
  if (!piece) return SIM_OUT_OF_MEMORY;
  *piece = *first;
  piece->early = NULL;
  bool waits = false;
  int result = read_early(piece, (rows - 1) * source_pitch + first->size, false, &waits);
  if (result) {
    free(piece->early);
    free(piece);
    return result;
  }
  struct operation operation = {.kind = ROWS, .pieces = piece, .count = rows, .target_pitch = target_pitch,
                                .source_pitch = source_pitch};
  return submit(stream, operation, waits);
}

int sim_fill(uintptr_t target, unsigned char value, size_t size, void *handle) {
  struct stream *stream = checked(handle);
  struct sim_piece *piece = calloc(1, sizeof *piece);
  if (!stream || !piece) return SIM_INVALID_HANDLE;
  *piece = (struct sim_piece){.target = target, .size = size};
  return submit(stream, (struct operation){.kind = FILL, .pieces = piece, .count = 1, .value = value}, false);
}

int sim_call(void (*function)(void *), void *context, void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return SIM_INVALID_HANDLE;
  return submit(stream, (struct operation){.kind = CALL, .function = function, .context = context}, false);
}

int sim_enqueue_launch(const struct sim_launch *launch, void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return SIM_INVALID_HANDLE;
  return submit(stream, (struct operation){.kind = LAUNCH, .launch = *launch}, false);
}

void sim_hold(void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return;
  pthread_mutex_lock(&stream->lock);
  stream->held = true;
  pthread_mutex_unlock(&stream->lock);
}

void sim_release(void *handle) {
  struct stream *stream = checked(handle);
  if (!stream) return;
  pthread_mutex_lock(&stream->lock);
  stream->held = false;
  pthread_cond_broadcast(&stream->changed);
  pthread_mutex_unlock(&stream->lock);
}

int sim_event_record(void *handle, void *stream_handle) {
  struct event *event = sim_event_checked(handle);
  struct stream *stream = checked(stream_handle);
  if (!event || !stream) return SIM_INVALID_HANDLE;
  if (sim_machine.inert) return SIM_OK;
  atomic_fetch_add(&event->references, 1);
  uint64_t number = atomic_fetch_add(&event->state->recorded, 1) + 1;
  return submit(stream, (struct operation){.kind = RECORD, .event = event, .number = number}, false);
}

int sim_wait_event(void *stream_handle, void *handle) {
  struct event *event = sim_event_checked(handle);
  struct stream *stream = checked(stream_handle);
  if (!event || !stream) return SIM_INVALID_HANDLE;
  if (sim_machine.inert) return SIM_OK;
  uint64_t number = event->state->recorded;
  if (number == 0) return SIM_OK;
  atomic_fetch_add(&event->references, 1);
  return submit(stream, (struct operation){.kind = WAIT, .event = event, .number = number}, false);
}

void sim_stream_live(long counts[7]) {
  counts[3] = live_streams;
  counts[4] = sim_events_live();
}
