"""Divided loads in a real vLLM: each layer waits in the forward pass for its own pages, and has them then."""

from __future__ import annotations

import os
import shutil
import tempfile
import unittest
from pathlib import Path

import host as hosts

hosts.prepare(in_process=True)

from vllm.distributed.kv_transfer import get_kv_transfer_group  # noqa: E402

MODELS = Path(os.environ["ROOST_TEST_MODELS"])
SEED = 51
PROMPTS = hosts.prompts(8, SEED)
RANGES = 3


class DividedLoads(unittest.TestCase):
    """Four layers in three ranges: 0 and 1, 2, 3. The tests build on one another, in this order."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        cls.folder = tempfile.mkdtemp(prefix="roost-pool-", dir="/dev/shm")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        settings = {
            "load": "sync", "load_ranges": RANGES, "load_timeout": 1.0, "verify": "host", "directory": cls.folder,
            "capacity": "128MiB",
        }  # fmt: skip
        spec = hosts.Spec(model=str(MODELS / "llama"), in_process=True, settings=settings, tokens=8)
        cls.host = hosts.Host(spec)
        cls.connector = get_kv_transfer_group()
        cls.worker = cls.connector.worker_side
        cls.host.record()
        cls.cold = [cls._ask(prompt) for prompt in PROMPTS]

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    @classmethod
    def _ask(cls, prompt):
        answer = cls.host.ask(prompt)
        cls.host.drain()
        return answer

    def _warm(self, number: int) -> hosts.Answer:
        self.host.reset()
        return self._ask(PROMPTS[number])

    def _check(self, number: int, answer: hosts.Answer) -> None:
        self.assertEqual(self.cold[number].differs(answer), "", f"prompt {number}")

    @property
    def core(self):
        """The recording worker; made with the first request."""
        return self.worker._core

    def _watch(self, look) -> None:
        """Has `look` called with the number of each layer when it has waited, before it reads."""
        layer = self.worker.layer

        def watched(name: str) -> None:
            before = len(self.core.ranges)
            layer(name)
            look(int(name.split(".")[2]), self.core.ranges[before:])

        self.worker.layer = watched
        self.addCleanup(delattr, self.worker, "layer")

    def test_1_a_captured_graph_of_the_whole_pass_is_refused(self):
        asks = type(self.connector).requires_piecewise_for_cudagraph
        self.assertTrue(asks({"load_ranges": 2}))
        self.assertFalse(asks({}))

    def test_2_tokens_and_pages_are_those_of_a_whole_load(self):
        checked = self.core.pages_checked
        for number, prompt in enumerate(PROMPTS):
            self.core.ranges.clear()
            answer = self._warm(number)
            self._check(number, answer)
            self.assertEqual(answer.cached, (len(prompt) - 1) // hosts.BLOCK * hosts.BLOCK)
            self.assertEqual(self.core.ranges, list(range(RANGES)), "one wait a range, the first one first")
        self.assertEqual(self.core.wrong, [])
        pages = sum((len(prompt) - 1) // hosts.BLOCK for prompt in PROMPTS)
        self.assertEqual(self.core.pages_checked - checked, pages)

    def test_3_a_layer_has_its_pages_when_it_has_waited_and_waits_for_no_other_range(self):
        seen: list[tuple[int, list[int]]] = []

        def look(layer: int, waited: list[int]) -> None:
            seen.append((layer, list(waited)))
            self.assertEqual(self.core.wrong_layer(layer), [])

        self._watch(look)
        for number in range(len(PROMPTS)):
            seen.clear()
            self._check(number, self._warm(number))
            # The last layer's wait ends the load: no step and no layer after it asks again.
            self.assertEqual(seen, [(0, [0]), (1, []), (2, [1]), (3, [2])])

    def test_4_requests_at_the_same_time_load_range_by_range(self):
        self.host.reset()
        self._watch(lambda layer, waited: self.assertEqual(self.core.wrong_layer(layer), []))
        answers = self.host.ask_all(PROMPTS)
        self.host.drain()
        for number, answer in enumerate(answers):
            self._check(number, answer)
        self.assertEqual(self.core.wrong, [])

    def test_5_failed_pages_are_computed_again(self):
        before = self.host.counters()["roost_failed_blocks"]
        for positions in ((0,), (1, 3), (4,)):
            self.host.reset()
            self.core.fail_positions = positions
            answer = self._ask(PROMPTS[0])
            self.core.fail_positions = ()
            self._check(0, answer)
        self.assertEqual(self.host.counters()["roost_failed_blocks"] - before, 1 + 2 + 1)
        self._check(0, self._warm(0))
        self.assertEqual(self.core.wrong, [])

    def test_6_a_late_load_is_given_up_and_computed(self):
        self.host.reset()
        self.core.holds_loads = True
        answer = self._ask(PROMPTS[1])
        self.core.holds_loads = False
        self._check(1, answer)
        self._check(1, self._warm(1))
        self.assertEqual(self.core.wrong, [])

    def test_7_damaged_pages_are_never_loaded(self):
        hosts.damage(Path(self.folder), 0x40)
        loaded = len(self.core.loaded)
        # One of each family: what the first has computed anew, the next may load.
        for number in range(4):
            self._check(number, self._warm(number))
        self.assertEqual(self.core.wrong, [])
        self.assertEqual(sum(pages for _, pages in self.core.loaded[loaded:]), 0)

    def test_8_a_model_whose_layers_do_not_wait_gets_its_loads_computed_and_then_whole_ones(self):
        self.assertTrue(self.host.llm.reset_prefix_cache(reset_connector=True))
        for prompt in PROMPTS[:3]:
            self._ask(prompt)
        wait = type(self.connector).wait_for_layer_load
        type(self.connector).wait_for_layer_load = lambda connector, name: None
        self.addCleanup(setattr, type(self.connector), "wait_for_layer_load", wait)
        failed = self.host.counters()["roost_failed_blocks"]
        with self.assertLogs("vllm.roost", "ERROR"):
            self._check(0, self._warm(0))
        blocks = (len(PROMPTS[0]) - 1) // hosts.BLOCK
        self.assertEqual(self.host.counters()["roost_failed_blocks"] - failed, blocks)
        self.core.ranges.clear()
        for number in (1, 2):
            answer = self._warm(number)
            self._check(number, answer)
            self.assertEqual(answer.cached, (len(PROMPTS[number]) - 1) // hosts.BLOCK * hosts.BLOCK)
        self.assertEqual((self.core.ranges, self.core.wrong), ([], []))


if __name__ == "__main__":
    unittest.main(verbosity=2)
