"""What a worker has to know of its accelerator: which one it is, and what its copies must wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def device_index(tensors: Iterable[Any]) -> int | None:
    """The number of the accelerator that the tensors lie on, as the driver shows them to this process; None: the host.

    Raises `ValueError` if they lie on several: a worker copies for one.
    """
    found = {getattr(getattr(tensor, "device", None), "index", None) for tensor in tensors}
    if len(found) > 1:
        raise ValueError(f"the KV cache lies on several devices: {sorted(map(str, found))}")
    return found.pop() if found else None


def numbered(device: str, index: int | None) -> str:
    """Roost's name of a device, with its number where that is left out: every rank has a device of its own."""
    if index is None or ":" in device or device == "auto":
        return device
    return f"{device}:{index}"


class Following:
    """Has a worker's copies wait for what the model computes before them.

    A store reads what a kernel may still be writing, a load overwrites what one may still read or clear. Where the host
    computes there is nothing to wait for.
    """

    def __init__(self, compute_stream: Callable[[], int | None]):
        self._compute_stream = compute_stream
        self._followed: int | None = None

    def before_copies(self, core: Any) -> None:
        """Call it before every submit. Raises `RoostError` if the device does not know the stream."""
        stream = self._compute_stream()
        if stream != self._followed:
            core.follow(stream)
            self._followed = stream
