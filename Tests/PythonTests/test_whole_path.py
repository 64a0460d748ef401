"""From Python to the pool and back, with the worker in this process and in another one."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

import numpy as np
import pytest
import roost
from conftest import Cache, Device, submit


def test_what_was_stored_is_found_and_loaded_by_the_same_process(cache: Cache) -> None:
    device = Device()
    worker = cache.attach(device)
    hashes = cache.hashes(20)
    wanted = device.pages(list(range(20)))
    assert cache.match(hashes) == 0

    end = cache.store(worker, 7, hashes, list(range(20)))
    assert end[1:6] == (7, roost.STORE, roost.DONE, (), 20 * 6144)
    assert cache.match(hashes) == 20

    assert cache.load(worker, 8, hashes, list(range(20, 40)))[1:3] == (roost.DONE, ())
    assert np.array_equal(device.pages(list(range(20, 40))), wanted)
    (end,) = cache.ended()
    assert end[1:4] == (8, roost.LOAD, roost.DONE)
    # The job's result was taken by `load`; the store's is still there to take.
    assert [result[0] for result in worker.poll()] == [7]
    assert cache.engine.leases() == []
    assert worker.close()


def worker_process(address: str, seed: int, shard: int, shards: int, pipe: Connection) -> None:
    """A worker that does what it is told: a job, and then tells its result and its pages."""
    device = Device(seed=seed)
    worker = roost.Worker(address)
    worker.register(0, shard, shards, device.regions, device.parts, device.blocks)
    pipe.send("ready")
    while (order := pipe.recv()) is not None:
        job, verb, lease, blocks, out = order
        submit(worker, job, verb, lease, blocks, out)
        pipe.send((worker.wait(job, 10), device.pages(blocks)))
    worker.close()


class Remote:
    """A worker in another process, started afresh: nothing of this one is inherited."""

    def __init__(self, cache: Cache, seed: int, shard: int = 0, shards: int = 1) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        arguments = (cache.engine.address, seed, shard, shards, theirs)
        self.process = context.Process(target=worker_process, args=arguments, daemon=True)
        self.process.start()
        assert self.pipe.recv() == "ready"

    def order(self, job: int, verb: int, lease: int, blocks: list[int], out: np.ndarray) -> None:
        self.pipe.send((job, verb, lease, blocks, out))

    def stop(self) -> None:
        self.pipe.send(None)
        self.process.join(20)
        assert self.process.exitcode == 0


def test_what_one_process_stored_is_loaded_by_another(cache: Cache) -> None:
    first, second = Remote(cache, seed=1), Remote(cache, seed=2)
    hashes = cache.hashes(20)
    lease, out = cache.begin_store(1, hashes)
    cache.engine.hand_out(lease, 1)
    first.order(1, roost.STORE, lease, list(range(20)), out)
    result, stored = first.pipe.recv()
    assert result[:3] == (1, roost.DONE, ())
    assert cache.ended()[0][:4] == (lease, 1, roost.STORE, roost.DONE)
    assert cache.match(hashes) == 20

    lease, out = cache.begin_load(2, hashes)
    cache.engine.hand_out(lease, 1)
    second.order(2, roost.LOAD, lease, list(range(40, 60)), out)
    result, loaded = second.pipe.recv()
    assert result[:3] == (2, roost.DONE, ())
    assert np.array_equal(loaded, stored)
    assert cache.ended()[0][:4] == (lease, 2, roost.LOAD, roost.DONE)
    first.stop()
    second.stop()


def test_a_store_becomes_visible_when_all_shards_have_reported(cache: Cache) -> None:
    first, second = Remote(cache, seed=1, shard=0, shards=2), Remote(cache, seed=2, shard=1, shards=2)
    hashes = cache.hashes(4)
    lease, out = cache.begin_store(1, hashes)
    cache.engine.hand_out(lease, 2)
    first.order(1, roost.STORE, lease, [0, 1, 2, 3], out)
    assert first.pipe.recv()[0][1] == roost.DONE
    assert cache.engine.poll() == [] and cache.match(hashes) == 0
    second.order(1, roost.STORE, lease, [0, 1, 2, 3], out)
    assert cache.ended()[0][3] == roost.DONE
    assert cache.match(hashes) == 4
    first.stop()
    second.stop()


def test_a_store_is_given_up_when_a_worker_dies(cache: Cache) -> None:
    first, second = Remote(cache, seed=1, shard=0, shards=2), Remote(cache, seed=2, shard=1, shards=2)
    hashes = cache.hashes(4)
    lease, out = cache.begin_store(1, hashes)
    cache.engine.hand_out(lease, 2)
    first.order(1, roost.STORE, lease, [0, 1, 2, 3], out)
    first.pipe.recv()
    second.process.kill()
    assert cache.ended()[0][:4] == (lease, 1, roost.STORE, roost.LOST)
    assert cache.match(hashes) == 0
    assert cache.engine.stats()["allocated"] == 0
    # Nobody serves that shard any more: what is handed out now is lost at once.
    lease, out = cache.begin_store(2, hashes)
    cache.engine.hand_out(lease, 2)
    assert cache.engine.poll() == []
    first.order(2, roost.STORE, lease, [0, 1, 2, 3], out)
    first.pipe.recv()
    assert cache.ended()[0][:4] == (lease, 2, roost.STORE, roost.LOST)
    first.stop()


def test_an_engine_without_workers_has_no_address() -> None:
    cache = Cache(accepts_workers=False)
    assert cache.engine.address == ""
    with pytest.raises(roost.RoostError) as failure:
        roost.Worker("unix:@roost-nobody", timeout=1)
    assert failure.value.code == "notFound"
    cache.engine.close()
