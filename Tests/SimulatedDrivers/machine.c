// The machine: its devices, contexts, and the faults that tests inject.
#include "simulation.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sim_machine sim_machine = {
    .devices = 2, .version = 13000, .capability = 90, .memory = 64u << 20, .late = 40, .lost_after = -1};

enum { FAULTS_MAX = 32, STACK_MAX = 16 };
struct fault {
  char symbol[64];
  long nth, seen;  // nth 0: every call
  int result;
};
static struct fault faults[FAULTS_MAX];
static atomic_int fault_count;
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool initialized;

static struct sim_device devices[SIM_DEVICES_MAX] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
static pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local struct sim_device *stack[STACK_MAX];
static _Thread_local int depth;
_Thread_local bool sim_in_callback;

static bool set(const char *key, const char *value) {
  long number = strtol(value, NULL, 0);
  if (!strcmp(key, "devices")) sim_machine.devices = (int)number;
  else if (!strcmp(key, "memory")) sim_machine.memory = (size_t)number;
  else if (!strcmp(key, "version")) sim_machine.version = (int)number;
  else if (!strcmp(key, "capability")) sim_machine.capability = (int)number;
  else if (!strcmp(key, "init")) sim_machine.init_result = (int)number;
  else if (!strcmp(key, "delay")) sim_machine.delay = (unsigned)number;
  else if (!strcmp(key, "late")) sim_machine.late = (unsigned)number;
  else if (!strcmp(key, "inert")) sim_machine.inert = number != 0;
  else if (!strcmp(key, "hang")) snprintf(sim_machine.hang, sizeof sim_machine.hang, "%s", value);
  else if (!strcmp(key, "lost")) {
    sim_machine.lost_result = 719;
    return sscanf(value, "%ld:%d", &sim_machine.lost_after, &sim_machine.lost_result) >= 1;
  } else if (!strcmp(key, "fail")) {
    struct fault fault = {.seen = 0};
    if (sscanf(value, "%63[^:]:%ld:%d", fault.symbol, &fault.nth, &fault.result) != 3) return false;
    pthread_mutex_lock(&fault_lock);
    bool fits = fault_count < FAULTS_MAX;
    if (fits) faults[fault_count++] = fault;
    pthread_mutex_unlock(&fault_lock);
    return fits;
  } else if (!strcmp(key, "reset")) {
    fault_count = 0;
    sim_machine.lost_after = -1;
    for (int number_of = 0; number_of < SIM_DEVICES_MAX; number_of++) devices[number_of].sticky = 0;
  } else return false;
  return true;
}

int sim_control(const char *text) {
  char copy[1024], *rest = NULL;
  snprintf(copy, sizeof copy, "%s", text);
  for (char *part = strtok_r(copy, ";", &rest); part; part = strtok_r(NULL, ";", &rest)) {
    char *equals = strchr(part, '=');
    if (!equals) return (int)(part - copy) + 1;
    *equals = 0;
    if (!set(part, equals + 1)) return (int)(part - copy) + 1;
  }
  return 0;
}

__attribute__((constructor)) static void read_environment(void) {
  const char *text = getenv("ROOST_SIMULATION");
  if (text && sim_control(text)) fprintf(stderr, "ROOST_SIMULATION is not understood: %s\n", text);
}

static int injected(const char *symbol) {
  int result = 0;
  pthread_mutex_lock(&fault_lock);
  for (int number = 0; number < fault_count; number++) {
    struct fault *fault = &faults[number];
    if (strcmp(fault->symbol, symbol)) continue;
    fault->seen++;
    if (fault->nth == 0 || fault->seen == fault->nth) result = fault->result;
  }
  pthread_mutex_unlock(&fault_lock);
  return result;
}

long sim_seen(const char *symbol) {
  long seen = -1;
  pthread_mutex_lock(&fault_lock);
  for (int number = 0; number < fault_count; number++) {
    if (!strcmp(faults[number].symbol, symbol)) seen = faults[number].seen;
  }
  pthread_mutex_unlock(&fault_lock);
  return seen;
}

int sim_enter(const char *symbol, enum sim_need need) {
  if (sim_in_callback) return SIM_NOT_PERMITTED;
  while (sim_machine.hang[0] && !strcmp(sim_machine.hang, symbol)) nanosleep(&(struct timespec){0, 1000000}, NULL);
  if (atomic_load_explicit(&fault_count, memory_order_relaxed) > 0) {
    int result = injected(symbol);
    if (result) return result;
  }
  if (need == SIM_ANYTIME) return SIM_OK;
  if (!initialized) return SIM_NOT_INITIALIZED;
  if (need != SIM_CONTEXT) return SIM_OK;
  struct sim_device *device = sim_current();
  return device ? device->sticky : SIM_INVALID_CONTEXT;
}

int sim_initialize(void) {
  if (sim_machine.init_result) return sim_machine.init_result;
  if (sim_machine.devices == 0) return SIM_NO_DEVICE;
  initialized = true;
  return SIM_OK;
}

struct sim_device *sim_device_at(int number) {
  return number >= 0 && number < sim_machine.devices && number < SIM_DEVICES_MAX ? &devices[number] : NULL;
}

struct sim_device *sim_current(void) { return depth > 0 ? stack[depth - 1] : NULL; }

int sim_current_number(void) { return sim_current() ? sim_current()->number : -1; }

void sim_set_current(struct sim_device *device) {
  if (depth == 0) depth = 1;
  stack[depth - 1] = device;
}

int sim_push(struct sim_device *device) {
  if (depth == STACK_MAX) return SIM_INVALID_VALUE;
  stack[depth++] = device;
  return SIM_OK;
}

struct sim_device *sim_pop(void) { return depth > 0 ? stack[--depth] : NULL; }

void sim_retain(struct sim_device *device) {
  pthread_mutex_lock(&context_lock);
  device->retained++;
  pthread_mutex_unlock(&context_lock);
}

int sim_release_context(struct sim_device *device) {
  pthread_mutex_lock(&context_lock);
  int result = device->retained > 0 ? SIM_OK : SIM_INVALID_CONTEXT;
  if (device->retained > 0) device->retained--;
  pthread_mutex_unlock(&context_lock);
  return result;
}

void sim_fail_for_good(struct sim_device *device, int result) {
  int none = 0;
  atomic_compare_exchange_strong(&device->sticky, &none, result);
}

void sim_count_live(long counts[7]) {
  memset(counts, 0, 7 * sizeof counts[0]);
  sim_memory_live(counts);
  sim_stream_live(counts);
  sim_kernel_live(counts);
  for (int number = 0; number < SIM_DEVICES_MAX; number++) counts[6] += devices[number].retained;
}
