"""What the connector itself costs on vLLM's hot path, apart from copies: medians, against this session's targets.

    make bench-vllm

Drives `RoostConnector`'s two halves with the real engine, as vLLM's scheduler and worker do, without a model.
"""

from __future__ import annotations

import ctypes
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import roost
from roost.vllm.jobs import Job, PoolTicket
from roost.vllm.pages import DevicePages, LayerPage, LayerSlot, SlotLayout, WorkerPages
from roost.vllm.scheduler import SchedulerSide
from roost.vllm.worker import WorkerSide

BLOCK = 16
LAYERS = 2
PIECE = 2048
PAGE = LAYERS * PIECE
BLOCKS = 8192


class Request:
    """A request with hashes, as vLLM's scheduler shows it."""

    skip_reading_prefix_cache = False
    lora_request = None

    def __init__(self, name: str, blocks: int, seed: int):
        self.request_id = name
        self.num_tokens = self.num_prompt_tokens = blocks * BLOCK + 1
        self.num_computed_tokens = self.num_in_flight_tokens = 0
        self.block_hashes = [(seed << 32 | block).to_bytes(8, "little") * 4 for block in range(blocks)]


class Bench:
    """Both halves over a real engine and worker."""

    def __init__(self) -> None:
        config = {
            "groups": [{"page_bytes": PAGE, "tokens_per_block": BLOCK, "kind": "full"}],
            "capacity": BLOCKS * PAGE * 2,
        }
        self.engine = roost.Engine(json.dumps(config))
        self.engine.wait_ready(60.0)
        layers = tuple(LayerPage(f"layers.{layer}", 1, 1, PIECE, True) for layer in range(LAYERS))
        slots = {f"layers.{layer}": LayerSlot(layer * PIECE, PIECE, 1) for layer in range(LAYERS)}
        slot = SlotLayout(slots, PAGE, "bench", 1)
        ticket = PoolTicket(self.engine.address, "cpu", slot, ((0, 0),), 10.0, 10.0)
        identity = self.engine.intern([("weights", b"bench")])
        self.scheduler = SchedulerSide(
            self.engine, ticket, lambda _: identity, block_tokens=BLOCK, hash_tokens=BLOCK, load="async", store="all"
        )
        self.memory = np.zeros(BLOCKS * PAGE, dtype=np.uint8)
        pointer = self.memory.ctypes.data
        places = tuple((0, layer * BLOCKS * PIECE, PIECE, PIECE, PIECE) for layer in range(LAYERS))
        self.worker = WorkerSide(lambda ticket: roost.Worker(ticket.address, ticket.device, ticket.attach_timeout))
        pages = DevicePages(((pointer, self.memory.nbytes),), layers, places, BLOCKS)
        self.worker.register(pages, WorkerPages(0, 0, 1, 1, layers, "bench"))
        self.tables: dict[str, list[int]] = {}

    def step(self, idle: bool = False) -> None:
        orders = self.scheduler.orders(self.tables.get, (), idle)
        self.worker.fence(orders)
        if orders.loads:
            self.worker.load(orders)
        if orders.stores or orders.release:
            self.worker.store(orders)
        sent, received = self.worker.ended(orders)
        self.worker.take_errors()
        report = self.worker.take_report()
        if sent or received or report is not None:
            self.scheduler.reported(received or (), sent or (), report)

    def store(self, request: Request, first: int) -> None:
        blocks = list(range(first, first + len(request.block_hashes)))
        self.tables[request.request_id] = blocks
        self.scheduler.match(request, 0)
        self.scheduler.allocated(request, blocks, 0)
        request.num_computed_tokens = request.num_tokens
        while True:
            self.step()
            if not self.worker._running and not self.scheduler._jobs:
                break
        self.scheduler.finished(request, blocks)
        self.tables.clear()
        self.step()


def timed(body: Callable[[int], object], rounds: int) -> float:
    """Median microseconds of a call."""
    for number in range(min(rounds, 20)):
        body(number)
    samples = []
    for number in range(rounds):
        start = time.perf_counter()
        body(number)
        samples.append(time.perf_counter() - start)
    return statistics.median(samples) * 1e6


def main() -> None:
    gc.disable()
    bench = Bench()
    rows: list[tuple[str, float, float]] = []
    rows.append(("a step with nothing to do, both halves", timed(lambda _: bench.step(), 2000), 20))

    stored = Request("stored", 4096, 1)
    bench.store(stored, 0)
    for lives in (0, 64):
        for number in range(lives):
            request = Request(f"running-{number}", 4, 1000 + number)
            bench.scheduler.allocated(request, [0, 0, 0, 0, 0], 0)
            bench.scheduler._filling.pop(request.request_id)
    rows.append(("... with 64 requests running", timed(lambda _: bench.step(), 2000), 20))

    fresh = [Request(f"match-{number}", 4096, 1) for number in range(220)]
    found = []
    rows.append(
        (
            "match of 4,096 blocks, hashes joined",
            timed(lambda number: found.append(bench.scheduler.match(fresh[number], 0)[0]), 200),
            400,
        )
    )
    assert set(found) == {4096 * BLOCK}, set(found)

    blocks = np.arange(512, dtype=np.int32)
    grants = np.empty((512, 3), dtype=np.uint32)
    keys = b"".join(stored.block_hashes[:512])
    identity = bench.engine.intern([("weights", b"bench")])
    core = bench.worker._core
    samples = []
    for number in range(120):
        lease = bench.engine.begin_load(1, identity, keys, 32, 0, grants)
        bench.engine.hand_out(lease, 1)
        slots = np.ascontiguousarray(grants[:, :2])
        start = time.perf_counter()
        core.submit(lease, 1, 0, lease, blocks, slots)
        samples.append(time.perf_counter() - start)
        core.wait(lease, 10.0)
        bench.engine.poll()
    rows.append(("submit of 512 blocks", statistics.median(samples) * 1e6, 15))

    print(f"{'median of what the connector costs':<42} {'us':>8} {'target':>8}")
    missed = False
    for name, value, target in rows:
        missed |= value > target
        print(f"{name:<42} {value:>8.1f} {target:>8.0f}{'  MISSED' if value > target else ''}")
    bench.worker.close(5.0)
    bench.engine.close(5.0)
    sys.exit(1 if missed and "--strict" in sys.argv else 0)


if __name__ == "__main__":
    main()
