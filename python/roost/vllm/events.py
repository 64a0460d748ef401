"""What the pool holds, told to whoever routes requests: vLLM's KV events, with the host's memory as their medium."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from vllm.distributed.kv_events import MEDIUM_CPU, BlockRemoved, BlockStored, KVCacheEvent
from vllm.v1.core.kv_cache_utils import maybe_convert_block_hash
from vllm.v1.kv_cache_interface import get_kv_cache_spec_kind, get_kv_cache_spec_sliding_window

log = logging.getLogger("vllm.roost")

EVENTS_MAX = 65536
"""Kept between two steps; beyond that the oldest are dropped."""


class Events:
    """Turns the engine's events into vLLM's.

    A page is known to the engine by its hash alone: as from vLLM's own offloading, a stored event has no tokens and no
    parent. Whoever listens knows both from the event for the device, which has the same hash.
    """

    def __init__(self, engine: Any, cache: Any):
        self._engine = engine
        self._groups = [
            (number, get_kv_cache_spec_kind(spec).value, get_kv_cache_spec_sliding_window(spec), spec.block_size)
            for number in cache.transfer_group_ids
            for spec in [cache.kv_cache_groups[number].kv_cache_spec]
        ]
        self._dropped = 0

    def take(self) -> Iterator[KVCacheEvent]:
        """What has happened since the last time, in order; neighbours of one kind and group are one event."""
        found = self._engine.events(EVENTS_MAX)
        if not found:
            return
        dropped = self._engine.stats()["events_dropped"]
        if dropped > self._dropped:
            count, self._dropped = dropped - self._dropped, dropped
            log.warning("%d KV events were dropped: listeners no longer know what the pool holds", count)
        for (kind, group), neighbours in groupby(found, key=lambda event: (event[0], event[2])):
            number, spec_kind, window, block_tokens = self._groups[group]
            hashes = [maybe_convert_block_hash(name) for _, _, _, name in neighbours]
            if kind == "removed":
                yield BlockRemoved(block_hashes=hashes, medium=MEDIUM_CPU, group_idx=number)
                continue
            yield BlockStored(
                block_hashes=hashes,
                parent_block_hash=None,
                token_ids=[],
                block_size=block_tokens,
                lora_id=None,
                medium=MEDIUM_CPU,
                lora_name=None,
                group_idx=number,
                kv_cache_spec_kind=spec_kind,
                kv_cache_spec_sliding_window=window,
            )
