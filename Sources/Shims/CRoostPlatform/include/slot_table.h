// The format of a pool's slot table: the segment that says what lies in which slot. The owner writes it, workers map it
// read-only, the next owner of a kept pool reads it. C, because its layout is fixed. Any change here raises
// ROOST_TABLE_FORMAT. Native byte order: the table never leaves the machine, and not even its boot.
#pragma once
#include <stdint.h>

#define ROOST_TABLE_MAGIC 0x4C4F4F5054534F52ULL  // "ROSTPOOL"

enum {
  ROOST_TABLE_FORMAT = 1,
  ROOST_TABLE_CLASSES = 64,
  ROOST_TABLE_HEADER_BYTES = 4096,
};

struct roost_table_class {
  uint64_t slot_bytes;    // what was asked for
  uint64_t stride_bytes;  // from one slot to the next
};

// What never changes while the table lives, and the hash over it.
struct roost_table_header {
  uint64_t magic;
  uint32_t format;
  uint32_t user;
  uint64_t boot_token[2];
  uint64_t pool_token;     // random; seeds every check in this table, so that no row of another table passes
  uint64_t content_token;  // the application's; pages are of use only to an owner that brings the same
  uint64_t capacity_bytes;
  uint64_t chunk_bytes;         // of every chunk but the last
  uint64_t chunk_stride_bytes;  // from one chunk to the next in address space
  uint64_t last_chunk_bytes;
  uint32_t chunk_count;
  uint32_t class_count;
  uint32_t slot_count_max;
  uint32_t identity_count_max;
  uint64_t identities_offset;
  uint64_t rows_offset;
  uint64_t table_bytes;
  uint32_t keep;
  uint32_t reserved;
  struct roost_table_class classes[ROOST_TABLE_CLASSES];
  uint64_t check;
};

// Who owns the pool now: for messages only, the lock decides.
struct roost_table_owner {
  uint32_t pid;
  uint32_t reserved;
  uint64_t start_time;  // in clock ticks since boot, /proc/PID/stat
};

enum { ROOST_TABLE_OWNER_OFFSET = 2048, ROOST_TABLE_CHUNKS_OFFSET = ROOST_TABLE_HEADER_BYTES };

enum { ROOST_CHUNK_ABSENT = 0, ROOST_CHUNK_COMMITTED = 1, ROOST_CHUNK_CUT = 2 };

struct roost_table_chunk {
  uint32_t state;  // stored last
  uint32_t slot_class;
  uint32_t first_slot;
  uint32_t slot_count;
  uint64_t byte_count;
  uint64_t check;  // over the fields between, state ROOST_CHUNK_CUT assumed
};

struct roost_table_identity {
  uint64_t digest[4];
  uint64_t check;
};

enum { ROOST_ROW_EMPTY = 0, ROOST_ROW_FILLING = 1, ROOST_ROW_READY = 2, ROOST_ROW_SEALED = 3 };

// Protocol of a row. The owner, and nobody else: 1. stores `state` = empty; 2. stores every other field, `check` among
// them; 3. stores `state`, in one word with `generation`. Between any two of these its process may be killed. A reader
// believes a row whose state is not empty and whose check (over all other fields and the state) holds: killed before 3,
// the state is empty.
struct roost_table_row {
  uint32_t identity;
  uint16_t group;
  uint8_t hash_bytes;
  uint8_t reserved;
  uint64_t hash[4];
  uint32_t generation;  // low half of a word
  uint32_t state;       // high half of it
  uint32_t byte_count;
  uint32_t representation;
  uint64_t seal[2];
  uint64_t check;
};

_Static_assert(sizeof(struct roost_table_header) <= ROOST_TABLE_OWNER_OFFSET, "the header overlaps the owner");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the state is the high half of its word");
_Static_assert(sizeof(struct roost_table_chunk) == 32, "a chunk has 32 bytes");
_Static_assert(sizeof(struct roost_table_row) == 80, "a row has 80 bytes");
