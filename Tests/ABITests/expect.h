/* Expectations that say where they failed and go on. */
#pragma once

#include <stdio.h>

extern int failure_count;

#define EXPECT(condition)                                                    \
  do {                                                                       \
    if (!(condition)) {                                                      \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);        \
      failure_count++;                                                       \
    }                                                                        \
  } while (0)

/* The call gives this status. */
#define EXPECT_STATUS(wanted, call)                                                                      \
  do {                                                                                                   \
    roost_status status_ = (call);                                                                       \
    if (status_ != (wanted)) {                                                                           \
      fprintf(                                                                                           \
          stderr, "%s:%d: %s gives %s (%s), not %s\n", __FILE__, __LINE__, #call,                        \
          roost_status_name(status_), roost_error_message(), roost_status_name(wanted));                 \
      failure_count++;                                                                                   \
    }                                                                                                    \
  } while (0)

#define EXPECT_OK(call) EXPECT_STATUS(ROOST_OK, call)

/* The parts of the test program; each leaves nothing open. */
void test_handles(void);
void test_structures(void);
void test_whole_path(void);
void test_tier(void);
void test_layouts(void);
void test_devices(void);
void test_threads(void);
void test_fork(void);

/* What they share. */
#include "roost.h"

enum { PAGE_BYTES = 4096, BLOCK_COUNT = 16, HASH_BYTES = 32 };

/* An engine over a small pool, ready. */
roost_engine make_engine(void);
uint32_t make_identity(roost_engine engine);
/* Keys of blocks with hashes that follow from `first`; the hashes are static. */
roost_keys make_keys(uint32_t identity, uint32_t first, size_t count);
roost_request make_request(uint64_t number);
