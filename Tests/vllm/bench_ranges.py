"""Time to first token with loads that are copied as a whole, and in ranges of layers that the forward pass waits for
one by one (the setting `load_ranges`). One engine, asked in turns.

    Tests/vllm/run ranges
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

import demo
import host as hosts

ROUNDS = 21


def measure(engine: demo.Engine, worker: object, ranges: dict[str, int], length: int) -> dict[str, list[float]]:
    """Milliseconds to the first token: vLLM's own hit, a whole load, a divided one."""
    samples: dict[str, list[float]] = {"limit": [], "whole": [], "divided": []}
    for turn in range(ROUNDS):
        for kind in ("whole", "divided") if turn % 2 else ("divided", "whole"):
            worker._range_of = ranges if kind == "divided" else {}
            samples[kind].append(engine.ask("roost", length)["ms"])
            # The load evicted nothing of vLLM's: the next hit is its own again.
        samples["limit"].append(engine.ask("limit", length)["ms"])
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(Path(os.environ.get("ROOST_TEST_MODELS", ".")) / "demo"))
    parser.add_argument("--lengths", type=int, nargs="+", default=[1026, 8194])
    parser.add_argument("--ranges", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2, help="that compute; the processors left over copy")
    options = parser.parse_args()
    hosts.ENVIRONMENT["OMP_NUM_THREADS"] = str(options.threads)
    settings = {"capacity": "2GiB", "load_ranges": options.ranges}
    engine = demo.Engine(options.model, options.lengths, settings)
    from vllm.distributed.kv_transfer import get_kv_transfer_group

    worker = get_kv_transfer_group().worker_side
    rows = []
    for length in options.lengths:
        engine.ask("cold", length)
        engine.ask("roost", length)
        rows.append((length, measure(engine, worker, worker._range_of, length)))
    ranges = worker._ranges
    engine.end()
    print(f"{ranges} ranges of layers, {options.threads} threads; medians of {ROUNDS}, in milliseconds; gain pair by pair, with its quartiles\n")
    print("prompt tokens   own hit     whole   divided            gain")
    print("-------------  --------  --------  --------  --------------")
    for length, samples in rows:
        limit, whole, divided = (statistics.median(samples[kind]) for kind in ("limit", "whole", "divided"))
        gains = [one - other for one, other in zip(samples["whole"], samples["divided"])]
        low, middle, high = statistics.quantiles(gains, n=4)
        print(f"{length:>13,}  {limit:>8.1f}  {whole:>8.1f}  {divided:>8.1f}  {middle:+.1f} ({low:+.1f} to {high:+.1f})")


if __name__ == "__main__":
    main()
