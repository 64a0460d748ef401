"""vLLM's connector interface, answered by the two halves. Translates; decides nothing."""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from prometheus_client import Counter, Gauge
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorHandshakeMetadata,
    KVConnectorMetadata,
    KVConnectorRole,
    KVConnectorTransferResults,
    KVConnectorWorkerMetadata,
    SupportsHMA,
)
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorPromMetrics, KVConnectorStats
from vllm.v1.metrics.cache_hit_source import CacheHitSource

import roost
from roost.vllm import below, identity, stats
from roost.vllm.config import ConfigurationError, Settings
from roost.vllm.device_cache import DeviceCache
from roost.vllm.events import EVENTS_MAX, Events
from roost.vllm.groups import FULL, Group
from roost.vllm.jobs import PoolTicket, StepOrders, StepReport
from roost.vllm.model import compute_stream, groups_of, inner_format, platform_device, replicas, require_supported
from roost.vllm.pages import DevicePages, SlotLayout, WorkerPages
from roost.vllm.scheduler import SchedulerSide
from roost.vllm.worker import WorkerSide

log = logging.getLogger("vllm.roost")

_POLICY_LINE = '"kv_load_failure_policy": "recompute"'
_CLOSE_SECONDS = 10.0
# For the memory of the pool and for what lies on the disk; what takes longer is not waited for.
_READY_SECONDS = 10.0
# How full pool and disk are is asked for after jobs, and once in as many steps.
_GAUGE_STEPS = 512


class RoostMetadata(KVConnectorMetadata):
    """The orders of a step, in the wrapper that vLLM carries to the workers."""

    __slots__ = ("orders",)

    def __init__(self, orders: StepOrders):
        self.orders = orders


class RoostHandshake(KVConnectorHandshakeMetadata):
    """How a worker's pages lie, in the wrapper that vLLM carries to the scheduler at the start."""

    def __init__(self, pages: Sequence[WorkerPages]):
        self.pages = pages


class RoostReport(KVConnectorWorkerMetadata):
    """What workers say after a step, in the wrapper that vLLM adds up and carries to the scheduler."""

    def __init__(self, report: StepReport):
        self.report = report

    def aggregate(self, other: KVConnectorWorkerMetadata) -> KVConnectorWorkerMetadata:
        return RoostReport(self.report.merged(other.report)) if isinstance(other, RoostReport) else self


class RoostStats(KVConnectorStats):
    """The counters of `roost.vllm.stats`."""

    def reset(self) -> None:
        self.data = {}

    def aggregate(self, other: KVConnectorStats) -> KVConnectorStats:
        self.data = stats.merge(self.data, other.data)
        return self

    def reduce(self) -> dict[str, int | float]:
        return stats.summary(self.data)

    def is_empty(self) -> bool:
        return not self.data


class RoostPromMetrics(KVConnectorPromMetrics):
    """`vllm:roost_...`, one series an engine."""

    def __init__(self, vllm_config: Any, metric_types: Any, labelnames: list[str], per_engine_labelvalues: Any):
        super().__init__(vllm_config, metric_types, labelnames, per_engine_labelvalues)
        self._metrics: dict[str, tuple[bool, dict[int, Any]]] = {}
        for names, kind, is_gauge in (
            (stats.COUNTERS, self._counter_cls, False),
            (stats.GAUGES, self._gauge_cls, True),
        ):
            for name, meaning in names.items():
                metric = kind(name=f"vllm:roost_{name}", documentation=meaning + ".", labelnames=labelnames)
                engines = {engine: metric.labels(*values) for engine, values in per_engine_labelvalues.items()}
                self._metrics[name] = (is_gauge, engines)

    def observe(self, transfer_stats_data: dict[str, Any], engine_idx: int = 0) -> None:
        for name, amount in transfer_stats_data.items():
            is_gauge, engines = self._metrics[name]
            if is_gauge:
                engines[engine_idx].set(amount)
            else:
                engines[engine_idx].inc(amount)


class RoostConnector(KVConnectorBase_V1, SupportsHMA):
    """Keeps vLLM's KV cache in Roost. vLLM makes one with each role."""

    _cache_hit_source = CacheHitSource.HOST

    def __init__(self, vllm_config: Any, role: KVConnectorRole, kv_cache_config: Any = None):
        super().__init__(vllm_config, role, kv_cache_config)
        self.settings = Settings.resolve(self._kv_transfer_config.kv_connector_extra_config or {})
        require_supported(vllm_config, kv_cache_config)
        self._groups = groups_of(kv_cache_config)
        self.scheduler_side: SchedulerSide | None = None
        self.worker_side: WorkerSide | None = None
        self._steps = 0
        self._block_pool: Any = None
        self._events: Events | None = None
        self._below: below.Below | None = None
        if role == KVConnectorRole.SCHEDULER:
            _recompute_failures(self._kv_transfer_config)
        else:
            self.worker_side = WorkerSide(
                self._open_worker, ranges=_load_ranges(self.settings, vllm_config), compute_stream=compute_stream
            )

    @property
    def requires_kv_delivery(self) -> bool:
        return False

    @classmethod
    def get_required_kvcache_layout(cls, vllm_config: Any) -> str | None:
        """Heads outside tokens, where vLLM's kernel can: any tensor-parallel size can then read a page."""
        return "LBHNC"

    @classmethod
    def requires_piecewise_for_cudagraph(cls, extra_config: dict[str, Any]) -> bool:
        """A captured graph of the whole pass would not wait for its layers' pages."""
        return Settings.resolve(extra_config).load_ranges > 1

    # Worker

    def _open_worker(self, ticket: PoolTicket) -> Any:
        return roost.Worker(ticket.address, ticket.device, ticket.attach_timeout)

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        from vllm.distributed.parallel_state import get_pp_group, get_tp_group

        config = self._kv_cache_config
        found: list[tuple[DevicePages, WorkerPages]] = []
        for group in config.transfer_groups:
            tensors = {name: kv_caches[name] for name in group.layer_names if name in kv_caches}
            pages = DevicePages.of(tensors, config.num_blocks)
            own = WorkerPages(
                pipeline_rank=get_pp_group().rank_in_group,
                tensor_rank=get_tp_group().rank_in_group,
                tensor_size=self._vllm_config.parallel_config.tensor_parallel_size,
                replicas=replicas(self._vllm_config, group.kv_cache_spec, config.kv_tp_replicas),
                layers=pages.layers,
                inner_format=inner_format(self._vllm_config, group.kv_cache_spec, tensors),
            )
            found.append((pages, own))
        self.worker_side.register(*zip(*found))

    def get_handshake_metadata(self) -> KVConnectorHandshakeMetadata | None:
        pages = self.worker_side.identity
        return RoostHandshake(pages) if pages else None

    def handle_preemptions(self, kv_connector_metadata: KVConnectorMetadata) -> None:
        self.worker_side.fence(kv_connector_metadata.orders)

    def start_load_kv(self, forward_context: Any, **kwargs: Any) -> None:
        orders = self._connector_metadata.orders
        if orders.loads:
            self.worker_side.load(orders)

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Loads that a step needs are awaited before it begins, but for divided ones."""
        if self.worker_side.divided:
            self.worker_side.layer(layer_name)

    def save_kv_layer(self, layer_name: str, kv_layer: Any, attn_metadata: Any, **kwargs: Any) -> None:
        """Stores take blocks of earlier steps."""

    def wait_for_save(self) -> None:
        orders = self._connector_metadata.orders
        if orders.stores or orders.release:
            self.worker_side.store(orders)

    def get_finished(self, finished_req_ids: set[str]) -> tuple[set[str] | None, set[str] | None]:
        metadata = self._connector_metadata
        return self.worker_side.ended(None if metadata is None else metadata.orders)

    def get_transfer_results(self, finished_req_ids: set[str]) -> KVConnectorTransferResults:
        sent, received = self.get_finished(finished_req_ids)
        failed = self.worker_side.take_failed(received) if received else set()
        return KVConnectorTransferResults(sent or set(), received or set(), failed)

    def get_block_ids_with_load_errors(self) -> set[int]:
        return self.worker_side.take_errors()

    def build_connector_worker_meta(self) -> KVConnectorWorkerMetadata | None:
        report = self.worker_side.take_report()
        return None if report is None else RoostReport(report)

    # Scheduler

    def set_xfer_handshake_metadata_pp_aware(self, metadata: dict[tuple[int, int], Any]) -> None:
        """All workers have told how their pages lie: the pool can be opened."""
        workers = [handshake.pages for _, handshake in sorted(metadata.items())]
        slots = tuple(SlotLayout.compose(parts) for parts in zip(*workers))
        settings, config, groups = self.settings, self._vllm_config, self._groups
        description = _engine_config(settings, slots, groups)
        if config.kv_events_config is not None and config.kv_events_config.enable_kv_cache_events:
            description["events_max"] = EVENTS_MAX
        engine = roost.Engine(json.dumps(description))
        if "events_max" in description:
            self._events = Events(engine, self._kv_cache_config)
        self._finalizer = weakref.finalize(self, engine.close, _CLOSE_SECONDS)
        ticket = PoolTicket(
            address=engine.address,
            device=settings.device or platform_device(),
            slots=slots,
            shards=tuple(sorted(metadata)),
            attach_timeout=settings.attach_timeout,
            load_timeout=settings.load_timeout,
        )
        identities = _Identities(engine, config, _format(slots, groups), settings)
        identities.require_weights()
        self.scheduler_side = SchedulerSide(
            engine,
            ticket,
            identities,
            groups=groups,
            hash_tokens=self._kv_cache_config.hash_block_size or groups[0].block_tokens,
            load=_load_mode(settings.load, config),
            store=settings.store,
        )
        self._lend_blocks()
        if settings.disk:
            # So that the first request finds what an earlier process left.
            engine.wait_ready(_READY_SECONDS)
            blocks = [below.Blocks(group.block_tokens, group.kind == FULL) for group in groups]
            self._below = below.Below(engine, self.scheduler_side.keys, blocks, timeout=settings.disk_timeout)
        sizes = ((slot.page_bytes >> 10, group.block_tokens) for slot, group in zip(slots, groups))
        pages = ", ".join(f"{size} KiB ({tokens} tokens)" for size, tokens in sizes)
        log.info("Roost keeps pages of %s in %.1f GiB of host memory", pages, settings.capacity / (1 << 30))

    def bind_gpu_block_pool(self, gpu_block_pool: Any) -> None:
        self._block_pool = gpu_block_pool
        self._lend_blocks()

    def _lend_blocks(self) -> None:
        # vLLM gives the pool and the handshake in no promised order.
        if self.scheduler_side is not None and self._block_pool is not None:
            self.scheduler_side.device_cache = DeviceCache(self._block_pool)

    def on_new_request(self, request: Any) -> None:
        self.scheduler_side.arrived(request)

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int | None, bool]:
        if request.skip_reading_prefix_cache:
            return 0, False
        if self._below is not None and self._below.is_bringing(request, num_computed_tokens):
            return None, False
        return self.scheduler_side.match(request, num_computed_tokens)

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        tables = blocks.get_block_ids() if num_external_tokens else ()
        self.scheduler_side.allocated(request, tables, num_external_tokens)

    def build_connector_meta(self, scheduler_output: Any) -> KVConnectorMetadata:
        return RoostMetadata(
            self.scheduler_side.orders(
                scheduler_output.kv_connector_block_state.get_block_ids,
                scheduler_output.preempted_req_ids or (),
                scheduler_output.total_num_scheduled_tokens == 0,
            )
        )

    def update_connector_output(self, connector_output: Any) -> None:
        report = connector_output.kv_connector_worker_meta
        received, sent = connector_output.finished_recving, connector_output.finished_sending
        self.scheduler_side.tally.failed_blocks += len(connector_output.invalid_block_ids)
        if received or sent or report is not None:
            self.scheduler_side.reported(received or (), sent or (), None if report is None else report.report)

    def request_finished_all_groups(
        self, request: Any, block_ids: tuple[list[int], ...]
    ) -> tuple[bool, dict[str, Any] | None]:
        if self._below is not None:
            self._below.finished(request.request_id)
        return self.scheduler_side.finished(request, block_ids), None

    def has_pending_block_frees(self) -> bool:
        return self.scheduler_side.holds_blocks

    def reset_cache(self) -> bool | None:
        return self.scheduler_side.reset(self.settings.drain_timeout)

    # Both

    def get_kv_connector_stats(self) -> KVConnectorStats | None:
        side = self.scheduler_side
        if side is None:
            return None
        counts = side.tally.take()
        self._steps += 1
        if "store_jobs" in counts or "load_jobs" in counts or self._steps % _GAUGE_STEPS == 0:
            known = side.engine.stats()
            counts["pool_slots"] = known["capacity"]
            counts["pool_slots_used"] = known["allocated"]
            if self._below is not None:
                counts.update(below.gauges(side.engine.tier_stats()))
        return RoostStats(data=counts) if counts else None

    @classmethod
    def build_kv_connector_stats(cls, data: dict[str, Any] | None = None) -> KVConnectorStats | None:
        return RoostStats(data=data or {})

    @classmethod
    def build_prom_metrics(
        cls, vllm_config: Any, metric_types: Any, labelnames: list[str], per_engine_labelvalues: dict[int, list[object]]
    ) -> KVConnectorPromMetrics | None:
        return RoostPromMetrics(vllm_config, metric_types, labelnames, per_engine_labelvalues)

    def take_events(self) -> Iterable[Any]:
        return () if self._events is None else self._events.take()

    def shutdown(self) -> None:
        """Waits for copies to end and lets the pool go; a kept one stays for the next engine."""
        if self.worker_side is not None:
            self.worker_side.close(_CLOSE_SECONDS)
        if self.scheduler_side is not None:
            self._finalizer()


class _Identities:
    """Interned identities: one for the model, one more for each adapter."""

    def __init__(self, engine: Any, config: Any, inner_format: str, settings: Settings):
        self._engine = engine
        self._config = config
        self._inner_format = inner_format
        self._settings = settings
        self._known: dict[tuple[Any, ...], int] = {}

    def require_weights(self) -> None:
        """Finds out at the start what would keep every request from being cached.

        Raises `UnknownWeights`, which says what to do.
        """
        identity.weights(self._config.model_config, self._config.load_config, self._settings.weights)

    def __call__(self, request: Any) -> int:
        """Raises `OSError` and `ValueError` (`UnknownWeights`) if the files of weights or adapter cannot be read."""
        adapter = request.lora_request.lora_path if request.lora_request else ""
        key = (adapter, identity.stamp(adapter)) if adapter else ()
        known = self._known.get(key)
        if known is None:
            fields = identity.fields(
                self._config,
                inner_format=self._inner_format,
                hash_scheme=_hash_scheme(self._config),
                settings=self._settings,
                adapter=adapter,
            )
            known = self._known[key] = self._engine.intern(fields)
        return known


def _hash_scheme(config: Any) -> str:
    # Known only after vLLM has made its scheduler: the start of every chain, which depends on PYTHONHASHSEED.
    from vllm.v1.core import kv_cache_utils

    return f"vllm:{config.cache_config.prefix_caching_hash_algo}:{kv_cache_utils.NONE_HASH.hex()}"


def _format(slots: Sequence[SlotLayout], groups: Sequence[Group]) -> str:
    """What decides the bytes inside the pages; of several groups also which layers are together."""
    if len(slots) == 1:
        return slots[0].inner_format
    described = (f"{group.description} {list(slot.layers)}: {slot.inner_format}" for slot, group in zip(slots, groups))
    return "; ".join(described)


def _engine_config(settings: Settings, slots: Sequence[SlotLayout], groups: Sequence[Group]) -> dict[str, Any]:
    config: dict[str, Any] = {
        "groups": [{"page_bytes": slot.page_bytes, **group.description} for slot, group in zip(slots, groups)],
        "capacity": settings.capacity,
        "keep": settings.keep,
        "policy": settings.policy,
        "verify": settings.verify,
    }
    if settings.name:
        config["name"] = settings.name
    if settings.directory:
        config["directory"] = settings.directory
    if settings.disk:
        config["tiers"] = [below.address(settings.disk, settings.disk_capacity, settings.disk_policy)]
        config["tier_admission"] = settings.disk_writes
        if settings.prefill:
            config["prefill_tokens_per_second"] = settings.prefill
    return config


def _load_mode(wanted: str, config: Any) -> str:
    """Loads that a step waits for need vLLM to see a step's result before it plans the next."""
    if config.max_concurrent_batches > 1:
        if wanted == "sync":
            log.warning('"load": "sync" is not possible with overlapping steps; loads are asynchronous')
        return "async"
    return wanted


def _load_ranges(settings: Settings, config: Any) -> int:
    """Divided loads need every layer to ask for its pages within the step's own forward pass."""
    if settings.load_ranges > 1 and (config.speculative_config or config.parallel_config.use_ubatching):
        log.warning('"load_ranges" is not possible with speculation or two batches at once; loads are copied as a whole')
        return 1
    return settings.load_ranges


def _recompute_failures(transfer: Any) -> None:
    """A page that cannot be loaded has to be computed: vLLM's default would fail the request."""
    if transfer.kv_load_failure_policy == "recompute":
        return
    try:
        transfer.kv_load_failure_policy = "recompute"
    except Exception:  # whatever a validated or frozen configuration raises: the next line decides
        pass
    if transfer.kv_load_failure_policy != "recompute":
        raise ConfigurationError(
            "vLLM would fail requests whose cached pages cannot be loaded, and does not let Roost change that. Add to "
            f"--kv-transfer-config: {_POLICY_LINE}"
        )
