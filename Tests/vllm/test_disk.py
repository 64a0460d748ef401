"""The disk below the pool: vLLM restarted, the pool's owner with it, finds on the same folder what it stored before."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import host as hosts
from running import Run

MODELS = Path(os.environ["ROOST_TEST_MODELS"])
SEED = 47
PROMPTS = hosts.prompts(6, SEED)
# layers, KV heads, keys and values, head size, bytes, tokens
PAGE = 4 * 2 * 2 * 64 * 4 * hosts.BLOCK


WRITE_SECONDS = 60


def _look(folder: str) -> tuple[int, bool]:
    """The pages in a folder, whoever has it open, and whether it was closed cleanly: `roost disk inspect`."""
    program = "from roost._program import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "disk", "inspect", folder], capture_output=True, text=True, check=True
    )
    pages = re.search(r"^([\d,]+) pages,", done.stdout, re.M)[1]
    return int(pages.replace(",", "")), re.search(r"; closed cleanly$", done.stdout, re.M) is not None


class Disk(unittest.TestCase):
    """A folder, from process to process; the pool is anonymous memory and goes with its owner. In this order."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        above = tempfile.mkdtemp(prefix="roost-disk-")
        cls.addClassCleanup(shutil.rmtree, above, ignore_errors=True)
        cls.folder = above + "/pages of vLLM"

    def spec(self, model="llama", **changes) -> hosts.Spec:
        settings = {"capacity": "256MiB", "disk": self.folder, "disk_capacity": "256MiB", "disk_writes": "all"}
        settings |= {"disk_timeout": 60, **changes.pop("settings", {})}
        changes.setdefault("in_process", True)
        changes.setdefault("linger", 0)
        return hosts.Spec(model=str(MODELS / model), prompts=PROMPTS, settings=settings, **changes)

    def pages(self) -> int:
        """The blocks that the cold engine has computed whole; the last token that it sampled it did not compute."""
        blocks = set()
        for prompt, answer in zip(PROMPTS, type(self).cold):
            tokens = prompt + answer.tokens[:-1]
            blocks |= {tuple(tokens[:end]) for end in range(hosts.BLOCK, len(tokens) + 1, hosts.BLOCK)}
        return len(blocks)

    def check_answers(self, engine: dict):
        for number, (expected, answer) in enumerate(zip(type(self).cold, engine["answers"])):
            self.assertEqual(expected.differs(answer), "", f"prompt {number}")

    def check_warm(self, engine: dict):
        """Every block of every prompt came from vLLM or Roost, with the first prompt's all from the disk."""
        self.check_answers(engine)
        for prompt, answer in zip(PROMPTS, engine["answers"]):
            self.assertEqual(answer.cached, (len(prompt) - 1) // hosts.BLOCK * hosts.BLOCK)
        first = (len(PROMPTS[0]) - 1) // hosts.BLOCK
        self.assertGreaterEqual(engine["counters"]["roost_load_bytes"], first * PAGE)
        self.assertGreaterEqual(engine["counters"]["roost_disk_promoted_pages"], first)
        self.assertEqual(engine["counters"]["roost_failed_blocks"], 0)

    def test_1_an_engine_that_exits_has_written_what_it_stored(self):
        (engine,) = Run(self.spec(in_process=False)).ended()
        type(self).cold = engine["answers"]
        self.assertEqual(engine["answers"][0].cached, 0)
        self.assertEqual(_look(self.folder), (self.pages(), True))

    def test_2_a_new_process_and_a_new_engine_object_hit_what_it_stored_and_other_weights_find_nothing(self):
        restarted, again, others = Run(self.spec(), self.spec(), self.spec("llama-other-weights")).ended()
        self.check_warm(restarted)
        self.check_warm(again)
        self.assertEqual(others["answers"][0].cached, 0)
        self.assertEqual(others["counters"]["roost_load_bytes"], 0)

    def test_3_what_a_killed_process_wrote_is_found_and_what_is_damaged_is_computed(self):
        shutil.rmtree(self.folder)
        run = Run(self.spec(in_process=False, stays=True))
        run.answers()
        deadline = time.monotonic() + WRITE_SECONDS
        while _look(self.folder)[0] < self.pages() and time.monotonic() < deadline:
            time.sleep(0.2)
        run.kill()
        self.assertEqual(_look(self.folder), (self.pages(), False))
        whole, damaged = Run(self.spec(), self.spec(damage=0x5A)).ended()
        self.check_warm(whole)
        self.check_answers(damaged)
        self.assertGreater(damaged["counters"]["roost_disk_failed_pages"], 0)

    def test_4_windows_are_brought_up_too(self):
        shutil.rmtree(self.folder)
        cold, warm = Run(self.spec("gemma"), self.spec("gemma")).ended()
        self.assertEqual(cold["answers"][0].cached, 0)
        for number, (expected, answer) in enumerate(zip(cold["answers"], warm["answers"])):
            self.assertEqual(expected.differs(answer), "", f"prompt {number}")
        self.assertEqual(warm["answers"][0].cached, (len(PROMPTS[0]) - 1) // hosts.BLOCK * hosts.BLOCK)
        self.assertGreater(warm["counters"]["roost_disk_promoted_pages"], 0)
        self.assertEqual(warm["counters"]["roost_failed_blocks"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
