/* The calls of an engine that take keys. */
#include <stdlib.h>

#include "core.h"

static PyObject *match(
    PyObject *self, PyObject *identity, PyObject *hashes, PyObject *stride, PyObject *group, PyObject *states) {
  struct hashes blocks;
  Py_buffer target = {0};
  uint64_t ready = 0;
  if (arguments_hashes(hashes, stride, &blocks) != 0) return NULL;
  int failed = arguments_u32(identity, "identity", &blocks.keys.identity) != 0 ||
               arguments_u32(group, "group", &blocks.keys.group) != 0;
  if (!failed && states != NULL) {
    failed = arguments_buffer(states, "states", 1, 1, &target) != 0;
    if (!failed && (size_t)target.len < blocks.keys.count) {
      PyBuffer_Release(&target);
      failed = failure_invalid("'states' must have a byte for every block") != 0;
    }
  }
  if (!failed) {
    roost_engine handle = handle_of(self);
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_engine_match(handle, &blocks.keys, target.buf, &ready);
    Py_END_ALLOW_THREADS
    if (states != NULL) PyBuffer_Release(&target);
    failed = failure_check(status) != 0;
  }
  PyBuffer_Release(&blocks.view);
  return failed ? NULL : PyLong_FromUnsignedLongLong(ready);
}

PyObject *engine_match(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"identity", "hashes", "stride", "group"};
  static const struct parameters parameters = {"match", names, 3, 4};
  PyObject *given[4];
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  return match(self, given[0], given[1], given[2], given[3], NULL);
}

PyObject *engine_match_states(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"identity", "hashes", "stride", "group", "states"};
  static const struct parameters parameters = {"match_states", names, 5, 5};
  PyObject *given[5];
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  return match(self, given[0], given[1], given[2], given[3], given[4]);
}

/* The groups' keys, with the buffers that they lie in. */
struct group_list {
  struct hashes *hashes;
  roost_keys *keys;
  roost_range *ranges;
  size_t count;
};

static void free_groups(struct group_list *list) {
  for (size_t index = 0; index < list->count; index++) PyBuffer_Release(&list->hashes[index].view);
  free(list->hashes);
  free(list->keys);
  free(list->ranges);
}

static int read_groups(PyObject *sequence, uint32_t identity, struct group_list *out) {
  size_t count = (size_t)PyTuple_Size(sequence);
  *out = (struct group_list){
      calloc(count + 1, sizeof(struct hashes)), calloc(count + 1, sizeof(roost_keys)),
      calloc(count + 1, sizeof(roost_range)), 0};
  if (out->hashes == NULL || out->keys == NULL || out->ranges == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (size_t index = 0; index < count; index++) {
    PyObject *pair = PyTuple_GetItem(sequence, (Py_ssize_t)index);
    if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
      PyErr_SetString(PyExc_TypeError, "groups are pairs (hashes, stride)");
      return -1;
    }
    if (arguments_hashes(PyTuple_GetItem(pair, 0), PyTuple_GetItem(pair, 1), &out->hashes[index]) != 0) return -1;
    out->count = index + 1;
    out->keys[index] = out->hashes[index].keys;
    out->keys[index].identity = identity;
    out->keys[index].group = (uint32_t)index;
  }
  return 0;
}

static PyObject *group_answer(const struct group_list *list, uint64_t tokens) {
  PyObject *ranges = PyList_New(0);
  for (size_t index = 0; ranges != NULL && index < list->count; index++) {
    PyObject *pair = Py_BuildValue("KK", list->ranges[index].first, list->ranges[index].count);
    if (pair == NULL || PyList_Append(ranges, pair) != 0) Py_CLEAR(ranges);
    Py_XDECREF(pair);
  }
  return ranges == NULL ? NULL : Py_BuildValue("KN", tokens, ranges);
}

PyObject *engine_match_groups(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"identity", "groups", "tokens_max"};
  static const struct parameters parameters = {"match_groups", names, 3, 3};
  PyObject *given[3], *answer = NULL;
  uint32_t identity = 0;
  uint64_t tokens_max = 0, tokens = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u32(given[0], "identity", &identity) != 0) return NULL;
  if (arguments_u64(given[2], "tokens_max", &tokens_max) != 0) return NULL;
  PyObject *sequence = PySequence_Tuple(given[1]);
  if (sequence == NULL) return NULL;
  struct group_list list;
  if (read_groups(sequence, identity, &list) == 0) {
    roost_engine handle = handle_of(self);
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_engine_match_groups(handle, list.keys, list.count, tokens_max, list.ranges, &tokens);
    Py_END_ALLOW_THREADS
    if (failure_check(status) == 0) answer = group_answer(&list, tokens);
  }
  free_groups(&list);
  Py_DECREF(sequence);
  return answer;
}

typedef roost_status (*begin_call)(
    roost_engine, const roost_request *, const roost_keys *, roost_grant *, uint64_t *);

/* begin_store and begin_load: given is request, identity, hashes, stride, group, out, output tokens. */
static PyObject *begin(PyObject *self, PyObject *const *given, begin_call call) {
  roost_request request = {.struct_bytes = sizeof request, .output_tokens = -1};
  struct hashes blocks;
  Py_buffer out;
  uint64_t lease = 0;
  if (arguments_u64(given[0], "request", &request.request) != 0) return NULL;
  if (given[6] != NULL) {
    request.output_tokens = PyLong_AsLongLong(given[6]);
    if (request.output_tokens == -1 && PyErr_Occurred() != NULL) return NULL;
  }
  if (arguments_hashes(given[2], given[3], &blocks) != 0) return NULL;
  int failed = arguments_u32(given[1], "identity", &blocks.keys.identity) != 0 ||
               arguments_u32(given[4], "group", &blocks.keys.group) != 0 ||
               arguments_buffer(given[5], "out", 4, 1, &out) != 0;
  if (!failed) {
    if ((size_t)out.len / sizeof(roost_grant) < blocks.keys.count) {
      failed = failure_invalid("'out' must have three 32-bit numbers for every block") != 0;
    } else {
      roost_engine handle = handle_of(self);
      roost_status status;
      Py_BEGIN_ALLOW_THREADS
      status = call(handle, &request, &blocks.keys, out.buf, &lease);
      Py_END_ALLOW_THREADS
      failed = failure_check(status) != 0;
    }
    PyBuffer_Release(&out);
  }
  PyBuffer_Release(&blocks.view);
  return failed ? NULL : PyLong_FromUnsignedLongLong(lease);
}

PyObject *engine_begin_store(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"request", "identity", "hashes", "stride", "group", "out", "output_tokens"};
  static const struct parameters parameters = {"begin_store", names, 6, 7};
  PyObject *given[7];
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  return begin(self, given, roost_engine_begin_store);
}

PyObject *engine_begin_load(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"request", "identity", "hashes", "stride", "group", "out"};
  static const struct parameters parameters = {"begin_load", names, 6, 6};
  PyObject *given[7] = {NULL};
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  return begin(self, given, roost_engine_begin_load);
}

PyObject *engine_touch(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"request", "identity", "hashes", "stride", "group", "output_tokens"};
  static const struct parameters parameters = {"touch", names, 4, 6};
  PyObject *given[6];
  roost_request request = {.struct_bytes = sizeof request, .output_tokens = -1};
  struct hashes blocks;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u64(given[0], "request", &request.request) != 0) return NULL;
  if (given[5] != NULL) {
    request.output_tokens = PyLong_AsLongLong(given[5]);
    if (request.output_tokens == -1 && PyErr_Occurred() != NULL) return NULL;
  }
  if (arguments_hashes(given[2], given[3], &blocks) != 0) return NULL;
  int failed = arguments_u32(given[1], "identity", &blocks.keys.identity) != 0 ||
               arguments_u32(given[4], "group", &blocks.keys.group) != 0;
  if (!failed) {
    roost_engine handle = handle_of(self);
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_engine_touch(handle, &request, &blocks.keys);
    Py_END_ALLOW_THREADS
    failed = failure_check(status) != 0;
  }
  PyBuffer_Release(&blocks.view);
  if (failed) return NULL;
  Py_RETURN_NONE;
}

PyObject *engine_prefetch(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"request", "identity", "hashes", "stride", "group", "timeout"};
  static const struct parameters parameters = {"prefetch", names, 6, 6};
  PyObject *given[6];
  roost_request request = {.struct_bytes = sizeof request, .output_tokens = -1};
  struct hashes blocks;
  double timeout = 0;
  uint32_t answer = 0;
  uint64_t prefetch = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u64(given[0], "request", &request.request) != 0) return NULL;
  if (arguments_seconds(given[5], "timeout", &timeout) != 0) return NULL;
  if (arguments_hashes(given[2], given[3], &blocks) != 0) return NULL;
  int failed = arguments_u32(given[1], "identity", &blocks.keys.identity) != 0 ||
               arguments_u32(given[4], "group", &blocks.keys.group) != 0;
  if (!failed) {
    roost_engine handle = handle_of(self);
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_engine_prefetch(handle, &request, &blocks.keys, 1, timeout, &answer, &prefetch);
    Py_END_ALLOW_THREADS
    failed = failure_check(status) != 0;
  }
  PyBuffer_Release(&blocks.view);
  return failed ? NULL : Py_BuildValue("IK", answer, prefetch);
}
