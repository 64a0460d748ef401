// What Glibc's Swift module lacks, and loops that need intrinsics. One header a theme; this one includes them all.
#pragma once
#include "byte_lock.h"
#include "copy.h"
#include "file.h"
#include "futex.h"
#include "lock.h"
#include "prefetch.h"
#include "process.h"
#include "shared_memory.h"
#include "slot_table.h"
#include "unix_socket.h"
