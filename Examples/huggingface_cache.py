"""Keeps the KV cache of a Hugging Face model over the end of the process, and restores it.

    python Examples/huggingface_cache.py FOLDER

Run it twice with the same folder: the second process computes only what follows the prompt's last whole block. The model
is tiny and random, made here, so that nothing is downloaded.
"""

import sys

import roost
import torch
from transformers import AutoModelForCausalLM, DynamicCache, LlamaConfig


def logits(model, ids, cache):
    """The logits after `ids`, with as much of the KV cache restored as is kept."""
    count, tensors = cache.get(ids[0, :-1], torch)
    past = DynamicCache()
    for layer, (keys, values) in enumerate(zip(tensors[0::2], tensors[1::2])):
        past.update(keys, values, layer)
    answer = model(ids[:, count:], past_key_values=past)
    cache.put(ids[0], [tensor for layer in past.layers for tensor in (layer.keys, layer.values)])
    return answer.logits[0, -1], count


def tiny_model():
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=2048, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.15, tie_word_embeddings=False,
    )
    return AutoModelForCausalLM.from_config(config).eval()


@torch.inference_mode()
def main(folder):
    model = tiny_model()
    prompt = torch.randint(2048, (1, 500), generator=torch.Generator().manual_seed(2))
    with roost.Cache(folder, model="tiny random llama, seed 1", capacity="64MiB") as cache:
        found, count = logits(model, prompt, cache)
    expected = model(prompt).logits[0, -1]
    print(f"restored {count} of {prompt.shape[1]} tokens; largest difference {(found - expected).abs().max():.1e}")
    assert torch.allclose(found, expected, atol=1e-3)


if __name__ == "__main__":
    main(sys.argv[1])
