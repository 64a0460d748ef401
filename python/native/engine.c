#include <stddef.h>
#include <stdlib.h>

#include "core.h"

static int engine_init(PyObject *self, PyObject *args, PyObject *keywords) {
  static char *names[] = {"config", NULL};
  const char *config = NULL;
  Py_ssize_t config_bytes = 0;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "s#", names, &config, &config_bytes)) return -1;
  struct holder *holder = (struct holder *)self;
  if (holder->handle != 0) return failure_invalid("an engine is opened once");
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_engine_open(config, (size_t)config_bytes, &holder->handle);
  Py_END_ALLOW_THREADS
  return failure_check(status);
}

static void engine_dealloc(PyObject *self) {
  roost_engine handle = handle_of(self);
  if (handle != 0) {
    Py_BEGIN_ALLOW_THREADS
    /* Nobody is left to hear of an error. */
    (void)roost_engine_close(handle, 0.0, NULL);
    Py_END_ALLOW_THREADS
  }
  holder_free(self);
}

static PyObject *engine_address(PyObject *self, void *unused) {
  (void)unused;
  char text[4096];
  size_t bytes = 0;
  if (failure_check(roost_engine_address(handle_of(self), text, sizeof text, &bytes)) != 0) return NULL;
  return PyUnicode_DecodeFSDefaultAndSize(text, (Py_ssize_t)bytes);
}

static PyObject *engine_close(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  double timeout = 5.0;
  uint64_t leaked = 0;
  if (arguments_timeout("close", 0, args, count, keywords, &timeout) != 0) return NULL;
  roost_engine handle = holder_take(self);
  if (handle == 0) return PyLong_FromLong(0);
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_engine_close(handle, timeout, &leaked);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  return PyLong_FromUnsignedLongLong(leaked);
}

static PyObject *engine_wait_ready(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  double timeout = 0;
  int32_t ready = 0;
  if (arguments_timeout("wait_ready", 1, args, count, keywords, &timeout) != 0) return NULL;
  roost_engine handle = handle_of(self);
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_engine_wait_ready(handle, timeout, &ready);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  return PyBool_FromLong(ready);
}

static PyObject *engine_slot_count(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"group"};
  static const struct parameters parameters = {"slot_count", names, 0, 1};
  PyObject *given[1];
  uint32_t group = 0;
  uint64_t slots = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u32(given[0], "group", &group) != 0) return NULL;
  if (failure_check(roost_engine_slot_count(handle_of(self), group, &slots)) != 0) return NULL;
  return PyLong_FromUnsignedLongLong(slots);
}

static PyObject *engine_intern(PyObject *self, PyObject *value) {
  struct fields fields;
  uint32_t identity = 0;
  if (arguments_fields(value, &fields) != 0) return NULL;
  roost_status status = roost_engine_intern(handle_of(self), fields.values, fields.count, &identity);
  arguments_free_fields(&fields);
  if (failure_check(status) != 0) return NULL;
  return PyLong_FromUnsignedLong(identity);
}

static PyObject *engine_forget(PyObject *self, PyObject *value) {
  struct fields fields;
  uint64_t pages = 0;
  if (arguments_fields(value, &fields) != 0) return NULL;
  roost_engine handle = handle_of(self);
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_engine_forget(handle, fields.values, fields.count, &pages);
  Py_END_ALLOW_THREADS
  arguments_free_fields(&fields);
  if (failure_check(status) != 0) return NULL;
  return PyLong_FromUnsignedLongLong(pages);
}

static PyObject *engine_reset(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  double timeout = 0;
  if (arguments_timeout("reset", 1, args, count, keywords, &timeout) != 0) return NULL;
  roost_engine handle = handle_of(self);
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_engine_reset(handle, timeout);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  Py_RETURN_NONE;
}

/* ---- Leases ---- */

/* For calls that do something to one lease. */
static PyObject *with_lease(PyObject *self, PyObject *value, roost_status (*call)(roost_engine, uint64_t)) {
  uint64_t lease = 0;
  if (arguments_u64(value, "lease", &lease) != 0) return NULL;
  roost_engine handle = handle_of(self);
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = call(handle, lease);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *engine_commit(PyObject *self, PyObject *lease) { return with_lease(self, lease, roost_engine_commit); }
static PyObject *engine_abort(PyObject *self, PyObject *lease) { return with_lease(self, lease, roost_engine_abort); }
static PyObject *engine_end(PyObject *self, PyObject *lease) { return with_lease(self, lease, roost_engine_end); }

static PyObject *engine_hand_out(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"lease", "shards"};
  static const struct parameters parameters = {"hand_out", names, 2, 2};
  PyObject *given[2];
  uint64_t lease = 0;
  uint32_t shards = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u64(given[0], "lease", &lease) != 0 || arguments_u32(given[1], "shards", &shards) != 0) return NULL;
  if (failure_check(roost_engine_hand_out(handle_of(self), lease, shards)) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *engine_reclaim(PyObject *self, PyObject *value) {
  uint64_t request = 0, leases = 0;
  if (arguments_u64(value, "request", &request) != 0) return NULL;
  if (failure_check(roost_engine_reclaim(handle_of(self), request, &leases)) != 0) return NULL;
  return PyLong_FromUnsignedLongLong(leases);
}

/* ---- Reports ---- */

static PyObject *engine_poll(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"max"};
  static const struct parameters parameters = {"poll", names, 0, 1};
  PyObject *given[1];
  size_t max = 256, ended = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_size(given[0], "max", &max) != 0) return NULL;
  roost_completion completions[64];
  PyObject *list = PyList_New(0);
  while (list != NULL && max > 0) {
    size_t wanted = max < 64 ? max : 64;
    completions[0].struct_bytes = sizeof completions[0];
    /* With the GIL: this takes a fraction of a microsecond, getting the GIL back may take milliseconds. */
    if (failure_check(roost_engine_poll(handle_of(self), completions, wanted, &ended)) != 0) Py_CLEAR(list);
    for (size_t index = 0; list != NULL && index < ended; index++) {
      const roost_completion *one = &completions[index];
      PyObject *tuple = Py_BuildValue(
          "KKIINKd", one->id, one->request, one->verb, one->outcome, result_positions(one), one->byte_count,
          one->seconds);
      if (tuple == NULL || PyList_Append(list, tuple) != 0) Py_CLEAR(list);
      Py_XDECREF(tuple);
    }
    if (list == NULL || ended < wanted) break;
    max -= ended;
  }
  return list;
}

static PyObject *engine_events(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"max"};
  static const struct parameters parameters = {"events", names, 0, 1};
  PyObject *given[1];
  size_t max = 4096, taken = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_size(given[0], "max", &max) != 0) return NULL;
  roost_event events[64];
  PyObject *list = PyList_New(0);
  while (list != NULL && max > 0) {
    size_t wanted = max < 64 ? max : 64;
    events[0].struct_bytes = sizeof events[0];
    if (failure_check(roost_engine_events(handle_of(self), events, wanted, &taken)) != 0) Py_CLEAR(list);
    for (size_t index = 0; list != NULL && index < taken; index++) {
      const roost_event *one = &events[index];
      PyObject *tuple = Py_BuildValue(
          "sIIy#", one->kind == ROOST_STORED ? "stored" : "removed", one->identity, one->group, one->hash,
          (Py_ssize_t)one->hash_bytes);
      if (tuple == NULL || PyList_Append(list, tuple) != 0) Py_CLEAR(list);
      Py_XDECREF(tuple);
    }
    if (list == NULL || taken < wanted) break;
    max -= taken;
  }
  return list;
}

static PyObject *engine_leases(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"older_seconds"};
  static const struct parameters parameters = {"leases", names, 0, 1};
  enum { LEASES_MAX = 1024 };
  PyObject *given[1];
  double older = 0;
  size_t found = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_seconds(given[0], "older_seconds", &older) != 0) return NULL;
  roost_lease *leases = calloc(LEASES_MAX, sizeof *leases);
  if (leases == NULL) return PyErr_NoMemory();
  leases[0].struct_bytes = sizeof leases[0];
  PyObject *list = NULL;
  if (failure_check(roost_engine_leases(handle_of(self), older, leases, LEASES_MAX, &found)) == 0) {
    list = PyList_New(0);
  }
  for (size_t index = 0; list != NULL && index < found && index < LEASES_MAX; index++) {
    const roost_lease *one = &leases[index];
    PyObject *tuple = Py_BuildValue(
        "KKIKdN", one->lease, one->request, one->verb, one->slot_count, one->age_seconds,
        PyBool_FromLong((long)one->is_copying));
    if (tuple == NULL || PyList_Append(list, tuple) != 0) Py_CLEAR(list);
    Py_XDECREF(tuple);
  }
  free(leases);
  return list;
}

#define COUNTER(name) {#name, offsetof(roost_stats, name)}
static const struct {
  const char *name;
  size_t offset;
} counters[] = {
    COUNTER(lookups),   COUNTER(hits),      COUNTER(misses),      COUNTER(offered),       COUNTER(held),
    COUNTER(admitted),  COUNTER(refused),   COUNTER(adopted),     COUNTER(published),     COUNTER(aborted),
    COUNTER(evicted),   COUNTER(retired),   COUNTER(leased),      COUNTER(missing),       COUNTER(stale),
    COUNTER(reclaimed), COUNTER(capacity),  COUNTER(free),        COUNTER(allocated),     COUNTER(resident),
    COUNTER(evictable), COUNTER(unkeyed),   COUNTER(ghosts),      COUNTER(leases),        COUNTER(handed_out),
    COUNTER(sealed),    COUNTER(checked),   COUNTER(corrupt),     COUNTER(failed_blocks), COUNTER(workers),
    COUNTER(workers_gone), COUNTER(committed_bytes), COUNTER(events_dropped),
};

static PyObject *engine_stats(PyObject *self, PyObject *unused) {
  (void)unused;
  roost_stats stats = {.struct_bytes = sizeof stats};
  if (failure_check(roost_engine_stats(handle_of(self), &stats)) != 0) return NULL;
  PyObject *result = PyDict_New();
  for (size_t index = 0; result != NULL && index < sizeof counters / sizeof counters[0]; index++) {
    uint64_t value = *(const uint64_t *)((const char *)&stats + counters[index].offset);
    PyObject *number = PyLong_FromUnsignedLongLong(value);
    if (number == NULL || PyDict_SetItemString(result, counters[index].name, number) != 0) Py_CLEAR(result);
    Py_XDECREF(number);
  }
  return result;
}

#define COUNT(name) {#name, offsetof(roost_tier_stats, name), 0}
#define RATE(name) {#name, offsetof(roost_tier_stats, name), 1}
static const struct {
  const char *name;
  size_t offset;
  int is_rate;
} tier_counters[] = {
    COUNT(is_ready),      COUNT(prefetches),     COUNT(recomputes),     COUNT(promotions), COUNT(promoted),
    COUNT(promoted_bytes), COUNT(missing),       COUNT(corrupt),        COUNT(failed),     COUNT(refused),
    COUNT(promoting),     COUNT(offered),        COUNT(not_worth),      COUNT(demoted),    COUNT(demoted_bytes),
    COUNT(known),         COUNT(dropped),        COUNT(late),           COUNT(write_failed), COUNT(queued),
    COUNT(requests),      COUNT(pages),          COUNT(page_bytes),     COUNT(capacity_bytes), COUNT(occupied_bytes),
    COUNT(evicted),       COUNT(quarantined),    RATE(bytes_per_second), RATE(capacity_writes_per_day),
};

static PyObject *engine_tier_stats(PyObject *self, PyObject *unused) {
  (void)unused;
  roost_tier_stats stats = {.struct_bytes = sizeof stats};
  if (failure_check(roost_engine_tier_stats(handle_of(self), &stats)) != 0) return NULL;
  PyObject *result = PyDict_New();
  if (!stats.is_present) return result;
  for (size_t index = 0; result != NULL && index < sizeof tier_counters / sizeof tier_counters[0]; index++) {
    const char *place = (const char *)&stats + tier_counters[index].offset;
    PyObject *number = tier_counters[index].is_rate ? PyFloat_FromDouble(*(const double *)place)
                                                    : PyLong_FromUnsignedLongLong(*(const uint64_t *)place);
    if (number == NULL || PyDict_SetItemString(result, tier_counters[index].name, number) != 0) Py_CLEAR(result);
    Py_XDECREF(number);
  }
  return result;
}

/* ---- Prefetch ---- */

static PyObject *engine_prefetch_progress(PyObject *self, PyObject *value) {
  uint64_t prefetch = 0;
  roost_prefetch_progress progress = {.struct_bytes = sizeof progress};
  if (arguments_u64(value, "prefetch", &prefetch) != 0) return NULL;
  if (failure_check(roost_engine_prefetch_progress(handle_of(self), prefetch, &progress)) != 0) return NULL;
  if (!progress.is_live) Py_RETURN_NONE;
  return Py_BuildValue("KKK", progress.wanted, progress.arrived, progress.failed);
}

static PyObject *engine_end_prefetch(PyObject *self, PyObject *value) {
  uint64_t prefetch = 0;
  if (arguments_u64(value, "prefetch", &prefetch) != 0) return NULL;
  if (failure_check(roost_engine_prefetch_end(handle_of(self), prefetch)) != 0) return NULL;
  Py_RETURN_NONE;
}

/* ---- The type; calls that take keys are in engine_keys.c and engine_copies.c ---- */

PyObject *engine_match(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *engine_match_states(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *engine_match_groups(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *engine_begin_store(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *engine_begin_load(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *engine_begin_copies(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *engine_touch(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
PyObject *engine_prefetch(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

static PyMethodDef methods[] = {
    FAST_METHOD("close", engine_close),
    FAST_METHOD("wait_ready", engine_wait_ready),
    FAST_METHOD("slot_count", engine_slot_count),
    {"intern", engine_intern, METH_O, NULL},
    {"forget", engine_forget, METH_O, NULL},
    FAST_METHOD("reset", engine_reset),
    FAST_METHOD("match", engine_match),
    FAST_METHOD("match_states", engine_match_states),
    FAST_METHOD("match_groups", engine_match_groups),
    FAST_METHOD("begin_store", engine_begin_store),
    FAST_METHOD("begin_load", engine_begin_load),
    FAST_METHOD("begin_copies", engine_begin_copies),
    FAST_METHOD("touch", engine_touch),
    FAST_METHOD("prefetch", engine_prefetch),
    {"prefetch_progress", engine_prefetch_progress, METH_O, NULL},
    {"end_prefetch", engine_end_prefetch, METH_O, NULL},
    {"commit", engine_commit, METH_O, NULL},
    {"abort", engine_abort, METH_O, NULL},
    {"end", engine_end, METH_O, NULL},
    FAST_METHOD("hand_out", engine_hand_out),
    {"reclaim", engine_reclaim, METH_O, NULL},
    FAST_METHOD("poll", engine_poll),
    FAST_METHOD("events", engine_events),
    FAST_METHOD("leases", engine_leases),
    {"stats", engine_stats, METH_NOARGS, NULL},
    {"tier_stats", engine_tier_stats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {{"address", engine_address, NULL, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The control plane of a cache. See roost/_core.pyi."},
    {Py_tp_init, engine_init},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

PyType_Spec engine_spec = {"roost._core.Engine", sizeof(struct holder), 0, Py_TPFLAGS_DEFAULT, slots};
