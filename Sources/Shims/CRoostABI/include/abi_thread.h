#pragma once
#include <stddef.h>
#include <stdint.h>

/* What libroost keeps for each thread, and how it survives a fork. Inside the library only. */

#define ROOST_ABI_HIDDEN __attribute__((visibility("hidden")))

/* Keeps message and context for the calling thread; cut where they do not fit. */
ROOST_ABI_HIDDEN void roost_abi_set_error(
    const char *message, size_t message_bytes, const char *context, size_t context_bytes);
ROOST_ABI_HIDDEN const char *roost_abi_message(void);
ROOST_ABI_HIDDEN const char *roost_abi_context(void);

/* `count` numbers of the calling thread, valid until its next call of this; null if there is no memory. Freed with the
 * thread. */
ROOST_ABI_HIDDEN uint32_t *roost_abi_numbers(size_t count);

/* How many forks lie between the process that loaded the library and this one. */
ROOST_ABI_HIDDEN uint32_t roost_abi_generation(void);

/* A lock that is free in a child, whatever the parent's other threads did when it forked. */
ROOST_ABI_HIDDEN void roost_abi_lock(void);
ROOST_ABI_HIDDEN void roost_abi_unlock(void);
