"""Makes the tiny random models of the tests: a Llama with grouped heads, a DeepSeek-V2 with latent attention, a Gemma-3
with windows, an LFM2 with states.

Embeddings are not tied and weights are drawn wide, so that a wrong byte in the KV cache changes the tokens.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    DeepseekV2Config,
    DeepseekV2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

VOCABULARY = 2048
_TOKENS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "tie_word_embeddings": False}


def _tokenizer(folder: Path) -> None:
    """Byte-level, without merges: enough to serve text."""
    names = ["<pad>", "<s>", "</s>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    names += [f"<{number}>" for number in range(VOCABULARY - len(names))]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    )
    fast.save_pretrained(folder)


def _save(model: torch.nn.Module, folder: Path) -> Path:
    model.eval().save_pretrained(folder, safe_serialization=True)
    _tokenizer(folder)
    return folder


def llama(folder: Path, seed: int = 1234) -> Path:
    """4 layers, 4 heads over 2 KV heads of 64."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, max_position_embeddings=4096, initializer_range=0.15, **_TOKENS,
    )  # fmt: skip
    return _save(LlamaForCausalLM(config).float(), folder)


def deepseek(folder: Path, seed: int = 7) -> Path:
    """2 layers of multi-head latent attention."""
    torch.manual_seed(seed)
    config = DeepseekV2Config(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=512, moe_intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, n_routed_experts=4, n_shared_experts=1, num_experts_per_tok=2,
        first_k_dense_replace=2, kv_lora_rank=512, q_lora_rank=None, qk_rope_head_dim=64, qk_nope_head_dim=128,
        v_head_dim=128, max_position_embeddings=4096, initializer_range=0.1, n_group=1, topk_group=1, **_TOKENS,
    )  # fmt: skip
    return _save(DeepseekV2ForCausalLM(config).float(), folder)


def gemma(folder: Path, seed: int = 7) -> Path:
    """3 layers with a window of 128 tokens and one with full attention."""
    torch.manual_seed(seed)
    config = Gemma3TextConfig(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=64, max_position_embeddings=4096, initializer_range=0.15, sliding_window=128,
        layer_types=["sliding_attention"] * 3 + ["full_attention"], query_pre_attn_scalar=64, **_TOKENS,
    )  # fmt: skip
    return _save(Gemma3ForCausalLM(config).float(), folder)


def lfm2(folder: Path, seed: int = 7) -> Path:
    """2 layers with the state of a short convolution and 2 with full attention, in turns."""
    torch.manual_seed(seed)
    config = Lfm2Config(
        vocab_size=VOCABULARY, hidden_size=256, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, initializer_range=0.05, conv_L_cache=3,
        layer_types=["conv", "full_attention"] * 2, **_TOKENS,
    )  # fmt: skip
    _save(Lfm2ForCausalLM(config).float(), folder)
    # What vLLM reads and the published models have, but not the class that made this one.
    told = json.loads((folder / "config.json").read_text())
    told |= {"conv_dim": 256, "conv_dim_out": 256, "block_dim": 256, "block_ff_dim": 512, "block_norm_eps": 1e-5}
    told |= {"block_auto_adjust_ff_dim": False, "block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0}
    (folder / "config.json").write_text(json.dumps(told))
    return folder


def demo(folder: Path) -> Path:
    """12 layers with 4 KV heads of 128 in float32: 48 KiB of KV cache a token, and a prefill of seconds on any CPU."""
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=512, intermediate_size=1024, num_hidden_layers=12, num_attention_heads=4,
        num_key_value_heads=4, head_dim=128, max_position_embeddings=16384, initializer_range=0.1, **_TOKENS,
    )  # fmt: skip
    return _save(LlamaForCausalLM(config).float(), folder)


def ensure(root: Path, *names: str) -> dict[str, Path]:
    """The folders of the named models, made where they are missing."""
    makers = {
        "llama": llama,
        "llama-other-weights": lambda folder: llama(folder, seed=4321),
        "deepseek": deepseek,
        "gemma": gemma,
        "lfm2": lfm2,
        "demo": demo,
    }
    folders: dict[str, Path] = {}
    for name in names:
        folders[name] = root / name
        if not (folders[name] / "tokenizer.json").exists():
            makers[name](folders[name])
    return folders


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("names", nargs="*", default=["llama", "llama-other-weights", "deepseek", "gemma", "lfm2"])
    options = parser.parse_args()
    for made in ensure(options.root, *options.names).values():
        print(made)
