#include "core.h"

static PyObject *hash_tokens(PyObject *module, PyObject *const *args, Py_ssize_t count, PyObject *keywords) {
  static const char *const names[] = {"tokens", "tokens_per_block"};
  static const struct parameters parameters = {"hash_tokens", names, 2, 2};
  (void)module;
  PyObject *given[2];
  Py_buffer tokens;
  size_t per_block = 0, hash_count = 0;
  if (arguments_sort(&parameters, args, count, keywords, given) != 0) return NULL;
  if (arguments_size(given[1], "tokens_per_block", &per_block) != 0) return NULL;
  if (arguments_buffer(given[0], "tokens", 4, 0, &tokens) != 0) return NULL;
  size_t token_count = (size_t)tokens.len / 4;
  size_t block_count = per_block == 0 ? 0 : token_count / per_block;
  PyObject *hashes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(32 * block_count));
  if (hashes != NULL) {
    char *target = PyBytes_AsString(hashes);
    roost_status status;
    Py_BEGIN_ALLOW_THREADS
    status = roost_hash_tokens(tokens.buf, token_count, per_block, target, 32 * block_count, &hash_count);
    Py_END_ALLOW_THREADS
    if (failure_check(status) != 0) Py_CLEAR(hashes);
  }
  PyBuffer_Release(&tokens);
  return hashes;
}

static int add_type(PyObject *module, PyType_Spec *spec, const char *name) {
  PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
  if (type == NULL) return -1;
  int result = PyModule_AddObjectRef(module, name, type);
  Py_DECREF(type);
  return result;
}

static int module_exec(PyObject *module) {
  static const struct {
    const char *name;
    int value;
  } constants[] = {
      {"STORE", ROOST_STORE},       {"LOAD", ROOST_LOAD},
      {"DONE", ROOST_DONE},         {"PARTLY_FAILED", ROOST_PARTLY_FAILED},
      {"CANCELLED", ROOST_GIVEN_UP}, {"LOST", ROOST_FAILED},
      {"HELD", ROOST_HELD},         {"ADMITTED", ROOST_ADMITTED},
      {"REFUSED", ROOST_REFUSED},   {"LEASED", ROOST_LEASED},
      {"MISSING", ROOST_MISSING},   {"LOAD_DIVIDED", ROOST_LOAD_DIVIDED},
      {"abi_version", ROOST_ABI_VERSION},
  };
  if (failure_set_up() != 0) return -1;
  for (size_t index = 0; index < sizeof constants / sizeof constants[0]; index++) {
    if (PyModule_AddIntConstant(module, constants[index].name, constants[index].value) != 0) return -1;
  }
  if (PyModule_AddStringConstant(module, "__version__", roost_version()) != 0) return -1;
  if (PyModule_AddFunctions(module, device_functions) != 0) return -1;
  if (add_type(module, &engine_spec, "Engine") != 0) return -1;
  return add_type(module, &worker_spec, "Worker");
}

static PyMethodDef functions[] = {
    FAST_METHOD("hash_tokens", hash_tokens),
    FAST_METHOD("layout_apply", layout_apply),
    FAST_METHOD("layout_named", layout_named),
    FAST_METHOD("layout_plan", layout_plan),
    FAST_METHOD("layout_descriptors", layout_descriptors),
    FAST_METHOD("layout_pieces", layout_pieces),
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "roost._core", "The native half of Roost. See roost/_core.pyi.", 0, functions, slots, NULL,
    NULL, NULL};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&definition); }
