#include "CRoostRing.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

struct roost_ring {
  struct io_uring ring;
};

int roost_ring_open(unsigned depth, struct roost_ring **out) {
  struct roost_ring *made = calloc(1, sizeof *made);
  if (made == NULL) return -ENOMEM;
  int result = io_uring_queue_init(depth, &made->ring, 0);
  if (result < 0) {
    free(made);
    return result;
  }
  *out = made;
  return 0;
}

int roost_ring_descriptor(const struct roost_ring *ring) { return ring->ring.ring_fd; }

int roost_ring_queue(
    struct roost_ring *ring, int kind, int descriptor, const struct iovec *parts, unsigned part_count, int64_t offset,
    uint64_t token) {
  struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
  if (entry == NULL) return -EBUSY;
  switch (kind) {
    case ROOST_RING_READ:
      if (part_count == 1) {
        io_uring_prep_read(entry, descriptor, parts->iov_base, (unsigned)parts->iov_len, (uint64_t)offset);
      } else {
        io_uring_prep_readv(entry, descriptor, parts, part_count, (uint64_t)offset);
      }
      break;
    case ROOST_RING_WRITE:
      if (part_count == 1) {
        io_uring_prep_write(entry, descriptor, parts->iov_base, (unsigned)parts->iov_len, (uint64_t)offset);
      } else {
        io_uring_prep_writev(entry, descriptor, parts, part_count, (uint64_t)offset);
      }
      break;
    default:
      io_uring_prep_fsync(entry, descriptor, IORING_FSYNC_DATASYNC);
      break;
  }
  io_uring_sqe_set_data64(entry, token);
  return 0;
}

int roost_ring_submit(struct roost_ring *ring) {
  int result;
  do {
    result = io_uring_submit(&ring->ring);
  } while (result == -EINTR);
  return result;
}

int roost_ring_reap(struct roost_ring *ring, struct roost_ring_result *out, unsigned max) {
  struct io_uring_cqe *entries[64];
  unsigned count = 0;
  while (count < max) {
    unsigned wanted = max - count < 64 ? max - count : 64;
    unsigned got = io_uring_peek_batch_cqe(&ring->ring, entries, wanted);
    if (got == 0) break;
    for (unsigned i = 0; i < got; i++) {
      out[count].token = io_uring_cqe_get_data64(entries[i]);
      out[count].result = entries[i]->res;
      count++;
    }
    io_uring_cq_advance(&ring->ring, got);
  }
  return (int)count;
}

void roost_ring_close(struct roost_ring *ring) {
  io_uring_queue_exit(&ring->ring);
  free(ring);
}
