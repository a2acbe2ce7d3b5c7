"""One more attempt at a part that a build is at: what a lost worker does, or a second one.

It waits for a line on stdin, finds the step at work from the store alone, and runs the part by
`task.run_part`, with no lock and unknown to the driver.
"""

import argparse
import os
import random
import signal
import sys
from dataclasses import replace
from pathlib import Path

from pipeline.engine import names
from pipeline.engine.build import Build
from pipeline.engine.joins import with_map_parts
from pipeline.engine.manifest import read_manifest
from pipeline.engine.parts import AnyPart, Committed
from pipeline.engine.stage import ReduceStep
from pipeline.engine.stage_run import StageRun
from pipeline.engine.store import Store
from pipeline.engine.stores import open_store
from pipeline.engine.task import Task, pool_of, run_part
from pipeline.settings import Settings
from pipeline.settings_file import load
from tools.build import _stage_makers


def untouched(store: Store) -> Store:
    """The store, for a plan that changes nothing in it."""
    for method in ("write", "remove", "show"):
        setattr(store, method, lambda *_, **__: None)
    return store


def stopping(store: Store, stop: int) -> Store:
    """The store; its user stops itself at once (0), or before a file (1, 2, ...)."""
    left, add, write = [stop], store.add, store.write

    def count() -> None:
        if left[0] == 0:
            signal.raise_signal(signal.SIGSTOP)
        left[0] -= 1

    def counted_add(path: Path, name: str) -> None:
        count()
        add(path, name)

    def counted_write(name: str, data: bytes, *, durably: bool = True, new: bool = False) -> None:
        if durably:
            count()
        write(name, data, durably=durably, new=new)

    store.add, store.write = counted_add, counted_write  # type: ignore[method-assign]
    count()
    return store


class DeafTask(Task):
    """A step at work in a process that hears no request to stop."""

    def stopping(self) -> bool:  # noqa: D102
        return False


def main() -> None:
    """Do the part, and say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", type=Path)
    parser.add_argument("--out", required=True)
    parser.add_argument("--engine.scratch", dest="scratch", default="")
    parser.add_argument("--seed", default="")
    parser.add_argument("--stop", type=int, default=-1, help="where to stop: see `stopping`")
    parser.add_argument("--deaf", action="store_true", help="hear no request to stop")
    options = parser.parse_args()
    settings = load(options.settings)
    pid = sys.stdin.readline().strip()
    if pid:  # of another process: two machines may well have two of the same
        os.getpid = lambda: int(pid)
    # Of a bucket it has a scratch of its own, as another machine would.
    scratch = f"{options.scratch}-{os.getpid()}" if options.scratch else ""
    settings = replace(settings, engine=replace(settings.engine, scratch=scratch))
    found = at_work(options.out, settings, options.settings.parent, options.seed)
    if found is None:
        print("found nothing at work")
        return
    task, part = found
    print(f"{task.label}, part {part.label}", flush=True)
    store = stopping(open_store(options.out, scratch), options.stop)
    task = (DeafTask if options.deaf else Task)(**{**vars(task), "store": store})
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


def at_work(place: str, settings: Settings, base: Path, seed: str) -> tuple[Task, AnyPart] | None:
    """A step that is not finished and one of its parts, by choice one that has no record yet."""
    build = Build(place, settings.engine, quiet=True)
    untouched(build.store)
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
