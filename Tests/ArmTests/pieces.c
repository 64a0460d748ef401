/* The pieces of C that depend on the processor or on the kernel's interface, against plain versions of themselves. Prints
 * its seed; argv[1] sets it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "CRoostPlatform.h"
#include "abi_thread.h"

static int failures;
#define EXPECT(condition)                                              \
  do {                                                                 \
    if (!(condition)) {                                                \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      failures++;                                                      \
    }                                                                  \
  } while (0)

static uint64_t state;

static uint64_t pick(uint64_t bound) {
  state += 0x9E3779B97F4A7C15u;
  uint64_t word = state;
  word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9u;
  word = (word ^ (word >> 27)) * 0x94D049BB133111EBu;
  return (word ^ (word >> 31)) % bound;
}

/* ---- Copies ---- */

enum { ARENA_BYTES = 1 << 20, PIECES_MAX = 40 };
static uint8_t source[ARENA_BYTES], target[ARENA_BYTES], expected[ARENA_BYTES];

static size_t pick_length(void) {
  switch (pick(5)) {
    case 0: return pick(64);
    case 1: return 192 + pick(128);
    case 2: return 256 * (1 + pick(20));
    case 3: return pick(10000);
    default: return pick(150000);
  }
}

/* Pieces at any distance from a cache line; what lies between them must stay. */
static size_t pick_pieces(struct roost_copy_piece *pieces) {
  size_t count = 0, at = pick(200);
  while (count < PIECES_MAX) {
    size_t length = pick_length();
    if (at + length > ARENA_BYTES) break;
    size_t from = pick(ARENA_BYTES - length);
    pieces[count++] = (struct roost_copy_piece){(uintptr_t)source + from, (uintptr_t)target + at, length};
    for (size_t index = 0; index < length; index++) expected[at + index] = source[from + index];
    at += length + pick(300);
  }
  return count;
}

static void test_copies(void) {
  for (size_t index = 0; index < ARENA_BYTES; index++) source[index] = (uint8_t)pick(256);
  for (int variant = 0; variant < ROOST_COPY_VARIANT_COUNT; variant++) {
    if (!roost_copy_variant_available(variant)) continue;
    for (int trial = 0; trial < 40; trial++) {
      struct roost_copy_piece pieces[PIECES_MAX];
      memset(target, 0xA5, sizeof target);
      memset(expected, 0xA5, sizeof expected);
      size_t count = pick_pieces(pieces);
      roost_copy_pieces_variant(pieces, count, variant);
      if (memcmp(target, expected, sizeof target) != 0) {
        fprintf(stderr, "copy %s, trial %d: other bytes\n", roost_copy_variant_name(variant), trial);
        failures++;
      }
    }
  }
  memset(target, 0, sizeof target);
  memset(expected, 0, sizeof expected);
  for (size_t row = 0; row < 300; row++) memcpy(expected + row * 1000, source + row * 700, 600);
  roost_copy_rows((uintptr_t)source, (uintptr_t)target, 600, 300, 700, 1000);
  EXPECT(memcmp(target, expected, sizeof target) == 0);
}

/* The pattern as its header describes it, byte by byte. */
static uint8_t pattern_byte(uint64_t seed, uint64_t offset) {
  seed = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9u;
  seed = (seed ^ (seed >> 27)) * 0x94D049BB133111EBu;
  uint64_t counter = (seed ^ (seed >> 31)) + offset / 8 * 0x9E3779B97F4A7C15u;
  uint64_t mixed = counter ^ (counter >> 29);
  uint64_t low = (mixed & 0xFFFFFFFFu) * 0x9E3779B1u, high = (mixed >> 32) * 0x85EBCA77u;
  return (uint8_t)((low ^ (high << 32) ^ (high >> 32)) >> (8 * (offset % 8)));
}

static void test_patterns(void) {
  for (int trial = 0; trial < 60; trial++) {
    uint64_t seed = pick(UINT64_MAX), first = pick(1000);
    size_t length = 1 + pick_length(), at = pick(200);
    memset(target, 0x5A, sizeof target);
    roost_pattern_fill(target + at, length, seed, first);
    size_t wrong = 0, place = SIZE_MAX;
    for (size_t index = 0; index < length; index++) wrong += target[at + index] != pattern_byte(seed, 8 * first + index);
    EXPECT(wrong == 0);
    EXPECT((at == 0 || target[at - 1] == 0x5A) && target[at + length] == 0x5A);
    EXPECT(roost_pattern_compare(target + at, length, seed, first, &place) == 0 && place == SIZE_MAX);
    size_t damaged = pick(length);
    target[at + damaged] ^= 0x10;
    EXPECT(roost_pattern_compare(target + at, length, seed, first, &place) == 1 && place == damaged);
  }
}

/* ---- Locks and sleeping ---- */

enum { THREADS = 4, TURNS = 20000 };
static uint32_t lock_word, awake;
static uint64_t counted;

static void *count_up(void *unused) {
  (void)unused;
  for (int turn = 0; turn < TURNS; turn++) {
    roost_lock_take(&lock_word);
    counted++;
    roost_lock_release(&lock_word);
    if (turn % 100 == 0) roost_cpu_relax();
  }
  return NULL;
}

static void *wake_up(void *unused) {
  (void)unused;
  __atomic_store_n(&awake, 1, __ATOMIC_RELEASE);
  roost_futex_wake(&awake, 1);
  return NULL;
}

static void test_locks(void) {
  pthread_t threads[THREADS];
  for (int index = 0; index < THREADS; index++) EXPECT(pthread_create(&threads[index], NULL, count_up, NULL) == 0);
  for (int index = 0; index < THREADS; index++) pthread_join(threads[index], NULL);
  EXPECT(counted == (uint64_t)THREADS * TURNS && lock_word == 0);
  EXPECT(roost_lock_try(&lock_word) && !roost_lock_try(&lock_word));
  roost_lock_release(&lock_word);

  EXPECT(!roost_futex_wait(&lock_word, 0, 1000000));
  EXPECT(roost_futex_wait(&lock_word, 7, UINT64_MAX));
  pthread_t waker;
  EXPECT(pthread_create(&waker, NULL, wake_up, NULL) == 0);
  while (__atomic_load_n(&awake, __ATOMIC_ACQUIRE) == 0) roost_futex_wait(&awake, 0, UINT64_MAX);
  pthread_join(waker, NULL);
  roost_thread_set_name("a name longer than fits");
  roost_thread_leave_binding();
}

/* ---- Memory, files, sockets: numbers that differ between machines ---- */

static void test_memory(void) {
  int file = roost_memory_file("roost-pieces", 0);
  EXPECT(file >= 0);
  EXPECT(roost_file_allocate(file, 0, 1 << 16) == 0);
  EXPECT(roost_memory_has_sealed_size(file) == 0);
  EXPECT(roost_memory_seal_size(file) == 0 && roost_memory_has_sealed_size(file) == 1);
  EXPECT(ftruncate(file, 1 << 17) != 0);
  uint8_t *bytes = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  EXPECT(bytes != MAP_FAILED);
  int populated = roost_memory_populate(bytes, 1 << 16, 1);
  EXPECT(populated == 0 || populated == -EINVAL); /* a kernel, or an emulator, that does not know it */
  bytes[65535] = 9;
  int sealed = roost_memory_seal_writes(file);
  EXPECT(sealed == 0 || sealed == -EINVAL);
  if (sealed == 0) EXPECT(mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED);
  struct roost_file_system system;
  EXPECT(roost_file_system_of(file, &system) == 0 && system.kind == roost_kind_tmpfs);
  munmap(bytes, 1 << 16);
  close(file);
}

static void test_files(void) {
#if defined(__aarch64__)
  EXPECT(roost_open_direct == 0200000);
#elif defined(__x86_64__)
  EXPECT(roost_open_direct == 040000);
#endif
  char path[4096];
  const char *folder = getenv("TMPDIR");
  snprintf(path, sizeof path, "%s/roost-pieces-XXXXXX", folder && *folder ? folder : "/tmp");
  int file = mkstemp(path), other = open(path, O_RDWR);
  EXPECT(file >= 0 && other >= 0);
  char out[6] = {0};
  struct iovec halves[2] = {{"abc", 3}, {"de", 2}}, whole = {out, 5};
  EXPECT(roost_file_write(file, halves, 2, 4096) == 5);
  EXPECT(roost_file_read(other, &whole, 1, 4096) == 5 && strcmp(out, "abcde") == 0);
  EXPECT(roost_file_allocated_bytes(file) > 0);
  EXPECT(roost_byte_lock(file, 3) == 0 && roost_byte_lock(other, 3) == -EAGAIN);
  EXPECT(roost_byte_is_locked(other, 3) == 1 && roost_byte_is_locked(other, 4) == 0);
  roost_byte_unlock(file, 3);
  EXPECT(roost_byte_lock(other, 3) == 0);
  EXPECT(roost_file_lock(file, 1) == 0 && roost_file_lock(other, 1) == -EWOULDBLOCK);
  close(file), close(other), unlink(path);
}

static void test_sockets(void) {
  char name[64];
  snprintf(name, sizeof name, "roost-pieces-%d-%llu", getpid(), (unsigned long long)pick(1u << 30));
  int listener = roost_socket_listen(name, 1, 4);
  int client = roost_socket_connect(name, 1, 1000);
  EXPECT(listener >= 0 && client >= 0);
  int server = roost_socket_accept(listener);
  int file = roost_memory_file("sent", 0), received[4], count = 0;
  char text[16];
  EXPECT(server >= 0 && write(file, "hello", 5) == 5);
  EXPECT(roost_message_receive(server, text, sizeof text, received, 4, &count) == -EAGAIN);
  EXPECT(roost_message_send(client, "ten bytes!", 10, &file, 1) >= 0);
  EXPECT(roost_message_receive(server, text, sizeof text, received, 4, &count) == 10 && count == 1);
  EXPECT(memcmp(text, "ten bytes!", 10) == 0);
  EXPECT(count == 1 && pread(received[0], text, 5, 0) == 5 && memcmp(text, "hello", 5) == 0);
  pid_t pid = 0;
  uid_t user = 77;
  EXPECT(roost_socket_peer(server, &pid, &user) == 0 && pid == getpid() && user == getuid());
  close(listener), close(client), close(server), close(file);
}

/* ---- What libroost keeps for each thread ---- */

static void *other_thread(void *unused) {
  (void)unused;
  EXPECT(strcmp(roost_abi_message(), "") == 0);
  return NULL;
}

static void test_threads(void) {
  roost_abi_set_error("message", 7, "A=1", 3);
  pthread_t thread;
  EXPECT(pthread_create(&thread, NULL, other_thread, NULL) == 0);
  pthread_join(thread, NULL);
  EXPECT(strcmp(roost_abi_message(), "message") == 0 && strcmp(roost_abi_context(), "A=1") == 0);
  uint32_t *numbers = roost_abi_numbers(1000), generation = roost_abi_generation();
  EXPECT(numbers != NULL);
  numbers[999] = 1;
  pid_t child = fork();
  if (child == 0) {
    roost_abi_lock();
    roost_abi_unlock();
    _exit(roost_abi_generation() == generation + 1 ? 0 : 1);
  }
  int status = -1;
  EXPECT(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int count, char **arguments) {
  state = count > 1 ? strtoull(arguments[1], NULL, 10) : (uint64_t)time(NULL);
  printf("seed %llu, copies up to %s\n", (unsigned long long)state, roost_copy_variant_name(roost_copy_best_variant()));
  test_copies();
  test_patterns();
  test_locks();
  test_memory();
  test_files();
  test_sockets();
  test_threads();
  return failures == 0 ? 0 : 1;
}
