#include "symbol_table.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *roost_symbols_load(void *library, const char *prefix, roost_symbol_list list, void *table) {
  const char *missing = NULL;
  for (size_t index = 0; index < list.count; index++) {
    char name[128];
    snprintf(name, sizeof name, "%s%s", prefix, list.symbols[index].name);
    void *function = dlsym(library, name);
    memcpy((char *)table + list.symbols[index].offset, &function, sizeof function);
    if (!function && list.symbols[index].is_required && !missing) missing = list.symbols[index].name;
  }
  return missing;
}

bool roost_symbol_file(void *library, const char *function, char *path, size_t capacity) {
  Dl_info info;
  char real[PATH_MAX];
  void *address = dlsym(library, function);
  if (!address || !dladdr(address, &info) || !info.dli_fname || !realpath(info.dli_fname, real)) return false;
  return snprintf(path, capacity, "%s", real) < (int)capacity;
}
