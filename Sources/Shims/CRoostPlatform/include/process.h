// Processes, file locks and waking: what Glibc's Swift module lacks.
// Every call returns a value >= 0, or the negated errno, unless it says otherwise.
#pragma once
#include <stdint.h>
#include <sys/types.h>

// A descriptor that becomes readable when the process is gone.
int roost_process_open(pid_t pid);

// A counter to wait on: eventfd(2), non-blocking, closed on exec.
int roost_wake_descriptor(void);

// Takes the record lock of byte 0 of the file for this process (not for its children). Returns 0 when taken, else the
// pid of the process that has it, or INT32_MAX where its pid is not visible.
int roost_file_lock_record(int descriptor);

// Takes a lock that belongs to the open file, and so to every process that holds a duplicate of `descriptor`.
// -EWOULDBLOCK: somebody has it.
int roost_file_lock(int descriptor, int exclusive);
// Gives it back for all of them.
void roost_file_unlock(int descriptor);
