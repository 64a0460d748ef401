/* roost.h - the C interface of Roost, a KV cache for LLM inference.
 *
 * One engine a model (the control plane: which block lies in which slot of a pool) and one worker a process and device
 * (the data plane: copies pages between the device and the pool). docs/guides/c-api.md tells the story in order.
 *
 * Rules that hold for every function:
 *  - The result is a status, ROOST_OK or the kind of error. After an error roost_error_message() and
 *    roost_error_context() tell more; they belong to the calling thread and stay until its next failed call.
 *  - Whatever is passed, the process does not crash on its account, with one exception: memory that is named by pointer
 *    and size must be readable (or writable, for out_ parameters) in its whole length. A null pointer is an error where
 *    it is needed. On failure out_ parameters are left alone.
 *  - Handles are numbers. One that is closed, of another kind, zero or invented gives ROOST_STALE. In a child made by
 *    fork() the parent's handles give ROOST_STALE too; the child may open its own.
 *  - Structs begin with struct_bytes = sizeof(the struct), so that later versions can add fields at the end; in an array
 *    the first element's counts for all.
 *  - Pointers that are passed in are read before the call returns and never kept, except device memory (roost_region).
 *  - Thread-safety: every function may be called from any thread at any time, also with the same handle, also while
 *    another thread closes it. Nothing blocks, except functions with a timeout (seconds; negative counts as 0).
 *  - Text is UTF-8. Out buffers for text get a terminating zero; *out_bytes is the length without it, also when it did
 *    not fit (ROOST_OUT_OF_RESOURCES).
 */
#ifndef ROOST_H
#define ROOST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Rises when the interface changes incompatibly. Functions and fields may be added without it. */
#define ROOST_ABI_VERSION 1

typedef int32_t roost_status;
enum {
  ROOST_OK = 0,
  ROOST_INVALID_INPUT = 1,    /* malformed or out of range */
  ROOST_NOT_FOUND = 2,        /* a named thing does not exist */
  ROOST_BUSY = 3,             /* in use by somebody else; try again, or wait */
  ROOST_OUT_OF_RESOURCES = 4, /* memory, slots, leases, a buffer that is too short */
  ROOST_UNSUPPORTED = 5,      /* the implementation cannot */
  ROOST_TIMED_OUT = 6,
  ROOST_CANCELLED = 7,
  ROOST_CORRUPT = 8, /* bytes do not pass their check */
  ROOST_STALE = 9,   /* a handle or lease that is over, or of another process */
  ROOST_LOST = 10,   /* a device or a peer process is gone */
  ROOST_SYSTEM = 11  /* a system call failed otherwise */
};

typedef uint64_t roost_engine;
typedef uint64_t roost_worker;

/* The version of Roost, such as "0.1.0". */
const char *roost_version(void);
/* ROOST_ABI_VERSION of the library; compare it with the header's before anything else. */
uint32_t roost_abi_version(void);
/* "invalidInput" for ROOST_INVALID_INPUT and so on; "unknown" for no status. */
const char *roost_status_name(roost_status status);
/* One line: what the last failed call of this thread says, causes included. Never null. */
const char *roost_error_message(void);
/* Its context as lines NAME=VALUE. Never null. */
const char *roost_error_context(void);

/* ---- Engine: the control plane ------------------------------------------------------------------------------------ */

/* Opens an engine. `config` is a JSON object, see docs/guides/c-api.md; an unknown key is refused with the nearest valid
 * one. Returns at once; memory is committed behind (roost_engine_wait_ready). */
roost_status roost_engine_open(const char *config, size_t config_bytes, roost_engine *out_engine);
/* Waits for the leases to end and closes the pool. The handle is over, whatever the result says.
 * out_leaked (may be null): leases that lived on at the deadline. */
roost_status roost_engine_close(roost_engine engine, double timeout, uint64_t *out_leaked);
/* What a worker needs to attach, "" if the pool accepts no workers. */
roost_status roost_engine_address(roost_engine engine, char *out_text, size_t text_bytes, size_t *out_bytes);
/* Waits until all memory that the system gives is committed: *out_ready 1, or 0 at the deadline. */
roost_status roost_engine_wait_ready(roost_engine engine, double timeout, int32_t *out_ready);
/* Slots of a group that are usable now. */
roost_status roost_engine_slot_count(roost_engine engine, uint32_t group, uint64_t *out_count);

/* A part of an identity: name and bytes. Names: weights, data_type, quantisation, rope, adapter, salt, weights_epoch and
 * tokens_per_block (decimal numbers), hash_scheme, opaque_format; what is left out is empty. */
typedef struct roost_field {
  size_t struct_bytes;
  const char *name;
  size_t name_bytes;
  const void *bytes;
  size_t byte_count;
} roost_field;

/* The number of an identity in this engine, given now if it has none yet. */
roost_status roost_engine_intern(
    roost_engine engine, const roost_field *fields, size_t field_count, uint32_t *out_identity);
/* Forgets every block of an identity, and overwrites the bytes: those under a lease or a running copy when it ends. Not
 * those of pages that were evicted or given up before: such a slot keeps its bytes until it is used again, where nothing
 * but the pool's owner and its workers can read them. out_pages may be null. */
roost_status roost_engine_forget(
    roost_engine engine, const roost_field *fields, size_t field_count, uint64_t *out_pages);

/* Blocks of one group, head to tail: hashes of `stride` bytes each (16 to 32), one after another. */
typedef struct roost_keys {
  size_t struct_bytes;
  uint32_t identity;
  uint32_t group;
  const void *hashes;
  size_t count;
  size_t stride;
} roost_keys;

/* What is known of a key. */
enum { ROOST_ABSENT = 0, ROOST_PENDING = 1, ROOST_READY = 2, ROOST_BELOW = 3 };

/* How many keys, from the head on without a gap, could be loaded now. Holds nothing.
 * out_states: null, or a byte for every key. */
roost_status roost_engine_match(roost_engine engine, const roost_keys *keys, uint8_t *out_states, uint64_t *out_ready);

typedef struct roost_range {
  uint64_t first;
  uint64_t count;
} roost_range;

/* The longest length in tokens, at most tokens_max, at which every group can be loaded. `groups`: keys of every group of
 * the configuration, in its order. out_ranges: for each the blocks that a load of that length takes. */
roost_status roost_engine_match_groups(
    roost_engine engine, const roost_keys *groups, size_t group_count, uint64_t tokens_max, roost_range *out_ranges,
    uint64_t *out_tokens);

/* Who asks. */
typedef struct roost_request {
  size_t struct_bytes;
  uint64_t request;      /* the caller's number; neither UINT64_MAX nor UINT64_MAX - 1 */
  uint32_t owner;        /* reported with leaked leases */
  uint32_t reserved;     /* 0 */
  int64_t output_tokens; /* how many of the request's tokens were generated; -1: unknown */
} roost_request;

/* The answer for one key. */
typedef struct roost_grant {
  uint32_t slot;
  uint32_t generation;
  uint32_t outcome;
} roost_grant;
enum { ROOST_HELD = 0, ROOST_ADMITTED = 1, ROOST_REFUSED = 2 }; /* of roost_engine_begin_store */
enum { ROOST_LEASED = 0, ROOST_MISSING = 1 };                   /* of roost_engine_begin_load */

/* Finds room for the blocks of a request that are not stored yet; `keys` are all its blocks in one group, hits included.
 * out_grants: one for every key. *out_lease: 0 if nothing was admitted. */
roost_status roost_engine_begin_store(
    roost_engine engine, const roost_request *request, const roost_keys *keys, roost_grant *out_grants,
    uint64_t *out_lease);
/* Tells the eviction policy of a request that stores nothing. */
roost_status roost_engine_touch(roost_engine engine, const roost_request *request, const roost_keys *keys);
/* Holds the blocks that can be loaded now. *out_lease: 0 if none can. */
roost_status roost_engine_begin_load(
    roost_engine engine, const roost_request *request, const roost_keys *keys, roost_grant *out_grants,
    uint64_t *out_lease);
/* Says, before the job leaves for the workers, that those of shard 0 .. shards - 1 will each report this lease once.
 * From now on the engine ends the lease by itself, and roost_engine_poll tells. 1 to 64 shards. */
roost_status roost_engine_hand_out(roost_engine engine, uint64_t lease, uint32_t shards);
/* Publishes a store that was not handed out. A lease that is over is ignored and counted here and in the next two. */
roost_status roost_engine_commit(roost_engine engine, uint64_t lease);
/* Gives a store up. */
roost_status roost_engine_abort(roost_engine engine, uint64_t lease);
/* Ends a load. */
roost_status roost_engine_end(roost_engine engine, uint64_t lease);

/* What roost_engine_prefetch has done. */
enum { ROOST_NOTHING_BELOW = 0, ROOST_RECOMPUTE = 1, ROOST_PREFETCHING = 2 };

/* Brings pages that lie in a tier into the pool, behind, and holds them and those that are there already until the
 * request's next roost_engine_begin_load, its roost_engine_reclaim, roost_engine_prefetch_end, or the end of the timeout.
 * `lists`: keys of one or more groups, those of a group head to tail. Returns at once.
 * out_answer: ROOST_NOTHING_BELOW, or ROOST_RECOMPUTE (computing is faster): nothing was started; ROOST_PREFETCHING.
 * out_prefetch: what to ask roost_engine_prefetch_progress for; 0 if nothing was started. */
roost_status roost_engine_prefetch(
    roost_engine engine, const roost_request *request, const roost_keys *lists, size_t list_count, double timeout,
    uint32_t *out_answer, uint64_t *out_prefetch);

typedef struct roost_prefetch_progress {
  size_t struct_bytes;
  uint64_t wanted;  /* pages that were below */
  uint64_t arrived; /* of these, pages that can be loaded now */
  uint64_t failed;  /* of these, pages that will not come: misses */
  uint32_t is_live; /* 0: it has ended; the counts are 0 */
  uint32_t is_over; /* nothing more is to come: match again, and load what is ready */
} roost_prefetch_progress;
/* How far a prefetch is. out->struct_bytes must be set. */
roost_status roost_engine_prefetch_progress(roost_engine engine, uint64_t prefetch, roost_prefetch_progress *out);
/* The pages are wanted no more. One that has ended is ignored. */
roost_status roost_engine_prefetch_end(roost_engine engine, uint64_t prefetch);

/* Gives up every lease of a request. out_leases may be null. */
roost_status roost_engine_reclaim(roost_engine engine, uint64_t request, uint64_t *out_leases);

enum { ROOST_STORE = 0, ROOST_LOAD = 1, ROOST_LOAD_DIVIDED = 2 };               /* verb; divided: of roost_job alone */
enum { ROOST_DONE = 0, ROOST_PARTLY_FAILED = 1, ROOST_GIVEN_UP = 2, ROOST_FAILED = 3 }; /* outcome */

/* How a lease that was handed out, or a worker's job, has ended. */
typedef struct roost_completion {
  size_t struct_bytes;
  uint64_t id;      /* the lease, or the caller's number of the job */
  uint64_t request; /* of the lease; 0 for a job */
  uint32_t verb;    /* of the lease; 0 for a job */
  uint32_t outcome;
  uint64_t byte_count;
  double seconds;
  /* Positions in the job's blocks that were not copied, ascending. Belongs to the calling thread and stays until its
   * next call that gives completions. */
  const uint32_t *failed;
  size_t failed_count;
} roost_completion;

/* Takes handed-out leases that are over, oldest first. out[0].struct_bytes must be set. */
roost_status roost_engine_poll(roost_engine engine, roost_completion *out, size_t capacity, size_t *out_count);

/* A block that became findable or ceased to be. */
typedef struct roost_event {
  size_t struct_bytes;
  uint32_t kind; /* ROOST_STORED, ROOST_REMOVED */
  uint32_t identity;
  uint32_t group;
  uint32_t hash_bytes;
  uint8_t hash[32];
} roost_event;
enum { ROOST_STORED = 0, ROOST_REMOVED = 1 };

/* Takes events, oldest first; kept if the configuration says events_max. out[0].struct_bytes must be set. */
roost_status roost_engine_events(roost_engine engine, roost_event *out, size_t capacity, size_t *out_count);

/* A lease that lives. */
typedef struct roost_lease {
  size_t struct_bytes;
  uint64_t lease;
  uint64_t request;
  uint32_t owner;
  uint32_t verb;
  uint64_t slot_count;
  double age_seconds;
  uint32_t is_copying; /* copies may be running under it */
  uint32_t reserved;
} roost_lease;

/* Reports leases of at least that age. *out_count: how many there are, which may be more than the capacity.
 * out[0].struct_bytes must be set; out may be null if the capacity is 0. */
roost_status roost_engine_leases(
    roost_engine engine, double older_seconds, roost_lease *out, size_t capacity, size_t *out_count);

/* Empties the cache: waits for the leases to end, then forgets everything. ROOST_TIMED_OUT: nothing was forgotten. */
roost_status roost_engine_reset(roost_engine engine, double timeout);

/* Counters since the opening, and levels. hits + misses = lookups; allocated + free = capacity; held + admitted + refused =
 * offered; admitted + adopted + promotions (of roost_tier_stats) = evicted + retired + aborted + resident. */
typedef struct roost_stats {
  size_t struct_bytes;
  uint64_t lookups, hits, misses;
  uint64_t offered, held, admitted, refused;
  uint64_t adopted, published, aborted, evicted, retired;
  uint64_t leased, missing, stale, reclaimed;
  uint64_t capacity, free, allocated, resident, evictable, unkeyed, ghosts;
  uint64_t leases, handed_out;
  uint64_t sealed, checked, corrupt, failed_blocks;
  uint64_t workers, workers_gone, committed_bytes;
  uint64_t events_dropped;
} roost_stats;
/* out->struct_bytes must be set. */
roost_status roost_engine_stats(roost_engine engine, roost_stats *out);

/* What passed between the pool and the tier below it. promotions = promoted + missing + corrupt + failed + promoting;
 * offered = demoted + known + dropped + late + write_failed + queued + being written; not_worth: admission or policy. */
typedef struct roost_tier_stats {
  size_t struct_bytes;
  uint64_t is_present, is_ready; /* 1 or 0 */
  uint64_t prefetches, recomputes;
  uint64_t promotions, promoted, promoted_bytes, missing, corrupt, failed, refused, promoting;
  uint64_t offered, not_worth, demoted, demoted_bytes, known, dropped, late, write_failed, queued;
  uint64_t requests; /* demoted_bytes / requests: what a request costs the drive */
  uint64_t pages, page_bytes, capacity_bytes, occupied_bytes, evicted, quarantined;
  double bytes_per_second;         /* of promotions, measured lately; 0: unknown */
  double capacity_writes_per_day; /* how often the whole tier would be written a day at this rate */
} roost_tier_stats;
/* out->struct_bytes must be set. */
roost_status roost_engine_tier_stats(roost_engine engine, roost_tier_stats *out);

/* Prefix-chained SHA-256 block hashes (scheme roost:sha256) of whole blocks, 32 bytes each, for callers without hashes of
 * their own. out_hashes has room for token_count / tokens_per_block of them. */
roost_status roost_hash_tokens(
    const uint32_t *tokens, size_t token_count, size_t tokens_per_block, void *out_hashes, size_t hash_bytes,
    size_t *out_count);

/* ---- Worker: the data plane --------------------------------------------------------------------------------------- */

/* Attaches to the pool of an engine, which may be in this process or in another one of the same user and machine.
 * `device`: "cpu", "cuda:0"; null: the CPU. */
roost_status roost_worker_attach(const char *address, const char *device, double timeout, roost_worker *out_worker);
/* Accepts no more jobs, waits for copies that run, and detaches. The handle is over. *out_ended (may be null) 0: some
 * still ran; the engine then waits for the end of this process. */
roost_status roost_worker_close(roost_worker worker, double timeout, int32_t *out_ended);
/* The number by which the engine knows this worker. */
roost_status roost_worker_attachment(roost_worker worker, uint32_t *out_number);
/* The bytes of a page of a group. */
roost_status roost_worker_page_bytes(roost_worker worker, uint32_t group, uint64_t *out_bytes);
/* Jobs wait for what this stream of the vendor's, on which pages are computed, was given before them; follows 0: for none. */
roost_status roost_worker_follow(roost_worker worker, uint64_t stream, int32_t follows);

/* Device memory that holds pages. Must stay valid until the worker is closed. */
typedef struct roost_region {
  size_t struct_bytes;
  uint64_t address;
  uint64_t byte_count;
} roost_region;

/* A part of every page: block b's lies at region.address + offset + b * block_stride. Either one run of byte_count bytes
 * that goes to slot_offset in the slot; or, if device_layout is not null, elements as two layouts say (JSON, as
 * `roost layout eval` prints it), and byte_count and slot_offset are 0. */
typedef struct roost_part {
  size_t struct_bytes;
  uint64_t region;
  uint64_t offset;
  uint64_t block_stride;
  uint64_t byte_count;
  uint64_t slot_offset;
  const char *device_layout;
  size_t device_layout_bytes;
  const char *slot_layout;
  size_t slot_layout_bytes;
} roost_part;

/* Where the pages of a group lie. */
typedef struct roost_pages {
  size_t struct_bytes;
  uint32_t group;
  uint32_t shard;  /* which part of every page this worker holds */
  uint32_t shards, reserved; /* of how many */
  uint64_t block_count;
  const roost_region *regions;
  size_t region_count;
  const roost_part *parts;
  size_t part_count;
} roost_pages;
roost_status roost_worker_register(roost_worker worker, const roost_pages *pages);
/* Divides a registered group's pages into ranges of the slot's bytes, cut at `count` rising bounds (63 at most), until it is
 * registered anew: a job with ROOST_LOAD_DIVIDED copies the first range of all its blocks, then the second, and so on. */
roost_status roost_worker_divide(roost_worker worker, uint32_t group, const uint64_t *bounds, size_t count);

/* Pages to copy. */
typedef struct roost_job {
  size_t struct_bytes;
  uint64_t job;   /* the caller's number; not one that is in flight */
  uint64_t lease; /* as handed out by the engine; 0: the caller fences by itself */
  uint32_t verb, group;
  const int32_t *blocks; /* on the device */
  const uint32_t *slots; /* slot and generation of each block: 2 * count numbers */
  size_t count;
  uint32_t is_awaited, reserved; /* not 0: the next call waits for this job, so that no thread need be woken for it */
} roost_job;
/* Starts copying. If it fails, the engine hears that this shard of the lease has failed. */
roost_status roost_worker_submit(roost_worker worker, const roost_job *job);
/* Takes jobs that have ended, oldest first. out[0].struct_bytes must be set. */
roost_status roost_worker_poll(roost_worker worker, roost_completion *out, size_t capacity, size_t *out_count);
/* Waits for one job and takes its result. out->struct_bytes must be set. ROOST_TIMED_OUT: the job goes on. */
roost_status roost_worker_wait(roost_worker worker, uint64_t job, double timeout, roost_completion *out);
/* Waits until ranges 0 to `range` of a divided job are over; the result, which says whether they are good, stays. */
roost_status roost_worker_wait_range(roost_worker worker, uint64_t job, uint32_t range, double timeout);
/* Cancels what of a job has not started; its result comes either way. An unknown number is ignored. */
roost_status roost_worker_cancel(roost_worker worker, uint64_t job);

/* ---- Layouts: values, not handles ----------------------------------------------------------------------------------- */

/* A layout says where every (block, head, token, ...) of a cache lies; it owns no memory and is told as text, the JSON that
 * `roost layout` reads and prints: {"axes": [[name, extent, stride in bytes], ...], "itemsize": n, "offset": n}, or several
 * of these as {"planes": [...]}. docs/guides/python-layouts-and-devices.md. These functions keep nothing. */
typedef struct roost_text {
  const char *bytes;
  size_t byte_count;
} roost_text;

/* The layout after steps, a JSON list such as [["narrow", "head", 2, 2], ["select", "kv", 0]]; `roost layout eval --help`
 * lists them. Without steps: the layout itself, checked and in its usual form. */
roost_status roost_layout_apply(roost_text layout, roost_text steps, char *out_text, size_t text_bytes, size_t *out_bytes);
/* A known layout, such as "lbhnc" with {"heads": 8, "blocks": 1000}; `roost layout show --help` lists them. */
roost_status roost_layout_named(roost_text name, roost_text parameters, char *out_text, size_t text_bytes, size_t *out_bytes);

/* Consecutive bytes as transports take them. */
typedef struct roost_descriptor {
  uint64_t address;
  uint64_t byte_count;
  uint64_t device;
} roost_descriptor;
/* One descriptor for each index of the named axes (a JSON list, the outermost first), covering all other axes, which must be
 * one run. base: the address of byte 0; sums wrap. *out_count is set also if capacity is too small (ROOST_OUT_OF_RESOURCES). */
roost_status roost_layout_descriptors(
    roost_text layout, roost_text axes, uint64_t base, uint64_t device, roost_descriptor *out, size_t capacity,
    size_t *out_count);

/* The copy of every element of one layout to the same place of another, as loops over runs:
 * {"parts": [{"src": offset, "dst": offset, "loops": [[count, source stride, target stride], ...], "run": bytes}, ...],
 * "pieces": n, "bytes": n}. */
roost_status roost_layout_plan(roost_text source, roost_text target, char *out_text, size_t text_bytes, size_t *out_bytes);

/* One contiguous copy. */
typedef struct roost_piece {
  uint64_t source;
  uint64_t target;
  uint64_t byte_count;
} roost_piece;
/* The same copy as contiguous pieces, part by part. The bases are the addresses (or offsets) of both layouts' byte 0. */
roost_status roost_layout_pieces(
    roost_text source, roost_text target, uint64_t source_base, uint64_t target_base, roost_piece *out, size_t capacity,
    size_t *out_count);

/* ---- Devices: memory, streams, events, copies ----------------------------------------------------------------------- */

/* For programs that move memory themselves; engines and workers need none of it. What a copy reads and writes on the device
 * stays until the copy has ended, whatever is closed or freed meanwhile. Host memory of a copy is the one thing that the
 * caller must keep until then: until an event that was recorded after it is complete, or a wait has ended. */
typedef uint64_t roost_device;
typedef uint64_t roost_stream;
typedef uint64_t roost_device_event;
typedef uint64_t roost_block;

/* What there is: a JSON list of {"uri", "vendor", "reason"}, where reason says why a device cannot be used, or is empty. */
roost_status roost_device_survey(char *out_text, size_t text_bytes, size_t *out_bytes);
/* Opens a device by its name: "cpu", "cuda:1"; "auto": the one that ROOST_DEVICE names, or the first accelerator, or the
 * CPU. Opening a vendor's driver may take its time. */
roost_status roost_device_open(const char *uri, roost_device *out_device);
/* A device for tests, which keeps the contract and not a step more. config: a JSON object with, as wanted, seed,
 * memory_bytes (64 MiB; at most 4 GiB), capabilities (a list of names), efficient_run_bytes. */
roost_status roost_device_mock(roost_text config, roost_device *out_device);
/* The handle is over; blocks, streams and events of the device stay usable until they are closed themselves. */
roost_status roost_device_close(roost_device device);
/* A JSON object: uri, name, vendor, memory_bytes, data_types, copy_engines, numa_node, capabilities, efficient_run_bytes,
 * driver_version, bus_address, tested_on_hardware. */
roost_status roost_device_describe(roost_device device, char *out_text, size_t text_bytes, size_t *out_bytes);
/* ROOST_UNSUPPORTED, with the names of what is missing, unless the device offers all of a JSON list of capabilities. */
roost_status roost_device_require(roost_device device, roost_text capabilities);

typedef struct roost_memory {
  size_t struct_bytes;
  uint64_t memory_bytes; /* installed */
  uint64_t free_bytes;   /* that nobody uses now */
  uint64_t block_count;  /* blocks of this handle, those that were freed but are still copied included */
  uint64_t block_bytes;  /* their sizes, as they were asked for */
} roost_memory;
/* out_memory->struct_bytes must be set. */
roost_status roost_device_memory(roost_device device, roost_memory *out_memory);
/* Waits until everything that was submitted to the device's streams before has ended. */
roost_status roost_device_wait(roost_device device, double timeout);

/* Allocates `count` blocks of device memory (at most 65,536 a call), each of byte_count bytes and aligned to 4 KiB; all or
 * none. The content is undefined. */
roost_status roost_device_allocate(roost_device device, uint64_t byte_count, roost_block *out_blocks, size_t count);
/* Frees blocks. If one of the handles is over already none is freed, but for those before a second mention. */
roost_status roost_block_free(const roost_block *blocks, size_t count);
/* Where a block lies on its device; valid until it is freed or migrated. */
roost_status roost_block_place(roost_block block, uint64_t *out_address, uint64_t *out_bytes);
/* Moves a block to another device, through host memory; the old handle is over, unless it is the same device: then it stays.
 * If it fails the block stays where it was. The caller sees to it that nothing writes the block meanwhile. */
roost_status roost_block_migrate(roost_block block, roost_device device, double timeout, roost_block *out_block);

enum { ROOST_PRIORITY_NORMAL = 0, ROOST_PRIORITY_HIGH = 1 };
/* An ordered queue of copies on one device. */
roost_status roost_stream_open(roost_device device, uint32_t priority, roost_stream *out_stream);
/* Waits for what was submitted. The handle is over. *out_ended (may be null) 0: some copies still run. */
roost_status roost_stream_close(roost_stream stream, double timeout, int32_t *out_ended);

/* One side or both are blocks of the stream's device; 0: host memory. */
typedef struct roost_copy {
  size_t struct_bytes;
  roost_block source;
  roost_block target;
  uint64_t host; /* the address of the side that is no block */
  uint64_t host_bytes;
  const roost_piece *pieces; /* offsets from the start of both sides; null: the whole of both, which are as long */
  size_t piece_count;
} roost_copy;
/* Submits copies; everything that they name is checked first. Those of one call have no order among themselves and must not
 * overlap. A stream that is full makes this wait for room, at most seconds (ROOST_TIMED_OUT). A copy that fails makes the
 * stream fail: what comes later is skipped, and query and wait give the first error until reset. */
roost_status roost_stream_copy(roost_stream stream, const roost_copy *copies, size_t count);
/* *out_idle 1: everything that was submitted has ended; or the stream's error. */
roost_status roost_stream_query(roost_stream stream, int32_t *out_idle);
roost_status roost_stream_wait(roost_stream stream, double timeout);
roost_status roost_stream_reset(roost_stream stream);
/* Records an event: it completes when everything that was submitted before has ended. */
roost_status roost_stream_record(roost_stream stream, roost_device_event event);
/* What is submitted from now on waits for the event's last recording. */
roost_status roost_stream_follow(roost_stream stream, roost_device_event event);

/* An event that nobody has recorded is complete. */
roost_status roost_device_event_open(roost_device device, roost_device_event *out_event);
roost_status roost_device_event_close(roost_device_event event);
roost_status roost_device_event_query(roost_device_event event, int32_t *out_complete);
roost_status roost_device_event_wait(roost_device_event event, double timeout);
/* Seconds between two events that are complete; needs event-timing. */
roost_status roost_device_event_seconds(roost_device_event start, roost_device_event end, double *out_seconds);

#ifdef __cplusplus
}
#endif

#endif
