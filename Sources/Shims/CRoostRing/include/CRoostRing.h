// io_uring through liburing, reduced to what a queue of reads, writes and syncs needs. liburing's own header is mostly
// inline functions and computed macros; this one is plain functions.
// Every call returns a value >= 0, or the negated errno.
#pragma once
#include <stdint.h>
#include <sys/uio.h>

struct roost_ring;

enum {
  ROOST_RING_READ = 0,
  ROOST_RING_WRITE = 1,
  ROOST_RING_SYNC = 2,
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

// Puts one operation on the ring; it starts with roost_ring_submit. `parts` must live until then. -EBUSY: the ring is
// full.
int roost_ring_queue(
    struct roost_ring *ring, int kind, int descriptor, const struct iovec *parts, unsigned part_count, int64_t offset,
    uint64_t token);

// Starts what was queued. Returns how many operations were started.
int roost_ring_submit(struct roost_ring *ring);

// Takes up to `max` completions without waiting. Returns how many.
int roost_ring_reap(struct roost_ring *ring, struct roost_ring_result *out, unsigned max);

void roost_ring_close(struct roost_ring *ring);
