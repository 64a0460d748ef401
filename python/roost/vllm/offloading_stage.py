"""The scheduler's half of `RoostOffloadingSpec`: answers vLLM's questions, one key a call.

vLLM's OffloadingConnector dies of a load that fails. So a page is staged before the answer is HIT: it is held, checked
against its seal, and stays held until the step has been planned; a load holds it in its own name until the copy has
ended.

The life of a store:

1. `prepare_store` finds slots, and hands the lease out to the workers.
2. The engine publishes the pages when every worker has reported its shard, by itself.
3. `complete_store`: vLLM has heard of all workers. A lease that lives on waits for a worker that cannot reach the pool,
   and is given up when its time is over: its pages were never found, and never will be.

A reset gives all keys another identity, so that nothing has to be waited for.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
from vllm.v1.kv_offload.base import (
    LoadStoreSpec,
    LookupResult,
    Medium,
    OffloadingEvent,
    OffloadingManager,
    OffloadKey,
    OffloadPolicy,
    PrepareStoreOutput,
    ReqContext,
    RequestOffloadingContext,
    ScheduleEndContext,
    get_offload_block_hash,
    get_offload_group_idx,
    make_offload_key,
)
from vllm.v1.metrics.cache_hit_source import CacheHitSource

from roost import RoostError
from roost.vllm.events import EVENTS_MAX
from roost.vllm.offloading_copies import GroupPages, PoolPages, ShardTicket

log = logging.getLogger("vllm.roost")

_PENDING, _READY = 1, 2
_LEASED, _ADMITTED = 0, 1
_POLL_MAX = 1024
_CLOSE_SECONDS = 10.0
# A worker attaches with its first job; a lease waits so many times longer for it than that may take.
_PATIENCE_FACTOR = 2.0


class StagedPages(OffloadingManager):
    """Owns the engine. One thread, vLLM's scheduler's."""

    def __init__(
        self, engine: Any, ticket: ShardTicket, groups: Sequence[int], clock: Callable[[], float] = time.monotonic
    ):
        self._engine = engine
        self._ticket = ticket
        self._group_ids = groups
        """What vLLM's keys call the engine's groups."""
        self._group_of = {number: index for index, number in enumerate(groups)}
        self._patience = _PATIENCE_FACTOR * ticket.attach_timeout
        self._clock = clock
        self._salt = secrets.token_bytes(16)
        self._epoch = 0
        self._identity = engine.intern(self._fields())
        self._numbers: dict[str, int] = {}
        """What the engine calls vLLM's requests."""
        self._next_number = 1
        self._staged: dict[OffloadKey, int] = {}
        """Keys that were promised in this step, and the leases that hold them."""
        self._storing: dict[OffloadKey, int] = {}
        self._live: set[int] = set()
        """Stores that the engine has not ended yet."""
        self._late: dict[int, float] = {}
        """Of these, stores that vLLM holds for over, and when they are given up."""
        self._chunk_blocks = ticket.chunk_blocks
        self._states = np.zeros(self._chunk_blocks, dtype=np.uint8)
        self._grants = np.zeros((self._chunk_blocks, 3), dtype=np.uint32)

    # Requests

    def on_new_request(self, req_context: ReqContext) -> RequestOffloadingContext:
        # All blocks, hits included: what to give up is learnt from whole requests, and what was lost is stored again.
        return RequestOffloadingContext(policy=OffloadPolicy.REQUEST_LEVEL)

    def on_request_finished(self, req_context: ReqContext) -> None:
        self._numbers.pop(req_context.req_id, None)

    # Loads

    def lookup(self, key: OffloadKey, req_context: ReqContext) -> LookupResult:
        if key in self._staged:
            return LookupResult.HIT
        ((group, stride, hashes),) = self._by_group([key])
        self._engine.match_states(self._identity, hashes, stride, group, self._states)
        if (self._states != _READY).any():
            is_coming = ((self._states == _READY) | (self._states == _PENDING)).all()
            return LookupResult.HIT_PENDING if is_coming else LookupResult.MISS
        try:
            lease = self._engine.begin_load(
                self._number(req_context), self._identity, hashes, stride, group, self._grants
            )
        except RoostError as error:
            log.debug("a page cannot be held: %s", error)
            return LookupResult.MISS
        if lease == 0:
            return LookupResult.MISS
        if (self._grants[:, 2] != _LEASED).any():
            # Not what its seal says.
            self._engine.end(lease)
            return LookupResult.MISS
        self._staged[key] = lease
        return LookupResult.HIT

    def get_load_source(self, key: OffloadKey, req_context: ReqContext) -> CacheHitSource:
        return CacheHitSource.HOST

    def prepare_load(self, keys: Collection[OffloadKey], req_context: ReqContext) -> LoadStoreSpec:
        parts = []
        for group, stride, hashes in self._by_group(keys):
            grants = np.empty((len(hashes) // stride, 3), dtype=np.uint32)
            lease = self._engine.begin_load(self._number(req_context), self._identity, hashes, stride, group, grants)
            if lease == 0 or (grants[:, 2] != _LEASED).any():
                raise RuntimeError("pages that were found and held are gone: vLLM asked for others, or memory is bad")
            parts.append(self._hand_out(group, lease, grants, np.arange(len(grants))))
        return PoolPages(self._ticket, tuple(parts))

    # Stores

    def prepare_store(self, keys: Collection[OffloadKey], req_context: ReqContext) -> PrepareStoreOutput | None:
        parts: list[GroupPages] = []
        chosen: list[OffloadKey] = []
        wanted = list(keys)
        first = 0
        for group, stride, hashes in self._by_group(wanted):
            grants = np.empty((len(hashes) // stride, 3), dtype=np.uint32)
            offered = wanted[first : first + len(grants) // self._chunk_blocks]
            first += len(offered)
            lease = 0
            try:
                number = self._number(req_context)
                lease = self._engine.begin_store(number, self._identity, hashes, stride, group, grants)
            except RoostError as error:
                log.debug("a store of %d blocks cannot begin: %s", len(grants), error)
            if lease == 0:
                continue
            # vLLM names the blocks of all chunks that have one to be stored.
            admitted = (grants[:, 2] == _ADMITTED).reshape(len(offered), self._chunk_blocks)
            rows = admitted.any(axis=1)
            found = [offered[row] for row in np.flatnonzero(rows)]
            chosen += found
            self._storing.update(dict.fromkeys(found, lease))
            self._live.add(lease)
            places = np.flatnonzero(admitted[rows])
            parts.append(self._hand_out(group, lease, grants[admitted.reshape(-1)], places))
        # What is not admitted is not worth another try: never None.
        return PrepareStoreOutput(chosen, PoolPages(self._ticket, tuple(parts)), [])

    def complete_store(self, keys: Collection[OffloadKey], req_context: ReqContext, success: bool = True) -> None:
        self._collect()
        for lease in {self._storing.pop(key) for key in keys if key in self._storing} & self._live:
            if success:
                self._late[lease] = self._clock() + self._patience
            else:
                self._engine.abort(lease)

    # Steps

    def on_schedule_end(self, context: ScheduleEndContext) -> None:
        self._unstage()
        self._collect()
        now = self._clock()
        for lease in [lease for lease, deadline in self._late.items() if deadline < now]:
            log.warning("a worker has not stored its part of a page; the page is given up")
            self._engine.abort(lease)
            self._forget_lease(lease)

    def reset_cache(self) -> None:
        self._unstage()
        self._storing.clear()
        deadline = self._clock() + self._patience
        self._late.update((lease, deadline) for lease in self._live if lease not in self._late)
        former = self._fields()
        self._epoch += 1
        self._identity = self._engine.intern(self._fields())
        self._engine.forget(former)

    def take_events(self) -> Iterator[OffloadingEvent]:
        # None are kept of chunks: they are known by their blocks here.
        found = self._engine.events(EVENTS_MAX)
        for kind, neighbours in groupby(found, key=lambda event: event[0]):
            keys = [make_offload_key(name, self._group_ids[group]) for _, _, group, name in neighbours]
            yield OffloadingEvent(keys=keys, medium=Medium.CPU, removed=kind == "removed")

    def shutdown(self) -> None:
        self._engine.close(_CLOSE_SECONDS)

    # Own

    def _fields(self) -> list[tuple[str, bytes]]:
        """Pages live as long as this object does: whatever their values depend on does not change meanwhile."""
        return [("salt", self._salt), ("weights_epoch", str(self._epoch).encode())]

    def _number(self, context: ReqContext) -> int:
        known = self._numbers.get(context.req_id)
        if known is None:
            known = self._numbers[context.req_id] = self._next_number
            self._next_number += 1
        return known

    def _by_group(self, keys: Iterable[OffloadKey]) -> Iterator[tuple[int, int, bytes]]:
        """For each group: its number, the length of a block's name, and the names of all blocks."""
        for number, members in groupby(keys, key=get_offload_group_idx):
            names = [name for key in members for name in self._names(get_offload_block_hash(key))]
            yield self._group_of[number], len(names[0]), b"".join(names)

    def _names(self, chunk: bytes) -> Iterable[bytes]:
        """What the engine calls the blocks of a chunk, which has the name of its last block: the next numbers."""
        if self._chunk_blocks == 1:
            return (chunk,)
        last, size = int.from_bytes(chunk, "big"), len(chunk)
        return (((last + place) % (1 << 8 * size)).to_bytes(size, "big") for place in range(self._chunk_blocks))

    def _hand_out(self, group: int, lease: int, grants: np.ndarray, places: np.ndarray) -> GroupPages:
        self._engine.hand_out(lease, self._ticket.shards)
        return GroupPages(group, lease, np.ascontiguousarray(grants[:, :2]), places)

    def _unstage(self) -> None:
        for lease in self._staged.values():
            self._engine.end(lease)
        self._staged.clear()

    def _collect(self) -> None:
        for lease, *_ in self._engine.poll(_POLL_MAX):
            self._forget_lease(lease)

    def _forget_lease(self, lease: int) -> None:
        self._live.discard(lease)
        self._late.pop(lease, None)
