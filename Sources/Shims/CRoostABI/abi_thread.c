#include "abi_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MESSAGE_BYTES = 2048, CONTEXT_BYTES = 2048 };

static _Thread_local char thread_message[MESSAGE_BYTES];
static _Thread_local char thread_context[CONTEXT_BYTES];

static void keep(char *target, size_t capacity, const char *text, size_t byte_count) {
  size_t length = byte_count < capacity - 1 ? byte_count : capacity - 1;
  /* Not in the middle of a UTF-8 character. */
  if (length < byte_count) {
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) length--;
  }
  if (length > 0) memcpy(target, text, length);
  target[length] = 0;
}

void roost_abi_set_error(const char *message, size_t message_bytes, const char *context, size_t context_bytes) {
  keep(thread_message, MESSAGE_BYTES, message, message_bytes);
  keep(thread_context, CONTEXT_BYTES, context, context_bytes);
}

const char *roost_abi_message(void) { return thread_message; }
const char *roost_abi_context(void) { return thread_context; }

struct numbers {
  size_t capacity;
  uint32_t values[];
};

static pthread_key_t numbers_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint32_t generation;
static _Atomic int has_key;

static void after_fork_in_child(void) {
  atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
  /* Taken by this very thread before the fork. */
  pthread_mutex_unlock(&lock);
}

static void set_up(void) {
  atomic_store(&has_key, pthread_key_create(&numbers_key, free) == 0);
  pthread_atfork(roost_abi_lock, roost_abi_unlock, after_fork_in_child);
}

uint32_t *roost_abi_numbers(size_t count) {
  pthread_once(&once, set_up);
  if (!atomic_load(&has_key) || count > (SIZE_MAX - sizeof(struct numbers)) / sizeof(uint32_t)) return NULL;
  struct numbers *mine = pthread_getspecific(numbers_key);
  if (mine != NULL && mine->capacity >= count) return mine->values;
  size_t capacity = count < 256 ? 256 : count;
  struct numbers *larger = malloc(sizeof(struct numbers) + capacity * sizeof(uint32_t));
  if (larger == NULL || pthread_setspecific(numbers_key, larger) != 0) {
    free(larger);
    return NULL;
  }
  larger->capacity = capacity;
  free(mine);
  return larger->values;
}

uint32_t roost_abi_generation(void) {
  pthread_once(&once, set_up);
  return atomic_load_explicit(&generation, memory_order_relaxed);
}

void roost_abi_lock(void) { pthread_mutex_lock(&lock); }
void roost_abi_unlock(void) { pthread_mutex_unlock(&lock); }
