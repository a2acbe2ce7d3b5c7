"""What `evaluate` answers about tasks: the table, and one line an item."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.errors import DataError, SettingsError
from train.evaluate import suite
from train.evaluate.scoring import open_subject
from train.evaluate.table import listing, table
from train.evaluate.task import Task
from train.settings import EvaluateSettings


def tasks_listed() -> tuple[dict[str, Any], str]:
    """The suites and tasks, for a program and for people."""
    found = {
        "suites": suite.SUITES,
        "tasks": {
            task.name: {
                "files": {name: file.sha256 for file in task.files for name in file.names},
                "protocol": task.digest(),
                "format_seen": task.format_seen,
            }
            for task in suite.TASKS
        },
    }
    return found, listing(suite.SUITES, suite.TASKS)


def run_suite(
    settings: EvaluateSettings, note: Callable[[str], None]
) -> tuple[dict[str, Any], str]:
    """The results of the chosen tasks, for a program and as a table."""
    tasks = suite.chosen(settings.suite, settings.stride)
    if not settings.data:
        raise SettingsError(
            "--data is missing: the folder with the files of the tasks (see --list)"
        )
    folder = Path(settings.data)
    if settings.suite in suite.SUITES:
        tasks = _those_there(tasks, folder, note)
    subject = open_subject(settings, note)
    results = [suite.run(subject, task, folder, settings.limit, note) for task in tasks]
    if settings.items:
        lines = [line for result in results for line in suite.lines_of(result, subject.name)]
        Path(settings.items).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rows, parameters = suite.rows_of(results), subject.model.config.parameters()
    found = {"checkpoint": subject.name, "parameters": parameters, "suite": settings.suite}
    return found | {"rows": rows}, table(rows, parameters)


def _those_there(tasks: list[Task], folder: Path, note: Callable[[str], None]) -> list[Task]:
    """The tasks of a suite whose files are in the folder; the others are named."""
    found = [task for task in tasks if suite.there(task, folder)]
    if not found:
        raise DataError(f"{folder}: no file of a task there; --list names them")
    if missing := [task.name for task in tasks if task not in found]:
        note(f"not in {folder}, so left out: {', '.join(missing)}")
    return found
