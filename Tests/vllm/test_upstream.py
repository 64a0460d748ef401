"""vLLM's own tests of its OffloadingConnector, with Roost behind it.

    python test_upstream.py FOLDER [PYTEST-OPTION...]

FOLDER is what `Tools/setup-vllm-tests` prints. The tests script what an OffloadingManager answers, and look at which
blocks vLLM moves. Here RoostOffloadingSpec stands beside that script: what a test says is stored, Roost stores; what it
says is found, Roost has to find; and the bytes of every page that is moved are compared.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import host as hosts

hosts.prepare(in_process=True)

FOLDER = Path(sys.argv[1])
sys.path.insert(0, str(FOLDER))
MODEL = str(Path(os.environ["ROOST_TEST_MODELS"]) / "llama")
FIND_SECONDS = 20.0
SUITES = ["tests/v1/kv_connector/unit/offloading_connector", "tests/v1/kv_offload/test_factory.py"]

import pytest  # noqa: E402
import torch  # noqa: E402
from tests.v1.kv_connector.unit import utils as unit  # noqa: E402
from tests.v1.kv_connector.unit.offloading_connector import utils as suite  # noqa: E402
from vllm.v1.kv_offload.base import GPULoadStoreSpec, LookupResult, get_offload_group_idx  # noqa: E402

from roost.vllm.offloading import RoostOffloadingSpec  # noqa: E402

# The model that the tests name is not here.
unit.create_vllm_config.__defaults__ = (MODEL, *unit.create_vllm_config.__defaults__[1:])


class Count:
    """What Roost had a part in."""

    tests: set[str] = set()
    stored = 0
    loaded = 0


class Beside:
    """A test's manager, with Roost's beside it. vLLM's scheduler holds this one."""

    def __init__(self, scripted: Any, real: Any):
        self.scripted = scripted
        self.real = real
        self.stored: set[bytes] = set()
        self.offered: set[bytes] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.scripted, name)

    def on_new_request(self, context: Any) -> Any:
        self.real.on_new_request(context)
        return self.scripted.on_new_request(context)

    def on_request_finished(self, context: Any) -> None:
        self.real.on_request_finished(context)
        self.scripted.on_request_finished(context)

    def on_schedule_end(self, context: Any) -> None:
        self.real.on_schedule_end(context)
        self.scripted.on_schedule_end(context)

    def lookup(self, key: Any, context: Any) -> Any:
        result = self.scripted.lookup(key, context)
        if result is LookupResult.HIT and key in self.stored:
            self._find(key, context)
        return result

    def prepare_store(self, keys: Any, context: Any) -> Any:
        output = self.scripted.prepare_store(keys, context)
        if output is not None and output.keys_to_store:
            real = self.real.prepare_store(output.keys_to_store, context)
            output.store_spec.real, output.store_spec.admitted = real.store_spec, set(real.keys_to_store)
            assert set(output.keys_to_store) <= self.offered.union(real.keys_to_store), "Roost has no room"
            self.offered.update(output.keys_to_store)
        return output

    def complete_store(self, keys: Any, context: Any, *success: bool) -> None:
        self.real.complete_store(keys, context, *success)
        self.stored.update(keys)
        self.scripted.complete_store(keys, context, *success)

    def prepare_load(self, keys: Any, context: Any) -> Any:
        keys = list(keys)
        spec = self.scripted.prepare_load(keys, context)
        if self.stored.issuperset(keys):
            for key in keys:
                self._find(key, context)
            spec.real = self.real.prepare_load(keys, context)
        return spec

    def complete_load(self, keys: Any, context: Any) -> None:
        self.real.complete_load(keys, context)
        self.scripted.complete_load(keys, context)

    def reset_cache(self) -> None:
        self.stored.clear()
        self.offered.clear()
        self.real.reset_cache()
        self.scripted.reset_cache()

    def _find(self, key: Any, context: Any) -> None:
        deadline = time.monotonic() + FIND_SECONDS
        while (found := self.real.lookup(key, context)) is LookupResult.HIT_PENDING and time.monotonic() < deadline:
            time.sleep(0.001)
        assert found is LookupResult.HIT, f"Roost has not got {key.hex()}, which was stored: {found}"


class Copying(suite.MockOffloadingWorker):
    """A test's worker; when a job is over, its pages have been copied."""

    copies: Any = None
    caches: Any = None
    chunk_blocks = 1

    def complete_jobs(self, job_ids: set[int]) -> None:
        for job_id in job_ids & self.waiting_jobs if self.copies is not None else ():
            source, target = self.transfer_specs[job_id]
            if isinstance(source, GPULoadStoreSpec):
                self._store(job_id, source, target)
            else:
                self._load(job_id, source, target)
        super().complete_jobs(job_ids)

    def _store(self, job_id: int, source: GPULoadStoreSpec, target: Any) -> None:
        if not getattr(target, "admitted", None):
            return
        rows = [row for row in self._rows(target.offload_keys, source) if row[1] in target.admitted]
        sizes = [0] * len(source.group_sizes)
        for group, key, place, block in rows:
            sizes[group] += 1
            for page, content in self._pages(group, key, place, block):
                page.copy_(content)
        chosen = GPULoadStoreSpec([row[3] for row in rows], sizes, [0] * len(sizes))
        self.copies.submit_store(job_id, chosen, target.real)
        self._finish(job_id)
        Count.stored += len(rows)
        Count.tests.add(os.environ["PYTEST_CURRENT_TEST"].split(" ")[0])

    def _load(self, job_id: int, source: Any, target: GPULoadStoreSpec) -> None:
        if not hasattr(source, "real"):
            return
        rows = self._rows(source.offload_keys, target)
        for group, key, place, block in rows:
            for page, _ in self._pages(group, key, place, block):
                page.fill_(0x55)
        self.copies.submit_load(job_id, source.real, target)
        self._finish(job_id)
        for group, key, place, block in rows:
            for page, content in self._pages(group, key, place, block):
                assert torch.equal(page, content), f"block {block} is not what was stored under {key.hex()}"
        Count.loaded += len(rows)

    def _finish(self, job_id: int) -> None:
        self.copies.wait({job_id})
        assert [(result.job_id, result.success) for result in self.copies.get_finished()] == [(job_id, True)]

    def _rows(self, keys: list, where: GPULoadStoreSpec) -> list[tuple[int, bytes, int, int]]:
        """Group, key, number in its chunk, and device block, of all blocks of a job."""
        rows, first = [], 0
        numbers = [spec.group_id for spec in self.groups]
        for group, (size, index) in enumerate(zip(where.group_sizes, where.block_indices)):
            own = [key for key in keys if get_offload_group_idx(key) == numbers[group]]
            skipped = index % self.chunk_blocks
            for place in range(size):
                chunk, inside = divmod(skipped + place, self.chunk_blocks)
                rows.append((group, own[chunk], inside, int(where.block_ids[first + place])))
            first += size
        return rows

    def _pages(self, group: int, key: bytes, place: int, block: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """The pieces of a device block, and what is to be in them."""
        pieces = []
        for ref in self.caches.group_data_refs[group]:
            page = self.caches.tensors[ref.tensor_idx].tensor[block][: ref.page_size_bytes]
            seed = hashlib.blake2b(key + bytes([place, ref.tensor_idx])).digest()
            content = (seed * (len(page) // len(seed) + 1))[: len(page)]
            pieces.append((page, torch.frombuffer(bytearray(content), dtype=torch.int8)))
        return pieces


def _with_caches(spec: Any, caches: Any) -> Any:
    spec.handler.caches = caches
    return spec.handler


def _put_beside(make: Any) -> Any:
    """A test's engine, made as always; then Roost is put beside its script."""

    @functools.wraps(make)
    def made(runner: Any, *values: Any, **names: Any) -> None:
        make(runner, *values, **names)
        config = runner.offloading_spec.config
        # The tests have one worker, and pretend others.
        parallel = dataclasses.replace(config.parallel, world_size=1, rank=0)
        own = {"capacity": "16MiB", "policy": "lru"}
        spec = RoostOffloadingSpec(dataclasses.replace(config, extra_config=own, parallel=parallel))
        worker = runner.offloading_spec.handler
        real = spec.get_manager()
        assert real._engine.wait_ready(FIND_SECONDS)
        copies = spec.get_worker(worker.caches)
        RUNNING.append((real, copies))
        worker.copies, worker.groups, worker.chunk_blocks = copies, config.groups, config.cache.blocks_per_chunk
        runner.connector_scheduler.manager = Beside(runner.manager, real)

    return made


RUNNING: list[tuple[Any, Any]] = []
suite.MockOffloadingWorker = Copying
suite.MockOffloadingSpec.get_worker = _with_caches
suite.RequestRunner.__init__ = _put_beside(suite.RequestRunner.__init__)


class Closing:
    """After each test its engines go."""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_teardown(self, item: Any) -> None:
        while RUNNING:
            real, copies = RUNNING.pop()
            copies.shutdown()
            real.shutdown()


def main() -> int:
    os.chdir(FOLDER)
    options = ["-p", "no:cacheprovider", "-q", "--tb=short", "--disable-warnings", f"--rootdir={FOLDER}"]
    code = pytest.main([*options, *(sys.argv[2:] or SUITES)], plugins=[Closing()])
    moved = f"{Count.stored} pages stored, {Count.loaded} loaded and compared"
    print(f"Roost stood behind {len(Count.tests)} tests: {moved}")
    if code == 0 and not sys.argv[2:] and not (Count.tests and Count.loaded):
        print("it compared nothing: the suite has changed")
        return 1
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
