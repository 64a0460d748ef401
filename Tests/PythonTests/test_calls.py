"""Every call with what it should take and with what it should not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import roost
from conftest import PAGE_BYTES, Cache, Device, eventually
from test_leases import failure


def test_an_identity_is_the_same_whatever_the_order_and_another_for_every_difference(cache: Cache) -> None:
    fields = [("weights", b"w"), ("salt", b"s"), ("tokens_per_block", b"16")]
    identity = cache.engine.intern(fields)
    assert cache.engine.intern(fields[::-1]) == identity
    assert cache.engine.intern([*fields[:2], ("tokens_per_block", b"32")]) != identity
    # The border between two fields counts.
    assert cache.engine.intern([("weights", b"ws"), ("salt", b""), fields[2]]) != identity
    error = failure(cache.engine.intern, [("wieghts", b"w")])
    assert error.code == "invalidInput" and "'weights'" in str(error)
    assert failure(cache.engine.intern, [("salt", b"1"), ("salt", b"2")]).code == "invalidInput"
    assert failure(cache.engine.intern, [("weights_epoch", b"-1")]).code == "invalidInput"
    with pytest.raises(TypeError):
        cache.engine.intern([("salt", "text")])  # type: ignore[list-item]


def test_blocks_of_another_identity_are_never_found(cache: Cache) -> None:
    worker = cache.attach(Device())
    hashes = cache.hashes(4)
    cache.store(worker, 1, hashes, [0, 1, 2, 3])
    other = cache.engine.intern([("weights", b"another model")])
    assert cache.engine.match(other, hashes, 32) == 0
    assert cache.engine.forget([("weights", b"another model")]) == 0
    assert cache.match(hashes) == 4
    assert cache.engine.forget([("weights", b"a model"), ("tokens_per_block", b"16")]) == 4
    assert cache.match(hashes) == 0
    worker.close()


def test_the_state_of_every_block_is_told(cache: Cache) -> None:
    worker = cache.attach(Device())
    hashes = cache.hashes(6)
    cache.store(worker, 1, hashes[: 2 * 32], [0, 1])
    lease, _ = cache.begin_store(2, hashes[: 4 * 32])
    states = np.full(6, 9, dtype=np.uint8)
    assert cache.engine.match_states(cache.identity, hashes, 32, 0, states) == 2
    assert states.tolist() == [2, 2, 1, 1, 0, 0]
    cache.engine.abort(lease)
    worker.close()


def test_hashes_of_sixteen_bytes_will_do_and_are_not_those_of_thirty_two(cache: Cache) -> None:
    short = bytes(range(16)) + bytes(range(16, 32))
    out = np.zeros((2, 3), dtype=np.uint32)
    lease = cache.engine.begin_store(1, cache.identity, short, 16, 0, out)
    cache.engine.commit(lease)
    assert cache.engine.match(cache.identity, short, 16) == 2
    assert cache.engine.match(cache.identity, short[:16] + bytes(16), 32) == 0


def test_groups_are_matched_together() -> None:
    groups = [
        {"page_bytes": PAGE_BYTES, "tokens_per_block": 16},
        {"page_bytes": PAGE_BYTES, "tokens_per_block": 16, "kind": "window", "window_tokens": 32},
        {"page_bytes": PAGE_BYTES, "tokens_per_block": 32, "kind": "state"},
    ]
    cache = Cache(groups=groups)
    fine, coarse = cache.hashes(8), cache.hashes(4, seed=3)

    def publish(group: int, hashes: bytes, request: int) -> None:
        out = np.zeros((len(hashes) // 32, 3), dtype=np.uint32)
        cache.engine.commit(cache.engine.begin_store(request, cache.identity, hashes, 32, group, out))

    def match(tokens_max: int) -> tuple:
        wanted = [(fine, 32), (fine, 32), (coarse, 32)]
        return cache.engine.match_groups(cache.identity, wanted, tokens_max)

    publish(0, fine, 1)
    assert match(128) == (0, [(0, 0), (0, 0), (0, 0)])
    publish(1, fine[4 * 32 :], 2)
    publish(2, coarse, 3)
    assert match(128) == (128, [(0, 8), (6, 2), (3, 1)])
    # A load of 64 tokens would need the window's blocks 2 and 3, which nobody stored.
    assert match(64 + 31) == (0, [(0, 0), (0, 0), (0, 0)])
    assert match(96) == (96, [(0, 6), (4, 2), (2, 1)])
    assert failure(cache.engine.match_groups, cache.identity, [(fine, 32)], 128).code == "invalidInput"
    cache.engine.close()


def test_events_tell_what_can_be_found_and_what_cannot_any_more() -> None:
    cache = Cache(slots=4, events_max=6, policy="lru")
    worker = cache.attach(Device())
    first, second = cache.hashes(4), cache.hashes(4, seed=1)
    cache.store(worker, 1, first, [0, 1, 2, 3])
    events = cache.engine.events()
    assert {event[3] for event in events} == {first[at : at + 32] for at in range(0, 128, 32)}
    assert [event[:3] for event in events] == [("stored", cache.identity, 0)] * 4
    cache.store(worker, 2, second, [0, 1, 2, 3])
    # Four went, four came, six are kept.
    assert [event[0] for event in cache.engine.events(max=3)] == ["removed"] * 2 + ["stored"]
    assert [event[0] for event in cache.engine.events()] == ["stored"] * 3
    assert cache.engine.stats()["events_dropped"] == 2
    worker.close()
    cache.engine.close()


def test_reset_waits_for_leases_and_forgets_everything(cache: Cache) -> None:
    worker = cache.attach(Device())
    hashes = cache.hashes(4)
    cache.store(worker, 1, hashes, [0, 1, 2, 3])
    lease, _ = cache.begin_load(2, hashes)
    error = failure(cache.engine.reset, 0.01)
    assert error.code == "timedOut" and "request 2" in str(error)
    assert cache.match(hashes) == 4
    cache.engine.end(lease)
    cache.engine.reset(1)
    assert cache.match(hashes) == 0 and cache.engine.stats()["free"] == 64
    worker.close()


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"capcity": 1}, "'capacity'"),
        ({"polcy": "lru"}, "'policy'"),
        ({"policy": "best"}, "lru"),
        ({"verify": "always"}, "adopted"),
        ({"capacity": "much"}, "4GiB"),
        ({"capacity": -1}, "16 TiB"),
        ({"capacity": 1.5}, "capacity"),
        ({"keep": True}, "directory"),
        ({"groups": []}, "groups"),
        ({"groups": [{"page_bytes": 1}]}, "tokens_per_block"),
        ({"groups": [{"page_bytes": 0, "tokens_per_block": 1}]}, "size"),
        ({"groups": [{"page_bytes": 1, "tokens_per_block": 1, "kind": "window"}]}, "window_tokens"),
        ({"watermark": {"start": 2}}, "watermark"),
        ({"slots_max": 0}, "slot"),
        ({"name": "a/b"}, "letters"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_word_of_help(change: dict, hint: str) -> None:
    config = {"groups": [{"page_bytes": 4096, "tokens_per_block": 16}], "capacity": 1 << 20, **change}
    error = failure(roost.Engine, json.dumps(config))
    assert error.code in ("invalidInput", "notFound") and hint in f"{error} {error.context}"


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"groups": 1}', '{"a":1,"a":2}', "\x00", "\udc80"])
def test_what_is_no_configuration_is_refused(text: str) -> None:
    with pytest.raises((roost.RoostError, UnicodeEncodeError)):
        roost.Engine(text)


def test_wrong_arguments_are_errors_and_never_more(cache: Cache) -> None:
    hashes = cache.hashes(2)
    engine, identity = cache.engine, cache.identity
    out = np.zeros((2, 3), dtype=np.uint32)
    assert failure(engine.match, identity + 1, hashes, 32).code == "invalidInput"
    assert failure(engine.match, identity, hashes, 33).code == "invalidInput"
    assert failure(engine.match, identity, hashes, 0).code == "invalidInput"
    assert failure(engine.match, identity, hashes, 8).code == "invalidInput"
    assert failure(engine.match, identity, hashes, 32, 1).code == "invalidInput"
    assert failure(engine.match, -1, hashes, 32).code == "invalidInput"
    assert failure(engine.match, 1 << 80, hashes, 32).code == "invalidInput"
    assert failure(engine.begin_store, (1 << 64) - 1, identity, hashes, 32, 0, out).code == "invalidInput"
    assert failure(engine.begin_store, 1, identity, hashes, 32, 0, out[:1]).code == "invalidInput"
    assert failure(engine.begin_store, 1, identity, hashes, 32, 0, out.astype(np.int64)).code == "invalidInput"
    assert failure(engine.match_states, identity, hashes, 32, 0, bytearray(1)).code == "invalidInput"
    assert failure(engine.hand_out, 12345, 1).code == "stale"
    assert failure(engine.hand_out, 12345, 0).code == "invalidInput"
    engine.abort(12345)
    assert engine.stats()["stale"] >= 1
    assert engine.match(identity, b"", 32) == 0
    for call in (
        lambda: engine.match(),
        lambda: engine.match(identity, hashes, 32, 0, 0),
        lambda: engine.match(identity, hashes, 32, grup=0),
        lambda: engine.match(identity, hashes, 32, identity=1),
        lambda: engine.match("0", hashes, 32),
        lambda: engine.match(identity, 5, 32),
        lambda: engine.poll(max="many"),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises((TypeError, BufferError)):
        engine.begin_store(1, identity, hashes, 32, 0, bytes(24))


def test_a_worker_refuses_pages_that_are_not_there(cache: Cache) -> None:
    device = Device(blocks=4)
    worker = roost.Worker(cache.engine.address)
    good = dict(group=0, shard=0, shards=1, regions=device.regions, parts=device.parts, block_count=4)
    pointer, size = device.regions[0]
    for change, hint in [
        ({"group": 1}, "group 1"),
        ({"shard": 1}, "shard 1 of 1"),
        ({"block_count": 0}, "blocks"),
        ({"block_count": 5}, "beyond region"),
        ({"regions": [(0, size)]}, "region 0"),
        ({"regions": [(pointer, size - 1)]}, "beyond region"),
        ({"regions": []}, "region 0 of 0"),
        ({"parts": []}, "region"),
        ({"parts": [(0, 0, 2048, 2048, PAGE_BYTES - 2047)]}, "part 0"),
        ({"parts": [device.parts[0], device.parts[0]]}, "share"),
        ({"parts": [(1, *device.parts[0][1:])]}, "region 1 of 1"),
    ]:
        error = failure(lambda: worker.register(**{**good, **change}))  # noqa: B023
        assert error.code == "invalidInput" and hint in str(error), (change, str(error))
    with pytest.raises(TypeError):
        worker.register(0, 0, 1, [1], device.parts, 4)  # type: ignore[list-item]
    assert failure(worker.submit, 1, 0, 0, 0, np.zeros(1, np.int32), np.zeros(2, np.uint32)).code == "invalidInput"
    worker.register(**good)
    for verb, blocks, slots in [(3, 1, 2), (0, 1, 3), (0, 2, 2)]:
        error = failure(worker.submit, 1, verb, 0, 0, np.zeros(blocks, np.int32), np.zeros(slots, np.uint32))
        assert error.code == "invalidInput"
    assert failure(worker.submit, 1, 0, 0, 0, np.full(1, -1, np.int32), np.zeros(2, np.uint32)).code == "invalidInput"
    assert failure(worker.wait, 1, 0).code == "notFound"
    worker.cancel(99)
    assert worker.poll() == []
    worker.close()
    assert worker.close() is True
    assert failure(worker.poll).code == "stale"


def test_pages_can_be_described_by_layouts(cache: Cache) -> None:
    """Tokens outside heads on the device, heads outside tokens in the slot: every page is turned."""
    heads, tokens, width, blocks = 4, 16, 96, 8
    assert heads * tokens * width == PAGE_BYTES
    device = np.random.default_rng(3).integers(0, 256, (blocks, tokens, heads, width), dtype=np.uint8)

    def layout(*axes: tuple[str, int, int]) -> str:
        return json.dumps({"axes": [list(axis) for axis in axes], "itemsize": 1})

    on_device = layout(("token", tokens, heads * width), ("head", heads, width), ("dim", width, 1))
    in_slot = layout(("token", tokens, width), ("head", heads, tokens * width), ("dim", width, 1))
    turned = roost.Worker(cache.engine.address)
    turned.register(0, 0, 1, [(device.ctypes.data, device.nbytes)], [(0, on_device, PAGE_BYTES, in_slot)], blocks)
    cache.store(turned, 1, cache.hashes(4), [0, 1, 2, 3])

    plain = np.zeros((blocks, PAGE_BYTES), dtype=np.uint8)
    straight = roost.Worker(cache.engine.address)
    straight.register(0, 0, 1, [(plain.ctypes.data, plain.nbytes)], [(0, 0, PAGE_BYTES, PAGE_BYTES, 0)], blocks)
    lease, out = cache.begin_load(2, cache.hashes(4))
    blocks_wanted = np.arange(4, dtype=np.int32)
    straight.submit(2, roost.LOAD, 0, 0, blocks_wanted, np.ascontiguousarray(out[:, :2]))
    assert straight.wait(2, 10)[1] == roost.DONE
    cache.engine.end(lease)
    assert np.array_equal(plain[:4].reshape(4, heads, tokens, width), device[:4].transpose(0, 2, 1, 3))
    error = failure(
        turned.register, 0, 0, 1, [(device.ctypes.data, device.nbytes)], [(0, "{}", PAGE_BYTES, in_slot)], blocks
    )
    assert "axes" in str(error)
    turned.close()
    straight.close()


@pytest.mark.parametrize("comes", ["wait", "poll"])
def test_a_job_that_is_waited_for_starts_with_the_wait_or_the_next_poll(cache: Cache, comes: str) -> None:
    """More pieces than are started at once: one of 32 bytes a row."""
    blocks, rows = 16, PAGE_BYTES // 32
    device = np.random.default_rng(4).integers(0, 256, (rows, blocks, 32), dtype=np.uint8)
    on_device = json.dumps({"axes": [["layer", rows, blocks * 32], ["byte", 32, 1]], "itemsize": 1})
    in_slot = json.dumps({"axes": [["layer", rows, 32], ["byte", 32, 1]], "itemsize": 1})
    worker = roost.Worker(cache.engine.address)
    worker.register(0, 0, 1, [(device.ctypes.data, device.nbytes)], [(0, on_device, 32, in_slot)], blocks)
    wanted = device.copy()
    cache.store(worker, 1, cache.hashes(blocks), list(range(blocks)))
    device[:] = 0
    lease, out = cache.begin_load(2, cache.hashes(blocks))
    slots = np.ascontiguousarray(out[:, :2])
    worker.submit(2, roost.LOAD, 0, 0, np.arange(blocks, dtype=np.int32), slots, awaited=True)
    if comes == "wait":
        assert worker.wait(2, 10)[1] == roost.DONE
    else:
        outcomes: dict[int, int] = {}

        def has_ended() -> bool:
            outcomes.update((job, outcome) for job, outcome, *_ in worker.poll())
            return 2 in outcomes

        eventually(has_ended)
        assert outcomes[2] == roost.DONE
    cache.engine.end(lease)
    assert np.array_equal(device, wanted)
    worker.close()


def test_a_closed_engine_says_so_and_its_workers_notice() -> None:
    cache = Cache()
    worker = cache.attach(Device())
    assert cache.engine.close(1) == 0
    assert cache.engine.close(1) == 0
    assert failure(cache.engine.match, cache.identity, cache.hashes(1), 32).code == "stale"
    zero = np.zeros(1, np.int32), np.zeros(2, np.uint32)

    def is_lost() -> bool:
        try:
            worker.submit(1, 0, 0, 0, *zero)
        except roost.RoostError as error:
            return error.code == "lost"
        worker.wait(1, 1)
        return False

    eventually(is_lost)
    worker.close()


def test_token_hashes_are_chained_sha256() -> None:
    import hashlib

    tokens = np.arange(50, dtype=np.uint32)
    expected, parent = b"", bytes(32)
    for block in range(3):
        parent = hashlib.sha256(parent + tokens[16 * block : 16 * block + 16].tobytes()).digest()
        expected += parent
    assert roost.hash_tokens(tokens, 16) == expected
    assert roost.hash_tokens(b"", 16) == b""
    assert failure(roost.hash_tokens, tokens, 0).code == "invalidInput"
    assert failure(roost.hash_tokens, tokens.astype(np.int64), 16).code == "invalidInput"


def test_an_error_can_be_pickled_and_says_what_it_is() -> None:
    import pickle

    error = failure(roost.Worker, "nonsense")
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.message, again.context) == (error.code, error.message, error.context)
    assert str(again) == error.message and error.code == "invalidInput"


def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str]) -> None:
    from roost import bench

    bench.main()
    assert "match of 4096 blocks" in capsys.readouterr().out
