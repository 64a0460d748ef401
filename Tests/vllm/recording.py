"""Watches what a connector copies: remembers the bytes of every page stored, and compares after every load.

Stands between the connector and `roost.Worker`, in the process of the test. Before each load the device pages are
overwritten, so that right bytes afterwards can only come from the pool. It can also make jobs fail, be late or hang.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from roost import RoostError

STORE, LOAD = 0, 1
DONE, PARTLY_FAILED, CANCELLED, LOST = range(4)
JUNK = 0x7B


def arrays(blocks: Any, slots: Any) -> tuple[np.ndarray, np.ndarray]:
    """The device blocks of a job, and slot and generation of each, as numbers."""
    return np.frombuffer(blocks, np.int32), np.frombuffer(slots, np.uint32).reshape(-1, 2)


class RecordingWorker:
    """A `roost.Worker` under observation."""

    def __init__(self, core: Any, tensors: list[list[Any]]):
        """`tensors`: the layers' caches of every group."""
        self._core = core
        self._tensors = tensors
        self._stored: dict[tuple[int, int, int], bytes] = {}
        self._loads: dict[int, tuple[int, np.ndarray, list[tuple[int, int, int]]]] = {}
        self.pages_stored = 0
        self.pages_checked = 0
        self.loaded: list[tuple[int, int]] = []
        """Group and number of pages of every load."""
        self.wrong: list[str] = []
        self.ranges: list[int] = []
        """Ranges of divided loads, as they were waited for."""
        self.fail_positions: tuple[int, ...] = ()
        """Positions of the next loads that are not copied, and reported so."""
        self.holds_loads = False
        """The ends of loads are kept back until they are cancelled, or this is unset."""
        self._failed: dict[int, tuple[int, ...]] = {}
        self._kept: dict[int, tuple] = {}
        self._cancelled: set[int] = set()

    def page(self, group: int, block: int) -> bytes:
        """All bytes of a device block, layer by layer."""
        return b"".join(tensor[block].contiguous().view(-1).numpy().tobytes() for tensor in self._tensors[group])

    def overwrite(self, group: int, block: int) -> None:
        for tensor in self._tensors[group]:
            tensor[block].view(-1).fill_(float(JUNK))

    def register(self, *arguments: Any) -> None:
        self._core.register(*arguments)

    def divide(self, *arguments: Any) -> None:
        self._core.divide(*arguments)

    def submit(
        self, job: int, verb: int, group: int, lease: int, blocks: Any, slots: Any, awaited: bool = False
    ) -> None:
        blocks, slots = arrays(blocks, slots)
        pairs = [(group, int(slot), int(generation)) for slot, generation in slots]
        if verb == STORE:
            self.pages_stored += len(blocks)
            for block, pair in zip(blocks, pairs):
                self._stored[pair] = self.page(group, int(block))
        else:
            self.loaded.append((group, len(blocks)))
            for block in blocks:
                self.overwrite(group, int(block))
            if self.fail_positions:
                bad = tuple(position for position in self.fail_positions if position < len(blocks))
                good = np.array([position not in bad for position in range(len(blocks))])
                self._failed[job] = bad
                blocks, slots = blocks[good], np.ascontiguousarray(slots[good])
                pairs = [pair for pair, is_good in zip(pairs, good) if is_good]
            self._loads[job] = (group, blocks.copy(), pairs)
        self._core.submit(job, verb, group, lease, blocks, slots, awaited)

    def _seen(self, result: tuple) -> tuple:
        job, outcome, positions, byte_count, seconds = result
        group, blocks, pairs = self._loads.pop(job, (0, (), ()))
        if outcome == DONE:
            for block, pair in zip(blocks, pairs):
                self.pages_checked += 1
                if pair not in self._stored:
                    continue
                if self.page(group, int(block)) != self._stored[pair]:
                    self.wrong.append(f"block {block} differs from what was stored in slot {pair}")
        if job in self._failed:
            return (job, PARTLY_FAILED, self._failed.pop(job), byte_count, seconds)
        return result

    def _release(self, result: tuple) -> tuple | None:
        """The result, or None while it is kept back."""
        job = result[0]
        if job not in self._loads:
            return self._seen(result)
        if job in self._cancelled:
            self._loads.pop(job)
            return (job, CANCELLED, (), 0, 0.0)
        if self.holds_loads:
            self._kept[job] = result
            return None
        return self._seen(result)

    def poll(self, limit: int = 256) -> list[tuple]:
        waiting = list(self._kept.values()) + self._core.poll(limit)
        self._kept.clear()
        return [result for result in map(self._release, waiting) if result is not None]

    def wait(self, job: int, timeout: float) -> tuple:
        result = self._kept.pop(job, None) or self._core.wait(job, timeout)
        released = self._release(result)
        if released is None:
            time.sleep(timeout)
            raise RoostError("timedOut", "the test keeps the end of this job back")
        return released

    def wait_range(self, job: int, index: int, timeout: float) -> None:
        self.ranges.append(index)
        if self.holds_loads:
            time.sleep(timeout)
            raise RoostError("timedOut", "the test keeps the end of this job back")
        self._core.wait_range(job, index, timeout)

    def wrong_layer(self, number: int) -> list[str]:
        """What blocks of the loads in flight have in one layer other than what was stored, where that is known."""
        wrong = []
        for group, blocks, pairs in self._loads.values():
            sizes = [tensor[0].numel() * tensor.element_size() for tensor in self._tensors[group]]
            start = sum(sizes[:number])
            for block, pair in zip(blocks, pairs):
                found = self._tensors[group][number][int(block)].contiguous().view(-1).numpy().tobytes()
                if found != self._stored[pair][start : start + sizes[number]]:
                    wrong.append(f"block {block} of layer {number} differs from what was stored in slot {pair}")
        return wrong

    def cancel(self, job: int) -> None:
        self._cancelled.add(job)
        self._core.cancel(job)

    def close(self, timeout: float) -> bool:
        return self._core.close(timeout)
