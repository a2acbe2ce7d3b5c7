"""How many walls are told: the drops of a build beside walls.tsv, whose pages were read by eye.

    webtext build recipes/real-all.toml --out BUILD --to documents --documents.text-chars-min 1
    python -m tools.benchmarks.walls BUILD

The pages are of the build that recipes/real-all.toml makes, so of data that is not part of this
repository. Half of them, by the parity of the id, was left untouched while the sayings of
pipeline/documents/walls.py were chosen. A wall counts as told whatever its kind.
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

from tools.benchmarks.measure import show
from tools.look import tables
from tools.places import place_of, within

LABELS = Path(__file__).with_suffix(".tsv")
WALL = "wall_"


def main() -> None:
    """Print recall and precision for each half, and each page that is told wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="folder of the build")
    build = place_of(parser.parse_args().build)
    (kept,) = tables(within(build, "documents"))
    (dropped,) = tables(within(build, "documents"), drops=True)
    told = {row["id"]: "" for row in kept.rows}
    told |= {row["id"]: row["reason"].startswith(WALL) * row["reason"] for row in dropped.rows}
    with LABELS.open(encoding="utf-8") as lines:
        labels = list(csv.DictReader(lines, delimiter="\t"))
    counts: dict[str, Counter[str]] = {"tuned on": Counter(), "untouched": Counter()}
    for label in labels:
        half = counts["untouched" if int(label["id"][-1], 16) % 2 else "tuned on"]
        if label["id"] not in told:
            half["not in the build"] += 1
            continue
        is_wall, says_wall = label["verdict"] != "page", bool(told[label["id"]])
        half["walls"] += is_wall
        half["told"] += is_wall and says_wall
        half["pages"] += not is_wall
        half["pages told as walls"] += not is_wall and says_wall
        if is_wall != says_wall:
            print(label["id"], label["verdict"], told[label["id"]] or "kept", label["reason"])
    columns = ["walls", "told", "pages", "pages told as walls", "not in the build"]
    show(
        ["half", *columns],
        [[name, *map(str, (c[n] for n in columns))] for name, c in counts.items()],
    )


if __name__ == "__main__":
    main()
