#include "plugin_table.h"

#include <stddef.h>

const char *roost_device_table_missing(const roost_device_table *table) {
  const struct {
    const char *name;
    void (*function)(void);
  } required[] = {
#define FUNCTION(name) {#name, (void (*)(void))table->name}
      FUNCTION(last_error),   FUNCTION(count),          FUNCTION(open),           FUNCTION(close),
      FUNCTION(describe),     FUNCTION(free_bytes),     FUNCTION(allocate),       FUNCTION(release),
      FUNCTION(allocate_host), FUNCTION(release_host),  FUNCTION(stream_create),  FUNCTION(stream_destroy),
      FUNCTION(stream_is_idle), FUNCTION(copy),         FUNCTION(event_create),   FUNCTION(event_destroy),
      FUNCTION(event_record), FUNCTION(event_wait),     FUNCTION(event_is_complete),
  };
  for (size_t index = 0; index < sizeof required / sizeof required[0]; index++) {
    if (!required[index].function) return required[index].name;
  }
  return NULL;
}
