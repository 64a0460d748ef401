#include "core.h"

uint64_t handle_of(PyObject *self) { return ((struct holder *)self)->handle; }

uint64_t holder_take(PyObject *self) {
  struct holder *holder = (struct holder *)self;
  uint64_t handle = holder->handle;
  holder->handle = 0;
  return handle;
}

void holder_free(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
  free_object(self);
  /* Types made from a PyType_Spec are objects that their instances hold. */
  Py_DECREF(type);
}
