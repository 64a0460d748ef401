"""What the calls cost from Python: `python -m roost.bench`. Medians and minima in microseconds; needs numpy."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import numpy as np

from . import LOAD, Engine, Layout, Worker, hash_tokens

MATCH_BLOCKS = 4096
SUBMIT_BLOCKS = 512
PAGE_BYTES = 4096
DESCRIPTOR_SHAPE = (100, 1000)


def measure(call: Callable[[], object], rounds: int = 300) -> tuple[float, float]:
    """Median and minimum of one call."""
    samples = []
    for _ in range(rounds):
        start = time.perf_counter_ns()
        call()
        samples.append(time.perf_counter_ns() - start)
    return statistics.median(samples) / 1e3, min(samples) / 1e3


def submissions(engine: Engine, worker: Worker, identity: int, hashes: bytes, awaited: bool) -> tuple[float, float]:
    """Submits loads of `SUBMIT_BLOCKS` pages, one at a time; only the call is measured."""
    out = np.zeros((SUBMIT_BLOCKS, 3), dtype=np.uint32)
    blocks = np.arange(SUBMIT_BLOCKS, dtype=np.int32)
    samples = []
    for job in range(300):
        lease = engine.begin_load(job, identity, hashes, 32, 0, out)
        slots = np.ascontiguousarray(out[:, :2])
        start = time.perf_counter_ns()
        worker.submit(job, LOAD, 0, 0, blocks, slots, awaited)
        samples.append(time.perf_counter_ns() - start)
        worker.wait(job, 10)
        engine.end(lease)
    return statistics.median(samples) / 1e3, min(samples) / 1e3


def broadcast() -> np.ndarray:
    """The descriptors of `main` as numpy makes them: what a program without layouts would write."""
    layers, blocks = DESCRIPTOR_SHAPE
    rows = np.empty((layers, blocks, 3), dtype=np.uint64)
    step = np.arange(blocks, dtype=np.uint64) * PAGE_BYTES
    rows[:, :, 0] = (np.arange(layers, dtype=np.uint64) * blocks * PAGE_BYTES)[:, None] + step
    rows[:, :, 1] = PAGE_BYTES
    rows[:, :, 2] = 0
    return rows.reshape(-1, 3)


def main() -> None:
    groups = [{"page_bytes": PAGE_BYTES, "tokens_per_block": 16}]
    engine = Engine(json.dumps({"groups": groups, "capacity": 4 * MATCH_BLOCKS * PAGE_BYTES}))
    engine.wait_ready(10)
    identity = engine.intern([("weights", b"bench")])
    hashes = hash_tokens(np.arange(16 * MATCH_BLOCKS, dtype=np.uint32), 16)
    one_by_one = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
    out = np.zeros((MATCH_BLOCKS, 3), dtype=np.uint32)
    engine.commit(engine.begin_store(1, identity, hashes, 32, 0, out))
    device = np.zeros((SUBMIT_BLOCKS, PAGE_BYTES), dtype=np.uint8)
    worker = Worker(engine.address)
    part = (0, 0, PAGE_BYTES, PAGE_BYTES, 0)
    worker.register(0, 0, 1, [(device.ctypes.data, device.nbytes)], [part], SUBMIT_BLOCKS)

    layout = Layout.from_shape(["layer", "block", "byte"], [*DESCRIPTOR_SHAPE, PAGE_BYTES], 1)
    assert np.array_equal(layout.descriptors("layer", "block"), broadcast())

    submitted = engine, worker, identity, hashes[: 32 * SUBMIT_BLOCKS]
    rows = [
        (f"match of {MATCH_BLOCKS} blocks", measure(lambda: engine.match(identity, hashes, 32))),
        ("  the same, joining the hashes first", measure(lambda: engine.match(identity, b"".join(one_by_one), 32))),
        (f"submit of {SUBMIT_BLOCKS} blocks that are waited for", submissions(*submitted, True)),
        ("  the same, started by another thread", submissions(*submitted, False)),
        ("poll of an engine, nothing there", measure(engine.poll)),
        ("poll of a worker, nothing there", measure(worker.poll)),
        ("statistics", measure(engine.stats)),
        ("descriptors of 100,000 blocks", measure(lambda: layout.descriptors("layer", "block"))),
        ("  the same by a broadcast of numpy's", measure(broadcast)),
    ]
    print(f"{'microseconds':<44}{'median':>10}{'minimum':>10}")
    for name, (median, minimum) in rows:
        print(f"{name:<44}{median:>10.1f}{minimum:>10.1f}")
    worker.close()
    engine.close()


if __name__ == "__main__":
    main()
