"""The connector's two halves against a model of the engine: no vLLM process, every order of events that hurts."""

from __future__ import annotations

import ctypes
import itertools
import logging
import random
import unittest

import fake_core
import numpy as np
from roost import RoostError
from roost.vllm import scheduler as scheduler_module
from roost.vllm import worker as worker_module
from roost.vllm.config import ConfigurationError, Settings
from roost.vllm.groups import Group
from roost.vllm.jobs import LOAD, STORE, PoolTicket
from roost.vllm.pages import DevicePages, LayerPage, LayerSlot, SlotLayout, WorkerPages
from roost.vllm.scheduler import SchedulerSide
from roost.vllm.worker import WorkerSide

BLOCK = 4
PAGE = 8


class Request:
    """What the scheduler's half reads of vLLM's request."""

    def __init__(self, name: str, prompt: int, generated: int = 0, seed: int = 0):
        self.request_id = name
        self.num_prompt_tokens = prompt
        self.num_tokens = prompt + generated
        self.block_hashes = [bytes([seed, block]) * 16 for block in range(self.num_tokens // BLOCK)]
        self.num_computed_tokens = 0
        self.num_in_flight_tokens = 0


class Bench:
    """Both halves with one worker and a device of `count` blocks."""

    def __init__(
        self, count: int = 64, load: str = "async", store: str = "all", replicas: int = 1, layers: int = 1,
        ranges: int = 1,
    ):
        self.memory = (ctypes.c_ubyte * (count * PAGE))()
        self.piece = PAGE // layers
        self.layers = [f"layers.{number}" for number in range(layers)]
        parts = tuple(LayerPage(name, 1, 1, self.piece, True) for name in self.layers)
        own = WorkerPages(0, 0, replicas, replicas, parts, "test")
        slots = {name: LayerSlot(number * self.piece, self.piece, 1) for number, name in enumerate(self.layers)}
        slot = SlotLayout(slots, PAGE, "test", 1)
        config = '{"groups": [{"page_bytes": %d}], "capacity": %d}' % (PAGE, PAGE * 128)
        self.engine = fake_core.Engine(config)
        self.now = 0.0
        ticket = PoolTicket(self.engine.address, "cpu", (slot,), ((0, 0),), 1.0, 5.0)
        self.scheduler = SchedulerSide(
            self.engine, ticket, lambda request: 0, groups=[Group("full", BLOCK)], hash_tokens=BLOCK, load=load,
            store=store,
        )
        self.worker = WorkerSide(
            lambda ticket: fake_core.Worker(ticket.address), clock=lambda: self.now, ranges=ranges
        )
        memory = (ctypes.addressof(self.memory), count * PAGE)
        # Layer by layer, not page by page: the pieces of a page are no neighbours.
        places = tuple(
            (0, number * count * self.piece, self.piece, self.piece, self.piece) for number in range(layers)
        )
        pages = DevicePages((memory,), parts, places, count)
        self.worker.register([pages], [own])
        self.blocks: dict[str, list[int]] = {}
        """The table of the one group."""
        self.errors: set[int] = set()
        self.count = count
        self.passes: list[str] = []
        """The layers of the forward pass, as they ask for their pages."""
        self.look = lambda name: None
        """What is done where a layer would read its pages."""

    def step(self, preempted=(), idle=False):
        """One step of vLLM: orders, worker, outputs. Returns (sent, received)."""
        orders = self.orders(preempted, idle)
        self.worker.fence(orders)
        self.worker.load(orders)
        for name in self.passes:
            if self.worker.divided:
                self.worker.layer(name)
            self.look(name)
        self.worker.store(orders)
        sent, received = self.worker.ended(orders)
        self.errors = self.worker.take_errors()
        self.scheduler.reported(received or (), sent or (), self.worker.take_report())
        return sent, received

    def admit(self, request: Request, blocks: list[int]) -> int:
        """Match and allocation as vLLM's scheduler does them; returns the tokens that are loaded."""
        tokens, _ = self.scheduler.match(request, 0)
        self.blocks[request.request_id] = blocks
        self.scheduler.allocated(request, [blocks], tokens)
        return tokens

    def orders(self, preempted, idle):
        return self.scheduler.orders(lambda name: [self.blocks[name]] if name in self.blocks else None, preempted, idle)

    def compute(self, request: Request, blocks: list[int]) -> None:
        """The whole prompt is computed and its outputs are seen."""
        for position, block in enumerate(blocks):
            self.fill(block, position + 1)
        request.num_computed_tokens = request.num_tokens

    def fill(self, block: int, value: int) -> None:
        for layer in range(len(self.layers)):
            place = (layer * self.count + block) * self.piece
            ctypes.memset(ctypes.addressof(self.memory) + place, value, self.piece)

    def page(self, block: int) -> bytes:
        pieces = (
            bytes(self.memory[place * self.piece : (place + 1) * self.piece])
            for place in range(block, len(self.layers) * self.count, self.count)
        )
        return b"".join(pieces)

    def stored(self, name: str, prompt: int, blocks: list[int]) -> None:
        """A request whose prompt lies in the pool afterwards."""
        request = Request(name, prompt)
        self.admit(request, blocks)
        self.compute(request, blocks)
        self.step()
        self.scheduler.finished(request, [blocks])
        self.blocks.pop(name)
        self.step()


class SchedulerAndWorker(unittest.TestCase):
    def setUp(self):
        for module in (scheduler_module, worker_module):
            module.RoostError = fake_core.RoostError
            self.addCleanup(setattr, module, "RoostError", RoostError)

    def test_a_stored_prompt_is_loaded_into_other_blocks_with_its_bytes(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])
        again = Request("b", 17)
        self.assertEqual(bench.admit(again, [10, 11, 12, 13, 14]), 16)
        sent, received = bench.step()
        self.assertEqual(received, {"b"})
        for position, block in enumerate([10, 11, 12, 13]):
            self.assertEqual(bench.page(block), bytes([position + 1]) * PAGE)

    def test_the_last_token_is_always_computed(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])
        self.assertEqual(bench.admit(Request("b", 16), [5, 6, 7, 8]), 12)

    def test_a_request_is_matched_with_one_call(self):
        bench = Bench()
        bench.engine.calls.clear()
        bench.scheduler.match(Request("a", 33), 0)
        self.assertEqual(bench.engine.calls, ["match"])

    def test_what_vllm_has_itself_is_not_asked_for(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])
        bench.engine.calls.clear()
        self.assertEqual(bench.scheduler.match(Request("b", 17), 16), (0, False))
        self.assertEqual(bench.engine.calls, [])
        self.assertEqual(bench.scheduler.match(Request("c", 17), 8)[0], 8)

    def test_a_prompt_is_stored_only_when_its_outputs_were_seen(self):
        bench = Bench()
        request = Request("a", 16)
        bench.admit(request, [1, 2, 3, 4])
        request.num_computed_tokens, request.num_in_flight_tokens = 16, 16
        bench.step()
        self.assertNotIn("begin_store", bench.engine.calls)
        request.num_in_flight_tokens = 0
        bench.step()
        self.assertIn("begin_store", bench.engine.calls)

    def test_a_finished_request_keeps_its_blocks_until_its_stores_end(self):
        bench = Bench()
        request = Request("a", 16)
        bench.admit(request, [1, 2, 3, 4])
        bench.compute(request, [1, 2, 3, 4])
        bench.step(idle=True)
        core = bench.worker._core
        core.hold = True
        more = Request("b", 16, seed=1)
        bench.admit(more, [5, 6, 7, 8])
        bench.compute(more, [5, 6, 7, 8])
        bench.step()
        self.assertTrue(bench.scheduler.finished(more, [[5, 6, 7, 8]]))
        self.assertTrue(bench.scheduler.holds_blocks)
        self.assertEqual(bench.step(idle=True)[0], None)
        core.hold = False
        self.assertEqual(bench.step(idle=True)[0], {"b"})
        self.assertFalse(bench.scheduler.holds_blocks)

    def test_a_finished_request_without_jobs_gives_its_blocks_back_at_once(self):
        bench = Bench()
        request = Request("a", 16)
        bench.admit(request, [1, 2, 3, 4])
        bench.compute(request, [1, 2, 3, 4])
        bench.step()
        bench.step()
        self.assertFalse(bench.scheduler.finished(request, [[1, 2, 3, 4]]))

    def test_generated_blocks_are_stored_at_the_end_unless_only_prompts_are_wanted(self):
        for mode, expected in (("all", 24), ("prompt", 16), ("none", 0)):
            bench = Bench(store=mode)
            request = Request("a", 16, generated=9)
            bench.admit(request, list(range(1, 8)))
            request.num_computed_tokens = 24
            bench.step()
            bench.scheduler.finished(request, [list(range(1, 8))])
            bench.step()
            bench.step()
            self.assertEqual(bench.scheduler.match(Request("b", 40), 0)[0], expected, mode)

    def test_a_preempted_request_has_its_stores_ended_before_the_next_step_writes(self):
        bench = Bench()
        bench.stored("z", 8, [30, 31])
        request = Request("a", 16, seed=2)
        bench.admit(request, [1, 2, 3, 4])
        bench.compute(request, [1, 2, 3, 4])
        core = bench.worker._core
        core.hold = True
        bench.step()
        core.hold = False
        orders = bench.orders({"a"}, False)
        self.assertEqual(len(orders.fence), 1)
        bench.worker.fence(orders)
        self.assertEqual(core.queue, [])

    def test_a_request_preempted_between_steps_and_then_aborted_has_its_stores_ended_too(self):
        bench = Bench()
        request = Request("a", 16, seed=2)
        bench.admit(request, [1, 2, 3, 4])
        bench.compute(request, [1, 2, 3, 4])
        bench.step(idle=True)
        core = bench.worker._core
        core.hold = True
        more = Request("b", 16, seed=3)
        bench.admit(more, [5, 6, 7, 8])
        bench.compute(more, [5, 6, 7, 8])
        bench.step()
        # vLLM has taken the blocks back, and says so only with the next step.
        self.assertTrue(bench.scheduler.finished(more, [[]]))
        core.hold = False
        orders = bench.orders({"b"}, False)
        self.assertEqual(len(orders.fence), 1)
        bench.worker.fence(orders)
        self.assertEqual(core.queue, [])

    def test_a_request_whose_weights_cannot_be_told_is_computed_and_said_once(self):
        bench = Bench()

        def identify(request):
            raise FileNotFoundError("no such adapter")

        bench.scheduler._identify = identify
        logging.disable(logging.NOTSET)
        self.addCleanup(logging.disable, logging.WARNING)
        with self.assertLogs("vllm.roost", "WARNING") as said:
            for name in "ab":
                request = Request(name, 16)
                self.assertEqual(bench.admit(request, [1, 2, 3, 4]), 0)
                bench.compute(request, [1, 2, 3, 4])
                bench.step()
                self.assertFalse(bench.scheduler.finished(request, [[1, 2, 3, 4]]))
                bench.blocks.pop(name)
        self.assertEqual(len(said.output), 1)
        self.assertNotIn("begin_store", bench.engine.calls)

    def test_a_failed_position_is_reported_as_its_block_and_not_tried_again(self):
        for load in ("async", "sync"):
            bench = Bench(load=load)
            bench.stored("a", 16, [1, 2, 3, 4])
            again = Request("b", 17)
            bench.admit(again, [10, 11, 12, 13, 14])
            bench.worker._core.failing = {bench.engine.next - 1: (1, 3)}
            _, received = bench.step()
            self.assertEqual(bench.errors, {11, 13})
            self.assertEqual(received, {"b"} if load == "async" else None)
            self.assertEqual(bench.scheduler.match(again, 0), (0, False))

    def test_pages_that_are_gone_between_match_and_lease_are_reported_as_failed(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])
        again = Request("b", 17)
        tokens, _ = bench.scheduler.match(again, 0)
        for key in list(bench.engine.pages)[2:]:
            bench.engine.free.append(bench.engine.pages.pop(key))
        bench.scheduler.allocated(again, [[10, 11, 12, 13, 14]], tokens)
        _, received = bench.step()
        self.assertEqual((bench.errors, received), ({12, 13}, {"b"}))

    def test_a_load_whose_pages_are_all_gone_fails_without_a_lease(self):
        for load in ("async", "sync"):
            bench = Bench(load=load)
            bench.stored("a", 16, [1, 2, 3, 4])
            again = Request("b", 17)
            tokens, _ = bench.scheduler.match(again, 0)
            bench.engine.reset(0)
            bench.scheduler.allocated(again, [[10, 11, 12, 13, 14]], tokens)
            _, received = bench.step()
            self.assertEqual(bench.errors, {10, 11, 12, 13})
            self.assertEqual(received, {"b"} if load == "async" else None)

    def test_a_late_load_is_cancelled_and_reported_when_it_has_ended(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])
        bench.admit(Request("b", 17), [10, 11, 12, 13, 14])
        bench.worker._core.hold = True
        self.assertEqual(bench.step(), (None, None))
        bench.now = 4.0
        self.assertEqual(bench.step(), (None, None))
        bench.now = 6.0
        self.assertEqual(bench.step(), (None, None))
        self.assertEqual(bench.step(), (None, {"b"}))
        self.assertEqual(bench.errors, {10, 11, 12, 13})

    def test_a_request_aborted_while_it_loads_is_given_back_by_the_load_alone(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])
        again = Request("b", 17)
        bench.admit(again, [10, 11, 12, 13, 14])
        bench.worker._core.hold = True
        bench.step()
        self.assertFalse(bench.scheduler.finished(again, [[10, 11, 12, 13]]))
        self.assertEqual(bench.step(), (None, {"b"}))

    def test_a_worker_that_cannot_attach_computes_everything(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])

        def refuse(ticket):
            raise fake_core.RoostError("notFound", "no pool there")

        lost = WorkerSide(refuse, clock=lambda: 0.0)
        lost.register(bench.worker._pages, bench.worker.identity)
        bench.worker = lost
        bench.scheduler._is_announced = False
        with self.assertLogs("vllm.roost", "ERROR"):
            self.assertEqual(bench.admit(Request("b", 17), [10, 11, 12, 13, 14]), 16)
            self.assertEqual(bench.step(), (None, {"b"}))
        self.assertEqual(bench.errors, {10, 11, 12, 13})
        store = Request("c", 16, seed=3)
        bench.admit(store, [20, 21, 22, 23])
        bench.compute(store, [20, 21, 22, 23])
        bench.step()
        self.assertEqual([lease for lease in bench.engine.live.values() if lease["verb"] == STORE], [])
        self.assertFalse(bench.scheduler.finished(store, [[20, 21, 22, 23]]))

    def _divided(self, ranges: int = 3) -> Bench:
        """Four layers in ranges, and a prompt of four blocks in the pool."""
        bench = Bench(load="sync", layers=4, ranges=ranges)
        bench.passes = bench.layers
        bench.stored("a", 16, [1, 2, 3, 4])
        return bench

    def test_each_layer_waits_for_its_own_range_and_the_first_one_first(self):
        bench = self._divided()
        again = Request("b", 17)
        bench.admit(again, [10, 11, 12, 13, 14])
        seen = []

        def look(name):
            right = [bench.page(block) for block in (10, 11, 12, 13)]
            layers = [layer for layer in range(4) if all(page[2 * layer] == place + 1 for place, page in enumerate(right))]
            seen.append((name, [index for _, index in bench.worker._core.arrived], layers))

        bench.look = look
        self.assertEqual(bench.step(), (None, None))
        self.assertEqual(
            seen,
            [
                ("layers.0", [0], [0, 1]),
                ("layers.1", [0], [0, 1]),
                ("layers.2", [0, 1], [0, 1, 2]),
                ("layers.3", [0, 1, 2], [0, 1, 2, 3]),
            ],
        )
        self.assertEqual((bench.errors, bench.worker._running), (set(), {}))
        self.assertEqual(bench.worker._core.verbs[-1], fake_core.LOAD_DIVIDED)
        bench.scheduler.collect()
        self.assertEqual(bench.engine.live, {})

    def test_a_layer_of_another_name_waits_for_everything(self):
        bench = self._divided()
        bench.admit(Request("b", 17), [10, 11, 12, 13, 14])
        bench.passes = ["another", *bench.layers]
        seen = []
        bench.look = lambda name: seen.append(len(bench.worker._core.arrived))
        bench.step()
        self.assertEqual((seen, bench.errors), ([3] * 5, set()))

    def test_asynchronous_loads_are_not_divided(self):
        bench = Bench(load="async", layers=4, ranges=4)
        bench.passes = bench.layers
        bench.stored("a", 16, [1, 2, 3, 4])
        bench.admit(Request("b", 17), [10, 11, 12, 13, 14])
        self.assertEqual(bench.step(), (None, {"b"}))
        self.assertEqual((bench.worker._core.verbs[-1], bench.worker._core.arrived), (LOAD, []))

    def test_a_failed_position_of_a_divided_load_is_reported_as_its_block(self):
        bench = self._divided()
        again = Request("b", 17)
        bench.admit(again, [10, 11, 12, 13, 14])
        bench.worker._core.failing = {bench.engine.next - 1: (1, 3)}
        bench.step()
        self.assertEqual(bench.errors, {11, 13})
        self.assertEqual(bench.scheduler.match(again, 0), (0, False))

    def test_a_late_range_is_cancelled_and_the_whole_load_has_failed(self):
        bench = self._divided()
        bench.admit(Request("b", 17), [10, 11, 12, 13, 14])
        bench.look = lambda name: setattr(bench.worker._core, "hold", True)
        bench.step()
        self.assertEqual(bench.worker._core.arrived, [(bench.engine.next - 1, 0)])
        self.assertEqual((bench.errors, bench.worker._running), ({10, 11, 12, 13}, {}))

    def test_pages_of_layers_that_did_not_wait_are_computed_and_later_loads_are_whole(self):
        for asked in ([], ["layers.0", "layers.1", "layers.2"]):
            bench = self._divided()
            bench.admit(Request("b", 17), [10, 11, 12, 13, 14])
            bench.passes = asked
            with self.assertLogs("vllm.roost", "ERROR"):
                bench.step()
            self.assertEqual((bench.errors, bench.worker._running), ({10, 11, 12, 13}, {}))
            bench.stored("c", 16, [20, 21, 22, 23])
            bench.admit(Request("d", 17), [30, 31, 32, 33, 34])
            bench.step()
            self.assertEqual((bench.worker._core.verbs[-1], bench.errors), (LOAD, set()))

    def test_a_reset_drops_what_was_not_sent_and_stores_nothing_of_who_lives(self):
        bench = Bench()
        bench.stored("z", 8, [30, 31])
        request = Request("a", 16, generated=9, seed=4)
        bench.admit(request, list(range(1, 8)))
        request.num_computed_tokens = 24
        self.assertTrue(bench.scheduler.reset(1.0))
        bench.step()
        self.assertFalse(bench.scheduler.finished(request, [list(range(1, 8))]))
        self.assertEqual(len(bench.engine.pages), 0)

    def test_replicas_share_the_writing_of_a_page(self):
        own = WorkerPages(0, 1, 2, 2, (), "x")
        side = WorkerSide(lambda ticket: None)
        side.register([DevicePages((), (), (), 1)], [own])
        from roost.vllm.jobs import Job

        slots = np.array([[4, 1], [5, 1], [7, 1], [8, 1]], dtype=np.uint32).tobytes()
        every = np.arange(4, dtype=np.int32).tobytes()
        job = Job(1, STORE, "a", every, slots)
        _, chosen = side._share(job)
        self.assertEqual((job.numbers(), np.frombuffer(chosen, np.uint32)[::2].tolist()), ([1, 2], [5, 7]))
        blocks, _ = side._share(Job(1, LOAD, "a", every, slots))
        self.assertEqual(blocks, every)

    def test_counters_reconcile(self):
        bench = Bench()
        bench.stored("a", 16, [1, 2, 3, 4])
        bench.admit(Request("b", 25), [10, 11, 12, 13, 14, 15, 16])
        bench.step()
        counts = bench.scheduler.tally.take()
        self.assertEqual(counts["hit_blocks"] + counts["miss_blocks"], counts["lookup_blocks"])
        self.assertEqual(counts["hit_blocks"], 4)

    def test_random_lives_never_give_a_block_back_under_a_job(self):
        """Requests come, load, compute, are preempted, aborted and finished in random order, with copies that end late;
        a block that vLLM may reuse is never read or written by a job."""
        for seed in range(60):
            with self.subTest(seed=seed):
                _Lives(self, seed).run(120)


class _Lives:
    """Drives both halves as vLLM would and watches the device blocks."""

    def __init__(self, test: unittest.TestCase, seed: int):
        self.test = test
        self.random = random.Random(seed)
        self.bench = Bench(count=96, load=self.random.choice(["sync", "async", "auto"]))
        self.free = list(range(96))
        self.live: dict[str, tuple[Request, list[int]]] = {}
        self.loading: set[str] = set()
        self.held: dict[str, list[int]] = {}
        self.names = (f"r{number}" for number in itertools.count())

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.random.choice([self.arrive, self.arrive, self.compute, self.finish, self.finish, self.preempt])()
            self.step(())
        core = self.bench.worker._core
        if core is not None:
            core.hold = False
        while self.live:
            self.finish()
            self.step(())
        for _ in range(4):
            self.step(())
        self.test.assertEqual(sorted(self.free), list(range(96)))
        self.test.assertEqual(self.bench.engine.live, {})

    def arrive(self) -> None:
        blocks = self.random.randrange(1, 8)
        if len(self.free) < blocks + 1:
            return
        request = Request(next(self.names), blocks * BLOCK + 1, seed=self.random.randrange(3))
        tokens, is_async = self.bench.scheduler.match(request, 0)
        own = [self.free.pop() for _ in range(blocks + 1)]
        self.bench.blocks[request.request_id] = own
        self.bench.scheduler.allocated(request, [own], tokens)
        self.live[request.request_id] = (request, own)
        if is_async:
            self.loading.add(request.request_id)

    def compute(self) -> None:
        for name in self.live.keys() - self.loading:
            request, _ = self.live[name]
            request.num_computed_tokens = request.num_tokens

    def finish(self) -> None:
        if not self.live:
            return
        name = self.random.choice(sorted(self.live))
        request, own = self.live.pop(name)
        self.bench.blocks.pop(name, None)
        kept = self.bench.scheduler.finished(request, [own])
        if kept or name in self.loading:
            self.held[name] = own
        else:
            self.give_back(own)

    def preempt(self) -> None:
        ready = sorted(self.live.keys() - self.loading)
        if not ready:
            return
        name = self.random.choice(ready)
        request, own = self.live.pop(name)
        self.bench.blocks.pop(name, None)
        self.step((name,))
        self.bench.scheduler.finished(request, [[]])
        self.give_back(own)

    def give_back(self, blocks: list[int]) -> None:
        self.free += blocks
        self.check()

    def check(self) -> None:
        core = self.bench.worker._core
        free = set(self.free)
        for job, _, _, blocks, _ in core.queue if core is not None else ():
            self.test.assertFalse(free & set(blocks.tolist()), f"job {job} uses a free block")

    def step(self, preempted) -> None:
        core = self.bench.worker._core
        if core is not None:
            core.hold = self.random.random() < 0.6
            if preempted:
                core.hold = False
        sent, received = self.bench.step(preempted)
        for name in (sent or set()) | (received or set()):
            self.loading.discard(name)
            if name in self.held:
                self.give_back(self.held.pop(name))
        self.check()


class Groups(unittest.TestCase):
    def test_a_group_needs_every_block_that_holds_what_its_kind_sees(self):
        source = random.Random(5)
        for _ in range(500):
            block, window = source.choice([4, 8, 16]), source.randrange(0, 60)
            length = source.randrange(0, 20) * block
            for kind, seen in (("full", length), ("window", min(window, length)), ("state", min(1, length))):
                first, count = Group(kind, block, window_tokens=window).needed(length)
                expected = {token // block for token in range(length - seen, length)}
                self.assertEqual(set(range(first, first + count)), expected, (kind, block, window, length))


class Configuration(unittest.TestCase):
    def test_an_unknown_key_is_refused_with_the_nearest(self):
        with self.assertRaisesRegex(ConfigurationError, 'did you mean "capacity"'):
            Settings.resolve({"capcity": "1GiB"}, {})

    def test_an_almost_right_variable_is_refused(self):
        with self.assertRaisesRegex(ConfigurationError, "did you mean ROOST_CAPACITY"):
            Settings.resolve({}, {"ROOST_CAPACTY": "1GiB"})

    def test_other_variables_of_roost_are_left_alone(self):
        Settings.resolve({}, {"ROOST_CACHE": "/somewhere", "ROOST_TEST_LARGE_TRACES": "1"})

    def test_the_same_key_in_three_places_is_taken_from_the_nearest(self):
        import json
        import tempfile

        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({"capacity": "3GiB", "policy": "lru", "store": "prompt"}, file)
            file.flush()
            environment = {"ROOST_CAPACITY": "2GiB", "ROOST_POLICY": "fifo", "ROOST_CONFIG": file.name}
            settings = Settings.resolve({"capacity": "1GiB"}, environment)
        self.assertEqual((settings.capacity, settings.policy, settings.store), (1 << 30, "fifo", "prompt"))

    def test_a_value_of_the_wrong_kind_says_what_it_must_be(self):
        for extra in ({"capacity": "lots"}, {"load": "maybe"}, {"load_timeout": -1}, {"keep": "perhaps"}):
            with self.assertRaisesRegex(ConfigurationError, "must be"):
                Settings.resolve(extra, {})

    def test_keep_needs_a_place_and_a_name(self):
        with self.assertRaisesRegex(ConfigurationError, "directory"):
            Settings.resolve({"keep": True}, {})


class TensorLayouts(unittest.TestCase):
    """`roost.Layout.from_tensor` of torch's tensors, against what torch itself copies."""

    def _views(self, torch, dtype):
        whole = torch.arange(2 * 5 * 3 * 4 * 6).to(dtype).view(2, 5, 3, 4, 6)
        yield "contiguous", whole
        yield "transposed", whole.transpose(1, 3)
        yield "permuted", whole.permute(4, 2, 0, 3, 1)
        yield "every other", whole[:, ::2, :, 1::2]
        yield "cut", whole[1:, 2:4, :, :3, 5:]
        yield "moved", whole.clone().movedim(0, 4)

    def test_every_element_lies_where_torch_has_it(self):
        import torch
        from roost import Layout

        names = ["a", "b", "c", "d", "e"]
        for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.int8, torch.float64):
            for kind, view in self._views(torch, dtype):
                with self.subTest(dtype=str(dtype), kind=kind):
                    layout = Layout.from_tensor(view, names)
                    self.assertEqual([layout.extent(name) for name in names], list(view.shape))
                    dense = torch.zeros(view.shape, dtype=dtype)
                    plan = layout.plan(Layout.from_tensor(dense, names))
                    for source, target, size in plan.pieces(view.data_ptr(), dense.data_ptr()).tolist():
                        ctypes.memmove(target, source, size)
                    self.assertTrue(torch.equal(dense, view))
                    self.assertEqual(plan.byte_count, view.numel() * view.element_size())

    def test_a_tensor_without_memory_and_one_that_needs_a_gradient_have_layouts_too(self):
        import torch
        from roost import Layout

        for tensor in (torch.empty(4, 6, device="meta").t(), torch.zeros(4, 6, requires_grad=True).t()):
            (plane,) = Layout.from_tensor(tensor, ["x", "y"]).planes
            self.assertEqual(plane.axes, (("x", 6, 4), ("y", 4, 24)))


class Layouts(unittest.TestCase):
    """Copy parts against brute force: every byte of every page of every rank, for each way vLLM lays tensors out."""

    def _tensor(self, torch, order: str, layers: int, blocks: int, heads: int, tokens: int, content: int):
        sizes = {"L": layers, "B": blocks, "H": heads, "N": tokens, "C": content}
        raw = torch.arange(layers * blocks * heads * tokens * content, dtype=torch.int32)
        view = raw.view([sizes[axis] for axis in order]).permute([order.index(axis) for axis in "LBHNC"])
        return {f"model.layers.{layer}.attn": view[layer] for layer in range(layers)}

    def _slot_bytes(self, pages: DevicePages, parts, block: int, page_bytes: int, into: bytearray) -> None:
        covered = 0
        for region, offset, stride, size, place in parts:
            pointer, length = pages.regions[region]
            start = offset + block * stride
            self.assertLessEqual(start + size, length)
            into[place : place + size] = ctypes.string_at(pointer + start, size)
            covered += size
        return covered

    def test_any_tensor_parallel_size_reads_the_same_slot_where_heads_lie_outside_tokens(self):
        import torch

        heads, layers, blocks, tokens, content = 4, 3, 5, 2, 6
        for order in ("LBHNC", "BLHNC", "BHLNC", "LHBNC"):
            whole = self._tensor(torch, order, layers, blocks, heads, tokens, content)
            slots: dict[int, list[bytes]] = {}
            for size in (1, 2, 4):
                found = [bytearray(layers * heads * tokens * content * 4) for _ in range(blocks)]
                workers, caches = [], []
                for rank in range(size):
                    own = heads // size
                    tensors = self._tensor(torch, order, layers, blocks, own, tokens, content)
                    for name, tensor in tensors.items():
                        tensor.copy_(whole[name][:, rank * own : (rank + 1) * own])
                    pages = DevicePages.of(tensors, blocks)
                    caches.append((pages, tensors))
                    workers.append(WorkerPages(0, rank, size, 1, pages.layers, "x"))
                slot = SlotLayout.compose(workers)
                self.assertEqual(slot.inner_format, "x")
                for worker, (pages, _) in zip(workers, caches):
                    parts = pages.copy_parts(slot, worker.part)
                    for block in range(blocks):
                        self._slot_bytes(pages, parts, block, slot.page_bytes, found[block])
                slots[size] = [bytes(page) for page in found]
            self.assertEqual(slots[1], slots[2])
            self.assertEqual(slots[1], slots[4])
            expected = b"".join(whole[name][2].contiguous().numpy().tobytes() for name in whole)
            self.assertEqual(slots[1][2], expected, order)

    def test_heads_inside_tokens_are_kept_by_rank_and_the_format_says_so(self):
        import torch

        tensors = self._tensor(torch, "LBNHC", 2, 3, 2, 4, 6)
        pages = DevicePages.of(tensors, 3)
        slots = [
            SlotLayout.compose([WorkerPages(0, rank, size, 1, pages.layers, "x") for rank in range(size)])
            for size in (1, 2)
        ]
        outside = DevicePages.of(self._tensor(torch, "LBHNC", 2, 3, 2, 4, 6), 3)
        formats = {slot.inner_format for slot in slots}
        formats.add(SlotLayout.compose([WorkerPages(0, 0, 1, 1, outside.layers, "x")]).inner_format)
        self.assertEqual(len(formats), 3, "pages of the same size with other bytes inside")

    def test_layers_are_divided_by_depth_into_ranges_about_equal(self):
        names = [f"model.layers.{number}.attn" for number in (10, 2, 0, 9, 1)]
        layers = tuple(LayerPage(name, 1, 1, 8, True) for name in names)
        own = WorkerPages(0, 0, 1, 1, layers, "test")
        slot = SlotLayout.compose([own])
        pages = DevicePages((), layers, (), 4)
        for count, bounds, expected in (
            (1, [], [0, 0, 0, 0, 0]),
            (2, [24], [0, 0, 0, 1, 1]),
            (3, [16, 32], [0, 0, 1, 1, 2]),
            (5, [8, 16, 24, 32], [0, 1, 2, 3, 4]),
            (9, [8, 16, 24, 32], [0, 1, 2, 3, 4]),
        ):
            cut, range_of = pages.ranges(slot, count)
            self.assertEqual(cut, bounds)
            self.assertEqual([range_of[f"model.layers.{number}.attn"] for number in (0, 1, 2, 9, 10)], expected)

    def test_a_page_of_one_layer_and_rank_is_one_run(self):
        import torch

        pages = DevicePages.of(self._tensor(torch, "LBHNC", 3, 5, 4, 2, 6), 5)
        slot = SlotLayout.compose([WorkerPages(0, 0, 1, 1, pages.layers, "x")])
        self.assertEqual(len(pages.copy_parts(slot, 0)), 3)
        packed = DevicePages.of(self._tensor(torch, "BLHNC", 3, 5, 4, 2, 6), 5)
        self.assertEqual(len(packed.copy_parts(slot, 0)), 1)

    def test_kernel_blocks_that_split_a_block_stay_with_their_head(self):
        import torch

        blocks, ratio, heads = 3, 2, 2
        tensors = self._tensor(torch, "LBHNC", 1, blocks * ratio, heads, 4, 6)
        pages = DevicePages.of(tensors, blocks)
        slot = SlotLayout.compose([WorkerPages(0, 0, 1, 1, pages.layers, "x")])
        page = bytearray(slot.page_bytes)
        covered = self._slot_bytes(pages, pages.copy_parts(slot, 0), 1, slot.page_bytes, page)
        (tensor,) = tensors.values()
        expected = b"".join(
            tensor[1 * ratio + piece, head].contiguous().numpy().tobytes()
            for head in range(heads)
            for piece in range(ratio)
        )
        self.assertEqual((covered, bytes(page)), (slot.page_bytes, expected))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    unittest.main()
