"""A cache for everybody: tokens in, tensors back. Without a serving engine, in one process."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from ._core import ADMITTED, DONE, LEASED, LOAD, STORE, Engine, Worker, hash_tokens
from ._error import RoostError
from ._tensors import Tensor, view

_HASH_BYTES = 32
# Copies that take longer than this have hung.
_COPY_SECONDS = 600.0
# Tensors whose copies never ended, and the leases of their slots: kept, because the device may still write there.
_abandoned: list[tuple[list[Tensor], int]] = []


@dataclass(frozen=True)
class _Shape:
    """What every block has of one tensor: its shape with the block's tokens in the place of all."""

    dims: tuple[int, ...]
    token_axis: int
    dtype: str
    item_bytes: int

    @property
    def byte_count(self) -> int:
        count = self.item_bytes
        for extent in self.dims:
            count *= extent
        return count

    def layout(self, strides: Sequence[int], offset: int = 0) -> str:
        axes = [[f"axis{axis}", extent, strides[axis]] for axis, extent in enumerate(self.dims)]
        return json.dumps({"axes": axes, "itemsize": self.item_bytes, "offset": offset})

    def packed(self, offset: int) -> str:
        strides = [self.item_bytes] * len(self.dims)
        for axis in reversed(range(len(self.dims) - 1)):
            strides[axis] = strides[axis + 1] * self.dims[axis + 1]
        return self.layout(strides, offset)


class Cache:
    """Keeps the tensors that belong to token sequences, block by block, so that any common prefix is found again.

    With a `directory` the cache outlives the process (while the machine runs; in /dev/shm it is memory): the next one
    that opens it finds what was put. Only whole blocks are kept. Thread-safe; one process at a time.

        with roost.Cache("/dev/shm", model="my-model-7b") as cache:
            cache.put(tokens, [layer.keys for layer in ...], token_axis=2)
            count, tensors = cache.get(tokens, torch)
    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        model: str | bytes,
        name: str = "cache",
        capacity: int | str = "1GiB",
        tokens_per_block: int = 16,
        verify: str = "adopted",
    ) -> None:
        """Opens a cache.

        `model`: whatever tells apart what the tensors depend on besides the tokens: weights, dtype, adapter. What was put
        for one model is never found for another. `directory`: where it is kept; None: in this process only. `capacity`:
        bytes, or text such as "8GiB"; beyond it the least valuable blocks go.
        """
        self._model = model.encode() if isinstance(model, str) else bytes(model)
        self._tokens_per_block = tokens_per_block
        self._config: dict[str, Any] = {"capacity": capacity, "verify": verify}
        self._shapes: list[_Shape] = []
        self._engine: Engine | None = None
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._next = 0
        self._notes: Path | None = None
        if directory is not None:
            self._config |= {"directory": os.fspath(directory), "name": name, "keep": True}
            self._notes = Path(directory) / f"{name}.roost.json"
            with contextlib.suppress(FileNotFoundError):
                self._open([_shape(entry) for entry in json.loads(self._notes.read_text())["tensors"]])

    def put(self, tokens: Sequence[int], tensors: Sequence[Any], token_axis: int = -2) -> int:
        """Keeps the tensors of the whole blocks of `tokens`.

        Each tensor has an entry for every token along `token_axis` (more are ignored); all axes and dtypes are the same
        at every call. Returns how many tokens of the sequence are kept now, from the head on.
        """
        views = [view(tensor) for tensor in tensors]
        shapes = [self._shape_of(tensor, token_axis) for tensor in views]
        with self._lock:
            if self._engine is None:
                self._open(shapes)
                self._write_notes()
            hashes = self._hashes(tokens, views)
            self._check(shapes)
            return self._move(STORE, hashes, views) * self._tokens_per_block

    def match(self, tokens: Sequence[int]) -> int:
        """How many tokens, from the head on, `get` would find."""
        with self._lock:
            if self._engine is None:
                return 0
            hashes = hash_tokens(_array(tokens), self._tokens_per_block)
            return self._engine.match(self._identity, hashes, _HASH_BYTES) * self._tokens_per_block

    def get(self, tokens: Sequence[int], into: ModuleType | Sequence[Any]) -> tuple[int, Sequence[Any]]:
        """Brings back the tensors of as many tokens, from the head on, as are kept.

        `into`: tensors that are filled from their beginning, or the module that makes new ones: `numpy`, `torch`.
        Returns the number of tokens and the tensors.
        """
        with self._lock:
            count = 0
            hashes = hash_tokens(_array(tokens), self._tokens_per_block)
            if self._engine is not None:
                count = self._engine.match(self._identity, hashes, _HASH_BYTES)
            tensors = self._make(into, count) if isinstance(into, ModuleType) else into
            views = [view(tensor) for tensor in tensors]
            if count == 0:
                return 0, tensors
            if not isinstance(into, ModuleType):
                room = min(tensor.shape[shape.token_axis] for tensor, shape in zip(views, self._shapes, strict=True))
                count = min(count, room // self._tokens_per_block)
                for tensor, shape in zip(views, self._shapes, strict=True):
                    if self._shape_of(tensor, shape.token_axis) != shape:
                        raise RoostError("invalidInput", f"a tensor of shape {tensor.shape} is not one that was put")
            count = self._move(LOAD, hashes[: count * _HASH_BYTES], views)
            return count * self._tokens_per_block, tensors

    def stats(self) -> dict[str, int]:
        """Counters of the engine; empty before the first `put`."""
        with self._lock:
            return {} if self._engine is None else self._engine.stats()

    def close(self) -> None:
        """Ends the cache; what has a directory stays there. Safe to call twice."""
        with self._lock:
            if self._worker is not None:
                self._worker.close()
            if self._engine is not None:
                self._engine.close(30)
            self._worker = self._engine = None

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What follows is called with the lock held.

    def _open(self, shapes: list[_Shape]) -> None:
        page_bytes = sum(shape.byte_count for shape in shapes)
        groups = [{"page_bytes": page_bytes, "tokens_per_block": self._tokens_per_block}]
        engine = Engine(json.dumps({**self._config, "groups": groups}))
        # So that the first `put` finds room; a larger pool goes on growing behind.
        engine.wait_ready(1)
        fields = [("weights", self._model), ("hash_scheme", b"roost:sha256")]
        fields += [("tokens_per_block", str(self._tokens_per_block).encode()), ("data_type", _text(shapes).encode())]
        self._identity = engine.intern(fields)
        self._worker = Worker(engine.address)
        self._engine, self._shapes = engine, shapes

    def _write_notes(self) -> None:
        """What a page consists of, for the process that opens the directory next."""
        if self._notes is None:
            return
        draft = self._notes.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"tensors": [asdict(shape) for shape in self._shapes]}))
        draft.replace(self._notes)

    def _shape_of(self, tensor: Tensor, token_axis: int) -> _Shape:
        if not -len(tensor.shape) <= token_axis < len(tensor.shape):
            raise RoostError("invalidInput", f"a tensor of shape {tensor.shape} has no axis {token_axis}")
        axis = token_axis % len(tensor.shape)
        dims = (*tensor.shape[:axis], self._tokens_per_block, *tensor.shape[axis + 1 :])
        return _Shape(dims, axis, tensor.dtype, tensor.item_bytes)

    def _check(self, shapes: list[_Shape]) -> None:
        if shapes != self._shapes:
            raise RoostError("invalidInput", f"the tensors are {_text(shapes)}, but the cache is of {_text(self._shapes)}")

    def _hashes(self, tokens: Sequence[int], views: list[Tensor]) -> bytes:
        room = min((view.shape[shape.token_axis] for view, shape in zip(views, self._shapes)), default=0)
        if room < len(tokens):
            raise RoostError("invalidInput", f"there are {len(tokens)} tokens, but tensors of only {room}")
        return hash_tokens(_array(tokens), self._tokens_per_block)

    def _make(self, module: ModuleType, count: int) -> list[Any]:
        tensors = []
        for shape in self._shapes:
            dims = list(shape.dims)
            dims[shape.token_axis] = count * self._tokens_per_block
            tensors.append(module.empty(dims, dtype=getattr(module, shape.dtype)))
        return tensors

    def _move(self, verb: int, hashes: bytes, views: list[Tensor]) -> int:
        """Copies what is to be copied; returns the number of blocks, from the head on, that are there in the end."""
        engine, worker = self._engine, self._worker
        assert engine is not None and worker is not None
        blocks = len(hashes) // _HASH_BYTES
        self._next += 1
        grants = array("I", bytes(12 * blocks))
        begin = engine.begin_store if verb == STORE else engine.begin_load
        lease = begin(self._next, self._identity, hashes, _HASH_BYTES, 0, grants)
        wanted = ADMITTED if verb == STORE else LEASED
        mine = [block for block in range(blocks) if grants[3 * block + 2] == wanted]
        if lease != 0:
            is_submitted = False
            try:
                self._register(views, blocks)
                slots = array("I", [number for block in mine for number in grants[3 * block : 3 * block + 2]])
                # Said before: an interrupt may come between the call and the next line.
                is_submitted = True
                worker.submit(self._next, verb, 0, 0, array("i", mine), slots, True)
                _, outcome, _, _, _ = worker.wait(self._next, _COPY_SECONDS)
                if outcome != DONE:
                    raise RoostError("lost", "the copies failed")
            except BaseException:
                if is_submitted and not _has_let_go(worker, self._next):
                    _abandoned.append((views, lease))
                    raise
                engine.abort(lease)
                raise
            engine.commit(lease) if verb == STORE else engine.end(lease)
        if verb == STORE:
            return engine.match(self._identity, hashes, _HASH_BYTES)
        return next((block for block in range(blocks) if grants[3 * block + 2] != LEASED), blocks)

    def _register(self, views: list[Tensor], blocks: int) -> None:
        assert self._worker is not None
        regions, parts, offset = [], [], 0
        for number, (tensor, shape) in enumerate(zip(views, self._shapes, strict=True)):
            if any(stride < 0 for stride in tensor.strides):
                raise RoostError("unsupported", "a tensor with a negative stride; make it contiguous first")
            last = sum((extent - 1) * stride for extent, stride in zip(tensor.shape, tensor.strides, strict=True))
            regions.append((tensor.address, last + tensor.item_bytes))
            block_stride = tensor.strides[shape.token_axis] * self._tokens_per_block
            parts.append((number, shape.layout(tensor.strides), block_stride, shape.packed(offset)))
            offset += shape.byte_count
        self._worker.register(0, 0, 1, regions, parts, blocks)


def _has_let_go(worker: Any, job: int) -> bool:
    """Whether the worker copies nothing for the job any more: only then may tensors and slots be used again."""
    while True:
        try:
            worker.cancel(job)
            worker.wait(job, _COPY_SECONDS)
        except KeyboardInterrupt:
            continue
        except RoostError as error:
            return error.code != "timedOut"
        return True


def _array(tokens: Sequence[int]) -> array[int]:
    # Tensors of tokens give lists, which is the fastest way out of them.
    return array("I", tokens.tolist() if hasattr(tokens, "tolist") else tokens)


def _shape(entry: dict[str, Any]) -> _Shape:
    return _Shape(tuple(entry["dims"]), entry["token_axis"], entry["dtype"], entry["item_bytes"])


def _text(shapes: list[_Shape]) -> str:
    return ", ".join(f"{shape.dtype}{list(shape.dims)}" for shape in shapes)
