"""What the values of a page depend on besides its tokens, read from vLLM's configuration and the weights' files.

Two engines find each other's pages exactly if all of this is the same. The model's name and revision are not part of
it, nor is anything about parallelism or where pages lie.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Fields = list[tuple[str, bytes]]

# Read of each end of a weight file. The head of a safetensors file lists every tensor with type and shape.
_SAMPLE_BYTES = 64 << 10
_WEIGHT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
# Raise when slots hold pages otherwise than before.
_PAGE_VERSION = 1
# Labels and traces of the library that wrote them; not what values depend on.
_CONFIG_LABELS = frozenset({"_name_or_path", "name_or_path", "transformers_version", "_commit_hash", "torch_dtype_str"})


class UnknownWeights(ValueError):
    """The weights' files cannot be read; the message says what to do."""


def fields(config: Any, *, inner_format: str, hash_scheme: str, settings: Any, adapter: str = "") -> Fields:
    """The identity of what `config` (vLLM's) computes, as tagged fields."""
    model = config.model_config
    cache = config.cache_config
    files = weights(model, config.load_config, settings.weights)
    description = _canonical(_plain(model.hf_config.to_dict()))
    return [
        ("weights", _digest(files, description)),
        ("data_type", f"{model.dtype}, kv {cache.cache_dtype}".encode()),
        ("quantisation", str(model.quantization or "").encode()),
        ("rope", _canonical(_rope(model.hf_text_config))),
        ("adapter", fingerprint(adapter_folder(adapter)) if adapter else b""),
        ("salt", settings.salt.encode()),
        ("hash_scheme", hash_scheme.encode()),
        ("tokens_per_block", str(cache.block_size).encode()),
        ("opaque_format", _digest(str(_PAGE_VERSION).encode(), inner_format.encode())),
    ]


def weights(model: Any, load: Any, named: str) -> bytes:
    """The fingerprint of the model's weights.

    Random weights (`load_format=dummy`) get one that nobody else has.
    """
    if named:
        return b"named:" + named.encode()
    if str(load.load_format) in ("dummy", "LoadFormat.DUMMY"):
        return b"dummy:" + secrets.token_bytes(16)
    folder = folder_of(model.model, getattr(model, "revision", None), getattr(load, "download_dir", None))
    return fingerprint(folder)


def adapter_folder(adapter: str) -> Path:
    """Where the files of an adapter lie. vLLM takes folders, `~`, and names of the Hugging Face hub."""
    return folder_of(str(Path(adapter).expanduser()), None, None, "adapter_config.json")


def stamp(adapter: str) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of the adapter's files: changes when they are replaced, and costs a few microseconds."""
    files = ((file.name, file.stat()) for file in _files(adapter_folder(adapter)))
    return tuple((name, status.st_size, status.st_mtime_ns) for name, status in files)


def folder_of(model: str, revision: str | None, cache: str | None, sample: str = "config.json") -> Path:
    """Where the files of a model lie: its own folder, or the snapshot in the Hugging Face cache that has `sample`."""
    path = Path(model)
    if path.exists():
        return path
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model, sample, cache_dir=cache, revision=revision)
    if isinstance(found, str):
        return Path(found).parent
    raise UnknownWeights(
        f'Roost finds no files of "{model}" to tell its weights by; give them a name of your own: '
        '"weights": "<name that changes with the weights>" in kv_connector_extra_config'
    )


def fingerprint(path: Path) -> bytes:
    """SHA-256 over names, sizes, heads and tails of all weight files, and over the JSON files beside them."""
    digest = hashlib.sha256()
    count = 0
    for file in _files(path):
        size = file.stat().st_size
        digest.update(f"{len(file.name)}:{file.name}:{size}:".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_SAMPLE_BYTES))
            if size > _SAMPLE_BYTES:
                stream.seek(max(_SAMPLE_BYTES, size - _SAMPLE_BYTES))
                digest.update(stream.read(_SAMPLE_BYTES))
        count += 1
    if count == 0:
        raise UnknownWeights(
            f"no weight files ({', '.join(_WEIGHT_SUFFIXES)}) in {path}; give the weights a name of your own: "
            '"weights": "<name that changes with the weights>" in kv_connector_extra_config'
        )
    return digest.digest()


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        return [path]
    found = [file for file in path.iterdir() if file.suffix in _WEIGHT_SUFFIXES and file.is_file()]
    beside = [file for file in (path / "adapter_config.json", path / "quantize_config.json") if file.is_file()]
    return sorted(found + beside) if found else []


def _rope(config: Any) -> dict[str, Any]:
    known = config.to_dict()
    return _plain({name: value for name, value in known.items() if "rope" in name or "position" in name})


def _plain(value: Any) -> Any:
    """Only what JSON has, in a form that does not depend on the process."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if str(key) not in _CONFIG_LABELS}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(str(item) for item in value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return type(value).__name__ if "object at 0x" in repr(value) else repr(value)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(*pieces: bytes) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(len(piece).to_bytes(8, "little") + piece)
    return digest.digest()
