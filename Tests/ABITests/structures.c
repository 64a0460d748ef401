/* Pointers, sizes and counts that are wrong in every way that can be told. */
#include "expect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_keys(roost_engine engine, uint32_t identity) {
  uint64_t ready = 0;
  roost_keys good = make_keys(identity, 1, 4), keys = good;
  EXPECT_OK(roost_engine_match(engine, &good, NULL, &ready));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_match(engine, NULL, NULL, &ready));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_match(engine, &good, NULL, NULL));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_match(engine, (const roost_keys *)((const char *)&good + 1), NULL, &ready));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_match(engine, &good, NULL, (uint64_t *)((char *)&ready + 1)));
#define WRONG(change)                                                               \
  keys = good;                                                                      \
  change;                                                                           \
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_match(engine, &keys, NULL, &ready))
  WRONG(keys.struct_bytes = 0);
  WRONG(keys.struct_bytes = sizeof keys - 8);
  WRONG(keys.struct_bytes = SIZE_MAX);
  WRONG(keys.identity = identity + 1);
  WRONG(keys.group = 1);
  WRONG(keys.group = UINT32_MAX);
  WRONG(keys.hashes = NULL);
  WRONG(keys.count = SIZE_MAX);
  WRONG(keys.count = SIZE_MAX / 32);
  WRONG(keys.count = (size_t)1 << 40);
  WRONG(keys.stride = 0);
  WRONG(keys.stride = 15);
  WRONG(keys.stride = 33);
  WRONG(keys.stride = SIZE_MAX);
  /* A larger struct of a later version, and hashes at an odd address, are fine. */
  struct {
    roost_keys keys;
    uint64_t later[3];
  } larger = {good, {1, 2, 3}};
  larger.keys.struct_bytes = sizeof larger;
  EXPECT_OK(roost_engine_match(engine, &larger.keys, NULL, &ready));
  char odd[1 + 4 * HASH_BYTES];
  memcpy(odd + 1, good.hashes, 4 * HASH_BYTES);
  keys = good;
  keys.hashes = odd + 1;
  EXPECT_OK(roost_engine_match(engine, &keys, NULL, &ready));
  keys = good;
  keys.count = 0;
  keys.hashes = NULL;
  EXPECT_OK(roost_engine_match(engine, &keys, NULL, &ready));
  EXPECT(ready == 0);
}

/* Block lengths and windows whose products would overflow. */
static void test_block_lengths(void) {
  static const char *const groups[] = {
      "{\"page_bytes\":4096,\"tokens_per_block\":4611686018427387904}",
      "{\"page_bytes\":4096,\"tokens_per_block\":1048577}",
      "{\"page_bytes\":4096,\"tokens_per_block\":-16}",
      "{\"page_bytes\":4096,\"tokens_per_block\":16,\"kind\":\"window\",\"window_tokens\":9223372036854775807}",
      "{\"page_bytes\":4096,\"tokens_per_block\":16,\"kind\":\"window\",\"window_tokens\":-1}",
  };
  for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
    char config[256];
    roost_engine engine = 5;
    snprintf(config, sizeof config, "{\"groups\":[%s],\"capacity\":\"256KiB\"}", groups[i]);
    EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_open(config, strlen(config), &engine));
  }
}

static void test_text(void) {
  roost_engine engine = 5;
  static const char config[] = "{\"groups\":[{\"page_bytes\":4096,\"tokens_per_block\":16}],\"capcity\":1}";
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_open(NULL, 5, &engine));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_open(config, 0, &engine));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_open(config, SIZE_MAX, &engine));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_open("\xff\xfe", 2, &engine));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_open(config, strlen(config), NULL));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_open(config, strlen(config), &engine));
  EXPECT(strstr(roost_error_message(), "capcity") != NULL);
  EXPECT(engine == 5);
  roost_worker worker = 5;
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_attach(NULL, NULL, 1, &worker));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_attach("", NULL, 1, &worker));
  EXPECT_STATUS(ROOST_NOT_FOUND, roost_worker_attach("unix:@roost-abi-nobody", NULL, NAN, &worker));
  EXPECT_STATUS(ROOST_NOT_FOUND, roost_worker_attach("unix:@roost-abi-nobody", "abacus:3", 1, &worker));
  EXPECT(worker == 5);
}

static void test_answers(roost_engine engine) {
  char text[4];
  size_t size = 0;
  EXPECT_STATUS(ROOST_OUT_OF_RESOURCES, roost_engine_address(engine, text, sizeof text, &size));
  EXPECT(size > 4);
  char *whole = malloc(size + 1);
  EXPECT_OK(roost_engine_address(engine, whole, size + 1, NULL));
  EXPECT(strlen(whole) == size);
  free(whole);
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_address(engine, NULL, 4096, &size));

  roost_stats stats = {.struct_bytes = sizeof stats - 8};
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_stats(engine, &stats));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_stats(engine, NULL));
  roost_completion completion = {.struct_bytes = 0};
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_poll(engine, &completion, 1, &size));
  completion.struct_bytes = sizeof completion;
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_poll(engine, &completion, SIZE_MAX, NULL));
  EXPECT_OK(roost_engine_poll(engine, NULL, 0, &size));
  EXPECT(size == 0);
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_engine_poll(engine, NULL, 1, &size));
  EXPECT_OK(roost_engine_leases(engine, NAN, NULL, 0, &size));
  EXPECT_OK(roost_engine_leases(engine, -INFINITY, NULL, 0, &size));
  EXPECT_OK(roost_engine_leases(engine, INFINITY, NULL, 0, &size));
  EXPECT_OK(roost_engine_reset(engine, NAN));
}

static void test_tokens(void) {
  uint32_t tokens[8] = {0};
  uint8_t hashes[65];
  size_t count = 9;
  EXPECT_OK(roost_hash_tokens(tokens, 8, 4, hashes + 1, 64, &count));
  EXPECT(count == 2);
  EXPECT_STATUS(ROOST_OUT_OF_RESOURCES, roost_hash_tokens(tokens, 8, 4, hashes, 63, &count));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_hash_tokens(tokens, 8, 0, hashes, 64, &count));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_hash_tokens(tokens, SIZE_MAX, 4, hashes, 64, &count));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_hash_tokens(NULL, 8, 4, hashes, 64, &count));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_hash_tokens(tokens, 8, 4, NULL, 64, &count));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_hash_tokens(tokens, 8, 4, hashes, 64, NULL));
}

static void test_pages(roost_engine engine) {
  static uint8_t device[BLOCK_COUNT * PAGE_BYTES];
  char address[128];
  roost_worker worker = 0;
  EXPECT_OK(roost_engine_address(engine, address, sizeof address, NULL));
  EXPECT_OK(roost_worker_attach(address, "cpu:0", 10, &worker));
  roost_region region = {sizeof region, (uint64_t)(uintptr_t)device, sizeof device};
  roost_part part = {.struct_bytes = sizeof part, .block_stride = PAGE_BYTES, .byte_count = PAGE_BYTES};
  roost_pages good = {.struct_bytes = sizeof good, .shards = 1, .block_count = BLOCK_COUNT, .regions = &region,
                      .region_count = 1, .parts = &part, .part_count = 1};
  roost_pages pages;
#undef WRONG
#define WRONG(change) \
  pages = good;       \
  change;             \
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_register(worker, &pages))
  WRONG(pages.group = 3);
  WRONG(pages.shards = 0);
  WRONG(pages.shards = 65);
  WRONG(pages.shard = 1);
  WRONG(pages.block_count = 0);
  WRONG(pages.block_count = UINT64_MAX);
  WRONG(pages.regions = NULL);
  WRONG(pages.region_count = SIZE_MAX);
  WRONG(pages.part_count = 0);
  WRONG(pages.part_count = 1 << 20);
  static const roost_part good_part = {
      .struct_bytes = sizeof part, .block_stride = PAGE_BYTES, .byte_count = PAGE_BYTES};
  WRONG(part.offset = UINT64_MAX);
  part = good_part;
  WRONG(part.block_stride = UINT64_MAX);
  part = good_part;
  WRONG(part.byte_count = UINT64_MAX);
  part = good_part;
  WRONG(part.byte_count = 0);
  part = good_part;
  WRONG(part.slot_offset = UINT64_MAX);
  part = good_part;
  WRONG(part.region = UINT64_MAX);
  part = good_part;
  EXPECT_OK(roost_worker_register(worker, &good));
  int32_t block = 0;
  uint32_t slot[2] = {UINT32_MAX, 1};
  roost_job job = {.struct_bytes = sizeof job, .job = 1, .blocks = &block, .slots = slot, .count = 1}, wrong;
#undef WRONG
#define WRONG(change) \
  wrong = job;        \
  change;             \
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_submit(worker, &wrong))
  WRONG(wrong.verb = 3);
  WRONG(wrong.group = UINT32_MAX);
  WRONG(wrong.blocks = NULL);
  WRONG(wrong.slots = NULL);
  WRONG(wrong.count = SIZE_MAX);
  /* A slot that does not exist is a failed block. */
  roost_completion completion = {.struct_bytes = sizeof completion};
  EXPECT_OK(roost_worker_submit(worker, &job));
  EXPECT_STATUS(ROOST_BUSY, roost_worker_submit(worker, &job));
  EXPECT_OK(roost_worker_wait(worker, 1, 10, &completion));
  EXPECT(completion.outcome == ROOST_PARTLY_FAILED && completion.failed_count == 1 && completion.failed[0] == 0);
  EXPECT_STATUS(ROOST_NOT_FOUND, roost_worker_wait(worker, 1, 10, &completion));
  EXPECT_OK(roost_worker_close(worker, 5, NULL));
}

void test_structures(void) {
  roost_engine engine = make_engine();
  test_keys(engine, make_identity(engine));
  test_text();
  test_block_lengths();
  test_answers(engine);
  test_tokens();
  test_pages(engine);
  EXPECT_OK(roost_engine_close(engine, 5, NULL));
}
