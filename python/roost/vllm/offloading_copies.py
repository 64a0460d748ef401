"""The worker's half of `RoostOffloadingSpec`: copies between vLLM's KV cache and the pool.

A worker learns of the pool from the first job, which is a store: nothing can be loaded before. A store that fails is
told to the engine, which then publishes nothing; vLLM hears that it is over. A load that fails cannot be told to vLLM
other than by the end of its engine, which is better than a wrong byte.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from vllm.v1.kv_offload.base import (
    CanonicalKVCaches,
    GPULoadStoreSpec,
    LoadStoreSpec,
    OffloadingWorker,
    TransferResult,
)

import roost
from roost import RoostError
from roost.vllm.accelerator import Following, device_index, numbered
from roost.vllm.jobs import LOAD, STORE

log = logging.getLogger("vllm.roost")

_DONE, _LOST = 0, 3
_POLL_MAX = 1024
_CLOSE_SECONDS = 10.0
# vLLM waits for a copy where it is about to use the memory again: one that takes longer has hung.
_HUNG_SECONDS = 60.0


@dataclass(frozen=True)
class ShardTicket:
    """All that a worker needs to attach. A slot holds the shards of a page by rank."""

    address: str
    device: str
    shards: int
    shard_bytes: int
    chunk_blocks: int
    """Blocks that vLLM knows by one key."""
    attach_timeout: float


@dataclass(frozen=True)
class GroupPages:
    """Pages of one group under one lease."""

    group: int
    lease: int
    slots: np.ndarray
    """Slot and generation of each, unsigned 32 bits each."""
    places: np.ndarray
    """Which of the blocks of the job's keys they are."""


class PoolPages(LoadStoreSpec):
    """Where the pages of a job lie in the pool; vLLM carries it to the workers."""

    def __init__(self, ticket: ShardTicket, parts: tuple[GroupPages, ...]):
        self.ticket = ticket
        self.parts = parts


@dataclass
class _Job:
    verb: int
    numbers: set[int] = field(default_factory=set)
    """Copies that run, one a group."""
    has_failed: bool = False
    byte_count: int = 0
    seconds: float = 0.0


class PoolCopies(OffloadingWorker):
    """Copies for one device. One thread, vLLM's model runner's."""

    def __init__(
        self,
        caches: CanonicalKVCaches,
        rank: int,
        open_worker: Callable[[str, str, float], Any] = roost.Worker,
        compute_stream: Callable[[], int | None] = lambda: None,
    ):
        self._caches = caches
        self._rank = rank
        self._open_worker = open_worker
        self._following = Following(compute_stream)
        self._core: Any = None
        self._has_tried = False
        self._jobs: dict[int, _Job] = {}
        self._job_of: dict[int, int] = {}
        """vLLM's job of every copy that runs."""
        self._over: list[TransferResult] = []
        self._next_number = 1

    def submit_store(self, job_id: int, src_spec: GPULoadStoreSpec, dst_spec: LoadStoreSpec) -> bool:
        self._submit(job_id, STORE, src_spec, dst_spec)
        return True

    def submit_load(self, job_id: int, src_spec: LoadStoreSpec, dst_spec: GPULoadStoreSpec) -> bool:
        self._submit(job_id, LOAD, dst_spec, src_spec)
        return True

    def get_finished(self) -> list[TransferResult]:
        if self._job_of:
            for number, outcome, _, byte_count, seconds in self._core.poll(_POLL_MAX):
                self._ended(number, outcome, byte_count, seconds)
        over, self._over = self._over, []
        return over

    def wait(self, job_ids: set[int]) -> None:
        for job_id in job_ids:
            job = self._jobs.get(job_id)
            for number in tuple(job.numbers) if job is not None else ():
                try:
                    _, outcome, _, byte_count, seconds = self._core.wait(number, _HUNG_SECONDS)
                except RoostError as error:
                    if error.code == "timedOut":
                        raise RuntimeError(f"a copy has not ended after {_HUNG_SECONDS:.0f} s: it hangs") from None
                    outcome, byte_count, seconds = _LOST, 0, 0.0
                self._ended(number, outcome, byte_count, seconds)

    def shutdown(self) -> None:
        core, self._core = self._core, None
        self._job_of.clear()
        self._jobs.clear()
        if core is not None and not core.close(_CLOSE_SECONDS):
            log.error("copies still run after %.0f s; the pool waits for this process to end", _CLOSE_SECONDS)

    def _submit(self, job_id: int, verb: int, where: GPULoadStoreSpec, pages: PoolPages) -> None:
        job = self._jobs[job_id] = _Job(verb)
        self._attach(pages.ticket)
        for part in pages.parts:
            blocks, slots = _aligned(verb, where, part, pages.ticket.chunk_blocks)
            self._start(job_id, job, part, blocks, slots)
        if not job.numbers:
            self._finish(job_id, job)

    def _start(self, job_id: int, job: _Job, part: GroupPages, blocks: np.ndarray, slots: np.ndarray) -> None:
        number, self._next_number = self._next_number, self._next_number + 1
        if self._core is None:
            job.has_failed = True
            return
        try:
            self._following.before_copies(self._core)
            self._core.submit(number, job.verb, part.group, part.lease, blocks, slots)
        except RoostError as error:
            log.warning("a copy of %d blocks cannot begin: %s", len(blocks), error)
            job.has_failed = True
            return
        job.numbers.add(number)
        self._job_of[number] = job_id

    def _ended(self, number: int, outcome: int, byte_count: int, seconds: float) -> None:
        job_id = self._job_of.pop(number, None)
        if job_id is None:
            return
        job = self._jobs[job_id]
        job.numbers.discard(number)
        job.has_failed |= outcome != _DONE
        job.byte_count += byte_count
        job.seconds = max(job.seconds, seconds)
        if not job.numbers:
            self._finish(job_id, job)

    def _finish(self, job_id: int, job: _Job) -> None:
        del self._jobs[job_id]
        is_fatal = job.has_failed and job.verb == LOAD
        if is_fatal:
            log.error("pages that vLLM was promised cannot be loaded; its OffloadingConnector ends the engine for that")
        self._over.append(TransferResult(job_id, not is_fatal, job.byte_count, job.seconds))

    def _attach(self, ticket: ShardTicket) -> None:
        if self._has_tried:
            return
        self._has_tried = True
        try:
            index = device_index(block.tensor for block in self._caches.tensors)
            core = self._open_worker(ticket.address, numbered(ticket.device, index), ticket.attach_timeout)
            self._following.before_copies(core)
            for group in range(len(self._caches.group_data_refs)):
                regions, parts, block_count = self._places(group, ticket)
                core.register(group, self._rank, ticket.shards, regions, parts, block_count)
        except (RoostError, ValueError) as error:
            # A cache that cannot be reached costs time, not answers: nothing is ever published.
            log.error("this worker cannot attach to Roost's pool; everything is computed: %s", error)
            return
        self._core = core

    def _places(
        self, group: int, ticket: ShardTicket
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int, int, int, int]], int]:
        """Regions, parts and blocks of a group, as `roost.Worker.register` takes them."""
        regions: list[tuple[int, int]] = []
        parts: list[tuple[int, int, int, int, int]] = []
        offset, block_count = self._rank * ticket.shard_bytes, 0
        for ref in self._caches.group_data_refs[group]:
            tensor = self._caches.tensors[ref.tensor_idx].tensor
            block_count, stride = tensor.shape[0], tensor.stride(0) * tensor.element_size()
            parts.append((len(regions), 0, stride, ref.page_size_bytes, offset))
            regions.append((tensor.data_ptr(), (block_count - 1) * stride + ref.page_size_bytes))
            offset += ref.page_size_bytes
        if offset > (self._rank + 1) * ticket.shard_bytes:
            raise ValueError(f"a page of group {group} has more than the {ticket.shard_bytes} bytes that vLLM told")
        return regions, parts, block_count


def _aligned(
    verb: int, where: GPULoadStoreSpec, part: GroupPages, chunk_blocks: int
) -> tuple[np.ndarray, np.ndarray]:
    """The device block of each page, and its slot. vLLM may begin and end inside a chunk."""
    end = sum(where.group_sizes[: part.group + 1])
    blocks = where.block_ids[end - where.group_sizes[part.group] : end]
    places = part.places - where.block_indices[part.group] % chunk_blocks
    used = (places >= 0) & (places < len(blocks))
    # A page that is not copied would be published all the same, a block that is not copied would be computed with.
    if not used.all() if verb == STORE else used.sum() != len(blocks):
        raise ValueError(f"vLLM names {len(blocks)} blocks of group {part.group} for {len(places)} pages")
    return np.ascontiguousarray(blocks[places[used]]), np.ascontiguousarray(part.slots[used])
