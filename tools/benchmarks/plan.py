"""What `webtext plan` told of a build beside what the build took, stage by stage.

    python -m tools.benchmarks.plan SETTINGS... [--to STAGE]

Each is planned, then built into a folder that is deleted; with `demo` in place of a path the
demo's web is written and built. Memory is that of the whole build.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.engine.manifest import read_manifest
from pipeline.engine.store import Disk
from pipeline.settings_file import load
from tools.benchmarks.measure import Usage, measure, show
from tools.demo import write_demo
from tools.flow import ENGINE_STAGES
from tools.plan import plan

COMMAND = [sys.executable, "-P", "-m", "tools.entry", "build"]


def main() -> None:
    """Plan and build each, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", nargs="+")
    parser.add_argument("--to", default="model")
    words = parser.parse_args()
    rows = []
    for name in words.settings:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(name)
            if name == "demo":
                path = write_demo(Path(folder, "input"), fast=False).settings_path
            out = Path(folder, "build")
            told = plan(load(path), path.parent, out, words.to)
            print(f"{name}: this machine takes {told['slowness']} times as long", file=sys.stderr)
            used = measure("tools.benchmarks.plan:built", str(path), str(out), words.to)
            for what, unit, planned, taken in compared(told, used, out):
                numbers = [f"{planned:.1f} {unit}", f"{taken:.1f} {unit}", f"{planned / taken:.2f}"]
                rows.append([name, what, *numbers])
    show(["build", "of", "planned", "taken", "planned / taken"], rows)


def built(settings: str, out: str, to: str) -> int:
    """Build it: a process of its own for `measure`."""
    words = [settings, "--out", out, "--to", to]
    subprocess.run([*COMMAND, *words], check=True, stdout=subprocess.DEVNULL)
    return 0


def compared(
    told: dict[str, Any], used: Usage, out: Path
) -> Iterator[tuple[str, str, float, float]]:
    """What, in which unit, planned, taken."""
    for name, stage in told["stages"].items():
        if name in ENGINE_STAGES and (done := read_manifest(Disk(out), name)):
            yield f"{name}, CPU", "s", stage["cpu_s"], done.cpu_s
            yield f"{name}, time", "s", stage["wall_s"], done.wall_s
            kept = sum(file.bytes for file in done.all_files())
            yield f"{name}, disk", "MB", stage["disk_bytes"] / 1e6, kept / 1e6
    if model := told["stages"].get("model"):
        yield "model, time", "s", model["wall_s"], _model_s(out)
    yield "all, time", "s", told["wall_s"], used.wall_s
    yield "all, memory", "MB", told["memory_bytes"] / 1e6, used.tree_bytes / 1e6


def _model_s(out: Path) -> float:
    """Seconds from the last stage of the engine to the build's end."""
    events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    published = max(event["time"] for event in events if event["event"] == "published")
    return float(events[-1]["time"]) - float(published)


if __name__ == "__main__":
    main()
