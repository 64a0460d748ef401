/* Store, find, load; threads; fork. */
#include "expect.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t device[BLOCK_COUNT][PAGE_BYTES];

static roost_worker attach(roost_engine engine) {
  char address[128];
  roost_worker worker = 0;
  EXPECT_OK(roost_engine_address(engine, address, sizeof address, NULL));
  EXPECT_OK(roost_worker_attach(address, NULL, 10, &worker));
  roost_region region = {sizeof region, (uint64_t)(uintptr_t)device, sizeof device};
  roost_part part = {.struct_bytes = sizeof part, .block_stride = PAGE_BYTES, .byte_count = PAGE_BYTES};
  roost_pages pages = {.struct_bytes = sizeof pages, .shards = 1, .block_count = BLOCK_COUNT, .regions = &region,
                       .region_count = 1, .parts = &part, .part_count = 1};
  EXPECT_OK(roost_worker_register(worker, &pages));
  return worker;
}

/* Runs a handed-out lease of four blocks from device block `first` on. */
static void run(roost_engine engine, roost_worker worker, uint32_t verb, uint64_t lease, int32_t first,
                const roost_grant *grants) {
  int32_t blocks[4] = {first, first + 1, first + 2, first + 3};
  uint32_t slots[8];
  for (int index = 0; index < 4; index++) {
    slots[2 * index] = grants[index].slot;
    slots[2 * index + 1] = grants[index].generation;
  }
  roost_job job = {sizeof job, lease, lease, verb, 0, blocks, slots, 4, verb, 0};
  roost_completion done = {.struct_bytes = sizeof done};
  EXPECT_OK(roost_engine_hand_out(engine, lease, 1));
  EXPECT_OK(roost_worker_submit(worker, &job));
  if (verb == ROOST_LOAD_DIVIDED) {
    verb = ROOST_LOAD;
    EXPECT_OK(roost_worker_wait_range(worker, lease, 0, 10));
    EXPECT_OK(roost_worker_wait_range(worker, lease, 99, 10));
  }
  EXPECT_OK(roost_worker_wait(worker, lease, 10, &done));
  EXPECT_STATUS(ROOST_NOT_FOUND, roost_worker_wait_range(worker, lease, 0, 10));
  EXPECT(done.id == lease && done.outcome == ROOST_DONE && done.byte_count == 4 * PAGE_BYTES);
  size_t count = 0;
  for (int turn = 0; turn < 10000 && count == 0; turn++) {
    EXPECT_OK(roost_engine_poll(engine, &done, 1, &count));
    if (count == 0) usleep(1000);
  }
  EXPECT(count == 1 && done.id == lease && done.verb == verb && done.outcome == ROOST_DONE);
}

void test_whole_path(void) {
  roost_engine engine = make_engine();
  uint32_t identity = make_identity(engine);
  roost_worker worker = attach(engine);
  roost_keys keys = make_keys(identity, 1, 4);
  roost_request request = make_request(11);
  roost_grant grants[4];
  uint64_t lease = 0, ready = 9;
  uint8_t states[4];
  for (int block = 0; block < 4; block++) memset(device[block], 10 + block, PAGE_BYTES);

  EXPECT_OK(roost_engine_match(engine, &keys, NULL, &ready));
  EXPECT(ready == 0);
  EXPECT_OK(roost_engine_begin_store(engine, &request, &keys, grants, &lease));
  EXPECT(lease != 0 && grants[3].outcome == ROOST_ADMITTED);
  EXPECT_OK(roost_engine_match(engine, &keys, states, &ready));
  EXPECT(ready == 0 && states[0] == ROOST_PENDING);
  run(engine, worker, ROOST_STORE, lease, 0, grants);
  EXPECT_OK(roost_engine_match(engine, &keys, states, &ready));
  EXPECT(ready == 4 && states[3] == ROOST_READY);

  EXPECT_OK(roost_engine_begin_load(engine, &request, &keys, grants, &lease));
  EXPECT(lease != 0 && grants[0].outcome == ROOST_LEASED);
  run(engine, worker, ROOST_LOAD, lease, 8, grants);
  EXPECT(memcmp(device[8], device[0], 4 * PAGE_BYTES) == 0);

  /* The same in ranges of the page's bytes. */
  uint64_t bounds[64] = {PAGE_BYTES / 4, PAGE_BYTES / 2, PAGE_BYTES / 4};
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_divide(worker, 0, bounds, 3));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_divide(worker, 0, bounds, 64));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_divide(worker, 0, bounds, SIZE_MAX));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_divide(worker, 0, NULL, 1));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_worker_divide(worker, 7, bounds, 2));
  EXPECT_OK(roost_worker_divide(worker, 0, bounds, 2));
  EXPECT_OK(roost_engine_begin_load(engine, &request, &keys, grants, &lease));
  run(engine, worker, ROOST_LOAD_DIVIDED, lease, 4, grants);
  EXPECT(memcmp(device[4], device[0], 4 * PAGE_BYTES) == 0);

  roost_stats stats = {.struct_bytes = sizeof stats};
  EXPECT_OK(roost_engine_stats(engine, &stats));
  EXPECT(stats.published == 4 && stats.leases == 0 && stats.hits + stats.misses == stats.lookups);
  EXPECT_OK(roost_worker_close(worker, 5, NULL));
  uint64_t leaked = 9;
  EXPECT_OK(roost_engine_close(engine, 5, &leaked));
  EXPECT(leaked == 0);
}

/* ---- Threads: calls race with each other and with the closing of the handle ---- */

static roost_engine shared;
static uint32_t shared_identity;

/* Threads that have been through all calls once. */
static atomic_int turning;

static void *call_until_closed(void *unused) {
  (void)unused;
  uint8_t hashes[4 * HASH_BYTES] = {1};
  roost_keys keys = {sizeof keys, shared_identity, 0, hashes, 4, HASH_BYTES};
  roost_request request = make_request(3);
  roost_grant grants[4];
  uint64_t number = 0;
  for (int turn = 0; turn < 1000000; turn++) {
    roost_status status = roost_engine_begin_store(shared, &request, &keys, grants, &number);
    if (status == ROOST_OK && number != 0) status = roost_engine_abort(shared, number);
    if (status == ROOST_OK) status = roost_engine_match(shared, &keys, NULL, &number);
    if (status == ROOST_STALE) return NULL;
    /* While it drains nothing begins. */
    if (status != ROOST_OK && status != ROOST_BUSY) return "an unexpected status";
    if (turn == 0) atomic_fetch_add(&turning, 1);
  }
  return "the handle was never closed";
}

void test_threads(void) {
  pthread_t threads[4];
  shared = make_engine();
  shared_identity = make_identity(shared);
  for (int index = 0; index < 4; index++) EXPECT(pthread_create(&threads[index], NULL, call_until_closed, NULL) == 0);
  /* Half a minute: for a thread that fails in its first turn, which its complaint tells. */
  for (int wait = 0; wait < 30000 && atomic_load(&turning) < 4; wait++) usleep(1000);
  EXPECT(atomic_load(&turning) == 4);
  EXPECT_OK(roost_engine_close(shared, 5, NULL));
  for (int index = 0; index < 4; index++) {
    void *complaint = NULL;
    EXPECT(pthread_join(threads[index], &complaint) == 0);
    if (complaint != NULL) fprintf(stderr, "%s\n", (const char *)complaint);
    EXPECT(complaint == NULL);
  }
}

void test_fork(void) {
  roost_engine engine = make_engine();
  roost_worker worker = attach(engine);
  pid_t child = fork();
  if (child == 0) {
    failure_count = 0;
    roost_stats stats = {.struct_bytes = sizeof stats};
    size_t count = 0;
    roost_completion completion = {.struct_bytes = sizeof completion};
    EXPECT_STATUS(ROOST_STALE, roost_engine_stats(engine, &stats));
    EXPECT(strstr(roost_error_message(), "forked") != NULL);
    EXPECT_STATUS(ROOST_STALE, roost_worker_poll(worker, &completion, 1, &count));
    EXPECT_STATUS(ROOST_STALE, roost_engine_close(engine, 1, NULL));
    roost_engine own = make_engine();
    EXPECT_OK(roost_engine_stats(own, &stats));
    EXPECT_OK(roost_engine_close(own, 1, NULL));
    _exit(failure_count == 0 ? 0 : 1);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  roost_stats stats = {.struct_bytes = sizeof stats};
  EXPECT_OK(roost_engine_stats(engine, &stats));
  EXPECT(stats.workers == 1);
  EXPECT_OK(roost_worker_close(worker, 5, NULL));
  EXPECT_OK(roost_engine_close(engine, 5, NULL));
}
