/* The hazard-index policy as it was designed, written for reading and not for speed, for the tests to compare ours with:
   blocks are dense numbers, nothing is shared with Sources/. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct policy_reference policy_reference;

/* Blocks are numbers below block_count. */
policy_reference *policy_reference_make(int32_t block_count, int32_t capacity);
/* A request looks its blocks up, head to tail, and stores them. */
void policy_reference_request(policy_reference *policy, double seconds, const int32_t *blocks, int32_t count);
bool policy_reference_is_resident(const policy_reference *policy, int32_t block);
void policy_reference_free(policy_reference *policy);

#ifdef __cplusplus
}
#endif
