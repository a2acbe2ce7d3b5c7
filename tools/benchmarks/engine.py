"""What the engine costs: builds of parts that do nothing, and how busy it keeps the cores.

    python -m tools.benchmarks.engine [--parts 1 10 100 20000] [--part-s 30] [--json]

A build of nothing is run twice: the second run finds all parts done. Memory is the driver's own.
Busy is the CPU time of the whole tree over cores times wall time, imports and all. What the machine
itself gives at that time is the peer: plain processes, one a core, that burn the same in all.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from pipeline.engine import names
from pipeline.engine.build import Build
from pipeline.engine.stage import Part, PartWriter, Stage, Step
from pipeline.settings import EngineSettings
from tools.benchmarks.measure import Usage, measure, show

SCHEMA = pa.schema([("id", pa.string())])
ITEM_S = 0.03  # about what a page costs
BUSY_PARTS_PER_CORE = 2


def main(words: Sequence[str] | None = None) -> None:
    """Print the table, or with --json all that was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_AsWritten)
    parser.add_argument("--parts", type=int, nargs="*", default=[1, 10, 100])
    parser.add_argument("--part-s", type=float, default=30, help="CPU seconds of a busy part")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    cores = os.cpu_count() or 1
    found = {}
    for parts in options.parts:
        found[f"{parts} parts of nothing"], found[f"{parts}, all done"] = builds(parts)
    if options.part_s:
        parts = BUSY_PARTS_PER_CORE * cores
        for runs in ("worker", "items"):
            name = f"{parts} parts of {options.part_s:g} CPU-s, by {runs}"
            found[name] = build(runs, parts, options.part_s)
        name = f"{cores} plain processes of {BUSY_PARTS_PER_CORE * options.part_s:g} CPU-s"
        found[name] = measure(
            "tools.benchmarks.engine:plain", cores, BUSY_PARTS_PER_CORE * options.part_s
        )
    if options.json:
        print(json.dumps({name: asdict(usage) for name, usage in found.items()}, indent=1))
        return
    show(
        [
            *("build", "seconds", "CPU-s", "busy", "largest process MB", "tree MB"),
            *("first part after s", "driver MB"),
        ],
        [[name, *_figures(usage, cores)] for name, usage in found.items()],
    )


_AsWritten = argparse.RawDescriptionHelpFormatter


def _figures(usage: Usage, cores: int) -> list[str]:
    return [
        f"{usage.wall_s:.1f}",
        f"{usage.cpu_s:.1f}",
        f"{usage.cpu_s / usage.wall_s / cores:.2f}",
        f"{usage.process_bytes / 1e6:.0f}",
        f"{usage.tree_bytes / 1e6:.0f}",
        f"{usage.result['first_s']:.1f}" if usage.result else "",
        f"{usage.result['driver_bytes'] / 1e6:.0f}" if usage.result else "",
    ]


def build(runs: str, parts: int, part_s: float) -> Usage:
    """Measure a build in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return measure("tools.benchmarks.engine:run", folder, runs, parts, part_s)


def builds(parts: int) -> tuple[Usage, Usage]:
    """Measure a build of parts that do nothing, and the next run of it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("tools.benchmarks.engine:run", folder, "idle", parts, 0)
        return measure(*arguments), measure(*arguments)


def run(folder: str, runs: str, parts: int, part_s: float) -> dict[str, float]:
    """Build so many parts, each of so many CPU seconds: when the first was done, and memory.

    `driver_bytes` is the peak resident size of the driver's process.
    """
    started = time.time()
    plan = partial(_plan, parts)
    if runs == "items":
        step = Step("busy", 1, plan, Items(part_s), SCHEMA, runs="items")
    else:
        step = Step("busy", 1, plan, Whole(part_s), SCHEMA)
    with Build(Path(folder), EngineSettings(free_disk_min_bytes=0), quiet=True) as the_build:
        the_build.run(Stage("busy", "posts", (step,)))
        first_s = min(entry.time_s for entry in the_build.store.entries(names.DATA)) - started
    driver_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return {"first_s": max(0.0, first_s), "driver_bytes": driver_bytes}


def plain(processes: int, cpu_s: float) -> None:
    """Burn so many CPU seconds in each of so many processes, with no engine around them."""
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=burn, args=(cpu_s,)) for _ in range(processes)]
    for process in running:
        process.start()
    for process in running:
        process.join()


def _plan(parts: int) -> list[Part[None]]:
    return [Part(number, f"part {number}", str(number)) for number in range(parts)]


@dataclass(frozen=True)
class Whole:
    """A part that burns its CPU time in one worker."""

    part_s: float

    def __call__(self, part: Part[None], out: PartWriter) -> None:
        """Burn, with a heartbeat for every item's time."""
        for _ in range(int(self.part_s / ITEM_S)):
            burn(ITEM_S)
            out.heartbeat()
        _write(part, out)


@dataclass(frozen=True)
class Items:
    """A part that burns its CPU time item by item, by the pool."""

    part_s: float

    def __call__(self, part: Part[None], out: PartWriter) -> None:
        """Burn."""
        for _ in out.pool.map(burn, [ITEM_S] * int(self.part_s / ITEM_S)):
            pass
        _write(part, out)


def _write(part: Part[None], out: PartWriter) -> None:
    out.write_rows([{"id": part.label}])
    out.book("posts", rows_in=1, rows_out=1)


def burn(cpu_s: float) -> None:
    """Use so much CPU time."""
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        sum(range(1000))


if __name__ == "__main__":
    main()
