#include "runtime_calls.h"

#include "roost_device.h"

int roost_copy_each(int (*copy)(void *target, const void *source, size_t bytes, int kind, void *stream),
                    const void *list, size_t count, int kind, void *stream) {
  const roost_device_piece *pieces = list;
  for (size_t index = 0; index < count; index++) {
    if (pieces[index].bytes == 0) continue;
    int result = copy((void *)pieces[index].target, (void *)pieces[index].source, pieces[index].bytes, kind, stream);
    if (result) return result;
  }
  return 0;
}
