// Filling a table of function pointers from a library that was opened with dlopen.
#ifndef ROOST_SYMBOL_TABLE_H
#define ROOST_SYMBOL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

// One function of a vendor's library: its name without the vendor's prefix, and where its pointer goes in the table.
typedef struct {
  const char *name;
  size_t offset;
  bool is_required;
} roost_symbol;

// A vendor's functions. A table has one pointer for each; NULL where the library lacks it.
typedef struct {
  const roost_symbol *symbols;
  size_t count;
  size_t table_bytes;
} roost_symbol_list;

// Looks every function up as `prefix` and its name. Returns the first required name that is missing, without the
// prefix; NULL: none is.
const char *roost_symbols_load(void *library, const char *prefix, roost_symbol_list list, void *table);

// The real path of the file that a function comes from, links followed; false if it is not known.
bool roost_symbol_file(void *library, const char *function, char *path, size_t capacity);

#endif
