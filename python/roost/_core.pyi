"""The native half of Roost: the control plane (`Engine`) and a worker's data plane (`Worker`).

Everything here is batched and takes plain values. Sizes are bytes, times are seconds, hashes are the engine's own
prefix-chained block hashes (16 to 32 bytes, `stride` apart, head to tail), concatenated.

Threads: every method may be called from any thread. What may take longer than a microsecond releases the GIL. Nothing
blocks but what takes a `timeout`.

Processes: an `Engine` owns a pool; a `Worker` attaches to it by `Engine.address`, in the same process or in another
one of the same user on the same machine. After `fork` the child may use neither: every call raises `RoostError` with
the code `stale`.

Errors: wrong Python types raise `TypeError`; everything else raises `RoostError`.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias, final

from typing_extensions import Buffer

__version__: Final[str]
"""The version of Roost."""
abi_version: Final[int]
"""The version of the C interface that this extension was built with; rises when it changes incompatibly."""

Fields: TypeAlias = Sequence[tuple[str, bytes]]
"""What an identity is made of: pairs of a name and bytes, in any order; a name that is left out counts as empty.

`weights` (fingerprint), `data_type`, `quantisation`, `rope`, `adapter` (fingerprint), `salt`, `weights_epoch` (a decimal
number), `hash_scheme`, `tokens_per_block` (a decimal number), `opaque_format`.
"""

Outcome: TypeAlias = Literal[0, 1, 2, 3]
"""How a job or a lease ended: 0 done, 1 done but for the failed positions, 2 cancelled, 3 lost (nothing is copied)."""
DONE: Final = 0
PARTLY_FAILED: Final = 1
CANCELLED: Final = 2
LOST: Final = 3

Verb: TypeAlias = Literal[0, 1]
"""Which way pages go: 0 store (device to pool), 1 load (pool to device)."""
STORE: Final = 0
LOAD: Final = 1
LOAD_DIVIDED: Final = 2

HELD: Final = 0
"""`begin_store`: nothing to do, the block is stored or being stored."""
ADMITTED: Final = 1
"""`begin_store`: copy the block to its slot."""
REFUSED: Final = 2
"""`begin_store`: nothing to do, there is no room for the block."""
LEASED: Final = 0
"""`begin_load`: copy the block from its slot."""
MISSING: Final = 1
"""`begin_load`: the block is not there (any more, or not yet), or did not pass its check."""

class RoostError(Exception):
    """An operating error. `str(error)` is one line: message, context, causes."""

    code: str
    """What kind: invalidInput, notFound, busy, outOfResources, unsupported, timedOut, cancelled, corrupt, stale, lost, system.
    New ones may come."""
    message: str
    """One sentence: what happened and, where it helps, what to do."""
    context: dict[str, str]
    """Where: sizes, paths, numbers."""

@final
class Engine:
    """The control plane: owns the pool, knows which block lies in which slot, decides who stays.

    The life of a request: `match`, then `begin_load` + `hand_out` for what was found, later `begin_store` + `hand_out`
    for what was computed. The workers copy; `poll` tells which leases are over. Only whole, published blocks are ever
    found.
    """

    def __init__(self, config: str) -> None:
        """Opens an engine; returns at once, memory is committed behind.

        `config` is a JSON object: `groups` (a list of objects: `page_bytes`, `tokens_per_block`, `kind`: "full", "window" or
        "state", `window_tokens` for a window), `capacity` (bytes, or text such as "4GiB"), and optionally `name` (default:
        one of its own), `directory` (default null: anonymous memory), `keep` (default false: the next engine of this name
        in `directory` adopts the pages), `policy` ("hazard"), `verify` ("none" or "adopted": a page that an earlier process
        left, before its first load; "host": every page, before every load), `store_after` (default 1: a block
        is stored only when it stands in its n-th request, for hosts that are short of bandwidth for stores), `slots_max`, `watermark` (an object: `start`,
        `stop`, `ratio`: evict in the background above that share of the slots, down to that, so much at a time),
        `huge_pages` ("transparent", "none", or a size), `numa_nodes`, `chunk_bytes`, `accepts_workers` (default true),
        `events_max` (default 0: no events are kept), `tiers` (a list with the address of a tier below the pool:
        "disk:///var/lib/roost?capacity=500GiB"), `tier_admission` ("again": pages that a second request asked for are
        written there; "all"; "none"), `prefill_tokens_per_second` (with it a page is read only where that is faster). An unknown key is refused with the nearest valid one.
        """
    @property
    def address(self) -> str:
        """What a `Worker` needs to attach, as text; empty if the pool accepts no workers."""
    def wait_ready(self, timeout: float) -> bool:
        """Waits until the pool has committed all the memory that the system gives; whether it has."""
    def slot_count(self, group: int = 0) -> int:
        """Slots of a group that are usable now; grows while memory is committed."""
    def intern(self, fields: Fields) -> int:
        """The small number of an identity in this engine: SHA-256 over the tagged, length-prefixed fields."""
    def match(self, identity: int, hashes: Buffer, stride: int, group: int = 0) -> int:
        """How many blocks, from the head on without a gap, could be loaded now. Holds nothing, changes no order."""
    def match_states(self, identity: int, hashes: Buffer, stride: int, group: int, states: Buffer) -> int:
        """The same, and writes for every block one byte to `states`: 0 absent, 1 pending, 2 ready, 3 below (in a tier)."""
    def match_groups(
        self, identity: int, groups: Sequence[tuple[Buffer, int]], tokens_max: int
    ) -> tuple[int, list[tuple[int, int]]]:
        """The longest length in tokens, at most `tokens_max`, at which every group can be loaded.

        `groups` has (hashes, stride) for every group of the configuration. The answer has for each the blocks that a
        load of that length takes: (first, count).
        """
    def begin_store(
        self, request: int, identity: int, hashes: Buffer, stride: int, group: int, out: Buffer, output_tokens: int = -1
    ) -> int:
        """Finds room for the blocks of a request that are not stored yet; the eviction policy learns from this call.

        Give all blocks of the request, hits included. `out`: three unsigned 32-bit numbers a block: slot, generation,
        outcome (`HELD`, `ADMITTED`, `REFUSED`). `output_tokens`: how many of the request's tokens were generated, -1 if
        unknown; see `touch`.
        Returns the lease on the admitted slots, 0 if nothing was admitted.
        """
    def touch(
        self, request: int, identity: int, hashes: Buffer, stride: int, group: int = 0, output_tokens: int = -1
    ) -> None:
        """Tells the eviction policy of a request that stores nothing."""
    def begin_load(self, request: int, identity: int, hashes: Buffer, stride: int, group: int, out: Buffer) -> int:
        """Holds the blocks that can be loaded now. `out` as in `begin_store`, outcome `LEASED` or `MISSING`.

        Returns the lease, 0 if nothing can be loaded. Pages that `verify` asks for are checked here.
        """
    def prefetch(
        self, request: int, identity: int, hashes: Buffer, stride: int, group: int, timeout: float
    ) -> tuple[int, int]:
        """Brings blocks that lie in a tier into the pool, behind, and holds them and those that are there already until
        the request's `begin_load`, its `reclaim`, `end_prefetch`, or the end of the timeout.

        Returns (answer, prefetch): 0, nothing lies below; 1, computing is faster; 2, it was started, and
        `prefetch_progress` tells how far it is.
        """
    def prefetch_progress(self, prefetch: int) -> tuple[int, int, int] | None:
        """(wanted, arrived, failed) pages; over when arrived + failed = wanted. None: it has ended."""
    def end_prefetch(self, prefetch: int) -> None:
        """The blocks are wanted no more."""
    def hand_out(self, lease: int, shards: int) -> None:
        """Says, before the job leaves for the workers, that the workers of shard 0 ... `shards` - 1 will each report this
        lease once (by `Worker.submit` and the end of the job).

        From now on the engine ends the lease by itself, and `poll` tells: a store is committed when all have reported
        (pages that failed in any shard are dropped, the others stay) and aborted if one failed as a whole or is gone; a
        load ends when all have reported or are gone. `abort` and `end` take it back: the slots follow when every worker
        has said that it does not (or no longer) copy.
        """
    def begin_copies(
        self, verb: int, request: int, identity: int, hashes: Buffer, stride: int, group: int, blocks: Sequence[int],
        shards: int, output_tokens: int = -1,
    ) -> tuple[int, bytes, bytes, bytes]:
        """`begin_store` or `begin_load` (`verb`: `STORE` or `LOAD`) and `hand_out` in one call: a scheduler's job.

        `blocks`: the device block of every hash. Returns the lease, 0 if there is nothing to copy; the device blocks to
        copy; slot and generation of each; and the device blocks that are not copied, each as the bytes of 32-bit
        numbers in this machine's order, the first two as `Worker.submit` takes them.
        """
    def commit(self, lease: int) -> None:
        """Publishes a store that was not handed out: all of its bytes are in the slots."""
    def abort(self, lease: int) -> None:
        """Gives a store up. One that is over is ignored and counted (`stats()["stale"]`)."""
    def end(self, lease: int) -> None:
        """Ends a load."""
    def reclaim(self, request: int) -> int:
        """Gives up every lease of a request; returns how many there were."""
    def poll(self, max: int = 256) -> list[tuple[int, int, Verb, Outcome, tuple[int, ...], int, float]]:
        """Handed-out leases that are over, oldest first:
        (lease, request, verb, outcome, failed positions, bytes, seconds).

        Positions count the blocks of the worker's job, `bytes` adds up the shards, `seconds` is the slowest shard's.
        """
    def events(self, max: int = 4096) -> list[tuple[Literal["stored", "removed"], int, int, bytes]]:
        """Blocks that became findable or ceased to be, oldest first: (kind, identity, group, hash). Kept if the
        configuration says `events_max`; beyond that the oldest are dropped and counted (`stats()["events_dropped"]`)."""
    def leases(self, older_seconds: float = 0.0) -> list[tuple[int, int, Verb, int, float, bool]]:
        """Leases that live: (lease, request, verb, slots, age in seconds, whether copies may be running)."""
    def forget(self, fields: Fields) -> int:
        """Forgets every block of an identity; their bytes are overwritten. Returns how many pages there were."""
    def reset(self, timeout: float) -> None:
        """Empties the cache: waits for the leases to end, then forgets everything. Raises `timedOut` if some live on."""
    def stats(self) -> dict[str, int]:
        """Counters and levels; hits + misses = lookups, allocated + free = capacity (in slots)."""
    def tier_stats(self) -> dict[str, int | float]:
        """What passed between the pool and the tier below it, and what the tier holds; empty without a tier. See
        roost.h, roost_tier_stats."""
    def close(self, timeout: float = 5.0) -> int:
        """Waits for the leases to end, writes what waits for a tier, and closes the pool. Returns how many lived on. Safe to call twice."""

@final
class Worker:
    """The data plane of one process and device: copies pages between the device and the pool.

    Reports every job's end to the engine by itself (a thread of its own does, if nobody polls), and to `poll` here.
    """

    def __init__(self, address: str, device: str = "cpu", timeout: float = 10.0) -> None:
        """Attaches to the pool of an engine. Raises `notFound` if there is none, `timedOut`."""
    @property
    def attachment(self) -> int:
        """The number by which the engine knows this worker."""
    def register(
        self,
        group: int,
        shard: int,
        shards: int,
        regions: Sequence[tuple[int, int]],
        parts: Sequence[tuple[int, int, int, int, int]] | Sequence[tuple[int, str, int, str]],
        block_count: int,
    ) -> None:
        """Says where the pages of a group lie in this worker's device memory.

        `regions`: (pointer, bytes); must stay valid until `close`. `parts`: (region, offset, block stride, bytes, offset
        in the slot), each one run of every page: block b's lies at pointer + offset + b * stride. Or, where a page needs a
        real plan, (region, device layout, block stride, slot layout) with layouts as `roost layout eval` prints them
        (JSON).
        `shard` of `shards`: which part of every page this worker holds.
        """
    def divide(self, group: int, bounds: Sequence[int]) -> None:
        """Divides the pages of a registered group into ranges of the slot's bytes, cut at ascending bounds, 63 at most: a
        job with the verb LOAD_DIVIDED copies the first range of all its blocks, then the second, and so on."""
    def follow(self, stream: int | None) -> None:
        """From now on copies wait for what was given to this stream of the vendor's (`torch.cuda.Stream.cuda_stream`)
        before they were submitted: the one on which pages are computed. None: for none, as at first.

        Raises `unsupported` where the host computes the pages.
        """
    def submit(
        self,
        job: int,
        verb: Literal[0, 1, 2],
        group: int,
        lease: int,
        blocks: Buffer,
        slots_generations: Buffer,
        awaited: bool = False,
    ) -> None:
        """Starts copying: `blocks` are 32-bit block numbers on the device, `slots_generations` two unsigned 32-bit
        numbers each. Both are read before this returns. `job` is the caller's number.

        `lease`: the one that the engine handed out; 0 if the caller fences by itself. A slot that was given to another
        block meanwhile is left alone and its position reported as failed. If this raises, the engine hears that the
        shard failed. `awaited`: the next call is `wait` for this job, which starts it on the calling thread; waking
        another one takes longer than this call.
        """
    def poll(self, max: int = 256) -> list[tuple[int, Outcome, tuple[int, ...], int, float]]:
        """Jobs that have ended: (job, outcome, failed positions, bytes, seconds), each once."""
    def wait(self, job: int, timeout: float) -> tuple[int, Outcome, tuple[int, ...], int, float]:
        """Waits for one job and takes its result. Raises `timedOut` (the job goes on), `notFound`."""
    def wait_range(self, job: int, range: int, timeout: float) -> None:
        """Waits until a range of a divided job (0 is the first), and those before it, are over. The result, which says
        whether they are good, is still to be taken. Raises `timedOut` (the job goes on), `notFound`."""
    def cancel(self, job: int) -> None:
        """Cancels what of a job has not started; its result comes either way."""
    def close(self, timeout: float = 5.0) -> bool:
        """Waits for copies that run and detaches. False: some still run; the engine then waits for this process to
        end. Safe to call twice."""

def hash_tokens(tokens: Buffer, tokens_per_block: int) -> bytes:
    """Prefix-chained SHA-256 block hashes (32 bytes each) of unsigned 32-bit tokens: scheme `roost:sha256`."""

def layout_apply(layout: str, steps: str) -> str:
    """`roost.Layout` after steps, both as `roost layout eval` takes them (JSON); the layout in its usual form."""

def layout_named(name: str, parameters: str) -> str:
    """A known layout; parameters are a JSON object of whole numbers."""

def layout_plan(source: str, target: str) -> str:
    """The copy from one layout to another as a JSON object: parts, pieces, bytes."""

def layout_descriptors(layout: str, axes: str, base: int, device: int, out: Buffer | None) -> int:
    """Writes rows (address, bytes, device) of 64-bit numbers; how many, also without `out`."""

def layout_pieces(source: str, target: str, source_base: int, target_base: int, out: Buffer | None) -> int:
    """Writes rows (source, target, bytes) of 64-bit numbers; how many, also without `out`."""

def buffer_address(source: Buffer) -> int:
    """Where a contiguous buffer lies, as long as somebody keeps it."""

# What follows is for roost/devices.py, which says what it means. Handles are numbers; times are seconds.

def device_survey() -> str: ...
def device_open(uri: str, /) -> int: ...
def device_mock(config: str, /) -> int: ...
def device_close(device: int, /) -> None: ...
def device_describe(device: int, /) -> str: ...
def device_require(device: int, capabilities: str, /) -> None: ...
def device_memory(device: int, /) -> tuple[int, int, int, int]: ...
def device_wait(device: int, timeout: float, /) -> None: ...
def device_allocate(device: int, byte_count: int, count: int, /) -> list[int]: ...
def device_event_open(device: int, /) -> int: ...
def device_event_close(event: int, /) -> None: ...
def device_event_query(event: int, /) -> bool: ...
def device_event_wait(event: int, timeout: float, /) -> None: ...
def device_event_seconds(start: int, end: int, /) -> float: ...
def block_free(blocks: Sequence[int], /) -> None: ...
def block_place(block: int, /) -> tuple[int, int]: ...
def block_migrate(block: int, device: int, timeout: float, /) -> int: ...
def stream_open(device: int, priority: int, /) -> int: ...
def stream_close(stream: int, timeout: float, /) -> bool: ...
def stream_copy(stream: int, copies: Sequence[tuple[int, int, int, int, Buffer | None]], /) -> None: ...
def stream_query(stream: int, /) -> bool: ...
def stream_wait(stream: int, timeout: float, /) -> None: ...
def stream_reset(stream: int, /) -> None: ...
def stream_record(stream: int, event: int, /) -> None: ...
def stream_follow(stream: int, event: int, /) -> None: ...
