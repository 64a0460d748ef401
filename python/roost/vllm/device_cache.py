"""Device blocks of windows and states, which vLLM lets go of while their request lives.

A full attention's blocks stay with a request to its end. A window moves on, and what it leaves behind may be written
over in the next step, though vLLM's own prefix cache still finds it until then. Such blocks are borrowed for the time
of a store: while somebody refers to a block, vLLM gives it to nobody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roost.vllm.groups import WINDOW, Group


class DeviceCache:
    """vLLM's pool of device blocks."""

    def __init__(self, pool: Any):
        self._pool = pool

    def borrow(self, group: Group, hashes: Sequence[bytes], table: Sequence[int]) -> dict[int, Any]:
        """The blocks that still lie on the device, by position in `hashes`; to be given back.

        `table` has the request's block for each hash, 0 where the request has none any more. Of a window's blocks all
        are whole; which block holds the state at its end, only vLLM's cache knows.
        """
        found: dict[int, Any] = {}
        for position, (name, number) in enumerate(zip(hashes, table)):
            if number and group.kind == WINDOW:
                found[position] = self._pool.blocks[number]
            elif cached := self._pool.get_cached_block(name, [group.number]):
                found[position] = cached[0]
        self._pool.touch(list(found.values()))
        return found

    def borrow_numbers(self, numbers: Sequence[int]) -> list[Any]:
        """Blocks by number; to be given back."""
        blocks = [self._pool.blocks[number] for number in numbers]
        self._pool.touch(blocks)
        return blocks

    def give_back(self, blocks: Sequence[Any]) -> None:
        """Tails first, as vLLM does: a head outlives what hangs on it."""
        self._pool.free_blocks(reversed(blocks))
