"""What the connector itself costs on vLLM's hot path, apart from copies: medians, against this session's targets.

    make bench-vllm

Drives `RoostConnector`'s two halves with the real engine, as vLLM's scheduler and worker do, without a model.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
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
from roost.vllm.jobs import LOAD, PoolTicket
from roost.vllm.pages import DevicePages, LayerPage, LayerSlot, SlotLayout, WorkerPages
from roost.vllm.scheduler import SchedulerSide
from roost.vllm.worker import WorkerSide

BLOCK = 16
SAMPLE_BYTES = 64 << 20
# The pool holds as many samples: these rounds touch its memory for the first time and do not count.
_UNTIMED_ROUNDS = 16
_TIMED_ROUNDS = 41
# Processes of each kind that the whole path is measured in.
_TURNS = 3
_SUBMIT_ROUNDS = 9


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


def own_memory(byte_count: int) -> np.ndarray:
    """Memory that has been touched, in huge pages as the CPU device allocates it."""
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
        self.memory = own_memory(shape.blocks * shape.page)
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
        """Loads a prompt that is stored; seconds from the match to the end of the copies. It has arrived before, as in
        vLLM, which tells of a request when it comes and matches it in a later step."""
        self.scheduler.arrived(request)
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


def whole_path() -> dict[str, float]:
    """Store and load of 64 MiB in pages of `LARGE`, from orders to end: medians in GB/s."""
    count = SAMPLE_BYTES // LARGE.page
    bench = Bench(LARGE, "sync", capacity=_UNTIMED_ROUNDS * SAMPLE_BYTES)
    other = own_memory(2 * SAMPLE_BYTES)
    order = np.random.default_rng(1)
    seconds: dict[str, list[float]] = {"store": [], "load": []}

    def forget() -> None:
        """Drives everything out of the caches: a sample begins as after a model's step."""
        other[:SAMPLE_BYTES] = other[SAMPLE_BYTES:]

    for number in range(_UNTIMED_ROUNDS + _TIMED_ROUNDS):
        blocks = order.permutation(LARGE.blocks)[: count + 1].tolist()
        requests = [Request(f"{verb}-{number}", count, number) for verb in seconds]
        forget()
        stored = bench.store(requests[0], blocks)
        forget()
        loaded = bench.load(requests[1], blocks[::-1])
        if number >= _UNTIMED_ROUNDS:
            seconds["store"].append(stored)
            seconds["load"].append(loaded)
    bench.close()
    return {name: SAMPLE_BYTES / statistics.median(samples) / 1e9 for name, samples in seconds.items()}


def submissions(bench: Bench, stored: Request, awaited: bool) -> float:
    """Median microseconds of a submit of 512 blocks, alone."""
    keys = b"".join(stored.block_hashes[:512])
    identity = bench.engine.intern([("weights", b"bench")])
    core = bench.worker._core
    samples = []
    for _ in range(200):
        lease, blocks, slots, _ = bench.engine.begin_copies(LOAD, 1, identity, keys, 32, 0, list(range(512)), 1)
        start = time.perf_counter()
        core.submit(lease, 1, 0, lease, blocks, slots, awaited)
        samples.append(time.perf_counter() - start)
        core.wait(lease, 10.0)
        bench.engine.poll()
    return statistics.median(samples) * 1e6


def wake() -> float:
    """Median microseconds of waking somebody who sleeps: what handing work over costs at least."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as sleeper:
        file = sleeper.stdin.fileno()
        samples = []
        for _ in range(200):
            # Until it has gone to sleep again.
            time.sleep(0.002)
            start = time.perf_counter()
            os.write(file, b"x")
            samples.append(time.perf_counter() - start)
        sleeper.stdin.close()
    return statistics.median(samples) * 1e6


def transfers() -> dict[str, float] | None:
    """The same pages copied by `roost bench transfer`, GB/s; None where the program is not installed."""
    program = Path(roost.__file__).with_name("roost-program")
    if not program.exists():
        return None
    done = subprocess.run([program, "bench", "transfer", "--json"], capture_output=True, text=True, check=True)
    rows = {row["name"]: row["median"] for row in json.loads(done.stdout)["results"]}
    return {verb: rows[f"{verb}/64KiB"] for verb in ("store", "load")}


def print_whole_path() -> None:
    """In turns, each in a process of its own: where memory lies differs from process to process, by a third."""
    turns: list[tuple[dict[str, float], dict[str, float] | None]] = []
    for _ in range(_TURNS):
        beside = transfers()
        own = subprocess.run([sys.executable, __file__, "--copies"], capture_output=True, text=True, check=True)
        turns.append((json.loads(own.stdout), beside))
    print(f"\n{'64 MiB in pages of 32 x 64 KiB, GB/s':<42} {'connector':>10} {'roost bench':>12} {'ratio':>6}")
    for verb in ("store", "load"):
        own = statistics.median(connector[verb] for connector, _ in turns)
        line = f"{verb + f', median of {_TURNS} processes':<42} {own:>10.1f}"
        if all(beside is not None for _, beside in turns):
            transfer = statistics.median(beside[verb] for _, beside in turns if beside is not None)
            line += f" {transfer:>12.1f} {own / transfer:>6.2f}"
        print(line)


def main() -> None:
    gc.disable()
    if "--copies" in sys.argv:
        print(json.dumps(whole_path()))
        return
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

    for name, awaited in (("submit of 512 blocks that the step waits for", True), ("... that another thread starts", False)):
        # Which processor the thread sleeps on stays the same for a while, and makes a factor of three.
        rounds = [submissions(bench, stored, awaited) for _ in range(_SUBMIT_ROUNDS)]
        rows.append((name, statistics.median(rounds), 15))
    asleep = wake()

    print(f"{'median of what the connector costs':<46} {'us':>8} {'target':>8}")
    missed = False
    for name, value, target in rows:
        missed |= value > target
        print(f"{name:<46} {value:>8.1f} {target:>8.0f}{'  MISSED' if value > target else ''}")
    print(f"{'waking a sleeping process, beside it':<46} {asleep:>8.1f}")
    bench.close()

    print_whole_path()
    sys.exit(1 if missed and "--strict" in sys.argv else 0)


if __name__ == "__main__":
    main()
