// Files for bulk: what Glibc's Swift module lacks.
// Every call returns a value >= 0, or the negated errno.
#pragma once
#include <stdint.h>
#include <sys/uio.h>

// O_DIRECT, which is not in Swift's Glibc module and differs between machines.
extern const int roost_open_direct;

// What the file takes of its storage.
int64_t roost_file_allocated_bytes(int descriptor);

// One call of preadv(2) or pwritev(2), repeated when a signal interrupts it. May move fewer bytes.
int64_t roost_file_read(int descriptor, const struct iovec *parts, int part_count, int64_t offset);
int64_t roost_file_write(int descriptor, const struct iovec *parts, int part_count, int64_t offset);

// Tells the kernel that reads will come in no order, so that it does not read ahead.
int roost_file_advise_random(int descriptor);
