"""Counters of the connector: counted on both sides, added up by vLLM, shown in its log and to Prometheus."""

from __future__ import annotations

from typing import Any

COUNTERS = {
    "lookup_blocks": "Blocks of requests that Roost was asked for",
    "hit_blocks": "Blocks that Roost could load",
    "miss_blocks": "Blocks that Roost did not have",
    "load_jobs": "Loads that have ended",
    "load_bytes": "Bytes copied from the pool to devices",
    "load_seconds": "Seconds that loads took, added up",
    "store_jobs": "Stores that have ended",
    "store_bytes": "Bytes copied from devices to the pool",
    "store_seconds": "Seconds that stores took, added up",
    "failed_blocks": "Blocks that could not be loaded or stored; loads among them are computed instead",
    "failed_jobs": "Jobs that were cancelled or lost as a whole",
}
GAUGES = {
    "pool_slots": "Slots of the pool that are usable now",
    "pool_slots_used": "Slots of the pool with a page in them",
    "disk_pages": "Pages on the disk",
    "disk_promoted_pages": "Pages brought from the disk since the start",
    "disk_written_bytes": "Bytes written to the disk since the start",
    "disk_failed_pages": "Pages that the disk did not bring: missing, damaged, or not readable",
}


class Tally:
    """Counts since it was last taken. hit_blocks + miss_blocks = lookup_blocks, always."""

    __slots__ = ("counts", "failed_blocks", "hits", "lookups")

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}
        self.lookups = 0
        self.hits = 0
        self.failed_blocks = 0

    def looked_up(self, blocks: int, hits: int) -> None:
        """A request was admitted after a lookup of `blocks`, `hits` of which can be loaded."""
        self.lookups += blocks
        self.hits += hits

    def ended(self, verb: int, outcome: int, failed: int, byte_count: int, seconds: float) -> None:
        """A job is over."""
        name = "load" if verb else "store"
        self._add(name + "_jobs", 1)
        self._add(name + "_bytes", byte_count)
        self._add(name + "_seconds", seconds)
        if name == "store":
            # Those of loads are counted where vLLM hears of them.
            self.failed_blocks += failed
        if outcome > 1:
            self._add("failed_jobs", 1)

    def take(self) -> dict[str, float]:
        """What was counted, and starts anew; empty if nothing was."""
        counts, self.counts = self.counts, {}
        if self.lookups:
            counts["lookup_blocks"] = self.lookups
            counts["hit_blocks"] = self.hits
            counts["miss_blocks"] = self.lookups - self.hits
        if self.failed_blocks:
            counts["failed_blocks"] = self.failed_blocks
        self.lookups = self.hits = self.failed_blocks = 0
        return counts

    def _add(self, name: str, amount: float) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount


def merge(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Adds counters up; of gauges the second is the newer."""
    merged = dict(first)
    for name, amount in second.items():
        merged[name] = amount if name in GAUGES else merged.get(name, 0) + amount
    return merged


def summary(counts: dict[str, Any]) -> dict[str, int | float]:
    """One line for vLLM's log."""
    shown: dict[str, int | float] = {}
    if counts.get("lookup_blocks"):
        shown["Roost hit rate (%)"] = round(100 * counts["hit_blocks"] / counts["lookup_blocks"], 1)
    for name in ("load", "store"):
        if counts.get(name + "_jobs"):
            megabytes = counts[name + "_bytes"] / 1e6
            shown[f"Roost {name} (MB)"] = round(megabytes, 1)
            shown[f"Roost {name} (GB/s)"] = round(megabytes / 1e3 / max(counts[name + "_seconds"], 1e-9), 2)
    if counts.get("failed_blocks"):
        shown["Roost failed blocks"] = counts["failed_blocks"]
    return shown
