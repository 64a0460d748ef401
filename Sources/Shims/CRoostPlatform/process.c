#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

int roost_process_open(pid_t pid) {
  long result = syscall(SYS_pidfd_open, pid, 0);
  return result < 0 ? -errno : (int)result;
}

int roost_wake_descriptor(void) {
  int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return descriptor < 0 ? -errno : descriptor;
}

int roost_file_lock_record(int descriptor) {
  for (int attempt = 0; attempt < 16; attempt++) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    if (fcntl(descriptor, F_SETLK, &lock) == 0) return 0;
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EACCES) return -errno;
    if (fcntl(descriptor, F_GETLK, &lock) < 0) return -errno;
    if (lock.l_type != F_UNLCK) return lock.l_pid > 0 ? lock.l_pid : INT32_MAX;
  }
  return INT32_MAX;
}

int roost_file_lock(int descriptor, int exclusive) {
  int result;
  do {
    result = flock(descriptor, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
  } while (result < 0 && errno == EINTR);
  return result < 0 ? -errno : 0;
}

void roost_file_unlock(int descriptor) { (void)flock(descriptor, LOCK_UN); }
