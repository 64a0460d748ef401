#include "xpu_symbols.h"

#define REQUIRED(field, name, parameters) {name, offsetof(roost_xpu, field), true},
#define OPTIONAL(field, name, parameters) {name, offsetof(roost_xpu, field), false},
static const roost_symbol symbols[] = {ROOST_XPU_SYMBOLS(REQUIRED, OPTIONAL)};

roost_symbol_list roost_xpu_symbols(void) {
  return (roost_symbol_list){symbols, sizeof symbols / sizeof symbols[0], sizeof(roost_xpu)};
}
