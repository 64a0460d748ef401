"""What happens to leases when things do not go as planned."""

from __future__ import annotations

import os
import signal
import threading
import traceback

import numpy as np
import pytest
import roost
from conftest import Cache, Device, eventually, submit
from test_whole_path import Remote


def failure(call: object, *arguments: object) -> roost.RoostError:
    with pytest.raises(roost.RoostError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value


def test_a_store_that_is_taken_back_before_any_worker_is_there_frees_its_slots(cache: Cache) -> None:
    hashes = cache.hashes(8)
    lease, out = cache.begin_store(1, hashes)
    cache.engine.hand_out(lease, 2)
    cache.engine.abort(lease)
    assert cache.ended() == [(lease, 1, roost.STORE, roost.CANCELLED, (), 0, 0.0)]
    assert cache.engine.stats()["free"] == 64
    # A worker that attaches now is told: it copies nothing under that lease.
    device = Device()
    worker = cache.attach(device)
    submit(worker, 5, roost.STORE, lease, list(range(8)), out)
    assert worker.poll() == [(5, roost.CANCELLED, tuple(range(8)), 0, 0.0)]
    worker.close()


def test_a_load_that_is_taken_back_waits_for_the_worker_and_is_never_copied_afterwards(cache: Cache) -> None:
    device = Device()
    worker = cache.attach(device)
    hashes = cache.hashes(8)
    cache.store(worker, 1, hashes, list(range(8)))
    before = device.memory.copy()
    lease, out = cache.begin_load(2, hashes)
    cache.engine.hand_out(lease, 1)
    cache.engine.end(lease)
    assert cache.ended()[0][:4] == (lease, 2, roost.LOAD, roost.CANCELLED)
    submit(worker, 6, roost.LOAD, lease, list(range(8, 16)), out)
    assert worker.wait(6, 10)[1] == roost.CANCELLED
    assert np.array_equal(device.memory, before)
    worker.close()


def test_a_job_in_one_call_is_what_its_parts_are(cache: Cache) -> None:
    device = Device()
    worker = cache.attach(device)
    hashes, later = cache.hashes(12), cache.hashes(4, seed=9)
    cache.store(worker, 1, hashes[: 8 * 32], list(range(8)))
    before = device.memory.copy()

    # Eight are stored, four are not.
    blocks = [20, 3, 21, 5, 22, 7, 23, 9, 24, 11, 25, 13]
    lease, sources, slots, others = cache.engine.begin_copies(
        roost.STORE, 2, cache.identity, hashes, 32, 0, blocks, 1, 5
    )
    assert np.frombuffer(sources, np.int32).tolist() == blocks[8:]
    assert np.frombuffer(others, np.int32).tolist() == blocks[:8]
    assert [entry[1:4] for entry in cache.engine.leases()] == [(2, roost.STORE, 4)]
    worker.submit(2, roost.STORE, 0, lease, sources, slots)
    assert worker.wait(2, 10)[1] == roost.DONE and cache.ended()[0][:4] == (lease, 2, roost.STORE, roost.DONE)

    # Twelve are stored now, the next four are not; the grants are those of `begin_load`.
    plain, grants = cache.begin_load(4, hashes)
    targets = list(range(40, 56))
    lease, wanted, slots, others = cache.engine.begin_copies(
        roost.LOAD, 3, cache.identity, hashes + later, 32, 0, targets, 1
    )
    assert np.frombuffer(wanted, np.int32).tolist() == targets[:12]
    assert np.frombuffer(others, np.int32).tolist() == targets[12:]
    assert np.array_equal(np.frombuffer(slots, np.uint32).reshape(-1, 2), grants[:, :2])
    worker.submit(3, roost.LOAD, 0, lease, wanted, slots)
    assert worker.wait(3, 10)[1] == roost.DONE and cache.ended()[0][:4] == (lease, 3, roost.LOAD, roost.DONE)
    for position in range(12):
        source = position if position < 8 else blocks[position]
        assert np.array_equal(device.pages([40 + position]), before[:, [source]]), position
    cache.engine.end(plain)

    assert cache.engine.begin_copies(roost.LOAD, 5, cache.identity, later, 32, 0, [1, 2, 3, 4], 1) == (
        0, b"", b"", np.array([1, 2, 3, 4], np.int32).tobytes()
    )  # fmt: skip
    assert cache.engine.leases() == []
    worker.close()


def test_a_job_that_cannot_be_handed_out_holds_nothing(cache: Cache) -> None:
    engine, hashes, blocks = cache.engine, cache.hashes(4), (0, 1, 2, 3)
    for verb in (roost.STORE, roost.LOAD):
        for shards in (0, 65):
            code = failure(engine.begin_copies, verb, 1, cache.identity, hashes, 32, 0, blocks, shards).code
            assert code == "invalidInput", (verb, shards)
            assert engine.leases() == [] and engine.stats()["allocated"] == (0 if verb == roost.STORE else 4)
        if verb == roost.STORE:
            lease, _ = cache.begin_store(1, hashes)
            engine.commit(lease)
    for wrong in ((0, 1, 2), (0, 1, 2, 3, 4), (0, 1, 2, -1), (0, 1, 2, 1 << 31)):
        code = failure(engine.begin_copies, roost.LOAD, 1, cache.identity, hashes, 32, 0, wrong, 1).code
        assert code == "invalidInput", wrong
    assert failure(engine.begin_copies, 2, 1, cache.identity, hashes, 32, 0, blocks, 1).code == "invalidInput"
    assert failure(engine.begin_copies, 1, 1, cache.identity, hashes, 31, 0, blocks, 1).code == "invalidInput"
    for unfit in ("0123", (0, 1, 2, None), 5):
        with pytest.raises(TypeError):
            engine.begin_copies(roost.LOAD, 1, cache.identity, hashes, 32, 0, unfit, 1)
    assert engine.leases() == []


def test_every_lease_of_a_request_is_reclaimed(cache: Cache) -> None:
    device = Device()
    worker = cache.attach(device)
    cache.store(worker, 1, cache.hashes(4), list(range(4)))
    first, _ = cache.begin_load(2, cache.hashes(4))
    second, _ = cache.begin_store(2, cache.hashes(4, seed=9))
    third, _ = cache.begin_load(3, cache.hashes(4))
    cache.engine.hand_out(second, 1)
    listed = {lease[0]: lease[1:4] for lease in cache.engine.leases()}
    assert listed == {first: (2, roost.LOAD, 4), second: (2, roost.STORE, 4), third: (3, roost.LOAD, 4)}
    assert [lease[5] for lease in cache.engine.leases() if lease[0] == second] == [True]
    assert cache.engine.leases(older_seconds=1000) == []

    assert cache.engine.reclaim(2) == 2
    assert cache.ended()[0][:4] == (second, 2, roost.STORE, roost.CANCELLED)
    eventually(lambda: [lease[0] for lease in cache.engine.leases()] == [third])
    cache.engine.end(third)
    assert cache.engine.reclaim(2) == 0
    worker.close()


def test_slots_of_a_withdrawn_store_are_not_used_again_before_the_worker_has_answered(cache: Cache) -> None:
    remote = Remote(cache, seed=1)
    pid = remote.process.pid
    assert pid is not None
    # The worker is stopped in its tracks: it can answer nothing. The signal alone does not say that it stands still.
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    try:
        lease, _ = cache.begin_store(1, cache.hashes(64))
        cache.engine.hand_out(lease, 1)
        cache.engine.abort(lease)
        assert cache.begin_store(2, cache.hashes(64, seed=5))[0] == 0
        assert cache.engine.poll() == [] and cache.engine.stats()["unkeyed"] == 64
    finally:
        os.kill(pid, signal.SIGCONT)
    assert cache.ended()[0][3] == roost.CANCELLED
    again, _ = cache.begin_store(3, cache.hashes(64, seed=5))
    assert again != 0
    cache.engine.abort(again)
    remote.stop()


def test_pages_whose_slots_were_given_away_are_reported_and_dropped(cache: Cache) -> None:
    device = Device()
    worker = cache.attach(device)
    hashes = cache.hashes(6)
    lease, out = cache.begin_store(1, hashes)
    cache.engine.hand_out(lease, 1)
    out[2, 1] += 1
    out[4, 0] = 63
    submit(worker, 1, roost.STORE, lease, list(range(6)), out)
    assert worker.wait(1, 10)[1:3] == (roost.PARTLY_FAILED, (2, 4))
    (end,) = cache.ended()
    assert end[3:5] == (roost.PARTLY_FAILED, (2, 4))
    worker.close()


def test_a_job_that_cannot_start_fails_its_lease(cache: Cache) -> None:
    device = Device(blocks=8)
    worker = cache.attach(device)
    lease, out = cache.begin_store(1, cache.hashes(2))
    cache.engine.hand_out(lease, 1)
    error = failure(submit, worker, 1, roost.STORE, lease, [0, 8], out)
    assert error.code == "invalidInput" and "block 8 of 8" in str(error)
    assert cache.ended()[0][3] == roost.LOST
    assert cache.match(cache.hashes(2)) == 0
    worker.close()


def test_a_lease_is_copied_once(cache: Cache) -> None:
    device = Device()
    worker = cache.attach(device)
    hashes = cache.hashes(4)
    lease, out = cache.begin_store(1, hashes)
    cache.engine.hand_out(lease, 1)
    assert failure(cache.engine.hand_out, lease, 1).code == "invalidInput"
    submit(worker, 1, roost.STORE, lease, [0, 1, 2, 3], out)
    worker.wait(1, 10)
    submit(worker, 2, roost.STORE, lease, [4, 5, 6, 7], out)
    assert worker.wait(2, 10)[1] == roost.CANCELLED
    assert cache.ended()[0][3] == roost.DONE
    assert failure(cache.engine.hand_out, lease, 1).code == "stale"
    worker.close()


def test_an_adopted_page_that_was_changed_is_missing_and_one_that_was_not_is_there(tmp_path: object) -> None:
    options = {"directory": str(tmp_path), "name": "kept", "keep": True}
    cache = Cache(**options)
    device = Device()
    worker = cache.attach(device)
    hashes = cache.hashes(4)
    _, out = cache.begin_store(1, hashes)
    cache.engine.reclaim(1)
    cache.store(worker, 1, hashes, [0, 1, 2, 3])
    worker.close()
    assert cache.engine.close(10) == 0

    chunk = sorted(tmp_path.glob("kept.roost/*chunk*")) or sorted(tmp_path.glob("kept.roost/*"))  # type: ignore[attr-defined]
    page = device.pages([1])[:, 0].tobytes()
    changed = 0
    for file in chunk:
        if not file.is_file():
            continue
        content = file.read_bytes()
        if (start := content.find(page)) >= 0:
            with file.open("r+b") as handle:
                handle.seek(start + 100)
                handle.write(bytes([content[start + 100] ^ 1]))
            changed += 1
    assert changed == 1

    second = Cache(**options)
    assert second.match(hashes) == 4
    lease, out = second.begin_load(2, hashes)
    assert out[:, 2].tolist() == [roost.LEASED, roost.MISSING, roost.LEASED, roost.LEASED]
    assert second.engine.stats()["corrupt"] == 1
    second.engine.end(lease)
    assert second.match(hashes) == 1
    second.engine.close()


@pytest.mark.parametrize("what", ["engine", "worker"])
def test_a_forked_child_gets_a_clear_error_and_may_open_its_own(cache: Cache, what: str) -> None:
    device = Device()
    worker = cache.attach(device)
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            try:
                cache.engine.stats() if what == "engine" else worker.poll()
                os.write(writer, b"no error")
            except roost.RoostError as error:
                own = Cache()
                own_worker = own.attach(device)
                own.store(own_worker, 1, own.hashes(4), [0, 1, 2, 3])
                os.write(writer, f"{error.code} {error}".encode())
        except BaseException:
            os.write(writer, traceback.format_exc().encode()[-900:])
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    text = os.read(reader, 1000).decode()
    assert text.startswith("stale") and "forked" in text
    # The parent's are as good as before.
    cache.store(worker, 1, cache.hashes(4), [0, 1, 2, 3])
    worker.close()


def test_many_threads_share_an_engine_and_a_worker(cache: Cache) -> None:
    device = Device(blocks=64)
    worker = cache.attach(device)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            blocks = list(range(8 * number, 8 * number + 8))
            for turn in range(20):
                request = 100 * (number + 1) + turn
                hashes = cache.hashes(8, seed=request)
                lease, out = cache.begin_store(request, hashes)
                if lease == 0:
                    continue
                taken = out[:, 2] == roost.ADMITTED
                cache.engine.hand_out(lease, 1)
                submit(worker, request, roost.STORE, lease, list(np.array(blocks)[taken]), out[taken])
                assert worker.wait(request, 20)[1] == roost.DONE
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    eventually(lambda: cache.engine.leases() == [])
    worker.close()
