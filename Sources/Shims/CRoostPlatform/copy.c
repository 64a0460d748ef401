#include "copy.h"

#include <stdatomic.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Sizes, chosen by measurement (docs/performance.md).
#define LINE_BYTES 64
// One step of the loops: four cache lines.
#define STEP_BYTES 256
// Pieces below this go through libc: a streaming store must own whole cache lines to pay.
#define STREAM_BYTES_MIN 256
// How far ahead of the copy the source is asked for, across pieces: about the latency of memory (100 ns) times the
// speed of one thread (20 to 40 GB/s).
#define LOOKAHEAD_BYTES 4096
// From here on the processor's own prefetcher is enough inside a piece.
#define QUIET_BYTES_MIN 65536

// Where the source is being asked for: the first byte not asked for yet, and how far that is ahead of the copy.
struct lookahead {
  const struct roost_copy_piece *pieces;
  size_t count;
  size_t index;
  uintptr_t at;
  size_t left;
  ptrdiff_t lead;
};

static inline __attribute__((always_inline)) void lookahead_move(struct lookahead *ahead, size_t index) {
  ahead->index = index;
  ahead->at = index < ahead->count ? ahead->pieces[index].source : 0;
  ahead->left = index < ahead->count ? ahead->pieces[index].byte_count : 0;
}

// Asks for the source until it is LOOKAHEAD_BYTES ahead. A prefetch never faults, wherever it points.
static inline __attribute__((always_inline)) void lookahead_fill(struct lookahead *ahead) {
  while (ahead->lead < LOOKAHEAD_BYTES && ahead->index < ahead->count) {
    size_t step = ahead->left < STEP_BYTES ? ahead->left : STEP_BYTES;
    if (__builtin_expect(step == STEP_BYTES, 1)) {
      for (int i = 0; i < STEP_BYTES; i += LINE_BYTES) __builtin_prefetch((const void *)(ahead->at + (size_t)i), 0, 3);
    } else {
      for (size_t i = 0; i < step; i += LINE_BYTES) __builtin_prefetch((const void *)(ahead->at + i), 0, 3);
    }
    ahead->at += step, ahead->left -= step, ahead->lead += (ptrdiff_t)step;
    if (ahead->left == 0) lookahead_move(ahead, ahead->index + 1);
  }
}

// Streaming stores are not ordered with later ordinary ones on x86: without this a flag that says "copied" could be
// seen before the bytes.
static inline void stream_fence(void) {
#if defined(__x86_64__)
  _mm_sfence();
#else
  atomic_thread_fence(memory_order_release);
#endif
}

// The pattern: odd 64-bit and 32-bit constants with about half of their bits set (the golden ratio, and two primes of
// the xxHash family).
#define PATTERN_ODD 0x9E3779B97F4A7C15u
#define PATTERN_LOW 0x9E3779B1u
#define PATTERN_HIGH 0x85EBCA77u

#if defined(__x86_64__)
#define LOOP_NAME(x) x##_avx512
#define LOOP_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl")))
#define LOOP_BYTES 64
#include "copy_loop.h"

#define LOOP_NAME(x) x##_avx2
#define LOOP_TARGET __attribute__((target("avx2")))
#define LOOP_BYTES 32
#include "copy_loop.h"
#endif

// 16 bytes: what every 64-bit processor has (NEON, SSE2).
#define LOOP_NAME(x) x##_narrow
#define LOOP_TARGET
#define LOOP_BYTES 16
#include "copy_loop.h"

static void copy_plain(const struct roost_copy_piece *pieces, size_t count) {
  for (size_t i = 0; i < count; i++)
    memcpy((void *)pieces[i].target, (const void *)pieces[i].source, pieces[i].byte_count);
}

bool roost_copy_variant_available(int variant) {
  switch (variant) {
    case ROOST_COPY_PLAIN:
      return true;
#if defined(__aarch64__) || defined(__x86_64__)
    case ROOST_COPY_NARROW:
      return true;
#endif
#if defined(__x86_64__)
    case ROOST_COPY_AVX2:
      return __builtin_cpu_supports("avx2");
    case ROOST_COPY_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#endif
    default:
      return false;
  }
}

int roost_copy_best_variant(void) {
  static _Atomic int known = -1;
  int best = atomic_load_explicit(&known, memory_order_relaxed);
  if (best >= 0) return best;
  best = ROOST_COPY_VARIANT_COUNT - 1;
  while (!roost_copy_variant_available(best)) best--;
  atomic_store_explicit(&known, best, memory_order_relaxed);
  return best;
}

const char *roost_copy_variant_name(int variant) {
#if defined(__aarch64__)
  static const char *const names[ROOST_COPY_VARIANT_COUNT] = {"plain", "neon", "avx2", "avx512"};
#else
  static const char *const names[ROOST_COPY_VARIANT_COUNT] = {"plain", "sse2", "avx2", "avx512"};
#endif
  return variant >= 0 && variant < ROOST_COPY_VARIANT_COUNT ? names[variant] : "unknown";
}

void roost_copy_pieces_variant(const struct roost_copy_piece *pieces, size_t count, int variant) {
  if (!roost_copy_variant_available(variant)) variant = ROOST_COPY_PLAIN;
  switch (variant) {
#if defined(__x86_64__)
    case ROOST_COPY_AVX512:
      copy_avx512(pieces, count);
      return;
    case ROOST_COPY_AVX2:
      copy_avx2(pieces, count);
      return;
#endif
    case ROOST_COPY_NARROW:
      copy_narrow(pieces, count);
      return;
    default:
      copy_plain(pieces, count);
  }
}

void roost_copy_pieces(const struct roost_copy_piece *pieces, size_t count) {
  roost_copy_pieces_variant(pieces, count, roost_copy_best_variant());
}

void roost_copy_rows(
    uintptr_t source, uintptr_t target, size_t row_byte_count, size_t row_count, ptrdiff_t source_pitch,
    ptrdiff_t target_pitch) {
  struct roost_copy_piece pieces[256];
  size_t waiting = 0;
  for (size_t row = 0; row < row_count; row++) {
    pieces[waiting++] = (struct roost_copy_piece){source, target, row_byte_count};
    source += (uintptr_t)source_pitch, target += (uintptr_t)target_pitch;
    if (waiting < sizeof pieces / sizeof *pieces) continue;
    roost_copy_pieces(pieces, waiting);
    waiting = 0;
  }
  if (waiting > 0) roost_copy_pieces(pieces, waiting);
}

static uint64_t pattern_word(uint64_t counter) {
  uint64_t mixed = counter ^ (counter >> 29);
  uint64_t low = (mixed & 0xFFFFFFFFu) * PATTERN_LOW;
  uint64_t high = (mixed >> 32) * PATTERN_HIGH;
  return low ^ (high << 32) ^ (high >> 32);
}

// The counter of word `first_word`. The seed is mixed first (the finisher of SplitMix64), because keys may be numbered.
static uint64_t pattern_counter(uint64_t seed, uint64_t first_word) {
  seed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9u;
  seed = (seed ^ (seed >> 27)) * 0x94D049BB133111EBu;
  return (seed ^ (seed >> 31)) + first_word * PATTERN_ODD;
}

// Word by word, with a part of a word at the end: what the vector loops leave.
static void fill_words(uint8_t *target, size_t byte_count, uint64_t counter) {
  for (size_t done = 0; done < byte_count; done += 8, counter += PATTERN_ODD) {
    uint64_t word = pattern_word(counter);
    memcpy(target + done, &word, byte_count - done < 8 ? byte_count - done : 8);
  }
}

void roost_pattern_fill(void *target, size_t byte_count, uint64_t seed, uint64_t first_word) {
  uint8_t *bytes = target;
  uint64_t counter = pattern_counter(seed, first_word);
  size_t done = 0;
  size_t head = -(uintptr_t)bytes & (LINE_BYTES - 1);
  // A target off the words' own boundary cannot be streamed; it is rare enough to go word by word.
  if (head % 8 == 0 && head < byte_count) {
    fill_words(bytes, head, counter);
    done = head;
    uint64_t start = counter + head / 8 * PATTERN_ODD;
    switch (roost_copy_best_variant()) {
#if defined(__x86_64__)
      case ROOST_COPY_AVX512:
        done += fill_avx512(bytes + done, byte_count - done, start);
        break;
      case ROOST_COPY_AVX2:
        done += fill_avx2(bytes + done, byte_count - done, start);
        break;
#endif
      default:
        done += fill_narrow(bytes + done, byte_count - done, start);
    }
  }
  fill_words(bytes + done, byte_count - done, counter + done / 8 * PATTERN_ODD);
}

static size_t match_steps(const uint8_t *bytes, size_t byte_count, uint64_t counter) {
  switch (roost_copy_best_variant()) {
#if defined(__x86_64__)
    case ROOST_COPY_AVX512:
      return match_avx512(bytes, byte_count, counter);
    case ROOST_COPY_AVX2:
      return match_avx2(bytes, byte_count, counter);
#endif
    default:
      return match_narrow(bytes, byte_count, counter);
  }
}

size_t roost_pattern_compare(
    const void *bytes, size_t byte_count, uint64_t seed, uint64_t first_word, size_t *out_first) {
  const uint8_t *at = bytes;
  uint64_t counter = pattern_counter(seed, first_word);
  size_t wrong = 0;
  for (size_t done = 0; done < byte_count;) {
    done += match_steps(at + done, byte_count - done, counter + done / 8 * PATTERN_ODD);
    // Here a step differs, or less than a step is left: count byte by byte.
    size_t end = byte_count - done < STEP_BYTES ? byte_count : done + STEP_BYTES;
    for (; done < end; done += 8) {
      uint64_t word = pattern_word(counter + done / 8 * PATTERN_ODD);
      for (size_t i = 0; i < 8 && done + i < end; i++) {
        if (at[done + i] == (uint8_t)(word >> (8 * i))) continue;
        if (wrong == 0 && out_first != NULL) *out_first = done + i;
        wrong++;
      }
    }
  }
  return wrong;
}
