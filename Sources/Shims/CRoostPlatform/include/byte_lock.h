// Locks on single bytes of a file, which belong to the open file: gone with its last descriptor, so with the process that
// held it, however that ended. Whoever opens the file itself, in the same process too, is somebody else.
#pragma once
#include <stdint.h>

// 0, or the negated errno: -EAGAIN while somebody else has it.
int roost_byte_lock(int descriptor, int64_t byte);

void roost_byte_unlock(int descriptor, int64_t byte);

// 1: somebody else has it; 0: nobody else; or the negated errno.
int roost_byte_is_locked(int descriptor, int64_t byte);
