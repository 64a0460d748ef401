#include "byte_lock.h"

#include <errno.h>
#include <fcntl.h>

static struct flock on(int64_t byte, short type) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
}

int roost_byte_lock(int descriptor, int64_t byte) {
  struct flock lock = on(byte, F_WRLCK);
  if (fcntl(descriptor, F_OFD_SETLK, &lock) == 0) return 0;
  return errno == EACCES ? -EAGAIN : -errno;
}

void roost_byte_unlock(int descriptor, int64_t byte) {
  struct flock lock = on(byte, F_UNLCK);
  (void)fcntl(descriptor, F_OFD_SETLK, &lock);
}

int roost_byte_is_locked(int descriptor, int64_t byte) {
  struct flock lock = on(byte, F_WRLCK);
  if (fcntl(descriptor, F_OFD_GETLK, &lock) < 0) return -errno;
  return lock.l_type != F_UNLCK;
}
