"""Roost: a KV cache for LLM inference, off the accelerator.

`Cache` is for everybody: tokens in, tensors back. `Engine` and `Worker` are the two halves that a serving engine drives
(`roost.vllm` does so for vLLM); their types and contracts stand in `_core.pyi`. `Layout` says where bytes lie and plans
copies; `devices` are accelerators, the CPU and the mock.
"""

from . import devices
from ._core import (
    ADMITTED,
    CANCELLED,
    DONE,
    HELD,
    LEASED,
    LOAD,
    LOST,
    MISSING,
    PARTLY_FAILED,
    REFUSED,
    STORE,
    Engine,
    Worker,
    __version__,
    abi_version,
    hash_tokens,
)
from ._error import RoostError
from .cache import Cache
from .layout import Layout, Plan

__all__ = [
    "ADMITTED",
    "CANCELLED",
    "Cache",
    "DONE",
    "HELD",
    "LEASED",
    "LOAD",
    "LOST",
    "MISSING",
    "PARTLY_FAILED",
    "REFUSED",
    "STORE",
    "Engine",
    "Layout",
    "Plan",
    "RoostError",
    "Worker",
    "__version__",
    "abi_version",
    "devices",
    "hash_tokens",
]
