"""Where the elements of a tensor lie, asked through DLPack: numpy, torch, jax and others, without importing them."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from ._core import buffer_address
from ._error import RoostError

_CPU, _PINNED = 1, 3
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}


class _Type(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    """DLTensor, as dlpack.h lays it out."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("type", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = ctypes.c_void_p
_pointer_of.argtypes = [ctypes.py_object, ctypes.c_char_p]


@dataclass(frozen=True)
class Tensor:
    """A tensor in host memory. `keep` keeps its memory alive."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""
    dtype: str
    item_bytes: int
    keep: Any


def strides_of(tensor: Any) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shape, strides in bytes and bytes of an element, wherever the tensor lies: its memory is not looked at.

    Raises `unsupported` for what is no tensor.
    """
    shape = getattr(tensor, "shape", None)
    if shape is not None and hasattr(tensor, "element_size") and callable(getattr(tensor, "stride", None)):
        # As torch has it: what is on an accelerator, needs a gradient or has no memory at all has no DLPack interface.
        item = int(tensor.element_size())
        return tuple(int(extent) for extent in shape), tuple(int(step) * item for step in tensor.stride()), item
    if shape is not None and hasattr(tensor, "itemsize") and isinstance(getattr(tensor, "strides", None), tuple):
        # As numpy and the buffer protocol have it; arrays that are read-only have no DLPack interface.
        return tuple(shape), tuple(tensor.strides), int(tensor.itemsize)
    found = view(tensor)
    return found.shape, found.strides, found.item_bytes


def view(tensor: Any) -> Tensor:
    """Where the elements of `tensor` lie.

    Raises `unsupported` for what has no DLPack interface or does not lie in host memory.
    """
    if not hasattr(tensor, "__dlpack__"):
        raise RoostError("unsupported", f"a {type(tensor).__name__} is no tensor: it has no DLPack interface")
    device, _ = tensor.__dlpack_device__()
    if device not in (_CPU, _PINNED):
        raise RoostError("unsupported", "the tensor does not lie in host memory; move it there first")
    capsule = tensor.__dlpack__()
    # The capsule stays unconsumed: its own end gives the memory back.
    raw = ctypes.cast(_pointer_of(capsule, b"dltensor"), ctypes.POINTER(_Tensor)).contents
    item = raw.type.bits * raw.type.lanes // 8
    shape = tuple(raw.shape[axis] for axis in range(raw.ndim))
    if raw.strides:
        strides = tuple(raw.strides[axis] * item for axis in range(raw.ndim))
    else:
        strides = _packed(shape, item)
    kind = _KINDS.get(raw.type.code, f"type{raw.type.code}_")
    dtype = kind if kind == "bool" else f"{kind}{raw.type.bits * raw.type.lanes}"
    address = (raw.data or 0) + raw.byte_offset
    return Tensor(address, shape, strides, dtype, item, (tensor, capsule))


def _packed(shape: tuple[int, ...], item: int) -> tuple[int, ...]:
    strides = [item] * len(shape)
    for axis in reversed(range(len(shape) - 1)):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return tuple(strides)


@dataclass(frozen=True)
class HostRange:
    """Contiguous host memory. `keep` keeps it alive, and where it is."""

    address: int
    byte_count: int
    keep: Any


def host_range(source: Any, *, is_written: bool) -> HostRange:
    """The bytes of a contiguous array, tensor or buffer.

    Raises `unsupported` for what is none or lies on an accelerator, `invalidInput` for what has holes or is read-only.
    """
    try:
        held = memoryview(source)
    except (TypeError, ValueError, BufferError):
        tensor = view(source)
        packed = _packed(tensor.shape, tensor.item_bytes)
        steps = zip(tensor.shape, tensor.strides, packed, strict=True)
        if any(extent > 1 and stride != wanted for extent, stride, wanted in steps):
            raise RoostError("invalidInput", "the tensor is not contiguous; make it so first") from None
        count = tensor.item_bytes
        for extent in tensor.shape:
            count *= extent
        return HostRange(tensor.address, count, tensor.keep)
    if not held.c_contiguous:
        raise RoostError("invalidInput", "the array is not contiguous; make it so first")
    if is_written and held.readonly:
        raise RoostError("invalidInput", "the target is read-only")
    return HostRange(buffer_address(held), held.nbytes, held)
