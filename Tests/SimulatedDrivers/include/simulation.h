// Simulated accelerators on host memory: what the fronts (cuda.c, ...) share. Stricter than hardware, so that mistakes
// which a real driver forgives, or punishes only sometimes, are found here: device memory cannot be touched by the host,
// pinned sources are read late, errors come late and stay.
//
// Results are CUDA's numbers; other fronts translate them.
#ifndef ROOST_SIMULATION_H
#define ROOST_SIMULATION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_result {
  SIM_OK = 0,
  SIM_INVALID_VALUE = 1,
  SIM_OUT_OF_MEMORY = 2,
  SIM_NOT_INITIALIZED = 3,
  SIM_NO_DEVICE = 100,
  SIM_INVALID_DEVICE = 101,
  SIM_INVALID_CONTEXT = 201,
  SIM_NO_BINARY = 209,
  SIM_INVALID_PTX = 218,
  SIM_UNSUPPORTED_PTX = 222,
  SIM_INVALID_HANDLE = 400,
  SIM_NOT_FOUND = 500,
  SIM_NOT_READY = 600,
  SIM_ILLEGAL_ADDRESS = 700,
  SIM_PEER_ALREADY_ENABLED = 704,
  SIM_HOST_ALREADY_REGISTERED = 712,
  SIM_HOST_NOT_REGISTERED = 713,
  SIM_MISALIGNED = 716,
  SIM_NOT_PERMITTED = 800,
  SIM_NOT_SUPPORTED = 801,
};

enum { SIM_DEVICES_MAX = 4, SIM_HANDLE_BYTES = 64 };

// What the simulated machine is. Set by ROOST_SIMULATION or sim_control: "devices=2;memory=67108864;version=13000;
// capability=90;init=100;fail=cuMemAlloc_v2:1:2;lost=100:719;delay=NANOSECONDS-PER-KIB;late=MICROSECONDS;inert=1;hang=cuFileDriverOpen".
struct sim_machine {
  int devices, version, capability, init_result;
  size_t memory;
  long lost_after;
  int lost_result;
  unsigned delay, late;
  bool inert;
  char hang[64];  // a symbol whose calls do not return until this is another one
};
extern struct sim_machine sim_machine;

// Changes the machine; 0, or the position after the first thing that is not understood. "reset=1" forgets all faults.
int sim_control(const char *text);
// How often a symbol was called since a fault was set for it; -1: none was.
long sim_seen(const char *symbol);
// Keeps a stream from its next operation until sim_release.
void sim_hold(void *stream);
void sim_release(void *stream);
// Things that were made and not given back: device memory, pinned memory, registrations, streams, events, modules,
// contexts; in this order. A test that leaves any has leaked.
void sim_count_live(long counts[7]);

// Every entry point begins with this: counts the call and answers an injected fault, a call before initialisation, out
// of a callback, without a context, or after an error that stays. 0: go on.
enum sim_need { SIM_ANYTIME = 0, SIM_INITIALIZED = 1, SIM_CONTEXT = 3 };
int sim_enter(const char *symbol, enum sim_need need);
int sim_initialize(void);

// Devices and contexts. A context is its device's; each thread has a stack of them.
struct sim_device {
  int number, retained;
  size_t used;
  atomic_int sticky;
  bool peers[SIM_DEVICES_MAX];
};
struct sim_device *sim_device_at(int number);
struct sim_device *sim_current(void);
int sim_current_number(void);  // -1: none
void sim_set_current(struct sim_device *device);
int sim_push(struct sim_device *device);
struct sim_device *sim_pop(void);
void sim_retain(struct sim_device *device);
int sim_release_context(struct sim_device *device);
void sim_fail_for_good(struct sim_device *device, int result);
extern _Thread_local bool sim_in_callback;

// Memory.
enum sim_kind { SIM_PAGEABLE, SIM_DEVICE, SIM_PINNED, SIM_REGISTERED, SIM_IMPORTED };
struct sim_handle {
  uint64_t magic, nonce, size;
  int32_t pid, descriptor, device, rest[7];
};
int sim_allocate(uintptr_t *address, size_t size);
int sim_free(uintptr_t address);
int sim_allocate_host(void **address, size_t size);
int sim_free_host(void *address);
int sim_register(void *address, size_t size);
int sim_unregister(void *address);
// Where the bytes of [address, address + size) really are; NULL: the range leaves its memory. Pageable memory is itself.
void *sim_resolve(uintptr_t address, size_t size, enum sim_kind *kind);
// Whether the addresses are what a copy of a kind says: the host's side is the host's, the others are a device's.
bool sim_kind_fits(uintptr_t target, uintptr_t source, bool is_to_device, bool is_to_host);
bool sim_read_pageable(void *target, uintptr_t source, size_t size);
bool sim_write_pageable(uintptr_t target, const void *source, size_t size);
int sim_export(uintptr_t address, struct sim_handle *handle);
int sim_import(const struct sim_handle *handle, uintptr_t *address);
int sim_close_import(uintptr_t address);
// Closes what was imported by a handle; in the process that exported it, nothing.
int sim_close_key(const struct sim_handle *handle);
extern const uint64_t sim_memory_magic;
// Descriptors of physical memory: make, map at an address that was reserved, unmap.
int sim_physical_create(size_t size, int *descriptor);
int sim_reserve(uintptr_t *address, size_t size);
int sim_unreserve(uintptr_t address, size_t size);
int sim_map(uintptr_t address, size_t size, int descriptor);
int sim_unmap(uintptr_t address);
void sim_memory_live(long counts[7]);

// Streams and events.
struct sim_piece {
  uintptr_t target, source;
  size_t size;
  void *early;  // the source's bytes as they were at the call; NULL: read when its turn comes
};
int sim_stream_create(void **stream, int priority);
int sim_stream_destroy(void *stream);
int sim_stream_query(void *stream);
struct sim_device *sim_stream_device(void *stream);
int sim_stream_synchronize(void *stream);
// Whether a copy that is queued or running reads or writes this memory.
bool sim_is_touched(uintptr_t address, size_t size);
int sim_device_synchronize(struct sim_device *device);
int sim_copy(uintptr_t target, uintptr_t source, size_t size, void *stream);
// Many copies, unordered among themselves; `any_order`: the sources may be read before the stream comes to them.
int sim_copy_batch(const uintptr_t *targets, const uintptr_t *sources, const size_t *sizes, size_t count,
                   bool any_order, void *stream);
int sim_copy_rows(const struct sim_piece *first, size_t rows, size_t target_pitch, size_t source_pitch, void *stream);
int sim_fill(uintptr_t target, unsigned char value, size_t size, void *stream);
int sim_call(void (*function)(void *), void *context, void *stream);
int sim_event_create(void **event, unsigned flags);
int sim_event_destroy(void *event);
int sim_event_record(void *event, void *stream);
int sim_event_query(void *event);
int sim_event_elapsed(float *milliseconds, void *start, void *end);
int sim_event_export(void *event, struct sim_handle *handle);
int sim_event_import(void **event, const struct sim_handle *handle);
int sim_wait_event(void *stream, void *event);
void sim_stream_live(long counts[7]);

// Kernels: C models of the entries that the image names.
struct sim_launch {
  int kernel;
  unsigned blocks, threads, shared;
  uint64_t arguments[12];
};
int sim_module_load(void **module, const char *image);
int sim_module_unload(void *module);
int sim_module_function(void **function, void *module, const char *name);
int sim_kernel_arguments(void *function, void **parameters, struct sim_launch *launch);
int sim_enqueue_launch(const struct sim_launch *launch, void *stream);
int sim_run_kernel(const struct sim_launch *launch);
void sim_kernel_live(long counts[7]);

#endif
