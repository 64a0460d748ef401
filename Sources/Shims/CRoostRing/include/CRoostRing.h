// io_uring through liburing, reduced to what a queue of reads, writes and syncs needs. liburing's own header is mostly
// inline functions and computed macros; this one is plain functions.
// Every call returns a value >= 0, or the negated errno.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct roost_ring;

enum {
  ROOST_RING_READ = 0,
  ROOST_RING_WRITE = 1,
  ROOST_RING_SYNC = 2,
};

// One operation. `parts` must live until roost_ring_submit.
struct roost_ring_operation {
  uint64_t token;
  int64_t offset;
  const struct iovec *parts;
  unsigned part_count;
  int kind;
  int descriptor;
  int file_place;    // where the file is registered; -1: nowhere
  int memory_place;  // where memory around the one part is registered; -1: nowhere
};

struct roost_ring_result {
  uint64_t token;
  int64_t result;  // bytes, or a negated errno
};

// Makes a ring for `depth` operations. -ENOSYS, -EPERM, -ENOMEM: not here (an old kernel, a container's filter, the limit
// on locked memory).
int roost_ring_open(unsigned depth, struct roost_ring **out);

// Becomes readable when there are completions.
int roost_ring_descriptor(const struct roost_ring *ring);

// Makes empty places for `count` files, once a ring. Not before Linux 5.19, nor beyond the limit on open files.
int roost_ring_open_file_places(struct roost_ring *ring, unsigned count);

// Registers a file: the ring holds it from now on, whatever becomes of the descriptor.
int roost_ring_register_file(struct roost_ring *ring, unsigned place, int descriptor);

// Makes empty places for `count` pieces of memory, once a ring. Not before Linux 5.19.
int roost_ring_open_memory_places(struct roost_ring *ring, unsigned count);

// Registers memory, at most 1 GiB: its pages are pinned. -ENOMEM: the limit on locked memory. -EFAULT, -EOPNOTSUPP: memory
// that cannot be pinned, such as a file's on a drive. Whoever queues operations waits meanwhile.
int roost_ring_register_memory(struct roost_ring *ring, unsigned place, void *address, size_t length);

// Lets go of all files and memory. Nothing may be under way.
void roost_ring_unregister(struct roost_ring *ring);

// Puts one operation on the ring; it starts with roost_ring_submit. -EBUSY: the ring is full.
int roost_ring_queue(struct roost_ring *ring, const struct roost_ring_operation *operation);

// Starts what was queued. Returns how many operations were started.
int roost_ring_submit(struct roost_ring *ring);

// Takes up to `max` completions without waiting. Returns how many.
int roost_ring_reap(struct roost_ring *ring, struct roost_ring_result *out, unsigned max);

void roost_ring_close(struct roost_ring *ring);
