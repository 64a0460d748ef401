"""The vLLM connector's two halves over the real engine, with the KV cache on a simulated accelerator.

Every class is the product's own but for the tensors, which torch could not make here, and vLLM itself: Tests/vllm/run has
the whole connector under vLLM's scheduler on the same accelerator. A copy that the host would make of device memory ends
the process.
"""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import roost
from accelerator import DeviceTensor, Driver, ForeignStream, Memory

# The package asks for vLLM when it is imported as a whole; its two halves do not.
_package = types.ModuleType("roost.vllm")
_package.__path__ = [str(Path(roost.__file__).parent / "vllm")]
sys.modules.setdefault("roost.vllm", _package)

from roost.vllm.accelerator import device_index, numbered  # noqa: E402
from roost.vllm.groups import Group  # noqa: E402
from roost.vllm.jobs import PoolTicket  # noqa: E402
from roost.vllm.pages import DevicePages, SlotLayout, WorkerPages  # noqa: E402
from roost.vllm.scheduler import SchedulerSide  # noqa: E402
from roost.vllm.worker import WorkerSide  # noqa: E402

SEED = 907
SIZES = {"L": 3, "B": 40, "H": 2, "N": 16, "C": 32}
ITEM, TOKENS = 2, SIZES["N"]
BLOCK_BYTES = SIZES["L"] * SIZES["H"] * SIZES["N"] * SIZES["C"] * ITEM
FLAVOURS = {
    "11.8": ("version=11080;capability=80", ("cuMemcpyBatchAsync", "cuMemcpyBatchAsync_v2")),
    "12.8": ("version=12080", ("cuMemcpyBatchAsync_v2",)),
    "13.0": ("version=13000", ()),
    "13.0 without registration": ("version=13000", ("cuMemHostRegister_v2",)),
}


class Request:
    """What the scheduler's half reads of vLLM's request."""

    def __init__(self, name: str, blocks: int, seed: int) -> None:
        self.request_id = name
        # One token more than whole blocks: the last one is always computed.
        self.num_prompt_tokens = self.num_tokens = blocks * TOKENS + 1
        tokens = np.random.default_rng(seed).integers(0, 32000, blocks * TOKENS, dtype=np.uint32)
        chain = roost.hash_tokens(tokens, TOKENS)
        self.block_hashes = [chain[start : start + 32] for start in range(0, len(chain), 32)]
        self.num_computed_tokens = self.num_in_flight_tokens = 0


class Serving:
    """vLLM's part: a KV cache on the accelerator, and the steps in their order."""

    def __init__(self, order: str = "LBHNC", uri: str = "cuda:0", device: str = "cuda", **options: object) -> None:
        self.order = order
        self.memory = Memory(uri, SIZES["B"] * BLOCK_BYTES)
        self.write(np.random.default_rng(SEED).integers(0, 256, self.memory.byte_count, dtype=np.uint8))
        pages = DevicePages.of(DeviceTensor.layers(self.memory, order, SIZES, ITEM), SIZES["B"])
        own = WorkerPages(0, 0, 1, 1, pages.layers, f"a test's {order}")
        slot = SlotLayout.compose([own])
        assert slot.page_bytes == BLOCK_BYTES
        group = Group("full", TOKENS)
        described = {"page_bytes": slot.page_bytes, **group.description}
        self.engine = roost.Engine(json.dumps({"groups": [described], "capacity": 64 * slot.page_bytes, **options}))
        assert self.engine.wait_ready(10)
        identity = self.engine.intern([("weights", b"a model"), ("tokens_per_block", b"16")])
        ticket = PoolTicket(self.engine.address, device, (slot,), ((0, 0),), 10.0, 10.0)
        self.scheduler = SchedulerSide(
            self.engine, ticket, lambda request: identity, groups=[group], hash_tokens=TOKENS, load="async", store="all"
        )
        self.opened: list[str] = []
        self.computes_on: int | None = None
        self.worker = WorkerSide(self._open, compute_stream=lambda: self.computes_on)
        self.worker.register([pages], [own])
        self.tables: dict[str, list[int]] = {}
        self.errors: set[int] = set()
        self.received: set[str] = set()
        """Requests whose loads are over."""

    def _open(self, ticket: PoolTicket) -> roost.Worker:
        self.opened.append(ticket.device)
        return roost.Worker(ticket.address, ticket.device, ticket.attach_timeout)

    def close(self) -> None:
        self.worker.close(10)
        self.engine.close(1)
        self.memory.close()

    def write(self, content: np.ndarray) -> None:
        self.memory.write(content)

    def page(self, block: int) -> bytes:
        """A block's bytes: layer by layer, head by head."""
        sizes = [SIZES[axis] for axis in self.order]
        cache = self.memory.read().view(np.uint16).reshape(sizes).transpose([self.order.index(axis) for axis in "BLHNC"])
        return cache[block].tobytes()

    def step(self) -> None:
        """One step, in which nothing is computed."""
        orders = self.scheduler.orders(lambda name: [self.tables[name]] if name in self.tables else None, (), True)
        self.worker.fence(orders)
        self.worker.load(orders)
        self.worker.store(orders)
        sent, received = self.worker.ended(orders)
        self.errors |= self.worker.take_errors()
        self.scheduler.reported(received or (), sent or (), self.worker.take_report())
        self.received |= received or set()

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            self.step()

    def until_let_go(self) -> None:
        """The engine hears over the pool's connection that copies have ended: a moment after whoever asked for them."""
        self.until(lambda: self.engine.leases() == [])

    def store(self, request: Request, blocks: list[int]) -> None:
        """A prompt that was computed, and whose copies have ended."""
        self.begin_store(request, blocks)
        self.end_store(request)

    def begin_store(self, request: Request, blocks: list[int]) -> None:
        self.scheduler.arrived(request)
        self.tables[request.request_id] = blocks
        self.scheduler.allocated(request, [blocks], 0)
        request.num_computed_tokens = request.num_tokens
        self.step()

    def end_store(self, request: Request) -> None:
        is_held = self.scheduler.finished(request, [self.tables.pop(request.request_id)])
        self.until(lambda: not self.scheduler.holds_blocks and not self.scheduler._jobs)
        assert not is_held or not self.worker._running

    def begin_load(self, request: Request, blocks: list[int]) -> int:
        """Matches and orders the load; the blocks that will come."""
        tokens, is_async = self.scheduler.match(request, 0)
        self.tables[request.request_id] = blocks
        self.scheduler.allocated(request, [blocks], tokens)
        assert is_async or tokens == 0
        return tokens // TOKENS

    def load(self, request: Request, blocks: list[int]) -> int:
        count = self.begin_load(request, blocks)
        self.until(lambda: request.request_id in self.received or count == 0)
        self.tables.pop(request.request_id)
        self.scheduler.finished(request, [blocks])
        return count


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    made = Driver(tmp_path)
    yield made
    made.recover()



@pytest.mark.parametrize(
    ("flavour", "order"),
    [(flavour, "LBHNC") for flavour in FLAVOURS] + [("13.0", order) for order in ("BLHNC", "BHLNC", "LBNHC")],
)
def test_prompts_survive_the_way_to_the_pool_and_into_other_blocks(tmp_path: Path, flavour: str, order: str) -> None:
    settings, lacking = FLAVOURS[flavour]
    driver = Driver(tmp_path, settings, lacking)
    bench = Serving(order)
    random = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    wanted: dict[int, list[bytes]] = {}
    for seed in range(4):
        blocks = [int(block) for block in random.choice(SIZES["B"], 9, replace=False)]
        bench.store(Request(f"store {seed}", 9, seed), blocks)
        wanted[seed] = [bench.page(block) for block in blocks]
    assert bench.opened == ["cuda:0"]
    # The device forgets; what comes back can only come from the pool.
    for seed in (2, 0, 3, 1):
        bench.write(np.full(bench.memory.byte_count, 0x7B, np.uint8))
        blocks = [int(block) for block in random.choice(SIZES["B"], 10, replace=False)]
        assert bench.load(Request(f"load {seed}", 9, seed), blocks) == 9
        assert [bench.page(block) for block in blocks[:9]] == wanted[seed]
        untouched = set(range(SIZES["B"])) - set(blocks[:9])
        assert all(bench.page(block) == b"\x7b" * BLOCK_BYTES for block in list(untouched)[:5])
    assert bench.errors == set()
    bench.until_let_go()
    bench.close()
    assert driver.leaks == [0] * 7


@pytest.mark.parametrize("code", [1, 304])
def test_copies_that_fail_are_reported_block_by_block_and_the_next_ones_work(driver: Driver, code: int) -> None:
    bench = Serving()
    first, second = list(range(8)), list(range(8, 16))
    bench.store(Request("a", 8, 1), first)
    bench.store(Request("b", 8, 2), second)
    wanted = [bench.page(block) for block in first + second]
    bench.write(np.full(bench.memory.byte_count, 0x7B, np.uint8))
    for symbol in ("cuMemcpyBatchAsync_v2", "cuLaunchKernel", "cuMemcpyAsync"):
        driver.control(f"fail={symbol}:1:{code}")
    # Two loads at once; one of them cannot be copied.
    one, two = Request("c", 8, 1), Request("d", 8, 2)
    assert bench.begin_load(one, list(range(16, 25))) == bench.begin_load(two, list(range(25, 34))) == 8
    bench.until(lambda: len(bench.received) == 2)
    assert bench.errors in (set(range(16, 24)), set(range(25, 33)), set(range(16, 24)) | set(range(25, 33)))
    for request, blocks, pages in ((one, range(16, 24), wanted[:8]), (two, range(25, 33), wanted[8:])):
        if not bench.errors & set(blocks):
            assert [bench.page(block) for block in blocks] == pages
        bench.tables.pop(request.request_id)
        bench.scheduler.finished(request, [list(blocks)])
    driver.control("reset=1")
    bench.errors.clear()
    # The pool still has both, and they can be loaded.
    for name, seed, pages in (("e", 1, wanted[:8]), ("f", 2, wanted[8:])):
        assert bench.load(Request(name, 8, seed), list(range(16, 25))) == 8
        assert [bench.page(block) for block in range(16, 24)] == pages
    assert bench.errors == set()
    bench.until_let_go()
    bench.close()


def test_a_store_that_fails_is_found_by_nobody(driver: Driver) -> None:
    bench = Serving()
    for symbol in ("cuMemcpyBatchAsync_v2", "cuLaunchKernel", "cuMemcpyAsync"):
        driver.control(f"fail={symbol}:0:1")
    bench.store(Request("a", 8, 1), list(range(8)))
    assert bench.scheduler.match(Request("b", 8, 1), 0) == (0, False)
    driver.control("reset=1")
    bench.store(Request("c", 8, 1), list(range(8)))
    assert bench.scheduler.match(Request("d", 8, 1), 0)[0] == 8 * TOKENS
    bench.until_let_go()
    bench.close()


def test_a_device_that_is_lost_fails_its_blocks_and_the_pool_keeps_its_pages(driver: Driver) -> None:
    bench = Serving()
    bench.store(Request("a", 8, 1), list(range(8)))
    driver.control("lost=0:719")
    for attempt in range(2):
        bench.errors.clear()
        blocks = list(range(10 + attempt, 19 + attempt))
        assert bench.load(Request(f"b{attempt}", 8, 1), blocks) == 8
        assert bench.errors == set(blocks[:8])
    assert bench.scheduler.match(Request("c", 8, 1), 0)[0] == 8 * TOKENS
    bench.until_let_go()
    bench.worker.close(5)
    bench.engine.close(1)


def compute(driver: Driver, bench: Serving) -> ForeignStream:
    stream = driver.foreign_stream(bench.memory.index)
    bench.computes_on = stream.handle
    return stream


def test_a_store_waits_for_what_was_computed_before_it(driver: Driver) -> None:
    bench = Serving("BLHNC")
    # Attached before: to open a device waits for what runs on it.
    bench.store(Request("z", 2, 9), [30, 31])
    stream = compute(driver, bench)
    stream.hold()
    stream.fill(bench.memory.address, 0x55, 8 * BLOCK_BYTES)
    request = Request("a", 8, 1)
    bench.begin_store(request, list(range(8)))
    assert len(bench.worker._running) == 1
    for _ in range(5):
        bench.step()
    assert len(bench.worker._running) == 1, "the store did not wait for the kernel"
    # What is computed after the store was submitted does not hold it up.
    stream.release()
    bench.end_store(request)
    bench.write(np.zeros(bench.memory.byte_count, np.uint8))
    assert bench.load(Request("b", 8, 1), list(range(20, 29))) == 8
    assert all(bench.page(block) == b"\x55" * BLOCK_BYTES for block in range(20, 28))
    stream.close()
    bench.close()


def test_a_load_waits_for_what_still_writes_its_blocks(driver: Driver) -> None:
    bench = Serving("BLHNC")
    bench.store(Request("a", 8, 1), list(range(8)))
    wanted = [bench.page(block) for block in range(8)]
    stream = compute(driver, bench)
    stream.hold()
    # As vLLM clears blocks that it has given to somebody: the kernel may come late.
    stream.fill(bench.memory.address + 20 * BLOCK_BYTES, 0, 9 * BLOCK_BYTES)
    assert bench.begin_load(Request("b", 8, 1), list(range(20, 29))) == 8
    for _ in range(5):
        bench.step()
    assert bench.received == set(), "the load did not wait for the kernel"
    stream.release()
    bench.until(lambda: bench.received == {"b"})
    assert [bench.page(block) for block in range(20, 28)] == wanted
    assert bench.errors == set()
    # Another stream from here on, and none.
    other = driver.foreign_stream(0)
    bench.computes_on = other.handle
    assert bench.load(Request("c", 8, 1), list(range(10, 19))) == 8
    bench.computes_on = None
    assert bench.load(Request("d", 8, 1), list(range(10, 19))) == 8
    assert [bench.page(block) for block in range(10, 18)] == wanted
    other.close()
    stream.close()
    bench.close()


def test_a_host_that_computes_has_no_stream_to_follow() -> None:
    engine = roost.Engine(json.dumps({"groups": [{"page_bytes": 4096, "tokens_per_block": 16}], "capacity": 1 << 20}))
    worker = roost.Worker(engine.address)
    with pytest.raises(roost.RoostError) as raised:
        worker.follow(0)
    assert raised.value.code == "unsupported"
    worker.follow(None)
    worker.close()
    engine.close(1)


@pytest.mark.parametrize(("device", "opened"), [("cuda", "cuda:1"), ("cuda:1", "cuda:1")])
def test_a_rank_copies_with_the_device_that_its_cache_lies_on(driver: Driver, device: str, opened: str) -> None:
    bench = Serving(uri="cuda:1", device=device)
    stream = compute(driver, bench)
    bench.store(Request("a", 8, 1), list(range(8)))
    wanted = [bench.page(block) for block in range(8)]
    bench.write(np.zeros(bench.memory.byte_count, np.uint8))
    assert bench.load(Request("b", 8, 1), list(range(20, 29))) == 8
    assert [bench.page(block) for block in range(20, 28)] == wanted
    assert bench.opened == [opened]
    stream.close()
    bench.close()


def test_a_cache_on_several_devices_is_refused() -> None:
    class On:
        def __init__(self, index: int | None) -> None:
            self.device = types.SimpleNamespace(index=index)

    assert device_index([]) is None and device_index([object()]) is None
    assert device_index([On(3), On(3)]) == 3
    with pytest.raises(ValueError, match="several devices"):
        device_index([On(0), On(1)])
    assert [numbered(name, 1) for name in ("cuda", "cuda:0", "auto")] == ["cuda:1", "cuda:0", "auto"]
    assert numbered("cpu", None) == "cpu"
