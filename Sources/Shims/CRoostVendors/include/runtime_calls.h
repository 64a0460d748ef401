// What runtimes with a device for each thread and a call for each copy have in common.
#ifndef ROOST_RUNTIME_CALLS_H
#define ROOST_RUNTIME_CALLS_H

#include <stdbool.h>
#include <stddef.h>

// Makes `device` the calling thread's, where a runtime has one for each thread. `former`: what it was, to be chosen again
// with roost_leave, or -1: the same. `has_asked`: the first of the two functions did not fail.
typedef struct {
  int former;
  bool has_asked;
} roost_choice;
static inline int roost_enter(int (*current)(int *), int (*choose)(int), int device, roost_choice *choice) {
  int now = 0;
  *choice = (roost_choice){-1, false};
  int result = current(&now);
  if (result) return result;
  choice->has_asked = true;
  if (now == device) return 0;
  result = choose(device);
  if (!result) choice->former = now;
  return result;
}
static inline int roost_leave(int (*choose)(int), roost_choice choice) {
  return choice.former < 0 ? 0 : choose(choice.former);
}

// Copies all pieces one by one, empty ones left out. The device must be entered.
int roost_copy_each(int (*copy)(void *target, const void *source, size_t bytes, int kind, void *stream),
                    const void *pieces, size_t count, int kind, void *stream);

#endif
