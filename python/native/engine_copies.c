/* What a scheduler does for one job of its workers: a lease, who reports it, and what is to be copied. */
#include <stdlib.h>
#include <string.h>

#include "core.h"

/* The device blocks of one job, in the order of its keys, and what became of each. */
struct job_blocks {
  uint32_t verb;
  size_t count;
  int32_t *blocks;
  roost_grant *grants;
};

static int read_block(PyObject *number, int32_t *out) {
  long value = PyLong_AsLong(number);
  if (value == -1 && PyErr_Occurred() != NULL) return -1;
  if (value < 0 || value > INT32_MAX) return failure_invalid("a device block is a number from 0 to 2^31 - 1");
  *out = (int32_t)value;
  return 0;
}

static int read_blocks(PyObject *value, struct job_blocks *out) {
  PyObject *sequence = PyList_Check(value) ? Py_NewRef(value) : PySequence_List(value);
  if (sequence == NULL) return -1;
  int failed = (size_t)PyList_Size(sequence) != out->count;
  if (failed) failure_invalid("'blocks' must have one number for every hash");
  for (size_t index = 0; !failed && index < out->count; index++) {
    failed = read_block(PyList_GetItem(sequence, (Py_ssize_t)index), &out->blocks[index]) != 0;
  }
  Py_DECREF(sequence);
  return failed ? -1 : 0;
}

/* (lease, blocks, slots and generations, the other blocks), the last three as the bytes of 32-bit numbers. */
static PyObject *answer(const struct job_blocks *job, uint64_t lease) {
  uint32_t taken = job->verb == ROOST_STORE ? ROOST_ADMITTED : ROOST_LEASED;
  size_t count = 0;
  for (size_t index = 0; lease != 0 && index < job->count; index++) count += job->grants[index].outcome == taken;
  PyObject *blocks = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * 4));
  PyObject *slots = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(count * 8));
  PyObject *others = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)((job->count - count) * 4));
  if (blocks == NULL || slots == NULL || others == NULL) {
    Py_XDECREF(blocks);
    Py_XDECREF(slots);
    Py_XDECREF(others);
    return NULL;
  }
  char *block = PyBytes_AsString(blocks), *slot = PyBytes_AsString(slots), *other = PyBytes_AsString(others);
  for (size_t index = 0; index < job->count; index++) {
    const roost_grant *grant = &job->grants[index];
    int is_taken = lease != 0 && grant->outcome == taken;
    char **end = is_taken ? &block : &other;
    memcpy(*end, &job->blocks[index], 4);
    *end += 4;
    if (!is_taken) continue;
    memcpy(slot, &grant->slot, 4);
    memcpy(slot + 4, &grant->generation, 4);
    slot += 8;
  }
  return Py_BuildValue("KNNN", lease, blocks, slots, others);
}

static void take_back(roost_engine handle, const struct job_blocks *job, uint64_t lease) {
  /* The error that is being raised says more than this could. */
  (void)(job->verb == ROOST_STORE ? roost_engine_abort(handle, lease) : roost_engine_end(handle, lease));
}

static PyObject *begin_copies(
    roost_engine handle, const roost_request *request, const roost_keys *keys, uint32_t shards,
    const struct job_blocks *job) {
  uint64_t lease = 0;
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = job->verb == ROOST_STORE ? roost_engine_begin_store(handle, request, keys, job->grants, &lease)
                                    : roost_engine_begin_load(handle, request, keys, job->grants, &lease);
  if (status == ROOST_OK && lease != 0) status = roost_engine_hand_out(handle, lease, shards);
  Py_END_ALLOW_THREADS
  PyObject *result = failure_check(status) == 0 ? answer(job, lease) : NULL;
  if (result == NULL && lease != 0) take_back(handle, job, lease);
  return result;
}

PyObject *engine_begin_copies(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"verb",  "request", "identity", "hashes",       "stride",
                                      "group", "blocks",  "shards",   "output_tokens"};
  static const struct parameters parameters = {"begin_copies", names, 8, 9};
  PyObject *given[9], *result = NULL;
  roost_request request = {.struct_bytes = sizeof request, .output_tokens = -1};
  struct job_blocks job = {0};
  struct hashes keys;
  uint32_t shards = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u32(given[0], "verb", &job.verb) != 0 || arguments_u64(given[1], "request", &request.request) != 0 ||
      arguments_u32(given[7], "shards", &shards) != 0)
    return NULL;
  if (job.verb != ROOST_STORE && job.verb != ROOST_LOAD) {
    failure_invalid("'verb' must be STORE or LOAD");
    return NULL;
  }
  if (given[8] != NULL) {
    request.output_tokens = PyLong_AsLongLong(given[8]);
    if (request.output_tokens == -1 && PyErr_Occurred() != NULL) return NULL;
  }
  if (arguments_hashes(given[3], given[4], &keys) != 0) return NULL;
  job.count = keys.keys.count;
  job.blocks = malloc((job.count + 1) * sizeof *job.blocks);
  job.grants = malloc((job.count + 1) * sizeof *job.grants);
  if (job.blocks == NULL || job.grants == NULL) {
    PyErr_NoMemory();
  } else if (
      arguments_u32(given[2], "identity", &keys.keys.identity) == 0 &&
      arguments_u32(given[5], "group", &keys.keys.group) == 0 && read_blocks(given[6], &job) == 0) {
    result = begin_copies(handle_of(self), &request, &keys.keys, shards, &job);
  }
  free(job.blocks);
  free(job.grants);
  PyBuffer_Release(&keys.view);
  return result;
}
