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

int roost_ring_open_file_places(struct roost_ring *ring, unsigned count) {
  return io_uring_register_files_sparse(&ring->ring, count);
}

int roost_ring_register_file(struct roost_ring *ring, unsigned place, int descriptor) {
  int result = io_uring_register_files_update(&ring->ring, place, &descriptor, 1);
  return result == 1 ? 0 : result < 0 ? result : -EINVAL;
}

int roost_ring_open_memory_places(struct roost_ring *ring, unsigned count) {
  return io_uring_register_buffers_sparse(&ring->ring, count);
}

int roost_ring_register_memory(struct roost_ring *ring, unsigned place, void *address, size_t length) {
  struct iovec part = {.iov_base = address, .iov_len = length};
  __u64 tag = 0;
  int result = io_uring_register_buffers_update_tag(&ring->ring, place, &part, &tag, 1);
  return result == 1 ? 0 : result < 0 ? result : -EINVAL;
}

void roost_ring_unregister(struct roost_ring *ring) {
  io_uring_unregister_files(&ring->ring);
  io_uring_unregister_buffers(&ring->ring);
}

static void prepare_transfer(struct io_uring_sqe *entry, const struct roost_ring_operation *operation, int descriptor) {
  const struct iovec *parts = operation->parts;
  const uint64_t offset = (uint64_t)operation->offset;
  const unsigned length = (unsigned)parts->iov_len;
  const int is_read = operation->kind == ROOST_RING_READ;
  if (operation->part_count > 1) {
    if (is_read) io_uring_prep_readv(entry, descriptor, parts, operation->part_count, offset);
    else io_uring_prep_writev(entry, descriptor, parts, operation->part_count, offset);
  } else if (operation->memory_place >= 0) {
    if (is_read) io_uring_prep_read_fixed(entry, descriptor, parts->iov_base, length, offset, operation->memory_place);
    else io_uring_prep_write_fixed(entry, descriptor, parts->iov_base, length, offset, operation->memory_place);
  } else {
    if (is_read) io_uring_prep_read(entry, descriptor, parts->iov_base, length, offset);
    else io_uring_prep_write(entry, descriptor, parts->iov_base, length, offset);
  }
}

int roost_ring_queue(struct roost_ring *ring, const struct roost_ring_operation *operation) {
  struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
  if (entry == NULL) return -EBUSY;
  // A registered file goes by its place instead of its descriptor.
  int descriptor = operation->file_place >= 0 ? operation->file_place : operation->descriptor;
  if (operation->kind == ROOST_RING_SYNC) io_uring_prep_fsync(entry, descriptor, IORING_FSYNC_DATASYNC);
  else prepare_transfer(entry, operation, descriptor);
  if (operation->file_place >= 0) io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(entry, operation->token);
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
