"""One more attempt at a part that a build is at: what a lost worker does, or a second one.

It waits for a line on stdin, finds the step at work from the store alone, and runs the part by
`task.run_part`, with no lock and unknown to the driver.
"""

import argparse
import os
import random
import signal
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from pipeline.engine import names
from pipeline.engine.build import Build
from pipeline.engine.joins import with_map_parts
from pipeline.engine.manifest import read_manifest
from pipeline.engine.parts import AnyPart, Committed
from pipeline.engine.stage import ReduceStep
from pipeline.engine.stage_run import StageRun
from pipeline.engine.store import Disk
from pipeline.engine.task import Task, pool_of, run_part
from pipeline.settings import Settings
from pipeline.settings_file import load
from tools.build import _stage_makers


class Untouched(Disk):
    """A store in which a plan changes nothing."""

    def write(self, name: str, data: bytes, *, durably: bool = True) -> None:  # noqa: D102
        return

    def remove(self, names: Iterable[str]) -> None:  # noqa: D102
        return

    def show(self, files: Mapping[str, str]) -> None:  # noqa: D102
        return


class Stopping(Disk):
    """A store whose user stops itself at its first heartbeat (0), or before a file (1, 2, ...)."""

    def __init__(self, folder: Path, stop: int) -> None:
        super().__init__(folder)
        self._left = stop

    def write(self, name: str, data: bytes, *, durably: bool = True) -> None:  # noqa: D102
        if not durably:
            self._count()
        super().write(name, data, durably=durably)

    def add(self, path: Path, name: str) -> None:  # noqa: D102
        self._count()
        super().add(path, name)

    def _count(self) -> None:
        if self._left == 0:
            signal.raise_signal(signal.SIGSTOP)
        self._left -= 1


def main() -> None:
    """Do the part, and say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", default="")
    parser.add_argument("--stop", type=int, default=-1, help="where to stop: see Stopping")
    parser.add_argument("--deaf", action="store_true", help="hear no request to stop")
    options = parser.parse_args()
    settings = load(options.settings)
    pid = sys.stdin.readline().strip()
    if pid:  # of another process: two machines may well have two of the same
        os.getpid = lambda: int(pid)
    found = at_work(options.folder, settings, options.settings.parent, options.seed)
    if found is None:
        print("found nothing at work")
        return
    task, part = found
    print(f"{task.label}, part {part.label}", flush=True)
    store = Stopping(options.folder, options.stop)
    task = replace(task, store=store, run="" if options.deaf else task.run)
    try:
        if task.runs_in_worker:
            run_part(task, part)
        else:
            with pool_of(task.engine) as pool:
                run_part(task, part, pool=pool)
    except Exception as error:  # noqa: BLE001 (told to the benchmark)
        print(f"{type(error).__name__}: {error}")
    else:
        print("committed")


def at_work(folder: Path, settings: Settings, base: Path, seed: str) -> tuple[Task, AnyPart] | None:
    """A step that is not finished and one of its parts, by choice one that has no record yet."""
    build = Build(folder, settings.engine, quiet=True)
    build.store = Untouched(folder)
    runs = build.store.folders(names.RUNS)
    build.id = runs[0].rpartition("/")[2] if runs else build.id
    for name, make in _stage_makers(build, settings, base).items():
        if read_manifest(build.store, name):
            continue
        stage = StageRun(build, make())
        for step in stage.stage.steps:
            if stage._known(step):
                continue
            planned = stage._plan(step)
            done = Committed(build.store, name, step.name, planned.parts).names()
            parts = stage._missing(planned, done) or stage._missing(planned, ())
            if not parts:
                continue
            task, part = stage._task(step), random.Random(seed).choice(parts)
            if isinstance(step, ReduceStep):
                task = with_map_parts(build, task, stage._inputs(step))
            return task, part
    return None


if __name__ == "__main__":
    main()
