#include "futex.h"

#include <dirent.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool roost_futex_wait(const uint32_t *word, uint32_t expected, uint64_t nanoseconds) {
  if (nanoseconds == 0) return false;
  struct timespec limit = {
      .tv_sec = (time_t)(nanoseconds / 1000000000u), .tv_nsec = (long)(nanoseconds % 1000000000u)};
  long result = syscall(
      SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nanoseconds == UINT64_MAX ? NULL : &limit, NULL, 0);
  return result == 0 || errno != ETIMEDOUT;
}

void roost_futex_wake(const uint32_t *word, int count) {
  // Fails only for a bad address.
  (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void roost_cpu_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

void roost_thread_set_name(const char *name) {
  char cut[16];
  snprintf(cut, sizeof cut, "%s", name);
  pthread_setname_np(pthread_self(), cut);
}

int roost_thread_block_signals(void) {
  sigset_t all;
  sigfillset(&all);
  return pthread_sigmask(SIG_BLOCK, &all, NULL);
}

void roost_thread_leave_binding(void) {
  cpu_set_t own, all;
  if (sched_getaffinity(0, sizeof own, &own) != 0 || CPU_COUNT(&own) >= sysconf(_SC_NPROCESSORS_ONLN)) return;
  DIR *threads = opendir("/proc/self/task");
  if (threads == NULL) return;
  all = own;
  for (struct dirent *entry = readdir(threads); entry != NULL; entry = readdir(threads)) {
    cpu_set_t other;
    int number = atoi(entry->d_name);
    // A thread may end meanwhile.
    if (number > 0 && sched_getaffinity(number, sizeof other, &other) == 0) CPU_OR(&all, &all, &other);
  }
  closedir(threads);
  (void)sched_setaffinity(0, sizeof all, &all);
}
