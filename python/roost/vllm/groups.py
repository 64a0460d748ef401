"""The groups of layers of a model: what each of them needs in order to continue at some length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import lcm
from typing import Any

FULL, WINDOW, STATE = "full", "window", "state"


@dataclass(frozen=True)
class Group:
    """Layers with one kind of attention and one table of device blocks."""

    kind: str
    """`full`: every block; `window`: those with the last tokens; `state`: the one that ends at the length."""
    block_tokens: int
    number: int = 0
    """vLLM's."""
    window_tokens: int = 0
    """Tokens before the one to be computed that a window still sees."""

    def needed(self, length: int) -> tuple[int, int]:
        """The blocks that are loaded to continue at a length, a multiple of the block: the first, and how many."""
        end = length // self.block_tokens
        first = 0
        if self.kind == WINDOW:
            first = min(end, max(0, length - self.window_tokens) // self.block_tokens)
        elif self.kind == STATE:
            first = max(0, end - 1)
        return first, end - first

    @property
    def description(self) -> dict[str, Any]:
        """As the engine's configuration has it."""
        described: dict[str, Any] = {"kind": self.kind, "tokens_per_block": self.block_tokens}
        if self.kind == WINDOW:
            described["window_tokens"] = self.window_tokens
        return described


def common_block(groups: Sequence[Group]) -> int:
    """The shortest length that is whole blocks in every group."""
    return lcm(*(group.block_tokens for group in groups))
