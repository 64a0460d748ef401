"""What the connector itself costs on vLLM's hot path, apart from copies: medians, against this session's targets.

    make bench-vllm

Drives `RoostConnector`'s two halves with the real engine, as vLLM's scheduler and worker do, without a model.
"""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import roost
from roost.vllm.groups import Group
from roost.vllm.jobs import Job, PoolTicket
from roost.vllm.pages import DevicePages, LayerPage, LayerSlot, SlotLayout, WorkerPages
from roost.vllm.scheduler import SchedulerSide
from roost.vllm.worker import WorkerSide

BLOCK = 16
SAMPLE_BYTES = 64 << 20
# The pool holds as many samples: these rounds touch its memory for the first time and do not count.
_UNTIMED_ROUNDS = 16
_TIMED_ROUNDS = 21


@dataclass(frozen=True)
class Geometry:
    """Pages of `layers` pieces."""

    layers: int
    piece: int
    blocks: int

    @property
    def page(self) -> int:
        return self.layers * self.piece


SMALL = Geometry(layers=2, piece=2048, blocks=8192)
# The row `64KiB` of `roost bench transfer`.
LARGE = Geometry(layers=32, piece=64 << 10, blocks=511)


def device_memory(byte_count: int) -> np.ndarray:
    """Memory as the CPU device allocates it, in huge pages."""
    # Private: the kernel has settings of its own for huge pages of shared memory.
    pages = mmap.mmap(-1, byte_count, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_HUGEPAGE)
    memory = np.frombuffer(pages, dtype=np.uint8)
    memory.fill(1)
    return memory


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

    def __init__(self, shape: Geometry, load: str, capacity: int) -> None:
        config = {
            "groups": [{"page_bytes": shape.page, "tokens_per_block": BLOCK, "kind": "full"}],
            "capacity": capacity,
            # Lets everything in, so that every round copies as much.
            "policy": "lru",
        }
        self.engine = roost.Engine(json.dumps(config))
        self.engine.wait_ready(60.0)
        names = [f"layers.{layer}" for layer in range(shape.layers)]
        layers = tuple(LayerPage(name, 1, 1, shape.piece, True) for name in names)
        slots = {name: LayerSlot(layer * shape.piece, shape.piece, 1) for layer, name in enumerate(names)}
        slot = SlotLayout(slots, shape.page, "bench", 1)
        ticket = PoolTicket(self.engine.address, "cpu", (slot,), ((0, 0),), 10.0, 10.0)
        identity = self.engine.intern([("weights", b"bench")])
        self.scheduler = SchedulerSide(
            self.engine, ticket, lambda _: identity, groups=[Group("full", BLOCK)], hash_tokens=BLOCK, load=load,
            store="all",
        )
        self.memory = device_memory(shape.blocks * shape.page)
        pointer = self.memory.ctypes.data
        piece = shape.piece
        places = tuple((0, layer * shape.blocks * piece, piece, piece, piece) for layer in range(shape.layers))
        self.worker = WorkerSide(lambda ticket: roost.Worker(ticket.address, ticket.device, ticket.attach_timeout))
        pages = DevicePages(((pointer, self.memory.nbytes),), layers, places, shape.blocks)
        self.worker.register([pages], [WorkerPages(0, 0, 1, 1, layers, "bench")])
        self.tables: dict[str, list[list[int]]] = {}

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

    def store(self, request: Request, blocks: list[int]) -> float:
        """Stores a prompt; seconds from the orders to the end of the copies."""
        self.tables[request.request_id] = [blocks]
        self.scheduler.match(request, 0)
        self.scheduler.allocated(request, [blocks], 0)
        request.num_computed_tokens = request.num_tokens
        start = time.perf_counter()
        self.step(idle=True)
        while self.worker._running:
            self.step(idle=True)
        seconds = time.perf_counter() - start
        while self.scheduler._jobs:
            self.step()
        self.scheduler.finished(request, [blocks])
        self.tables.clear()
        self.step()
        return seconds

    def load(self, request: Request, blocks: list[int]) -> float:
        """Loads a prompt that is stored; seconds from the match to the end of the copies."""
        start = time.perf_counter()
        tokens, _ = self.scheduler.match(request, 0)
        self.scheduler.allocated(request, [blocks], tokens)
        self.step()
        seconds = time.perf_counter() - start
        assert tokens == len(request.block_hashes) * BLOCK and not self.worker._running
        self.scheduler.finished(request, [[]])
        return seconds

    def close(self) -> None:
        self.worker.close(5.0)
        self.engine.close(5.0)


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


def whole_path() -> list[tuple[str, float]]:
    """Store and load of 64 MiB from orders to end, as ratios to a plain memcpy beside each: medians."""
    count = SAMPLE_BYTES // LARGE.page
    bench = Bench(LARGE, "sync", capacity=_UNTIMED_ROUNDS * SAMPLE_BYTES)
    ends = device_memory(SAMPLE_BYTES), device_memory(SAMPLE_BYTES)
    order = np.random.default_rng(1)
    ratios: dict[str, list[float]] = {"store": [], "load": []}

    def memcpy() -> float:
        start = time.perf_counter()
        ctypes.memmove(ends[1].ctypes.data, ends[0].ctypes.data, SAMPLE_BYTES)
        return time.perf_counter() - start

    for number in range(_UNTIMED_ROUNDS + _TIMED_ROUNDS):
        blocks = order.permutation(LARGE.blocks)[: count + 1].tolist()
        stored = bench.store(Request(f"store-{number}", count, number), blocks)
        between = memcpy()
        loaded = bench.load(Request(f"load-{number}", count, number), blocks[::-1])
        if number >= _UNTIMED_ROUNDS:
            ratios["store"].append(between / stored)
            ratios["load"].append(memcpy() / loaded)
    bench.close()
    return [(name, statistics.median(values)) for name, values in ratios.items()]


def transfer_rows() -> dict[str, float]:
    """The same pages copied by `roost bench transfer`, ratios to memcpy; empty where the program is not installed."""
    program = Path(roost.__file__).with_name("roost-program")
    if not program.exists():
        return {}
    done = subprocess.run([program, "bench", "transfer", "--json"], capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout)
    rows = rows.get("results", rows) if isinstance(rows, dict) else rows
    return {row["name"].split("/")[0]: row["ratio"] for row in rows if row["name"] in ("store/64KiB", "load/64KiB")}


def main() -> None:
    gc.disable()
    bench = Bench(SMALL, "async", capacity=2 * SMALL.blocks * SMALL.page)
    rows: list[tuple[str, float, float]] = []
    rows.append(("a step with nothing to do, both halves", timed(lambda _: bench.step(), 2000), 20))

    stored = Request("stored", 4096, 1)
    bench.store(stored, list(range(4096)))
    for lives in (0, 64):
        for number in range(lives):
            request = Request(f"running-{number}", 4, 1000 + number)
            bench.scheduler.allocated(request, [[0, 0, 0, 0, 0]], 0)
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
    bench.close()

    transfers = transfer_rows()
    print(f"\n{'64 MiB in pages of 32 x 64 KiB, ratio to memcpy':<48} {'connector':>9} {'roost bench':>12}")
    for name, ratio in whole_path():
        beside = transfers.get(name)
        print(f"{name:<48} {ratio:>9.2f} {'-' if beside is None else f'{beside:.2f}':>12}")
    sys.exit(1 if missed and "--strict" in sys.argv else 0)


if __name__ == "__main__":
    main()
