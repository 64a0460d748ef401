#include <string.h>

#include "core.h"

static PyObject *error_type;

int failure_set_up(void) {
  if (error_type != NULL) return 0;
  PyObject *module = PyImport_ImportModule("roost._error");
  if (module == NULL) return -1;
  error_type = PyObject_GetAttrString(module, "RoostError");
  Py_DECREF(module);
  return error_type == NULL ? -1 : 0;
}

/* Lines NAME=VALUE as a dictionary. */
static PyObject *context_of(const char *lines) {
  PyObject *context = PyDict_New();
  while (context != NULL && *lines != 0) {
    const char *end = strchr(lines, '\n');
    if (end == NULL) end = lines + strlen(lines);
    const char *equals = memchr(lines, '=', (size_t)(end - lines));
    if (equals != NULL) {
      PyObject *name = PyUnicode_DecodeUTF8(lines, equals - lines, "replace");
      PyObject *value = PyUnicode_DecodeUTF8(equals + 1, end - equals - 1, "replace");
      if (name == NULL || value == NULL || PyDict_SetItem(context, name, value) != 0) Py_CLEAR(context);
      Py_XDECREF(name);
      Py_XDECREF(value);
    }
    lines = *end == 0 ? end : end + 1;
  }
  return context;
}

static void raise_error(const char *code, const char *message, const char *context) {
  PyObject *text = PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
  PyObject *details = context_of(context);
  if (text != NULL && details != NULL) {
    PyObject *error = PyObject_CallFunction(error_type, "sOO", code, text, details);
    if (error != NULL) {
      PyErr_SetObject(error_type, error);
      Py_DECREF(error);
    }
  }
  Py_XDECREF(text);
  Py_XDECREF(details);
}

int failure_check(roost_status status) {
  if (status == ROOST_OK) return 0;
  raise_error(roost_status_name(status), roost_error_message(), roost_error_context());
  return -1;
}

int failure_invalid(const char *message) {
  raise_error("invalidInput", message, "");
  return -1;
}
