/* Handles that are closed, of another kind or invented, in every function that takes one. */
#include "expect.h"

#include <string.h>

static void expect_no_engine(roost_engine engine) {
  roost_keys keys = make_keys(0, 1, 4);
  roost_request request = make_request(1);
  roost_completion completion = {.struct_bytes = sizeof completion};
  roost_event event = {.struct_bytes = sizeof event};
  roost_lease lease = {.struct_bytes = sizeof lease};
  roost_stats stats = {.struct_bytes = sizeof stats};
  roost_field field = {sizeof field, "salt", 4, "s", 1};
  roost_grant grants[4];
  roost_range range;
  char text[64];
  size_t size = 7;
  uint64_t number = 7;
  uint32_t identity = 7;
  int32_t flag = 7;
  EXPECT_STATUS(ROOST_STALE, roost_engine_close(engine, 0, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_address(engine, text, sizeof text, &size));
  EXPECT_STATUS(ROOST_STALE, roost_engine_wait_ready(engine, 0, &flag));
  EXPECT_STATUS(ROOST_STALE, roost_engine_slot_count(engine, 0, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_intern(engine, &field, 1, &identity));
  EXPECT_STATUS(ROOST_STALE, roost_engine_forget(engine, &field, 1, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_match(engine, &keys, NULL, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_match_groups(engine, &keys, 1, 64, &range, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_begin_store(engine, &request, &keys, grants, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_touch(engine, &request, &keys));
  EXPECT_STATUS(ROOST_STALE, roost_engine_begin_load(engine, &request, &keys, grants, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_hand_out(engine, 1, 1));
  EXPECT_STATUS(ROOST_STALE, roost_engine_commit(engine, 1));
  EXPECT_STATUS(ROOST_STALE, roost_engine_abort(engine, 1));
  EXPECT_STATUS(ROOST_STALE, roost_engine_end(engine, 1));
  EXPECT_STATUS(ROOST_STALE, roost_engine_reclaim(engine, 1, &number));
  EXPECT_STATUS(ROOST_STALE, roost_engine_poll(engine, &completion, 1, &size));
  EXPECT_STATUS(ROOST_STALE, roost_engine_events(engine, &event, 1, &size));
  EXPECT_STATUS(ROOST_STALE, roost_engine_leases(engine, 0, &lease, 1, &size));
  EXPECT_STATUS(ROOST_STALE, roost_engine_reset(engine, 0));
  EXPECT_STATUS(ROOST_STALE, roost_engine_stats(engine, &stats));
  /* Nothing was written. */
  EXPECT(size == 7 && number == 7 && identity == 7 && flag == 7);
  EXPECT(strlen(roost_error_message()) > 0);
}

static void expect_no_worker(roost_worker worker) {
  roost_completion completion = {.struct_bytes = sizeof completion};
  roost_pages pages = {.struct_bytes = sizeof pages, .shards = 1, .block_count = 1};
  roost_job job = {.struct_bytes = sizeof job};
  size_t size = 7;
  uint32_t number = 7;
  uint64_t bytes = 7;
  int32_t flag = 7;
  EXPECT_STATUS(ROOST_STALE, roost_worker_close(worker, 0, &flag));
  EXPECT_STATUS(ROOST_STALE, roost_worker_attachment(worker, &number));
  EXPECT_STATUS(ROOST_STALE, roost_worker_page_bytes(worker, 0, &bytes));
  EXPECT_STATUS(ROOST_STALE, roost_worker_register(worker, &pages));
  EXPECT_STATUS(ROOST_STALE, roost_worker_submit(worker, &job));
  EXPECT_STATUS(ROOST_STALE, roost_worker_poll(worker, &completion, 1, &size));
  EXPECT_STATUS(ROOST_STALE, roost_worker_wait(worker, 1, 0, &completion));
  EXPECT_STATUS(ROOST_STALE, roost_worker_wait_range(worker, 1, 0, 0));
  EXPECT_STATUS(ROOST_STALE, roost_worker_cancel(worker, 1));
  EXPECT_STATUS(ROOST_STALE, roost_worker_divide(worker, 0, &bytes, 1));
  EXPECT_STATUS(ROOST_STALE, roost_worker_follow(worker, 0, 1));
  EXPECT(size == 7 && number == 7 && bytes == 7 && flag == 7);
}

void test_handles(void) {
  static const uint64_t invented[] = {0, 1, 77, 1ull << 28, 1ull << 28 | 1, 1ull << 32 | 1ull << 28 | 4000, UINT64_MAX};
  for (size_t index = 0; index < sizeof invented / sizeof invented[0]; index++) {
    expect_no_engine(invented[index]);
    expect_no_worker(invented[index]);
  }
  roost_engine engine = make_engine();
  char address[128];
  EXPECT_OK(roost_engine_address(engine, address, sizeof address, NULL));
  roost_worker worker = 0;
  EXPECT_OK(roost_worker_attach(address, NULL, 10, &worker));
  /* Each of the other kind. */
  expect_no_engine(worker);
  expect_no_worker(engine);
  EXPECT_OK(roost_worker_close(worker, 5, NULL));
  expect_no_worker(worker);
  EXPECT_OK(roost_engine_close(engine, 5, NULL));
  expect_no_engine(engine);
  /* The place is used again, the handle is not. */
  roost_engine next = make_engine();
  EXPECT(next != engine);
  expect_no_engine(engine);
  EXPECT_OK(roost_engine_close(next, 5, NULL));
}
