/* What the files of the extension share. The extension is thin: it turns Python values into what roost.h takes. */
#pragma once

/* The stable interface of Python 3.11, so that one extension serves this version and all later ones. */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "roost.h"

/* ---- Errors (failure.c) ---- */

/* Finds roost.RoostError. 0, or -1 with an exception set. */
int failure_set_up(void);
/* Raises what the last failed call of this thread says, if `status` is an error. 0 if it is none, else -1. */
int failure_check(roost_status status);
/* Raises RoostError("invalidInput", message). Always -1. */
int failure_invalid(const char *message);

/* ---- Arguments (arguments.c) ---- */

/* The names of a method's parameters, the required ones first. */
struct parameters {
  const char *method;
  const char *const *names;
  int required;
  int count;
};
/* Sorts positional and keyword arguments into out[count]; those that are not given are NULL. 0 or -1. */
int arguments_sort(
    const struct parameters *parameters, PyObject *const *args, Py_ssize_t arg_count, PyObject *keywords,
    PyObject **out);
/* Numbers in range. NULL leaves *out alone, so that it may hold a default. 0 or -1. */
int arguments_u64(PyObject *value, const char *name, uint64_t *out);
int arguments_u32(PyObject *value, const char *name, uint32_t *out);
int arguments_size(PyObject *value, const char *name, size_t *out);
int arguments_seconds(PyObject *value, const char *name, double *out);
/* Contiguous bytes of an object, of items of `item_bytes` (or of single bytes). To be released. 0 or -1. */
int arguments_buffer(PyObject *value, const char *name, Py_ssize_t item_bytes, int is_writable, Py_buffer *out);

/* An identity's fields, and the objects that keep them alive. */
struct fields {
  roost_field *values;
  size_t count;
  PyObject *sequence;
};
int arguments_fields(PyObject *value, struct fields *out);
void arguments_free_fields(struct fields *fields);

/* Hashes of a group's blocks; view.obj is to be released. */
struct hashes {
  Py_buffer view;
  roost_keys keys;
};
int arguments_hashes(PyObject *hashes, PyObject *stride, struct hashes *out);

/* The only argument of a method, a number of seconds. 0 or -1. */
int arguments_timeout(
    const char *method, int is_required, PyObject *const *args, Py_ssize_t arg_count, PyObject *keywords, double *out);

/* ---- Results (arguments.c) ---- */

/* How many completions one poll takes at most. */
enum { POLL_MAX = 4096 };
/* The tuple of failed positions. */
PyObject *result_positions(const roost_completion *completion);

/* ---- Types ---- */

/* An object that stands for a handle; 0 before it is opened and after it is closed. */
struct holder {
  PyObject_HEAD
  uint64_t handle;
};
/* The handle of a holder. */
uint64_t handle_of(PyObject *self);
/* The handle, which the holder forgets. */
uint64_t holder_take(PyObject *self);
/* The end of a holder's dealloc. */
void holder_free(PyObject *self);

extern PyType_Spec engine_spec;
extern PyType_Spec worker_spec;

/* ---- Layouts (layout.c) ---- */

PyObject *layout_apply(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *layout_named(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *layout_plan(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *layout_descriptors(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords);
PyObject *layout_pieces(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords);

/* ---- Devices (device.c) ---- */

extern PyMethodDef device_functions[];

typedef PyObject *(*fast_method)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
/* A method that takes positional and keyword arguments by vector. */
#define FAST_METHOD(name, function) \
  {name, (PyCFunction)(void (*)(void))(fast_method)function, METH_FASTCALL | METH_KEYWORDS, NULL}
