"""CPU seconds of `webtext extract PAGE` and of `trafilatura < PAGE`, whole processes, in pairs.

    python -m tools.benchmarks.one_page PAGE.html ... [--runs 10]

User and system time of both commands, imports included; the least of the runs counts, since what a
busy machine adds is never negative. The aim is twice trafilatura's.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

RUNS = 10


def cpu_s(command: list[str], page: Path) -> float:
    """The CPU seconds of one run, all its processes together; raises where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with page.open("rb") as stdin:
        subprocess.run(command, stdin=stdin, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def compare(page: Path, runs: int) -> tuple[float, float]:
    """Ours and trafilatura's, each the least of so many runs, by turns."""
    ours = [sys.executable, "-m", "tools.cli", "extract", str(page.absolute())]
    beside = str(Path(sys.executable).parent)
    theirs = [shutil.which("trafilatura", path=f"{beside}{os.pathsep}{os.defpath}") or ""]
    pairs = [(cpu_s(ours, page), cpu_s(theirs, page)) for _ in range(runs)]
    return min(first for first, _ in pairs), min(second for _, second in pairs)


def main() -> None:
    """Print a table row for each page, and one for all."""
    about = (__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tools.benchmarks.one_page", description=about)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("--runs", type=int, default=RUNS)
    given = parser.parse_args()
    print("| page | kB | webtext, CPU s | trafilatura, CPU s | times |\n|---|---|---|---|---|")
    found = [(page, *compare(page, given.runs)) for page in given.pages]
    for page, ours, theirs in found:
        size = page.stat().st_size / 1000
        print(f"| {page.name} | {size:.0f} | {ours:.3f} | {theirs:.3f} | {ours / theirs:.2f} |")
    ours, theirs = (sum(times) / len(found) for times in list(zip(*found, strict=True))[1:])
    print(f"| mean of {len(found)} | | {ours:.3f} | {theirs:.3f} | {ours / theirs:.2f} |")


if __name__ == "__main__":
    main()
