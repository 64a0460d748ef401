"""A simulated accelerator for Python: NVIDIA's driver on host memory that nobody but the driver can touch."""

from __future__ import annotations

import ctypes
import math
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from roost import RoostError, devices

_ATTEMPTS = 5
_BUILT = Path(__file__).parents[2] / ".build" / "debug" / "libSimulatedDrivers.so"


class Driver:
    """A copy of the simulated driver's library, with a state and faults of its own; Roost's `cuda` while it is the last
    one made."""

    def __init__(self, folder: Path, settings: str = "", lacking: tuple[str, ...] = ()) -> None:
        self.path = folder / f"libsimulated-{os.urandom(4).hex()}.so"
        shutil.copy(_BUILT, self.path)
        if lacking:
            self._hide(lacking)
        self._library = ctypes.CDLL(str(self.path))
        self._streams: list[ForeignStream] = []
        self.control("devices=2;memory=67108864")
        self.control(settings)
        os.environ["ROOST_CUDA_LIBRARY"] = str(self.path)

    def _hide(self, names: tuple[str, ...]) -> None:
        # Spoils the names in the table that is looked up: what is called inside the library is not found by name.
        content = self.path.read_bytes()
        for name in names:
            spoilt = b"\0" + b"_" + name[1:].encode() + b"\0"
            content = content.replace(b"\0" + name.encode() + b"\0", spoilt)
        self.path.write_bytes(content)

    def control(self, settings: str) -> None:
        """Changes the machine: see simulation.h."""
        position = self._library.sim_control(settings.encode())
        assert position == 0, f"position {position} of {settings!r} is not understood"

    def seen(self, symbol: str) -> int:
        """Calls of a function since a fault was set for it."""
        function = self._library.sim_seen
        function.restype = ctypes.c_long
        return int(function(symbol.encode()))

    @property
    def leaks(self) -> list[int]:
        """Device memory, pinned memory, registrations, streams, events, modules, contexts that were not given back."""
        counts = (ctypes.c_long * 7)()
        self._library.sim_count_live(counts)
        return list(counts)

    def foreign_stream(self, index: int) -> ForeignStream:
        """A stream that Roost knows nothing of, as a model computes on."""
        self._streams.append(ForeignStream(self._library, index))
        return self._streams[-1]

    def recover(self) -> None:
        """Forgets all faults and holds nothing up, so that whatever a test left can end."""
        self.control("reset=1")
        for stream in self._streams:
            stream.release()


class ForeignStream:
    def __init__(self, library: ctypes.CDLL, index: int) -> None:
        self._library = library
        context, handle = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), index)
        self._call("cuCtxPushCurrent_v2", context)
        self._call("cuStreamCreateWithPriority", ctypes.byref(handle), 1, 0)
        self._index, self.handle = index, int(handle.value or 0)

    def _call(self, name: str, *arguments: object) -> None:
        result = getattr(self._library, name)(*arguments)
        assert result == 0, f"{name} answers {result}"

    def fill(self, address: int, value: int, byte_count: int) -> None:
        """Computes: writes one value to device memory, when its turn comes."""
        address, size = ctypes.c_uint64(address), ctypes.c_size_t(byte_count)
        self._call("cuMemsetD8Async", address, ctypes.c_ubyte(value), size, ctypes.c_void_p(self.handle))

    def hold(self) -> None:
        """Nothing more is computed until `release`."""
        self._library.sim_hold(ctypes.c_void_p(self.handle))

    def release(self) -> None:
        self._library.sim_release(ctypes.c_void_p(self.handle))

    def close(self) -> None:
        self._call("cuStreamSynchronize", ctypes.c_void_p(self.handle))
        self._call("cuStreamDestroy_v2", ctypes.c_void_p(self.handle))
        self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        self._call("cuDevicePrimaryCtxRelease_v2", self._index)


class Memory:
    """Device memory that the host reads and writes by copies alone."""

    def __init__(self, uri: str, byte_count: int) -> None:
        self._device = devices.open(uri)
        self._block = self._device.allocate(byte_count)
        self._stream = self._device.stream()
        self.index = int(uri.partition(":")[2])
        self.address, self.byte_count = self._block.address, byte_count

    def read(self) -> np.ndarray:
        return self.gather(np.zeros(1, np.int64), self.byte_count).reshape(-1)

    def write(self, content: np.ndarray) -> None:
        self.scatter(np.zeros(1, np.int64), np.ascontiguousarray(content).view(np.uint8).reshape(1, -1))

    def gather(self, offsets: np.ndarray, byte_count: int) -> np.ndarray:
        """So many bytes from each offset on, a row each."""
        found = np.zeros((len(offsets), byte_count), np.uint8)
        places = np.arange(len(offsets)) * byte_count
        rows = np.stack([offsets, places, np.full(len(offsets), byte_count)], axis=1)
        self._copy(found.reshape(-1), self._block, rows)
        return found

    def scatter(self, offsets: np.ndarray, rows_of_bytes: np.ndarray) -> None:
        """Each row of bytes to its offset."""
        content = np.ascontiguousarray(rows_of_bytes).view(np.uint8)
        count = content.shape[1]
        rows = np.stack([np.arange(len(offsets)) * count, offsets, np.full(len(offsets), count)], axis=1)
        self._copy(self._block, content.reshape(-1), rows)

    def _copy(self, target: object, source: object, rows: np.ndarray) -> None:
        for _ in range(_ATTEMPTS):
            try:
                self._stream.copy(target, source, rows.astype(np.uint64))
                return self._stream.wait(20)
            except RoostError:
                # A fault that a test meant for somebody else's copy.
                self._stream.reset()
        raise AssertionError("the test's own copy fails again and again")

    def close(self) -> None:
        self._stream.close()
        self._block.free()
        self._device.close()


class DeviceTensor:
    """What a connector asks of torch's tensor: where its elements lie. The host cannot touch them."""

    def __init__(self, memory: Memory, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], item: int) -> None:
        self._memory, self._offset, self._item = memory, offset, item
        self.shape, self._strides = shape, strides
        self.device = SimpleNamespace(type="cuda", index=memory.index)
        self.dtype = f"a type of {item} bytes"

    @classmethod
    def layers(cls, memory: Memory, order: str, sizes: dict[str, int], item: int) -> dict[str, DeviceTensor]:
        """A KV cache with its axes in this order, as vLLM hands it out: layer by layer, [block, head, token, content]."""
        steps = {axis: math.prod(sizes[inner] for inner in order[place + 1 :]) for place, axis in enumerate(order)}
        shape, strides = tuple(sizes[axis] for axis in "BHNC"), tuple(steps[axis] for axis in "BHNC")
        return {
            f"model.layers.{layer}.attn": cls(memory, layer * steps["L"] * item, shape, strides, item)
            for layer in range(sizes["L"])
        }

    def dim(self) -> int:
        return len(self.shape)

    def stride(self, axis: int | None = None) -> tuple[int, ...] | int:
        return self._strides if axis is None else self._strides[axis]

    def element_size(self) -> int:
        return self._item

    def data_ptr(self) -> int:
        return self._memory.address + self._offset

    def untyped_storage(self) -> SimpleNamespace:
        return SimpleNamespace(data_ptr=lambda: self._memory.address, nbytes=lambda: self._memory.byte_count)
