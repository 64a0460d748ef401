"""`roost.Cache`: tokens in, tensors back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import roost
from test_leases import failure

HEADS, WIDTH, LAYERS = 3, 8, 4


def tensors(tokens: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal((1, HEADS, tokens, WIDTH)).astype(np.float32) for _ in range(LAYERS)]


def equal(found: list[np.ndarray], put: list[np.ndarray], tokens: int) -> bool:
    return all(np.array_equal(a[:, :, :tokens], b[:, :, :tokens]) for a, b in zip(found, put, strict=True))


def test_what_was_put_comes_back_for_every_prefix_that_is_shared() -> None:
    tokens, put = list(range(100)), tensors(100)
    with roost.Cache(model="m", capacity="1MiB") as cache:
        assert cache.match(tokens) == 0 and cache.get(tokens, np) == (0, [])
        assert cache.put(tokens, put) == 96
        assert cache.match(tokens) == 96
        assert cache.match(tokens[:50] + [7] * 50) == 48
        count, found = cache.get(tokens, np)
        assert count == 96 and equal(found, put, 96)
        count, found = cache.get(tokens[:50] + [7] * 50, np)
        assert count == 48 and found[0].shape[2] == 48 and equal(found, put, 48)
        # Into tensors of the caller's, which have room for less.
        mine = [np.zeros((1, HEADS, 40, WIDTH), np.float32) for _ in range(LAYERS)]
        assert cache.get(tokens, mine)[0] == 32 and equal(mine, put, 32)
        assert not any(tensor[:, :, 32:].any() for tensor in mine)


def test_tensors_may_have_any_strides_and_any_token_axis() -> None:
    tokens = list(range(32))
    put = np.arange(32 * 5 * 6, dtype=np.int16).reshape(5, 6, 32).transpose(2, 0, 1)
    with roost.Cache(model="m", capacity="1MiB") as cache:
        assert cache.put(tokens, [put], token_axis=0) == 32
        count, (found,) = cache.get(tokens, np)
        assert count == 32 and found.dtype == np.int16 and np.array_equal(found, put)
        assert failure(cache.put, tokens[::-1], [put[::-1]], 0).code == "unsupported"


def test_a_kept_cache_is_found_again_and_by_its_own_model_only(tmp_path: Path) -> None:
    tokens, put = list(range(64)), tensors(64)
    with roost.Cache(tmp_path, model="one", capacity="1MiB") as cache:
        cache.put(tokens, put)
    with roost.Cache(tmp_path, model="two", capacity="1MiB") as cache:
        assert cache.match(tokens) == 0
    with roost.Cache(tmp_path, model="one", capacity="1MiB") as cache:
        count, found = cache.get(tokens, np)
        assert count == 64 and equal(found, put, 64)
        stats = cache.stats()
        assert stats["adopted"] == 4 and stats["checked"] == 4


def test_the_same_tokens_are_stored_once_and_longer_ones_only_from_there_on() -> None:
    with roost.Cache(model="m", capacity="1MiB") as cache:
        cache.put(range(64), tensors(64))
        cache.put(range(64), tensors(64, seed=1))
        cache.put(range(96), tensors(96, seed=1))
        stats = cache.stats()
        assert stats["admitted"] == 6 and stats["held"] == 8
        _, found = cache.get(range(96), np)
        assert equal([t[:, :, :64] for t in found], tensors(64), 64)


def test_what_does_not_fit_together_is_refused() -> None:
    with roost.Cache(model="m", capacity="1MiB") as cache:
        assert failure(cache.put, range(32), tensors(16)).code == "invalidInput"
        cache.put(range(32), tensors(32))
        other = [tensor.astype(np.float16) for tensor in tensors(32)]
        error = failure(cache.put, range(32), other)
        assert error.code == "invalidInput" and "float16" in str(error)
        assert failure(cache.get, range(32), other).code == "invalidInput"
        assert failure(cache.put, range(32), [[1.0]] * 4).code == "unsupported"
        assert failure(cache.put, range(32), tensors(32), 7).code == "invalidInput"
        with pytest.raises((OverflowError, TypeError)):
            cache.put([-1] * 32, tensors(32))


class Interrupted:
    """A worker whose first wait is interrupted, as by Ctrl-C."""

    def __init__(self, worker: roost.Worker) -> None:
        self.worker, self.calls = worker, []

    def __getattr__(self, name: str) -> object:
        return getattr(self.worker, name)

    def wait(self, job: int, timeout: float) -> object:
        self.calls.append(job)
        if len(self.calls) == 1:
            raise KeyboardInterrupt
        return self.worker.wait(job, timeout)


def test_an_interrupted_copy_has_ended_before_its_tensors_are_given_up() -> None:
    with roost.Cache(model="m", capacity="1MiB") as cache:
        cache.put(range(16), tensors(16))
        worker = cache._worker = Interrupted(cache._worker)
        with pytest.raises(KeyboardInterrupt):
            cache.put(range(100, 148), tensors(48, seed=2))
        assert len(worker.calls) == 2 and worker.calls[0] == worker.calls[1]
        # Nothing is in flight, nothing is leased, and the next call works.
        assert worker.poll() == [] and cache._engine.stats()["leases"] == 0
        assert cache.match(range(100, 148)) == 0
        assert cache.put(range(100, 148), tensors(48, seed=2)) == 48


def test_the_notes_of_a_kept_cache_are_for_their_owner_alone(tmp_path: Path) -> None:
    with roost.Cache(tmp_path, model="one", capacity="1MiB", name="mine") as cache:
        cache.put(range(16), tensors(16))
    notes = tmp_path / "mine.roost.json"
    assert notes.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(notes.read_text())["tensors"]) == LAYERS
