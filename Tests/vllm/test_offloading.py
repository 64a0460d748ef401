"""RoostOffloadingSpec under vLLM's own OffloadingConnector: what it brings, what it survives, and what it does not."""

from __future__ import annotations

import os
import unittest
from pathlib import Path

import host as hosts
from running import Run

hosts.prepare(in_process=True)

import numpy as np  # noqa: E402
from vllm.v1.kv_offload.base import GPULoadStoreSpec, TransferResult  # noqa: E402

import roost  # noqa: E402
from roost.vllm.config import ConfigurationError  # noqa: E402
from roost.vllm.jobs import LOAD, STORE  # noqa: E402
from roost.vllm.offloading import _settings  # noqa: E402
from roost.vllm.offloading_copies import GroupPages, PoolCopies, _aligned  # noqa: E402

MODELS = Path(os.environ["ROOST_TEST_MODELS"])
SEED = 61
PROMPTS = hosts.prompts(4, SEED, families=4)
OFFLOADING = {"spec_name": "RoostOffloadingSpec", "spec_module_path": "roost.vllm", "capacity": "256MiB"}

# Of each chunk of the pool; its slots are used from the first on.
SPOILED_BYTES = 64 << 20


def _blocks(prompt: list[int]) -> int:
    return (len(prompt) - 1) // hosts.BLOCK


class Case(unittest.TestCase):
    """An engine in this process, and what vLLM alone answers."""

    model = "llama"
    settings = OFFLOADING
    arguments: dict = {}
    known: dict[str, list[hosts.Answer]] = {}

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        model = str(MODELS / cls.model)
        if cls.model not in cls.known:
            alone = hosts.Host(hosts.Spec(model=model, settings=None, in_process=True))
            cls.known[cls.model] = [alone.ask(prompt) for prompt in PROMPTS]
            alone.close()
        cls.expected = cls.known[cls.model]
        spec = hosts.Spec(model, settings=cls.settings, in_process=True, connector="", arguments=cls.arguments)
        cls.host = hosts.Host(spec)
        cls.addClassCleanup(cls.host.close)

    @property
    def manager(self):
        return self.host.core.scheduler.connector.connector_scheduler.manager

    def ask(self, places=range(len(PROMPTS))) -> list[int]:
        """Asks after vLLM has forgotten everything; every answer is vLLM's own. The tokens that came from elsewhere."""
        self.host.drain()
        self.host.reset()
        cached = []
        for place in places:
            answer = self.host.ask(PROMPTS[place])
            self.assertEqual(self.expected[place].differs(answer), "", f"prompt {place}")
            cached.append(answer.cached)
            self.host.drain()
        return cached


class Llama(Case):
    """In this order."""

    arguments = {"kv_events_config": {"enable_kv_cache_events": True, "publisher": "null"}}

    def test_1_what_was_stored_is_loaded_after_vllm_has_forgotten_it(self):
        self.assertEqual(self.ask()[0], 0)
        self.assertEqual(self.ask(), [_blocks(prompt) * hosts.BLOCK for prompt in PROMPTS])
        counters = self.host.counters()
        self.assertGreater(counters["kv_offload_load_bytes"], 0)
        self.assertGreater(counters["kv_offload_store_bytes"], 0)
        self.assertEqual((self.manager._staged, self.manager._live, self.manager._storing), ({}, set(), {}))

    def test_2_a_page_that_is_not_what_its_seal_says_is_computed(self):
        self.assertGreater(_spoil(), 0)
        self.assertEqual(self.ask([0]), [0])
        self.assertGreater(self.manager._engine.stats()["corrupt"], 0)
        # vLLM asks no further than to the first miss: the other pages are looked at, and stored again, one by one.
        self.assertEqual(self.ask([0]), [hosts.BLOCK])

    def test_3_a_reset_forgets_everything_and_the_next_request_stores_it_anew(self):
        self.host.drain()
        self.assertTrue(self.host.llm.reset_prefix_cache(reset_connector=True))
        self.assertEqual(self.ask([1]), [0])
        self.assertEqual(self.ask([1]), [_blocks(PROMPTS[1]) * hosts.BLOCK])

    def test_4_a_load_that_fails_ends_the_engine_before_a_wrong_byte_is_read(self):
        get_finished = PoolCopies.get_finished
        self.addCleanup(setattr, PoolCopies, "get_finished", get_finished)

        def failing(copies):
            return [TransferResult(result.job_id, False) for result in get_finished(copies)]

        PoolCopies.get_finished = failing
        with self.assertRaises(AssertionError):
            self.ask([1])


class Unreachable(Case):
    def test_a_worker_that_cannot_attach_costs_time_and_no_answers(self):
        from vllm.distributed.kv_transfer import get_kv_transfer_group

        def refuse(address, device, timeout):
            raise roost.RoostError("notFound", "no pool", {})

        copies = get_kv_transfer_group().connector_worker.worker
        copies._open_worker = refuse
        self.manager._patience = 0.5
        self.assertEqual(self.ask(), [0] * len(PROMPTS))
        self.assertEqual(self.ask(), [0] * len(PROMPTS))
        self.assertEqual(self.manager._engine.stats()["published"], 0)


class Chunks(Case):
    settings = {**OFFLOADING, "blocks_per_chunk": 3}

    def test_keys_of_three_blocks_bring_whole_chunks(self):
        self.assertEqual(self.ask()[0], 0)
        expected = [len(prompt) // (3 * hosts.BLOCK) * 3 * hosts.BLOCK for prompt in PROMPTS]
        # The last token is computed: of a prompt that fills its last chunk, its block is.
        self.assertEqual(self.ask(), [min(some, len(prompt) - 1) for some, prompt in zip(expected, PROMPTS)])


class Windows(Case):
    model = "gemma"

    def test_groups_with_windows_are_stored_and_loaded(self):
        self.ask()
        cached = self.ask()
        self.assertGreater(cached[0], 0)
        self.assertGreater(self.host.counters()["kv_offload_load_bytes"], 0)


class TwoRanks(unittest.TestCase):
    def test_each_rank_stores_and_loads_its_shard(self):
        parallel = {"tensor_parallel_size": 2, "distributed_executor_backend": "mp"}
        # So few that the other prompts push the first one out.
        parallel |= {"num_gpu_blocks_override": 24, "max_model_len": 640}
        spec = hosts.Spec(
            model=str(MODELS / "llama"), prompts=PROMPTS + PROMPTS[:1], settings=OFFLOADING, connector="", tokens=8,
            arguments=parallel, linger=0.5,
        )  # fmt: skip
        (engine,) = Run(spec).ended()
        first, again = engine["answers"][0], engine["answers"][-1]
        self.assertEqual(first.differs(again), "")
        self.assertGreater(engine["counters"]["kv_offload_load_bytes"], 0)
        self.assertEqual(again.cached, _blocks(PROMPTS[0]) * hosts.BLOCK)


class Alignment(unittest.TestCase):
    """A job of two chunks of three blocks; their pages have the numbers 10 to 15."""

    pages = GroupPages(0, 1, np.array([[slot, 0] for slot in range(10, 16)], dtype=np.uint32), np.arange(6))

    def aligned(self, verb: int, blocks: list[int], first: int, pages: GroupPages | None = None) -> list[tuple]:
        where = GPULoadStoreSpec(blocks, [len(blocks)], [first])
        found, slots = _aligned(verb, where, pages or self.pages, 3)
        return list(zip(found.tolist(), slots[:, 0].tolist()))

    def test_a_load_may_begin_and_end_inside_a_chunk(self):
        self.assertEqual(self.aligned(LOAD, [7, 8, 9], 4), [(7, 11), (8, 12), (9, 13)])

    def test_a_store_leaves_out_what_is_stored_already(self):
        some = GroupPages(0, 1, self.pages.slots[[1, 5]], np.array([1, 5]))
        self.assertEqual(self.aligned(STORE, [20, 21, 22, 23, 24, 25], 3, some), [(21, 11), (25, 15)])

    def test_what_does_not_fit_is_refused(self):
        with self.assertRaises(ValueError):
            self.aligned(STORE, [7, 8, 9], 0)
        with self.assertRaises(ValueError):
            self.aligned(LOAD, [1, 2, 3, 4, 5, 6], 1)


class Refusals(unittest.TestCase):
    def test_settings_that_mean_nothing_here_are_refused(self):
        with self.assertRaisesRegex(ConfigurationError, "no use for directory, disk, disk_capacity, keep, name"):
            _settings({**OFFLOADING, "keep": True, "disk": "/a", "disk_capacity": 1, "name": "a", "directory": "/b"})
        with self.assertRaisesRegex(ConfigurationError, 'did you mean "capacity"'):
            _settings({"capcity": 1})
        self.assertEqual(_settings({}).verify, "host")


def _spoil() -> int:
    """Changes a byte in every 4 KiB of the pool's pages, as bad memory would; how many. The pool is in this process."""
    count, seen = 0, set()
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "r+b", buffering=0) as memory:
        for line in maps:
            span, access, offset, _, inode, *name = line.split()
            # The engine and the worker map the same chunks; the table is another.
            if not name or not name[0].startswith("/memfd:roost-") or "roost-table-" in name[0] or access[1] != "w":
                continue
            if (inode, offset) in seen:
                continue
            seen.add((inode, offset))
            start, end = (int(part, 16) for part in span.split("-"))
            for place in range(start, min(end, start + SPOILED_BYTES), 4096):
                memory.seek(place)
                byte = memory.read(1)
                memory.seek(place)
                memory.write(bytes([byte[0] ^ 0x5A]))
                count += 1
    return count


if __name__ == "__main__":
    unittest.main(verbosity=2)
