"""Multi-head latent attention on a real vLLM: one engine in this process, every loaded page compared byte by byte.

vLLM switches its own prefix cache off for such models on a CPU: its kernel for a prompt with a cached beginning rounds
otherwise than the one for a whole prompt, visibly. What Roost has to equal is vLLM's own hit, so the test switches that
on.
"""

from __future__ import annotations

import os
import unittest
from pathlib import Path

import host as hosts

hosts.prepare(in_process=True)

from vllm.v1.core.sched.scheduler import Scheduler  # noqa: E402

BLOCK = 16
SEED = 33
PROMPTS = hosts.prompts(8, SEED)


def _with_prefix_cache(original):
    def make(self, vllm_config, *arguments, **named):
        vllm_config.cache_config.enable_prefix_caching = True
        original(self, vllm_config, *arguments, **named)

    return make


class LatentAttention(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"seed {SEED}", flush=True)
        Scheduler.__init__ = _with_prefix_cache(Scheduler.__init__)
        model = Path(os.environ["ROOST_TEST_MODELS"]) / "deepseek"
        cls.host = hosts.Host(hosts.Spec(model=str(model), in_process=True, block=BLOCK, settings={}))
        cls.recorder = staticmethod(cls.host.record())

    @classmethod
    def tearDownClass(cls):
        cls.host.close()

    def test_a_warm_load_gives_the_tokens_of_vllms_own_hit(self):
        pages = 0
        for number, prompt in enumerate(PROMPTS):
            self.host.reset()
            self.host.ask(prompt)
            self.host.drain()
            own = self.host.ask(prompt)
            self.host.reset()
            warm = self.host.ask(prompt)
            with self.subTest(prompt=number):
                self.assertEqual(warm.tokens, own.tokens)
                self.assertEqual(warm.cached, (len(prompt) - 1) // BLOCK * BLOCK)
                self.assertEqual(own.cached, warm.cached)
            pages += warm.cached // BLOCK
        self.assertEqual(self.recorder().wrong, [])
        self.assertGreaterEqual(self.recorder().pages_checked, pages)


if __name__ == "__main__":
    unittest.main(verbosity=2)
