"""A model that mixes states and full attention on a real vLLM: one engine in this process, every loaded page compared.

LFM2's order: a layer with the state of a short convolution, one with full attention. vLLM keeps a state where a prompt's
last whole block ends ("align"), and nowhere else: that is where a request can go on.

What vLLM's CPU build computes for a block of this model depends on how long the prompt around it is. So no two prompts
here have blocks in common: then loaded bytes are those that vLLM's own hit reads, and the answers must be the same to the
last bit.
"""

from __future__ import annotations

import os
import time
import unittest
from pathlib import Path
from types import SimpleNamespace

import host as hosts

hosts.prepare(in_process=True)

from roost.vllm.model import groups_of, require_supported  # noqa: E402
from roost.vllm.pages import UnsupportedLayout  # noqa: E402
from vllm import SamplingParams  # noqa: E402
from vllm.distributed.kv_transfer import get_kv_transfer_group  # noqa: E402
from vllm.v1.kv_cache_interface import FullAttentionSpec, MambaSpec  # noqa: E402

SEED = 43
PROMPTS = hosts.prompts(8, SEED, families=8)
STATE, FULL = 0, 1


def _blocks(prompt: list[int]) -> int:
    return (len(prompt) - 1) // hosts.BLOCK


class States(unittest.TestCase):
    """The tests build on one another, in this order."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        model = Path(os.environ["ROOST_TEST_MODELS"]) / "lfm2"
        spec = hosts.Spec(model=str(model), in_process=True, settings={"load_timeout": 1.0}, tokens=6)
        cls.host = hosts.Host(spec)
        cls.recorder = staticmethod(cls.host.record())
        cls.scheduler = cls.host.core.scheduler.connector.scheduler_side
        cls.worker = get_kv_transfer_group().worker_side
        cls.own = cls.host.own_hits(PROMPTS)

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    @classmethod
    def _ask(cls, prompt):
        answer = cls.host.ask(prompt)
        cls.host.drain()
        return answer

    def _check(self, number: int, answer):
        self.assertEqual((answer.tokens, answer.margins), (self.own[number].tokens, self.own[number].margins))
        self.assertEqual(self.recorder().wrong, [], f"prompt {number}")

    def _nothing_is_held(self):
        self.assertEqual((self.scheduler._borrowed, self.scheduler._held, self.worker._loading), ({}, {}, {}))
        deadline = time.monotonic() + 10
        while self.scheduler.engine.leases() and time.monotonic() < deadline:
            time.sleep(0.01)  # the engine hears of a copy's end a moment after the worker
        self.assertEqual(self.scheduler.engine.leases(), [])

    def test_0_the_model_has_a_group_of_states_and_one_of_attention(self):
        kinds = [(group.kind, group.block_tokens) for group in groups_of(self.host.core.scheduler.kv_cache_config)]
        self.assertEqual(kinds, [("state", hosts.BLOCK), ("full", hosts.BLOCK)])

    def test_1_a_prompt_is_stored_with_the_state_at_its_last_boundary(self):
        for number, prompt in enumerate(PROMPTS):
            self.host.reset()
            before = self.recorder().pages_stored
            answer = self._ask(prompt)
            self._check(number, answer)
            self.assertEqual(answer.cached, 0, f"prompt {number}")
            # One state, and what prompt and answer fill of the attention's; the last token has none.
            filled = (len(prompt) + self.host.spec.tokens - 1) // hosts.BLOCK
            self.assertEqual(self.recorder().pages_stored - before, filled + 1, f"prompt {number}")
        self._nothing_is_held()

    def test_2_a_warm_load_takes_the_attention_and_one_state(self):
        for number, prompt in enumerate(PROMPTS):
            self.host.reset()
            self.recorder().loaded.clear()
            answer = self._ask(prompt)
            self._check(number, answer)
            self.assertEqual(answer.cached, self.own[number].cached)
            self.assertEqual(answer.cached, _blocks(prompt) * hosts.BLOCK)
            self.assertEqual(sorted(self.recorder().loaded), [(STATE, 1), (FULL, _blocks(prompt))])
        self.assertGreater(self.recorder().pages_checked, 0)
        self._nothing_is_held()

    def test_3_requests_at_the_same_time_load_side_by_side(self):
        self.host.reset()
        for prompt, answer in zip(PROMPTS, self.host.ask_all(PROMPTS), strict=True):
            self.assertEqual(answer.cached, _blocks(prompt) * hosts.BLOCK)
        self.assertEqual(self.recorder().wrong, [])
        self.host.drain()
        self._nothing_is_held()

    def test_4_a_page_that_fails_in_either_group_has_the_request_computed(self):
        before = self.host.counters()["roost_failed_blocks"]
        for position in (0, _blocks(PROMPTS[0]) - 1):
            self.host.reset()
            # Position 0 is the state's, too.
            self.recorder().fail_positions = (position,)
            answer = self._ask(PROMPTS[0])
            self.recorder().fail_positions = ()
            self._check(0, answer)
        self.assertEqual(self.host.counters()["roost_failed_blocks"] - before, 2 * (1 + _blocks(PROMPTS[0])))
        self._nothing_is_held()

    def test_5_a_wrong_state_changes_the_answer(self):
        """The control: what is loaded is what is used."""
        self.host.reset()
        worker = self.recorder()
        seen = worker._seen

        def spoiled(result):
            job = result[0]
            group, blocks, _ = worker._loads.get(job, (FULL, (), ()))
            answer = seen(result)
            if group == STATE:
                worker.wrong.clear()
                for block in blocks:
                    worker.overwrite(group, int(block))
            return answer

        worker._seen = spoiled
        answer = self._ask(PROMPTS[3])
        del worker._seen
        self.assertNotEqual(answer.margins, self.own[3].margins)

    def test_5a_a_prompt_that_only_begins_as_another_one_did_finds_no_state(self):
        self.host.reset()
        shorter = PROMPTS[5][: 2 * hosts.BLOCK] + PROMPTS[6][: 3 * hosts.BLOCK]
        self.assertEqual(self._ask(shorter).cached, 0)
        self._nothing_is_held()

    def test_6_a_conversation_goes_on_from_the_state_of_its_prompt(self):
        self.host.reset()
        sampling = SamplingParams(temperature=0, max_tokens=100, ignore_eos=True)
        output = self.host.llm.generate([{"prompt_token_ids": PROMPTS[4]}], sampling, use_tqdm=False)[0]
        self.host.drain()
        self._nothing_is_held()
        longer = PROMPTS[4] + list(output.outputs[0].token_ids)
        self.host.reset()
        first = self._ask(longer)
        # The state of the prompt is there; the one at the end of the answer was never kept by vLLM.
        self.assertGreaterEqual(first.cached, _blocks(PROMPTS[4]) * hosts.BLOCK)
        self.host.reset()
        again = self._ask(longer)
        self.assertEqual(again.cached, _blocks(longer) * hosts.BLOCK)
        self.assertEqual(len(again.tokens), len(first.tokens))
        self.assertEqual(self.recorder().wrong, [])

    def test_7_a_load_that_is_late_is_given_up_and_computed(self):
        self.host.reset()
        self.recorder().holds_loads = True
        answer = self._ask(PROMPTS[1])
        self.recorder().holds_loads = False
        self._check(1, answer)
        self._nothing_is_held()

    def test_8_counters_reconcile(self):
        counters = self.host.counters()
        self.assertEqual(
            counters["roost_hit_blocks"] + counters["roost_miss_blocks"], counters["roost_lookup_blocks"]
        )
        known = self.scheduler.engine.stats()
        self.assertEqual(known["allocated"] + known["free"], known["capacity"])

    def test_9_what_is_not_supported_is_refused_with_a_reason(self):
        import torch

        def state(**changes):
            known = {"block_size": 32, "shapes": ((2, 8),), "dtypes": (torch.float32,), "mamba_cache_mode": "align"}
            return MambaSpec(**known | changes)

        def refusal(*specs, ranks=1):
            groups = [SimpleNamespace(kv_cache_spec=spec) for spec in specs]
            cache = SimpleNamespace(
                kv_cache_groups=groups, transfer_groups=groups, transfer_group_ids=list(range(len(groups)))
            )
            parallel = SimpleNamespace(
                decode_context_parallel_size=1, prefill_context_parallel_size=1, pipeline_parallel_size=1,
                tensor_parallel_size=ranks,
            )  # fmt: skip
            try:
                require_supported(SimpleNamespace(parallel_config=parallel), cache)
            except UnsupportedLayout as error:
                return str(error)
            return ""

        full = FullAttentionSpec(block_size=32, num_kv_heads=2, head_size=64, dtype=torch.float32)
        self.assertEqual(refusal(state(), full), "")
        self.assertIn("tensor parallelism", refusal(state(), full, ranks=2))
        self.assertIn("states alone", refusal(state()))
        self.assertIn("--mamba-cache-mode align", refusal(state(mamba_cache_mode="none"), full))
        self.assertIn("--mamba-cache-mode align", refusal(state(mamba_cache_mode="all"), full))
        self.assertIn("speculate", refusal(state(num_speculative_blocks=1), full))


if __name__ == "__main__":
    unittest.main(verbosity=2)
