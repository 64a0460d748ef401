// Shared memory: what Glibc's Swift module lacks (memfd, fallocate, populate, NUMA, statfs).
// Every call returns a value >= 0, or the negated errno.
#pragma once
#include <stddef.h>
#include <stdint.h>

// A memory file that is closed on exec and may be sealed. `huge_page_bytes` is 0, or the size of the huge pages that it
// shall be made of (they must have been set aside by the administrator).
int roost_memory_file(const char *name, size_t huge_page_bytes);

// Forbids, for ever and to everybody, that the file shrinks or grows.
int roost_memory_seal_size(int descriptor);

// Whether the file can neither shrink nor grow: only then is it safe to map what somebody else has sent.
int roost_memory_has_sealed_size(int descriptor);

// Forbids new writable mappings; those that exist stay.
int roost_memory_seal_writes(int descriptor);

// Really allocates a range of a file.
int roost_file_allocate(int descriptor, int64_t offset, int64_t length);

// Fills the page tables of a mapping: for writing where `writable`. Errors come back; no signal is raised.
int roost_memory_populate(void *address, size_t length, int writable);

// Asks for huge pages behind a mapping.
int roost_memory_advise_huge(void *address, size_t length);

// Keeps a mapping out of the children that fork makes.
int roost_memory_advise_no_fork(void *address, size_t length);

// Prefers a NUMA node for pages that are not there yet; other nodes are used when it is full.
int roost_memory_prefer_node(void *address, size_t length, int node);

struct roost_file_system {
  int64_t kind;  // the magic number in statfs(2)
  int64_t block_bytes;
  int64_t total_bytes;
  int64_t free_bytes;  // what an unprivileged user may still take
};

extern const int64_t roost_kind_tmpfs;
extern const int64_t roost_kind_hugetlbfs;

// Describes the file system that the file lies on.
int roost_file_system_of(int descriptor, struct roost_file_system *out);
