"""Writes the KV cache of a tiny model in vLLM to a file, block after block, for `roost bench compression`.

    make kv-bytes      # writes .build/vllm/kv-MODEL.bin for each model of the tests

The weights are random, so the values are: what a trained model leaves packs at least as well.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

import host as hosts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("target", type=Path)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--prompts", type=int, default=8)
    options = parser.parse_args()
    hosts.prepare(in_process=True)
    spec = hosts.Spec(
        model=options.model,
        settings=None,
        in_process=True,
        tokens=1,
        arguments={"dtype": "bfloat16", "max_model_len": options.tokens + 64, "max_num_seqs": 4},
    )
    engine = hosts.Host(spec)
    context = engine.core.vllm_config.compilation_config.static_forward_context
    tensors = [layer.kv_cache for layer in context.values()]
    source = random.Random(5)
    for _ in range(options.prompts):
        engine.ask([source.randrange(300, 2000) for _ in range(options.tokens)])
    with options.target.open("wb") as file:
        for tensor in tensors:
            tensor = tensor[0] if isinstance(tensor, (list, tuple)) else tensor
            raw = tensor.contiguous().view(-1).view(torch.uint8)
            rows = raw[: len(raw) // 4096 * 4096].reshape(-1, 4096)
            # What no prompt has reached is zero, and would flatter the figures.
            file.write(rows[rows.any(dim=1)].numpy().tobytes())
    print(f"{options.target}: {options.target.stat().st_size} bytes, {tensors[0].dtype}, {len(tensors)} layers")
    engine.close()


if __name__ == "__main__":
    main()
