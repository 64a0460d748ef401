#include "hip_symbols.h"

#include <stdlib.h>

#define REQUIRED(field, name, parameters) {name, offsetof(roost_hip, field), true},
#define OPTIONAL(field, name, parameters) {name, offsetof(roost_hip, field), false},
static const roost_symbol symbols[] = {ROOST_HIP_SYMBOLS(REQUIRED, OPTIONAL)};

roost_symbol_list roost_hip_symbols(void) {
  return (roost_symbol_list){symbols, sizeof symbols / sizeof symbols[0], sizeof(roost_hip)};
}

struct call {
  void (*function)(void *);
  void *context;
};

static void relay(void *stream, int status, void *context) {
  (void)stream, (void)status;
  struct call call = *(struct call *)context;
  free(context);
  call.function(call.context);
}

int roost_hip_call(const roost_hip *driver, void (*function)(void *), void *context, void *stream) {
  if (driver->launch_host) return driver->launch_host(stream, function, context);
  struct call *call = malloc(sizeof *call);
  if (!call) return 2;
  *call = (struct call){function, context};
  int result = driver->add_callback(stream, relay, call, 0);
  if (result) free(call);
  return result;
}
