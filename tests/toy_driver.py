"""Forks drivers that build the toy stage, to be killed. One JSON object a line on stdin.

Beam takes a second to import; each driver is a fork of this process, which has it and has run
nothing. {"run": {...}} answers with the driver's pid, {"wait": pid} with its exit status.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import toy

import pipeline.engine.runner  # noqa: F401 (imported once, for all drivers)
from pipeline.engine import build, files, publish, stage_run
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
    try:
        with build.Build(Path(folder), EngineSettings(**engine)) as the_build:
            the_build.run(toy.stage(labels, rules, options, **stage))
    except WebtextError as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
        return error.exit_code
    return 0


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before_step_json() -> None:
    stage_run.write_durably = _die


def _between_steps() -> None:
    run_parts, calls = build.Build.run_parts, []

    def second_dies(self: build.Build, *args: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            _die()
        run_parts(self, *args)

    build.Build.run_parts = second_dies


def _before_manifest() -> None:
    publish.write_durably = _die


def _at_rename(number: int) -> None:
    rename, calls = Path.rename, []

    def dying(self: Path, target: Path) -> Path:
        calls.append(1)
        if len(calls) == number:
            _die()
        return rename(self, target)

    Path.rename = dying


def _before_cleaning() -> None:
    stage_run.StageRun._clean = _die


def _while_cleaning() -> None:
    files.remove_tree = _die  # what `discard` calls once the folder has its other name


KILLS = {
    "before step.json": _before_step_json,
    "between steps": _between_steps,
    "before the manifest": _before_manifest,
    "before the first rename": lambda: _at_rename(1),
    "before the second rename": lambda: _at_rename(2),
    "before cleaning": _before_cleaning,
    "while cleaning": _while_cleaning,
}

if __name__ == "__main__":
    main()
