"""`roost.Cache` with torch, and the example with a Hugging Face model: here, where there is a torch."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import roost
import torch

EXAMPLE = Path(__file__).parents[2] / "Examples" / "huggingface_cache.py"


class Package(unittest.TestCase):
    def test_torch_tensors_go_in_and_out_bfloat16_too(self):
        seed = 5
        print(f"seed {seed}", flush=True)
        torch.manual_seed(seed)
        put = [torch.randn(1, 3, 64, 8).to(torch.bfloat16) for _ in range(4)]
        with roost.Cache(model="m", capacity="1MiB") as cache:
            self.assertEqual(cache.put(torch.arange(64), put), 64)
            count, found = cache.get(torch.arange(64), torch)
        self.assertEqual(count, 64)
        self.assertEqual([tensor.dtype for tensor in found], [torch.bfloat16] * 4)
        self.assertTrue(all(torch.equal(a, b) for a, b in zip(found, put, strict=True)))

    def test_the_example_restores_what_a_process_before_it_computed(self):
        with tempfile.TemporaryDirectory() as folder:
            first, second = (self.run_example(folder) for _ in range(2))
        self.assertIn("restored 0 of 500", first)
        self.assertIn("restored 496 of 500", second)

    def run_example(self, folder: str) -> str:
        environment = dict(os.environ, HF_HUB_OFFLINE="1")
        done = subprocess.run(
            [sys.executable, EXAMPLE, folder], env=environment, capture_output=True, text=True, timeout=300
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout


if __name__ == "__main__":
    unittest.main(verbosity=2)
