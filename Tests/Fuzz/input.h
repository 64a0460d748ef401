/* The input of a fuzzer, and what is taken from it. */
#ifndef ROOST_FUZZ_INPUT_H
#define ROOST_FUZZ_INPUT_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *input;
static size_t left;

static uint64_t take(size_t bytes) {
  uint64_t value = 0;
  if (bytes > left) bytes = left;
  memcpy(&value, input, bytes);
  input += bytes;
  left -= bytes;
  return value;
}

static uint8_t take_byte(void) { return (uint8_t)take(1); }

/* Mostly a number that makes sense, sometimes any. */
static uint64_t take_number(uint64_t max) {
  uint8_t kind = take_byte();
  return kind < 224 ? kind % (max + 1) : take(8);
}

/* How many elements an array of at most `max` has; a number for which there is no memory is one that is refused. */
static size_t take_count(size_t max) {
  uint64_t count = take_number(max);
  return count <= max ? (size_t)count : (size_t)count | (size_t)1 << 40;
}

/* Memory of exactly this size with bytes of the input; null now and then. */
static void *take_memory(size_t bytes) {
  if (take_byte() == 255) return NULL;
  uint8_t *memory = malloc(bytes == 0 ? 1 : bytes);
  if (memory == NULL) abort();
  size_t known = bytes < left ? bytes : left;
  memset(memory, 0, bytes);
  memcpy(memory, input, known);
  input += known;
  left -= known;
  return memory;
}

#endif
