"""Requests that do not fit into vLLM's KV space together: prints preemptions, and answers that differ, as JSON."""

from __future__ import annotations

import json
import sys

import host as hosts

hosts.prepare(in_process=True)

# Blocks for about two and a half of the prompts.
BLOCKS = 30


def main() -> None:
    spec = hosts.Spec(**json.loads(sys.argv[1]))
    spec.arguments = {"num_gpu_blocks_override": BLOCKS, "max_model_len": 640}
    engine = hosts.Host(spec)
    scheduler = engine.core.scheduler
    recorder = engine.record()
    preemptions = 0
    preempt = scheduler._preempt_request

    def counted(*arguments, **named):
        nonlocal preemptions
        preemptions += 1
        return preempt(*arguments, **named)

    scheduler._preempt_request = counted
    alone = []
    for prompt in spec.prompts:
        alone.append(engine.ask(prompt))
        engine.reset()
    differences = []
    for _ in range(2):
        together = engine.ask_all(spec.prompts)
        engine.reset()
        differences += [mine.differs(theirs) for mine, theirs in zip(alone, together) if mine.differs(theirs)]
    found = {
        "preemptions": preemptions,
        "differences": differences,
        "counters": engine.counters(),
        "wrong_pages": recorder().wrong,
    }
    engine.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
