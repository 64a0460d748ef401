// The front of NVIDIA's NCCL: members meet in shared memory that the identifier names, on their streams' threads.
#include "simulation.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef struct { char bytes[128]; } unique_id;
enum { OK = 0, CUDA_ERROR = 1, SYSTEM_ERROR = 2, INVALID = 4, RANKS_MAX = 4, ROOM = 1 << 20, BYTE = 1, FLOAT = 7 };

struct meeting {
  atomic_int joined;
  atomic_ulong arrived[RANKS_MAX], taken[RANKS_MAX];
  char bytes[RANKS_MAX][ROOM];
};
struct group {
  struct meeting *meeting;
  int rank, count;
  unsigned long step;
  struct sim_device *device;
  unique_id id;
};
struct work {
  struct group *group;
  uintptr_t source, target;
  size_t bytes;
  bool adds;
};

static int named(int result) { return result >= SIM_NO_DEVICE && result < 100000 ? CUDA_ERROR : result; }
#define ENTER(need)                                      \
  do {                                                   \
    int entered = named(sim_enter(__func__, SIM_##need)); \
    if (entered) return entered;                         \
  } while (0)
#define API __attribute__((visibility("default"))) int
#define API_TEXT __attribute__((visibility("default"))) const char *

static void doze(void) { nanosleep(&(struct timespec){0, 50000}, NULL); }

API ncclGetVersion(int *version) {
  ENTER(ANYTIME);
  *version = 23203;
  return OK;
}
API_TEXT ncclGetErrorString(int result) { return result == INVALID ? "invalid argument" : "simulated failure"; }
API ncclGetUniqueId(unique_id *id) {
  static atomic_int number;
  ENTER(ANYTIME);
  memset(id, 0, sizeof *id);
  snprintf(id->bytes, sizeof id->bytes, "/roost-simulated-nccl-%d-%d-%p", getpid(), atomic_fetch_add(&number, 1),
           (void *)&number);
  for (char *letter = id->bytes + 1; *letter; letter++) if (*letter == '/') *letter = '-';
  return OK;
}
API ncclCommInitRank(void **handle, int count, unique_id id, int rank) {
  ENTER(CONTEXT);
  if (count < 1 || count > RANKS_MAX || rank < 0 || rank >= count || id.bytes[0] != '/') return INVALID;
  int descriptor = shm_open(id.bytes, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0 || ftruncate(descriptor, sizeof(struct meeting))) return SYSTEM_ERROR;
  struct meeting *meeting = mmap(NULL, sizeof *meeting, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (meeting == MAP_FAILED) return SYSTEM_ERROR;
  atomic_fetch_add(&meeting->joined, 1);
  // All must have come, as with the real one.
  while (meeting->joined < count) doze();
  shm_unlink(id.bytes);
  struct group *group = calloc(1, sizeof *group);
  *group = (struct group){.meeting = meeting, .rank = rank, .count = count, .device = sim_current(), .id = id};
  *handle = group;
  return OK;
}
API ncclCommDestroy(void *handle) {
  ENTER(CONTEXT);
  struct group *group = handle;
  munmap(group->meeting, sizeof *group->meeting);
  free(group);
  return OK;
}

static void part(struct work *work, size_t offset, size_t bytes) {
  struct group *group = work->group;
  struct meeting *meeting = group->meeting;
  unsigned long step = ++group->step;
  enum sim_kind kind;
  for (int rank = 0; rank < group->count; rank++) while (meeting->taken[rank] + 1 < step) doze();
  memcpy(meeting->bytes[group->rank], sim_resolve(work->source + offset, bytes, &kind), bytes);
  meeting->arrived[group->rank] = step;
  for (int rank = 0; rank < group->count; rank++) while (meeting->arrived[rank] < step) doze();
  if (work->adds) {
    float *target = sim_resolve(work->target + offset, bytes, &kind);
    for (size_t index = 0; index < bytes / sizeof(float); index++) {
      float sum = 0;
      for (int rank = 0; rank < group->count; rank++) sum += ((float *)meeting->bytes[rank])[index];
      target[index] = sum;
    }
  } else {
    for (int rank = 0; rank < group->count; rank++) {
      uintptr_t place = work->target + (size_t)rank * work->bytes + offset;
      memcpy(sim_resolve(place, bytes, &kind), meeting->bytes[rank], bytes);
    }
  }
  meeting->taken[group->rank] = step;
}
static void work_off(void *handle) {
  struct work work = *(struct work *)handle;
  free(handle);
  for (size_t offset = 0; offset < work.bytes; offset += ROOM) {
    part(&work, offset, work.bytes - offset < ROOM ? work.bytes - offset : ROOM);
  }
}
static int submit(struct work work, size_t target_bytes, void *stream) {
  enum sim_kind source, target;
  if (work.group->device != sim_current()) return INVALID;
  if (!sim_resolve(work.source, work.bytes, &source) || !sim_resolve(work.target, target_bytes, &target)) return INVALID;
  // Only device memory.
  if (source != SIM_DEVICE || target != SIM_DEVICE) return INVALID;
  struct work *made = malloc(sizeof *made);
  *made = work;
  int result = sim_call(work_off, made, stream);
  if (result) free(made);
  return named(result);
}
API ncclAllReduce(const void *source, void *target, size_t count, int type, int operation, void *group, void *stream) {
  ENTER(CONTEXT);
  if (type != FLOAT || operation != 0) return INVALID;
  struct work work = {group, (uintptr_t)source, (uintptr_t)target, count * sizeof(float), true};
  return submit(work, work.bytes, stream);
}
API ncclAllGather(const void *source, void *target, size_t count, int type, void *group, void *stream) {
  ENTER(CONTEXT);
  if (type != BYTE) return INVALID;
  struct work work = {group, (uintptr_t)source, (uintptr_t)target, count, false};
  return submit(work, count * (size_t)((struct group *)group)->count, stream);
}
