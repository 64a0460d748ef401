"""The scheduler's half: which blocks to load and to store, and when vLLM may have its device blocks back.

The life of a request here:

1. `match` asks the engine, in one call, how many blocks after vLLM's own hit could be loaded.
2. `allocated` leases them once vLLM has found device blocks: a load job, part of the next orders.
3. When its whole prompt has been computed and vLLM has seen the outputs, a store job takes what is not stored yet. Only
   what has been seen is stored: a step whose load failed, or that speculated wrongly, leaves no trace.
4. `finished` stores the generated blocks and, while jobs still read the device blocks, keeps vLLM from reusing them.
   After a preemption the orders carry a fence instead.

Nothing here knows vLLM's classes, and nothing is done per block in Python: hashes are joined once and only grow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import numpy as np

from roost import RoostError
from roost.vllm.jobs import LOAD, STORE, Job, PoolTicket, StepOrders, StepReport
from roost.vllm.stats import Tally

log = logging.getLogger("vllm.roost")

_ADMITTED, _LEASED = 1, 0
_POLL_MAX = 1024


class Request(Protocol):
    """What is read of vLLM's request."""

    request_id: str
    block_hashes: Sequence[bytes]
    num_tokens: int
    num_prompt_tokens: int
    num_computed_tokens: int
    num_in_flight_tokens: int


class Track:
    """What this half knows of one request."""

    __slots__ = (
        "first", "hashes", "identity", "is_async", "joined", "load", "looked_up", "may_load", "may_store", "number",
        "request", "stored", "stores", "stride",
    )  # fmt: skip

    def __init__(self, request: Request, number: int):
        self.request = request
        self.number = number
        """What the engine calls the request."""
        self.identity = -1
        self.hashes = bytearray()
        """One hash a block, joined."""
        self.joined = 0
        """How many."""
        self.stride = 0
        self.first = 0
        """The first block that the last match asked for, and what it found."""
        self.looked_up = (0, 0)
        self.is_async = False
        self.load = 0
        """The asynchronous load in flight: until the workers have reported it through vLLM, not until it has ended."""
        self.may_load = True
        """False after a load failed: the request computes instead, and does not fail twice."""
        self.may_store = True
        self.stored = 0
        """Blocks, from the head on, that a store has been asked for."""
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
        block_tokens: int,
        hash_tokens: int,
        load: str,
        store: str,
    ):
        self.engine = engine
        self.tally = Tally()
        self._ticket = ticket
        self._identify = identify
        self._block_tokens = block_tokens
        self._hashes_per_block = block_tokens // hash_tokens
        self._load_mode = load
        self._store_mode = store
        self._tracks: dict[str, Track] = {}
        self._filling: dict[str, Track] = {}
        """Requests whose prompt is not stored yet."""
        self._jobs: dict[int, tuple[Track, int]] = {}
        """Leases handed out: whose, and how many bytes of what verb is the engine's to tell."""
        self._held: set[str] = set()
        """Finished requests whose device blocks vLLM has to keep."""
        self._orders = StepOrders()
        self._next_number = 1
        self._is_announced = False

    # A request's life

    def arrived(self, request: Request) -> Track:
        """A request has come in."""
        track = self._tracks[request.request_id] = Track(request, self._next_number)
        self._next_number += 1
        return track

    def match(self, request: Request, computed: int) -> tuple[int, bool]:
        """Tokens beyond `computed` that can be loaded, and whether while the request waits. Holds nothing.

        The last token is always computed, as after vLLM's own hits: the next one is sampled from it.
        """
        track = self._tracks.get(request.request_id) or self.arrived(request)
        track.first = first = computed // self._block_tokens
        track.looked_up = (0, 0)
        last = (request.num_tokens - 1) // self._block_tokens
        if last <= first or not track.may_load:
            return 0, False
        last = min(last, self._join(track))
        if last <= first:
            return 0, False
        stride = track.stride
        with memoryview(track.hashes) as hashes:
            found = self.engine.match(track.identity, hashes[first * stride : last * stride], stride)
        track.looked_up = (last - first, found)
        track.is_async = found > 0 and self._loads_async()
        return found * self._block_tokens, track.is_async

    def allocated(self, request: Request, blocks: Sequence[int], tokens: int) -> None:
        """vLLM has device blocks for the request; `tokens` of them, after its own hit, are to be loaded."""
        track = self._tracks.get(request.request_id) or self.arrived(request)
        self.tally.looked_up(*track.looked_up)
        track.looked_up = (0, 0)
        if track.may_store and not track.stored and self._store_mode != "none":
            self._filling[request.request_id] = track
        if tokens > 0:
            self._load(track, blocks, tokens // self._block_tokens)

    def finished(self, request: Request, blocks: Sequence[int]) -> bool:
        """The request is over. Whether its device blocks have to stay until the workers let go of them."""
        track = self._tracks.pop(request.request_id, None)
        if track is None:
            return False
        self._filling.pop(request.request_id, None)
        if track.load:
            # vLLM keeps the blocks of a load in flight by itself until the workers report that it has ended.
            self._orders.cancel.append(track.load)
            return False
        computed = min(request.num_computed_tokens - request.num_in_flight_tokens, len(blocks) * self._block_tokens)
        if self._store_mode == "prompt":
            computed = min(computed, request.num_prompt_tokens)
        self._store(track, blocks, computed // self._block_tokens, request.num_tokens - request.num_prompt_tokens)
        if track.stores:
            self.collect()
        if not track.stores:
            return False
        self._orders.release.append((request.request_id, tuple(track.stores)))
        self._held.add(request.request_id)
        return True

    # Steps

    def orders(self, blocks_of: Callable[[str], Any], preempted: Collection[str], is_idle: bool) -> StepOrders:
        """What the workers have to do in the step that vLLM has just planned.

        `blocks_of` gives the device blocks of a request of this step, None for any other.
        """
        self.collect()
        for name in preempted:
            track = self._tracks.get(name)
            if track is not None:
                self._orders.fence.extend(track.stores)
        if self._filling:
            self._store_prompts(blocks_of)
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
                track.load = 0
        self._held.difference_update(sent)
        if report is None:
            return
        for name in report.failed:
            if name in self._tracks:
                self._tracks[name].may_load = False
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
        return bool(self._held)

    def reset(self, timeout: float) -> bool:
        """Waits for copies to end and empties the cache. Requests that live keep their blocks to themselves."""
        for job in self._orders.stores:
            self.engine.abort(job.number)
            self._over(job.number)
        self._orders.stores.clear()
        for track in self._tracks.values():
            track.may_store = False
        self._filling.clear()
        try:
            self.engine.reset(timeout)
        except RoostError as error:
            log.warning("Roost's cache was not reset: %s", error)
            return False
        return True

    # Jobs

    def _loads_async(self) -> bool:
        if self._load_mode == "auto":
            return len(self._tracks) > 1
        return self._load_mode == "async"

    def _load(self, track: Track, blocks: Sequence[int], count: int) -> None:
        first, stride = track.first, track.stride
        grants = np.empty((count, 3), dtype=np.uint32)
        lease = 0
        try:
            with memoryview(track.hashes) as hashes:
                keys = hashes[first * stride : (first + count) * stride]
                lease = self.engine.begin_load(track.number, track.identity, keys, stride, 0, grants)
                keys.release()
        except RoostError as error:
            log.warning("a load of %d blocks cannot begin: %s", count, error)
        targets = np.array(blocks[first : first + count], dtype=np.int32)
        missing: tuple[int, ...] = ()
        if lease == 0:
            missing, targets, grants = tuple(targets.tolist()), targets[:0], grants[:0]
        elif (leased := grants[:, 2] == _LEASED).all() is not np.True_:
            missing, targets, grants = tuple(targets[~leased].tolist()), targets[leased], grants[leased]
        if missing:
            track.may_load = False
        number = lease or -self._take_number()
        if track.is_async:
            track.load = number
        if lease:
            self._jobs[lease] = (track, LOAD)
            self.engine.hand_out(lease, self._ticket.slot.shards)
        slots = np.ascontiguousarray(grants[:, :2])
        self._orders.loads.append(
            Job(number, LOAD, track.request.request_id, targets, slots, not track.is_async, missing)
        )

    def _store_prompts(self, blocks_of: Callable[[str], Any]) -> None:
        for name, track in list(self._filling.items()):
            request = track.request
            seen = request.num_computed_tokens - request.num_in_flight_tokens
            if seen < request.num_prompt_tokens:
                continue
            blocks = blocks_of(name)
            if blocks is None:
                continue
            del self._filling[name]
            self._store(track, blocks, request.num_prompt_tokens // self._block_tokens)

    def _store(self, track: Track, blocks: Sequence[int], count: int, output_tokens: int = -1) -> None:
        """Stores the first `count` blocks as far as they are not stored yet.

        All of them are named to the engine, because its eviction policy learns from this call; after the prompt only
        the new ones, and the one that they hang on.
        """
        if self._store_mode == "none" or not track.may_store or count <= track.stored:
            return
        count = min(count, self._join(track))
        first = max(0, track.stored - 1)
        if count <= track.stored:
            return
        stride = track.stride
        grants = np.empty((count - first, 3), dtype=np.uint32)
        track.stored = count
        try:
            with memoryview(track.hashes) as hashes:
                keys = hashes[first * stride : count * stride]
                lease = self.engine.begin_store(
                    track.number, track.identity, keys, stride, 0, grants, output_tokens
                )
                keys.release()
        except RoostError as error:
            log.debug("a store of %d blocks cannot begin: %s", count - first, error)
            return
        if lease == 0:
            return
        admitted = grants[:, 2] == _ADMITTED
        sources = np.array(blocks[first:count], dtype=np.int32)[admitted]
        slots = np.ascontiguousarray(grants[admitted, :2])
        self._jobs[lease] = (track, STORE)
        track.stores.add(lease)
        self.engine.hand_out(lease, self._ticket.slot.shards)
        self._orders.stores.append(Job(lease, STORE, track.request.request_id, sources, slots))

    def _over(self, lease: int) -> None:
        track, verb = self._jobs.pop(lease, (None, LOAD))
        if track is not None and verb == STORE:
            track.stores.discard(lease)

    def _take_number(self) -> int:
        number = self._next_number
        self._next_number += 1
        return number

    def _join(self, track: Track) -> int:
        """Joins the hashes that are new; how many blocks have one."""
        every = self._hashes_per_block
        hashes = track.request.block_hashes
        if track.identity < 0:
            track.identity = self._identify(track.request)
        ready = len(hashes) // every
        if ready > track.joined:
            # A coarser block is named by the last of its fine hashes: they are chained.
            track.hashes += b"".join(hashes[track.joined * every + every - 1 : ready * every : every])
            track.stride = len(hashes[0])
            track.joined = ready
        return track.joined
