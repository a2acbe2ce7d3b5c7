"""What `evaluate` answers about tasks: the table, and one line an item."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from train.errors import SettingsError
from train.evaluate import suite
from train.evaluate.beside import beside
from train.evaluate.compare import compare
from train.evaluate.mistakes import mistakes, told
from train.evaluate.table import listing, table
from train.prompt import open_for_tasks
from train.settings import EvaluateSettings

DATA_WANTED = "--data is missing: the folder with the files of the tasks (see --list)"


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
    if not settings.data:
        raise SettingsError(DATA_WANTED)
    if settings.items and not Path(settings.items).parent.is_dir():
        raise SettingsError(f"--items: there is no folder {Path(settings.items).parent}; make it")
    if settings.items and Path(settings.items).is_dir():
        raise SettingsError(f"--items {settings.items} is a folder; name a file")
    folder = Path(settings.data)
    tasks = suite.those_there(settings.suite, settings.stride, folder, note)
    subject = open_for_tasks(settings, note)
    results = []
    for task in tasks:
        ready = suite.prepared(subject, task, folder, settings.limit)
        note(f"{task.name}: {len(ready.items):,} of {ready.items_in_all:,} items")
        results.append(ready.run(subject))
    if settings.items:
        lines = [line for result in results for line in suite.lines_of(result, subject.name)]
        Path(settings.items).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rows, parameters = suite.rows_of(results), subject.model.config.parameters()
    found = {"checkpoint": subject.name, "parameters": parameters, "suite": settings.suite}
    return found | {"rows": rows}, table(rows, parameters)


def show_mistakes(
    settings: EvaluateSettings, note: Callable[[str], None]
) -> tuple[dict[str, Any], str]:
    """What the model got wrong of one task."""
    if not settings.data:
        raise SettingsError(DATA_WANTED)
    tasks = suite.chosen(settings.errors, settings.stride, "--errors")
    subject, outs, lines = open_for_tasks(settings, note), {}, []
    for task in tasks:
        ready = suite.prepared(subject, task, Path(settings.data), settings.limit)
        note(f"{task.name}: {len(ready.items):,} of {ready.items_in_all:,} items")
        found = list(mistakes(subject, ready, ready.run(subject)))
        outs[task.name] = found
        lines.append(told(task.name, found, len(ready.items)))
    return {"checkpoint": subject.name, "mistakes": outs}, "\n\n".join(lines)


def answer(settings: EvaluateSettings, note: Callable[[str], None]) -> tuple[dict[str, Any], str]:
    """What is asked for instead of the held-out loss, for a program and for people."""
    if settings.list:
        return tasks_listed()
    if settings.compare:
        return compare(Path(settings.run), Path(settings.compare))
    if settings.beside:
        return beside(settings, note)
    return show_mistakes(settings, note) if settings.errors else run_suite(settings, note)
