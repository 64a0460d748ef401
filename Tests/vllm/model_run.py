"""A model runner without a model: fills KV pages with what depends on all tokens before, and checks what it reads.

Every token's value is a hash of its prefix. The "kernel" writes it into the token's place in each group's block, and
before that looks at every token that the group still sees: a page that is wrong, stale or another's is found at once.
The next token is a function of the prefix too, so that outputs can be checked whatever happened on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from roost.vllm.groups import FULL, Group
from vllm.v1.outputs import KVConnectorOutput, ModelRunnerOutput

VOCABULARY = 2000
_MASK = (1 << 31) - 1


class Text:
    """A prompt and what the model makes of it, as far as anybody asks."""

    def __init__(self, prompt: list[int]):
        self.tokens = list(prompt)
        self._values: list[int] = []

    def values(self, count: int) -> np.ndarray:
        """A value for each of the first tokens."""
        while len(self._values) < count:
            position = len(self._values)
            if position == len(self.tokens):
                self.tokens.append(300 + self._values[-1] % (VOCABULARY - 300))
            before = self._values[-1] if self._values else 1
            self._values.append((before * 1103515245 + self.tokens[position] * 12345 + 7) & _MASK)
        return np.array(self._values[:count], dtype=np.int32)

    def token(self, position: int) -> int:
        self.values(position + 1)
        return self.tokens[position]


class Runner:
    """What a worker of vLLM does with a step, for a connector of one rank."""

    def __init__(self, connector: Any, groups: tuple[Group, ...], memory: Any):
        """`memory`: the KV cache as an array [block, head, token, content]."""
        self._connector = connector
        self._groups = groups
        self._memory = memory
        self._tables: dict[str, list[list[int]]] = {}
        self._texts: dict[str, Text] = {}
        self._prompts: dict[str, int] = {}
        self.wrong: list[str] = []

    def add(self, name: str, text: Text) -> None:
        self._texts[name] = text

    def run(self, output: Any) -> ModelRunnerOutput:
        """One step, with the connector called in vLLM's order."""
        connector, metadata = self._connector, output.kv_connector_metadata
        connector.handle_preemptions(metadata)
        connector.bind_connector_metadata(metadata)
        if output.has_sync_kv_loads:
            connector.start_load_kv(None)
        names, sampled, suspects = self._compute(output)
        if not output.has_sync_kv_loads:
            connector.start_load_kv(None)
        connector.wait_for_save()
        results = connector.get_transfer_results(output.finished_req_ids)
        told = KVConnectorOutput(
            finished_sending=results.finished_sending,
            finished_recving=results.finished_recving,
            failed_recving=results.failed_recving,
            invalid_block_ids=connector.get_block_ids_with_load_errors(),
            kv_connector_worker_meta=connector.build_connector_worker_meta(),
        )
        connector.clear_connector_metadata()
        # A step that computed on pages whose load failed is thrown away by vLLM.
        self.wrong += [text for text, blocks in suspects if not told.invalid_block_ids & blocks]
        places = {name: place for place, name in enumerate(names)}
        return ModelRunnerOutput(names, places, sampled, kv_connector_output=told)

    def _compute(self, output: Any) -> tuple[list[str], list[list[int]], list[tuple[str, set[int]]]]:
        """Who was computed, each one's next token if all before it is there, and what looked wrong, with its blocks."""
        computed: dict[str, tuple[int, int]] = {}
        for new in output.scheduled_new_reqs:
            self._tables[new.req_id] = [list(blocks) for blocks in new.block_ids]
            computed[new.req_id] = (new.num_computed_tokens, len(new.prompt_token_ids))
            self._prompts[new.req_id] = len(new.prompt_token_ids)
        cached = output.scheduled_cached_reqs
        columns = zip(cached.req_ids, cached.new_block_ids, cached.num_computed_tokens, cached.num_output_tokens)
        for name, blocks, count, generated in columns:
            computed[name] = (count, self._prompts[name] + generated)
            if name in cached.resumed_req_ids:
                self._tables[name] = [list(group) for group in blocks]
            elif blocks is not None:
                for table, more in zip(self._tables[name], blocks):
                    table.extend(more)
        sampled = []
        suspects: list[tuple[str, set[int]]] = []
        for name, count in output.num_scheduled_tokens.items():
            start, known = computed[name]
            suspects += self._forward(name, start, count)
            sampled.append([self._texts[name].token(start + count)] if start + count >= known else [])
        return list(output.num_scheduled_tokens), sampled, suspects

    def _forward(self, name: str, start: int, count: int) -> list[tuple[str, set[int]]]:
        values = self._texts[name].values(start + count)
        suspects = []
        for group in self._groups:
            table = self._tables[name][group.number]
            seen = 0 if group.kind == FULL else max(0, start - group.window_tokens)
            if start > seen and not np.array_equal(self._gather(group, table, seen, start), values[seen:start]):
                text = f"{name}: tokens {seen} to {start} of group {group.number} are not its own"
                suspects.append((text, set(table)))
            positions = np.arange(start, start + count)
            blocks = np.asarray(table)[positions // group.block_tokens]
            self._memory[blocks, 0, positions % group.block_tokens, :] = values[start:, None]
        return suspects

    def _gather(self, group: Group, table: list[int], start: int, end: int) -> np.ndarray:
        positions = np.arange(start, end)
        blocks = np.asarray(table)[positions // group.block_tokens]
        found = self._memory[blocks, 0, positions % group.block_tokens, :]
        return np.where((found == found[:, :1]).all(axis=1), found[:, 0], -1)
