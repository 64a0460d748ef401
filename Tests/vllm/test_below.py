"""Waiting for pages below the pool, against a model of the engine and a clock of its own."""

from __future__ import annotations

import unittest

from roost import RoostError
from roost.vllm import below
from roost.vllm.config import ConfigurationError, Settings

BLOCK = 4
ABSENT, READY, LOWER = 0, 2, 3


class Request:
    def __init__(self, name: str, blocks: int):
        self.request_id = name
        self.num_tokens = blocks * BLOCK + 1
        self.hashes = b"".join(bytes([block]) * 16 for block in range(blocks))


class Engine:
    """States by block; prefetches as far as a test says."""

    def __init__(self, states: list[int]):
        self.states = states
        self.asked: list[tuple] = []
        self.progress: dict[int, tuple[int, int, int] | None] = {}
        self.ended: list[int] = []
        self.answer = 2
        self.fails = False

    def match_states(self, identity, hashes, stride, group, states):
        first = hashes[0]
        states[:] = self.states[first : first + len(hashes) // stride]

    def prefetch(self, request, identity, hashes, stride, group, timeout):
        if self.fails:
            raise RoostError("busy", "the cache is being emptied", {})
        self.asked.append((request, group, bytes(hashes[::stride]), timeout))
        number = len(self.asked)
        self.progress[number] = (len(hashes) // stride, 0, 0)
        return self.answer, number if self.answer == 2 else 0

    def prefetch_progress(self, prefetch):
        return self.progress[prefetch]

    def end_prefetch(self, prefetch):
        self.ended.append(prefetch)


class BelowTests(unittest.TestCase):
    def make(self, states: list[int], needs_all: bool = True) -> tuple[Engine, below.Below]:
        self.now = 100.0
        engine = Engine(states)
        return engine, below.Below(
            engine, self.keys, [below.Blocks(BLOCK, needs_all)], timeout=2.0, clock=lambda: self.now
        )

    def keys(self, request: Request, group: int) -> below.Keys | None:
        return below.Keys(41, 0, request.hashes, 16) if request.hashes else None

    def test_a_request_waits_until_its_pages_have_arrived(self):
        engine, side = self.make([READY, LOWER, LOWER, LOWER])
        request = Request("a", 4)
        self.assertTrue(side.is_bringing(request, 0))
        self.assertTrue(side.is_bringing(request, 0))
        self.assertEqual(engine.asked, [(41, 0, bytes([0, 1, 2, 3]), 2.0)])
        engine.progress[1] = (3, 2, 0)
        self.assertTrue(side.is_bringing(request, 0))
        engine.progress[1] = (3, 2, 1)
        self.assertFalse(side.is_bringing(request, 0))
        self.assertFalse(side.is_bringing(request, 0), "it waits once")
        self.assertEqual(len(engine.asked), 1)

    def test_nobody_waits_past_the_deadline(self):
        _, side = self.make([LOWER, LOWER])
        request = Request("a", 2)
        self.assertTrue(side.is_bringing(request, 0))
        self.now += 2.1
        self.assertFalse(side.is_bringing(request, 0))

    def test_what_lies_behind_a_gap_or_in_front_of_the_device_blocks_is_not_brought(self):
        engine, side = self.make([LOWER, LOWER, ABSENT, LOWER])
        self.assertTrue(side.is_bringing(Request("a", 4), BLOCK))
        self.assertEqual(engine.asked[0][2], bytes([1]))
        engine, side = self.make([READY, ABSENT, LOWER])
        self.assertFalse(side.is_bringing(Request("b", 3), 0))
        engine, side = self.make([ABSENT, LOWER], needs_all=False)
        self.assertTrue(side.is_bringing(Request("c", 2), 0), "a window needs only its last blocks")

    def test_nothing_below_or_computing_faster_is_no_wait(self):
        engine, side = self.make([READY, READY, ABSENT])
        self.assertFalse(side.is_bringing(Request("a", 3), 0))
        self.assertEqual(engine.asked, [])
        engine, side = self.make([LOWER])
        engine.answer = 1
        self.assertFalse(side.is_bringing(Request("b", 1), 0))
        engine, side = self.make([LOWER])
        engine.fails = True
        self.assertFalse(side.is_bringing(Request("c", 1), 0))
        engine, side = self.make([LOWER])
        nameless = Request("d", 1)
        nameless.hashes = b""
        self.assertFalse(side.is_bringing(nameless, 0))
        self.assertEqual(engine.asked, [])

    def test_the_last_token_is_computed_and_asks_for_nothing(self):
        engine, side = self.make([LOWER, LOWER])
        request = Request("a", 2)
        request.num_tokens = 2 * BLOCK
        self.assertTrue(side.is_bringing(request, 0))
        self.assertEqual(engine.asked[0][2], bytes([0]))

    def test_an_aborted_request_lets_go(self):
        engine, side = self.make([LOWER])
        request = Request("a", 1)
        self.assertTrue(side.is_bringing(request, 0))
        side.finished("a")
        self.assertEqual(engine.ended, [1])
        side.finished("nobody")

    def test_a_prefetch_that_the_engine_has_ended_is_over(self):
        engine, side = self.make([LOWER])
        request = Request("a", 1)
        self.assertTrue(side.is_bringing(request, 0))
        engine.progress[1] = None
        self.assertFalse(side.is_bringing(request, 0))

    def test_the_disk_needs_a_capacity_and_a_whole_path(self):
        with self.assertRaisesRegex(ConfigurationError, '"disk_capacity"'):
            Settings.resolve({"disk": "/var/lib/roost"}, {})
        with self.assertRaisesRegex(ConfigurationError, "from the root on"):
            Settings.resolve({"disk": "roost", "disk_capacity": "1GiB"}, {})
        with self.assertRaisesRegex(ConfigurationError, 'did you mean "disk_capacity"'):
            Settings.resolve({"disk_capacty": "1GiB"}, {})
        with self.assertRaisesRegex(ConfigurationError, "one of lru, hazard, arc"):
            Settings.resolve({"disk_policy": "hazrd"}, {})
        self.assertEqual(below.address("/a b", 5, "arc"), "disk:///a%20b?capacity=5&policy=arc")


if __name__ == "__main__":
    unittest.main(verbosity=2)
