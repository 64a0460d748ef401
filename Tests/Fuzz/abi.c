/* Fuzzes the entry points of libroost: the input is a program of calls, with handles, numbers and bytes of its choice.
 *
 * One thing is not left to the input, because no library could check it: pointers with a size are to that much memory. The
 * buffers are allocated for each call in exactly that size, so that the address sanitizer sees one byte too many. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "roost.h"

/* ---- What stays open over all inputs ---- */

enum { PAGE_BYTES = 512, BLOCK_COUNT = 8, KEY_MAX = 12, HANDLE_MAX = 4 };

static roost_engine engines[HANDLE_MAX];
static roost_worker workers[HANDLE_MAX];
static uint64_t leases[8];
static uint32_t identities[4];
static uint8_t device[BLOCK_COUNT * PAGE_BYTES];

static roost_engine some_engine(void) {
  uint8_t kind = take_byte();
  return kind == 255 ? take(8) : kind == 254 ? workers[0] : engines[kind % HANDLE_MAX];
}

static roost_worker some_worker(void) {
  uint8_t kind = take_byte();
  return kind == 255 ? take(8) : kind == 254 ? engines[0] : workers[kind % HANDLE_MAX];
}

static uint64_t some_lease(void) {
  uint8_t kind = take_byte();
  return kind >= 240 ? take(8) : leases[kind % 8];
}

static void keep_lease(uint64_t lease) { leases[lease % 8] = lease; }

static void open_engine(size_t place) {
  static const char *const configs[] = {
      "{\"groups\":[{\"page_bytes\":512,\"tokens_per_block\":4}],\"capacity\":8192,\"events_max\":16}",
      "{\"groups\":[{\"page_bytes\":512,\"tokens_per_block\":4},{\"page_bytes\":512,\"tokens_per_block\":8,\"kind\":"
      "\"window\",\"window_tokens\":8}],\"capacity\":8192,\"verify\":\"host\",\"policy\":\"lru\"}",
  };
  const char *config = configs[place % 2];
  int32_t ready = 0;
  if (engines[place] != 0) (void)roost_engine_close(engines[place], 0, NULL);
  if (roost_engine_open(config, strlen(config), &engines[place]) != ROOST_OK) abort();
  (void)roost_engine_wait_ready(engines[place], 5, &ready);
}

static void attach_worker(size_t place) {
  char address[256];
  roost_region region = {sizeof region, (uint64_t)(uintptr_t)device, sizeof device};
  roost_part part = {.struct_bytes = sizeof part, .block_stride = PAGE_BYTES, .byte_count = PAGE_BYTES};
  roost_pages pages = {.struct_bytes = sizeof pages, .shards = 1, .block_count = BLOCK_COUNT, .regions = &region,
                       .region_count = 1, .parts = &part, .part_count = 1};
  if (workers[place] != 0) (void)roost_worker_close(workers[place], 1, NULL);
  workers[place] = 0;
  if (roost_engine_address(engines[place], address, sizeof address, NULL) != ROOST_OK) return;
  if (roost_worker_attach(address, NULL, 5, &workers[place]) == ROOST_OK) {
    (void)roost_worker_register(workers[place], &pages);
  }
}

/* ---- Calls ---- */

static roost_keys take_keys(void) {
  roost_keys keys = {.struct_bytes = take_number(1) == 0 ? sizeof keys : (size_t)take(1)};
  keys.identity = take_byte() < 240 ? identities[take_byte() % 4] : (uint32_t)take(4);
  keys.group = (uint32_t)take_number(1);
  keys.stride = take_byte() < 240 ? 32 : (size_t)take_number(40);
  keys.count = take_byte() < 240 ? take_byte() % KEY_MAX : take_count(KEY_MAX);
  /* As much memory as the call may read. */
  size_t bytes = keys.count <= 64 && keys.stride <= 64 ? keys.count * keys.stride : 1;
  keys.hashes = take_memory(bytes);
  return keys;
}

static void call_match(void) {
  roost_keys keys = take_keys();
  uint64_t ready = 0;
  uint8_t *states = take_memory(keys.count <= 64 ? keys.count : 1);
  (void)roost_engine_match(some_engine(), &keys, states, &ready);
  free(states);
  free((void *)keys.hashes);
}

static void call_match_groups(void) {
  roost_keys first = take_keys(), second = take_keys();
  second.group = take_byte() < 200 ? 1 : second.group;
  /* The size that the first one states is how far apart they lie: as much memory as it says, and never less than one. */
  size_t stride = first.struct_bytes > sizeof first ? first.struct_bytes : sizeof first;
  char *keys = calloc(2, stride);
  memcpy(keys, &first, sizeof first);
  memcpy(keys + stride, &second, sizeof second);
  roost_range *ranges = malloc(2 * sizeof *ranges);
  uint64_t tokens = 0;
  (void)roost_engine_match_groups(some_engine(), (roost_keys *)keys, 1 + take_byte() % 2, take_number(100), ranges, &tokens);
  free(ranges);
  free(keys);
  free((void *)first.hashes);
  free((void *)second.hashes);
}

static void call_begin(int is_store) {
  roost_keys keys = take_keys();
  roost_request request = {.struct_bytes = sizeof request, .request = take_number(8), .output_tokens = -1};
  roost_grant *grants = take_memory((keys.count <= 64 ? keys.count : 1) * sizeof *grants);
  roost_engine engine = some_engine();
  uint64_t lease = 0;
  roost_status status = is_store ? roost_engine_begin_store(engine, &request, &keys, grants, &lease)
                                 : roost_engine_begin_load(engine, &request, &keys, grants, &lease);
  if (status == ROOST_OK && lease != 0) {
    keep_lease(lease);
    if (take_byte() % 2 == 0) (void)roost_engine_hand_out(engine, lease, 1 + take_byte() % 2);
    int32_t block = (int32_t)take_number(BLOCK_COUNT);
    uint32_t slot[2] = {grants[0].slot, grants[0].generation};
    uint32_t load = take_byte() % 2 == 0 ? ROOST_LOAD : ROOST_LOAD_DIVIDED;
    roost_job job = {sizeof job, take_number(16), lease, is_store ? ROOST_STORE : load, keys.group, &block, slot,
                     grants[0].outcome == (is_store ? ROOST_ADMITTED : ROOST_LEASED), take_byte() % 2, 0};
    if (take_byte() % 2 == 0) (void)roost_worker_submit(some_worker(), &job);
  }
  free(grants);
  free((void *)keys.hashes);
}

static void call_touch(void) {
  roost_keys keys = take_keys();
  roost_request request = {.struct_bytes = sizeof request, .request = take_number(8)};
  (void)roost_engine_touch(some_engine(), &request, &keys);
  free((void *)keys.hashes);
}

static void call_intern(int forgets) {
  static const char *const names[] = {"weights", "salt", "tokens_per_block", "weights_epoch", "hash_scheme", "rope"};
  roost_field fields[2];
  size_t count = take_byte() % 3;
  char *texts[2] = {NULL, NULL};
  for (size_t index = 0; index < count; index++) {
    size_t bytes = take_byte() % 24;
    const char *name = names[take_byte() % 6];
    texts[index] = take_memory(bytes);
    fields[index] = (roost_field){sizeof fields[0], name, strlen(name), texts[index], bytes};
    if (take_byte() == 200) fields[index].name = texts[index], fields[index].name_bytes = bytes;
  }
  uint32_t identity = 0;
  if (forgets) {
    (void)roost_engine_forget(some_engine(), fields, count, NULL);
  } else if (roost_engine_intern(some_engine(), fields, count, &identity) == ROOST_OK) {
    identities[identity % 4] = identity;
  }
  free(texts[0]);
  free(texts[1]);
}

static void call_lease(void) {
  roost_engine engine = some_engine();
  uint64_t lease = some_lease(), count = 0;
  switch (take_byte() % 6) {
    case 0: (void)roost_engine_commit(engine, lease); break;
    case 1: (void)roost_engine_abort(engine, lease); break;
    case 2: (void)roost_engine_end(engine, lease); break;
    case 3: (void)roost_engine_hand_out(engine, lease, (uint32_t)take_number(70)); break;
    case 4: (void)roost_engine_reclaim(engine, take_number(8), &count); break;
    default: (void)roost_engine_reset(engine, 0);
  }
}

static void call_reports(void) {
  size_t capacity = take_byte() % 4, count = 0;
  roost_engine engine = some_engine();
  roost_completion *completions = calloc(capacity + 1, sizeof *completions);
  roost_event *events = calloc(capacity + 1, sizeof *events);
  roost_lease *reports = calloc(capacity + 1, sizeof *reports);
  roost_stats stats = {.struct_bytes = sizeof stats};
  completions[0].struct_bytes = take_byte() < 250 ? sizeof *completions : take(2);
  /* A larger size than the memory's would be a lie that nobody can see through. */
  if (completions[0].struct_bytes > sizeof *completions) completions[0].struct_bytes = 8;
  events[0].struct_bytes = sizeof *events;
  reports[0].struct_bytes = sizeof *reports;
  (void)roost_engine_poll(engine, completions, capacity, &count);
  (void)roost_worker_poll(some_worker(), completions, capacity, &count);
  (void)roost_engine_events(engine, events, capacity, &count);
  (void)roost_engine_leases(engine, 0, reports, capacity, &count);
  (void)roost_engine_stats(engine, &stats);
  if (stats.hits + stats.misses != stats.lookups || stats.allocated + stats.free != stats.capacity) abort();
  free(completions);
  free(events);
  free(reports);
}

static void call_register(void) {
  roost_region region = {sizeof region, (uint64_t)(uintptr_t)device, sizeof device};
  if (take_byte() > 200) region.address = take(8) % 4096;
  char *layouts[2] = {take_memory(48), take_memory(48)};
  roost_part part = {sizeof part, take_number(1), take_number(255), take_number(255), take_number(255), take_number(255),
                     NULL, 0, NULL, 0};
  if (take_byte() % 2 == 0) {
    part.device_layout = layouts[0];
    part.slot_layout = layouts[1];
    part.device_layout_bytes = part.slot_layout_bytes = 48;
  }
  roost_pages pages = {sizeof pages, (uint32_t)take_number(1), (uint32_t)take_number(2), (uint32_t)take_number(3), 0,
                       take_number(BLOCK_COUNT), &region, take_count(1), &part, take_count(1)};
  /* Regions stay within the device's memory, whatever the input says. */
  (void)roost_worker_register(some_worker(), &pages);
  free(layouts[0]);
  free(layouts[1]);
}

static void call_open(void) {
  size_t bytes = take_byte();
  char *config = take_memory(bytes);
  roost_engine engine = 0;
  /* An input must not choose a directory of this machine, nor ask for its memory. */
  if (config != NULL && memmem(config, bytes, "dir", 3) == NULL && memmem(config, bytes, "\\u", 2) == NULL) {
    if (roost_engine_open(config, bytes, &engine) == ROOST_OK) (void)roost_engine_close(engine, 0, NULL);
  }
  free(config);
}

static void call_rest(void) {
  char text[64];
  size_t bytes = 0;
  uint64_t number = 0;
  uint32_t small = 0;
  switch (take_byte() % 9) {
    case 0: (void)roost_engine_address(some_engine(), text, take_byte() % sizeof text, &bytes); break;
    case 1: (void)roost_engine_slot_count(some_engine(), (uint32_t)take_number(3), &number); break;
    case 2: (void)roost_worker_attachment(some_worker(), &small); break;
    case 3: (void)roost_worker_page_bytes(some_worker(), (uint32_t)take_number(3), &number); break;
    case 4: (void)roost_worker_cancel(some_worker(), take_number(16)); break;
    case 7: {
      uint64_t bounds[2] = {take_number(255), take_number(255)};
      (void)roost_worker_divide(some_worker(), (uint32_t)take_number(2), bounds, take_byte() % 3);
      break;
    }
    case 8: (void)roost_worker_wait_range(some_worker(), take_number(16), (uint32_t)take_number(9), 0); break;
    case 5: {
      roost_completion completion = {.struct_bytes = sizeof completion};
      (void)roost_worker_wait(some_worker(), take_number(16), 0, &completion);
      break;
    }
    default: {
      size_t count = take_byte() % 20, hashes = take_byte() % 80;
      void *tokens = take_memory(4 * count), *out = take_memory(hashes);
      (void)roost_hash_tokens(tokens, count, (size_t)take_number(9), out, hashes, &bytes);
      free(tokens);
      free(out);
    }
  }
}

/* ---- Layouts ---- */

/* A text that makes sense, or any. */
static roost_text take_text(const char *const *known, size_t count, char **out_memory) {
  uint8_t kind = take_byte();
  *out_memory = NULL;
  if (kind < 160) return (roost_text){known[kind % count], strlen(known[kind % count])};
  size_t bytes = take_byte() % 96;
  *out_memory = take_memory(bytes);
  return (roost_text){*out_memory, bytes};
}

static void call_layout(void) {
  static const char planes[] =
      "{\"planes\":[{\"axes\":[[\"block\",3,99],[\"a\",4,8]],\"itemsize\":8},{\"axes\":[[\"block\",3,99]],\"itemsize\":3,"
      "\"offset\":40}],\"opaque\":true}";
  static const char *const layouts[] = {
      "{\"axes\":[[\"block\",3,512],[\"head\",4,128],[\"token\",8,16],[\"byte\",16,1]],\"itemsize\":1}",
      "{\"axes\":[[\"block\",3,512],[\"token\",8,64],[\"head\",4,16],[\"byte\",16,1]],\"itemsize\":1,\"offset\":8}",
      planes,
  };
  static const char *const steps[] = {
      "[[\"narrow\",\"head\",1,2],[\"select\",\"block\",1]]", "[[\"split\",\"token\",2,\"block\"]]", "[\"block\",\"head\"]",
      "[[\"shard\",\"head\",4,1,2],[\"offset\",7]]", "{\"blocks\":3,\"tokens\":4}", "[]",
  };
  static const char *const names[] = {"lbhnc", "mla", "mamba", "planar-scales", "page-head"};
  char *memory[2], answer[256];
  size_t count = 0, room = take_byte() % 200;
  uint8_t verb = take_byte() % 5;
  roost_text first = verb == 1 ? take_text(names, 5, &memory[0]) : take_text(layouts, 3, &memory[0]);
  roost_text second = verb < 3 ? take_text(steps, 6, &memory[1]) : take_text(layouts, 3, &memory[1]);
  /* Exactly as much memory as the call may write. */
  roost_piece *rows = malloc(room * sizeof *rows + 1);
  switch (verb) {
    case 0: (void)roost_layout_apply(first, second, answer, room % sizeof answer, &count); break;
    case 1: (void)roost_layout_named(first, second, answer, sizeof answer, &count); break;
    case 2: (void)roost_layout_descriptors(first, second, take(8), take(2), (roost_descriptor *)rows, room, &count); break;
    case 3: (void)roost_layout_plan(first, second, answer, sizeof answer, &count); break;
    default: (void)roost_layout_pieces(first, second, take(8), take(8), rows, room, &count);
  }
  free(rows);
  free(memory[0]);
  free(memory[1]);
}

/* ---- Devices ---- */

enum { BLOCK_BYTES = 64, HANDLES = 16 };

/* Devices, streams, events and blocks, in one list: most calls get what they want, some get what they do not. */
static uint64_t handles[HANDLES];

static uint64_t some_handle(void) {
  uint8_t kind = take_byte();
  return kind >= 250 ? take(8) : handles[kind % HANDLES];
}

static void keep_handle(roost_status status, uint64_t handle) {
  if (status == ROOST_OK) handles[take_byte() % HANDLES] = handle;
}

static void call_device_opening(void) {
  static const char *const configs[] = {
      "{}", "{\"seed\":7,\"memory_bytes\":8192}", "{\"capabilities\":[\"event-timing\"]}", "{\"efficient_run_bytes\":3}"};
  uint64_t made = 0, owner = some_handle();
  char *memory = NULL;
  switch (take_byte() % 6) {
    case 0: {
      roost_text config = take_text(configs, 4, &memory);
      keep_handle(roost_device_mock(config, &made), made);
      break;
    }
    case 1: keep_handle(roost_device_open("cpu", &made), made); break;
    case 2: keep_handle(roost_stream_open(owner, (uint32_t)take_number(1), &made), made); break;
    case 3: keep_handle(roost_device_event_open(owner, &made), made); break;
    case 4: keep_handle(roost_device_allocate(owner, take_byte() < 240 ? BLOCK_BYTES : take(8), &made, 1), made); break;
    default: keep_handle(roost_block_migrate(owner, some_handle(), 1, &made), made);
  }
  free(memory);
}

static void call_stream_copy(void) {
  /* Static, because a copy may go on when this returns. */
  static uint8_t host[BLOCK_BYTES];
  roost_piece pieces[2];
  for (size_t index = 0; index < 2; index++) {
    pieces[index] = (roost_piece){take_number(BLOCK_BYTES), take_number(BLOCK_BYTES), take_number(BLOCK_BYTES)};
  }
  roost_copy copies[2] = {{0}};
  size_t count = take_byte() % 3;
  for (size_t index = 0; index < count; index++) {
    uint8_t kind = take_byte();
    copies[index] = (roost_copy){sizeof copies[0], kind & 1 ? some_handle() : 0, kind & 2 ? some_handle() : 0,
                                 kind & 4 ? (uint64_t)(uintptr_t)host : 0, BLOCK_BYTES, kind & 8 ? pieces : NULL, kind >> 6};
    if (copies[index].piece_count > 2) copies[index].piece_count = 2;
  }
  (void)roost_stream_copy(some_handle(), copies, count);
}

static void call_device(void) {
  uint64_t first = some_handle(), second = some_handle(), bytes = 0;
  int32_t flag = 0;
  double seconds = 0;
  roost_memory memory = {.struct_bytes = take_byte() < 250 ? sizeof memory : 8};
  switch (take_byte() % 20) {
    case 0: (void)roost_device_close(first); break;
    case 1: (void)roost_device_memory(first, &memory); break;
    case 2: (void)roost_device_wait(first, 1); break;
    case 3: (void)roost_block_free(&first, 1); break;
    case 4: (void)roost_block_place(first, &bytes, &bytes); break;
    case 5: (void)roost_stream_close(first, 1, &flag); break;
    case 6: (void)roost_stream_query(first, &flag); break;
    case 7: (void)roost_stream_wait(first, 0.01); break;
    case 8: (void)roost_stream_reset(first); break;
    case 9: (void)roost_stream_record(first, second); break;
    case 10: (void)roost_stream_follow(first, second); break;
    case 11: (void)roost_device_event_close(first); break;
    case 12: (void)roost_device_event_query(first, &flag); break;
    case 13: (void)roost_device_event_wait(first, 0.01); break;
    case 14: (void)roost_device_event_seconds(first, second, &seconds); break;
    case 15: case 16: case 17: call_stream_copy(); break;
    default: call_device_opening();
  }
}

/* ---- What came later ---- */

static void call_prefetch(void) {
  roost_keys keys = take_keys();
  roost_request request = {.struct_bytes = take_byte() < 250 ? sizeof request : 8, .request = take_number(8)};
  uint32_t answer = 0;
  uint64_t prefetch = 0;
  /* One list: a second one would lie where the first one says, see call_match_groups. */
  (void)roost_engine_prefetch(some_engine(), &request, &keys, take_number(1), (double)take_number(2), &answer, &prefetch);
  free((void *)keys.hashes);
}

static void call_text(void) {
  static const char *const lists[] = {"[\"event-timing\",\"strided-copy\"]", "[]", "[\"wings\"]"};
  size_t room = take_byte(), bytes = 0;
  char *memory = NULL, *text = malloc(room + 1);
  uint64_t handle = some_handle();
  if (take_byte() % 2 == 0) {
    (void)roost_device_require(handle, take_text(lists, 3, &memory));
  } else {
    (void)roost_device_describe(handle, text, room, &bytes);
  }
  /* Never null, and they end. */
  if (strlen(roost_error_message()) + strlen(roost_error_context()) > 1 << 20) abort();
  if (strlen(roost_status_name((roost_status)take(4))) == 0) abort();
  free(text);
  free(memory);
}

static void call_later(void) {
  roost_prefetch_progress progress = {.struct_bytes = take_byte() < 250 ? sizeof progress : 8};
  roost_tier_stats stats = {.struct_bytes = take_byte() < 250 ? sizeof stats : 8};
  switch (take_byte() % 6) {
    case 0: call_prefetch(); break;
    case 1: (void)roost_engine_prefetch_progress(some_engine(), take_number(3), &progress); break;
    case 2: (void)roost_engine_prefetch_end(some_engine(), take_number(3)); break;
    case 3: (void)roost_engine_tier_stats(some_engine(), &stats); break;
    /* Of the processor's streams none is foreign: whatever the number, nobody looks where it points. */
    case 4: (void)roost_worker_follow(some_worker(), take(8), (int32_t)take_number(1)); break;
    default: call_text();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int is_set_up, turn;
  input = data;
  left = size;
  if (!is_set_up) {
    for (size_t place = 0; place < 2; place++) {
      open_engine(place);
      attach_worker(place);
    }
    is_set_up = 1;
  }
  while (left > 0) {
    /* So numbered that what came later left the corpus its meaning. */
    uint8_t kind = take_byte();
    switch (kind < 224 ? kind % 14 : kind < 236 ? 14 : kind < 250 ? 15 : 16) {
      case 0: case 1: call_match(); break;
      case 2: call_match_groups(); break;
      case 3: case 4: call_begin(1); break;
      case 5: case 6: call_begin(0); break;
      case 7: call_touch(); break;
      case 8: call_intern(take_byte() > 200); break;
      case 9: call_lease(); break;
      case 10: call_reports(); break;
      case 11: call_register(); break;
      case 12: call_rest(); break;
      case 13: call_open(); break;
      case 14: call_layout(); break;
      case 15: call_device(); break;
      default: call_later();
    }
  }
  /* Of what kind a handle is nobody remembers: three of four refuse it. */
  for (size_t index = 0; index < HANDLES; index++) {
    (void)roost_block_free(&handles[index], 1);
    (void)roost_stream_close(handles[index], 1, NULL);
    (void)roost_device_event_close(handles[index]);
    (void)roost_device_close(handles[index]);
    handles[index] = 0;
  }
  for (size_t index = 0; index < 2; index++) {
    /* Leases would pile up, and what one input leaves behind should not make up the next one's world for ever. */
    for (uint64_t request = 0; request < 9; request++) (void)roost_engine_reclaim(engines[index], request, NULL);
    roost_completion done[16] = {{.struct_bytes = sizeof done[0]}};
    size_t count = 0;
    (void)roost_worker_poll(workers[index], done, 16, &count);
  }
  if (++turn % 20000 == 0) {
    size_t place = (size_t)(turn / 20000) % 2;
    open_engine(place);
    attach_worker(place);
  }
  return 0;
}
