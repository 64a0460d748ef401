"""The one exception of Roost. A module of its own, because the extension needs it while it loads."""

from __future__ import annotations

from collections.abc import Mapping


class RoostError(Exception):
    """An operating error. `str(error)` is one line.

    `code` says what kind (invalidInput, notFound, busy, outOfResources, unsupported, timedOut, cancelled, corrupt, stale,
    lost, system; new ones may come), `message` what happened and, where it helps, what to do; `context` where.
    """

    def __init__(self, code: str, message: str, context: Mapping[str, str] | None = None) -> None:
        super().__init__(code, message, dict(context or {}))
        self.code = code
        self.message = message
        self.context = dict(context or {})

    def __str__(self) -> str:
        return self.message
