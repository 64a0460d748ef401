"""How the pages of a model lie: on a worker's device, and in a slot of the pool.

A slot holds the page of all workers: layer after layer, in each layer row after row. A row is what one KV head has of
one block where heads lie outside tokens, so that any tensor-parallel size finds its heads as one run a layer. Where
heads lie inside tokens the row is a worker's whole part, and the number of parts belongs to the format. What is inside
a row is known to vLLM's kernel alone and is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from roost.vllm.accelerator import device_index

Part = tuple[int, int, int, int, int]
"""Region, offset, block stride, bytes, offset in the slot: one run of every page."""


class UnsupportedLayout(ValueError):
    """vLLM's KV cache lies in a way that Roost cannot copy; the message says which and what to do."""


@dataclass(frozen=True)
class LayerPage:
    """One layer's part of a page as a worker has it."""

    name: str
    rows: int
    """Rows that this worker holds."""
    pieces: int
    """Kernel blocks in a block: vLLM may split its blocks for the kernel; a row then has as many pieces."""
    piece_bytes: int
    is_sliceable: bool
    """Whether rows are heads."""

    @property
    def row_bytes(self) -> int:
        return self.pieces * self.piece_bytes

    @property
    def order(self) -> tuple[int, str]:
        """Sorts layers by depth: every worker sees the same order."""
        number = re.search(r"\d+", self.name)
        return (int(number[0]) if number else 0, self.name)


@dataclass(frozen=True)
class WorkerPages:
    """What a worker tells the scheduler of its part of the pages."""

    pipeline_rank: int
    tensor_rank: int
    tensor_size: int
    replicas: int
    """Consecutive tensor ranks that hold the same heads."""
    layers: tuple[LayerPage, ...]
    inner_format: str
    """Whatever decides the bytes inside a row."""

    @property
    def parts(self) -> int:
        """Tensor-parallel parts that differ."""
        return self.tensor_size // self.replicas

    @property
    def part(self) -> int:
        return self.tensor_rank // self.replicas


@dataclass(frozen=True)
class LayerSlot:
    """Where a layer lies in a slot."""

    offset: int
    row_bytes: int
    rows: int


@dataclass(frozen=True)
class SlotLayout:
    """How a slot holds a page. Travels to the workers, so that scheduler and workers cannot differ."""

    layers: Mapping[str, LayerSlot]
    page_bytes: int
    inner_format: str
    shards: int
    """Workers: each reports every job once."""

    @classmethod
    def compose(cls, workers: Sequence[WorkerPages]) -> SlotLayout:
        """Puts together what the workers told; raises `UnsupportedLayout` if they contradict each other."""
        if not workers:
            raise UnsupportedLayout("no worker has told how its KV cache lies")
        formats = {_format_of(worker) for worker in workers}
        if len(formats) != 1:
            raise UnsupportedLayout(f"the workers' KV caches differ inside: {'; '.join(sorted(formats))}")
        found: dict[str, tuple[LayerPage, int]] = {}
        for worker in workers:
            for layer in worker.layers:
                known = found.setdefault(layer.name, (layer, worker.parts))
                if known != (layer, worker.parts):
                    raise UnsupportedLayout(f"the workers' parts of {layer.name} differ: {known[0]} and {layer}")
        layers: dict[str, LayerSlot] = {}
        offset = 0
        for layer, parts in sorted(found.values(), key=lambda item: item[0].order):
            layers[layer.name] = LayerSlot(offset, layer.row_bytes, layer.rows * parts)
            offset += layer.row_bytes * layer.rows * parts
        return cls(layers, offset, formats.pop(), len(workers))


def _format_of(worker: WorkerPages) -> str:
    cut = {layer.is_sliceable for layer in worker.layers}
    if cut == {True}:
        return worker.inner_format
    # One part is a format of its own, too: its heads lie inside its tokens.
    return f"{worker.inner_format}; {worker.parts} parts by rank"


@dataclass(frozen=True)
class DevicePages:
    """A worker's KV cache in its memory."""

    regions: tuple[tuple[int, int], ...]
    """Pointer and bytes of each piece of memory."""
    layers: tuple[LayerPage, ...]
    places: tuple[tuple[int, int, int, int, int], ...]
    """For every layer: region, offset, row stride, piece stride, block stride."""
    block_count: int
    device_index: int | None = None
    """The accelerator's number; None: the host's memory."""

    @classmethod
    def of(cls, tensors: Mapping[str, object], block_count: int) -> DevicePages:
        """Reads vLLM's tensors, each seen as [block, head, token, content]; layers that share memory count once."""
        regions: dict[int, tuple[int, int]] = {}
        layers: list[LayerPage] = []
        places: list[tuple[int, int, int, int, int]] = []
        seen: set[int] = set()
        for name, tensor in tensors.items():
            if not hasattr(tensor, "untyped_storage") or tensor.dim() != 4:
                raise UnsupportedLayout(f"the KV cache of {name} is no tensor of four axes")
            if tensor.data_ptr() in seen:
                continue
            seen.add(tensor.data_ptr())
            storage = tensor.untyped_storage()
            region, _ = regions.setdefault(storage.data_ptr(), (len(regions), storage.nbytes()))
            layer, strides = _read(name, tensor, block_count)
            layers.append(layer)
            places.append((region, tensor.data_ptr() - storage.data_ptr(), *strides))
        ordered = tuple((pointer, size) for pointer, (_, size) in regions.items())
        return cls(ordered, tuple(layers), tuple(places), block_count, device_index(tensors.values()))

    def copy_parts(self, slot: SlotLayout, part: int) -> list[Part]:
        """The runs that every page of this worker consists of; neighbours on both sides are one run."""
        runs: list[Part] = []
        for layer, (region, offset, row_stride, piece_stride, block_stride) in zip(self.layers, self.places):
            target = slot.layers[layer.name]
            for row in range(layer.rows):
                for piece in range(layer.pieces):
                    source = offset + row * row_stride + piece * piece_stride
                    place = target.offset + (part * layer.rows + row) * target.row_bytes + piece * layer.piece_bytes
                    runs.append((region, source, block_stride, layer.piece_bytes, place))
        return _joined(runs)

    def ranges(self, slot: SlotLayout, count: int) -> tuple[list[int], dict[str, int]]:
        """Divides this worker's layers, by depth, into `count` ranges that are about equal: where a slot is to be cut,
        and in which range each layer lies."""
        layers = sorted((slot.layers[layer.name].offset, layer.name) for layer in self.layers)
        count = min(count, len(layers))
        range_of = {name: place * count // len(layers) for place, (_, name) in enumerate(layers)}
        starts = [next(offset for offset, name in layers if range_of[name] == index) for index in range(count)]
        return starts[1:], range_of


def _read(name: str, tensor: object, block_count: int) -> tuple[LayerPage, tuple[int, int, int]]:
    item = tensor.element_size()
    kernel_blocks, heads, tokens, content = tensor.shape
    strides = [stride * item for stride in tensor.stride()]
    pieces, rest = divmod(kernel_blocks, block_count)
    if rest or not pieces:
        raise UnsupportedLayout(f"{name} has {kernel_blocks} kernel blocks for {block_count} blocks")
    size = tokens * content * item
    if strides[3] == item and (strides[2] == content * item or tokens == 1):
        layer = LayerPage(name, heads, pieces, size, True)
        row_stride = strides[1] if heads > 1 else size
    elif strides[3] == item and strides[1] == content * item and strides[2] == heads * content * item:
        layer = LayerPage(name, 1, pieces, heads * size, False)
        row_stride = heads * size
    else:
        raise UnsupportedLayout(f"a page of {name} is not dense: shape {tuple(tensor.shape)}, strides {strides} bytes")
    return layer, (row_stride, strides[0], strides[0] * pieces)


def _joined(runs: list[Part]) -> list[Part]:
    joined: list[Part] = []
    for run in sorted(runs, key=lambda run: (run[0], run[4])):
        if joined:
            region, source, stride, size, place = joined[-1]
            if (region, source + size, stride, place + size) == (run[0], run[1], run[2], run[4]):
                joined[-1] = (region, source, stride, size + run[3], place)
                continue
        joined.append(run)
    return joined
