"""Accelerators, the CPU and the mock through one set of objects: memory, streams, events, copies.

    device = roost.devices.open("auto")
    device.require("asynchronous-copy")
    block = device.allocate(1 << 20)
    stream = device.stream()
    stream.copy(block, tensor)                              # asynchronous; `tensor` is kept until it has ended
    stream.wait(timeout=10)

Sizes are bytes, times are seconds. Everything may be called from any thread. Nothing blocks but what takes a `timeout`, and
`open`, which may start a vendor's driver. Objects may be dropped in any order: memory that a copy still uses stays. After a
fork the child can use nothing that its parent opened (`RoostError`, code `stale`), but may open its own.
"""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core
from ._error import RoostError
from ._tensors import host_range
from .layout import Plan

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["CAPABILITIES", "Block", "Description", "Device", "Event", "Finding", "Memory", "Stream", "mock", "open", "survey"]

CAPABILITIES = (
    "host-addressable",
    "asynchronous-copy",
    "batched-copy",
    "strided-copy",
    "host-registration",
    "event-timing",
    "host-callbacks",
    "stream-priority",
    "inter-process-memory",
    "direct-storage",
    "collectives",
)
"""What a device may offer beyond memory, streams, events and copies."""


class Finding(NamedTuple):
    """A device that was found, or a kind of which there is none."""

    uri: str
    vendor: str
    reason: str
    """Why it cannot be used; empty if it can."""


class Memory(NamedTuple):
    """What a device's memory is used for, in bytes."""

    total: int
    free: int
    """What nobody uses now, in this process or another one, as far as the driver tells."""
    blocks: int
    """Blocks that were allocated through this object and are not freed, or are still copied."""
    block_bytes: int
    """Their sizes, as they were asked for."""


@dataclass(frozen=True)
class Description:
    """What a device is; constant while the process lives."""

    uri: str
    name: str
    vendor: str
    memory_bytes: int
    data_types: tuple[str, ...]
    copy_engines: int
    numa_node: int | None
    capabilities: frozenset[str]
    efficient_run_bytes: int
    """The shortest contiguous run that its own copies move at a good speed; shorter ones are worth staging."""
    driver_version: str | None
    bus_address: str | None
    tested_on_hardware: bool
    """Whether this vendor's code was ever run on such a device; if not, on a simulated driver alone."""


def open(uri: str = "auto") -> Device:
    """Opens a device: "cpu", "cuda:1"; "auto" is the one that ROOST_DEVICE names, else the first accelerator, else the CPU.

    Raises `notFound` for an unknown kind, with what there is and why the rest cannot be used; else what the driver says.
    """
    return Device(_core.device_open(uri))


def mock(
    seed: int = 0,
    *,
    capabilities: Iterable[str] | None = None,
    memory_bytes: int = 64 << 20,
    efficient_run_bytes: int = 0,
) -> Device:
    """A device for tests: it keeps the contract and not a step more, in an order that the seed decides.

    Copies are made late, in parts and in any order, so that a program which forgets to wait gets wrong bytes.
    `capabilities`: what it offers; None: all that a mock can, but for "host-addressable". Raises `invalidInput` for what no
    mock can offer.
    """
    config: dict[str, Any] = {"seed": seed, "memory_bytes": memory_bytes, "efficient_run_bytes": efficient_run_bytes}
    if capabilities is not None:
        config["capabilities"] = list(capabilities)
    return Device(_core.device_mock(json.dumps(config)))


def survey() -> list[Finding]:
    """Every device that there is, and for every kind without one the reason."""
    return [Finding(**finding) for finding in json.loads(_core.device_survey())]


class Device:
    """An opened device. Made by `open` and `mock`."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        told = json.loads(_core.device_describe(handle))
        told["data_types"] = tuple(told["data_types"])
        told["capabilities"] = frozenset(told["capabilities"])
        self.description = Description(**told)

    def __repr__(self) -> str:
        return f"<roost device {self.description.uri}: {self.description.name}>"

    @property
    def capabilities(self) -> frozenset[str]:
        """What it offers, of `CAPABILITIES`."""
        return self.description.capabilities

    def require(self, *names: str) -> None:
        """Raises `unsupported`, with what is missing, unless the device offers all of these; `invalidInput` for a name
        that no capability has."""
        _core.device_require(self._handle, json.dumps(names))

    def memory(self) -> Memory:
        """How its memory is used now."""
        return Memory(*_core.device_memory(self._handle))

    def allocate(self, byte_count: int) -> Block:
        """Device memory, aligned to 4 KiB, with undefined content. Raises `outOfResources` if it does not fit."""
        return self.allocate_many(1, byte_count)[0]

    def allocate_many(self, count: int, byte_count: int) -> list[Block]:
        """As many blocks of `byte_count` bytes each, at most 65,536 a call: all or none."""
        if byte_count <= 0 or count < 0:
            raise RoostError("invalidInput", f"{count} blocks of {byte_count} bytes cannot be")
        return [Block(self, handle, byte_count) for handle in _core.device_allocate(self._handle, byte_count, count)]

    def stream(self, *, high_priority: bool = False) -> Stream:
        """An ordered queue of copies. High priority overtakes where the device has "stream-priority"."""
        return Stream(self, _core.stream_open(self._handle, int(high_priority)))

    def event(self) -> Event:
        """A mark for streams, which nobody has recorded yet."""
        return Event(self, _core.device_event_open(self._handle))

    def wait(self, timeout: float) -> None:
        """Waits until everything submitted to any stream has ended. Raises `timedOut`, or a failed stream's error."""
        _core.device_wait(self._handle, timeout)
        _let_go()

    def close(self) -> None:
        """Ends the use of the device; blocks, streams and events go on until they are freed or dropped. Safe twice."""
        handle, self._handle = self._handle, 0
        if handle != 0:
            _core.device_close(handle)

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        _quietly(self.close)


class Block:
    """Device memory. Freed by `free`, or when it is dropped; copies that use it are waited for, not the caller."""

    def __init__(self, device: Device, handle: int, byte_count: int) -> None:
        self.device = device
        self.byte_count = byte_count
        self._handle = handle

    @property
    def address(self) -> int:
        """The device address of the first byte: for kernels, `Worker.register` and transports. The host may touch it only
        where the device is "host-addressable". Valid until the block is freed or migrated."""
        return int(_core.block_place(self._handle)[0])

    @property
    def is_freed(self) -> bool:
        """Whether it was freed."""
        return self._handle == 0

    def free(self) -> None:
        """Gives the memory back. Raises `stale` the second time."""
        handle, self._handle = self._handle, 0
        _core.block_free([handle])

    def migrate(self, device: Device, timeout: float) -> Block:
        """Moves the content to another device, through host memory; returns the new block and frees this one.

        The same device: returns this block. If it fails (`outOfResources`, `timedOut`) the block is as it was. The caller
        sees to it that nothing writes it meanwhile.
        """
        if device is self.device:
            return self
        moved = Block(device, _core.block_migrate(self._handle, device._handle, timeout), self.byte_count)
        self._handle = 0
        return moved

    def __del__(self) -> None:
        if getattr(self, "_handle", 0) != 0:
            _quietly(self.free)


class Stream:
    """An ordered queue of copies on one device. Made by `Device.stream`.

    A copy that fails makes the stream fail: what comes later is skipped, and `wait` and `is_idle` raise the first error until
    `reset`.
    """

    def __init__(self, device: Device, handle: int) -> None:
        self.device = device
        self._handle = handle

    def copy(self, target: Any, source: Any, pieces: Plan | Buffer | None = None) -> None:
        """Copies `source` to `target`; returns at once.

        One or both are blocks of the stream's device; the other one may be host memory: a contiguous array, tensor or
        buffer, which is kept until the copy has ended and must not be changed (or read, as a target) before. `pieces`: a
        plan from the source's layout to the target's, or rows (source offset, target offset, bytes) of 64-bit numbers;
        None: all bytes, of which both have as many. Pieces must not overlap. Raises `invalidInput` for what lies outside of
        either side: then nothing is copied.
        """
        self.copy_many([(target, source, pieces)])

    def copy_many(self, copies: Sequence[tuple[Any, Any, Plan | Buffer | None]]) -> None:
        """Many copies (target, source, pieces) in one call: all are checked before the first is made. They have no order
        among themselves."""
        entries, needs = [], []
        for target, source, pieces in copies:
            rows = pieces.pieces() if isinstance(pieces, Plan) else pieces
            host = host_range(target, is_written=True) if not isinstance(target, Block) else None
            if not isinstance(source, Block):
                if host is not None:
                    raise RoostError("invalidInput", "neither the source nor the target is a block of a device")
                host = host_range(source, is_written=False)
            if host is not None:
                needs.append(host.keep)
            sides = [side._handle if isinstance(side, Block) else 0 for side in (source, target)]
            if any(isinstance(side, Block) and side.is_freed for side in (source, target)):
                raise RoostError("stale", "the block was freed")
            entries.append((*sides, *((host.address, host.byte_count) if host else (0, 0)), rows))
        mark = _core.device_event_open(self.device._handle) if needs else 0
        try:
            _core.stream_copy(self._handle, entries)
        finally:
            # Even a copy that was refused half-way may have begun.
            if needs:
                _keep(self._handle, mark, needs)

    def record(self, event: Event) -> Event:
        """Records the event: it completes when everything that was submitted before has ended. Returns it."""
        _core.stream_record(self._handle, event._handle)
        return event

    def wait_for(self, event: Event) -> None:
        """What is submitted from now on waits for the event's last recording. Does not block the caller."""
        _core.stream_follow(self._handle, event._handle)

    @property
    def is_idle(self) -> bool:
        """Whether everything that was submitted has ended. Raises the error of a stream that failed."""
        return bool(_core.stream_query(self._handle))

    def wait(self, timeout: float) -> None:
        """Waits until everything that was submitted has ended. Raises `timedOut` (it goes on), or the stream's error."""
        _core.stream_wait(self._handle, timeout)
        _let_go()

    def reset(self) -> None:
        """Forgets the error of a stream that failed."""
        _core.stream_reset(self._handle)

    def close(self, timeout: float = 5.0) -> bool:
        """Waits for what was submitted. False: some copies still run. Safe twice."""
        handle, self._handle = self._handle, 0
        return handle == 0 or bool(_core.stream_close(handle, timeout))

    def __del__(self) -> None:
        if getattr(self, "_handle", 0) != 0:
            _quietly(lambda: self.close(0.0))


class Event:
    """A mark in a stream. May be recorded again, which replaces the earlier recording. Made by `Device.event`."""

    def __init__(self, device: Device, handle: int) -> None:
        self.device = device
        self._handle = handle

    @property
    def is_complete(self) -> bool:
        """Whether its last recording has completed; true if it was never recorded."""
        return bool(_core.device_event_query(self._handle))

    def wait(self, timeout: float) -> None:
        """Waits for the last recording. Raises `timedOut`."""
        _core.device_event_wait(self._handle, timeout)
        _let_go()

    def seconds_since(self, start: Event) -> float:
        """Seconds between the completion of `start` and of this one. Needs "event-timing" (`unsupported`); raises
        `invalidInput` if either is not complete."""
        return float(_core.device_event_seconds(start._handle, self._handle))

    def __del__(self) -> None:
        handle, self._handle = getattr(self, "_handle", 0), 0
        if handle != 0:
            _quietly(lambda: _core.device_event_close(handle))


# Host memory of copies that may still run, with the event that tells: longer than streams and tensors live.
_in_flight: list[tuple[int, list[Any]]] = []
_lock = threading.Lock()
_EXIT_SECONDS = 10.0
_USUAL_COUNT = 64
_ask_count = _USUAL_COUNT


def _keep(stream: int, mark: int, needs: list[Any]) -> None:
    global _ask_count
    try:
        _core.stream_record(stream, mark)
    except RoostError:
        # Nobody will ever know when the copies have ended.
        _core.device_event_close(mark)
        mark = 0
    with _lock:
        _in_flight.append((mark, needs))
    if len(_in_flight) >= _ask_count:
        _let_go()
        # Twice those that have not ended, so that asking stays cheap.
        _ask_count = max(_USUAL_COUNT, 2 * len(_in_flight))


def _let_go() -> None:
    """Drops host memory whose copies have ended."""
    ended: list[tuple[int, list[Any]]] = []
    with _lock:
        if _in_flight:
            ended = [flight for flight in _in_flight if _has_ended(flight[0])]
            _in_flight[:] = [flight for flight in _in_flight if not any(flight is other for other in ended)]
    for mark, _ in ended:
        _quietly(lambda mark=mark: _core.device_event_close(mark))


def _has_ended(mark: int) -> bool:
    try:
        return mark != 0 and bool(_core.device_event_query(mark))
    except RoostError:
        # Of the process that this one was forked from: the copies are made there.
        return True


@atexit.register
def _wait_for_all() -> None:
    """Before the interpreter gives memory back that copies still use."""
    for mark, _ in list(_in_flight):
        if mark != 0:
            _quietly(lambda mark=mark: _core.device_event_wait(mark, _EXIT_SECONDS))


def _quietly(call: Any) -> None:
    # Of an object that goes nobody is left to hear; after a fork its handles are over anyway.
    try:
        call()
    except (RoostError, AttributeError, TypeError):
        pass
