"""The scheduler's half: which blocks to load and to store, and when vLLM may have its device blocks back.

The life of a request here:

1. `match` asks the engine, in one call, how many blocks after vLLM's own hit could be loaded.
2. `allocated` leases them once vLLM has found device blocks: a load job, part of the next orders.
3. When its whole prompt has been computed and vLLM has seen the outputs, a store job takes what is not stored yet. Only
   what has been seen is stored: a step whose load failed, or that speculated wrongly, leaves no trace.
4. `finished` stores the generated blocks and, while jobs still read the device blocks, keeps vLLM from reusing them.
   After a preemption the orders carry a fence instead.

A model may have several groups of layers. Each has pages and leases of its own; a request continues at a length at
which all groups can be loaded, and waits for all of them. Blocks of windows do not stay with their request, so a store
borrows them (`DeviceCache`): the one place where Python looks at single blocks. Everything else joins hashes once and
makes one call for all blocks. Nothing here knows vLLM's classes.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from roost import RoostError
from roost.vllm.below import Keys
from roost.vllm.device_cache import DeviceCache
from roost.vllm.groups import FULL, WINDOW, Group, common_block
from roost.vllm.jobs import LOAD, STORE, Job, PoolTicket, StepOrders, StepReport
from roost.vllm.stats import Tally

log = logging.getLogger("vllm.roost")

Tables = Sequence[Sequence[int]]
"""A request's device blocks, for each of vLLM's groups."""

_POLL_MAX = 1024


class Request(Protocol):
    """What is read of vLLM's request."""

    request_id: str
    block_hashes: Sequence[bytes]
    num_tokens: int
    num_prompt_tokens: int
    num_computed_tokens: int
    num_in_flight_tokens: int


class Chain:
    """A request's hashes at one length of blocks, joined: they only grow."""

    __slots__ = ("count", "hashes")

    def __init__(self) -> None:
        self.hashes = bytearray()
        self.count = 0


class Track:
    """What this half knows of one request."""

    __slots__ = (
        "chains", "computed", "identity", "is_async", "junction", "kept", "loading", "loads", "looked_up", "may_load",
        "may_store", "number", "request", "stored", "stores", "stride",
    )  # fmt: skip

    def __init__(self, request: Request, number: int, groups: int, chains: int):
        self.request = request
        self.number = number
        """What the engine calls the request."""
        self.identity = -1
        self.chains = [Chain() for _ in range(chains)]
        self.stride = 0
        self.computed = 0
        """The tokens that vLLM had itself at the last match, and what that asked for and found."""
        self.looked_up = (0, 0)
        self.junction = 0
        """Tokens that the full groups have of a longer prefix than all groups: others began so too, and will again."""
        self.kept: dict[int, dict[int, Any]] = {}
        """Device blocks that windows need there, by group and position: borrowed until the store."""
        self.is_async = False
        self.loads: list[int] = []
        """Asynchronous loads in flight: until the workers have reported them through vLLM, not until they end."""
        self.loading = 0
        """The blocks of all loads."""
        self.may_load = True
        """False after a load failed: the request computes instead, and does not fail twice."""
        self.may_store = True
        self.stored = [0] * groups
        """Blocks of each group, from the head on, that a store has been asked for."""
        self.stores: set[int] = set()
        """The stores in flight."""


class SchedulerSide:
    """Decides. Owns nothing but the engine that it is given; one thread, vLLM's scheduler's."""

    def __init__(
        self,
        engine: Any,
        ticket: PoolTicket,
        identify: Callable[[Request], int],
        *,
        groups: Sequence[Group],
        hash_tokens: int,
        load: str,
        store: str,
    ):
        self.engine = engine
        self.tally = Tally()
        self._ticket = ticket
        self._identify = identify
        self.device_cache: DeviceCache | None = None
        """Where blocks of windows and states can be borrowed; needed if there are any."""
        self._groups = groups
        self._block_tokens = common_block(groups)
        self._is_plain = len(groups) == 1 and groups[0].kind == FULL
        self._full = next((index for index, group in enumerate(groups) if group.kind == FULL), None)
        self._scales = sorted({group.block_tokens // hash_tokens for group in groups})
        """How many of vLLM's hashes make a block, and for each group the place of its number in here."""
        self._scale_of = [self._scales.index(group.block_tokens // hash_tokens) for group in groups]
        self._load_mode = load
        self._store_mode = store
        self._tracks: dict[str, Track] = {}
        self._filling: dict[str, Track] = {}
        """Requests whose prompt is not stored yet."""
        self._jobs: dict[int, tuple[Track, int]] = {}
        """Leases handed out: whose, and how many bytes of what verb is the engine's to tell."""
        self._held: dict[str, tuple[int, ...]] = {}
        """Finished requests whose device blocks vLLM has to keep, and the stores that read them."""
        self._borrowed: dict[int, list[Any]] = {}
        """Device blocks that stores read and that no request need hold."""
        self._orders = StepOrders()
        self._complaints: set[str] = set()
        """What the log has been told of requests without an identity."""
        self._next_number = 1
        self._is_announced = False

    # A request's life

    def arrived(self, request: Request) -> Track:
        """A request has come in."""
        track = self._tracks[request.request_id] = Track(
            request, self._take_number(), len(self._groups), len(self._scales)
        )
        return track

    def keys(self, request: Request, index: int) -> Keys | None:
        """What the engine calls the request's blocks of a group; None: its pages cannot be named, or are not wanted."""
        track = self._tracks.get(request.request_id) or self.arrived(request)
        chain = self._join(track, index)
        if not chain.count or not track.may_load:
            return None
        return Keys(track.number, track.identity, bytes(chain.hashes), track.stride)

    def match(self, request: Request, computed: int) -> tuple[int, bool]:
        """Tokens beyond `computed` that can be loaded, and whether while the request waits. Holds nothing.

        The last token is always computed, as after vLLM's own hits: the next one is sampled from it.
        """
        track = self._tracks.get(request.request_id) or self.arrived(request)
        track.computed = computed
        track.junction = 0
        track.looked_up = (0, 0)
        first = computed // self._block_tokens
        last = (request.num_tokens - 1) // self._block_tokens
        if last <= first or not track.may_load:
            return 0, False
        last = min(last, self._join(track, 0).count * self._groups[0].block_tokens // self._block_tokens)
        if last <= first:
            return 0, False
        found = self._find(track, first, last)
        track.looked_up = (last - first, found)
        track.is_async = found > 0 and self._loads_async()
        return found * self._block_tokens, track.is_async

    def _find(self, track: Track, first: int, last: int) -> int:
        """How many blocks, of the length that all groups have in common, can be loaded from `first` on.

        What vLLM has itself need not be in the pool: every group is asked for what lies behind it alone.
        """
        stride = track.stride
        if self._is_plain:
            with memoryview(track.chains[0].hashes) as hashes:
                return self.engine.match(track.identity, hashes[first * stride : last * stride], stride)
        keys = []
        for index, group in enumerate(self._groups):
            chain, start = self._join(track, index), first * self._block_tokens // group.block_tokens
            keys.append((bytes(chain.hashes[start * stride :]), stride))
        tokens, _ = self.engine.match_groups(track.identity, keys, (last - first) * self._block_tokens)
        found = tokens // self._block_tokens
        if self._full is not None and found < last - first:
            blocks = self.engine.match(track.identity, *keys[self._full], self._full)
            tokens = blocks * self._groups[self._full].block_tokens
            common = min(tokens // self._block_tokens, last - first)
            track.junction = (first + common) * self._block_tokens if common > found else 0
        return found

    def allocated(self, request: Request, tables: Tables, tokens: int) -> None:
        """vLLM has device blocks for the request; `tokens` of them, after its own hit, are to be loaded."""
        track = self._tracks.get(request.request_id) or self.arrived(request)
        self.tally.looked_up(*track.looked_up)
        track.looked_up = (0, 0)
        self._drop_kept(track)
        if track.may_store and not any(track.stored) and self._store_mode != "none":
            self._filling[request.request_id] = track
        if tokens > 0:
            for index, group in enumerate(self._groups):
                first, count = group.needed(tokens)
                if count:
                    first += track.computed // group.block_tokens
                    self._load(track, index, tables[group.number], first, count)

    def finished(self, request: Request, tables: Tables) -> bool:
        """The request is over. Whether its device blocks have to stay until the workers let go of them."""
        track = self._tracks.pop(request.request_id, None)
        if track is None:
            return False
        self._filling.pop(request.request_id, None)
        self._drop_kept(track)
        if track.loads:
            # vLLM keeps the blocks of a load in flight by itself until the workers report that it has ended.
            self._orders.cancel.extend(track.loads)
            return False
        computed = request.num_computed_tokens - request.num_in_flight_tokens
        if self._store_mode == "prompt":
            computed = min(computed, request.num_prompt_tokens)
        self._store(track, tables, computed, request.num_tokens - request.num_prompt_tokens)
        if track.stores:
            self.collect()
        if not track.stores:
            return False
        stores = tuple(track.stores)
        self._orders.release.append((request.request_id, stores))
        self._held[request.request_id] = stores
        return True

    # Steps

    def orders(
        self, tables_of: Callable[[str], Tables | None], preempted: Collection[str], is_idle: bool
    ) -> StepOrders:
        """What the workers have to do in the step that vLLM has just planned.

        `tables_of` gives the device blocks of a request of this step, None for any other.
        """
        self.collect()
        for name in preempted:
            track = self._tracks.get(name)
            if track is None:
                # vLLM took its blocks between two steps, and then it was aborted.
                self._orders.fence.extend(self._held.get(name, ()))
                continue
            self._orders.fence.extend(track.stores)
            # Its blocks go back to vLLM, which may be waiting for just these.
            self._drop_kept(track)
            track.junction = 0
        if self._filling:
            self._store_prompts(tables_of)
        orders, self._orders = self._orders, StepOrders()
        orders.is_idle = is_idle
        if not self._is_announced or orders.loads or orders.stores:
            orders.ticket = self._ticket
            self._is_announced = True
        return orders

    def reported(self, received: Collection[str], sent: Collection[str], report: StepReport | None) -> None:
        """What the workers said after a step: requests whose loads have ended, requests whose blocks are free."""
        for name in received:
            track = self._tracks.get(name)
            if track is not None:
                track.loads.clear()
        for name in sent:
            for lease in self._held.pop(name, ()):
                self._give_back(lease)
        if report is None:
            return
        for name in report.failed:
            track = self._tracks.get(name)
            if track is not None:
                if track.may_load and len(self._groups) > 1:
                    # vLLM hears of the request alone, and computes all of it.
                    self.tally.failed_blocks += track.loading
                track.may_load = False
        for lease in report.refused:
            self.engine.abort(lease)
            self._over(lease)

    def collect(self) -> None:
        """Takes in which jobs are over: one call a step."""
        for lease, _, verb, outcome, positions, byte_count, seconds in self.engine.poll(_POLL_MAX):
            self._over(lease)
            self.tally.ended(verb, outcome, len(positions), byte_count, seconds)

    @property
    def holds_blocks(self) -> bool:
        """Whether blocks will come back to vLLM without a preemption."""
        return bool(self._held or self._borrowed)

    def reset(self, timeout: float) -> bool:
        """Waits for copies to end and empties the cache. Requests that live keep their blocks to themselves."""
        for job in self._orders.stores:
            self.engine.abort(job.number)
            self._over(job.number)
        self._orders.stores.clear()
        for track in self._tracks.values():
            track.may_store = False
            self._drop_kept(track)
        self._filling.clear()
        try:
            self.engine.reset(timeout)
        except RoostError as error:
            log.warning("Roost's cache was not reset: %s", error)
            return False
        return True

    # Jobs

    def _loads_async(self) -> bool:
        if not self._is_plain:
            # vLLM hears of failed loads of several groups only from requests that wait.
            return True
        if self._load_mode == "auto":
            return len(self._tracks) > 1
        return self._load_mode == "async"

    def _load(self, track: Track, index: int, table: Sequence[int], first: int, count: int) -> None:
        """Leases blocks of a group and orders their load."""
        stride = track.stride
        targets = table[first : first + count]
        try:
            with memoryview(self._join(track, index).hashes) as hashes:
                with hashes[first * stride : (first + count) * stride] as keys:
                    lease, blocks, slots, missing = self.engine.begin_copies(
                        LOAD, track.number, track.identity, keys, stride, index, targets, self._ticket.slots[index].shards
                    )
        except RoostError as error:
            log.warning("a load of %d blocks cannot begin: %s", count, error)
            lease, blocks, slots, missing = 0, b"", b"", array("i", targets).tobytes()
        track.loading += count
        number = lease or -self._take_number()
        if track.is_async:
            track.loads.append(number)
        if lease:
            self._jobs[lease] = (track, LOAD)
        self._orders.loads.append(
            Job(number, LOAD, track.request.request_id, blocks, slots, not track.is_async, missing, index)
        )

    def _store_prompts(self, tables_of: Callable[[str], Tables | None]) -> None:
        for name, track in list(self._filling.items()):
            request = track.request
            if track.junction and not track.kept:
                self._keep(track, tables_of(name))
            seen = request.num_computed_tokens - request.num_in_flight_tokens
            if seen < request.num_prompt_tokens:
                continue
            tables = tables_of(name)
            if tables is None:
                continue
            del self._filling[name]
            self._store(track, tables, request.num_prompt_tokens)

    def _store(self, track: Track, tables: Tables, tokens: int, output_tokens: int = -1) -> None:
        """Stores what the first `tokens` fill of every group, as far as it is not stored yet."""
        if self._store_mode == "none" or not track.may_store:
            return
        for index, group in enumerate(self._groups):
            table = tables[group.number]
            count = min(tokens // group.block_tokens, len(table))
            if count <= track.stored[index]:
                continue
            count = min(count, self._join(track, index).count)
            if count <= track.stored[index]:
                continue
            if group.kind == FULL:
                # All blocks are named to the engine, because its eviction policy learns from this call; after the
                # prompt only the new ones, and the one that they hang on.
                first = max(0, track.stored[index] - 1)
                with memoryview(self._join(track, index).hashes) as hashes:
                    with hashes[first * track.stride : count * track.stride] as keys:
                        self._store_blocks(track, index, keys, table[first:count], output_tokens)
            else:
                self._store_borrowed(track, index, table, count, output_tokens)
            track.stored[index] = count

    def _store_borrowed(self, track: Track, index: int, table: Sequence[int], count: int, output_tokens: int) -> None:
        """Stores blocks that do not stay with their request, those that are still there."""
        group, first, scale = self._groups[index], track.stored[index], self._scales[self._scale_of[index]]
        hashes = track.request.block_hashes[(first + 1) * scale - 1 : count * scale : scale]
        found = self.device_cache.borrow(group, hashes, table[first:count])
        kept = track.kept.pop(index, {})
        self.device_cache.give_back([block for position, block in kept.items() if position - first in found])
        found.update((position - first, block) for position, block in kept.items() if position - first not in found)
        order = sorted(found)
        blocks = [found[position] for position in order]
        lease = 0
        if blocks:
            keys = b"".join(hashes[position] for position in order)
            lease = self._store_blocks(track, index, keys, [block.block_id for block in blocks], output_tokens)
        if lease:
            self._borrowed[lease] = blocks
        else:
            self.device_cache.give_back(blocks)

    def _store_blocks(
        self, track: Track, index: int, keys: bytes | memoryview, blocks: Sequence[int], output_tokens: int
    ) -> int:
        """Finds slots for blocks of a group and orders their store; the lease, or 0."""
        shards = self._ticket.slots[index].shards
        try:
            lease, sources, slots, _ = self.engine.begin_copies(
                STORE, track.number, track.identity, keys, track.stride, index, blocks, shards, output_tokens
            )
        except RoostError as error:
            log.debug("a store of %d blocks cannot begin: %s", len(blocks), error)
            return 0
        if lease == 0:
            return 0
        self._jobs[lease] = (track, STORE)
        track.stores.add(lease)
        self._orders.stores.append(Job(lease, STORE, track.request.request_id, sources, slots, group=index))
        return lease

    def _keep(self, track: Track, tables: Tables | None) -> None:
        """Borrows what windows need at the junction, in the step that computes it: the next one moves them on."""
        for index, group in enumerate(self._groups if tables is not None else ()):
            first, count = group.needed(track.junction)
            table = tables[group.number][first : first + count]
            if group.kind == WINDOW and len(table) == count and all(table):
                track.kept[index] = dict(enumerate(self.device_cache.borrow_numbers(table), first))

    def _drop_kept(self, track: Track) -> None:
        for blocks in track.kept.values():
            self.device_cache.give_back(list(blocks.values()))
        track.kept.clear()

    def _give_back(self, lease: int) -> None:
        blocks = self._borrowed.pop(lease, None)
        if blocks is not None:
            self.device_cache.give_back(blocks)

    def _over(self, lease: int) -> None:
        track, verb = self._jobs.pop(lease, (None, LOAD))
        if track is not None and verb == STORE:
            track.stores.discard(lease)
        if self._borrowed:
            self._give_back(lease)

    def _take_number(self) -> int:
        number = self._next_number
        self._next_number += 1
        return number

    def _find_identity(self, track: Track) -> bool:
        """Whether it is known what the request's pages depend on. If not, it is computed, and nothing of it is kept."""
        try:
            track.identity = self._identify(track.request)
        except (OSError, ValueError, RoostError) as error:
            track.may_load = track.may_store = False
            if str(error) not in self._complaints:
                self._complaints.add(str(error))
                log.warning("Roost leaves requests alone whose weights it cannot tell from others: %s", error)
            return False
        return True

    def _join(self, track: Track, index: int) -> Chain:
        """A group's hashes, with those that are new; none of a request whose pages cannot be named."""
        place = self._scale_of[index]
        every, chain, hashes = self._scales[place], track.chains[place], track.request.block_hashes
        if track.identity < 0 and not self._find_identity(track):
            return chain
        ready = len(hashes) // every
        if ready > chain.count:
            # A coarser block is named by the last of its fine hashes: they are chained.
            chain.hashes += b"".join(hashes[chain.count * every + every - 1 : ready * every : every])
            track.stride = len(hashes[0])
            chain.count = ready
        return chain
