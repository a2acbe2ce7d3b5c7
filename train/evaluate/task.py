"""What a task is: files of the original format, items, outcomes, metrics, and its protocol.

A task file comes from strangers: it is data alone. Prompts are put together by plain substitution
of text, never by str.format or a template engine.
"""

import gzip
import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from train.errors import DataError
from train.evaluate.scoring import Subject
from train.log import PERPLEXED

Four = tuple[float | None, float | None, float | None, float | None]  # of the paper's sizes
# What became of an item: "id", and the numbers and texts that metrics and people read.
Outcome = Mapping[str, Any]


@dataclass(frozen=True)
class DataFile:
    """A file of a task: the names that it may have, each also with .gz, and what we know of it."""

    names: tuple[str, ...]
    sha256: str = ""  # of the content, unpacked; "" where no original was seen

    def find(self, folder: Path) -> Path | None:
        """The first of its names that is in the folder."""
        names = [name + suffix for name in self.names for suffix in ("", ".gz")]
        return next((folder / name for name in names if (folder / name).is_file()), None)


@dataclass(frozen=True)
class Found:
    """A file that was read: its content, and whether it is the one that we know."""

    path: Path
    content: bytes
    sha256: str

    def text(self) -> str:
        """Its text in UTF-8, its lines ended by a line feed alone. DataError for other bytes."""
        try:
            return self.content.decode().replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{self.path}: byte {error.start:,} is not UTF-8; put back the original file"
            ) from None

    def lines(self) -> list[str]:
        """Its lines, without their ends; no other character ends one."""
        return self.text().removesuffix("\n").split("\n")

    def objects(self) -> list[dict[str, Any]]:
        """One JSON object a line; DataError names a line that is none."""
        found = []
        for number, line in enumerate(self.lines(), 1):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise self.refusal(number, f"not JSON ({error})") from None
            if not isinstance(value, dict):
                raise self.refusal(number, "not a JSON object")
            found.append(value)
        return found

    def json(self) -> dict[str, Any]:
        """The one JSON object that it holds; DataError for another content."""
        try:
            value = json.loads(self.text())
        except (ValueError, RecursionError) as error:
            raise self.refusal(1, f"not JSON ({error})") from None
        if not isinstance(value, dict):
            raise self.refusal(1, "not a JSON object")
        return value

    def refusal(self, line: int, why: str) -> DataError:
        """The error of a line that is not of the original format."""
        return DataError(f"{self.path} line {line:,}: {why}; put back the original file")


def read_file(folder: Path, file: DataFile) -> Found:
    """The content of a file of a task; DataError where it is not there or cannot be unpacked."""
    path = file.find(folder)
    if path is None:
        raise DataError(f"{folder}: no {' or '.join(file.names)} there, nor one with .gz")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read: {error}; copy it anew") from None
    return Found(path, content, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Estimate:
    """A number over the items of a task, and its standard error; None where there is one item."""

    value: float
    standard_error: float | None


@dataclass(frozen=True)
class Metric:
    """A number over all outcomes. `paper` holds those of the four sizes, smallest first.

    `keys` are the outcome's numbers whose sums make it, by which two models are compared in pairs.
    """

    name: str
    estimate: Callable[[Sequence[Outcome]], Estimate]
    kind: Literal["share", "perplexity", "bits", "score"]  # how it is shown
    paper: Four | None = None
    keys: tuple[str, str] | None = None


def exponential(nats: float) -> float:
    """The perplexity of so many nats; infinite where no number is that large."""
    return math.exp(nats) if nats < PERPLEXED else math.inf if nats >= PERPLEXED else math.nan


def bits(nats: float) -> float:
    """Bits of so many nats."""
    return nats / math.log(2)


def ratio(
    top: str, bottom: str = "", change: Callable[[float], float] = float
) -> Callable[[Sequence[Outcome]], Estimate]:
    """An estimate of change(sum of `top` / sum of `bottom`); "" counts the items.

    The standard error is that of a ratio of means over independent items, by the delta method.
    """

    def estimate(outcomes: Sequence[Outcome]) -> Estimate:
        n, (value, parts) = len(outcomes), _parts(outcomes, top, bottom, change)
        if n < 2:
            return Estimate(value, None)
        return Estimate(value, math.sqrt(sum(part**2 for part in parts) * n / (n - 1)))

    return estimate


def _parts(
    outcomes: Sequence[Outcome], top: str, bottom: str, change: Callable[[float], float]
) -> tuple[float, list[float]]:
    """The ratio, changed, and what each item adds to its deviation, to the first order."""
    pairs = [(float(one[top]), float(one[bottom]) if bottom else 1.0) for one in outcomes]
    below = sum(y for _, y in pairs)
    found = sum(x for x, _ in pairs) / below
    step = max(1e-6, abs(found) * 1e-6)
    slope = (change(found + step) - change(found - step)) / (2 * step)
    return change(found), [slope * (x - found * y) / below for x, y in pairs]


def ratio_parts(metric: Metric, outcomes: Sequence[Outcome]) -> tuple[float, list[float]]:
    """The same of a metric that has `keys`: of a perplexity by exp, of bits by their size."""
    top, bottom = metric.keys or ("", "")
    change = {"perplexity": exponential, "bits": bits}.get(metric.kind, float)
    return _parts(outcomes, top, bottom, change)


def mean(name: str, key: str, paper: Four | None = None) -> Metric:
    """The share of items, or the mean over them, that an outcome's number from 0 to 1 gives."""
    return Metric(name, ratio(key), "share", paper, (key, ""))


def as_they_are(subject: Subject, items: Sequence[Any]) -> Sequence[Any]:
    """The items that were read: for tasks whose items do not depend on the tokenizer."""
    return items


def nothing(items: Sequence[Any]) -> str:
    """No remark."""
    return ""


@dataclass(frozen=True)
class Task:
    """Files to items, items to outcomes, outcomes to metrics; the protocol says how.

    `read` gets the found files in the order of `files`; `remark` says of what was read what people
    should know, if anything; `arrange` cuts it into the items that are limited and scored. `score`
    gives one outcome an item, in order, each with its "id". What is read has an `id` and its
    `whole()` text, with the right answer, by which `webtext overlap` looks for it. `protocol` is
    all that shapes the numbers, in words. `differs` says what is known to differ from the paper, or
    is not known of it.
    """

    name: str
    title: str
    files: tuple[DataFile, ...]
    read: Callable[[Sequence[Found]], Sequence[Any]]
    score: Callable[[Subject, Sequence[Any]], Iterator[Outcome]]
    metrics: tuple[Metric, ...]
    protocol: Mapping[str, str]
    differs: str
    format_seen: bool = True
    arrange: Callable[[Subject, Sequence[Any]], Sequence[Any]] = as_they_are
    remark: Callable[[Sequence[Any]], str] = nothing

    def digest(self) -> str:
        """Twelve hex digits of all that the protocol says: equal ones may be compared."""
        metrics = [metric.name for metric in self.metrics]
        told = json.dumps([self.name, dict(self.protocol), metrics], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:12]
