#include "lock.h"

#include "futex.h"

// 0: free, 1: taken, 2: taken and somebody may be asleep.
enum { FREE, TAKEN, AWAITED };

// A critical section is some 20 to 500 ns; 100 pauses are a microsecond or two.
enum { SPIN_COUNT = 100 };

static void take_slowly(uint32_t *word) {
  for (int turn = 0; turn < SPIN_COUNT; turn++) {
    uint32_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);
    if (seen == FREE && __atomic_compare_exchange_n(word, &seen, TAKEN, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    roost_cpu_relax();
  }
  while (__atomic_exchange_n(word, AWAITED, __ATOMIC_ACQUIRE) != FREE) roost_futex_wait(word, AWAITED, UINT64_MAX);
}

bool roost_lock_try(uint32_t *word) {
  uint32_t free = FREE;
  return __atomic_compare_exchange_n(word, &free, TAKEN, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void roost_lock_take(uint32_t *word) {
  if (__builtin_expect(!roost_lock_try(word), 0)) take_slowly(word);
}

void roost_lock_release(uint32_t *word) {
  if (__builtin_expect(__atomic_exchange_n(word, FREE, __ATOMIC_RELEASE) == AWAITED, 0)) roost_futex_wake(word, 1);
}
