"""`roost.devices` on the CPU and on mocks, whose streams are as late as the contract allows."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from roost import Layout, devices
from test_leases import failure

KINDS = ["cpu", *range(12)]


def opened(kind: str | int) -> devices.Device:
    """The CPU, or a mock under a seed."""
    return devices.open(kind) if isinstance(kind, str) else devices.mock(kind)


def bytes_of(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, count, dtype=np.uint8)


def content(block: devices.Block) -> np.ndarray:
    """What a block holds, after everything that its device was told to do."""
    block.device.wait(10)
    out = np.zeros(block.byte_count, np.uint8)
    stream = block.device.stream()
    stream.copy(out, block)
    stream.wait(10)
    return out


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_go_where_numpy_puts_them(kind: str | int) -> None:
    random = np.random.default_rng(kind if isinstance(kind, int) else 99)
    device = opened(kind)
    stream = device.stream()
    host, block = bytes_of(1, 5000), device.allocate(4000)
    stream.copy(block, host[:4000])
    wanted = host[:4000].copy()
    for _ in range(5):
        # Targets do not overlap: cut at random places, in random order.
        cuts = np.sort(random.choice(4000, 9, replace=False))
        rows = [(int(random.integers(0, 4800)), int(start), int(end - start)) for start, end in zip(cuts, cuts[1:])]
        rows = [(source, target, min(count, 5000 - source)) for source, target, count in rows]
        stream.copy(block, host, np.array(rows, dtype=np.uint64))
        for source, target, count in rows:
            wanted[target : target + count] = host[source : source + count]
    found = np.zeros(4000, np.uint8)
    stream.copy(found, block)
    stream.wait(10)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_runs_on_a_stream(kind: str | int) -> None:
    device = opened(kind)
    pages = np.arange(6 * 4 * 8 * 16, dtype=np.uint16).reshape(6, 4, 8, 16)
    source = Layout.from_tensor(pages, ["block", "head", "token", "dim"])
    tokens_outside = Layout.from_shape(["block", "token", "head", "dim"], [6, 8, 4, 16], 2)
    block = device.allocate(pages.nbytes)
    stream = device.stream(high_priority=True)
    stream.copy(block, pages, source.plan(tokens_outside))
    stream.wait(10)
    assert np.array_equal(content(block).view(np.uint16).reshape(6, 8, 4, 16), pages.transpose(0, 2, 1, 3))


def handed_over(seed: int, waits: bool) -> bool:
    """Whether what one stream writes is what another one reads, which may wait for it."""
    device = devices.mock(seed)
    writer, reader, blocks = device.stream(), device.stream(), device.allocate_many(8, 512)
    host, found = bytes_of(seed, 512), np.zeros(512, np.uint8)
    written = device.event()
    assert written.is_complete
    writer.copy(blocks[0], host)
    for source, target in zip(blocks, blocks[1:]):
        writer.copy(target, source)
    writer.record(written)
    if waits:
        reader.wait_for(written)
    reader.copy(found, blocks[-1])
    reader.wait(10)
    is_right = np.array_equal(found, host)
    # Nothing is left in flight for the tests that count.
    device.wait(10)
    return is_right


def test_a_stream_that_waits_for_an_event_sees_what_was_written_before_it() -> None:
    assert all(handed_over(seed, waits=True) for seed in range(60))
    # The mock shows who forgot to wait: else this test could not fail.
    assert not all(handed_over(seed, waits=False) for seed in range(60))


def test_events_tell_time_and_completion() -> None:
    device = devices.open("cpu")
    stream, block = device.stream(), device.allocate(1 << 20)
    start, end = stream.record(device.event()), device.event()
    stream.copy(block, bytes_of(1, 1 << 20))
    stream.record(end)
    end.wait(10)
    assert start.is_complete and end.is_complete and end.seconds_since(start) >= 0
    assert failure(end.seconds_since, device.event()).code == "invalidInput"
    stream.wait(10)
    assert stream.is_idle
    without = devices.mock(1, capabilities=["asynchronous-copy"])
    assert failure(without.event().seconds_since, without.event()).code == "unsupported"


def test_a_mock_offers_what_was_chosen_and_nothing_else() -> None:
    device = devices.mock(7, capabilities=["strided-copy", "event-timing"], memory_bytes=1 << 20, efficient_run_bytes=512)
    assert device.capabilities == {"strided-copy", "event-timing"}
    device.require("strided-copy")
    device.require()
    error = failure(device.require, "strided-copy", "collectives", "direct-storage")
    assert error.code == "unsupported" and "collectives" in str(error) and "strided-copy" not in str(error)
    error = failure(device.require, "stridedcopy")
    assert error.code == "invalidInput" and "'strided-copy'" in str(error)
    about = device.description
    assert about.uri == "mock:7" and about.memory_bytes == 1 << 20 and about.efficient_run_bytes == 512
    assert failure(lambda: devices.mock(capabilities=["collectives"])).code == "invalidInput"
    assert failure(lambda: devices.mock(memory_bytes=1 << 40)).code == "invalidInput"
    assert failure(lambda: devices.mock(-1)).code == "invalidInput"
    assert set(devices.CAPABILITIES) >= devices.mock().capabilities


def test_the_processor_is_there_and_others_are_missing_for_a_reason() -> None:
    findings = devices.survey()
    assert ("cpu:0", "host", "") in findings
    assert all(finding.reason for finding in findings if ":" not in finding.uri)
    with devices.open("cpu:0") as device:
        assert "host-addressable" in device.capabilities and "bfloat16" in device.description.data_types
        assert "cpu:0" in repr(device)
    device.close()
    assert failure(device.allocate, 10).code == "stale"
    assert failure(devices.open, "abacus:0").code == "notFound"
    assert failure(devices.open, "cpu:x").code == "invalidInput"
    with pytest.raises(TypeError):
        devices.open(7)  # type: ignore[arg-type]


def test_memory_is_counted_and_all_or_nothing() -> None:
    device = devices.mock(3, memory_bytes=1 << 20)
    assert device.memory() == (1 << 20, 1 << 20, 0, 0)
    blocks = device.allocate_many(10, 1000)
    memory = device.memory()
    # The device rounds up to its pages.
    assert memory.blocks == 10 and memory.block_bytes == 10_000 and memory.free == (1 << 20) - 10 * 4096
    assert len({block.address for block in blocks}) == 10
    assert failure(device.allocate_many, 300, 4096).code == "outOfResources"
    assert device.memory() == memory
    for block in blocks[:5]:
        block.free()
    blocks.clear()
    gc.collect()
    assert device.memory() == (1 << 20, 1 << 20, 0, 0)
    for count, byte_count in [(1, 0), (1, -1), (-1, 4096), (1 << 20, 1)]:
        assert failure(device.allocate_many, count, byte_count).code == "invalidInput"
    assert failure(device.allocate, 1 << 62).code == "outOfResources"
    assert device.allocate_many(0, 10) == []


def test_a_block_is_freed_once_and_not_used_after() -> None:
    device = devices.mock(5)
    block, stream = device.allocate(100), device.stream()
    assert not block.is_freed
    block.free()
    assert block.is_freed
    assert failure(block.free).code == "stale"
    assert failure(lambda: block.address).code == "stale"
    assert failure(stream.copy, block, bytes(100)).code == "stale"
    assert failure(block.migrate, devices.open("cpu"), 1).code == "stale"
    assert device.memory().blocks == 0


@pytest.mark.parametrize("seed", range(30))
def test_what_a_copy_uses_stays_until_it_has_ended(seed: int) -> None:
    device = devices.mock(seed)
    first, second, stream = device.allocate(3000), device.allocate(3000), device.stream()
    host, found = bytearray(bytes_of(seed, 3000).tobytes()), bytearray(3000)
    wanted = bytes(host)
    stream.copy(first, host)
    stream.copy(second, first)
    stream.copy(found, second)
    first.free()
    del second
    del host
    gc.collect()
    # Memory of the device, or kept under its feet: a mock fails a copy of memory that was given back.
    stream.wait(10)
    assert bytes(found) == wanted
    assert device.memory().blocks == 0 and devices._in_flight == []


def test_a_stream_that_is_dropped_does_what_it_was_told() -> None:
    device = devices.mock(11)
    block = device.allocate(2000)
    host = bytes_of(4, 2000)
    device.stream().copy(block, host)
    device_of_block = block.device
    del device
    gc.collect()
    assert np.array_equal(content(block), host)
    device_of_block.wait(10)
    assert devices._in_flight == []


def test_nothing_outside_of_either_side_is_ever_touched() -> None:
    device = devices.open("cpu")
    stream, block, host = device.stream(), device.allocate(1000), bytearray(500)
    before = bytes_of(2, 1000)
    stream.copy(block, before)
    rows = [(0, 0, 501), (501, 0, 0), (0, 1001, 0), (0, 600, 401), (1 << 63, 0, 1 << 63), (1, 0, (1 << 64) - 1), (0, 1 << 63, 2)]
    for row in rows:
        error = failure(stream.copy, block, host, np.array([(0, 0, 1), row], dtype=np.uint64))
        assert error.code == "invalidInput" and "piece 1" in str(error), row
    # All are checked before the first is made.
    good = np.array([(0, 0, 500)], dtype=np.uint64)
    assert failure(stream.copy_many, [(block, host, good), (block, host, None)]).code == "invalidInput"
    assert failure(stream.copy, block, host).code == "invalidInput"
    assert failure(stream.copy, host, bytearray(500)).code == "invalidInput"
    assert failure(stream.copy, bytes(1000), block).code == "invalidInput"
    assert failure(stream.copy, block, np.zeros((2, 1000), np.uint8)[:, :500]).code == "invalidInput"
    assert failure(stream.copy, block, 7).code == "unsupported"
    assert failure(stream.copy, block, host, np.zeros(4, np.uint64)).code == "invalidInput"
    other = devices.open("cpu")
    assert failure(stream.copy, block, other.allocate(1000)).code == "invalidInput"
    stream.copy(block, host, np.zeros((0, 3), np.uint64))
    assert np.array_equal(content(block), before)


def test_blocks_move_between_devices_and_stay_where_they_are_if_they_cannot() -> None:
    cpu, mock = devices.open("cpu"), devices.mock(9, memory_bytes=1 << 20)
    small, large = cpu.allocate(100_000), cpu.allocate(2 << 20)
    stream = cpu.stream()
    stream.copy_many([(small, bytes_of(1, 100_000), None), (large, bytes_of(2, 2 << 20), None)])
    stream.wait(10)
    assert small.migrate(cpu, 10) is small
    moved = small.migrate(mock, 10)
    assert small.is_freed and moved.device is mock and moved.byte_count == 100_000
    assert np.array_equal(content(moved), bytes_of(1, 100_000))
    assert cpu.memory().blocks == 1 and mock.memory().blocks == 1
    assert failure(large.migrate, mock, 10).code == "outOfResources"
    assert not large.is_freed and np.array_equal(content(large), bytes_of(2, 2 << 20))
    # Longer than what goes at a time.
    huge = cpu.allocate(80 << 20)
    pattern = np.arange(10 << 20, dtype=np.uint64)
    stream.copy(huge, pattern)
    stream.wait(30)
    assert np.array_equal(content(huge.migrate(devices.open("cpu"), 60)).view(np.uint64), pattern)


def test_what_has_no_buffer_but_dlpack_is_copied_too() -> None:
    class Tensor:
        def __init__(self, array: np.ndarray) -> None:
            self.array = array

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __dlpack__(self) -> object:
            return self.array.__dlpack__()

    device = devices.mock(2)
    block, stream = device.allocate(4096), device.stream()
    source, target = np.arange(1024, dtype=np.float32), np.zeros(1024, np.float32)
    stream.copy(block, Tensor(source))
    stream.copy(Tensor(target), block)
    stream.wait(10)
    assert np.array_equal(source, target)
    assert failure(stream.copy, block, Tensor(np.zeros((32, 64), np.float32)[:, :32])).code == "invalidInput"


def test_a_stream_goes_on_after_what_failed() -> None:
    device = devices.open("cpu")
    stream = device.stream()
    stream.reset()
    assert stream.close() and stream.close()
    assert failure(stream.wait, 1).code == "stale"
    assert failure(lambda: stream.is_idle).code == "stale"
    event = device.event()
    assert failure(device.stream().wait_for, devices.mock().event()).code == "invalidInput"
    assert event.is_complete


def test_many_threads_use_one_device() -> None:
    device = devices.open("cpu")
    wrong: list[object] = []

    def work(seed: int) -> None:
        try:
            stream = device.stream()
            for turn in range(20):
                host, found = bytes_of(seed * 100 + turn, 10_000), np.zeros(10_000, np.uint8)
                block = device.allocate(10_000)
                stream.copy(block, host)
                stream.copy(found, block)
                block.free()
                stream.wait(20)
                if not np.array_equal(host, found):
                    wrong.append((seed, turn))
        except Exception as error:  # Of a thread nobody else would hear.
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert device.memory().blocks == 0


def test_a_forked_child_opens_its_own() -> None:
    device = devices.open("cpu")
    stream, block = device.stream(), device.allocate(1000)
    stream.copy(block, bytes(1000))
    stream.wait(10)
    pid = os.fork()
    if pid == 0:
        try:
            right = failure(block.free).code == failure(stream.wait, 1).code == failure(device.memory).code == "stale"
            own = devices.open("cpu")
            mine, host = own.allocate(1000), bytes_of(1, 1000)
            there = own.stream()
            there.copy(mine, host)
            there.wait(10)
            os._exit(0 if right and np.array_equal(content(mine), host) else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


def test_an_interpreter_that_ends_waits_for_copies_of_its_memory() -> None:
    program = """
from roost import devices
device = devices.open("cpu")
block = device.allocate(64 << 20)
stream = device.stream()
for turn in range(3):
    stream.copy(block, bytearray(64 << 20))
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
