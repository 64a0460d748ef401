"""A model that mixes windows and full attention on a real vLLM: one engine in this process, every loaded page compared.

Gemma-3's order: three layers with a window of 128 tokens, one with full attention; vLLM makes four groups of them.
"""

from __future__ import annotations

import os
import time
import unittest
from pathlib import Path

import host as hosts

hosts.prepare(in_process=True)

from vllm import SamplingParams  # noqa: E402
from vllm.config import KVEventsConfig  # noqa: E402
from vllm.distributed.kv_events import MEDIUM_CPU, BlockRemoved, BlockStored  # noqa: E402
from vllm.distributed.kv_transfer import get_kv_transfer_group  # noqa: E402

SEED = 41
FAMILIES = 3
PROMPTS = hosts.prompts(9, SEED, families=FAMILIES)
WINDOW_BLOCKS = 128 // hosts.BLOCK
FULL_GROUPS, GROUPS = 1, 4


def _blocks(prompt: list[int]) -> int:
    return (len(prompt) - 1) // hosts.BLOCK


class Windows(unittest.TestCase):
    """The tests build on one another, in this order."""

    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        model = Path(os.environ["ROOST_TEST_MODELS"]) / "gemma"
        events = {"kv_events_config": KVEventsConfig(enable_kv_cache_events=True, publisher="null")}
        spec = hosts.Spec(model=str(model), in_process=True, settings={"load_timeout": 1.0}, tokens=6, arguments=events)
        cls.host = hosts.Host(spec)
        cls.events = []
        cls.host.core.scheduler.kv_event_publisher.publish = lambda batch: cls.events.extend(batch.events)
        cls.recorder = staticmethod(cls.host.record())
        cls.scheduler = cls.host.core.scheduler.connector.scheduler_side
        cls.worker = get_kv_transfer_group().worker_side
        cls.own = cls.host.own_hits(PROMPTS)

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    @classmethod
    def _ask(cls, prompt, **extra):
        answer = cls.host.ask(prompt, **extra)
        cls.host.drain()
        return answer

    def _check(self, number: int, answer):
        self.assertEqual(self.own[number].differs(answer), "", f"prompt {number}")
        self.assertEqual(self.recorder().wrong, [])

    def _nothing_is_held(self):
        self.assertEqual((self.scheduler._borrowed, self.scheduler._held, self.worker._loading), ({}, {}, {}))
        deadline = time.monotonic() + 10
        while self.scheduler.engine.leases() and time.monotonic() < deadline:
            time.sleep(0.01)  # the engine hears of a copy's end a moment after the worker
        self.assertEqual(self.scheduler.engine.leases(), [])
        self.assertTrue(all(not track.kept for track in self.scheduler._tracks.values()))

    def test_1_the_third_prompt_with_a_common_beginning_loads_it(self):
        """The first stores the window at its own end; the second sees where they part, and stores that one too."""
        for number, prompt in enumerate(PROMPTS):
            self.host.reset()
            answer = self._ask(prompt)
            self._check(number, answer)
            common = _common(prompt, PROMPTS[number % FAMILIES]) if number >= 2 * FAMILIES else 0
            self.assertEqual(answer.cached, common // hosts.BLOCK * hosts.BLOCK, f"prompt {number}")
        self._nothing_is_held()

    def test_2_a_warm_load_takes_of_windows_only_what_they_still_see(self):
        for number, prompt in enumerate(PROMPTS):
            self.host.reset()
            self.recorder().loaded.clear()
            answer = self._ask(prompt)
            self._check(number, answer)
            self.assertEqual(answer.cached, self.own[number].cached)
            blocks = _blocks(prompt)
            expected = [blocks] * FULL_GROUPS + [min(blocks, WINDOW_BLOCKS)] * (GROUPS - FULL_GROUPS)
            self.assertEqual(sorted(count for _, count in self.recorder().loaded), sorted(expected))
        self._nothing_is_held()

    def test_3_requests_at_the_same_time_load_side_by_side(self):
        self.host.reset()
        for number, answer in enumerate(self.host.ask_all(PROMPTS)):
            self._check(number, answer)
        self.host.drain()
        self._nothing_is_held()

    def test_4_a_load_completes_what_vllm_has_itself(self):
        self.host.reset()
        for number, prompt in enumerate(PROMPTS):
            self._check(number, self._ask(prompt))

    def test_5_a_page_that_fails_in_any_group_has_the_request_computed(self):
        before = self.host.counters()["roost_failed_blocks"]
        for position in (0, WINDOW_BLOCKS - 1):
            self.host.reset()
            self.recorder().fail_positions = (position,)
            answer = self._ask(PROMPTS[0])
            self.recorder().fail_positions = ()
            self._check(0, answer)
        blocks = _blocks(PROMPTS[0])
        loaded = FULL_GROUPS * blocks + (GROUPS - FULL_GROUPS) * min(blocks, WINDOW_BLOCKS)
        self.assertEqual(self.host.counters()["roost_failed_blocks"] - before, 2 * loaded)
        self._nothing_is_held()

    def test_6_a_late_load_is_given_up_and_computed(self):
        self.host.reset()
        self.recorder().holds_loads = True
        start = time.monotonic()
        answer = self._ask(PROMPTS[1])
        self.recorder().holds_loads = False
        self._check(1, answer)
        self.assertGreater(time.monotonic() - start, 1.0)
        self._nothing_is_held()

    def test_7_an_abort_in_the_middle_of_a_load_leaves_no_lease_and_no_block(self):
        self.host.reset()
        self.recorder().holds_loads = True
        engine = self.host.llm.llm_engine
        name = engine.add_request("aborted", {"prompt_token_ids": PROMPTS[2]}, SamplingParams(max_tokens=16))
        for _ in range(3):
            engine.step()
        self.assertEqual(len(self.worker._running), GROUPS)
        engine.abort_request([name or "aborted"])
        for _ in range(3):
            engine.step()
        self.recorder().holds_loads = False
        self.host.drain()
        self._nothing_is_held()
        self.host.reset()
        self._check(2, self._ask(PROMPTS[2]))

    def test_8_a_conversation_goes_on_from_its_generated_end(self):
        self.host.reset()
        sampling = SamplingParams(temperature=0, max_tokens=200, ignore_eos=True)
        output = self.host.llm.generate([{"prompt_token_ids": PROMPTS[4]}], sampling, use_tqdm=False)[0]
        self.host.drain()
        self._nothing_is_held()
        self.host.reset()
        longer = PROMPTS[4] + list(output.outputs[0].token_ids)
        self.assertEqual(self._ask(longer).cached, _blocks(longer) * hosts.BLOCK)
        self.assertEqual(self.recorder().wrong, [])

    def test_9_counters_reconcile(self):
        counters = self.host.counters()
        self.assertEqual(
            counters["roost_hit_blocks"] + counters["roost_miss_blocks"], counters["roost_lookup_blocks"]
        )
        known = self.scheduler.engine.stats()
        self.assertEqual(known["allocated"] + known["free"], known["capacity"])


    def test_9a_events_tell_what_the_pool_holds(self):
        self._check(0, self._ask(PROMPTS[0]))
        self.assertEqual(len(self._told()), self.scheduler.engine.stats()["allocated"])
        stored = [event for event in self.events if isinstance(event, BlockStored) and event.medium == MEDIUM_CPU]
        specs = {
            (event.group_idx, event.kv_cache_spec_kind, event.kv_cache_spec_sliding_window, event.block_size)
            for event in stored
        }
        windows = {(number, "sliding_window", 128, hosts.BLOCK) for number in range(GROUPS - FULL_GROUPS)}
        self.assertEqual(specs, windows | {(GROUPS - 1, "full_attention", None, hosts.BLOCK)})
        others = [event for event in self.events if event not in stored]
        on_device = {name for event in others for name in getattr(event, "block_hashes", ())}
        self.assertLessEqual({name for _, name in self._told()}, on_device, "the hashes are vLLM's")
        self.assertTrue(self.host.llm.reset_prefix_cache(reset_connector=True))
        self._check(0, self._ask(PROMPTS[0]))
        self.assertEqual(len(self._told()), self.scheduler.engine.stats()["allocated"])

    def _told(self) -> set[tuple[int, bytes]]:
        """Group and hash of what is there, if the events are right."""
        self._nothing_is_held()
        self.host.ask([300, 301, 302])  # vLLM publishes with a step
        self.host.drain()
        held: set[tuple[int, bytes]] = set()
        for event in self.events:
            names = {(event.group_idx, name) for name in getattr(event, "block_hashes", ())}
            if isinstance(event, BlockStored) and event.medium == MEDIUM_CPU:
                self.assertFalse(held & names, "stored twice")
                held |= names
            elif isinstance(event, BlockRemoved) and event.medium == MEDIUM_CPU:
                self.assertLessEqual(names, held)
                held -= names
        return held


def _common(prompt: list[int], other: list[int]) -> int:
    """Tokens that two prompts have in common from the beginning on."""
    for position, (mine, theirs) in enumerate(zip(prompt, other)):
        if mine != theirs:
            return position
    return min(len(prompt), len(other))


if __name__ == "__main__":
    unittest.main(verbosity=2)
