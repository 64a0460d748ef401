"""One real vLLM in this process: cold, warm, failed, late, aborted, salted; every loaded page compared byte by byte."""

from __future__ import annotations

import os
import time
import unittest
from pathlib import Path

import host as hosts

hosts.prepare(in_process=True)

from vllm import SamplingParams  # noqa: E402
from vllm.distributed.kv_transfer import get_kv_transfer_group  # noqa: E402

MODELS = Path(os.environ["ROOST_TEST_MODELS"])
SEED = 20
PROMPTS = hosts.prompts(24, SEED)


class WarmEngine(unittest.TestCase):
    """The user's two lines, nothing else; vLLM's default policy for failed loads."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        spec = hosts.Spec(model=str(MODELS / "llama"), in_process=True, settings={"load_timeout": 1.0}, tokens=8)
        cls.host = hosts.Host(spec)
        cls.scheduler = cls.host.core.scheduler.connector.scheduler_side
        cls.worker = get_kv_transfer_group().worker_side
        cls.host.record()
        cls.cold = [cls._ask(prompt) for prompt in PROMPTS]
        cls.host.reset()
        # vLLM's own hit of the same length, for every prompt: what Roost has to equal.
        cls.own = []
        for prompt in PROMPTS:
            cls.own.append(cls._own_hit(prompt))
        cls.host.reset()

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    @classmethod
    def _ask(cls, prompt, **extra):
        answer = cls.host.ask(prompt, **extra)
        cls.host.drain()
        return answer

    @classmethod
    def _own_hit(cls, prompt):
        """Computed by vLLM alone, then asked again: a hit in its own prefix cache."""
        cls.host.reset()
        match = cls.scheduler.match
        cls.scheduler.match = lambda request, computed: (0, False)
        try:
            cls._ask(prompt)
            return cls._ask(prompt)
        finally:
            cls.scheduler.match = match

    @property
    def core(self):
        """The recording worker; made with the first request."""
        return self.worker._core

    def _loads(self, mode: str) -> None:
        self.addCleanup(setattr, self.scheduler, "_load_mode", self.scheduler._load_mode)
        self.scheduler._load_mode = mode

    def _check(self, expected, answer):
        self.assertEqual(expected.differs(answer), "")

    def test_1_vllm_was_set_to_recompute_failed_loads(self):
        self.assertTrue(self.host.core.scheduler.recompute_kv_load_failures)

    def test_2_a_warm_load_gives_the_tokens_of_vllms_own_hit(self):
        for mode in ("sync", "async"):
            self._loads(mode)
            before = self.core.pages_checked
            for number, prompt in enumerate(PROMPTS):
                self.host.reset()
                answer = self._ask(prompt)
                with self.subTest(mode=mode, prompt=number):
                    self._check(self.own[number], answer)
                    self._check(self.cold[number], answer)
                    self.assertEqual(answer.cached, self.own[number].cached)
            self.assertEqual(self.core.wrong, [])
            pages = sum((len(prompt) - 1) // hosts.BLOCK for prompt in PROMPTS)
            self.assertEqual(self.core.pages_checked - before, pages)

    def test_3_a_load_completes_what_vllm_has_of_a_shared_prefix(self):
        self.host.reset()
        before = self.core.pages_checked
        for number, prompt in enumerate(PROMPTS):
            self._check(self.own[number], self._ask(prompt))
        self.assertEqual(self.core.wrong, [])
        self.assertGreater(self.core.pages_checked, before)

    def test_4_requests_at_the_same_time_load_side_by_side(self):
        self.host.reset()
        answers = self.host.ask_all(PROMPTS)
        self.host.drain()
        for number, answer in enumerate(answers):
            self._check(self.own[number], answer)
        self.assertEqual(self.core.wrong, [])

    def test_5_failed_pages_are_computed_again(self):
        before = self.host.counters()["roost_failed_blocks"]
        for mode in ("sync", "async"):
            self._loads(mode)
            for positions in ((0,), (1, 3), (4,)):
                self.host.reset()
                self.core.fail_positions = positions
                answer = self._ask(PROMPTS[0])
                self.core.fail_positions = ()
                with self.subTest(mode=mode, positions=positions):
                    self._check(self.own[0], answer)
        self.assertEqual(self.host.counters()["roost_failed_blocks"] - before, 2 * (1 + 2 + 1))
        self._stored_pages_are_right()

    def test_6_a_late_load_is_given_up_and_computed(self):
        for mode in ("sync", "async"):
            self._loads(mode)
            self.host.reset()
            self.core.holds_loads = True
            start = time.monotonic()
            answer = self._ask(PROMPTS[1])
            self.core.holds_loads = False
            with self.subTest(mode=mode):
                self._check(self.own[1], answer)
                self.assertGreater(time.monotonic() - start, 1.0)
        self._stored_pages_are_right()

    def test_7_an_abort_in_the_middle_of_a_load_leaves_no_lease_and_no_block(self):
        self._loads("async")
        self.host.reset()
        self.core.holds_loads = True
        engine = self.host.llm.llm_engine
        sampling = SamplingParams(temperature=0, max_tokens=16, ignore_eos=True)
        name = engine.add_request("aborted", {"prompt_token_ids": PROMPTS[2]}, sampling)
        for _ in range(3):
            engine.step()
        self.assertTrue(self.worker._running)
        engine.abort_request([name or "aborted"])
        for _ in range(3):
            engine.step()
        self.core.holds_loads = False
        self.host.drain()
        self.assertEqual(self.worker._running, {})
        self.assertEqual(self.scheduler.engine.leases(), [])
        self.host.reset()
        self._check(self.own[2], self._ask(PROMPTS[2]))

    def test_8_another_salt_finds_nothing(self):
        self.host.reset()
        before = self.core.pages_checked
        salted = self._ask(PROMPTS[3], cache_salt="another tenant")
        self.assertEqual((salted.cached, self.core.pages_checked), (0, before))
        self._check(self.own[3], salted)
        self.host.reset()
        again = self._ask(PROMPTS[3], cache_salt="another tenant")
        self.assertEqual(again.cached, self.own[3].cached)

    def test_9a_generated_blocks_are_found_too(self):
        self.host.reset()
        sampling = SamplingParams(temperature=0, max_tokens=80, ignore_eos=True)
        output = self.host.llm.generate([{"prompt_token_ids": PROMPTS[4]}], sampling, use_tqdm=False)[0]
        self.host.drain()
        self.host.reset()
        longer = PROMPTS[4] + list(output.outputs[0].token_ids)
        self.assertEqual(self._ask(longer).cached, (len(longer) - 1) // hosts.BLOCK * hosts.BLOCK)

    def test_9b_counters_reconcile(self):
        counters = self.host.counters()
        self.assertEqual(
            counters["roost_hit_blocks"] + counters["roost_miss_blocks"], counters["roost_lookup_blocks"]
        )
        page_bytes = self.scheduler._ticket.slots[0].page_bytes
        self.assertEqual(counters["roost_store_bytes"], self.core.pages_stored * page_bytes)
        known = self.scheduler.engine.stats()
        self.assertEqual(known["hits"] + known["misses"], known["lookups"])
        self.assertEqual(known["allocated"] + known["free"], known["capacity"])

    def test_9c_a_reset_of_the_cache_empties_the_pool(self):
        self.host.drain()
        self.assertTrue(self.host.llm.reset_prefix_cache(reset_connector=True))
        answer = self._ask(PROMPTS[0])
        self.assertEqual(answer.cached, 0)
        self._check(self.own[0], answer)

    def _stored_pages_are_right(self):
        """A step whose load failed must not have left anything wrong in the pool."""
        for number, prompt in enumerate(PROMPTS[:4]):
            self.host.reset()
            self._check(self.own[number], self._ask(prompt))
        self.assertEqual(self.core.wrong, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
