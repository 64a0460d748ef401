// Asks for a cache line before it is needed. A wrong address is harmless.
#pragma once
static inline void roost_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }
