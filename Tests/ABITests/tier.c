/* A tier below the pool: what one engine stored, the next one on the same directory brings up and loads. */
#include "expect.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 8 };

static roost_engine open_engine(const char *directory) {
  char config[8192];
  snprintf(
      config, sizeof config,
      "{\"groups\":[{\"page_bytes\":4096,\"tokens_per_block\":16}],\"capacity\":\"256KiB\","
      "\"tiers\":[\"disk://%s?capacity=2MiB&io=threads\"],\"tier_admission\":\"all\"}",
      directory);
  roost_engine engine = 0;
  int32_t is_ready = 0;
  EXPECT_OK(roost_engine_open(config, strlen(config), &engine));
  EXPECT_OK(roost_engine_wait_ready(engine, 10, &is_ready));
  EXPECT(is_ready == 1);
  return engine;
}

static roost_tier_stats stats_of(roost_engine engine) {
  roost_tier_stats stats = {.struct_bytes = sizeof stats};
  EXPECT_OK(roost_engine_tier_stats(engine, &stats));
  return stats;
}

/* Stores without a worker: whatever lies in the slots is the page. */
static void store(roost_engine engine, uint32_t identity) {
  roost_keys keys = make_keys(identity, 1, COUNT);
  roost_request request = make_request(1);
  roost_grant grants[COUNT];
  uint64_t lease = 0;
  EXPECT_OK(roost_engine_begin_store(engine, &request, &keys, grants, &lease));
  EXPECT(lease != 0);
  EXPECT_OK(roost_engine_commit(engine, lease));
}

static void bring_up(roost_engine engine, uint32_t identity) {
  roost_keys keys = make_keys(identity, 1, COUNT);
  roost_request request = make_request(2);
  uint8_t states[COUNT];
  uint64_t ready = 9, prefetch = 0, lease = 0;
  uint32_t answer = 9;
  EXPECT_OK(roost_engine_match(engine, &keys, states, &ready));
  EXPECT(ready == 0 && states[0] == ROOST_BELOW && states[COUNT - 1] == ROOST_BELOW);
  EXPECT_OK(roost_engine_prefetch(engine, &request, &keys, 1, 10, &answer, &prefetch));
  EXPECT(answer == ROOST_PREFETCHING && prefetch != 0);
  roost_prefetch_progress progress = {.struct_bytes = sizeof progress};
  for (int turn = 0; turn < 10000 && !progress.is_over; turn++) {
    EXPECT_OK(roost_engine_prefetch_progress(engine, prefetch, &progress));
    usleep(1000);
  }
  EXPECT(progress.is_live && progress.wanted == COUNT && progress.arrived == COUNT && progress.failed == 0);
  roost_grant grants[COUNT];
  EXPECT_OK(roost_engine_begin_load(engine, &request, &keys, grants, &lease));
  EXPECT(lease != 0 && grants[COUNT - 1].outcome == ROOST_LEASED);
  EXPECT_OK(roost_engine_end(engine, lease));
  EXPECT_OK(roost_engine_prefetch_progress(engine, prefetch, &progress));
  EXPECT(!progress.is_live && progress.is_over && progress.wanted == 0);
  EXPECT_OK(roost_engine_prefetch(engine, &request, &keys, 1, 10, &answer, &prefetch));
  EXPECT(answer == ROOST_NOTHING_BELOW && prefetch == 0);
}

static void refuse(roost_engine engine, uint32_t identity) {
  roost_keys keys = make_keys(identity, 1, COUNT);
  roost_request request = make_request(3), own = make_request(UINT64_MAX - 1);
  uint64_t prefetch = 0;
  uint32_t answer = 9;
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch(engine, NULL, &keys, 1, 1, &answer, &prefetch));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch(engine, &own, &keys, 1, 1, &answer, &prefetch));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch(engine, &request, NULL, 1, 1, &answer, &prefetch));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch(engine, &request, &keys, 2, 1, &answer, &prefetch));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch(engine, &request, &keys, SIZE_MAX, 1, &answer, &prefetch));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch(engine, &request, &keys, 1, 1, NULL, &prefetch));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch(engine, &request, &keys, 1, 1, &answer, NULL));
  EXPECT_OK(roost_engine_prefetch(engine, &request, &keys, 0, 1, &answer, &prefetch));
  EXPECT(answer == ROOST_NOTHING_BELOW);
  roost_prefetch_progress progress = {.struct_bytes = sizeof progress - 8};
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch_progress(engine, 1, &progress));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_prefetch_progress(engine, 1, NULL));
  EXPECT_OK(roost_engine_prefetch_end(engine, 77));
  roost_tier_stats stats = {.struct_bytes = sizeof stats - 8};
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_tier_stats(engine, &stats));
  roost_engine other = 5;
  static const char config[] =
      "{\"groups\":[{\"page_bytes\":4096,\"tokens_per_block\":16}],\"capacity\":\"256KiB\",\"tiers\":[\"tape:///x\"]}";
  EXPECT_STATUS(ROOST_NOT_FOUND, roost_engine_open(config, strlen(config), &other));
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status, (void)kind, (void)place;
  return remove(path);
}

void test_tier(void) {
  char directory[4096];
  const char *folder = getenv("TMPDIR");
  snprintf(directory, sizeof directory, "%s/roost-abi-XXXXXX", folder && *folder ? folder : "/tmp");
  EXPECT(mkdtemp(directory) != NULL);
  roost_engine engine = open_engine(directory);
  uint32_t identity = make_identity(engine);
  store(engine, identity);
  refuse(engine, identity);
  EXPECT_OK(roost_engine_close(engine, 10, NULL));

  engine = open_engine(directory);
  identity = make_identity(engine);
  roost_tier_stats stats = stats_of(engine);
  EXPECT(stats.is_present && stats.is_ready && stats.pages == COUNT);
  bring_up(engine, identity);
  stats = stats_of(engine);
  EXPECT(stats.promotions == COUNT && stats.promoted == COUNT && stats.promoting == 0);
  EXPECT_OK(roost_engine_close(engine, 10, NULL));

  engine = make_engine();
  EXPECT(stats_of(engine).is_present == 0);
  EXPECT_OK(roost_engine_close(engine, 10, NULL));
  EXPECT(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
}
