"""Time to first token: computed, loaded by Roost, and hit in vLLM's own prefix cache, over the length of the prompt.

    make demo-vllm

vLLM's own hit is the limit: nothing has to be copied. Before each load vLLM's cache is emptied and the device pages are
overwritten, so that what is measured is a load; the first token has to be the same every time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

import host as hosts

BLOCK = 32
LENGTHS = (1026, 2050, 4098, 8194)
# A prompt of 8k tokens takes tens of seconds to compute: once is enough.
COLD_ROUNDS = {1026: 3, 2050: 3}
WARM_ROUNDS = 21
# Overwrites the device pages before a load. Not NaN: kernels multiply the empty end of a last block by zero.
JUNK = 123.0
# What a line of a child starts with that is for its parent.
ANSWER = "demo: "


class Engine:
    """A vLLM in this process, with Roost or without."""

    def __init__(self, model: str, lengths: list[int], settings: dict | None) -> None:
        hosts.prepare(in_process=True)
        arguments = {"max_model_len": max(lengths) + 64, "max_num_seqs": 4}
        self.host = hosts.Host(
            hosts.Spec(model=model, settings=settings, in_process=True, tokens=1, arguments=arguments)
        )
        context = self.host.core.vllm_config.compilation_config.static_forward_context
        self.tensors = [layer.kv_cache for layer in context.values()]
        self.has_roost = settings is not None
        self.copies: list[float] = []
        if self.has_roost:
            _time_copies(self.copies)
        source = random.Random(11)
        self.prompts = {length: [source.randrange(300, 2000) for _ in range(length)] for length in lengths}
        self.tokens: dict[int, int] = {}

    def ask(self, kind: str, length: int) -> dict:
        """The milliseconds to the first token when nothing is cached (`cold`), vLLM hits its own cache (`limit`), or
        only Roost has the pages (`roost`)."""
        prompt, hits = self.prompts[length], (length - 1) // BLOCK * BLOCK
        if kind != "limit":
            self.host.reset()
        if kind == "cold" and self.has_roost:
            self.host.core.scheduler.connector.reset_cache()
        if kind == "roost":
            for tensor in self.tensors:
                tensor[: length // BLOCK + 64].fill_(JUNK)
        self.copies.clear()
        start = time.perf_counter()
        answer = self.host.ask(prompt)
        seconds = time.perf_counter() - start
        self.host.drain()
        assert answer.cached == (0 if kind == "cold" else hits), (kind, answer.cached, hits)
        token = self.tokens.setdefault(length, answer.tokens[0])
        assert token == answer.tokens[0], f"the first token changed: {token} to {answer.tokens[0]}"
        return {"ms": seconds * 1e3, "copy_ms": sum(self.copies)}

    def end(self) -> dict:
        """The megabytes of a block, and Roost's counters."""
        page = sum(tensor[0].numel() * tensor.element_size() for tensor in self.tensors)
        counters = self.host.counters() if self.has_roost else {}
        self.host.close()
        return {"block_megabytes": page / 1e6, "counters": counters}


def _time_copies(samples: list[float]) -> None:
    """Notes how long a step waits for its load."""
    from vllm.distributed.kv_transfer import get_kv_transfer_group

    worker = get_kv_transfer_group().worker_side

    def timed(orders) -> None:
        start = time.perf_counter()
        type(worker).load(worker, orders)
        samples.append((time.perf_counter() - start) * 1e3)

    worker.load = timed


def serve(engine: Engine) -> None:
    """Does what the lines of standard input say, until it ends."""
    for line in sys.stdin:
        kind, length = line.split()
        print(ANSWER + json.dumps(engine.ask(kind, int(length))), flush=True)
    print(ANSWER + json.dumps(engine.end()), flush=True)


class Child:
    """An `Engine` in a process of its own. Both live at once, so that what the machine does otherwise falls on both."""

    def __init__(self, arguments: list[str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, kind: str, length: int) -> dict:
        self.process.stdin.write(f"{kind} {length}\n")
        self.process.stdin.flush()
        return self._answer()

    def end(self) -> dict:
        self.process.stdin.close()
        answer = self._answer()
        assert self.process.wait(60) == 0
        return answer

    def _answer(self) -> dict:
        for line in self.process.stdout:
            if line.startswith(ANSWER):
                return json.loads(line.removeprefix(ANSWER))
        raise SystemExit(f"an engine ended with status {self.process.wait()}; what it said stands above")


def measure(roost: Child, bare: Child, length: int) -> dict:
    """All samples of one length, in milliseconds."""
    row: dict = {"tokens": length, "cold": [], "limit": [], "roost": [], "copy": [], "bare": []}
    for _ in range(COLD_ROUNDS.get(length, 1)):
        row["cold"].append(roost.ask("cold", length)["ms"])
    bare.ask("cold", length)
    for turn in range(WARM_ROUNDS):
        # In turns, because whoever comes first finds what the load before has left in the processor's caches.
        for kind, engine in [("bare", bare), ("limit", roost)][:: 1 if turn % 2 else -1]:
            row[kind].append(engine.ask("limit", length)["ms"])
        loaded = roost.ask("roost", length)
        row["roost"].append(loaded["ms"])
        row["copy"].append(loaded["copy_ms"])
        # The load evicted nothing of vLLM's: the next hit is its own again.
    return row


def _copy_limit(megabytes: float) -> float:
    """Milliseconds that one thread's plain copy of as many bytes takes, measured here."""
    import numpy as np

    source = np.ones(int(megabytes * 1e6), dtype=np.uint8)
    target = np.zeros_like(source)
    samples = []
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(target, source)
        samples.append((time.perf_counter() - start) * 1e3)
    return statistics.median(samples)


def table(rows: list[dict]) -> str:
    """Medians in milliseconds; differences pair by pair."""
    lines = [
        "prompt tokens   KV moved       cold       Roost      limit   over it  of it load   memcpy   hit beside bare vLLM",
        "-------------  ---------  ---------  ----------  ---------  --------  ----------  -------  --------------------",
    ]
    for row in rows:
        cold, roost, limit, load = (statistics.median(row[kind]) for kind in ("cold", "roost", "limit", "copy"))
        over = statistics.median(warm - hit for warm, hit in zip(row["roost"], row["limit"]))
        beside = statistics.median(hit - bare for hit, bare in zip(row["limit"], row["bare"]))
        lines.append(
            f"{row['tokens']:>13,}  {row['megabytes']:>6.0f} MB  {cold:>6.0f} ms  {roost:>7.1f} ms  {limit:>6.1f} ms"
            f"  {over:>5.1f} ms  {load:>7.1f} ms  {row['memcpy']:>4.0f} ms  {beside:>+17.2f} ms"
        )
    return "\n".join(lines)


def chart(rows: list[dict], path: Path) -> None:
    """A chart of the table."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter

    lengths = [row["tokens"] for row in rows]
    figure, axes = pyplot.subplots(figsize=(8, 4.8), layout="constrained")
    styles = {
        "cold": ("computed", "#b3402f", "o"),
        "roost": ("loaded by Roost", "#1f6f8b", "s"),
        "limit": ("vLLM's own hit: nothing to load", "#8a8a8a", "^"),
    }
    for kind, (label, color, marker) in styles.items():
        values = [statistics.median(row[kind]) for row in rows]
        axes.plot(lengths, values, marker=marker, color=color, label=label, linewidth=2)
        for row, length, value in zip(rows, lengths, values):
            below = kind == "limit"
            axes.annotate(
                f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms",
                (length, value),
                textcoords="offset points",
                xytext=(0, -15 if below else 8),
                ha="center",
                fontsize=9,
                color=color,
            )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(lengths, [f"{length:,}\n{row['megabytes']:.0f} MB" for length, row in zip(lengths, rows)])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / 1000:g} s" if value >= 1000 else f"{value:g} ms")
    )
    axes.set_ylim(bottom=min(statistics.median(row["limit"]) for row in rows) / 2)
    axes.set_xlim(lengths[0] / 1.25, lengths[-1] * 1.25)
    axes.set_xlabel("tokens of the prompt, and the KV cache that a load moves")
    axes.set_title("Time to first token (medians; real vLLM, 2 CPU cores, 12-layer Llama)", fontsize=11)
    axes.grid(axis="y", color="#dddddd")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(Path(os.environ.get("ROOST_TEST_MODELS", ".")) / "demo"))
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--chart", type=Path, default=Path("ttft.png"))
    parser.add_argument("--part", choices=["with", "without"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        settings = {"capacity": "2GiB"} if options.part == "with" else None
        return serve(Engine(options.model, options.lengths, settings))
    common = ["--model", options.model, "--lengths", *map(str, options.lengths)]
    roost, bare = (Child([*common, "--part", part]) for part in ("with", "without"))
    # The first requests of a process are slow for reasons of its own.
    for kind in ("cold", "limit", "limit"):
        for engine in (roost, bare):
            engine.ask(kind, min(options.lengths))
    rows = []
    for number, length in enumerate(options.lengths):
        print(f"{length:,} tokens ({number + 1} of {len(options.lengths)})", file=sys.stderr, flush=True)
        rows.append(measure(roost, bare, length))
    bare.end()
    end = roost.end()
    for row in rows:
        row["megabytes"] = (row["tokens"] - 1) // BLOCK * end["block_megabytes"]
        row["memcpy"] = _copy_limit(row["megabytes"])
    print(table(rows))
    loaded = end["counters"]["roost_load_bytes"] / 1e6
    print(f"\nRoost loaded {loaded:,.0f} MB in all; every first token the same. Chart: {options.chart}")
    chart(rows, options.chart)


if __name__ == "__main__":
    main()
