// Sleeping on a word of memory, and what own threads need.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Sleeps while `*word == expected`, at most `nanoseconds` (0: does not sleep; UINT64_MAX: for ever). Returns false if the
/// time ran out, true otherwise: woken, interrupted, or the value was different. Callers check their condition again.
/// Only wakes within the same process reach it.
bool roost_futex_wait(const uint32_t *word, uint32_t expected, uint64_t nanoseconds);

/// Wakes up to `count` threads that sleep on `word`.
void roost_futex_wake(const uint32_t *word, int count);

/// Tells the processor that the caller spins: a few nanoseconds to tens of them.
void roost_cpu_relax(void);

/// Names the calling thread, for debuggers and `top -H`; cut after 15 bytes.
void roost_thread_set_name(const char *name);

/// Blocks every signal in the calling thread, so that the program's handlers run on the program's own threads. Returns
/// 0 or an errno.
int roost_thread_block_signals(void);

/// Lets the calling thread run on every processor that any thread of the process may run on. A new thread inherits the
/// binding of the one that started it, and engines bind the threads that run the model, each to a processor of its own.
void roost_thread_leave_binding(void);
