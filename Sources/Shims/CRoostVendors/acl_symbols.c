#include "acl_symbols.h"

#include "roost_device.h"

#define REQUIRED(field, name, parameters) {name, offsetof(roost_acl, field), true},
#define OPTIONAL(field, name, parameters) {name, offsetof(roost_acl, field), false},
static const roost_symbol symbols[] = {ROOST_ACL_SYMBOLS(REQUIRED, OPTIONAL, OPTIONAL)};

_Static_assert(sizeof(roost_acl_copy_attributes) == 32, "as in acl_rt.h");

roost_symbol_list roost_acl_symbols(void) {
  return (roost_symbol_list){symbols, sizeof symbols / sizeof symbols[0], sizeof(roost_acl)};
}

int roost_acl_open(const roost_acl *driver, int device, void **context, const char **call) {
  void *former = NULL;
  *call = "rtGetCurrentContext";
  int result = driver->context_current(&former);
  if (result == ROOST_ACL_NO_CONTEXT) former = NULL;
  else if (result) return result;
  *call = "rtSetDevice";
  result = driver->device_set(device);
  if (result) return result;
  *call = "rtGetCurrentContext";
  result = driver->context_current(context);
  if (!result && former && former != *context) {
    *call = "rtSetCurrentContext";
    result = driver->context_choose(former);
  }
  if (result) driver->device_reset(device);
  return result;
}

int roost_acl_register(const roost_acl *driver, void *address, size_t bytes) {
  enum { MAPPED = 2, PINNED = 0x10000000, TYPE_MAPPED = 0 };
  if (driver->register_host_2) return driver->register_host_2(address, bytes, MAPPED | PINNED);
  void *device = NULL;
  return driver->register_host(address, bytes, TYPE_MAPPED, &device);
}

// How many copies go into one call: three arrays of them are 24 KiB on the stack.
enum { BATCH_MAX = 1024 };
struct batch {
  void *targets[BATCH_MAX], *sources[BATCH_MAX];
  size_t sizes[BATCH_MAX];
  size_t count;
};

static int submit(const roost_acl *driver, struct batch *batch, int kind, int device, void *stream) {
  enum { TO_DEVICE = 1, TO_HOST = 2, ON_HOST = 0, ON_DEVICE = 1 };
  roost_acl_copy_attributes attributes = {
      .target = {(uint32_t)device, kind == TO_HOST ? ON_HOST : ON_DEVICE},
      .source = {(uint32_t)device, kind == TO_DEVICE ? ON_HOST : ON_DEVICE},
  };
  if (kind == TO_HOST) attributes.target.id = 0;
  if (kind == TO_DEVICE) attributes.source.id = 0;
  size_t start = 0, failed = 0, count = batch->count;
  batch->count = 0;
  if (count == 0) return 0;
  return driver->copy_batch(batch->targets, batch->sizes, batch->sources, batch->sizes, count, &attributes, &start, 1,
                            &failed, stream);
}

int roost_acl_copy_pieces(const roost_acl *driver, const void *list, size_t count, int kind, int device, int is_batch,
                          void *stream, const char **call) {
  const roost_device_piece *pieces = list;
  if (!is_batch || !driver->copy_batch) {
    *call = "rtMemcpyAsync";
    for (size_t index = 0; index < count; index++) {
      size_t bytes = pieces[index].bytes;
      if (bytes == 0) continue;
      int result =
          driver->copy((void *)pieces[index].target, bytes, (void *)pieces[index].source, bytes, kind, stream);
      if (result) return result;
    }
    return 0;
  }
  *call = "rtMemcpyBatchAsync";
  struct batch batch;
  batch.count = 0;
  for (size_t index = 0; index < count; index++) {
    if (pieces[index].bytes == 0) continue;
    batch.targets[batch.count] = (void *)pieces[index].target;
    batch.sources[batch.count] = (void *)pieces[index].source;
    batch.sizes[batch.count++] = pieces[index].bytes;
    if (batch.count < BATCH_MAX) continue;
    int result = submit(driver, &batch, kind, device, stream);
    if (result) return result;
  }
  return submit(driver, &batch, kind, device, stream);
}
