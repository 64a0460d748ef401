"""`vllm serve` with Roost, over HTTP on the loopback: the guide's own command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

import host as hosts

MODEL = Path(os.environ["ROOST_TEST_MODELS"]) / "llama"
TRANSFER = {
    "kv_connector": "RoostConnector",
    "kv_connector_module_path": "roost.vllm",
    "kv_role": "kv_both",
    "kv_connector_extra_config": {"capacity": "256MiB"},
}
START_SECONDS = 600
SEED = 41


class Server(unittest.TestCase):
    """One server; its own cache is emptied between the questions."""

    @classmethod
    def setUpClass(cls):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            cls.port = probe.getsockname()[1]
        cls.log = tempfile.NamedTemporaryFile("w+", prefix="vllm-serve-")
        command = [
            Path(sys.executable).parent / "vllm", "serve", MODEL, "--host", "127.0.0.1", "--port", str(cls.port),
            "--dtype", "float32", "--block-size", "32", "--max-model-len", "2048", "--enforce-eager",
            "--kv-transfer-config", json.dumps(TRANSFER),
        ]  # fmt: skip
        environment = {**os.environ, **hosts.ENVIRONMENT, "VLLM_SERVER_DEV_MODE": "1"}
        environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
        cls.server = subprocess.Popen(
            command, stdout=cls.log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        cls.addClassCleanup(cls._stop)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                cls._get("/health")
                return
            except (urllib.error.URLError, ConnectionError):
                if cls.server.poll() is not None or time.monotonic() > deadline:
                    cls.log.seek(0)
                    raise AssertionError("vllm serve did not start:\n" + cls.log.read()[-3000:]) from None
                time.sleep(0.5)

    @classmethod
    def _stop(cls):
        cls.server.send_signal(signal.SIGINT)
        try:
            cls.server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(cls.server.pid, signal.SIGKILL)
            cls.server.wait()
        cls.log.close()

    @classmethod
    def _get(cls, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{cls.port}{path}", timeout=60) as reply:
            return reply.read().decode()

    def _post(self, path: str, body: dict) -> str:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.read().decode()

    def _complete(self, prompt: list[int]) -> str:
        body = {"model": str(MODEL), "prompt": prompt, "max_tokens": 12, "temperature": 0, "ignore_eos": True}
        return json.loads(self._post("/v1/completions", body))["choices"][0]["text"]

    def _metric(self, name: str) -> float:
        lines = [line for line in self._get("/metrics").splitlines() if line.startswith(name)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    def test_the_same_question_is_answered_from_roost_with_the_same_text(self):
        for number, prompt in enumerate(hosts.prompts(3, SEED)):
            cold = self._complete(prompt)
            before = self._metric("vllm:roost_load_bytes_total")
            for _ in range(100):
                self._post("/reset_prefix_cache", {})
                if self._metric("vllm:kv_cache_usage_perc") == 0:
                    break
                time.sleep(0.05)
            self._post("/reset_prefix_cache", {})
            warm = self._complete(prompt)
            self._complete([300, 301])
            loaded = self._metric("vllm:roost_load_bytes_total") - before
            with self.subTest(prompt=number):
                self.assertEqual(cold, warm)
                # 4 layers, 2 heads, 2 x 64 numbers of 4 bytes, each token
                expected = (len(prompt) - 1) // hosts.BLOCK * hosts.BLOCK * 4 * 2 * 2 * 64 * 4
                self.assertEqual(loaded, expected)

    def test_prometheus_sees_the_pool(self):
        self._complete(hosts.prompts(1, SEED + 1)[0])
        self._complete([300, 301])
        self.assertGreater(self._metric("vllm:roost_pool_slots"), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
