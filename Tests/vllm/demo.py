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
WARM_ROUNDS = 9
# Overwrites the device pages before a load. Not NaN: kernels multiply the empty end of a last block by zero.
JUNK = 123.0


def measure(model: str, lengths: list[int], settings: dict | None) -> dict:
    """All rows of one engine, in this process."""
    hosts.prepare(in_process=True)
    longest = max(lengths)
    spec = hosts.Spec(
        model=model,
        settings=settings,
        in_process=True,
        tokens=1,
        arguments={"max_model_len": longest + 64, "max_num_seqs": 4},
    )
    engine = hosts.Host(spec)
    context = engine.core.vllm_config.compilation_config.static_forward_context
    tensors = [layer.kv_cache for layer in context.values()]
    source = random.Random(11)
    rows = []
    for length in lengths:
        prompt = [source.randrange(300, 2000) for _ in range(length)]
        rows.append(_row(engine, prompt, tensors, settings is not None))
    counters = engine.counters() if settings is not None else {}
    engine.close()
    return {"rows": rows, "counters": counters}


def _row(engine: hosts.Host, prompt: list[int], tensors: list, has_roost: bool) -> dict:
    samples: dict[str, list[float]] = {"cold": [], "limit": [], "roost": [], "copy": []}
    tokens = set()
    if has_roost:
        _time_copies(samples["copy"])

    def ask(kind: str) -> hosts.Answer:
        start = time.perf_counter()
        answer = engine.ask(prompt)
        samples[kind].append((time.perf_counter() - start) * 1e3)
        tokens.add(answer.tokens[0])
        engine.drain()
        return answer

    hits = (len(prompt) - 1) // BLOCK * BLOCK
    for number in range(COLD_ROUNDS.get(len(prompt), 1) if has_roost else 1):
        engine.reset()
        if has_roost and number:
            engine.core.scheduler.connector.reset_cache()
        ask("cold")
    samples["copy"].clear()
    # In turns, so that whatever else the machine does falls on both.
    for _ in range(WARM_ROUNDS):
        assert ask("limit").cached == hits
        if not has_roost:
            continue
        engine.reset()
        for tensor in tensors:
            tensor[: len(prompt) // BLOCK + 64].fill_(JUNK)
        assert ask("roost").cached == hits
    assert len(tokens) == 1, f"the first token changed: {tokens}"
    page = sum(tensor[0].numel() * tensor.element_size() for tensor in tensors)
    return {"tokens": len(prompt), "megabytes": hits // BLOCK * page / 1e6, **samples}


def _time_copies(samples: list[float]) -> None:
    """Notes how long a step waits for its load."""
    from vllm.distributed.kv_transfer import get_kv_transfer_group

    worker = get_kv_transfer_group().worker_side

    def timed(orders) -> None:
        start = time.perf_counter()
        type(worker).load(worker, orders)
        samples.append((time.perf_counter() - start) * 1e3)

    worker.load = timed


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


def table(rows: list[dict], alone: list[dict]) -> str:
    """Medians in milliseconds."""
    lines = [
        "prompt tokens   KV moved       cold       Roost      limit   over it  of it load   memcpy   limit, no Roost",
        "-------------  ---------  ---------  ----------  ---------  --------  ----------  -------  ----------------",
    ]
    for row, bare in zip(rows, alone):
        cold, roost, limit = (statistics.median(row[kind]) for kind in ("cold", "roost", "limit"))
        over = statistics.median(warm - hit for warm, hit in zip(row["roost"], row["limit"]))
        load, bare_limit = statistics.median(row["copy"]), statistics.median(bare["limit"])
        lines.append(
            f"{row['tokens']:>13,}  {row['megabytes']:>6.0f} MB  {cold:>6.0f} ms  {roost:>7.1f} ms  {limit:>6.1f} ms"
            f"  {over:>5.1f} ms  {load:>7.1f} ms  {row['memcpy']:>4.0f} ms  {bare_limit:>13.1f} ms"
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


def _child(arguments: list[str]) -> dict:
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(Path(os.environ.get("ROOST_TEST_MODELS", ".")) / "demo"))
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS))
    parser.add_argument("--chart", type=Path, default=Path("ttft.png"))
    parser.add_argument("--part", choices=["with", "without"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        settings = {"capacity": "2GiB"} if options.part == "with" else None
        print(json.dumps(measure(options.model, options.lengths, settings)))
        return
    common = ["--model", options.model, "--lengths", *map(str, options.lengths)]
    found = _child([*common, "--part", "with"])
    alone = _child([*common, "--part", "without"])
    for row in found["rows"]:
        row["memcpy"] = _copy_limit(row["megabytes"])
    print(table(found["rows"], alone["rows"]))
    loaded = found["counters"]["roost_load_bytes"] / 1e6
    print(f"\nRoost loaded {loaded:,.0f} MB in all; every first token the same. Chart: {options.chart}")
    chart(found["rows"], options.chart)


if __name__ == "__main__":
    main()
