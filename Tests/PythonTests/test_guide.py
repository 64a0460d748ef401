"""The guide's snippets, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"


def test_the_snippets_about_layouts_and_devices_run() -> None:
    path = GUIDES / "python-layouts-and-devices.md"
    text = path.read_text()
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert len(blocks) >= 6
    # One program with the page's own line numbers, so that a failure names the line.
    program = [""] * (text.count("\n") + 1)
    for block in blocks:
        first = text.count("\n", 0, block.start(1))
        for number, line in enumerate(block.group(1).splitlines()):
            program[first + number] = line
    exec(compile("\n".join(program), str(path), "exec"), {"__name__": "guide"})
