// The copy, fill and compare loops, written once and compiled once a vector width: copy.c includes this file with
//   LOOP_NAME(x)    the name of function x in this variant
//   LOOP_TARGET     the attribute that lets the compiler use the instructions
//   LOOP_BYTES      bytes in a vector: 16, 32 or 64
// Only plain vector arithmetic and the compiler's non-temporal store are used, so one text serves every processor.

typedef uint64_t LOOP_NAME(vector) __attribute__((vector_size(LOOP_BYTES)));
typedef uint64_t LOOP_NAME(loose_vector) __attribute__((vector_size(LOOP_BYTES), aligned(1)));

#define VECTOR LOOP_NAME(vector)
#define LOAD(address) ((VECTOR)(*(const LOOP_NAME(loose_vector) *)(address)))
#define STREAM(address, value) __builtin_nontemporal_store((value), (VECTOR *)(address))
#define VECTORS_A_STEP (STEP_BYTES / LOOP_BYTES)

// One step: STEP_BYTES from anywhere to a target on a cache line. All loads stand before all stores, so that the
// stores fill whole lines back to back: a write-combining buffer that is evicted half full costs a read.
LOOP_TARGET static inline __attribute__((always_inline)) void LOOP_NAME(step)(
    uint8_t *target, const uint8_t *source) {
  VECTOR values[VECTORS_A_STEP];
  _Pragma("clang loop unroll(full)") for (int i = 0; i < VECTORS_A_STEP; i++)
    values[i] = LOAD(source + i * LOOP_BYTES);
  _Pragma("clang loop unroll(full)") for (int i = 0; i < VECTORS_A_STEP; i++)
    STREAM(target + i * LOOP_BYTES, values[i]);
}

LOOP_TARGET static void LOOP_NAME(copy)(const struct roost_copy_piece *pieces, size_t count) {
  struct lookahead ahead = {.pieces = pieces, .count = count};
  lookahead_move(&ahead, 0);
  for (size_t i = 0; i < count; i++) {
    const uint8_t *source = (const uint8_t *)pieces[i].source;
    uint8_t *target = (uint8_t *)pieces[i].target;
    size_t left = pieces[i].byte_count;
    lookahead_fill(&ahead);
    if (left < STREAM_BYTES_MIN) {
      memcpy(target, source, left);
      ahead.lead -= (ptrdiff_t)left;
      continue;
    }
    size_t head = -(uintptr_t)target & (LINE_BYTES - 1);
    if (head != 0) {
      memcpy(target, source, head);
      source += head, target += head, left -= head;
      ahead.lead -= (ptrdiff_t)head;
    }
    if (left >= QUIET_BYTES_MIN) {
      // The processor's own prefetcher has a long run to learn from; asking too costs issue slots. Only the last
      // LOOKAHEAD_BYTES look into the next piece.
      for (; left > LOOKAHEAD_BYTES + STEP_BYTES; left -= STEP_BYTES) {
        LOOP_NAME(step)(target, source);
        source += STEP_BYTES, target += STEP_BYTES;
      }
      lookahead_move(&ahead, i + 1);
      ahead.lead = (ptrdiff_t)left;
    }
    for (; left >= STEP_BYTES; left -= STEP_BYTES) {
      lookahead_fill(&ahead);
      LOOP_NAME(step)(target, source);
      source += STEP_BYTES, target += STEP_BYTES;
      ahead.lead -= STEP_BYTES;
    }
    ahead.lead -= (ptrdiff_t)left;
    for (; left >= LINE_BYTES; left -= LINE_BYTES) {
      for (int i = 0; i < LINE_BYTES / LOOP_BYTES; i++) STREAM(target + i * LOOP_BYTES, LOAD(source + i * LOOP_BYTES));
      source += LINE_BYTES, target += LINE_BYTES;
    }
    if (left != 0) memcpy(target, source, left);
  }
  stream_fence();
}

// Word i of a pattern is scramble(counter of word 0 + i * PATTERN_ODD). Two 32-by-32-bit products mix both halves: the widest
// multiplication that every vector unit has.
LOOP_TARGET static inline __attribute__((always_inline)) VECTOR LOOP_NAME(scramble)(VECTOR counter) {
  VECTOR mixed = counter ^ (counter >> 29);
  VECTOR low = (mixed & 0xFFFFFFFFu) * PATTERN_LOW;
  VECTOR high = (mixed >> 32) * PATTERN_HIGH;
  return low ^ (high << 32) ^ (high >> 32);
}

// The counters of the first words of a buffer.
LOOP_TARGET static inline __attribute__((always_inline)) VECTOR LOOP_NAME(counters)(uint64_t start) {
  VECTOR result;
  for (int i = 0; i < LOOP_BYTES / 8; i++) result[i] = start + (uint64_t)i * PATTERN_ODD;
  return result;
}

// Whole steps only; `target` lies on a vector. Returns the bytes written.
LOOP_TARGET static size_t LOOP_NAME(fill)(uint8_t *target, size_t byte_count, uint64_t start) {
  VECTOR counter = LOOP_NAME(counters)(start);
  const VECTOR stride = (VECTOR){} + (uint64_t)(LOOP_BYTES / 8) * PATTERN_ODD;
  size_t done = 0;
  for (; done + STEP_BYTES <= byte_count; done += STEP_BYTES) {
    VECTOR values[VECTORS_A_STEP];
    _Pragma("clang loop unroll(full)") for (int i = 0; i < VECTORS_A_STEP; i++) {
      values[i] = LOOP_NAME(scramble)(counter);
      counter += stride;
    }
    _Pragma("clang loop unroll(full)") for (int i = 0; i < VECTORS_A_STEP; i++)
      STREAM(target + done + i * LOOP_BYTES, values[i]);
  }
  stream_fence();
  return done;
}

// Whole steps only. Returns the offset of the first step that differs, or the number of bytes that were compared.
LOOP_TARGET static size_t LOOP_NAME(match)(const uint8_t *bytes, size_t byte_count, uint64_t start) {
  VECTOR counter = LOOP_NAME(counters)(start);
  const VECTOR stride = (VECTOR){} + (uint64_t)(LOOP_BYTES / 8) * PATTERN_ODD;
  size_t done = 0;
  for (; done + STEP_BYTES <= byte_count; done += STEP_BYTES) {
    VECTOR wrong = {};
    _Pragma("clang loop unroll(full)") for (int i = 0; i < VECTORS_A_STEP; i++) {
      wrong |= LOAD(bytes + done + i * LOOP_BYTES) ^ LOOP_NAME(scramble)(counter);
      counter += stride;
    }
    uint64_t any = 0;
    for (int i = 0; i < LOOP_BYTES / 8; i++) any |= wrong[i];
    if (any != 0) return done;
  }
  return done;
}

#undef VECTOR
#undef LOAD
#undef STREAM
#undef VECTORS_A_STEP
#undef LOOP_NAME
#undef LOOP_TARGET
#undef LOOP_BYTES
