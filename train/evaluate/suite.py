"""Runs tasks on a model: which there are, what they need, what they find."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from train.errors import DataError, SettingsError
from train.evaluate.choices import CBT_CN, CBT_NE, HELLASWAG
from train.evaluate.coqa import COQA
from train.evaluate.lambada import LAMBADA
from train.evaluate.language import LANGUAGE, with_stride
from train.evaluate.natural_questions import NATURAL_QUESTIONS
from train.evaluate.scoring import Subject
from train.evaluate.summaries import CNN_DM
from train.evaluate.task import Estimate, Found, Metric, Outcome, Task, read_file
from train.evaluate.translation import WMT14_EN_FR, WMT14_FR_EN
from train.evaluate.winograd import PDP, WINOGENDER, WINOGRAD

TASKS: tuple[Task, ...] = (
    LAMBADA, CBT_CN, CBT_NE, *LANGUAGE, WINOGRAD, PDP, WINOGENDER, HELLASWAG,
    COQA, CNN_DM, WMT14_EN_FR, WMT14_FR_EN, NATURAL_QUESTIONS,
)  # fmt: skip
SUITES: dict[str, tuple[str, ...]] = {
    "paper": (
        "lambada", "cbt_cn", "cbt_ne", "wikitext2", "ptb", "enwik8", "text8", "wikitext103", "1bw",
        "winograd",
    ),
    "generation": ("coqa", "cnn_dm", "wmt14_en_fr", "wmt14_fr_en", "natural_questions"),
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """A task that was run: its outcomes, and the digests of its files."""

    task: Task
    outcomes: list[Outcome]
    items: int  # that the files hold, of which the first were run
    files: list[Found]
    remark: str

    def estimates(self) -> list[tuple[Metric, Estimate]]:
        """Each metric of the task over all outcomes."""
        return [(metric, metric.estimate(self.outcomes)) for metric in self.task.metrics]

    def known(self) -> bool:
        """Whether every file is byte for byte the original that we have seen."""
        pairs = zip(self.task.files, self.files, strict=True)
        return all(wanted.sha256 == found.sha256 for wanted, found in pairs)


def chosen(names: str, stride: int = 0, option: str = "--suite") -> list[Task]:
    """The tasks of a suite, or of names with commas between; SettingsError for any other name.

    Texts as a whole are scored in windows that overlap so that each scores `stride` tokens.
    """
    by_name = {task.name: task for task in TASKS}
    wanted = SUITES.get(names) or tuple(name.strip() for name in names.split(","))
    for name in wanted:
        if name not in by_name:
            raise SettingsError(
                f"{option}: no suite and no task is called {name!r}; suites: {', '.join(SUITES)}; "
                f"tasks: {', '.join(by_name)}"
            )
    texts = {task.name for task in LANGUAGE}
    return [
        with_stride(by_name[name], stride) if stride and name in texts else by_name[name]
        for name in wanted
    ]


def there(task: Task, folder: Path) -> bool:
    """Whether all files of a task are in the folder."""
    return all(file.find(folder) for file in task.files)


def those_there(names: str, stride: int, folder: Path, note: Callable[[str], None]) -> list[Task]:
    """The tasks that are named, of a suite those whose files are in the folder; it says which not.

    DataError where there is none.
    """
    tasks = chosen(names, stride)
    if names not in SUITES:
        return tasks
    found = [task for task in tasks if there(task, folder)]
    if not found:
        raise DataError(f"{folder}: no file of a task there; `evaluate --list` names them")
    if missing := [task.name for task in tasks if task not in found]:
        note(f"not in {folder}, so left out: {', '.join(missing)}")
    return found


@dataclass(frozen=True)
class Prepared:
    """A task with the items that are to be run on a subject, as often as one likes."""

    task: Task
    held: Sequence[Any]  # all that was read
    items: Sequence[Any]
    items_in_all: int
    files: list[Found]
    remark: str

    def run(self, subject: Subject) -> Result:
        """The outcomes of the items."""
        outcomes = list(self.task.score(subject, self.items))
        return Result(self.task, outcomes, self.items_in_all, self.files, self.remark)


def prepared(subject: Subject, task: Task, folder: Path, limit: int) -> Prepared:
    """A task's items, or its first `limit`; DataError for its files."""
    files, held = _read(task, folder)
    items = task.arrange(subject, held)
    taken = items[:limit] if limit else items
    return Prepared(task, held, taken, len(items), files, task.remark(held))


def texts_of(task: Task, folder: Path, limit: int) -> list[tuple[str, str]]:
    """Id and text of what a task reads, or of the first `limit`; DataError for its files."""
    _, items = _read(task, folder)
    return [(item.id, item.whole()) for item in (items[:limit] if limit else items)]


def _read(task: Task, folder: Path) -> tuple[list[Found], Sequence[Any]]:
    files = [read_file(folder, file) for file in task.files]
    items = task.read(files)
    if not items:
        raise DataError(f"{files[0].path}: holds no item; put back the original file")
    return files, items


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
            "remark": result.remark,
            "differs": result.task.differs,
        }
        for result in results
        for metric, estimate in result.estimates()
    ]
