"""RoostConnector, watched from inside vLLM's worker processes: `kv_connector_module_path="spying"`.

Every rank writes a line for each page that it stores or has loaded: the slot, and a digest of what each layer has for
each of the model's KV heads, counted over all ranks. Lines of engines with another number of ranks can be compared.
A rank can also be told to die at a certain point, as a crash would have it.

    SPY_FOLDER   where the lines go
    SPY_DEATH    "rank verb when": at its first `store` or `load` of a whole prompt, `before` or `after` it is submitted
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any

from recording import arrays
from roost.vllm import RoostConnector as Watched

_VERBS = ("store", "load")
_DONE = 0
# More blocks than an answer has: only the job of a prompt is meant.
_PROMPT_BLOCKS = 3


class _Spy:
    """Stands between the connector and `roost.Worker`."""

    def __init__(self, core: Any, tensors: list[Any], rank: int):
        self._core = core
        self._tensors = tensors
        self._rank = rank
        self._loads: dict[int, tuple[Any, Any]] = {}
        self._file = (Path(os.environ["SPY_FOLDER"]) / f"{os.getpid()}.jsonl").open("a", buffering=1)
        self._death = os.environ.get("SPY_DEATH", "").split()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def submit(
        self, job: int, verb: int, group: int, lease: int, blocks: Any, slots: Any, awaited: bool = False
    ) -> None:
        blocks, slots = arrays(blocks, slots)
        if verb == 0:
            self._note(verb, blocks, slots)
        else:
            for block in blocks:
                for tensor in self._tensors:
                    tensor[int(block)].fill_(7.0)
            self._loads[job] = (blocks.copy(), slots.copy())
        self._die(verb, "before", len(blocks))
        self._core.submit(job, verb, group, lease, blocks, slots, awaited)
        self._die(verb, "after", len(blocks))

    def poll(self, *arguments: Any) -> list[tuple]:
        return [self._seen(result) for result in self._core.poll(*arguments)]

    def wait(self, *arguments: Any) -> tuple:
        return self._seen(self._core.wait(*arguments))

    def _seen(self, result: tuple) -> tuple:
        job, outcome = result[:2]
        if job in self._loads:
            blocks, slots = self._loads.pop(job)
            if outcome == _DONE:
                self._note(1, blocks, slots)
        return result

    def _note(self, verb: int, blocks: Any, slots: Any) -> None:
        for block, (slot, _) in zip(blocks, slots):
            digests = {}
            for layer, tensor in enumerate(self._tensors):
                for head in range(tensor.shape[1]):
                    data = tensor[int(block), head].contiguous().numpy().tobytes()
                    digests[f"{layer}.{self._rank * tensor.shape[1] + head}"] = hashlib.sha256(data).hexdigest()[:16]
            line = {"verb": _VERBS[verb], "rank": self._rank, "slot": int(slot), "heads": digests}
            self._file.write(json.dumps(line) + "\n")

    def _die(self, verb: int, when: str, blocks: int) -> None:
        if blocks >= _PROMPT_BLOCKS and self._death == [str(self._rank), _VERBS[verb], when]:
            os.kill(os.getpid(), signal.SIGKILL)


class RoostConnector(Watched):
    """The connector itself, with a spy in each worker."""

    def register_kv_caches(self, kv_caches: dict[str, Any]) -> None:
        super().register_kv_caches(kv_caches)
        self._watched = list(kv_caches.values())

    def _open_worker(self, ticket: Any) -> Any:
        from vllm.distributed.parallel_state import get_tp_group

        return _Spy(super()._open_worker(ticket), self._watched, get_tp_group().rank_in_group)
