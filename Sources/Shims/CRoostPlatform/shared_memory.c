#include "shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

// Newer than Debian 12's headers. Without it, kernels since 6.3 log a complaint; before, they answer EINVAL.
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

const int64_t roost_kind_tmpfs = TMPFS_MAGIC;
const int64_t roost_kind_hugetlbfs = HUGETLBFS_MAGIC;

int roost_memory_file(const char *name, size_t huge_page_bytes) {
  unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  if (huge_page_bytes != 0) {
    if ((huge_page_bytes & (huge_page_bytes - 1)) != 0) return -EINVAL;
    flags |= MFD_HUGETLB | ((unsigned)__builtin_ctzll(huge_page_bytes) << MFD_HUGE_SHIFT);
  }
  int descriptor = memfd_create(name, flags | MFD_NOEXEC_SEAL);
  if (descriptor < 0 && errno == EINVAL) descriptor = memfd_create(name, flags);
  if (descriptor < 0) return -errno;
  // Memory files come with mode 0777, which counts for whoever opens them through /proc.
  fchmod(descriptor, 0600);
  return descriptor;
}

int roost_memory_seal_size(int descriptor) {
  return fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0 ? -errno : 0;
}

int roost_memory_has_sealed_size(int descriptor) {
  int seals = fcntl(descriptor, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SHRINK) && (seals & F_SEAL_GROW);
}

int roost_memory_seal_writes(int descriptor) {
  return fcntl(descriptor, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 ? -errno : 0;
}

int roost_file_allocate(int descriptor, int64_t offset, int64_t length) {
  int result;
  do {
    result = fallocate(descriptor, 0, offset, length);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : 0;
}

int roost_memory_populate(void *address, size_t length, int writable) {
  int result;
  do {
    result = madvise(address, length, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  } while (result < 0 && (errno == EINTR || errno == EAGAIN));
  return result < 0 ? -errno : 0;
}

int roost_memory_advise_huge(void *address, size_t length) {
  return madvise(address, length, MADV_HUGEPAGE) < 0 ? -errno : 0;
}

int roost_memory_advise_no_fork(void *address, size_t length) {
  return madvise(address, length, MADV_DONTFORK) < 0 ? -errno : 0;
}

int roost_memory_prefer_node(void *address, size_t length, int node) {
  enum { preferred = 1, word_bits = 8 * sizeof(unsigned long), words = 16 };
  if (node < 0 || node >= words * word_bits) return -EINVAL;
  unsigned long mask[words] = {0};
  mask[node / word_bits] = 1UL << (node % word_bits);
  // The kernel reads one bit less than it is told (mbind(2), BUGS).
  long result = syscall(SYS_mbind, address, length, preferred, mask, (unsigned long)(words * word_bits), 0UL);
  return result < 0 ? -errno : 0;
}

int roost_file_system_of(int descriptor, struct roost_file_system *out) {
  struct statfs status;
  if (fstatfs(descriptor, &status) < 0) return -errno;
  out->kind = status.f_type;
  out->block_bytes = status.f_bsize;
  out->total_bytes = (int64_t)status.f_blocks * status.f_bsize;
  out->free_bytes = (int64_t)status.f_bavail * status.f_bsize;
  return 0;
}
