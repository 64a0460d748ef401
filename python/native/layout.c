/* Layouts are values, told as text: functions of the module, without a type of their own. */
#include <stdlib.h>

#include "core.h"

enum { USUAL_TEXT_BYTES = 4096 };

static int text_of(PyObject *value, const char *name, roost_text *out) {
  Py_ssize_t bytes = 0;
  if (!PyUnicode_Check(value)) {
    PyErr_Format(PyExc_TypeError, "'%s' must be text", name);
    return -1;
  }
  out->bytes = PyUnicode_AsUTF8AndSize(value, &bytes);
  out->byte_count = (size_t)bytes;
  return out->bytes == NULL ? -1 : 0;
}

typedef roost_status (*text_call)(roost_text, roost_text, char *, size_t, size_t *);

/* Two texts in, one out; called again if the answer is longer than usual. */
static PyObject *answer(const struct parameters *parameters, PyObject *const *args, Py_ssize_t count, PyObject *keywords,
                        text_call call) {
  PyObject *given[2];
  roost_text first, second;
  char usual[USUAL_TEXT_BYTES];
  size_t bytes = 0;
  if (arguments_sort(parameters, args, count, keywords, given) != 0) return NULL;
  if (text_of(given[0], parameters->names[0], &first) != 0) return NULL;
  if (text_of(given[1], parameters->names[1], &second) != 0) return NULL;
  roost_status status = call(first, second, usual, sizeof usual, &bytes);
  if (status != ROOST_OUT_OF_RESOURCES || bytes < sizeof usual) {
    if (failure_check(status) != 0) return NULL;
    return PyUnicode_DecodeUTF8(usual, (Py_ssize_t)bytes, "strict");
  }
  char *text = malloc(bytes + 1);
  if (text == NULL) return PyErr_NoMemory();
  PyObject *result = NULL;
  if (failure_check(call(first, second, text, bytes + 1, &bytes)) == 0) {
    result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)bytes, "strict");
  }
  free(text);
  return result;
}

PyObject *layout_apply(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"layout", "steps"};
  static const struct parameters parameters = {"layout_apply", names, 2, 2};
  (void)module;
  return answer(&parameters, args, count, keywords, roost_layout_apply);
}

PyObject *layout_named(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"name", "parameters"};
  static const struct parameters parameters = {"layout_named", names, 2, 2};
  (void)module;
  return answer(&parameters, args, count, keywords, roost_layout_named);
}

PyObject *layout_plan(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"source", "target"};
  static const struct parameters parameters = {"layout_plan", names, 2, 2};
  (void)module;
  return answer(&parameters, args, count, keywords, roost_layout_plan);
}

/* Both lists have rows of three 64-bit numbers. */
typedef roost_status (*list_call)(roost_text, roost_text, uint64_t, uint64_t, void *, size_t, size_t *);

static roost_status descriptors(
    roost_text layout, roost_text axes, uint64_t base, uint64_t device, void *out, size_t capacity, size_t *out_count) {
  return roost_layout_descriptors(layout, axes, base, device, out, capacity, out_count);
}

static roost_status pieces(
    roost_text source, roost_text target, uint64_t source_base, uint64_t target_base, void *out, size_t capacity,
    size_t *out_count) {
  return roost_layout_pieces(source, target, source_base, target_base, out, capacity, out_count);
}

/* Writes the rows into `out`, if there is one, and returns how many there are. */
static PyObject *list(const struct parameters *parameters, PyObject *const *args, Py_ssize_t count, PyObject *keywords,
                      list_call call) {
  PyObject *given[5];
  roost_text first, second;
  uint64_t numbers[2] = {0, 0};
  Py_buffer out = {0};
  size_t row_count = 0;
  if (arguments_sort(parameters, args, count, keywords, given) != 0) return NULL;
  if (text_of(given[0], parameters->names[0], &first) != 0) return NULL;
  if (text_of(given[1], parameters->names[1], &second) != 0) return NULL;
  if (arguments_u64(given[2], parameters->names[2], &numbers[0]) != 0) return NULL;
  if (arguments_u64(given[3], parameters->names[3], &numbers[1]) != 0) return NULL;
  int is_counted_only = given[4] == Py_None;
  if (!is_counted_only && arguments_buffer(given[4], "out", 8, 1, &out) != 0) return NULL;
  if ((uintptr_t)out.buf % sizeof(uint64_t) != 0) {
    PyBuffer_Release(&out);
    failure_invalid("'out' must be aligned for 64-bit numbers");
    return NULL;
  }
  roost_status status;
  Py_BEGIN_ALLOW_THREADS
  status = call(first, second, numbers[0], numbers[1], out.buf, (size_t)out.len / sizeof(roost_piece), &row_count);
  Py_END_ALLOW_THREADS
  if (!is_counted_only) PyBuffer_Release(&out);
  /* Without a buffer the number is all that was asked for. */
  int is_answered = is_counted_only && status == ROOST_OUT_OF_RESOURCES && row_count > 0;
  if (!is_answered && failure_check(status) != 0) return NULL;
  return PyLong_FromSize_t(row_count);
}

PyObject *layout_descriptors(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"layout", "axes", "base", "device", "out"};
  static const struct parameters parameters = {"layout_descriptors", names, 5, 5};
  (void)module;
  return list(&parameters, args, count, keywords, descriptors);
}

PyObject *layout_pieces(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"source", "target", "source_base", "target_base", "out"};
  static const struct parameters parameters = {"layout_pieces", names, 5, 5};
  (void)module;
  return list(&parameters, args, count, keywords, pieces);
}
