// A lock of one word: 4 bytes that are 0 when it is free. Unlike locks that name their holder (Swift's Mutex, which asks
// the kernel with the thread number that it cached), it works in a child made by fork.
#pragma once
#include <stdbool.h>
#include <stdint.h>

/// Waits until the lock is free and takes it. Spins for a moment, then sleeps.
void roost_lock_take(uint32_t *word);

/// Takes the lock if it is free; false if it is not.
bool roost_lock_try(uint32_t *word);

/// Lets it go, and wakes one thread that sleeps for it.
void roost_lock_release(uint32_t *word);
