"""The connector's settings: what keys there are, where they may stand, what they mean.

A key may stand in `kv_connector_extra_config`, in the environment (`ROOST_CAPACITY` for `capacity`) and in a file that
the key `config` (or `ROOST_CONFIG`) names, TOML or JSON; the first of these that has it wins. A key that does not exist
is refused with the nearest one that does.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_ENVIRONMENT_PREFIX = "ROOST_"
# Beyond this likeness a ROOST_ variable that names no key is taken for a misspelt one. Other programs of Roost's have
# variables of their own, so that not every unknown one can be an error.
_MISSPELT = 0.85


class ConfigurationError(ValueError):
    """A setting is wrong; the message says which, why, and what would be right."""


def _size(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number: float = value
    else:
        match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", str(value))
        if match is None or match[2].upper() not in _UNITS:
            raise ValueError('a size such as "8GiB" or a number of bytes')
        number = float(match[1]) * _UNITS[match[2].upper()]
    if number < 1:
        raise ValueError("more than zero bytes")
    return int(number)


def _seconds(value: Any) -> float:
    number = float(value)
    if not 0 < number < 1e6:
        raise ValueError("a number of seconds above zero")
    return number


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    named = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(value).strip().lower() not in named:
        raise ValueError("true or false")
    return named[str(value).strip().lower()]


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _absolute(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "," in value:
        raise ValueError("the path of a folder, from the root on, without a comma")
    return value


def _count(value: Any) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("a number above zero")
    return number


def _up_to(highest: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        number = int(value)
        if not 1 <= number <= highest:
            raise ValueError(f"a number from 1 to {highest}")
        return number

    return check


def _one_of(*choices: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in choices:
            raise ValueError("one of " + ", ".join(choices))
        return value

    return check


def _key(default: Any, parse: Callable[[Any], Any], meaning: str) -> Any:
    return field(default=default, metadata={"parse": parse, "meaning": meaning})


@dataclass(frozen=True)
class Settings:
    """All settings, checked. The guide's table is made of these lines."""

    capacity: int = _key(4 << 30, _size, "host memory for pages")
    name: str = _key("", _text, "name of the pool, for `keep` and in messages; without one the pool is nameless")
    directory: str = _key("", _text, "folder of the pool's files; without one it is anonymous memory")
    keep: bool = _key(False, _flag, "the pool outlives vLLM; the next one with this `name` and `directory` starts warm")
    policy: str = _key("hazard", _text, "what to give up when the pool is full: hazard, lru, s3fifo, fifo")
    verify: str = _key(
        "adopted",
        _one_of("none", "adopted", "host"),
        "which pages are checked against their seal before a load: those of an earlier process, all (host), or none",
    )
    load: str = _key(
        "auto",
        _one_of("auto", "sync", "async"),
        "whether a step waits for its loads (sync) or the request waits while others run (async); auto: sync for a "
        "request that is alone",
    )
    load_ranges: int = _key(
        1,
        _up_to(64),
        "in how many ranges of layers a load that a step waits for is copied, the first layers first; each layer then "
        "waits for its own range alone. 1: the step waits for all of it",
    )
    load_timeout: float = _key(10.0, _seconds, "seconds after which a load counts as failed and is computed instead")
    store: str = _key(
        "all", _one_of("all", "prompt", "none"), "which blocks are stored: all, those of the prompt, or none"
    )
    disk: str = _key("", _absolute, "folder on a drive that pages are copied to; there they outlive vLLM and a restart")
    disk_capacity: int = _key(0, _size, "all that may be taken of that drive; needed with `disk`")
    disk_writes: str = _key(
        "again",
        _one_of("again", "all", "none"),
        "which pages are written to the disk: those that a second request asked for, all, or none",
    )
    disk_policy: str = _key(
        "lru",
        _one_of("lru", "hazard", "arc", "s3fifo", "fifo"),
        "what to give up when the disk is full: lru, hazard, arc, s3fifo, fifo",
    )
    disk_timeout: float = _key(2.0, _seconds, "seconds that a request waits for pages from the disk")
    prefill: int = _key(
        0, _count, "tokens that the model computes a second; with it, pages are read only where that is faster"
    )
    salt: str = _key("", _text, "pages are found only by those with the same salt")
    weights: str = _key("", _text, "names the weights, where Roost cannot read their files (remote loaders)")
    device: str = _key(
        "", _text, "Roost's name of the device with the KV cache, without a number each rank's own; by default vLLM's platform says"
    )
    attach_timeout: float = _key(10.0, _seconds, "seconds for a worker to attach to the pool")
    drain_timeout: float = _key(30.0, _seconds, "seconds that a reset of the cache waits for copies to end")

    @classmethod
    def resolve(
        cls,
        extra: Mapping[str, Any],
        environment: Mapping[str, str] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Settings:
        """Reads the three places and checks everything; raises `ConfigurationError`. `defaults`: others than here."""
        environment = os.environ if environment is None else environment
        layers = [("kv_connector_extra_config", dict(extra)), ("the environment", _from_environment(environment))]
        path = next((layer.pop("config") for _, layer in layers if "config" in layer), None)
        for _, layer in layers:
            layer.pop("config", None)
        if path is not None:
            layers.append((f"the file {path}", _from_file(str(path))))
        values: dict[str, Any] = {}
        for place, layer in layers:
            for name, raw in layer.items():
                parsed = _parse(name, raw, place)
                values.setdefault(name, parsed)
        settings = cls(**{**(defaults or {}), **values})
        if settings.keep and not (settings.directory and settings.name):
            raise ConfigurationError('"keep" needs "directory" and "name", so that the next engine finds the pool')
        if settings.disk and not settings.disk_capacity:
            raise ConfigurationError('"disk" needs "disk_capacity": how much of the drive may be taken')
        return settings


_KEYS = {entry.name: entry for entry in fields(Settings)}


def _parse(name: str, raw: Any, place: str) -> Any:
    if name not in _KEYS:
        near = difflib.get_close_matches(name, [*_KEYS, "config"], n=1, cutoff=0.4)
        hint = f'; did you mean "{near[0]}"?' if near else f"; there are {', '.join(_KEYS)}"
        raise ConfigurationError(f'Roost has no setting "{name}" ({place}){hint}')
    try:
        return _KEYS[name].metadata["parse"](raw)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f'"{name}" is {raw!r} in {place}; it must be {error}') from None


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, value in environment.items():
        if not variable.startswith(_ENVIRONMENT_PREFIX):
            continue
        name = variable[len(_ENVIRONMENT_PREFIX) :].lower()
        if name in _KEYS or name == "config":
            found[name] = value
        elif near := difflib.get_close_matches(name, _KEYS, n=1, cutoff=_MISSPELT):
            raise ConfigurationError(
                f"the variable {variable} names no setting; did you mean {_ENVIRONMENT_PREFIX}{near[0].upper()}?"
            )
    return found


def _from_file(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        values = json.loads(text) if path.endswith(".json") else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read the settings in {path}: {error}") from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{path} must hold a table of settings")
    return values


def table() -> str:
    """The settings as a Markdown table, for the guide."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for entry in fields(Settings):
        default = entry.default
        shown = "4GiB" if entry.name == "capacity" else json.dumps(default)
        rows.append(f"| `{entry.name}` | `{shown}` | {entry.metadata['meaning']} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
