#include <stdlib.h>

#include "core.h"

enum { BOUNDS_MAX = 63 };

static int worker_init(PyObject *self, PyObject *args, PyObject *keywords) {
  static char *names[] = {"address", "device", "timeout", NULL};
  const char *address = NULL, *device = "cpu";
  double timeout = 10.0;
  if (!PyArg_ParseTupleAndKeywords(args, keywords, "s|sd", names, &address, &device, &timeout)) return -1;
  struct holder *holder = (struct holder *)self;
  if (holder->handle != 0) return failure_invalid("a worker attaches once");
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_worker_attach(address, device, timeout, &holder->handle);
  Py_END_ALLOW_THREADS
  return failure_check(status);
}

static void worker_dealloc(PyObject *self) {
  roost_worker handle = handle_of(self);
  if (handle != 0) {
    Py_BEGIN_ALLOW_THREADS
    /* Nobody is left to hear of an error. Copies that run get the time to end, because their memory may go next. */
    (void)roost_worker_close(handle, 5.0, NULL);
    Py_END_ALLOW_THREADS
  }
  holder_free(self);
}

static PyObject *worker_attachment(PyObject *self, void *unused) {
  (void)unused;
  uint32_t number = 0;
  if (failure_check(roost_worker_attachment(handle_of(self), &number)) != 0) return NULL;
  return PyLong_FromUnsignedLong(number);
}

static PyObject *worker_close(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  double timeout = 5.0;
  int32_t has_ended = 1;
  if (arguments_timeout("close", 0, args, count, keywords, &timeout) != 0) return NULL;
  roost_worker handle = holder_take(self);
  if (handle == 0) Py_RETURN_TRUE;
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_worker_close(handle, timeout, &has_ended);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  return PyBool_FromLong(has_ended);
}

/* ---- Registration ---- */

static int tuple_of(PyObject *value, Py_ssize_t count, const char *what) {
  if (PyTuple_Check(value) && PyTuple_Size(value) == count) return 0;
  PyErr_Format(PyExc_TypeError, "%s", what);
  return -1;
}

static int read_region(PyObject *pair, roost_region *out) {
  if (tuple_of(pair, 2, "regions are pairs (pointer, bytes)") != 0) return -1;
  out->struct_bytes = sizeof *out;
  if (arguments_u64(PyTuple_GetItem(pair, 0), "pointer", &out->address) != 0) return -1;
  return arguments_u64(PyTuple_GetItem(pair, 1), "bytes", &out->byte_count);
}

static int read_layout(PyObject *value, const char **out_text, size_t *out_bytes) {
  Py_ssize_t bytes = 0;
  *out_text = PyUnicode_AsUTF8AndSize(value, &bytes);
  *out_bytes = (size_t)bytes;
  return *out_text == NULL ? -1 : 0;
}

static int read_part(PyObject *part, roost_part *out) {
  out->struct_bytes = sizeof *out;
  if (PyTuple_Check(part) && PyTuple_Size(part) == 4) {
    if (arguments_u64(PyTuple_GetItem(part, 0), "region", &out->region) != 0) return -1;
    if (read_layout(PyTuple_GetItem(part, 1), &out->device_layout, &out->device_layout_bytes) != 0) return -1;
    if (arguments_u64(PyTuple_GetItem(part, 2), "block stride", &out->block_stride) != 0) return -1;
    return read_layout(PyTuple_GetItem(part, 3), &out->slot_layout, &out->slot_layout_bytes);
  }
  const char *what =
      "parts are (region, offset, block stride, bytes, slot offset) or (region, device layout, block stride, slot layout)";
  if (tuple_of(part, 5, what) != 0) return -1;
  if (arguments_u64(PyTuple_GetItem(part, 0), "region", &out->region) != 0) return -1;
  if (arguments_u64(PyTuple_GetItem(part, 1), "offset", &out->offset) != 0) return -1;
  if (arguments_u64(PyTuple_GetItem(part, 2), "block stride", &out->block_stride) != 0) return -1;
  if (arguments_u64(PyTuple_GetItem(part, 3), "bytes", &out->byte_count) != 0) return -1;
  return arguments_u64(PyTuple_GetItem(part, 4), "slot offset", &out->slot_offset);
}

static int register_pages(PyObject *self, roost_pages *pages, PyObject *regions, PyObject *parts) {
  size_t region_count = (size_t)PyTuple_Size(regions), part_count = (size_t)PyTuple_Size(parts);
  roost_region *region_list = calloc(region_count + 1, sizeof *region_list);
  roost_part *part_list = calloc(part_count + 1, sizeof *part_list);
  int failed = region_list == NULL || part_list == NULL;
  if (failed) PyErr_NoMemory();
  for (size_t index = 0; !failed && index < region_count; index++) {
    failed = read_region(PyTuple_GetItem(regions, (Py_ssize_t)index), &region_list[index]) != 0;
  }
  for (size_t index = 0; !failed && index < part_count; index++) {
    failed = read_part(PyTuple_GetItem(parts, (Py_ssize_t)index), &part_list[index]) != 0;
  }
  if (!failed) {
    pages->regions = region_list;
    pages->region_count = region_count;
    pages->parts = part_list;
    pages->part_count = part_count;
    roost_worker handle = handle_of(self);
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_worker_register(handle, pages);
    Py_END_ALLOW_THREADS
    failed = failure_check(status) != 0;
  }
  free(region_list);
  free(part_list);
  return failed ? -1 : 0;
}

static PyObject *worker_register(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"group", "shard", "shards", "regions", "parts", "block_count"};
  static const struct parameters parameters = {"register", names, 6, 6};
  PyObject *given[6];
  roost_pages pages = {.struct_bytes = sizeof pages};
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u32(given[0], "group", &pages.group) != 0 || arguments_u32(given[1], "shard", &pages.shard) != 0 ||
      arguments_u32(given[2], "shards", &pages.shards) != 0 ||
      arguments_u64(given[5], "block_count", &pages.block_count) != 0)
    return NULL;
  PyObject *regions = PySequence_Tuple(given[3]);
  PyObject *parts = regions == NULL ? NULL : PySequence_Tuple(given[4]);
  int failed = parts == NULL || register_pages(self, &pages, regions, parts) != 0;
  Py_XDECREF(regions);
  Py_XDECREF(parts);
  if (failed) return NULL;
  Py_RETURN_NONE;
}

static PyObject *worker_divide(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"group", "bounds"};
  static const struct parameters parameters = {"divide", names, 2, 2};
  PyObject *given[2];
  uint32_t group = 0;
  uint64_t bounds[BOUNDS_MAX];
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u32(given[0], "group", &group) != 0) return NULL;
  PyObject *list = PySequence_Tuple(given[1]);
  if (list == NULL) return NULL;
  Py_ssize_t bound_count = PyTuple_Size(list);
  int failed = 0;
  if (bound_count > BOUNDS_MAX) failed = failure_invalid("a page is cut at 63 bounds at most");
  for (Py_ssize_t index = 0; !failed && index < bound_count; index++) {
    failed = arguments_u64(PyTuple_GetItem(list, index), "bounds", &bounds[index]) != 0;
  }
  Py_DECREF(list);
  if (failed || failure_check(roost_worker_divide(handle_of(self), group, bounds, (size_t)bound_count)) != 0)
    return NULL;
  Py_RETURN_NONE;
}

/* ---- Jobs ---- */

static PyObject *worker_submit(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"job", "verb", "group", "lease", "blocks", "slots_generations", "awaited"};
  static const struct parameters parameters = {"submit", names, 6, 7};
  PyObject *given[7];
  roost_job job = {.struct_bytes = sizeof job};
  Py_buffer blocks, slots;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u64(given[0], "job", &job.job) != 0 || arguments_u32(given[1], "verb", &job.verb) != 0 ||
      arguments_u32(given[2], "group", &job.group) != 0 || arguments_u64(given[3], "lease", &job.lease) != 0)
    return NULL;
  int awaited = given[6] == NULL ? 0 : PyObject_IsTrue(given[6]);
  if (awaited < 0) return NULL;
  job.is_awaited = (uint32_t)awaited;
  if (arguments_buffer(given[4], "blocks", 4, 0, &blocks) != 0) return NULL;
  if (arguments_buffer(given[5], "slots_generations", 4, 0, &slots) != 0) {
    PyBuffer_Release(&blocks);
    return NULL;
  }
  int failed = blocks.len % 4 != 0 || slots.len != 2 * blocks.len;
  if (failed) {
    failure_invalid("'slots_generations' must have two 32-bit numbers for each one of 'blocks'");
  } else {
    job.blocks = blocks.buf;
    job.slots = slots.buf;
    job.count = (size_t)blocks.len / 4;
    roost_worker handle = handle_of(self);
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_worker_submit(handle, &job);
    Py_END_ALLOW_THREADS
    failed = failure_check(status) != 0;
  }
  PyBuffer_Release(&blocks);
  PyBuffer_Release(&slots);
  if (failed) return NULL;
  Py_RETURN_NONE;
}

static PyObject *job_result(const roost_completion *one) {
  return Py_BuildValue("KINKd", one->id, one->outcome, result_positions(one), one->byte_count, one->seconds);
}

static PyObject *worker_poll(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
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
    if (failure_check(roost_worker_poll(handle_of(self), completions, wanted, &ended)) != 0) Py_CLEAR(list);
    for (size_t index = 0; list != NULL && index < ended; index++) {
      PyObject *tuple = job_result(&completions[index]);
      if (tuple == NULL || PyList_Append(list, tuple) != 0) Py_CLEAR(list);
      Py_XDECREF(tuple);
    }
    if (list == NULL || ended < wanted) break;
    max -= ended;
  }
  return list;
}

static PyObject *worker_wait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"job", "timeout"};
  static const struct parameters parameters = {"wait", names, 2, 2};
  PyObject *given[2];
  uint64_t job = 0;
  double timeout = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u64(given[0], "job", &job) != 0 || arguments_seconds(given[1], "timeout", &timeout) != 0) return NULL;
  roost_completion completion = {.struct_bytes = sizeof completion};
  roost_worker handle = handle_of(self);
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_worker_wait(handle, job, timeout, &completion);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  return job_result(&completion);
}

static PyObject *worker_wait_range(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"job", "range", "timeout"};
  static const struct parameters parameters = {"wait_range", names, 3, 3};
  PyObject *given[3];
  uint64_t job = 0;
  uint32_t range = 0;
  double timeout = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_u64(given[0], "job", &job) != 0 || arguments_u32(given[1], "range", &range) != 0 ||
      arguments_seconds(given[2], "timeout", &timeout) != 0)
    return NULL;
  roost_worker handle = handle_of(self);
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_worker_wait_range(handle, job, range, timeout);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *worker_follow(PyObject *self, PyObject *value) {
  uint64_t stream = 0;
  int follows = value != Py_None;
  if (follows && arguments_u64(value, "stream", &stream) != 0) return NULL;
  if (failure_check(roost_worker_follow(handle_of(self), stream, follows)) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *worker_cancel(PyObject *self, PyObject *value) {
  uint64_t job = 0;
  if (arguments_u64(value, "job", &job) != 0) return NULL;
  if (failure_check(roost_worker_cancel(handle_of(self), job)) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    FAST_METHOD("close", worker_close),
    FAST_METHOD("register", worker_register),
    FAST_METHOD("divide", worker_divide),
    FAST_METHOD("submit", worker_submit),
    FAST_METHOD("poll", worker_poll),
    FAST_METHOD("wait", worker_wait),
    FAST_METHOD("wait_range", worker_wait_range),
    {"cancel", worker_cancel, METH_O, NULL},
    {"follow", worker_follow, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {{"attachment", worker_attachment, NULL, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL}};

static PyType_Slot slots[] = {
    {Py_tp_doc, "The data plane of a worker. See roost/_core.pyi."},
    {Py_tp_init, worker_init},
    {Py_tp_dealloc, worker_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {0, NULL},
};

PyType_Spec worker_spec = {"roost._core.Worker", sizeof(struct holder), 0, Py_TPFLAGS_DEFAULT, slots};
