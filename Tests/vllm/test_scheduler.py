"""The connector under vLLM's own scheduler, without a model.

Thousands of requests come, load, compute, are preempted, aborted and reset at random, with copies that are late or
fail. Nothing may leak, hang, or be another's.

    python test_scheduler.py [SEED]
"""

from __future__ import annotations

import os
import random
import sys
import time
import unittest
from pathlib import Path
from typing import Any

import host as hosts

hosts.prepare(in_process=True)

import torch  # noqa: E402
from model_run import Runner, Text  # noqa: E402
from recording import STORE, RecordingWorker  # noqa: E402
from vllm import SamplingParams  # noqa: E402
from vllm.config import KVTransferConfig, set_current_vllm_config  # noqa: E402
from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory  # noqa: E402
from vllm.distributed.kv_transfer.kv_connector.v1 import KVConnectorRole  # noqa: E402
from vllm.distributed.parallel_state import (  # noqa: E402
    init_distributed_environment,
    initialize_model_parallel,
)
from vllm.engine.arg_utils import EngineArgs  # noqa: E402
from vllm.utils.hashing import sha256  # noqa: E402
from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash  # noqa: E402
from vllm.v1.kv_cache_interface import (  # noqa: E402
    FullAttentionSpec,
    KVCacheConfig,
    KVCacheGroupSpec,
    SlidingWindowSpec,
)
from vllm.v1.request import Request, RequestStatus  # noqa: E402
from vllm.v1.structured_output import StructuredOutputManager  # noqa: E402

SEED = int(sys.argv.pop()) if len(sys.argv) > 1 and sys.argv[-1].isdigit() else 71
MODELS = Path(os.environ["ROOST_TEST_MODELS"])
BLOCK, WINDOW, CONTENT = 32, 80, 32
BLOCKS = 44
"""Device blocks: a few requests fill them, so that vLLM preempts."""
POOL = "1MiB"
"""256 pages: the pool evicts all the time."""
REQUESTS = 1500
STEPS_WITHOUT_PROGRESS_MAX = 3_000


class Flaky(RecordingWorker):
    """Some loads fail in places, some are reported late, and some stores begin late."""

    def __init__(self, core: Any, tensors: list[list[Any]], source: random.Random):
        super().__init__(core, tensors)
        self._source = source
        self.failed = 0
        self._later: list[tuple] = []

    def submit(self, job: int, verb: int, *arguments: Any) -> None:
        if verb == STORE and self._source.random() < 0.5:
            self._later.append((job, verb, *arguments))
        else:
            self._begin(job, verb, *arguments)

    def _begin(self, job: int, verb: int, *arguments: Any) -> None:
        self.fail_positions = (self._source.randrange(4),) if self._source.random() < 0.05 else ()
        self.failed += bool(self.fail_positions and verb)
        super().submit(job, verb, *arguments)

    def poll(self, limit: int = 256) -> list[tuple]:
        self.holds_loads = self._source.random() < 0.3
        if self._source.random() < 0.3:
            self._begin_late()
        return super().poll(limit)

    def wait(self, job: int, timeout: float) -> tuple:
        self.holds_loads = False
        self._begin_late()
        return super().wait(job, timeout)

    def _begin_late(self) -> None:
        later, self._later = self._later, []
        for arguments in later:
            self._begin(*arguments)


class Lives:
    """A scheduler, a worker, and what happens to requests."""

    SETTINGS: dict[str, Any] = {}
    """More of Roost's."""

    def __init__(self, seed: int, windows: bool, is_async: bool):
        self.random = random.Random(seed)
        self.config = self._vllm_config(is_async)
        groups = [KVCacheGroupSpec(["layers.0"], self._spec(FullAttentionSpec))]
        if windows:
            groups.append(KVCacheGroupSpec(["layers.1"], self._spec(SlidingWindowSpec, sliding_window=WINDOW)))
        self.cache = KVCacheConfig(BLOCKS, [], groups, hash_block_size=BLOCK)
        self.cache.prefix_cache_retention_interval = 0
        scheduler = self.config.scheduler_config.get_scheduler_cls()
        self.scheduler = scheduler(
            self.config, self.cache, StructuredOutputManager(self.config), block_size=BLOCK, hash_block_size=BLOCK
        )
        worker = KVConnectorFactory.create_connector(self.config, KVConnectorRole.WORKER, self.cache)
        self.memory = self.make_memory()
        worker.register_kv_caches({f"layers.{number}": self.memory for number in range(len(groups))})
        self.connector = self.scheduler.connector
        self.connector.set_xfer_handshake_metadata_pp_aware({(0, 0): worker.get_handshake_metadata()})
        self.worker = worker
        attach = worker.worker_side._open_worker
        worker.worker_side._open_worker = lambda ticket: self.watch(attach(ticket), len(groups))
        self.runner = Runner(worker, self.connector._groups, self.memory.numpy())
        self.hasher = get_request_block_hasher(BLOCK, sha256)
        self.flying: list[Any] = []
        self.depth = 2 if is_async else 1
        self.live: dict[str, tuple[Request, Text]] = {}
        self.roots = [[self.random.randrange(300, 2000) for _ in range(400)] for _ in range(5)]
        self.finished = self.aborted = self.resets = self.came = self.preempted = 0

    def make_memory(self) -> Any:
        """The KV cache, seen as [block, head, token, content]; all groups share it."""
        return torch.zeros((BLOCKS, 1, BLOCK, CONTENT), dtype=torch.int32)

    def watch(self, core: Any, groups: int) -> Flaky:
        return Flaky(core, [[self.memory]] * groups, self.random)

    def _vllm_config(self, is_async: bool) -> Any:
        # A reset waits for copies, some of which this very thread has yet to order: it shall give up soon.
        mode = self.random.choice(["sync", "async", "auto"])
        # vLLM does not overlap steps on a CPU, and says so in its configuration; where it does, the connector loads
        # asynchronously whatever is asked for, because the next step is planned before a failed load is heard of.
        settings = {"capacity": POOL, "load": "async" if is_async else mode, "drain_timeout": 0.02, **self.SETTINGS}
        transfer = KVTransferConfig(
            kv_connector="RoostConnector", kv_connector_module_path="roost.vllm", kv_role="kv_both",
            kv_connector_extra_config=settings,
        )  # fmt: skip
        arguments = EngineArgs(
            model=str(MODELS / "llama"), dtype="float32", max_model_len=1024, block_size=BLOCK, max_num_seqs=8,
            max_num_batched_tokens=256, enable_prefix_caching=True, async_scheduling=is_async,
            kv_transfer_config=transfer,
        )  # fmt: skip
        config = arguments.create_engine_config()
        config.cache_config.num_gpu_blocks = BLOCKS
        return config

    def _spec(self, kind: type, **more: Any) -> Any:
        return kind(block_size=BLOCK, num_kv_heads=1, head_size=CONTENT // 2, dtype=torch.int32, **more)

    def run(self, requests: int) -> None:
        idle, is_lull = 0, False
        while self.came < requests or self.live or self.scheduler.has_requests() or self.flying:
            # In a lull nobody comes until all have gone: vLLM empties its cache only then.
            is_lull = is_lull and bool(self.live) or self.random.random() < 0.002
            if self.came < requests and len(self.live) < 12 and not is_lull and self.random.random() < 0.5:
                self.arrive()
            if self.live and self.random.random() < 0.04:
                self.abort(self.random.choice(sorted(self.live)))
            if self.random.random() < (0.01 if self.live else 0.3):
                self.resets += self.scheduler.reset_prefix_cache(reset_connector=self.random.random() < 0.5)
            idle = 0 if self.step() else idle + 1
            if idle > STEPS_WITHOUT_PROGRESS_MAX:
                states = [f"{name} {request.status.name}" for name, request in self.scheduler.requests.items()]
                raise AssertionError(f"hangs with {', '.join(states)}; {len(self.flying)} steps in flight")
            if idle:
                time.sleep(0.0002)

    def arrive(self) -> None:
        name = f"r{self.came}"
        self.came += 1
        root = self.random.choice(self.roots)[: self.random.randrange(1, 400)]
        tail = [self.random.randrange(300, 2000) for _ in range(self.random.randrange(0, 150))]
        text = Text(root + tail)
        sampling = SamplingParams(temperature=0, max_tokens=self.random.randrange(1, 60), ignore_eos=True)
        sampling.update_from_generation_config({}, None)
        request = Request(name, list(text.tokens), sampling, None, block_hasher=self.hasher)
        self.runner.add(name, text)
        self.live[name] = (request, text)
        self.scheduler.add_request(request)

    def abort(self, name: str) -> None:
        self.live.pop(name)
        self.scheduler.finish_requests(name, RequestStatus.FINISHED_ABORTED)
        self.aborted += 1

    def step(self) -> bool:
        """Plans a step, and computes the oldest that was planned. Whether anything moved."""
        if self.scheduler.has_requests():
            self.flying.append(self.scheduler.schedule())
        if not self.flying or len(self.flying) < self.depth and self.scheduler.has_requests():
            return False
        output = self.flying.pop(0)
        self.scheduler.update_from_output(output, self.runner.run(output))
        for name, (request, text) in list(self.live.items()):
            if request.is_finished():
                del self.live[name]
                self.finished += 1
                self.preempted += request.num_preemptions
                self.check(request, text)
        return output.total_num_scheduled_tokens > 0

    def check(self, request: Request, text: Text) -> None:
        made = list(request.output_token_ids)
        text.values(request.num_prompt_tokens + len(made) + 1)
        expected = text.tokens[request.num_prompt_tokens : request.num_prompt_tokens + len(made)]
        if made != expected or len(made) != request.max_tokens:
            self.runner.wrong.append(f"{request.request_id} ended with {request.status} and wrong tokens")


def set_up() -> None:
    """What vLLM wants to have been done in a process before it makes a connector."""
    print(f"seed {SEED}", flush=True)
    init_none_hash(sha256)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="0")
    method = f"file://{Path(os.environ['ROOST_TEST_MODELS']).resolve()}/rendezvous-{os.getpid()}"
    with set_current_vllm_config(EngineArgs(model=str(MODELS / "llama")).create_engine_config()):
        init_distributed_environment(1, 0, method, 0, "gloo")
        initialize_model_parallel(1, 1)


class VllmsScheduler(unittest.TestCase):
    LIVES: type[Lives] = Lives
    REQUESTS = REQUESTS
    PREEMPTS = True
    """Whether so many requests make vLLM preempt some of them, whatever the order."""

    @classmethod
    def setUpClass(cls):
        set_up()

    def _live(self, windows: bool, is_async: bool) -> None:
        lives = self.LIVES(SEED * 10 + windows * 2 + is_async, windows, is_async)
        side, core = lives.connector.scheduler_side, lives.worker.worker_side
        lives.run(self.REQUESTS)
        self.assertEqual(lives.runner.wrong, [])
        self.assertEqual(core._core.wrong, [])
        self.assertEqual(lives.finished + lives.aborted, self.REQUESTS)
        deadline = time.monotonic() + 10
        while side.engine.leases() and time.monotonic() < deadline:
            side.collect()
            time.sleep(0.01)
        side.collect()
        self.assertEqual(side.engine.leases(), [])
        left = (side._tracks, side._filling, side._jobs, side._held, side._borrowed)
        self.assertEqual(left, ({}, {}, {}, {}, {}))
        self.assertEqual((core._running, core._releases, core._loading, core._received), ({}, [], {}, set()))
        self.assertEqual(lives.scheduler.kv_cache_manager.block_pool.get_num_free_blocks(), BLOCKS - 1)
        known = side.engine.stats()
        self.assertEqual(known["allocated"] + known["free"], known["capacity"])
        # It happened at all.
        counts = {
            "ended": lives.finished, "aborted": lives.aborted, "resets": lives.resets, "preempted": lives.preempted,
            "failed loads": core._core.failed, "pages loaded": core._core.pages_checked,
            "pages evicted": known["evicted"],
        }  # fmt: skip
        print(counts, flush=True)
        self.assertTrue(lives.finished and lives.aborted and core._core.pages_checked)
        self.assertTrue(lives.preempted or not self.PREEMPTS)
        lives.worker.shutdown()
        lives.connector.shutdown()

    def test_one_group_step_by_step(self):
        self._live(windows=False, is_async=False)

    def test_one_group_with_overlapping_steps(self):
        self._live(windows=False, is_async=True)

    def test_windows_step_by_step(self):
        self._live(windows=True, is_async=False)

    def test_windows_with_overlapping_steps(self):
        self._live(windows=True, is_async=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
