#include "policy_reference.h"

#include "HazardReference.h"

struct policy_reference {
  HazardCache cache;
};

policy_reference *policy_reference_make(int32_t block_count, int32_t capacity) {
  return new policy_reference{HazardCache(block_count, capacity)};
}

void policy_reference_request(policy_reference *policy, double seconds, const int32_t *blocks, int32_t count) {
  policy->cache.request(seconds, blocks, count);
}

bool policy_reference_is_resident(const policy_reference *policy, int32_t block) {
  return policy->cache.holds(block);
}

void policy_reference_free(policy_reference *policy) { delete policy; }
