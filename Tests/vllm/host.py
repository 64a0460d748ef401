"""Runs a real vLLM with Roost for the tests: in this process, or as a program of its own.

    python host.py SPECS.json RESULT.json

starts the engines that the file lists, one after the other, sends each its prompts one at a time, and writes what came
back.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BLOCK = 32
ENVIRONMENT = {
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "2",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
# Below this the two best tokens are so close that another order of the same additions may swap them.
MARGIN = 1e-3
CLOSE_SECONDS = 60


@dataclass
class Spec:
    """An engine and what to ask it."""

    model: str
    prompts: list[list[int]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    """Roost's; None: vLLM without Roost."""
    in_process: bool = False
    tokens: int = 16
    block: int = BLOCK
    arguments: dict[str, Any] = field(default_factory=dict)
    """More of vLLM's own."""
    damage: int = 0
    """Before the engine starts: bytes all over the pages, the disk's or the kept pool's, are changed by this mask."""
    linger: float = 1.0
    """Seconds to wait at the end, for stores and seals that run behind."""
    stays: bool = False
    """Waits to be killed instead of ending."""
    connector: str = "roost.vllm"
    """The module of the connector; empty: vLLM's own OffloadingConnector."""
    environment: dict[str, str] = field(default_factory=dict)
    """More variables, set before vLLM starts."""


@dataclass
class Answer:
    """What one prompt got."""

    tokens: list[int]
    margins: list[float]
    """Distance of the two best log probabilities at each token."""
    cached: int
    """Prompt tokens that were not computed, as vLLM counts them."""

    def differs(self, other: Answer) -> str:
        """Where the other's tokens differ although the choice was clear; empty if nowhere."""
        for position, (mine, theirs) in enumerate(zip(self.tokens, other.tokens)):
            if mine != theirs:
                margin = self.margins[position]
                return f"token {position}: {mine}, not {theirs} (margin {margin:.4f})" if margin > MARGIN else ""
        return ""


def prompts(count: int, seed: int, longest: int = 600, families: int = 4) -> list[list[int]]:
    """Prompts of random tokens in families that share a prefix, as chats over the same documents do."""
    source = random.Random(seed)
    roots = [[source.randrange(300, 2000) for _ in range(source.randrange(3, 9) * BLOCK)] for _ in range(families)]
    made = []
    for number in range(count):
        root = roots[number % families]
        tail = source.randrange(BLOCK, max(BLOCK + 1, longest - len(root)))
        made.append(root + [source.randrange(300, 2000) for _ in range(tail)])
    return made


class Host:
    """A vLLM engine. Make it after `prepare`."""

    def __init__(self, spec: Spec):
        from vllm import LLM, SamplingParams
        from vllm.config import KVTransferConfig

        self.spec = spec
        arguments: dict[str, Any] = {
            "dtype": "float32",
            "max_model_len": 2048,
            "max_num_batched_tokens": 2048,
            "max_num_seqs": 16,
            "enforce_eager": True,
            "enable_prefix_caching": True,
            "seed": 0,
            "disable_log_stats": False,
            "block_size": spec.block,
        }
        if spec.settings is not None:
            arguments["kv_transfer_config"] = KVTransferConfig(
                kv_connector="RoostConnector" if spec.connector else "OffloadingConnector",
                kv_connector_module_path=spec.connector or None,
                kv_role="kv_both",
                kv_connector_extra_config=spec.settings,
            )
        self.llm = LLM(model=spec.model, **{**arguments, **spec.arguments})
        self._sampling = SamplingParams(temperature=0, max_tokens=spec.tokens, ignore_eos=True, logprobs=2)

    def ask(self, prompt: list[int], **extra: Any) -> Answer:
        """One request, to its end."""
        return self.ask_all([prompt], **extra)[0]

    def ask_all(self, prompts: list[list[int]], **extra: Any) -> list[Answer]:
        """Requests at the same time."""
        outputs = self.llm.generate(
            [{"prompt_token_ids": prompt, **extra} for prompt in prompts], self._sampling, use_tqdm=False
        )
        answers = []
        for output in outputs:
            completion = output.outputs[0]
            margins = []
            for ranked in completion.logprobs or []:
                best = sorted((entry.logprob for entry in ranked.values()), reverse=True)
                margins.append(best[0] - best[1] if len(best) > 1 else float("inf"))
            answers.append(Answer(list(completion.token_ids), margins, output.num_cached_tokens or 0))
        return answers

    @property
    def core(self) -> Any:
        """vLLM's engine core, in this process."""
        return self.llm.llm_engine.engine_core.engine_core

    def drain(self) -> None:
        """Steps until vLLM has every block back: its loop does so by itself only in a process of its own."""
        while self.spec.in_process and self.core.scheduler.has_requests():
            self.llm.llm_engine.step()

    def reset(self) -> None:
        """Empties vLLM's own prefix cache, not Roost's."""
        deadline = time.monotonic() + 20
        self.drain()
        while not self.llm.reset_prefix_cache():
            if time.monotonic() > deadline:
                raise TimeoutError("vLLM's prefix cache cannot be reset: blocks are still held")
            time.sleep(0.02)

    def own_hits(self, prompts: list[list[int]]) -> list[Answer]:
        """A hit in vLLM's own prefix cache for every prompt, with Roost out of the way: what a load has to equal."""
        roost = self.core.scheduler.connector.scheduler_side
        match, mode = roost.match, roost._store_mode
        roost.match, roost._store_mode = lambda request, computed: (0, False), "none"
        answers = []
        for prompt in prompts:
            self.reset()
            self.ask(prompt)
            self.drain()
            answers.append(self.ask(prompt))
            self.drain()
        roost.match, roost._store_mode = match, mode
        return answers

    def record(self) -> Callable[[], Any]:
        """Has a `RecordingWorker` watch the copies of an engine in this process; call what comes back to get it."""
        from recording import RecordingWorker
        from vllm.distributed.kv_transfer import get_kv_transfer_group

        context = self.core.vllm_config.compilation_config.static_forward_context
        groups = self.core.scheduler.kv_cache_config.transfer_groups
        tensors = [[part for name in group.layer_names for part in _parts(context[name].kv_cache)] for group in groups]
        worker = get_kv_transfer_group().worker_side
        attach = worker._open_worker
        worker._open_worker = lambda ticket: RecordingWorker(attach(ticket), tensors)
        return lambda: worker._core

    def counters(self) -> dict[str, float]:
        """Roost's counters, and vLLM's of external hits."""
        found = {}
        for metric in self.llm.get_metrics():
            if metric.name.startswith(("vllm:roost_", "vllm:kv_offload", "vllm:external_prefix_cache", "vllm:num_preemptions")):
                found[metric.name.removeprefix("vllm:")] = getattr(metric, "value", 0.0)
        return found

    def close(self) -> None:
        """Ends the engine, so that another can take its place. vLLM by itself would kill its process after 5 seconds,
        which its workers' end alone may take on a busy machine."""
        self.llm.llm_engine.engine_core.shutdown(timeout=CLOSE_SECONDS)
        del self.llm


def _parts(cache: Any) -> list[Any]:
    """A layer's cache; of a layer with states each of them."""
    return list(cache) if isinstance(cache, (list, tuple)) else [cache]


def prepare(in_process: bool) -> None:
    """Sets what vLLM reads at its import."""
    level = os.environ.get("VLLM_LOGGING_LEVEL", ENVIRONMENT["VLLM_LOGGING_LEVEL"])
    os.environ.update(ENVIRONMENT, VLLM_LOGGING_LEVEL=level)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0" if in_process else "1"


def damage(folder: Path, mask: int) -> None:
    """Changes bytes all over the pages of a pool or a disk, not in a pool's table or at the front of a file."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.stat().st_size < 1 << 20 or "table" in path.name:
            continue
        with path.open("r+b") as file:
            for offset in range(8 << 10, path.stat().st_size, 16 << 10):
                file.seek(offset)
                piece = file.read(512)
                file.seek(offset)
                file.write(bytes(byte ^ mask for byte in piece))


def run(spec: Spec) -> dict[str, Any]:
    """One engine, from start to end."""
    if spec.damage:
        damage(Path(spec.settings.get("disk") or spec.settings["directory"]), spec.damage)
    host = Host(spec)
    answers = []
    for prompt in spec.prompts:
        answers.append(asdict(host.ask(prompt)))
        host.drain()
    time.sleep(spec.linger)
    host.ask([300, 301, 302])  # vLLM reports counters with a step
    result = {"answers": answers, "counters": host.counters()}
    if not spec.stays:
        host.close()
    return result


def main() -> None:
    specs = [Spec(**spec) for spec in json.loads(Path(sys.argv[1]).read_text())]
    prepare(specs[0].in_process)
    os.environ.update(specs[0].environment)
    result = [run(spec) for spec in specs]
    temporary = Path(sys.argv[2] + ".part")
    temporary.write_text(json.dumps(result))
    temporary.rename(sys.argv[2])
    while specs[-1].stays:
        time.sleep(1)


if __name__ == "__main__":
    main()
