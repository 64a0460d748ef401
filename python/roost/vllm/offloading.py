"""Roost under vLLM's own OffloadingConnector: the second, thin front.

vLLM decides what is offloaded and when; Roost keeps the pages and copies them. See docs/guides/vllm.md for what this
front lacks beside `RoostConnector`.
"""

from __future__ import annotations

import json
from typing import Any

from vllm.v1.kv_offload.base import CanonicalKVCaches, OffloadingManager, OffloadingSpec, OffloadingWorker
from vllm.v1.kv_offload.config import OffloadingConfig

import roost
from roost.vllm.config import ConfigurationError, Settings
from roost.vllm.events import EVENTS_MAX
from roost.vllm.model import compute_stream, platform_device
from roost.vllm.offloading_copies import PoolCopies, ShardTicket
from roost.vllm.offloading_stage import StagedPages

_OF_VLLM = frozenset(
    {
        "spec_name", "spec_module_path", "block_size", "blocks_per_chunk", "offload_prompt_only", "canonical_layout",
        "self_describing_kv_events",
    }
)  # fmt: skip
"""Keys that vLLM reads beside Roost's."""
_USED = frozenset({"config", "capacity", "policy", "verify", "device", "attach_timeout"})


class RoostOffloadingSpec(OffloadingSpec):
    """`kv_connector="OffloadingConnector"` with `spec_name="RoostOffloadingSpec"`, `spec_module_path="roost.vllm"`."""

    def __init__(self, config: OffloadingConfig):
        super().__init__(config)
        _require_supported(config)
        self.settings = _settings(dict(config.extra_config))

    def get_manager(self) -> OffloadingManager:
        """Opens the pool: once, in the scheduler's process."""
        config, settings = self.config, self.settings
        shard_bytes, shards = config.worker_kv_bytes_per_block, config.parallel.world_size
        description: dict[str, Any] = {
            "groups": [
                {"page_bytes": shard_bytes * shards, "tokens_per_block": group.tokens_per_block, "kind": "full"}
                for group in config.groups
            ],
            "capacity": settings.capacity,
            "policy": settings.policy,
            "verify": settings.verify,
        }
        if config.enable_kv_cache_events and config.cache.blocks_per_chunk == 1:
            description["events_max"] = EVENTS_MAX
        engine = roost.Engine(json.dumps(description))
        ticket = ShardTicket(
            address=engine.address,
            device=settings.device or platform_device(),
            shards=shards,
            shard_bytes=shard_bytes,
            chunk_blocks=config.cache.blocks_per_chunk,
            attach_timeout=settings.attach_timeout,
        )
        return StagedPages(engine, ticket, [group.group_id for group in config.groups])

    def get_worker(self, kv_caches: CanonicalKVCaches) -> OffloadingWorker:
        return PoolCopies(kv_caches, self.config.parallel.rank, compute_stream=compute_stream)


def _settings(extra: dict[str, Any]) -> Settings:
    own = {name: value for name, value in extra.items() if name not in _OF_VLLM}
    settings = Settings.resolve(own, defaults={"verify": "host"})
    if unused := sorted(own.keys() - _USED):
        raise ConfigurationError(
            f'RoostOffloadingSpec has no use for {", ".join(unused)}: its pages live as long as vLLM, and vLLM says '
            "what is stored and loaded. RoostConnector has all settings"
        )
    return settings


def _require_supported(config: OffloadingConfig) -> None:
    parallel = config.parallel
    wrong = {
        "chunks of several blocks with several groups of layers": config.cache.blocks_per_chunk > 1
        and len(config.groups) > 1,
        "canonical_layout": config.canonical_layout,
        "pipeline stages": parallel.pp_size > 1,
        "context parallelism": parallel.pcp_size > 1 or parallel.dcp_size > 1,
        "a KV cache of unknown size": config.worker_kv_bytes_per_block < 1,
    }
    if found := [name for name, is_wrong in wrong.items() if is_wrong]:
        raise ConfigurationError(f"RoostOffloadingSpec does not support {', '.join(found)}")
