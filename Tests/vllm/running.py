"""vLLM in processes of their own, for tests of what outlives one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import host as hosts

HERE = Path(__file__).parent
START_SECONDS = 600


class Run:
    """One process with vLLM in it, a child of this one; its engines follow one another."""

    def __init__(self, *specs: hosts.Spec):
        self.folder = Path(tempfile.mkdtemp(prefix="roost-vllm-"))
        (self.folder / "spec.json").write_text(json.dumps([asdict(spec) for spec in specs]))
        self.result = self.folder / "result.json"
        self.log = self.folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, HERE / "host.py", self.folder / "spec.json", self.result],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def answers(self) -> list[dict]:
        """What each engine of the process answered, with tokens as `Answer`."""
        deadline = time.monotonic() + START_SECONDS
        while not self.result.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no answers; the log ends with:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)
        engines = json.loads(self.result.read_text())
        for engine in engines:
            engine["answers"] = [hosts.Answer(**answer) for answer in engine["answers"]]
        return engines

    def ended(self) -> list[dict]:
        answers = self.answers()
        code = self.process.wait(timeout=2 * hosts.CLOSE_SECONDS)
        if code != 0:
            raise AssertionError(f"exit {code}; the log ends with:\n{self.log.read_text()[-3000:]}")
        shutil.rmtree(self.folder)
        return answers

    def died(self) -> str:
        """Waits for a process that ends by itself although it has not answered everything; its log."""
        code = self.process.wait(timeout=START_SECONDS)
        log = self.log.read_text()
        if code == 0 or self.result.exists():
            raise AssertionError(f"it should have died; the log ends with:\n{log[-3000:]}")
        self._end_children()
        shutil.rmtree(self.folder)
        return log

    def _end_children(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def kill(self) -> list[dict]:
        """Ends the process and vLLM's own children at once, as a crash would."""
        answers = self.answers()
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=60)
        shutil.rmtree(self.folder)
        return answers
