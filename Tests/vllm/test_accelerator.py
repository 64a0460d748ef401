"""The whole connector under vLLM's own scheduler, with the KV cache on a simulated accelerator (`test_scheduler.py` has it
in the host's memory).

The host cannot touch the pages: the runner computes by copies, the connector copies with the device `cuda:0`, behind a
stream as a model's. Now and then the driver refuses a copy. Nothing is a stand-in but torch's tensors and the hardware.

    python test_accelerator.py [SEED]
"""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "PythonTests"))

import test_scheduler as scheduler  # noqa: E402  first: it prepares the process for vLLM
from accelerator import DeviceTensor, Driver, Memory  # noqa: E402
from recording import JUNK  # noqa: E402
from roost.vllm.accelerator import Following  # noqa: E402

import numpy as np  # noqa: E402  isort: skip

ITEM = 4
PAGE_BYTES = scheduler.BLOCK * scheduler.CONTENT * ITEM
REFUSAL = 1
COPIES = ("cuMemcpyAsync", "cuMemcpyBatchAsync_v2", "cuLaunchKernel")


class Cache(DeviceTensor):
    """A KV cache on the accelerator, to read and write by tokens and by blocks."""

    @classmethod
    def of(cls, memory: Memory) -> Cache:
        sizes = {"L": 1, "B": scheduler.BLOCKS, "H": 1, "N": scheduler.BLOCK, "C": scheduler.CONTENT}
        (cache,) = cls.layers(memory, "LBHNC", sizes, ITEM).values()
        return cache

    def numpy(self) -> Cache:
        return self

    def __getitem__(self, place: tuple) -> np.ndarray:
        return self._memory.gather(self._offsets(place), scheduler.CONTENT * ITEM).view(np.int32)

    def __setitem__(self, place: tuple, values: np.ndarray) -> None:
        self._memory.scatter(self._offsets(place), np.repeat(values.astype(np.int32), scheduler.CONTENT, axis=1))

    def _offsets(self, place: tuple) -> np.ndarray:
        blocks, _, tokens, _ = place
        return (blocks * scheduler.BLOCK + tokens) * scheduler.CONTENT * ITEM


class Refused(scheduler.Flaky):
    """Watches pages on the accelerator, and has the driver refuse copies."""

    def __init__(self, core: Any, groups: int, memory: Memory, driver: Driver, source: Any):
        super().__init__(core, [[]] * groups, source)
        self._memory = memory
        self._driver = driver
        self.refused = 0

    def follow(self, stream: int | None) -> None:
        self._core.follow(stream)

    def page(self, group: int, block: int) -> bytes:
        return self._memory.gather(np.array([block * PAGE_BYTES]), PAGE_BYTES).tobytes()

    def overwrite(self, group: int, block: int) -> None:
        self._memory.scatter(np.array([block * PAGE_BYTES]), np.full((1, PAGE_BYTES), JUNK, np.uint8))

    def _begin(self, job: int, verb: int, *arguments: Any) -> None:
        super()._begin(job, verb, *arguments)
        if self._source.random() < 0.05:
            # The next copy, whoever makes it: the runner tries again.
            self._driver.control("reset=1;" + ";".join(f"fail={symbol}:1:{REFUSAL}" for symbol in COPIES))

    def _seen(self, result: tuple) -> tuple:
        self.refused += result[1] == 1 and result[0] not in self._failed
        return super()._seen(result)


class LivesOnAccelerator(scheduler.Lives):
    SETTINGS = {"device": "cuda"}

    def __init__(self, *arguments: Any):
        self.folder = tempfile.TemporaryDirectory()
        self.driver = Driver(Path(self.folder.name))
        super().__init__(*arguments)
        self.stream = self.driver.foreign_stream(0)
        self.worker.worker_side._following = Following(lambda: self.stream.handle)

    def make_memory(self) -> Cache:
        self.pages = Memory("cuda:0", scheduler.BLOCKS * PAGE_BYTES)
        self.pages.write(np.zeros(self.pages.byte_count, np.uint8))
        return Cache.of(self.pages)

    def watch(self, core: Any, groups: int) -> Refused:
        return Refused(core, groups, self.pages, self.driver, self.random)

    def check(self, request: Any, text: Any) -> None:
        # The stream has something to do now and then: in block 0, which vLLM gives to nobody.
        self.stream.fill(self.pages.address, 0, 0x10)
        super().check(request, text)


class VllmsSchedulerOnAccelerator(scheduler.VllmsScheduler):
    LIVES = LivesOnAccelerator
    REQUESTS = 60
    PREEMPTS = False


if __name__ == "__main__":
    unittest.main(verbosity=2)
