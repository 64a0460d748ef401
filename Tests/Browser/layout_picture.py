#!/usr/bin/env python3
"""Draws pages with `roost layout show --svg` and compares what is drawn with bytes that are counted one by one.

usage: layout_picture.py [ROOST]
"""

import itertools
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree

ROOST = sys.argv[1] if len(sys.argv) > 1 else str(pathlib.Path(__file__).resolve().parents[2] / ".build/debug/roost")
EXTENTS = {"l": ("layers", 4), "b": ("blocks", 1), "h": ("heads", 4), "n": ("tokens", 3), "c": ("dim", 8)}
LEFT, WIDTH = 150, 820


def draw(layout, folder, *options):
    path = folder / "page.svg"
    subprocess.run([ROOST, "layout", "show", layout, "--svg", str(path), *options], check=True,
                   stdout=subprocess.DEVNULL)
    groups = [group for group in tree.parse(path).getroot().iter() if group.get("data-rank")]
    return {int(group.get("data-rank")): group for group in groups}


def owned_runs(order, rank):
    """How many runs of bytes a head's elements are, found by walking all elements in the order of their addresses."""
    axes = [range(EXTENTS[letter][1] * (2 if letter == "c" else 1)) for letter in order]
    heads = [index[order.index("h")] for index in itertools.product(*axes)]
    return sum(1 for place, head in enumerate(heads) if head == rank and (place == 0 or heads[place - 1] != rank))


def main():
    failed = []
    with tempfile.TemporaryDirectory(prefix="roost-picture-") as name:
        folder = pathlib.Path(name)
        values = ",".join(f"{word}={extent}" for word, extent in EXTENTS.values())
        for order in ["lbhnc", "blhnc", "blnhc", "bhlnc", "lbnhc"]:
            groups = draw(f"{order}:{values}", folder)
            if sorted(groups) != [0, 1, 2, 3]:
                failed.append(f"{order}: ranks {sorted(groups)} are drawn")
            area = 0
            for rank, group in groups.items():
                wanted, said = owned_runs(order, rank), int(group.get("data-runs"))
                if said != wanted:
                    failed.append(f"{order}: rank {rank} reads {said} runs, not {wanted}")
                boxes = [(float(box.get("x")), float(box.get("width"))) for box in group]
                if any(x < LEFT - 0.01 or x + width > LEFT + WIDTH + 0.01 for x, width in boxes):
                    failed.append(f"{order}: rank {rank} is drawn outside of the map")
                area += sum(width for _, width in boxes)
            rows = len({box.get("y") for group in groups.values() for box in group})
            if abs(area - rows * WIDTH) > 0.02 * area:
                failed.append(f"{order}: the ranks cover {area} of {rows * WIDTH}: bytes are missing or drawn twice")
        refused = subprocess.run([ROOST, "layout", "show", "mla", "--ranks", "4", "--svg", str(folder / "none.svg")],
                                 capture_output=True, check=False)
        if refused.returncode != 2 or (folder / "none.svg").exists():
            failed.append("heads that are not there were shared among ranks")
    for line in failed:
        print("FAILED:", line)
    print(f"pictures of layouts: {'FAILED' if failed else 'passed'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
