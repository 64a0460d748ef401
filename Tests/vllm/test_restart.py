"""Pools that outlive vLLM: new engine objects, new processes, killed ones, other weights, damage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from dataclasses import asdict
from pathlib import Path

import host as hosts
from running import HERE, START_SECONDS, Run

MODELS = Path(os.environ["ROOST_TEST_MODELS"])
SEED = 31
PROMPTS = hosts.prompts(6, SEED)


class KeptPool(unittest.TestCase):
    """A pool in a folder, from process to process. The tests build on one another, in this order."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.folder = tempfile.mkdtemp(prefix="roost-pool-", dir="/dev/shm")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)

    def spec(self, model="llama", **changes) -> hosts.Spec:
        settings = {"capacity": "256MiB", "directory": self.folder, "name": "kept", "keep": True}
        settings.update(changes.pop("settings", {}))
        changes.setdefault("in_process", True)
        changes.setdefault("linger", 0.5)
        return hosts.Spec(model=str(MODELS / model), prompts=PROMPTS, settings=settings, **changes)

    def check_answers(self, engine: dict):
        for number, (expected, answer) in enumerate(zip(type(self).cold, engine["answers"])):
            self.assertEqual(expected.differs(answer), "", f"prompt {number}")

    def check_warm(self, engine: dict, failed: int = 0):
        """Every block of every prompt came from vLLM or Roost, and the first prompt's all from Roost."""
        self.check_answers(engine)
        for prompt, answer in zip(PROMPTS, engine["answers"]):
            self.assertEqual(answer.cached, (len(prompt) - 1) // hosts.BLOCK * hosts.BLOCK)
        page = 4 * 2 * 2 * 64 * 4 * hosts.BLOCK  # layers, KV heads, keys and values, head size, bytes, tokens
        self.assertGreaterEqual(engine["counters"]["roost_load_bytes"], (len(PROMPTS[0]) - 1) // hosts.BLOCK * page)
        self.assertEqual(engine["counters"]["roost_failed_blocks"], failed)

    def test_1_a_cold_engine_in_a_process_of_its_own_stores_and_exits(self):
        (engine,) = Run(self.spec(in_process=False)).ended()
        type(self).cold = engine["answers"]
        self.assertEqual(engine["answers"][0].cached, 0)
        self.assertGreater(engine["counters"]["roost_store_bytes"], 0)

    def test_2_the_next_process_adopts_the_pool_and_a_new_engine_object_too_but_other_weights_find_nothing(self):
        adopting, again, others = Run(self.spec(), self.spec(), self.spec("llama-other-weights")).ended()
        self.check_warm(adopting)
        self.check_warm(again)
        self.assertEqual(others["answers"][0].cached, 0)
        self.assertEqual(others["counters"]["roost_load_bytes"], 0)
        self.assertNotEqual(type(self).cold[0].differs(others["answers"][0]), "")

    def test_3_what_a_killed_process_left_is_adopted_and_damage_shows_unless_pages_are_checked(self):
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)
        Run(self.spec(in_process=False, stays=True, linger=3.0)).kill()
        whole, unchecked, checked = Run(
            self.spec(), self.spec(damage=0x3C, settings={"verify": "none"}), self.spec(damage=0x5A)
        ).ended()
        self.check_warm(whole)
        changed = [cold for cold, answer in zip(type(self).cold, unchecked["answers"]) if cold.differs(answer)]
        self.assertTrue(changed, "damage must show, or these tests see nothing")
        self.check_answers(checked)
        self.assertGreater(checked["counters"]["roost_failed_blocks"], 0)


class SmallCases(unittest.TestCase):
    """Engines of their own that need another configuration."""

    def test_more_requests_than_kv_space_preempt_and_still_answer_right(self):
        prompts = hosts.prompts(6, SEED + 1, longest=420, families=3)
        spec = hosts.Spec(model=str(MODELS / "llama"), prompts=prompts, in_process=True, tokens=64, settings={})
        script = HERE / "small_space.py"
        done = subprocess.run(
            [sys.executable, script, json.dumps(asdict(spec))], capture_output=True, text=True, timeout=START_SECONDS
        )
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-3000:])
        found = json.loads(done.stdout.strip().splitlines()[-1])
        self.assertGreater(found["preemptions"], 0)
        self.assertGreater(found["counters"]["roost_load_bytes"], 0)
        self.assertEqual(found["differences"], [])
        self.assertEqual(found["wrong_pages"], [])

    def test_a_misspelt_setting_ends_the_start_with_the_right_one(self):
        spec = hosts.Spec(model=str(MODELS / "llama"), settings={"capcity": "1GiB"}, in_process=True)
        run = Run(spec)
        run.process.wait(timeout=START_SECONDS)
        self.assertIn('did you mean "capacity"?', run.log.read_text())
        shutil.rmtree(run.folder)


if __name__ == "__main__":
    unittest.main(verbosity=2)
