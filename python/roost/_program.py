"""The `roost` program, which comes with the package: replaces this process by it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> None:
    program = Path(__file__).with_name("roost-program")
    os.execv(program, ["roost", *sys.argv[1:]])
