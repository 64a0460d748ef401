// Events as streams see them: counters that streams raise.
#ifndef ROOST_SIMULATION_EVENTS_H
#define ROOST_SIMULATION_EVENTS_H

#include <stdatomic.h>
#include <stdint.h>

struct event_state {
  _Atomic uint64_t recorded, completed, nanoseconds;
};
struct event {
  uint64_t magic;
  struct event_state *state;
  int descriptor;  // of the state, if it is shared; else -1
  atomic_int references;
};

// The event that a handle is; NULL: it is none.
struct event *sim_event_checked(void *handle);
// Gives up a reference; the last one frees it.
void sim_event_let_go(struct event *event);
long sim_events_live(void);

#endif
