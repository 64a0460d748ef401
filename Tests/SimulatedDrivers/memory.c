// Memory. Device memory is a memfd that is mapped twice: at the address that the caller sees it cannot be touched, so that
// the host crashes on it as it would on an accelerator; elsewhere the simulated engines read and write it.
#include "simulation.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, SUBALLOCATION = 512 };
const uint64_t sim_memory_magic = 0x6d656d6f72792031;

struct range {
  uintptr_t address;  // as the caller sees it
  size_t size;
  char *bytes;  // where the engines reach it
  void *guard;  // what is mapped for the caller, and how much
  size_t mapped;
  int descriptor, opens;
  uint64_t nonce;
  enum sim_kind kind;
  struct sim_device *device;
  struct range *next;
};
static struct range *ranges;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t nonces = 1;

static size_t rounded(size_t size) { return (size + PAGE - 1) / PAGE * PAGE; }

static struct range *add(struct range range) {
  struct range *made = malloc(sizeof *made);
  if (!made) abort();
  *made = range;
  pthread_mutex_lock(&lock);
  made->next = ranges;
  ranges = made;
  pthread_mutex_unlock(&lock);
  return made;
}

// Takes the range that begins at an address out of the list; NULL: there is none of this kind.
static struct range *take(uintptr_t address, enum sim_kind kind) {
  struct range *found = NULL;
  pthread_mutex_lock(&lock);
  for (struct range **link = &ranges; *link; link = &(*link)->next) {
    if ((*link)->address != address || (*link)->kind != kind) continue;
    found = *link;
    *link = found->next;
    break;
  }
  pthread_mutex_unlock(&lock);
  return found;
}

static void drop(struct range *range) {
  if (range->bytes && range->guard) munmap(range->bytes, range->mapped);
  if (range->guard) munmap(range->guard, range->mapped + PAGE);
  if (range->descriptor >= 0) close(range->descriptor);
  free(range);
}

// Maps a memfd twice. The caller's address gets a page more, so that running over the end is seen too.
static bool map_twice(struct range *range) {
  range->guard = mmap(NULL, range->mapped + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range->guard == MAP_FAILED) return false;
  range->bytes = mmap(NULL, range->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, range->descriptor, 0);
  if (range->bytes != MAP_FAILED) return true;
  munmap(range->guard, range->mapped + PAGE);
  return false;
}

int sim_allocate(uintptr_t *address, size_t size) {
  struct sim_device *device = sim_current();
  if (size == 0) return SIM_INVALID_VALUE;
  // As drivers do: what is small shares a page with others, so its address is not aligned to one.
  size_t offset = size < (1u << 20) ? SUBALLOCATION : 0;
  pthread_mutex_lock(&lock);
  bool fits = size <= sim_machine.memory && device->used <= sim_machine.memory - size;
  if (fits) device->used += size;
  pthread_mutex_unlock(&lock);
  if (!fits) return SIM_OUT_OF_MEMORY;
  struct range range = {.size = size, .mapped = rounded(size + offset), .kind = SIM_DEVICE, .device = device,
                        .nonce = nonces++};
  char name[64];
  snprintf(name, sizeof name, "roost-simulation-%llu", (unsigned long long)range.nonce);
  range.descriptor = memfd_create(name, MFD_CLOEXEC);
  if (range.descriptor < 0 || ftruncate(range.descriptor, (off_t)range.mapped) || !map_twice(&range)) {
    if (range.descriptor >= 0) close(range.descriptor);
    return SIM_OUT_OF_MEMORY;
  }
  memset(range.bytes, 0xA5, range.mapped);
  range.address = (uintptr_t)range.guard + offset;
  add(range);
  *address = range.address;
  return SIM_OK;
}

int sim_free(uintptr_t address) {
  struct sim_device *device = sim_current();
  int result = sim_device_synchronize(device);
  struct range *range = take(address, SIM_DEVICE);
  if (!range) return SIM_INVALID_VALUE;
  pthread_mutex_lock(&lock);
  range->device->used -= range->size;
  pthread_mutex_unlock(&lock);
  drop(range);
  return result;
}

int sim_allocate_host(void **address, size_t size) {
  if (size == 0 || size > (SIZE_MAX >> 18)) return size ? SIM_OUT_OF_MEMORY : SIM_INVALID_VALUE;
  struct range range = {.size = size, .mapped = rounded(size), .kind = SIM_PINNED, .descriptor = -1};
  void *memory = mmap(NULL, range.mapped + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return SIM_OUT_OF_MEMORY;
  range.guard = memory;
  range.address = (uintptr_t)memory;
  add(range);
  *address = memory;
  return SIM_OK;
}

// Drivers promise nothing about a copy that has not done with the memory; here it is refused.
int sim_free_host(void *address) {
  struct range *range = take((uintptr_t)address, SIM_PINNED);
  if (!range) return SIM_INVALID_VALUE;
  if (sim_is_touched(range->address, range->size)) {
    add(*range);
    free(range);
    return SIM_INVALID_VALUE;
  }
  drop(range);
  return SIM_OK;
}

int sim_register(void *address, size_t size) {
  uintptr_t start = (uintptr_t)address;
  char probe;
  if (!address || !size || start + size < start) return SIM_INVALID_VALUE;
  if (!sim_read_pageable(&probe, start, 1) || !sim_read_pageable(&probe, start + size - 1, 1)) return SIM_INVALID_VALUE;
  bool overlaps = false;
  pthread_mutex_lock(&lock);
  for (struct range *range = ranges; range; range = range->next) {
    if (start < range->address + range->size && range->address < start + size) overlaps = true;
  }
  pthread_mutex_unlock(&lock);
  if (overlaps) return SIM_HOST_ALREADY_REGISTERED;
  add((struct range){.address = start, .size = size, .kind = SIM_REGISTERED, .descriptor = -1});
  return SIM_OK;
}

int sim_unregister(void *address) {
  struct range *range = take((uintptr_t)address, SIM_REGISTERED);
  if (!range) return SIM_HOST_NOT_REGISTERED;
  drop(range);
  return SIM_OK;
}

void *sim_resolve(uintptr_t address, size_t size, enum sim_kind *kind) {
  void *bytes = (void *)address;
  *kind = SIM_PAGEABLE;
  pthread_mutex_lock(&lock);
  for (struct range *range = ranges; range; range = range->next) {
    if (address < range->address || address >= range->address + range->size) continue;
    size_t offset = address - range->address;
    *kind = range->kind;
    if (size > range->size - offset) bytes = NULL;
    else if (range->bytes) bytes = range->bytes + (address - (uintptr_t)range->guard);
    break;
  }
  pthread_mutex_unlock(&lock);
  return bytes;
}

bool sim_kind_fits(uintptr_t target, uintptr_t source, bool is_to_device, bool is_to_host) {
  enum sim_kind target_kind, source_kind;
  sim_resolve(target, 1, &target_kind);
  sim_resolve(source, 1, &source_kind);
  bool to = target_kind == SIM_DEVICE || target_kind == SIM_IMPORTED;
  bool from = source_kind == SIM_DEVICE || source_kind == SIM_IMPORTED;
  return to == !is_to_host && from == !is_to_device;
}

bool sim_read_pageable(void *target, uintptr_t source, size_t size) {
  struct iovec local = {target, size}, remote = {(void *)source, size};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

bool sim_write_pageable(uintptr_t target, const void *source, size_t size) {
  struct iovec local = {(void *)source, size}, remote = {(void *)target, size};
  return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

int sim_export(uintptr_t address, struct sim_handle *handle) {
  int result = SIM_INVALID_VALUE;
  memset(handle, 0, sizeof *handle);
  pthread_mutex_lock(&lock);
  for (struct range *range = ranges; range; range = range->next) {
    // Memory made for export by descriptor has no handle of this kind.
    if (range->kind != SIM_DEVICE || range->address != address || !range->nonce) continue;
    *handle = (struct sim_handle){.magic = sim_memory_magic, .nonce = range->nonce, .size = range->size, .pid = getpid(),
                                  .descriptor = range->descriptor, .device = range->device->number};
    handle->rest[0] = (int32_t)(address - (uintptr_t)range->guard);
    result = SIM_OK;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

int sim_import(const struct sim_handle *handle, uintptr_t *address) {
  if (handle->magic != sim_memory_magic) return SIM_INVALID_VALUE;
  if (handle->pid == getpid()) return SIM_INVALID_CONTEXT;
  pthread_mutex_lock(&lock);
  for (struct range *range = ranges; range; range = range->next) {
    if (range->kind != SIM_IMPORTED || range->nonce != handle->nonce) continue;
    range->opens++;
    *address = range->address;
    pthread_mutex_unlock(&lock);
    return SIM_OK;
  }
  pthread_mutex_unlock(&lock);
  char path[64], name[128] = "", expected[64];
  snprintf(path, sizeof path, "/proc/%d/fd/%d", handle->pid, handle->descriptor);
  snprintf(expected, sizeof expected, "/memfd:roost-simulation-%llu ", (unsigned long long)handle->nonce);
  if (readlink(path, name, sizeof name - 1) < 0 || strncmp(name, expected, strlen(expected))) return SIM_INVALID_VALUE;
  size_t offset = (size_t)handle->rest[0];
  struct range range = {.size = handle->size, .mapped = rounded(handle->size + offset), .kind = SIM_IMPORTED,
                        .device = sim_current(), .nonce = handle->nonce, .opens = 1};
  range.descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (range.descriptor < 0 || !map_twice(&range)) return SIM_INVALID_VALUE;
  range.address = (uintptr_t)range.guard + offset;
  add(range);
  *address = range.address;
  return SIM_OK;
}

int sim_close_import(uintptr_t address) {
  struct range *range = take(address, SIM_IMPORTED);
  if (!range) return SIM_INVALID_VALUE;
  if (--range->opens > 0) {
    add(*range);
    free(range);
  } else {
    drop(range);
  }
  return SIM_OK;
}

int sim_close_key(const struct sim_handle *handle) {
  if (handle->pid == getpid()) return SIM_OK;
  uintptr_t address = 0;
  pthread_mutex_lock(&lock);
  for (struct range *range = ranges; range; range = range->next) {
    if (range->kind == SIM_IMPORTED && range->nonce == handle->nonce) address = range->address;
  }
  pthread_mutex_unlock(&lock);
  return sim_close_import(address);
}

int sim_physical_create(size_t size, int *descriptor) {
  if (size == 0 || size % (2u << 20)) return SIM_INVALID_VALUE;
  if (size + sim_current()->used > sim_machine.memory) return SIM_OUT_OF_MEMORY;
  *descriptor = memfd_create("roost-simulation-physical", MFD_CLOEXEC);
  return *descriptor < 0 || ftruncate(*descriptor, (off_t)size) ? SIM_OUT_OF_MEMORY : SIM_OK;
}

int sim_reserve(uintptr_t *address, size_t size) {
  void *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  *address = (uintptr_t)memory;
  return memory == MAP_FAILED ? SIM_OUT_OF_MEMORY : SIM_OK;
}

int sim_unreserve(uintptr_t address, size_t size) {
  return munmap((void *)address, size) ? SIM_INVALID_VALUE : SIM_OK;
}

int sim_map(uintptr_t address, size_t size, int descriptor) {
  char *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (bytes == MAP_FAILED) return SIM_INVALID_VALUE;
  // Resolved through `guard`, which is the reservation; that is not this range's to unmap.
  struct range *range = add((struct range){.address = address, .size = size, .bytes = bytes, .mapped = size,
                                           .guard = (void *)address, .descriptor = -1, .kind = SIM_DEVICE,
                                           .device = sim_current()});
  pthread_mutex_lock(&lock);
  range->device->used += size;
  pthread_mutex_unlock(&lock);
  return SIM_OK;
}

int sim_unmap(uintptr_t address) {
  int result = sim_device_synchronize(sim_current());
  struct range *range = take(address, SIM_DEVICE);
  if (!range) return SIM_INVALID_VALUE;
  pthread_mutex_lock(&lock);
  range->device->used -= range->size;
  pthread_mutex_unlock(&lock);
  munmap(range->bytes, range->mapped);
  free(range);
  return result;
}

void sim_memory_live(long counts[7]) {
  pthread_mutex_lock(&lock);
  for (struct range *range = ranges; range; range = range->next) {
    counts[range->kind == SIM_PINNED ? 1 : range->kind == SIM_REGISTERED ? 2 : 0]++;
  }
  pthread_mutex_unlock(&lock);
}
