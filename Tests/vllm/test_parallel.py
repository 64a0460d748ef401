"""Tensor parallel 2 in a real vLLM: pages that one number of ranks stored load under the other, byte by byte.

A rank that dies leaves nothing half-stored behind. The engines follow one another on one kept pool. Every rank of every
engine is watched from inside (`spying`).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import unittest
from pathlib import Path

import host as hosts
from running import Run

MODELS = Path(os.environ["ROOST_TEST_MODELS"])
SEED = 51
# No two have a beginning in common.
PROMPTS = hosts.prompts(6, SEED, longest=400, families=6)
BY_TWO, BY_ONE, HALF_STORED, BARELY_STORED = PROMPTS[:2], PROMPTS[2:4], PROMPTS[4], PROMPTS[5]


def _cached(prompt: list[int]) -> int:
    return (len(prompt) - 1) // hosts.BLOCK * hosts.BLOCK


class TwoRanks(unittest.TestCase):
    """The tests build on one another, in this order."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.pool = tempfile.mkdtemp(prefix="roost-pool-", dir="/dev/shm")
        cls.addClassCleanup(shutil.rmtree, cls.pool, ignore_errors=True)
        cls.spies = Path(tempfile.mkdtemp(prefix="roost-spies-"))
        cls.addClassCleanup(shutil.rmtree, cls.spies, ignore_errors=True)
        cls.stored: dict[int, dict[str, str]] = {}

    def start(self, prompts: list[list[int]], ranks: int, death: str = "") -> Run:
        settings = {"capacity": "256MiB", "directory": self.pool, "name": "kept", "keep": True, "attach_timeout": 30}
        parallel = {"tensor_parallel_size": 2, "distributed_executor_backend": "mp"} if ranks == 2 else {}
        return Run(
            hosts.Spec(
                model=str(MODELS / "llama"), prompts=prompts, settings=settings, in_process=ranks == 1, tokens=8,
                arguments=parallel, connector="spying", linger=0.5,
                environment={"SPY_FOLDER": str(self.spies), "SPY_DEATH": death},
            )
        )  # fmt: skip

    def read(self) -> list[dict]:
        """What the spies wrote since the last time. What was stored is remembered."""
        lines = []
        for path in sorted(self.spies.iterdir()):
            lines += [json.loads(line) for line in path.read_text().splitlines()]
            path.unlink()
        return lines

    def compare(self, lines: list[dict]) -> set[int]:
        """Checks every page that was loaded, in order with those that were stored; the slots."""
        loaded = set()
        for line in lines:
            slot = line["slot"]
            if line["verb"] == "store":
                known = self.stored.setdefault(slot, {})
                if known.keys() & line["heads"].keys():
                    known = self.stored[slot] = {}
                known.update(line["heads"])
                continue
            loaded.add(slot)
            for part, digest in line["heads"].items():
                self.assertEqual(self.stored[slot].get(part), digest, f"slot {slot}, layer.head {part}")
        return loaded

    def test_1_what_two_ranks_stored_loads_in_one_byte_by_byte(self):
        (two,) = self.start(BY_TWO, 2).ended()
        written = self.read()
        self.assertEqual({line["rank"] for line in written}, {0, 1})
        self.compare(written)
        self.assertTrue(all(len(heads) == 4 * 2 for heads in self.stored.values()), "every layer and head is stored")
        (one,) = self.start(BY_TWO + BY_ONE, 1).ended()
        type(self).one = one["answers"]
        for prompt, cold, warm in zip(BY_TWO, two["answers"], one["answers"]):
            self.assertEqual((cold.cached, warm.cached), (0, _cached(prompt)))
            self.assertEqual(cold.differs(warm), "")
        loaded = self.compare(self.read())
        self.assertEqual(len(loaded), sum(_cached(prompt) // hosts.BLOCK for prompt in BY_TWO))

    def test_2_what_one_rank_stored_loads_in_two_and_a_rank_that_dies_before_its_copy_ends_the_engine(self):
        self.start([*BY_ONE, HALF_STORED], 2, death="1 store before").died()
        lines = self.read()
        loaded = self.compare(lines)
        self.assertEqual(len(loaded), sum(_cached(prompt) // hosts.BLOCK for prompt in BY_ONE))
        self.assertEqual({line["rank"] for line in lines if line["verb"] == "load"}, {0, 1})

    def test_3_the_first_rank_dying_with_a_store_under_way_ends_the_engine(self):
        self.start([BARELY_STORED], 2, death="0 store after").died()
        self.compare(self.read())

    def test_4_a_rank_that_dies_before_or_in_a_load_ends_the_engine(self):
        for death in ("1 load before", "0 load after"):
            self.start(BY_TWO[:1], 2, death=death).died()
            self.compare(self.read())

    def test_5_nothing_that_a_dead_rank_had_a_part_in_is_found_unless_it_is_whole(self):
        (engine,) = self.start(PROMPTS, 1).ended()
        self.compare(self.read())
        for prompt, before, after in zip(BY_TWO + BY_ONE, type(self).one, engine["answers"]):
            self.assertEqual(after.cached, _cached(prompt))
            self.assertEqual(before.differs(after), "")
        half, barely = (answer.cached for answer in engine["answers"][len(BY_TWO + BY_ONE) :])
        self.assertEqual(half, 0)
        self.assertIn(barely, (0, _cached(BARELY_STORED)))


class HybridRanks(unittest.TestCase):
    """A model with full attention and windows, each with blocks of its own."""

    def test_windows_and_full_attention_load_under_another_number_of_ranks(self):
        print(f"seed {SEED}", flush=True)
        pool = tempfile.mkdtemp(prefix="roost-pool-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, pool, ignore_errors=True)
        settings = {"capacity": "256MiB", "directory": pool, "name": "kept", "keep": True, "attach_timeout": 30}

        def ask(prompts: list[list[int]], ranks: int) -> dict:
            parallel = {"tensor_parallel_size": 2, "distributed_executor_backend": "mp"} if ranks == 2 else {}
            model = str(MODELS / "gemma")
            (engine,) = Run(
                hosts.Spec(
                    model=model, prompts=prompts, settings=settings, in_process=ranks == 1, tokens=8,
                    arguments=parallel, linger=0.5,
                )
            ).ended()  # fmt: skip
            self.assertEqual(engine["counters"]["roost_failed_blocks"], 0)
            return engine

        two = ask(BY_TWO, 2)
        one = ask(BY_TWO + BY_ONE, 1)
        back = ask(BY_ONE, 2)
        for prompts, cold, warm in (
            (BY_TWO, two["answers"], one["answers"]),
            (BY_ONE, one["answers"][len(BY_TWO) :], back["answers"]),
        ):
            for prompt, before, after in zip(prompts, cold, warm):
                self.assertEqual((before.cached, after.cached), (0, _cached(prompt)))
                self.assertEqual(before.differs(after), "")


if __name__ == "__main__":
    unittest.main(verbosity=2)
