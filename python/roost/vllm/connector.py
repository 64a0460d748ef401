"""vLLM's connector interface, answered by the two halves. Translates; decides nothing."""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Iterable
from typing import Any

from prometheus_client import Counter, Gauge
from vllm.distributed.kv_transfer.kv_connector.v1.base import (
    KVConnectorBase_V1,
    KVConnectorHandshakeMetadata,
    KVConnectorMetadata,
    KVConnectorRole,
    KVConnectorWorkerMetadata,
    SupportsHMA,
)
from vllm.distributed.kv_transfer.kv_connector.v1.metrics import KVConnectorPromMetrics, KVConnectorStats
from vllm.v1.kv_cache_interface import FullAttentionSpec, UniformTypeKVCacheSpecs
from vllm.v1.metrics.cache_hit_source import CacheHitSource

import roost
from roost.vllm import identity, stats
from roost.vllm.config import ConfigurationError, Settings
from roost.vllm.jobs import PoolTicket, StepOrders, StepReport
from roost.vllm.pages import DevicePages, SlotLayout, UnsupportedLayout, WorkerPages
from roost.vllm.scheduler import SchedulerSide
from roost.vllm.worker import WorkerSide

log = logging.getLogger("vllm.roost")

_POLICY_LINE = '"kv_load_failure_policy": "recompute"'
_CLOSE_SECONDS = 10.0
# The pool's fill is asked for after stores, and once in as many steps.
_GAUGE_STEPS = 512
_DEVICES = {"cpu": "cpu", "cuda": "cuda"}


class RoostMetadata(KVConnectorMetadata):
    """The orders of a step, in the wrapper that vLLM carries to the workers."""

    __slots__ = ("orders",)

    def __init__(self, orders: StepOrders):
        self.orders = orders


class RoostHandshake(KVConnectorHandshakeMetadata):
    """How a worker's pages lie, in the wrapper that vLLM carries to the scheduler at the start."""

    def __init__(self, pages: WorkerPages):
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
        _require_supported(vllm_config, kv_cache_config)
        self.scheduler_side: SchedulerSide | None = None
        self.worker_side: WorkerSide | None = None
        self._steps = 0
        self._handshakes: list[WorkerPages] = []
        if role == KVConnectorRole.SCHEDULER:
            _recompute_failures(self._kv_transfer_config)
        else:
            self.worker_side = WorkerSide(self._open_worker)

    @property
    def requires_kv_delivery(self) -> bool:
        return False

    @classmethod
    def get_required_kvcache_layout(cls, vllm_config: Any) -> str | None:
        """Heads outside tokens, where vLLM's kernel can: any tensor-parallel size can then read a page."""
        return "LBHNC"

    # Worker

    def _open_worker(self, ticket: PoolTicket) -> Any:
        return roost.Worker(ticket.address, ticket.device, ticket.attach_timeout)

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        config, parallel = self._kv_cache_config, self._vllm_config.parallel_config
        (group,) = config.transfer_groups
        tensors = {name: kv_caches[name] for name in group.layer_names if name in kv_caches}
        pages = DevicePages.of(tensors, config.num_blocks)
        from vllm.distributed.parallel_state import get_pp_group, get_tp_group

        own = WorkerPages(
            pipeline_rank=get_pp_group().rank_in_group,
            tensor_rank=get_tp_group().rank_in_group,
            tensor_size=parallel.tensor_parallel_size,
            replicas=_replicas(self._vllm_config, group.kv_cache_spec, config.kv_tp_replicas),
            layers=pages.layers,
            inner_format=_inner_format(self._vllm_config, group, tensors),
        )
        self.worker_side.register(pages, own)

    def get_handshake_metadata(self) -> KVConnectorHandshakeMetadata | None:
        pages = self.worker_side.identity
        return None if pages is None else RoostHandshake(pages)

    def handle_preemptions(self, kv_connector_metadata: KVConnectorMetadata) -> None:
        self.worker_side.fence(kv_connector_metadata.orders)

    def start_load_kv(self, forward_context: Any, **kwargs: Any) -> None:
        orders = self._connector_metadata.orders
        if orders.loads:
            self.worker_side.load(orders)

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Loads that a step needs are awaited before it begins."""

    def save_kv_layer(self, layer_name: str, kv_layer: Any, attn_metadata: Any, **kwargs: Any) -> None:
        """Stores take blocks of earlier steps."""

    def wait_for_save(self) -> None:
        orders = self._connector_metadata.orders
        if orders.stores or orders.release:
            self.worker_side.store(orders)

    def get_finished(self, finished_req_ids: set[str]) -> tuple[set[str] | None, set[str] | None]:
        metadata = self._connector_metadata
        return self.worker_side.ended(None if metadata is None else metadata.orders)

    def get_block_ids_with_load_errors(self) -> set[int]:
        return self.worker_side.take_errors()

    def build_connector_worker_meta(self) -> KVConnectorWorkerMetadata | None:
        report = self.worker_side.take_report()
        return None if report is None else RoostReport(report)

    # Scheduler

    def set_xfer_handshake_metadata_pp_aware(self, metadata: dict[tuple[int, int], Any]) -> None:
        """All workers have told how their pages lie: the pool can be opened."""
        workers = [handshake.pages for _, handshake in sorted(metadata.items())]
        slot = SlotLayout.compose(workers)
        settings, config = self.settings, self._vllm_config
        (group,) = self._kv_cache_config.transfer_groups
        block_tokens = group.kv_cache_spec.block_size
        engine = roost.Engine(json.dumps(_engine_config(settings, slot, block_tokens)))
        self._finalizer = weakref.finalize(self, engine.close, _CLOSE_SECONDS)
        ticket = PoolTicket(
            address=engine.address,
            device=settings.device or _device(config),
            slot=slot,
            shards=tuple(sorted(metadata)),
            attach_timeout=settings.attach_timeout,
            load_timeout=settings.load_timeout,
        )
        self.scheduler_side = SchedulerSide(
            engine,
            ticket,
            _Identities(engine, config, slot.inner_format, settings),
            block_tokens=block_tokens,
            hash_tokens=self._kv_cache_config.hash_block_size or block_tokens,
            load=_load_mode(settings.load, config),
            store=settings.store,
        )
        log.info(
            "Roost keeps pages of %d KiB (%d tokens) in %.1f GiB of host memory",
            slot.page_bytes >> 10,
            block_tokens,
            settings.capacity / (1 << 30),
        )

    def on_new_request(self, request: Any) -> None:
        self.scheduler_side.arrived(request)

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int | None, bool]:
        if request.skip_reading_prefix_cache:
            return 0, False
        return self.scheduler_side.match(request, num_computed_tokens)

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        ids = blocks.get_block_ids()[self._group_id] if num_external_tokens else ()
        self.scheduler_side.allocated(request, ids, num_external_tokens)

    @property
    def _group_id(self) -> int:
        return self._kv_cache_config.transfer_group_ids[0]

    def build_connector_meta(self, scheduler_output: Any) -> KVConnectorMetadata:
        state, group = scheduler_output.kv_connector_block_state, self._group_id

        def blocks_of(name: str) -> list[int] | None:
            groups = state.get_block_ids(name)
            return None if groups is None else groups[group]

        return RoostMetadata(
            self.scheduler_side.orders(
                blocks_of,
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
        return self.scheduler_side.finished(request, block_ids[self._group_id]), None

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
        if "store_jobs" in counts or self._steps % _GAUGE_STEPS == 0:
            known = side.engine.stats()
            counts["pool_slots"] = known["capacity"]
            counts["pool_slots_used"] = known["allocated"]
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
        return ()

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
        self._known: dict[str, int] = {}

    def __call__(self, request: Any) -> int:
        adapter = request.lora_request.lora_path if request.lora_request else ""
        known = self._known.get(adapter)
        if known is None:
            fields = identity.fields(
                self._config,
                inner_format=self._inner_format,
                hash_scheme=_hash_scheme(self._config),
                settings=self._settings,
                adapter=adapter,
            )
            known = self._known[adapter] = self._engine.intern(fields)
        return known


def _hash_scheme(config: Any) -> str:
    # Known only after vLLM has made its scheduler: the start of every chain, which depends on PYTHONHASHSEED.
    from vllm.v1.core import kv_cache_utils

    return f"vllm:{config.cache_config.prefix_caching_hash_algo}:{kv_cache_utils.NONE_HASH.hex()}"


def _engine_config(settings: Settings, slot: SlotLayout, block_tokens: int) -> dict[str, Any]:
    config: dict[str, Any] = {
        "groups": [{"page_bytes": slot.page_bytes, "tokens_per_block": block_tokens, "kind": "full"}],
        "capacity": settings.capacity,
        "keep": settings.keep,
        "policy": settings.policy,
        "verify": settings.verify,
    }
    if settings.name:
        config["name"] = settings.name
    if settings.directory:
        config["directory"] = settings.directory
    return config


def _load_mode(wanted: str, config: Any) -> str:
    """Loads that a step waits for need vLLM to see a step's result before it plans the next."""
    if config.max_concurrent_batches > 1:
        if wanted == "sync":
            log.warning('"load": "sync" is not possible with overlapping steps; loads are asynchronous')
        return "async"
    return wanted


def _device(config: Any) -> str:
    from vllm.platforms import current_platform

    kind = current_platform.device_type
    if kind not in _DEVICES:
        raise ConfigurationError(f'Roost knows no device for vLLM\'s platform "{kind}"; name one with "device"')
    return _DEVICES[kind]


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


def _require_supported(config: Any, cache: Any) -> None:
    groups = cache.transfer_groups
    parallel = config.parallel_config
    if len(groups) != 1 or not all(_is_full(group.kv_cache_spec) for group in groups):
        kinds = ", ".join(type(group.kv_cache_spec).__name__ for group in groups)
        raise UnsupportedLayout(
            f"this Roost keeps models with one kind of attention, full or MLA; this one has {kinds}. For models that "
            "mix full attention with sliding windows, add --disable-hybrid-kv-cache-manager"
        )
    if parallel.decode_context_parallel_size > 1 or parallel.prefill_context_parallel_size > 1:
        raise UnsupportedLayout("Roost does not support context parallelism yet")


def _is_full(spec: Any) -> bool:
    if isinstance(spec, UniformTypeKVCacheSpecs):
        return all(_is_full(part) for part in spec.kv_cache_specs.values())
    return isinstance(spec, FullAttentionSpec) and spec.tokens_per_state == 1


def _replicas(config: Any, spec: Any, told: int) -> int:
    """Consecutive tensor ranks with the same heads: what vLLM tells, or what follows from the number of heads."""
    size = config.parallel_config.tensor_parallel_size
    if told > 1:
        return told
    if config.model_config.use_mla:
        return size
    return max(1, size // config.model_config.get_total_num_kv_heads())


def _inner_format(config: Any, group: Any, tensors: dict[str, Any]) -> str:
    """What decides how a kernel lays out the inside of a row: which it is, instruction set, types, vLLM's version."""
    import vllm

    context = config.compilation_config.static_forward_context
    kernels = set()
    for name in tensors:
        layer = context.get(name)
        kernel = layer.get_attn_backend().get_name() if layer is not None else "unknown"
        tensor = tensors[name]
        tokens, content = tensor.shape[2:]
        kernels.add(f"{kernel} {getattr(layer, 'isa', '')} {tensor.dtype} {tokens}x{content}")
    return f"vllm {'.'.join(vllm.__version__.split('.')[:2])}: {'; '.join(sorted(kernels))}"
