"""Pages that lie below the pool: a request whose blocks are on the disk waits while they are brought up.

vLLM asks how many tokens can be loaded; while pages are on their way the answer is "ask again later". Each request
waits once, and never past the deadline: what has not arrived by then is computed. Nothing here knows vLLM's classes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np

from roost import RoostError

log = logging.getLogger("vllm.roost")

_ABSENT, _BELOW = 0, 3
_STARTED = 2


def address(directory: str, capacity: int, policy: str) -> str:
    """The address of a disk tier."""
    return f"disk://{quote(directory)}?capacity={capacity}&policy={policy}"


def gauges(known: dict[str, Any]) -> dict[str, float]:
    """What the connector tells of the disk."""
    return {
        "disk_pages": known["pages"],
        "disk_promoted_pages": known["promoted"],
        "disk_written_bytes": known["demoted_bytes"],
        "disk_failed_pages": known["missing"] + known["corrupt"] + known["failed"],
    }


@dataclass(frozen=True)
class Blocks:
    """The blocks of one group: how long they are, and whether a request needs all of them."""

    tokens: int
    needs_all: bool


@dataclass
class _Wait:
    prefetches: list[int]
    deadline: float


@dataclass(frozen=True)
class Keys:
    """What the engine calls a request's blocks of one group: from the first one on, those that have a hash."""

    request: int
    identity: int
    hashes: bytes
    stride: int


class Below:
    """Brings up what requests need. One thread, vLLM's scheduler's."""

    def __init__(
        self,
        engine: Any,
        keys_of: Callable[[Any, int], Keys | None],
        groups: Sequence[Blocks],
        *,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._engine = engine
        self._keys_of = keys_of
        """The keys of a request in a group; None: it has none."""
        self._groups = groups
        self._timeout = timeout
        self._clock = clock
        self._waits: dict[str, _Wait | None] = {}
        """Requests that were looked at; None: they wait no more."""

    def is_bringing(self, request: Any, computed: int) -> bool:
        """Whether the request is to wait. It has `computed` tokens on the device already."""
        name = request.request_id
        if name not in self._waits:
            self._waits[name] = self._begin(request, computed)
        wait = self._waits[name]
        if wait is None:
            return False
        if self._clock() < wait.deadline and any(map(self._is_moving, wait.prefetches)):
            return True
        # What has arrived is held until the load begins, or the time of the prefetch is over.
        self._waits[name] = None
        return False

    def finished(self, name: str) -> None:
        """The request is over."""
        wait = self._waits.pop(name, None)
        for prefetch in wait.prefetches if wait is not None else ():
            self._engine.end_prefetch(prefetch)

    def _is_moving(self, prefetch: int) -> bool:
        progress = self._engine.prefetch_progress(prefetch)
        return progress is not None and progress[1] + progress[2] < progress[0]

    def _begin(self, request: Any, computed: int) -> _Wait | None:
        prefetches = []
        for group, blocks in enumerate(self._groups):
            try:
                prefetches += self._prefetch(request, group, blocks, computed)
            except RoostError as error:
                log.debug("nothing is brought up for a request: %s", error)
        return _Wait(prefetches, self._clock() + self._timeout) if prefetches else None

    def _prefetch(self, request: Any, group: int, blocks: Blocks, computed: int) -> list[int]:
        keys = self._keys_of(request, group)
        if keys is None:
            return []
        # The last token is always computed.
        first, last = computed // blocks.tokens, (request.num_tokens - 1) // blocks.tokens
        hashes = keys.hashes[first * keys.stride : last * keys.stride]
        if not hashes:
            return []
        states = np.empty(len(hashes) // keys.stride, dtype=np.uint8)
        self._engine.match_states(keys.identity, hashes, keys.stride, group, states)
        absent = np.flatnonzero(states == _ABSENT)
        if blocks.needs_all and absent.size:
            # Behind a gap nothing is of use.
            states = states[: absent[0]]
        if not (states == _BELOW).any():
            return []
        answer, prefetch = self._engine.prefetch(
            keys.request, keys.identity, hashes[: len(states) * keys.stride], keys.stride, group, self._timeout
        )
        return [prefetch] if answer == _STARTED else []
