#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core.h"

static int place_keyword(const struct parameters *parameters, PyObject *keyword, PyObject *value, PyObject **out) {
  for (int index = 0; index < parameters->count; index++) {
    if (PyUnicode_CompareWithASCIIString(keyword, parameters->names[index]) != 0) continue;
    if (out[index] != NULL) {
      PyErr_Format(PyExc_TypeError, "%s() got '%s' twice", parameters->method, parameters->names[index]);
      return -1;
    }
    out[index] = value;
    return 0;
  }
  PyErr_Format(PyExc_TypeError, "%s() has no parameter %R", parameters->method, keyword);
  return -1;
}

int arguments_sort(
    const struct parameters *parameters, PyObject *const *args, Py_ssize_t arg_count, PyObject *keywords,
    PyObject **out) {
  if (arg_count > parameters->count) {
    PyErr_Format(
        PyExc_TypeError, "%s() takes %d arguments, not %zd", parameters->method, parameters->count, arg_count);
    return -1;
  }
  for (int index = 0; index < parameters->count; index++) out[index] = index < arg_count ? args[index] : NULL;
  Py_ssize_t keyword_count = keywords == NULL ? 0 : PyTuple_Size(keywords);
  for (Py_ssize_t index = 0; index < keyword_count; index++) {
    if (place_keyword(parameters, PyTuple_GetItem(keywords, index), args[arg_count + index], out) != 0) return -1;
  }
  for (int index = 0; index < parameters->required; index++) {
    if (out[index] != NULL) continue;
    PyErr_Format(PyExc_TypeError, "%s() needs '%s'", parameters->method, parameters->names[index]);
    return -1;
  }
  return 0;
}

int arguments_timeout(
    const char *method, int is_required, PyObject *const *args, Py_ssize_t arg_count, PyObject *keywords, double *out) {
  static const char *const names[] = {"timeout"};
  struct parameters parameters = {method, names, is_required, 1};
  PyObject *given[1];
  if (arguments_sort(&parameters, args, arg_count, keywords, given) != 0) return -1;
  return arguments_seconds(given[0], "timeout", out);
}

static int out_of_range(const char *name) {
  char message[128];
  if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return -1;
  PyErr_Clear();
  snprintf(message, sizeof message, "'%s' is negative or too large", name);
  return failure_invalid(message);
}

int arguments_u64(PyObject *value, const char *name, uint64_t *out) {
  if (value == NULL) return 0;
  PyObject *number = PyNumber_Index(value);
  if (number == NULL) return -1;
  unsigned long long whole = PyLong_AsUnsignedLongLong(number);
  Py_DECREF(number);
  if (whole == (unsigned long long)-1 && PyErr_Occurred() != NULL) return out_of_range(name);
  *out = whole;
  return 0;
}

int arguments_u32(PyObject *value, const char *name, uint32_t *out) {
  if (value == NULL) return 0;
  uint64_t whole = 0;
  if (arguments_u64(value, name, &whole) != 0) return -1;
  if (whole > UINT32_MAX) {
    PyErr_SetNone(PyExc_OverflowError);
    return out_of_range(name);
  }
  *out = (uint32_t)whole;
  return 0;
}

int arguments_size(PyObject *value, const char *name, size_t *out) {
  if (value == NULL) return 0;
  uint64_t whole = 0;
  if (arguments_u64(value, name, &whole) != 0) return -1;
  if (whole > PTRDIFF_MAX) {
    PyErr_SetNone(PyExc_OverflowError);
    return out_of_range(name);
  }
  *out = (size_t)whole;
  return 0;
}

int arguments_seconds(PyObject *value, const char *name, double *out) {
  (void)name;
  if (value == NULL) return 0;
  double seconds = PyFloat_AsDouble(value);
  if (seconds == -1.0 && PyErr_Occurred() != NULL) return -1;
  *out = seconds;
  return 0;
}

int arguments_buffer(PyObject *value, const char *name, Py_ssize_t item_bytes, int is_writable, Py_buffer *out) {
  if (PyObject_GetBuffer(value, out, is_writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) != 0) return -1;
  if (out->itemsize != item_bytes && out->itemsize != 1) {
    char message[160];
    snprintf(
        message, sizeof message, "'%s' must have items of %zd bytes (or single bytes), not of %zd", name, item_bytes,
        out->itemsize);
    PyBuffer_Release(out);
    return failure_invalid(message);
  }
  return 0;
}

/* One pair (name, bytes); both live as long as the pair. */
static int read_field(PyObject *pair, roost_field *out) {
  PyObject *name, *value;
  if (!PyTuple_Check(pair) || PyTuple_Size(pair) != 2) {
    PyErr_SetString(PyExc_TypeError, "the fields of an identity are pairs (name, bytes)");
    return -1;
  }
  name = PyTuple_GetItem(pair, 0);
  value = PyTuple_GetItem(pair, 1);
  if (!PyUnicode_Check(name) || !PyBytes_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "the fields of an identity are pairs (str, bytes)");
    return -1;
  }
  Py_ssize_t name_bytes = 0, byte_count = 0;
  char *bytes = NULL;
  const char *text = PyUnicode_AsUTF8AndSize(name, &name_bytes);
  if (text == NULL || PyBytes_AsStringAndSize(value, &bytes, &byte_count) != 0) return -1;
  *out = (roost_field){sizeof *out, text, (size_t)name_bytes, bytes, (size_t)byte_count};
  return 0;
}

int arguments_fields(PyObject *value, struct fields *out) {
  *out = (struct fields){NULL, 0, PySequence_Tuple(value)};
  if (out->sequence == NULL) return -1;
  Py_ssize_t count = PyTuple_Size(out->sequence);
  out->values = calloc((size_t)count + 1, sizeof *out->values);
  if (out->values == NULL) {
    PyErr_NoMemory();
    arguments_free_fields(out);
    return -1;
  }
  for (Py_ssize_t index = 0; index < count; index++) {
    if (read_field(PyTuple_GetItem(out->sequence, index), &out->values[index]) != 0) {
      arguments_free_fields(out);
      return -1;
    }
  }
  out->count = (size_t)count;
  return 0;
}

void arguments_free_fields(struct fields *fields) {
  free(fields->values);
  Py_CLEAR(fields->sequence);
  fields->values = NULL;
}

int arguments_hashes(PyObject *hashes, PyObject *stride, struct hashes *out) {
  size_t bytes = 0;
  memset(out, 0, sizeof *out);
  if (arguments_size(stride, "stride", &bytes) != 0) return -1;
  if (PyObject_GetBuffer(hashes, &out->view, PyBUF_SIMPLE) != 0) return -1;
  if (bytes == 0 || (size_t)out->view.len % bytes != 0) {
    PyBuffer_Release(&out->view);
    return failure_invalid("'hashes' must have a multiple of 'stride' bytes");
  }
  out->keys.struct_bytes = sizeof out->keys;
  out->keys.hashes = out->view.buf;
  out->keys.count = (size_t)out->view.len / bytes;
  out->keys.stride = bytes;
  return 0;
}

PyObject *result_positions(const roost_completion *completion) {
  PyObject *positions = PyTuple_New((Py_ssize_t)completion->failed_count);
  for (size_t index = 0; positions != NULL && index < completion->failed_count; index++) {
    PyObject *number = PyLong_FromUnsignedLong(completion->failed[index]);
    if (number == NULL || PyTuple_SetItem(positions, (Py_ssize_t)index, number) != 0) Py_CLEAR(positions);
  }
  return positions;
}
