"""The texts that are looked for (items of tasks, held-out documents), and those of a corpus."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError, SettingsError
from pipeline.settings import TextsSettings
from pipeline.texts import Odd, Row, read_texts
from tools.look_tokens import documents_of
from train.errors import TrainError


@dataclass(frozen=True)
class Item:
    """A text of a test set, by the set's name and its own."""

    task: str
    id: str
    text: str


def task_items(suite: str, folder: Path, limit: int) -> list[Item]:
    """What the tasks of a suite read, with the right answers; of a suite what has files there."""
    from train.packages import require_packages

    try:
        require_packages()
        from train.evaluate import suite as tasks

        return [
            Item(task.name, id, text)
            for task in tasks.those_there(suite, 0, folder, _say)
            for id, text in tasks.texts_of(task, folder, limit)
        ]
    except TrainError as error:
        raise SettingsError(str(error)) from None


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def held_out_items(shards: Path, limit: int) -> list[Item]:
    """The held-out documents of token shards, or the first of them."""
    found = []
    for row in _documents(shards, "val"):
        found.append(Item("held-out", row[0], row[1]))
        if len(found) == limit:
            break
    return found


def train_texts(shards: Path) -> Iterator[str]:
    """The texts of the shards' train split."""
    return (text for _, text in _documents(shards, "train"))


def _documents(shards: Path, split: str) -> Iterator[tuple[str, str]]:
    folder = shards if (shards / "shards.json").exists() else shards / "shards"
    try:
        about = json.loads((folder / "shards.json").read_text(encoding="utf-8"))
        names = [file["name"] for file in about["files"] if file["split"] == split]
    except (OSError, ValueError, LookupError, TypeError) as error:
        mend = "Name a folder that `webtext shards` or `webtext build` wrote."
        raise InputError(str(folder), "", f"no shards are there: {error}", mend) from None
    if not names:
        mend = "Write shards with a share that is held out (--val-share)."
        raise InputError(str(folder), "", f"the split {split} is empty", mend)
    for name in names:
        for row in documents_of(folder / name):
            if "text" not in row:
                mend = "Put its tokenizer.json beside the shards."
                raise InputError(str(folder), "", "no tokenizer of these shards is near", mend)
            yield str(row.get("id", f"{name}:{row['row']}")), row["text"]


def texts_in(files: Sequence[Path], rules: TextsSettings, odd: Odd) -> Iterator[str]:
    """The texts of anyone's files."""
    for path in files:
        for found in read_texts(path, path.name, rules, odd):
            if isinstance(found.row, Row):
                yield found.row.text
