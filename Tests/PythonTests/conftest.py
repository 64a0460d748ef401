"""What the tests of the Python package share: an engine over a small pool, and a device that is a numpy array."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import roost

LAYERS = 3
RUN_BYTES = 2048
PAGE_BYTES = LAYERS * RUN_BYTES
TOKENS = 16


class Device:
    """A KV cache of one tensor a layer, in this process's memory."""

    def __init__(self, blocks: int = 64, seed: int = 1, layers: int = LAYERS) -> None:
        self.blocks = blocks
        self.memory = np.random.default_rng(seed).integers(0, 256, (layers, blocks, RUN_BYTES), dtype=np.uint8)
        layer_bytes = blocks * RUN_BYTES
        self.regions = [(self.memory.ctypes.data, self.memory.nbytes)]
        self.parts = [(0, layer * layer_bytes, RUN_BYTES, RUN_BYTES, layer * RUN_BYTES) for layer in range(layers)]

    def pages(self, numbers: list[int]) -> np.ndarray:
        return self.memory[:, numbers].copy()


class Cache:
    """An engine with one group, and what tests do with it again and again."""

    def __init__(self, slots: int = 64, **options: object) -> None:
        self.config = {
            "groups": [{"page_bytes": PAGE_BYTES, "tokens_per_block": TOKENS}],
            "capacity": slots * PAGE_BYTES,
            **options,
        }
        self.engine = roost.Engine(json.dumps(self.config))
        assert self.engine.wait_ready(10)
        self.identity = self.engine.intern([("weights", b"a model"), ("tokens_per_block", b"16")])

    def hashes(self, blocks: int, seed: int = 0) -> bytes:
        tokens = np.random.default_rng(seed).integers(0, 32000, blocks * TOKENS, dtype=np.uint32)
        return roost.hash_tokens(tokens, TOKENS)

    def match(self, hashes: bytes) -> int:
        return self.engine.match(self.identity, hashes, 32)

    def begin_store(self, request: int, hashes: bytes) -> tuple[int, np.ndarray]:
        out = np.zeros((len(hashes) // 32, 3), dtype=np.uint32)
        return self.engine.begin_store(request, self.identity, hashes, 32, 0, out), out

    def begin_load(self, request: int, hashes: bytes) -> tuple[int, np.ndarray]:
        out = np.zeros((len(hashes) // 32, 3), dtype=np.uint32)
        return self.engine.begin_load(request, self.identity, hashes, 32, 0, out), out

    def attach(self, device: Device, shard: int = 0, shards: int = 1) -> roost.Worker:
        worker = roost.Worker(self.engine.address)
        worker.register(0, shard, shards, device.regions, device.parts, device.blocks)
        return worker

    def ended(self, count: int = 1) -> list[tuple]:
        """Waits for the ends of so many leases."""
        found: list[tuple] = []
        eventually(lambda: found.extend(self.engine.poll()) or len(found) >= count)
        return found

    def store(self, worker: roost.Worker, request: int, hashes: bytes, blocks: list[int]) -> tuple:
        """Stores device blocks under hashes, and waits until they can be found."""
        lease, out = self.begin_store(request, hashes)
        self.engine.hand_out(lease, 1)
        submit(worker, request, roost.STORE, lease, blocks, out)
        (end,) = self.ended()
        return end

    def load(self, worker: roost.Worker, request: int, hashes: bytes, blocks: list[int]) -> tuple:
        lease, out = self.begin_load(request, hashes)
        self.engine.hand_out(lease, 1)
        submit(worker, request, roost.LOAD, lease, blocks, out)
        return worker.wait(request, 10)

    def check(self) -> None:
        """The sums that hold whatever happened."""
        stats = self.engine.stats()
        assert stats["hits"] + stats["misses"] == stats["lookups"]
        assert stats["allocated"] + stats["free"] == stats["capacity"]
        assert stats["held"] + stats["admitted"] + stats["refused"] == stats["offered"]
        gone = stats["evicted"] + stats["retired"] + stats["aborted"]
        assert stats["admitted"] + stats["adopted"] == gone + stats["resident"]


def submit(worker: roost.Worker, job: int, verb: int, lease: int, blocks: list[int], out: np.ndarray) -> None:
    worker.submit(job, verb, 0, lease, np.array(blocks, dtype=np.int32), np.ascontiguousarray(out[:, :2]))


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits for what another thread or process is about to do. The time is a bound, not a measurement."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache()
    yield made
    made.check()
    made.engine.close(1)
