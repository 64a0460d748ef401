/* Devices: what they do, and what they refuse. */
#include "expect.h"

#include <string.h>

enum { BYTES = 1000 };

static roost_text text(const char *bytes) { return (roost_text){bytes, strlen(bytes)}; }

static void test_what_devices_do(void) {
  roost_device cpu = 0, mock = 0;
  roost_stream stream = 0, other = 0;
  roost_device_event start = 0, end = 0;
  roost_block blocks[2], moved = 0;
  roost_memory memory = {.struct_bytes = sizeof memory};
  char host[BYTES], back[BYTES] = {0}, answer[2048];
  int32_t flag = 7;
  uint64_t address = 0, bytes = 0;
  double seconds = -1;
  memset(host, 42, sizeof host);
  EXPECT_OK(roost_device_survey(answer, sizeof answer, NULL));
  EXPECT(strstr(answer, "\"cpu:0\"") != NULL);
  EXPECT_OK(roost_device_open("cpu", &cpu));
  EXPECT_OK(roost_device_mock(text("{\"seed\":3,\"memory_bytes\":65536,\"capabilities\":[\"batched-copy\"]}"), &mock));
  EXPECT_OK(roost_device_describe(mock, answer, sizeof answer, NULL));
  EXPECT(strstr(answer, "\"mock:3\"") != NULL && strstr(answer, "[\"batched-copy\"]") != NULL);
  EXPECT_OK(roost_device_require(mock, text("[\"batched-copy\"]")));
  EXPECT_STATUS(ROOST_UNSUPPORTED, roost_device_require(mock, text("[\"event-timing\"]")));
  EXPECT_OK(roost_device_allocate(cpu, BYTES, blocks, 2));
  EXPECT_OK(roost_stream_open(cpu, ROOST_PRIORITY_NORMAL, &stream));
  EXPECT_OK(roost_stream_open(cpu, ROOST_PRIORITY_HIGH, &other));
  EXPECT_OK(roost_device_event_open(cpu, &start));
  EXPECT_OK(roost_device_event_open(cpu, &end));
  EXPECT_OK(roost_device_event_query(end, &flag));
  EXPECT(flag == 1);
  EXPECT_OK(roost_stream_record(stream, start));
  roost_piece halves[2] = {{500, 0, 500}, {0, 500, 500}};
  roost_copy in[1] = {{sizeof in[0], 0, blocks[0], (uint64_t)(uintptr_t)host, BYTES, halves, 2}};
  roost_copy across[1] = {{sizeof across[0], blocks[0], blocks[1], 0, 0, NULL, 0}};
  roost_copy out[1] = {{sizeof out[0], blocks[1], 0, (uint64_t)(uintptr_t)back, BYTES, NULL, 0}};
  EXPECT_OK(roost_stream_copy(stream, in, 1));
  EXPECT_OK(roost_stream_copy(stream, across, 1));
  EXPECT_OK(roost_stream_record(stream, end));
  EXPECT_OK(roost_stream_follow(other, end));
  EXPECT_OK(roost_stream_copy(other, out, 1));
  EXPECT_OK(roost_stream_wait(other, 10));
  EXPECT(memcmp(host, back, BYTES) == 0);
  EXPECT_OK(roost_device_event_wait(end, 10));
  EXPECT_OK(roost_device_event_seconds(start, end, &seconds));
  EXPECT(seconds >= 0);
  EXPECT_OK(roost_stream_query(other, &flag));
  EXPECT_OK(roost_stream_reset(other));
  EXPECT_OK(roost_block_place(blocks[0], &address, &bytes));
  EXPECT(address != 0 && bytes == BYTES);
  EXPECT_OK(roost_device_wait(cpu, 10));
  EXPECT_OK(roost_device_memory(cpu, &memory));
  EXPECT(memory.block_count == 2 && memory.block_bytes == 2 * BYTES && memory.struct_bytes == sizeof memory);
  EXPECT_OK(roost_block_migrate(blocks[1], mock, 10, &moved));
  EXPECT_STATUS(ROOST_STALE, roost_block_place(blocks[1], &address, &bytes));
  EXPECT_OK(roost_block_migrate(moved, mock, 10, &blocks[1]));
  EXPECT(moved == blocks[1]);
  EXPECT_OK(roost_block_free(blocks, 2));
  EXPECT_STATUS(ROOST_STALE, roost_block_free(blocks, 2));
  EXPECT_OK(roost_stream_close(stream, 5, &flag));
  EXPECT(flag == 1);
  EXPECT_OK(roost_stream_close(other, 5, NULL));
  EXPECT_OK(roost_device_event_close(start));
  EXPECT_OK(roost_device_event_close(end));
  EXPECT_OK(roost_device_memory(cpu, &memory));
  EXPECT(memory.block_count == 0 && memory.block_bytes == 0);
  EXPECT_OK(roost_device_close(cpu));
  EXPECT_OK(roost_device_close(mock));
}

static void expect_nothing(uint64_t handle) {
  char answer[64];
  int32_t flag = 7;
  uint64_t number = 7;
  double seconds = 7;
  roost_memory memory = {.struct_bytes = sizeof memory};
  roost_copy copy = {.struct_bytes = sizeof copy};
  EXPECT_STATUS(ROOST_STALE, roost_device_close(handle));
  EXPECT_STATUS(ROOST_STALE, roost_device_describe(handle, answer, sizeof answer, NULL));
  EXPECT_STATUS(ROOST_STALE, roost_device_require(handle, text("[]")));
  EXPECT_STATUS(ROOST_STALE, roost_device_memory(handle, &memory));
  EXPECT_STATUS(ROOST_STALE, roost_device_wait(handle, 0));
  EXPECT_STATUS(ROOST_STALE, roost_device_allocate(handle, 1, &number, 1));
  EXPECT_STATUS(ROOST_STALE, roost_stream_open(handle, 0, &number));
  EXPECT_STATUS(ROOST_STALE, roost_device_event_open(handle, &number));
  EXPECT_STATUS(ROOST_STALE, roost_stream_close(handle, 0, &flag));
  EXPECT_STATUS(ROOST_STALE, roost_stream_copy(handle, &copy, 1));
  EXPECT_STATUS(ROOST_STALE, roost_stream_query(handle, &flag));
  EXPECT_STATUS(ROOST_STALE, roost_stream_wait(handle, 0));
  EXPECT_STATUS(ROOST_STALE, roost_stream_reset(handle));
  EXPECT_STATUS(ROOST_STALE, roost_stream_record(handle, handle));
  EXPECT_STATUS(ROOST_STALE, roost_stream_follow(handle, handle));
  EXPECT_STATUS(ROOST_STALE, roost_device_event_close(handle));
  EXPECT_STATUS(ROOST_STALE, roost_device_event_query(handle, &flag));
  EXPECT_STATUS(ROOST_STALE, roost_device_event_wait(handle, 0));
  EXPECT_STATUS(ROOST_STALE, roost_device_event_seconds(handle, handle, &seconds));
  EXPECT_STATUS(ROOST_STALE, roost_block_free(&handle, 1));
  EXPECT_STATUS(ROOST_STALE, roost_block_place(handle, &number, &number));
  EXPECT_STATUS(ROOST_STALE, roost_block_migrate(handle, handle, 0, &number));
  EXPECT(flag == 7 && number == 7 && seconds == 7);
}

static void test_what_devices_refuse(void) {
  static const uint64_t invented[] = {
      0, 1, 77, 3ull << 28 | 1, 6ull << 28 | 9, 1ull << 32 | 4ull << 28 | 4000, UINT64_MAX};
  for (size_t index = 0; index < sizeof invented / sizeof invented[0]; index++) expect_nothing(invented[index]);
  roost_engine engine = make_engine();
  expect_nothing(engine);
  EXPECT_OK(roost_engine_close(engine, 5, NULL));
  roost_device device = 0;
  roost_block blocks[2];
  roost_stream stream = 0;
  uint64_t number = 7;
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_open(NULL, &device));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_open("cpu", NULL));
  EXPECT_STATUS(ROOST_NOT_FOUND, roost_device_open("abacus", &device));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_mock((roost_text){NULL, 9}, &device));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_mock(text("{\"sed\":1}"), &device));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_mock(text("{\"memory_bytes\":99999999999999}"), &device));
  EXPECT_OK(roost_device_mock(text("{}"), &device));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_require(device, text("[7]")));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_allocate(device, 0, blocks, 1));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_allocate(device, UINT64_MAX, blocks, 1));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_allocate(device, 1, blocks, SIZE_MAX));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_allocate(device, 1, NULL, 1));
  EXPECT_STATUS(ROOST_OUT_OF_RESOURCES, roost_device_allocate(device, 1ull << 40, blocks, 1));
  EXPECT_OK(roost_device_allocate(device, BYTES, blocks, 2));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_stream_open(device, 2, &stream));
  EXPECT_OK(roost_stream_open(device, 0, &stream));
  char host[BYTES] = {0};
  const uint64_t place = (uint64_t)(uintptr_t)host;
  roost_piece far = {0, BYTES, 1}, crooked[2] = {{0, 0, 1}};
  const roost_piece *odd = (const roost_piece *)((char *)crooked + 1);
  const roost_copy wrong[] = {
      {sizeof wrong[0], 0, 0, place, BYTES, NULL, 0},
      {sizeof wrong[0], blocks[0], 0, 0, BYTES, NULL, 0},
      {sizeof wrong[0], blocks[0], 0, UINT64_MAX - 3, BYTES, NULL, 0},
      {sizeof wrong[0], blocks[0], 0, place, BYTES - 1, NULL, 0},
      {sizeof wrong[0], blocks[0], 0, place, BYTES, &far, 1},
      {sizeof wrong[0], blocks[0], 0, place, BYTES, odd, 1},
      {sizeof wrong[0], blocks[0], 0, place, BYTES, &far, SIZE_MAX},
      {7, blocks[0], 0, place, BYTES, NULL, 0},
  };
  for (size_t index = 0; index < sizeof wrong / sizeof wrong[0]; index++) {
    EXPECT_STATUS(ROOST_INVALID_INPUT, roost_stream_copy(stream, &wrong[index], 1));
  }
  EXPECT_STATUS(ROOST_STALE, roost_stream_copy(stream, &(roost_copy){.struct_bytes = sizeof(roost_copy), .source = blocks[0] + 5}, 1));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_stream_copy(stream, NULL, 1));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_stream_copy(stream, wrong, SIZE_MAX));
  EXPECT_OK(roost_stream_copy(stream, NULL, 0));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_device_memory(device, &(roost_memory){.struct_bytes = 3}));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_block_free(NULL, 1));
  EXPECT_STATUS(ROOST_INVALID_INPUT, roost_block_place(blocks[0], NULL, &number));
  /* Named twice: the second time it is over. */
  roost_block twice[2] = {blocks[0], blocks[0]};
  EXPECT_STATUS(ROOST_STALE, roost_block_free(twice, 2));
  EXPECT_OK(roost_block_free(&blocks[1], 1));
  expect_nothing(blocks[1]);
  /* What belongs to a device outlives its handle. */
  EXPECT_OK(roost_device_close(device));
  EXPECT_OK(roost_stream_wait(stream, 1));
  EXPECT_OK(roost_stream_close(stream, 1, NULL));
}

void test_devices(void) {
  test_what_devices_do();
  test_what_devices_refuse();
}
