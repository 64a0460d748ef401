// Kernels: C models of the copy kernels, found by the entries that the image names. The image's text itself is held
// against an interpreter elsewhere (Tests/KernelTests).
#include "simulation.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 8, PAGED, LIST, BULK, SPIN };
static const struct {
  const char *name;
  int kernel;
  unsigned sizes[12];  // of the parameters, in bytes; 0 ends
} models[] = {
    {"kvc_copy_paged16", PAGED, {8, 8, 8, 8, 8, 8, 4, 4, 4}},
    {"kvc_copy_list16", LIST, {8, 4}},
    {"kvc_copy_paged_bulk", BULK, {8, 8, 8, 8, 8, 8, 4, 4, 4, 4, 4}},
    {"roost_spin", SPIN, {8, 4}},
};
enum { MODELS = sizeof models / sizeof models[0] };
struct module {
  bool has[MODELS];
};
static atomic_long live_modules;

// ".target sm_70" -> 70; 0 if there is none.
static int number_after(const char *image, const char *word) {
  const char *found = strstr(image, word);
  return found ? atoi(found + strlen(word)) : 0;
}

int sim_module_load(void **handle, const char *image) {
  if (!image) return SIM_INVALID_VALUE;
  const char *version = strstr(image, "\n.version ");
  int target = number_after(image, ".target sm_");
  if (!version || !target) return SIM_INVALID_PTX;
  int isa = atoi(version + 10) * 10 + (strchr(version, '.') ? atoi(strchr(version + 2, '.') + 1) : 0);
  // PTX 7.0 came with 11.0, 7.8 with 11.8, 8.0 with 12.0: what is newer than the driver it cannot read.
  if (isa >= 80 && sim_machine.version < 12000) return SIM_UNSUPPORTED_PTX;
  if (target > sim_machine.capability) return SIM_NO_BINARY;
  struct module *module = calloc(1, sizeof *module);
  if (!module) return SIM_OUT_OF_MEMORY;
  for (int index = 0; index < MODELS; index++) {
    char entry[96] = ".visible .entry ";
    strcat(entry, models[index].name);
    module->has[index] = strstr(image, entry) != NULL;
  }
  atomic_fetch_add(&live_modules, 1);
  *handle = module;
  return SIM_OK;
}

int sim_module_unload(void *module) {
  atomic_fetch_sub(&live_modules, 1);
  free(module);
  return SIM_OK;
}

int sim_module_function(void **function, void *handle, const char *name) {
  struct module *module = handle;
  for (int index = 0; index < MODELS; index++) {
    if (strcmp(models[index].name, name) || !module->has[index]) continue;
    *function = (void *)(uintptr_t)(index + 1);
    return SIM_OK;
  }
  return SIM_NOT_FOUND;
}

int sim_kernel_arguments(void *function, void **parameters, struct sim_launch *launch) {
  uintptr_t index = (uintptr_t)function - 1;
  if (index >= MODELS || !parameters) return SIM_INVALID_HANDLE;
  launch->kernel = models[index].kernel;
  for (int number = 0; models[index].sizes[number]; number++) {
    launch->arguments[number] = 0;
    memcpy(&launch->arguments[number], parameters[number], models[index].sizes[number]);
  }
  if (launch->threads == 0 || launch->threads > 1024 || launch->blocks == 0) return SIM_INVALID_VALUE;
  return SIM_OK;
}

// Memory as a kernel reaches it: of a device, or of the host if it is pinned; in vectors of 16 bytes.
static int reach(uint64_t address, size_t size, size_t alignment, void **bytes) {
  enum sim_kind kind;
  if (address % alignment) return SIM_MISALIGNED;
  *bytes = sim_resolve(address, size, &kind);
  return *bytes && kind != SIM_PAGEABLE ? SIM_OK : SIM_ILLEGAL_ADDRESS;
}

static int move(uint64_t target, uint64_t source, size_t size) {
  void *to, *from;
  if (size % 16) return SIM_MISALIGNED;
  int result = reach(target, size, 16, &to);
  if (!result) result = reach(source, size, 16, &from);
  if (!result) memmove(to, from, size);
  return result;
}

static int run_paged(const uint64_t *arguments, size_t bytes) {
  uint64_t *sources, *targets;
  uint32_t *source_index = NULL, *target_index = NULL;
  size_t layers = arguments[6], blocks = arguments[7];
  int result = reach(arguments[0], layers * 8, 8, (void **)&sources);
  if (!result) result = reach(arguments[1], layers * 8, 8, (void **)&targets);
  if (!result && arguments[2]) result = reach(arguments[2], blocks * 4, 4, (void **)&source_index);
  if (!result && arguments[3]) result = reach(arguments[3], blocks * 4, 4, (void **)&target_index);
  for (size_t layer = 0; layer < layers && !result; layer++) {
    for (size_t block = 0; block < blocks && !result; block++) {
      uint64_t from = sources[layer] + (source_index ? source_index[block] : block) * arguments[4];
      uint64_t to = targets[layer] + (target_index ? target_index[block] : block) * arguments[5];
      result = move(to, from, bytes);
    }
  }
  return result;
}

int sim_run_kernel(const struct sim_launch *launch) {
  const uint64_t *arguments = launch->arguments;
  if (launch->kernel == PAGED) return run_paged(arguments, arguments[8] * 16);
  if (launch->kernel == BULK) {
    uint64_t stage = arguments[9], stages = arguments[10];
    if (stages < 2 || stages > 16 || stage % 128 || launch->shared < stage * stages + 128) return SIM_ILLEGAL_ADDRESS;
    return run_paged(arguments, arguments[8]);
  }
  void *output;
  if (launch->kernel == SPIN) return reach(arguments[0], 4, 4, &output);
  uint64_t *list;
  int result = reach(arguments[0], arguments[1] * 24, 8, (void **)&list);
  for (size_t index = 0; index < arguments[1] && !result; index++) {
    result = move(list[index * 3 + 1], list[index * 3], list[index * 3 + 2]);
  }
  return result;
}

void sim_kernel_live(long counts[7]) { counts[5] = live_modules; }
