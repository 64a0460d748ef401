"""What Roost reads of vLLM's model: its groups of layers, who holds which heads, what is inside a page."""

from __future__ import annotations

from typing import Any

from vllm.v1.kv_cache_interface import (
    FullAttentionSpec,
    MambaSpec,
    SlidingWindowMLASpec,
    SlidingWindowSpec,
    UniformTypeKVCacheSpecs,
)

from roost.vllm.config import ConfigurationError
from roost.vllm.groups import FULL, STATE, WINDOW, Group
from roost.vllm.pages import UnsupportedLayout

_DEVICES = {"cpu": "cpu", "cuda": "cuda", "rocm": "hip"}


def groups_of(cache: Any) -> tuple[Group, ...]:
    """The groups whose pages are kept, in vLLM's order."""
    return tuple(
        _group(cache.kv_cache_groups[number].kv_cache_spec, number) for number in cache.transfer_group_ids
    )


def require_supported(config: Any, cache: Any) -> None:
    """Raises `UnsupportedLayout` for what Roost cannot keep."""
    parallel = config.parallel_config
    if parallel.decode_context_parallel_size > 1 or parallel.prefill_context_parallel_size > 1:
        raise UnsupportedLayout("Roost does not support context parallelism yet")
    groups = groups_of(cache)
    if any(group.kind == STATE for group in groups):
        if len({group.kind for group in groups}) == 1:
            raise UnsupportedLayout("Roost does not keep models that have states alone yet: no layer has attention")
        if parallel.tensor_parallel_size > 1:
            raise UnsupportedLayout("Roost does not support models with states under tensor parallelism yet")
    if len(groups) > 1 and parallel.pipeline_parallel_size > 1:
        raise UnsupportedLayout("Roost does not split models with several groups of layers into pipeline stages yet")


def _group(spec: Any, number: int) -> Group:
    if isinstance(spec, UniformTypeKVCacheSpecs):
        groups = {_group(part, number) for part in spec.kv_cache_specs.values()}
        if len(groups) == 1:
            return groups.pop()
    elif isinstance(spec, FullAttentionSpec) and spec.tokens_per_state == 1:
        return Group(FULL, spec.block_size, number)
    elif isinstance(spec, SlidingWindowSpec) and not isinstance(spec, SlidingWindowMLASpec):
        # The window counts the token to be computed.
        return Group(WINDOW, spec.block_size, number, spec.sliding_window - 1 + spec.extra_retained_tokens)
    elif isinstance(spec, MambaSpec):
        return _state_group(spec, number)
    raise UnsupportedLayout(
        f"this Roost keeps full attention, MLA, sliding windows and states; this model has {type(spec).__name__}. For models "
        "that mix kinds of attention, --disable-hybrid-kv-cache-manager may help"
    )


def _state_group(spec: MambaSpec, number: int) -> Group:
    """States, of which only those at some boundaries are ever whole: the mode in which vLLM can find them again."""
    if spec.mamba_cache_mode != "align":
        raise UnsupportedLayout(
            f'the states of this model are not kept at the boundaries of blocks (mode "{spec.mamba_cache_mode}"); add '
            "--enable-prefix-caching --mamba-cache-mode align"
        )
    if spec.num_speculative_blocks or spec.num_prefill_checkpoint_blocks:
        raise UnsupportedLayout("Roost does not keep states of models that speculate, or checkpoint inside a block, yet")
    return Group(STATE, spec.block_size, number)


def replicas(config: Any, spec: Any, told: int) -> int:
    """Consecutive tensor ranks with the same heads: what vLLM tells, or what follows from the number of heads."""
    size = config.parallel_config.tensor_parallel_size
    if told > 1:
        return told
    if config.model_config.use_mla:
        return size
    return max(1, size // config.model_config.get_total_num_kv_heads())


def inner_format(config: Any, spec: Any, tensors: dict[str, Any]) -> str:
    """What decides how a kernel lays out the inside of a row: which it is, instruction set, types, vLLM's version."""
    import vllm

    context = config.compilation_config.static_forward_context
    kernels = set()
    for name in tensors:
        layer = context.get(name)
        kernel = layer.get_attn_backend().get_name() if layer is not None else "unknown"
        tensor = tensors[name]
        tokens, content = tensor.shape[2:]
        inside = f"{tensor.dtype} {tokens}x{content}"
        if isinstance(spec, MambaSpec):
            inside = ", ".join(f"{kind} {list(shape)}" for shape, kind in zip(spec.shapes, spec.dtypes))
        kernels.add(f"{kernel} {getattr(layer, 'isa', '')} {inside}")
    return f"vllm {'.'.join(vllm.__version__.split('.')[:2])}: {'; '.join(sorted(kernels))}"


def platform_device() -> str:
    """What Roost calls the kind of device of vLLM's platform."""
    from vllm.platforms import current_platform

    kind = "rocm" if current_platform.is_rocm() else current_platform.device_type
    if kind not in _DEVICES:
        raise ConfigurationError(f'Roost knows no device for vLLM\'s platform "{kind}"; name one with "device"')
    return _DEVICES[kind]


def compute_stream() -> int | None:
    """The stream on which vLLM computes, as its vendor's functions take it; None: the host computes."""
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        return None
    stream = getattr(current_platform.current_stream(), "cuda_stream", None)
    if stream is None:
        raise ConfigurationError(f'Roost cannot order its copies behind what vLLM\'s "{current_platform.device_type}" computes')
    return int(stream)
