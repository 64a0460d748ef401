#include "cuda_symbols.h"

#define REQUIRED(field, name, parameters) {name, offsetof(roost_cuda, field), true},
#define OPTIONAL(field, name, parameters) {name, offsetof(roost_cuda, field), false},
static const roost_symbol symbols[] = {ROOST_CUDA_SYMBOLS(REQUIRED, OPTIONAL)};

_Static_assert(sizeof(roost_cuda_copy_attributes) == 24, "as in cuda.h");
_Static_assert(sizeof(roost_cuda_allocation) == 32, "as in cuda.h");
_Static_assert(sizeof(roost_cuda_access) == 12, "as in cuda.h");
_Static_assert(sizeof(roost_cuda_rows) == 128, "as in cuda.h");

roost_symbol_list roost_cuda_symbols(void) {
  return (roost_symbol_list){symbols, sizeof symbols / sizeof symbols[0], sizeof(roost_cuda)};
}

static int submit(const roost_cuda *driver, roost_cuda_batch *batch, size_t count, int order, void *stream,
                  const char **call) {
  // Both hints are NULL devices: the driver finds the places by their addresses.
  roost_cuda_copy_attributes attributes = {.source_access_order = order};
  size_t start = 0, failed = 0;
  if (count == 0) return 0;
  if (driver->copy_batch_8) {
    *call = "MemcpyBatchAsync_v2";
    return driver->copy_batch_8(batch->targets, batch->sources, batch->sizes, count, &attributes, &start, 1, stream);
  }
  *call = "MemcpyBatchAsync";
  return driver->copy_batch_9(batch->targets, batch->sources, batch->sizes, count, &attributes, &start, 1, &failed,
                              stream);
}

int roost_cuda_copy_pieces(const roost_cuda *driver, const roost_cuda_piece *pieces, size_t count, int order,
                           roost_cuda_batch *batch, void *stream, const char **call) {
  if (!batch || (!driver->copy_batch_8 && !driver->copy_batch_9)) {
    *call = "MemcpyAsync";
    for (size_t index = 0; index < count; index++) {
      if (pieces[index].bytes == 0) continue;
      int result = driver->copy(pieces[index].target, pieces[index].source, pieces[index].bytes, stream);
      if (result) return result;
    }
    return 0;
  }
  size_t used = 0;
  for (size_t index = 0; index < count; index++) {
    if (pieces[index].bytes == 0) continue;
    batch->targets[used] = pieces[index].target;
    batch->sources[used] = pieces[index].source;
    batch->sizes[used] = pieces[index].bytes;
    if (++used < batch->capacity) continue;
    int result = submit(driver, batch, used, order, stream, call);
    if (result) return result;
    used = 0;
  }
  return submit(driver, batch, used, order, stream, call);
}

roost_cuda_survey roost_cuda_survey_pieces(const roost_cuda_piece *pieces, size_t count, const uintptr_t *ranges,
                                           size_t range_count, int host_side) {
  roost_cuda_survey survey = {.smallest = SIZE_MAX, .is_aligned = 1, .is_reachable = 1};
  uintptr_t bits = 0, first = 0, last = 0;  // of the range that the last piece was in
  for (size_t index = 0; index < count; index++) {
    const roost_cuda_piece *piece = &pieces[index];
    if (piece->bytes < survey.smallest) survey.smallest = piece->bytes;
    if (piece->bytes > survey.largest) survey.largest = piece->bytes;
    survey.total += piece->bytes;
    bits |= piece->source | piece->target | piece->bytes;
    if (host_side == 0) continue;
    uintptr_t address = host_side == ROOST_CUDA_HOST_IS_SOURCE ? piece->source : piece->target;
    if (address >= first && address + piece->bytes <= last) continue;
    size_t low = 0, high = range_count;
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (ranges[2 * middle] <= address) low = middle + 1;
      else high = middle;
    }
    if (low == 0 || address + piece->bytes > ranges[2 * low - 1]) {
      survey.is_reachable = 0;
      break;
    }
    first = ranges[2 * low - 2];
    last = ranges[2 * low - 1];
  }
  survey.is_aligned = bits % 16 == 0;
  return survey;
}
