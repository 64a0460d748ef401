"""The worker's half: knows where the device pages lie, copies what it is told to, says what has ended.

One submit a job, one poll a step. A load that a step waits for can be divided into ranges of layers: it is submitted
before the forward pass, and each layer waits in the pass for its own range (`layer`). A device page is given back only
after every job that reads or writes it is over: `fence` waits for what a preemption would overwrite, `release` reports a
finished request when its last job has ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from roost import RoostError
from roost.vllm.accelerator import Following, numbered
from roost.vllm.jobs import LOAD, LOAD_DIVIDED, STORE, Job, PoolTicket, StepOrders, StepReport, block_numbers
from roost.vllm.pages import DevicePages, WorkerPages

log = logging.getLogger("vllm.roost")

_DONE, _PARTLY_FAILED = 0, 1
_POLL_MAX = 1024
# How long a step in which nothing is computed waits for a job to end: long enough to leave the processor to the copy,
# short enough to notice a new request.
_IDLE_WAIT_SECONDS = 0.002
# A copy that has been cancelled and still runs after this many times the deadline has hung: the device pages can be
# neither used nor given back.
_HUNG_FACTOR = 4


class _Running:
    __slots__ = ("cancelled", "deadline", "job")

    def __init__(self, job: Job, deadline: float):
        self.job = job
        self.deadline = deadline
        self.cancelled = False


class WorkerSide:
    """Copies for one device. One thread, vLLM's model runner's."""

    def __init__(
        self,
        open_worker: Callable[[PoolTicket], Any],
        clock: Callable[[], float] = time.monotonic,
        ranges: int = 1,
        compute_stream: Callable[[], int | None] = lambda: None,
    ):
        """`compute_stream`: the stream on which the model computes; None: the host does."""
        self._open_worker = open_worker
        self._clock = clock
        self._following = Following(compute_stream)
        self._pages: Sequence[DevicePages] = ()
        self._identity: Sequence[WorkerPages] = ()
        self._core: Any = None
        self._ticket: PoolTicket | None = None
        self._attach_error: str | None = None
        self._running: dict[int, _Running] = {}
        self._next_deadline = float("inf")
        self._releases: list[tuple[str, set[int]]] = []
        self._loading: dict[str, int] = {}
        """Requests that wait for so many loads."""
        self._received: set[str] = set()
        self._errors: set[int] = set()
        self._failed: set[str] = set()
        self._report = StepReport()
        self._ranges = ranges
        self._range_of: dict[str, int] = {}
        """The range of every layer, where loads are divided."""
        self.divided: list[int] = []
        """Divided loads that the forward pass of this step waits for, layer by layer."""
        self._arrived = 0
        """The ranges of them that it has waited for."""

    def register(self, pages: Sequence[DevicePages], identity: Sequence[WorkerPages]) -> None:
        """Says where the KV cache of each group of layers lies; before anything else."""
        self._pages = pages
        self._identity = identity

    @property
    def identity(self) -> Sequence[WorkerPages]:
        """What the scheduler's side has to know of this worker's pages."""
        return self._identity

    # A step, in vLLM's order

    def fence(self, orders: StepOrders) -> None:
        """Before the step writes anything: attaches, and waits for the jobs that it would disturb."""
        if orders.ticket is not None and self._core is None:
            self._attach(orders.ticket)
        for number in orders.cancel:
            if number in self._running:
                self._cancel(number)
        for number in orders.fence:
            if number in self._running:
                self._wait(number)

    def load(self, orders: StepOrders) -> None:
        """Starts the loads, and waits for those that the step needs."""
        for job in orders.loads:
            if not job.waits:
                self._loading[job.request] = self._loading.get(job.request, 0) + 1
        for job in orders.loads:
            if job.missing:
                self._fail(job, block_numbers(job.missing))
            self._submit(job)
        waiting = [job.number for job in orders.loads if job.waits and job.number in self._running]
        if self._range_of:
            self.divided, self._arrived = waiting, 0
            return
        for number in waiting:
            self._wait(number)

    def layer(self, name: str) -> None:
        """In the forward pass, before a layer reads its pages: they are there, or their load has failed."""
        last = self._range_of.get(name, self._ranges - 1)
        while self._arrived <= last and self.divided:
            for number in self.divided:
                self._wait_range(number, self._arrived)
            self._arrived += 1
        if self._arrived == self._ranges:
            self._end_divided()

    def store(self, orders: StepOrders) -> None:
        """Starts the stores. Their blocks were computed in earlier steps."""
        for job in orders.stores:
            self._submit(job)
        for request, numbers in orders.release:
            self._releases.append((request, {number for number in numbers if number in self._running}))

    def ended(self, orders: StepOrders | None) -> tuple[set[str] | None, set[str] | None]:
        """Requests whose device blocks vLLM may have back, and requests whose loads are over."""
        if self.divided:
            self._not_asked_for()
        if self._running:
            if orders is not None and orders.is_idle:
                self._wait_idle()
            self._poll()
        sent: set[str] | None = None
        if self._releases:
            sent = {request for request, numbers in self._releases if not numbers}
            self._releases = [entry for entry in self._releases if entry[1]]
        received, self._received = self._received, set()
        return sent or None, received or None

    def take_errors(self) -> set[int]:
        """Device blocks that were to be loaded and were not, each once."""
        errors, self._errors = self._errors, set()
        return errors

    def take_failed(self, received: set[str]) -> set[str]:
        """Which of the requests whose loads are over lack something: how models of several groups hear of it."""
        failed = self._failed & received
        self._failed -= failed
        return failed

    def take_report(self) -> StepReport | None:
        """What the scheduler's side has to hear."""
        if not self._report.refused and not self._report.failed:
            return None
        report, self._report = self._report, StepReport()
        return report

    def close(self, timeout: float) -> None:
        """Waits for copies that run, and detaches."""
        core, self._core = self._core, None
        if core is not None and not core.close(timeout):
            log.error("copies still run after %.0f s; the pool waits for this process to end", timeout)

    # Jobs

    def _attach(self, ticket: PoolTicket) -> None:
        self._ticket = ticket
        pages, identity = self._pages, self._identity
        if self._attach_error is not None or not pages:
            return
        try:
            (index,) = {where.device_index for where in pages}
            core = self._open_worker(replace(ticket, device=numbered(ticket.device, index)))
            self._following.before_copies(core)
            for group, (own, where, slot) in enumerate(zip(identity, pages, ticket.slots)):
                shard = ticket.shards.index((own.pipeline_rank, own.tensor_rank))
                parts = where.copy_parts(slot, own.part)
                core.register(group, shard, len(ticket.shards), list(where.regions), parts, where.block_count)
            if self._ranges > 1 and len(pages) == 1:
                bounds, self._range_of = pages[0].ranges(ticket.slots[0], self._ranges)
                self._ranges = len(bounds) + 1
                core.divide(0, bounds)
        except (RoostError, ValueError) as error:
            # A cache that cannot be reached costs time, not answers.
            self._attach_error = str(error)
            log.error("this worker cannot attach to Roost's pool and computes everything: %s", error)
            return
        self._core = core

    def _submit(self, job: Job) -> None:
        ticket, core = self._ticket, self._core
        blocks, slots = self._share(job)
        if core is None or job.number < 0:
            self._refuse(job)
            return
        verb = LOAD_DIVIDED if job.waits and self._range_of else job.verb
        try:
            self._following.before_copies(core)
            core.submit(job.number, verb, job.group, job.number, blocks, slots, job.waits)
        except RoostError as error:
            log.warning("a %s of %d blocks cannot begin: %s", _NAMES[job.verb], len(job), error)
            self._refuse(job)
            return
        running = _Running(job, self._clock() + ticket.load_timeout)
        self._running[job.number] = running
        self._next_deadline = min(self._next_deadline, running.deadline)

    def _share(self, job: Job) -> tuple[bytes, bytes]:
        """The pages that this worker writes: of pages that several ranks hold, each stores its share."""
        if job.verb == LOAD or not self._identity or self._identity[job.group].replicas == 1:
            return job.blocks, job.slots
        identity = self._identity[job.group]
        slots = np.frombuffer(job.slots, dtype=np.uint32).reshape(-1, 2)
        mine = slots[:, 0] % identity.replicas == identity.tensor_rank % identity.replicas
        job.slots = slots[mine].tobytes()
        job.blocks = np.frombuffer(job.blocks, dtype=np.int32)[mine].tobytes()
        return job.blocks, job.slots

    def _refuse(self, job: Job) -> None:
        if job.number > 0:
            self._report.refused.add(job.number)
        if job.verb == LOAD:
            self._fail(job, job.numbers())
            self._finish(job)

    def _fail(self, job: Job, blocks: Sequence[int]) -> None:
        if len(self._pages) > 1:
            # Block numbers are a group's own: only the request can be named.
            self._failed.add(job.request)
        else:
            self._errors.update(blocks)
        self._report.failed.add(job.request)

    def _finish(self, job: Job) -> None:
        if job.verb == STORE or job.waits:
            return
        left = self._loading.pop(job.request, 1) - 1
        if left > 0:
            self._loading[job.request] = left
        else:
            self._received.add(job.request)

    def _poll(self) -> None:
        for number, outcome, positions, byte_count, seconds in self._core.poll(_POLL_MAX):
            self._over(number, outcome, positions)
        if self._running and self._clock() > self._next_deadline:
            self._cancel_late()

    def _over(self, number: int, outcome: int, positions: Sequence[int]) -> None:
        running = self._running.pop(number, None)
        if running is None:
            return
        for _, numbers in self._releases:
            numbers.discard(number)
        job = running.job
        if job.verb == LOAD:
            if outcome == _PARTLY_FAILED:
                self._fail(job, job.numbers(positions))
            elif outcome != _DONE:
                self._fail(job, job.numbers())
            self._finish(job)

    def _cancel_late(self) -> None:
        now = self._clock()
        for number, running in self._running.items():
            if running.deadline < now and not running.cancelled:
                count, name = len(running.job), _NAMES[running.job.verb]
                log.warning("a %s of %d blocks is late and is given up", name, count)
                self._cancel(number)
        self._next_deadline = min(
            (running.deadline for running in self._running.values() if not running.cancelled), default=float("inf")
        )

    def _cancel(self, number: int) -> None:
        """A copy that runs is not stopped: its end is awaited before the device pages count as free."""
        self._running[number].cancelled = True
        self._core.cancel(number)

    def _wait(self, number: int) -> None:
        """Until the job is over; a late one is cancelled first."""
        running = self._running[number]
        patience = max(0.0, running.deadline - self._clock())
        for attempt in (patience, self._ticket.load_timeout * _HUNG_FACTOR):
            try:
                _, outcome, positions, _, _ = self._core.wait(number, attempt)
            except RoostError as error:
                if error.code != "timedOut":
                    self._over(number, outcome=3, positions=())
                    return
                if not running.cancelled:
                    log.warning("a %s is late and is given up", _NAMES[running.job.verb])
                    self._cancel(number)
                continue
            self._over(number, outcome, positions)
            return
        raise RuntimeError(
            f"a copy of {len(running.job)} blocks has not ended {_HUNG_FACTOR} times its deadline after it was "
            "cancelled: the device hangs, and its pages cannot be used"
        )

    def _wait_range(self, number: int, index: int) -> None:
        running = self._running.get(number)
        if running is None:
            return
        try:
            self._core.wait_range(number, index, max(0.0, running.deadline - self._clock()))
        except RoostError:
            # Late: what has not started is cancelled, what runs is waited for, and all of it has failed.
            self._wait(number)

    def _end_divided(self) -> None:
        numbers, self.divided = self.divided, []
        for number in numbers:
            if number in self._running:
                self._wait(number)

    def _not_asked_for(self) -> None:
        """The pass is over, and not every range was waited for: it may have read pages that were not there yet."""
        log.error(
            "layers of this model read their pages without waiting for them; loads are computed again, and from now on "
            'copied as a whole, as with "load_ranges": 1'
        )
        jobs = [self._running[number].job for number in self.divided if number in self._running]
        self._range_of = {}
        self._end_divided()
        for job in jobs:
            self._fail(job, job.numbers())

    def _wait_idle(self) -> None:
        number = next(iter(self._running))
        try:
            _, outcome, positions, _, _ = self._core.wait(number, _IDLE_WAIT_SECONDS)
        except RoostError as error:
            if error.code == "timedOut":
                return
            outcome, positions = 3, ()
        self._over(number, outcome, positions)


_NAMES = {STORE: "store", LOAD: "load"}
