"""A model of `roost._core` in plain Python, for tests of the connector's two halves without vLLM.

One process, no threads: copies run when a test says so, and a test can make them fail, hang or be late.
"""

from __future__ import annotations

import ctypes
import json
from collections import deque
from typing import Any

import numpy as np

STORE, LOAD, LOAD_DIVIDED = 0, 1, 2
DONE, PARTLY_FAILED, CANCELLED, LOST = range(4)

_engines: dict[str, "Engine"] = {}


class RoostError(Exception):
    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


class Engine:
    def __init__(self, config: str):
        self.config = json.loads(config)
        self.address = f"fake:{len(_engines)}"
        _engines[self.address] = self
        self.page_bytes = self.config["groups"][0]["page_bytes"]
        self.capacity = self.config["capacity"] // self.page_bytes
        self.identities: dict[tuple, int] = {}
        self.pages: dict[tuple[int, bytes], int] = {}
        self.memory = bytearray(self.capacity * self.page_bytes)
        self.free = list(range(self.capacity))[::-1]
        self.live: dict[int, dict[str, Any]] = {}
        self.over: deque = deque()
        self.next = 1
        self.calls: list[str] = []

    def intern(self, fields) -> int:
        return self.identities.setdefault(tuple(fields), len(self.identities))

    def _keys(self, identity, hashes, stride):
        raw = bytes(hashes)
        return [(identity, raw[at : at + stride]) for at in range(0, len(raw), stride)]

    def _ready(self, key) -> bool:
        return key in self.pages and not any(
            key in lease["pending"] for lease in self.live.values() if lease["verb"] == STORE
        )

    def match(self, identity, hashes, stride, group=0) -> int:
        self.calls.append("match")
        count = 0
        for key in self._keys(identity, hashes, stride):
            if not self._ready(key):
                break
            count += 1
        return count

    def begin_copies(self, verb, request, identity, hashes, stride, group, blocks, shards, output_tokens=-1):
        self.calls.append("begin_store" if verb == STORE else "begin_load")
        keys = self._keys(identity, hashes, stride)
        assert len(keys) == len(blocks)
        taken, others, slots, held = [], [], [], {}
        for key, block in zip(keys, blocks):
            if verb == STORE and key not in self.pages and self.free:
                held[key] = self.pages[key] = self.free.pop()
            elif verb == LOAD and self._ready(key):
                held[key] = self.pages[key]
            else:
                others.append(block)
                continue
            taken.append(block)
            slots.append((self.pages[key], 1))
        lease = 0
        if held:
            lease, self.next = self.next, self.next + 1
            state = {"request": request, "verb": verb, "pending": held, "shards": shards, "bytes": 0, "bad": set()}
            self.live[lease] = state
        return lease, *(np.array(part, np.int32).tobytes() for part in (taken, slots, others))

    def report(self, lease, outcome, positions, byte_count) -> None:
        state = self.live.get(lease)
        if state is None:
            return
        state["bytes"] += byte_count
        state["bad"] |= set(range(len(state["pending"]))) if outcome > 1 else set(positions)
        state["shards"] -= 1
        if state["shards"] > 0:
            return
        del self.live[lease]
        if state["verb"] == STORE:
            for position, key in enumerate(list(state["pending"])):
                if position in state["bad"]:
                    self.free.append(self.pages.pop(key))
        self.over.append((lease, state["request"], state["verb"], outcome, tuple(state["bad"]), state["bytes"], 0.001))

    def abort(self, lease) -> None:
        state = self.live.pop(lease, None)
        if state is not None and state["verb"] == STORE:
            for key in state["pending"]:
                self.free.append(self.pages.pop(key))

    def poll(self, max=256):
        self.calls.append("poll")
        over, self.over = list(self.over), deque()
        return over

    def reset(self, timeout) -> None:
        if self.live:
            raise RoostError("timedOut", f"{len(self.live)} leases live")
        self.free += self.pages.values()
        self.pages.clear()

    def stats(self):
        used = self.capacity - len(self.free)
        return {"capacity": self.capacity, "allocated": used, "free": len(self.free)}

    def leases(self, older_seconds=0.0):
        return list(self.live)

    def close(self, timeout=5.0) -> int:
        return len(self.live)


class Worker:
    """Copies at the next poll or wait, unless `hold` says otherwise."""

    def __init__(self, address: str, device: str = "cpu", timeout: float = 10.0):
        self.engine = _engines[address]
        self.queue: list[tuple] = []
        self.results: dict[int, tuple] = {}
        self.hold: set[int] | bool = set()
        self.failing: dict[int, tuple[int, ...]] = {}
        self.cancelled: set[int] = set()
        self.edges: list[int] = []
        self.verbs: list[int] = []
        self.arrived: list[tuple[int, int]] = []
        """Ranges of divided jobs that were waited for, and copied then."""

    def register(self, group, shard, shards, regions, parts, block_count) -> None:
        self.regions, self.parts = regions, parts

    def divide(self, group, bounds) -> None:
        self.edges = [0, *bounds, self.engine.page_bytes]

    def wait_range(self, job, index, timeout) -> None:
        entry = next((entry for entry in self.queue if entry[0] == job), None)
        if entry is None:
            if job not in self.results:
                raise RoostError("notFound", "no such job")
        elif self._is_held(job):
            raise RoostError("timedOut", "still running")
        else:
            assert self.edges and entry[1] == LOAD_DIVIDED and (job, index) not in self.arrived
            self.arrived.append((job, index))
            self._copy_all(entry, range(self.edges[index], self.edges[index + 1]))

    def _is_held(self, job) -> bool:
        return job not in self.cancelled and (self.hold is True or bool(self.hold and job in self.hold))

    def submit(self, job, verb, group, lease, blocks, slots, awaited=False) -> None:
        self.verbs.append(verb)
        pairs = np.frombuffer(slots, np.uint32).reshape(-1, 2)
        self.queue.append((job, verb, lease, np.frombuffer(blocks, np.int32).copy(), pairs.copy()))

    def run(self) -> None:
        waiting, self.queue = self.queue, []
        for entry in waiting:
            job, _, lease, blocks, _ = entry
            if job in self.cancelled:
                self._end(job, lease, CANCELLED, (), 0)
            elif self._is_held(job):
                self.queue.append(entry)
            else:
                bad = self.failing.get(job, ())
                self._copy_all(entry, range(self.engine.page_bytes))
                self._end(job, lease, PARTLY_FAILED if bad else DONE, bad, len(blocks) * self.engine.page_bytes)

    def _copy_all(self, entry, within: range) -> None:
        job, verb, _, blocks, slots = entry
        for position, (block, (slot, _)) in enumerate(zip(blocks, slots)):
            if position not in self.failing.get(job, ()):
                self._copy(verb, int(block), int(slot), within)

    def _copy(self, verb, block, slot, within: range) -> None:
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.engine.memory)) + slot * self.engine.page_bytes
        for region, offset, stride, size, place in self.parts:
            if place not in within:
                continue
            device = self.regions[region][0] + offset + block * stride
            ends = (base + place, device) if verb == STORE else (device, base + place)
            ctypes.memmove(*ends, size)

    def _end(self, job, lease, outcome, positions, byte_count) -> None:
        self.results[job] = (job, outcome, tuple(positions), byte_count, 0.001)
        self.engine.report(lease, outcome, positions, byte_count)

    def poll(self, max=256):
        self.run()
        results, self.results = list(self.results.values()), {}
        return results

    def wait(self, job, timeout):
        self.run()
        if job in self.results:
            return self.results.pop(job)
        if not any(entry[0] == job for entry in self.queue):
            raise RoostError("notFound", "no such job")
        raise RoostError("timedOut", "still running")

    def cancel(self, job) -> None:
        self.cancelled.add(job)

    def close(self, timeout=5.0) -> bool:
        return True
