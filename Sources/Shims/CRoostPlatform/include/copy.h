// Copy loops with run-time dispatch, and a pattern that verifies copies.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// One contiguous copy. The same three words as RoostPrimitives' CopyPiece.
struct roost_copy_piece {
  uintptr_t source;
  uintptr_t target;
  size_t byte_count;
};

/// The loops, slowest first.
enum {
  /// libc's memcpy, piece by piece: any processor.
  ROOST_COPY_PLAIN = 0,
  /// 16-byte vectors, non-temporal stores: NEON on 64-bit Arm, SSE2 on any x86-64.
  ROOST_COPY_NARROW = 1,
  /// 32-byte vectors, streaming stores: x86-64 with AVX2.
  ROOST_COPY_AVX2 = 2,
  /// 64-byte vectors, one streaming store a cache line: x86-64 with AVX-512.
  ROOST_COPY_AVX512 = 3,
  ROOST_COPY_VARIANT_COUNT = 4,
};

/// The fastest variant that this processor has.
int roost_copy_best_variant(void);

/// Whether this processor has `variant`; false for numbers that name none.
bool roost_copy_variant_available(int variant);

/// "plain", "neon" or "sse2", "avx2", "avx512", or "unknown".
const char *roost_copy_variant_name(int variant);

/// Copies `count` pieces, in the order of the array, with the best variant. Any alignment and length. No piece may
/// overlap the target of another, nor its own source. When it returns, the bytes are visible to every thread that
/// synchronises with this one, streaming stores included. Blocks for as long as the copy takes.
void roost_copy_pieces(const struct roost_copy_piece *pieces, size_t count);

/// The same with a chosen variant, for tests and benchmarks. One that this processor lacks is replaced by plain.
void roost_copy_pieces_variant(const struct roost_copy_piece *pieces, size_t count, int variant);

/// Copies `row_count` rows of `row_byte_count` bytes that lie `source_pitch` and `target_pitch` bytes apart.
void roost_copy_rows(
    uintptr_t source, uintptr_t target, size_t row_byte_count, size_t row_count, ptrdiff_t source_pitch,
    ptrdiff_t target_pitch);

/// Fills `byte_count` bytes with words `first_word`, `first_word + 1`, ... of the pattern of `seed`: word i is a mix of
/// (mix of the seed) + i * odd. The target may lie anywhere; a part of a word at the end is written as its first
/// bytes. Streaming stores: the bytes are not left in the cache.
void roost_pattern_fill(void *target, size_t byte_count, uint64_t seed, uint64_t first_word);

/// Compares `byte_count` bytes with what roost_pattern_fill would have written. Returns the number of bytes that
/// differ; if there are any, `out_first` (may be NULL) gets the offset of the first one.
size_t roost_pattern_compare(
    const void *bytes, size_t byte_count, uint64_t seed, uint64_t first_word, size_t *out_first);
