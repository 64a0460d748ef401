/* Devices, blocks, streams and events as numbers; roost/devices.py makes objects of them. */
#include <stdlib.h>

#include "core.h"

static PyObject *text_answer(roost_status (*call)(uint64_t, char *, size_t, size_t *), uint64_t handle) {
  size_t bytes = 0;
  char usual[1 << 16];
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = call(handle, usual, sizeof usual, &bytes);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  return PyUnicode_DecodeUTF8(usual, (Py_ssize_t)bytes, "replace");
}

static roost_status survey(uint64_t unused, char *text, size_t text_bytes, size_t *out_bytes) {
  (void)unused;
  return roost_device_survey(text, text_bytes, out_bytes);
}

static PyObject *device_survey(PyObject *module, PyObject *unused) {
  (void)module;
  (void)unused;
  return text_answer(survey, 0);
}

static PyObject *device_open(PyObject *module, PyObject *value) {
  (void)module;
  Py_ssize_t bytes = 0;
  roost_device device = 0;
  if (!PyUnicode_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "a device's name is text");
    return NULL;
  }
  const char *uri = PyUnicode_AsUTF8AndSize(value, &bytes);
  if (uri == NULL) return NULL;
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_device_open(uri, &device);
  Py_END_ALLOW_THREADS
  return failure_check(status) == 0 ? PyLong_FromUnsignedLongLong(device) : NULL;
}

static int text_of(PyObject *value, roost_text *out) {
  Py_ssize_t bytes = 0;
  if (!PyUnicode_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "text is needed");
    return -1;
  }
  out->bytes = PyUnicode_AsUTF8AndSize(value, &bytes);
  out->byte_count = (size_t)bytes;
  return out->bytes == NULL ? -1 : 0;
}

static PyObject *device_mock(PyObject *module, PyObject *value) {
  (void)module;
  roost_text config;
  roost_device device = 0;
  if (text_of(value, &config) != 0 || failure_check(roost_device_mock(config, &device)) != 0) return NULL;
  return PyLong_FromUnsignedLongLong(device);
}

static PyObject *device_describe(PyObject *module, PyObject *value) {
  (void)module;
  uint64_t handle = 0;
  if (arguments_u64(value, "device", &handle) != 0) return NULL;
  return text_answer(roost_device_describe, handle);
}

static PyObject *device_memory(PyObject *module, PyObject *value) {
  (void)module;
  uint64_t handle = 0;
  roost_memory memory = {.struct_bytes = sizeof memory};
  if (arguments_u64(value, "device", &handle) != 0) return NULL;
  if (failure_check(roost_device_memory(handle, &memory)) != 0) return NULL;
  return Py_BuildValue(
      "KKKK", (unsigned long long)memory.memory_bytes, (unsigned long long)memory.free_bytes,
      (unsigned long long)memory.block_count, (unsigned long long)memory.block_bytes);
}

/* ---- Calls of one handle, or of a handle and a number ---- */

static PyObject *with_handle(PyObject *value, roost_status (*call)(uint64_t)) {
  uint64_t handle = 0;
  if (arguments_u64(value, "handle", &handle) != 0) return NULL;
  roost_status status;
  /* What a device gives back may take its time. */
  Py_BEGIN_ALLOW_THREADS
  status = call(handle);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *two_handles(PyObject *args, roost_status (*call)(uint64_t, uint64_t)) {
  unsigned long long first = 0, second = 0;
  if (!PyArg_ParseTuple(args, "KK", &first, &second)) return NULL;
  if (failure_check(call(first, second)) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *with_timeout(PyObject *args, roost_status (*call)(uint64_t, double)) {
  unsigned long long handle = 0;
  double timeout = 0;
  if (!PyArg_ParseTuple(args, "Kd", &handle, &timeout)) return NULL;
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = call(handle, timeout);
  Py_END_ALLOW_THREADS
  if (failure_check(status) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *asked(PyObject *value, roost_status (*call)(uint64_t, int32_t *)) {
  uint64_t handle = 0;
  int32_t answer = 0;
  if (arguments_u64(value, "handle", &handle) != 0) return NULL;
  if (failure_check(call(handle, &answer)) != 0) return NULL;
  return PyBool_FromLong(answer);
}

#define CALL_OF(kind, name)                                  \
  static PyObject *name(PyObject *module, PyObject *value) { \
    (void)module;                                            \
    return kind(value, roost_##name);                        \
  }
CALL_OF(with_handle, device_close)
CALL_OF(with_handle, stream_reset)
CALL_OF(with_handle, device_event_close)
CALL_OF(with_timeout, device_wait)
CALL_OF(with_timeout, stream_wait)
CALL_OF(with_timeout, device_event_wait)
CALL_OF(two_handles, stream_record)
CALL_OF(two_handles, stream_follow)
CALL_OF(asked, stream_query)
CALL_OF(asked, device_event_query)

static PyObject *device_require(PyObject *module, PyObject *args) {
  (void)module;
  unsigned long long handle = 0;
  Py_ssize_t bytes = 0;
  roost_text names;
  if (!PyArg_ParseTuple(args, "Ks#", &handle, &names.bytes, &bytes)) return NULL;
  names.byte_count = (size_t)bytes;
  if (failure_check(roost_device_require(handle, names)) != 0) return NULL;
  Py_RETURN_NONE;
}

static PyObject *device_event_open(PyObject *module, PyObject *value) {
  (void)module;
  uint64_t device = 0;
  roost_device_event event = 0;
  if (arguments_u64(value, "device", &device) != 0) return NULL;
  if (failure_check(roost_device_event_open(device, &event)) != 0) return NULL;
  return PyLong_FromUnsignedLongLong(event);
}

static PyObject *device_event_seconds(PyObject *module, PyObject *args) {
  (void)module;
  unsigned long long start = 0, end = 0;
  double seconds = 0;
  if (!PyArg_ParseTuple(args, "KK", &start, &end)) return NULL;
  if (failure_check(roost_device_event_seconds(start, end, &seconds)) != 0) return NULL;
  return PyFloat_FromDouble(seconds);
}

/* ---- Blocks ---- */

static PyObject *device_allocate(PyObject *module, PyObject *args) {
  (void)module;
  unsigned long long device = 0, byte_count = 0;
  Py_ssize_t count = 0;
  if (!PyArg_ParseTuple(args, "KKn", &device, &byte_count, &count)) return NULL;
  roost_block *blocks = calloc(count > 0 && count < 1 << 24 ? (size_t)count : 1, sizeof *blocks);
  if (blocks == NULL) return PyErr_NoMemory();
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_device_allocate(device, byte_count, blocks, (size_t)count);
  Py_END_ALLOW_THREADS
  PyObject *list = failure_check(status) == 0 ? PyList_New(0) : NULL;
  for (Py_ssize_t index = 0; list != NULL && index < count; index++) {
    PyObject *number = PyLong_FromUnsignedLongLong(blocks[index]);
    if (number == NULL || PyList_Append(list, number) != 0) Py_CLEAR(list);
    Py_XDECREF(number);
  }
  free(blocks);
  return list;
}

static PyObject *block_free(PyObject *module, PyObject *value) {
  (void)module;
  PyObject *sequence = PySequence_Tuple(value);
  if (sequence == NULL) return NULL;
  size_t count = (size_t)PyTuple_Size(sequence);
  roost_block *blocks = calloc(count + 1, sizeof *blocks);
  int failed = blocks == NULL;
  if (failed) PyErr_NoMemory();
  for (size_t index = 0; !failed && index < count; index++) {
    failed = arguments_u64(PyTuple_GetItem(sequence, (Py_ssize_t)index), "block", &blocks[index]) != 0;
  }
  if (!failed) {
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_block_free(blocks, count);
    Py_END_ALLOW_THREADS
    failed = failure_check(status) != 0;
  }
  free(blocks);
  Py_DECREF(sequence);
  if (failed) return NULL;
  Py_RETURN_NONE;
}

static PyObject *block_place(PyObject *module, PyObject *value) {
  (void)module;
  uint64_t block = 0, address = 0, bytes = 0;
  if (arguments_u64(value, "block", &block) != 0) return NULL;
  if (failure_check(roost_block_place(block, &address, &bytes)) != 0) return NULL;
  return Py_BuildValue("KK", (unsigned long long)address, (unsigned long long)bytes);
}

static PyObject *block_migrate(PyObject *module, PyObject *args) {
  (void)module;
  unsigned long long block = 0, device = 0;
  double timeout = 0;
  roost_block moved = 0;
  if (!PyArg_ParseTuple(args, "KKd", &block, &device, &timeout)) return NULL;
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_block_migrate(block, device, timeout, &moved);
  Py_END_ALLOW_THREADS
  return failure_check(status) == 0 ? PyLong_FromUnsignedLongLong(moved) : NULL;
}

/* ---- Streams ---- */

/* Where a buffer lies; whoever keeps the object keeps it there. */
static PyObject *buffer_address(PyObject *module, PyObject *value) {
  (void)module;
  Py_buffer view;
  if (PyObject_GetBuffer(value, &view, PyBUF_CONTIG_RO) != 0) return NULL;
  PyObject *address = PyLong_FromVoidPtr(view.buf);
  PyBuffer_Release(&view);
  return address;
}

static PyObject *stream_open(PyObject *module, PyObject *args) {
  (void)module;
  unsigned long long device = 0;
  unsigned int priority = 0;
  roost_stream stream = 0;
  if (!PyArg_ParseTuple(args, "KI", &device, &priority)) return NULL;
  if (failure_check(roost_stream_open(device, priority, &stream)) != 0) return NULL;
  return PyLong_FromUnsignedLongLong(stream);
}

static PyObject *stream_close(PyObject *module, PyObject *args) {
  (void)module;
  unsigned long long stream = 0;
  double timeout = 0;
  int32_t has_ended = 0;
  if (!PyArg_ParseTuple(args, "Kd", &stream, &timeout)) return NULL;
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = roost_stream_close(stream, timeout, &has_ended);
  Py_END_ALLOW_THREADS
  return failure_check(status) == 0 ? PyBool_FromLong(has_ended) : NULL;
}

/* (source, target, host address, host bytes, pieces or None); the view of the pieces is to be released. */
static int read_copy(PyObject *entry, roost_copy *out, Py_buffer *pieces) {
  unsigned long long source = 0, target = 0, host = 0, host_bytes = 0;
  PyObject *given = NULL;
  if (!PyTuple_Check(entry)) {
    PyErr_SetString(PyExc_TypeError, "a copy is (source, target, host address, host bytes, pieces)");
    return -1;
  }
  if (!PyArg_ParseTuple(entry, "KKKKO", &source, &target, &host, &host_bytes, &given)) return -1;
  *out = (roost_copy){sizeof *out, source, target, host, host_bytes, NULL, 0};
  if (given == Py_None) return 0;
  if (arguments_buffer(given, "pieces", 8, 0, pieces) != 0) return -1;
  if ((size_t)pieces->len % sizeof(roost_piece) != 0) {
    return failure_invalid("'pieces' must have rows of three 64-bit numbers");
  }
  out->piece_count = (size_t)pieces->len / sizeof(roost_piece);
  /* No rows are no copies; no pointer would be all bytes. */
  static const roost_piece none;
  out->pieces = out->piece_count == 0 ? &none : pieces->buf;
  return 0;
}

static PyObject *stream_copy(PyObject *module, PyObject *args) {
  (void)module;
  unsigned long long stream = 0;
  PyObject *list = NULL;
  if (!PyArg_ParseTuple(args, "KO", &stream, &list)) return NULL;
  PyObject *sequence = PySequence_Tuple(list);
  if (sequence == NULL) return NULL;
  size_t count = (size_t)PyTuple_Size(sequence);
  roost_copy *copies = calloc(count + 1, sizeof *copies);
  Py_buffer *views = calloc(count + 1, sizeof *views);
  int failed = copies == NULL || views == NULL;
  if (failed) PyErr_NoMemory();
  for (size_t index = 0; !failed && index < count; index++) {
    failed = read_copy(PyTuple_GetItem(sequence, (Py_ssize_t)index), &copies[index], &views[index]) != 0;
  }
  if (!failed) {
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_stream_copy(stream, copies, count);
    Py_END_ALLOW_THREADS
    failed = failure_check(status) != 0;
  }
  for (size_t index = 0; views != NULL && index < count; index++) {
    if (views[index].obj != NULL) PyBuffer_Release(&views[index]);
  }
  free(copies);
  free(views);
  Py_DECREF(sequence);
  if (failed) return NULL;
  Py_RETURN_NONE;
}

PyMethodDef device_functions[] = {
    {"device_survey", device_survey, METH_NOARGS, NULL},
    {"device_open", device_open, METH_O, NULL},
    {"device_mock", device_mock, METH_O, NULL},
    {"device_close", device_close, METH_O, NULL},
    {"device_describe", device_describe, METH_O, NULL},
    {"device_require", device_require, METH_VARARGS, NULL},
    {"device_memory", device_memory, METH_O, NULL},
    {"device_wait", device_wait, METH_VARARGS, NULL},
    {"device_allocate", device_allocate, METH_VARARGS, NULL},
    {"device_event_open", device_event_open, METH_O, NULL},
    {"device_event_close", device_event_close, METH_O, NULL},
    {"device_event_query", device_event_query, METH_O, NULL},
    {"device_event_wait", device_event_wait, METH_VARARGS, NULL},
    {"device_event_seconds", device_event_seconds, METH_VARARGS, NULL},
    {"buffer_address", buffer_address, METH_O, NULL},
    {"block_free", block_free, METH_O, NULL},
    {"block_place", block_place, METH_O, NULL},
    {"block_migrate", block_migrate, METH_VARARGS, NULL},
    {"stream_open", stream_open, METH_VARARGS, NULL},
    {"stream_close", stream_close, METH_VARARGS, NULL},
    {"stream_copy", stream_copy, METH_VARARGS, NULL},
    {"stream_query", stream_query, METH_O, NULL},
    {"stream_wait", stream_wait, METH_VARARGS, NULL},
    {"stream_reset", stream_reset, METH_O, NULL},
    {"stream_record", stream_record, METH_VARARGS, NULL},
    {"stream_follow", stream_follow, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
