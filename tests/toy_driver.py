"""Forks drivers that build the toy stage, to be killed. One JSON object a line on stdin.

Beam takes a second to import; each driver is a fork of this process, which has it and has run
nothing. {"run": {...}} answers with the driver's pid, {"wait": pid} with its exit status.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import toy

import pipeline.engine.runner  # noqa: F401 (imported once, for all drivers)
from pipeline.engine import build, joins, stage_run, store
from pipeline.errors import WebtextError
from pipeline.settings import EngineSettings


def main() -> None:
    """Answer requests until stdin ends."""
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            status = os.waitpid(request["wait"], 0)[1]
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                os._exit(drive(**request["run"]))
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def drive(
    folder: str, stderr: str, kill: str, engine: dict[str, Any], stage: dict[str, Any]
) -> int:
    """One driver: a process group of its own, killed where `kill` says. Its exit code."""
    os.setsid()
    errors = os.open(stderr, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(errors, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if kill:
        KILLS[kill]()
    options = toy.Options(stage.pop("log", ""), stage.pop("do", {}))
    labels = tuple(stage.pop("labels"))
    rules = toy.Rules(**stage.pop("rules", {}))
    redo, replay = stage.pop("redo", ()), stage.pop("replay", ())
    settings = EngineSettings(**engine)
    try:
        with build.Build(Path(folder), settings, redo=redo, replay=replay) as the_build:
            the_build.run(toy.stage(labels, rules, options, **stage))
    except WebtextError as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        return error.exit_code
    return 0


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _between_steps(number: int = 2) -> None:
    run_parts, calls = build.Build.run_parts, []

    def dying(self: build.Build, *args: Any) -> None:
        calls.append(1)
        if len(calls) == number:
            _die()
        run_parts(self, *args)

    build.Build.run_parts = dying


def _at_write(start: str, number: int = 1) -> None:
    put, calls = store.Disk._put, []

    def dying(self: store.Disk, path: Path, name: str) -> None:
        if name.startswith(start):
            calls.append(name)
        if len(calls) == number:
            _die()
        put(self, path, name)

    store.Disk._put = dying


def _after_joining() -> None:
    joins.RANGES_MAX = 8
    _between_steps(3)


def _at_removal(start: str, number: int = 1) -> None:
    remove, calls = store.Disk.remove, []

    def dying(self: store.Disk, names: Iterable[str]) -> None:
        for name in names:
            if name.startswith(start):
                calls.append(name)
            if len(calls) == number:
                _die()
            remove(self, [name])

    store.Disk.remove = dying


def _before_tidying() -> None:
    stage_run.tidy = _die


KILLS = {
    "before the journal": lambda: _at_write("steps/"),
    "between steps": _between_steps,
    "after map parts were joined": _after_joining,
    "before the list of what is stale": lambda: _at_write("forget/"),
    "before the manifest": lambda: _at_write("toy/manifest"),
    "before the view": lambda: _at_write("toy/part-"),
    "in the middle of the view": lambda: _at_write("toy/part-", 3),
    "before tidying": _before_tidying,
    "before the first record goes": lambda: _at_removal("parts/"),
    "before the first data go": lambda: _at_removal("data/"),
    "in the middle of the data that go": lambda: _at_removal("data/", 3),
    "before the old view goes": lambda: _at_removal("toy/part-"),
    "before the old manifest goes": lambda: _at_removal("toy/manifest"),
    "before the third record goes": lambda: _at_removal("parts/", 3),
}

if __name__ == "__main__":
    main()
