// What vendors' driver libraries export, one table each, and the loops over arrays that are too hot for anything but C.
// No vendor's header and no vendor's library is needed to build this: signatures and numbers are written here.
#ifndef CROOST_VENDORS_H
#define CROOST_VENDORS_H

#include "acl_symbols.h"
#include "cuda_symbols.h"
#include "cufile_symbols.h"
#include "hip_symbols.h"
#include "nccl_symbols.h"
#include "plugin_table.h"
#include "roost_device.h"
#include "runtime_calls.h"
#include "symbol_table.h"
#include "xpu_symbols.h"

#endif
