#include "nccl_symbols.h"

#define REQUIRED(field, name, parameters) {name, offsetof(roost_nccl, field), true},
#define OPTIONAL(field, name, parameters) {name, offsetof(roost_nccl, field), false},
static const roost_symbol symbols[] = {ROOST_NCCL_SYMBOLS(REQUIRED, OPTIONAL, OPTIONAL)};

roost_symbol_list roost_nccl_symbols(void) {
  return (roost_symbol_list){symbols, sizeof symbols / sizeof symbols[0], sizeof(roost_nccl)};
}
