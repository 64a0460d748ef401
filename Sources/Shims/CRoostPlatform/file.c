#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

const int roost_open_direct = O_DIRECT;

int64_t roost_file_allocated_bytes(int descriptor) {
  struct stat status;
  if (fstat(descriptor, &status) < 0) return -errno;
  // In units of 512 bytes, whatever the block size of the file system (stat(2)).
  return (int64_t)status.st_blocks * 512;
}

int64_t roost_file_read(int descriptor, const struct iovec *parts, int part_count, int64_t offset) {
  ssize_t result;
  do {
    result = preadv(descriptor, parts, part_count, offset);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

int64_t roost_file_write(int descriptor, const struct iovec *parts, int part_count, int64_t offset) {
  ssize_t result;
  do {
    result = pwritev(descriptor, parts, part_count, offset);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : result;
}

int roost_file_advise_random(int descriptor) { return -posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM); }
