"""Where the bytes of a KV cache lie, and what it takes to bring them from one arrangement into another.

Layouts are plain values that own no memory: they can be compared, hashed, pickled and used after a fork. All offsets,
strides and sizes are bytes. numpy is needed only for the arrays that `descriptors` and `pieces` make on their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ._core import layout_apply, layout_descriptors, layout_named, layout_pieces, layout_plan
from ._error import RoostError
from ._tensors import strides_of

if TYPE_CHECKING:
    import numpy
    from typing_extensions import Buffer

__all__ = ["Axis", "Layout", "Plan", "PlanPart", "Plane"]


class Axis(NamedTuple):
    """One factor of a logical axis. Several of the same name are the digits of one index, the most significant first."""

    name: str
    extent: int
    """Steps, at least 1."""
    stride: int
    """Bytes from one step to the next, at least 0."""


class Plane(NamedTuple):
    """One affine piece of a layout: element (i, j, ...) lies at offset + i * stride + j * stride + ..."""

    axes: tuple[Axis, ...]
    item_bytes: int
    offset: int
    """Bytes from the start of the region to the first element."""


@dataclass(frozen=True)
class Layout:
    """Where every (block, head, token, ...) of a cache, page or shard lies: named axes with extents and byte strides.

    `text` is the layout as JSON: {"axes": [[name, extent, stride], ...], "itemsize": bytes, "offset": bytes}, or several of
    these as {"planes": [...]}; "opaque": true forbids cutting by token. `roost.Worker.register` and `roost layout` take the
    same. Usually made by `from_tensor`, `from_shape` or `named`.

        cache = roost.Layout.from_tensor(tensor, ["block", "head", "token", "content"])
        mine = cache.narrow("head", 2, 2)                       # what a rank of a tensor-parallel group holds
        rows = mine.descriptors("block", "head", base=tensor.data_ptr())

    Every operation returns another layout and moves no byte. What makes no sense raises `RoostError` with the code
    `invalidInput` and a message that names the axis.
    """

    text: str

    def __post_init__(self) -> None:
        # Checked, and brought into the one form in which equal layouts are equal texts.
        object.__setattr__(self, "text", layout_apply(self.text, "[]"))

    def __str__(self) -> str:
        return self.text

    # ---- Making one ----

    @classmethod
    def from_tensor(cls, tensor: Any, names: Sequence[str], *, offset: int = 0) -> Layout:
        """The layout of a tensor (numpy, torch on any device, or whatever speaks DLPack), one name an axis.

        `offset`: where the tensor's first element lies, in bytes from the address that `base` will be. 0 goes with the
        address of the tensor's own data. Strides must not be negative.
        """
        shape, strides, item_bytes = strides_of(tensor)
        if len(names) != len(shape):
            raise RoostError("invalidInput", f"{len(names)} names for a tensor of {len(shape)} axes")
        return cls.from_axes(list(zip(names, shape, strides, strict=True)), item_bytes, offset=offset)

    @classmethod
    def from_axes(
        cls, axes: Sequence[tuple[str, int, int]], item_bytes: int, *, offset: int = 0, opaque: bool = False
    ) -> Layout:
        """A layout of axes (name, extent, stride in bytes), in logical order.

        `opaque`: the bytes have a meaning only as a whole, so that nothing may be cut or rearranged by token.
        """
        plane = {"axes": [[name, int(extent), int(stride)] for name, extent, stride in axes]}
        return cls(json.dumps({**plane, "itemsize": item_bytes, "offset": offset, "opaque": opaque}))

    @classmethod
    def from_shape(
        cls,
        names: Sequence[str],
        shape: Sequence[int],
        item_bytes: int,
        *,
        strides: Mapping[str, int] | None = None,
        offset: int = 0,
    ) -> Layout:
        """A dense layout, the outermost bytes first.

        `strides`: bytes from step to step for axes that are not dense, such as {"block": page_bytes} where pages are
        padded; what lies outside of them grows with them.
        """
        if len(names) != len(shape):
            raise RoostError("invalidInput", f"{len(names)} names for {len(shape)} extents")
        given = dict(strides or {})
        axes: list[tuple[str, int, int]] = []
        span = item_bytes
        for name, extent in zip(reversed(names), reversed(shape)):
            stride = given.pop(name, span)
            axes.append((name, extent, stride))
            span = max(span, stride * extent)
        if given:
            raise RoostError("invalidInput", f"a stride is given for '{next(iter(given))}', which is no axis")
        return cls.from_axes(axes[::-1], item_bytes, offset=offset)

    @classmethod
    def named(cls, name: str, **parameters: int) -> Layout:
        """A layout that people know by a name: `named("lbhnc", layers=32, blocks=1000, heads=8, tokens=16, dim=128, item=2)`.

        `roost layout show --help` lists names and parameters. Raises `notFound` with the nearest name for an unknown one.
        """
        return cls._made(layout_named(name, json.dumps(parameters)))

    @classmethod
    def from_planes(cls, layouts: Sequence[Layout], *, opaque: bool = False) -> Layout:
        """Several layouts as one: a page whose data lie in one plane and its scales in another, say."""
        planes = [plane for layout in layouts for plane in layout._planes]
        return cls(json.dumps({"planes": planes, "opaque": opaque}))

    @classmethod
    def _made(cls, text: str) -> Layout:
        """Of text that the library has written."""
        layout = object.__new__(cls)
        object.__setattr__(layout, "text", text)
        return layout

    # ---- Looking at it ----

    @cached_property
    def planes(self) -> tuple[Plane, ...]:
        """The affine pieces, at least one."""
        return tuple(
            Plane(tuple(Axis(*axis) for axis in plane["axes"]), plane["itemsize"], plane["offset"])
            for plane in self._planes
        )

    @property
    def _planes(self) -> list[dict[str, Any]]:
        parsed = json.loads(self.text)
        return parsed["planes"] if "planes" in parsed else [parsed]

    @property
    def is_opaque(self) -> bool:
        """Whether it must not be cut by token."""
        return bool(json.loads(self.text).get("opaque", False))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all axes, each once, in order of appearance."""
        return tuple(dict.fromkeys(axis.name for plane in self.planes for axis in plane.axes))

    def extent(self, name: str) -> int:
        """Steps of an axis, all factors together, in the first plane that has it. Raises `invalidInput` if none has."""
        for plane in self.planes:
            factors = [axis.extent for axis in plane.axes if axis.name == name]
            if factors:
                return _product(factors)
        raise RoostError("invalidInput", f"no axis '{name}'; there are {', '.join(self.names)}")

    @property
    def byte_count(self) -> int:
        """Bytes of all elements, holes left out."""
        return sum(plane.item_bytes * _product(axis.extent for axis in plane.axes) for plane in self.planes)

    @property
    def byte_range(self) -> tuple[int, int]:
        """From the first byte to just past the last one, holes included."""
        ends = [
            plane.offset + plane.item_bytes + sum((axis.extent - 1) * axis.stride for axis in plane.axes)
            for plane in self.planes
        ]
        return min(plane.offset for plane in self.planes), max(ends)

    # ---- Operations ----

    def narrow(self, name: str, start: int, count: int) -> Layout:
        """Keeps steps start ... start + count - 1 of an axis."""
        return self._apply(["narrow", name, start, count])

    def select(self, name: str, index: int) -> Layout:
        """Fixes an axis at one step and removes it."""
        return self._apply(["select", name, index])

    def split(self, name: str, inner: int, outer: str) -> Layout:
        """Cuts an axis into groups of `inner` steps, which a new axis `outer` counts, outside what is left of the axis."""
        return self._apply(["split", name, inner, outer])

    def sub_block(self, count: int, *, block: str = "block", token: str = "token") -> Layout:
        """Makes `count` blocks of each: a block of 64 tokens becomes four of 16, one after another in number.

        Exact in every layout, whether or not a small block is one run of bytes; no byte moves.
        """
        tokens = self.extent(token)
        if count < 1 or tokens % count != 0:
            raise RoostError("invalidInput", f"{tokens} steps of '{token}' cannot be dealt out to {count} blocks")
        # The block's number is the more significant digit, so it must stand outside.
        order = ["permute", block, *(name for name in self.names if name != block)]
        return self._apply(order, ["split", token, tokens // count, block])

    def fuse(self, outer: str, inner: str, name: str) -> Layout:
        """Makes one axis of two that lie one inside the other without a hole."""
        return self._apply(["fuse", outer, inner, name])

    def permute(self, *names: str) -> Layout:
        """Puts the axes into another logical order, in which no byte moves."""
        return self._apply(["permute", *names])

    def rename(self, name: str, to: str) -> Layout:
        """Gives an axis another name; if it exists already, both become factors of one axis."""
        return self._apply(["rename", name, to])

    def shard(self, name: str, rank: int, size: int) -> Layout:
        """What rank `rank` of `size` holds of the axis (heads, layers): an equal part, or a copy where ranks are more."""
        return self._apply(["shard", name, self.extent(name), rank, size])

    def offset_by(self, byte_count: int) -> Layout:
        """Moves the whole layout within its region."""
        return self._apply(["offset", byte_count])

    def _apply(self, *steps: list[str | int]) -> Layout:
        return Layout._made(layout_apply(self.text, json.dumps(steps)))

    # ---- What it comes to ----

    def descriptors(
        self, *names: str, base: int = 0, device: int = 0, out: Buffer | None = None
    ) -> numpy.ndarray[Any, Any]:
        """A row (address, bytes, device) for each index of the named axes, the first of which is the outermost.

        What NIXL and the like register. Returns an array of 64-bit unsigned numbers with the shape (rows, 3); `base` is
        the address of the layout's byte 0. Raises `invalidInput` if the other axes are not one run of bytes. `out`: the
        rows are written there (3 numbers of 64 bits each; `RoostError` outOfResources if it is too short), and `out` is
        returned; needs no numpy. 100,000 rows take less than a millisecond (docs/performance.md).
        """
        axes = json.dumps(names)
        if out is not None:
            layout_descriptors(self.text, axes, base, device, out)
            return out  # type: ignore[return-value]
        rows = _rows(layout_descriptors(self.text, axes, base, device, None))
        layout_descriptors(self.text, axes, base, device, rows)
        return rows

    def plan(self, target: Layout) -> Plan:
        """The copy of every element to the same place of another layout.

        Both must have the same axes with the same extents, in any order and however cut. Raises `invalidInput` otherwise,
        or if two elements of the target share a byte.
        """
        return Plan(self, target)


class PlanPart(NamedTuple):
    """Loops over a contiguous run: what hardware with 2-D or batched copies takes."""

    source_offset: int
    target_offset: int
    loops: tuple[tuple[int, int, int], ...]
    """(count, source stride, target stride), the outermost first."""
    run: int
    """Bytes that lie together on both sides."""


@dataclass(frozen=True)
class Plan:
    """How to copy from one layout to another: independent of how much there is, made once, used for every page."""

    source: Layout
    target: Layout

    def __post_init__(self) -> None:
        # What cannot be planned is refused here, not at first use.
        _ = self._text

    @cached_property
    def _text(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads(layout_plan(self.source.text, self.target.text))
        return parsed

    @cached_property
    def parts(self) -> tuple[PlanPart, ...]:
        """The affine parts: one, unless there are planes or extents that do not divide each other."""
        return tuple(
            PlanPart(part["src"], part["dst"], tuple(tuple(loop) for loop in part["loops"]), part["run"])
            for part in self._text["parts"]
        )

    @property
    def piece_count(self) -> int:
        """Contiguous copies that it takes."""
        return int(self._text["pieces"])

    @property
    def byte_count(self) -> int:
        """Bytes that are copied."""
        return int(self._text["bytes"])

    @property
    def run_min(self) -> int:
        """The shortest run in bytes: what decides which way of copying suits."""
        return min(part.run for part in self.parts)

    def pieces(self, source: int = 0, target: int = 0, *, out: Buffer | None = None) -> numpy.ndarray[Any, Any]:
        """A row (source, target, bytes) for each contiguous copy.

        `source` and `target` are the addresses (or offsets) of each layout's byte 0. Returns an array of 64-bit unsigned
        numbers with the shape (pieces, 3), or `out`, as `Layout.descriptors` does.
        """
        rows: Any = _rows(self.piece_count) if out is None else out
        layout_pieces(self.source.text, self.target.text, source, target, rows)
        return rows  # type: ignore[no-any-return]


def _product(numbers: Any) -> int:
    product = 1
    for number in numbers:
        product *= number
    return product


def _rows(count: int) -> numpy.ndarray[Any, Any]:
    try:
        import numpy
    except ModuleNotFoundError:
        raise RoostError("unsupported", "numpy is not installed; give a buffer as out=") from None
    return numpy.empty((count, 3), dtype=numpy.uint64)
