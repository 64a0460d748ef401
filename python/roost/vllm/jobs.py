"""What the scheduler's side and the workers' side tell each other, in vLLM's own messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from roost.vllm.pages import SlotLayout

STORE, LOAD, LOAD_DIVIDED = 0, 1, 2
"""The verbs of `roost._core`."""


@dataclass(slots=True)
class Job:
    """Pages to copy under one lease. Its number is the lease's."""

    number: int
    verb: int
    request: str
    blocks: bytes
    """Device blocks, 32 bits each: as they come from the engine and go to the copies, untouched between."""
    slots: bytes
    """Slot and generation of each block, unsigned 32 bits each."""
    waits: bool = False
    """A load that this step's forward pass needs."""
    missing: bytes = b""
    """Device blocks that were promised but are gone: failed before they began."""
    group: int = 0
    """Which of the ticket's slots the pages lie in."""

    def __len__(self) -> int:
        return len(self.blocks) // 4

    def numbers(self, positions: Sequence[int] | None = None) -> list[int]:
        """The device blocks as numbers; at some positions, or all."""
        every = block_numbers(self.blocks)
        return every if positions is None else [every[position] for position in positions]


def block_numbers(blocks: bytes) -> list[int]:
    """Device blocks as numbers."""
    return memoryview(blocks).cast("i").tolist()


@dataclass(frozen=True)
class PoolTicket:
    """All that a worker needs to attach."""

    address: str
    device: str
    slots: tuple[SlotLayout, ...]
    """One for each group of layers."""
    shards: tuple[tuple[int, int], ...]
    """(pipeline rank, tensor rank) of every shard."""
    attach_timeout: float
    load_timeout: float


@dataclass(slots=True)
class StepOrders:
    """What the workers have to do in one step."""

    ticket: PoolTicket | None = None
    loads: list[Job] = field(default_factory=list)
    stores: list[Job] = field(default_factory=list)
    fence: list[int] = field(default_factory=list)
    """Jobs that must be over before this step writes to the device."""
    cancel: list[int] = field(default_factory=list)
    """Loads that nobody waits for any more."""
    release: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    """Requests that have finished, and the jobs that must be over before vLLM gets their blocks back."""
    is_idle: bool = False
    """Nothing is computed in this step: a worker may wait a moment for its loads."""


@dataclass(slots=True)
class StepReport:
    """What a worker tells the scheduler's side beyond what vLLM carries."""

    refused: set[int] = field(default_factory=set)
    """Jobs that it never began."""
    failed: set[str] = field(default_factory=set)
    """Requests that a load failed for."""

    def merged(self, other: StepReport) -> StepReport:
        """What two workers say together."""
        return StepReport(self.refused | other.refused, self.failed | other.failed)
