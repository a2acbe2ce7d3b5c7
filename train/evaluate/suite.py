"""Runs tasks on a model: which there are, what they need, what they find."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from train.errors import SettingsError
from train.evaluate.lambada import LAMBADA
from train.evaluate.scoring import Subject
from train.evaluate.task import Estimate, Found, Metric, Outcome, Task, read_file

TASKS: tuple[Task, ...] = (LAMBADA,)
SUITES: dict[str, tuple[str, ...]] = {"paper": ("lambada",)}


@dataclass(frozen=True)
class Result:
    """A task that was run: its outcomes, and the digests of its files."""

    task: Task
    outcomes: list[Outcome]
    items: int  # that the files hold, of which the first were run
    files: list[Found]

    def estimates(self) -> list[tuple[Metric, Estimate]]:
        """Each metric of the task over all outcomes."""
        return [(metric, metric.estimate(self.outcomes)) for metric in self.task.metrics]

    def known(self) -> bool:
        """Whether every file is byte for byte the original that we have seen."""
        pairs = zip(self.task.files, self.files, strict=True)
        return all(wanted.sha256 == found.sha256 for wanted, found in pairs)


def chosen(names: str) -> list[Task]:
    """The tasks of a suite, or of names with commas between; SettingsError for any other name."""
    by_name = {task.name: task for task in TASKS}
    wanted = SUITES.get(names) or tuple(name.strip() for name in names.split(","))
    for name in wanted:
        if name not in by_name:
            raise SettingsError(
                f"--suite: no suite and no task is called {name!r}; suites: {', '.join(SUITES)}; "
                f"tasks: {', '.join(by_name)}"
            )
    return [by_name[name] for name in wanted]


def run(
    subject: Subject, task: Task, folder: Path, limit: int, note: Callable[[str], None]
) -> Result:
    """The outcomes of a task's items, or of its first `limit`; DataError for its files."""
    files = [read_file(folder, file) for file in task.files]
    items = task.read(files)
    taken = items[:limit] if limit else items
    note(f"{task.name}: {len(taken):,} of {len(items):,} items")
    return Result(task, list(task.score(subject, taken)), len(items), files)


def items_of(task: Task, folder: Path, limit: int) -> list[tuple[str, str]]:
    """Id and text of a task's items, or of its first `limit`; DataError for its files."""
    items = task.read([read_file(folder, file) for file in task.files])
    told = task.text
    if told is None:
        raise SettingsError(f"{task.name}: its items have no text of their own")
    return [(item.id, told(item)) for item in (items[:limit] if limit else items)]


def lines_of(result: Result, model: str) -> list[str]:
    """One JSON object an item: its task, the protocol's digest, and what became of it."""
    head = {"task": result.task.name, "protocol": result.task.digest(), "model": model}
    return [json.dumps(head | dict(one), ensure_ascii=False) for one in result.outcomes]


def rows_of(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row a metric, as `--json` gives them: ours, the paper's, error, protocol, differences."""
    return [
        {
            "task": result.task.name,
            "metric": metric.name,
            "kind": metric.kind,
            **asdict(estimate),
            "paper": metric.paper,
            "items": len(result.outcomes),
            "items_in_all": result.items,
            "protocol": result.task.digest(),
            "files": {file.path.name: file.sha256 for file in result.files},
            "files_known": result.known(),
            "format_seen": result.task.format_seen,
            "differs": result.task.differs,
        }
        for result in results
        for metric, estimate in result.estimates()
    ]
