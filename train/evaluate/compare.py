"""Two models on the same items, in pairs: what is hard for both is no part of the difference."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from train.errors import DataError, SettingsError
from train.evaluate.suite import TASKS
from train.evaluate.table import aligned, shown
from train.evaluate.task import Metric, Outcome, ratio_parts


@dataclass(frozen=True)
class Compared:
    """A metric of both, B less A, the standard error of that, and how many items only one solved.

    `only_a` and `only_b` are None where items have no right and wrong.
    """

    task: str
    metric: str
    kind: str
    a: float
    b: float
    difference: float
    standard_error: float | None
    items: int
    only_a: int | None
    only_b: int | None


def paired(task: str, metric: Metric, a: Sequence[Outcome], b: Sequence[Outcome]) -> Compared:
    """The metric over both models' outcomes of the same items, in the same order."""
    value_a, parts_a = ratio_parts(metric, a)
    value_b, parts_b = ratio_parts(metric, b)
    n, gaps = len(a), [y - x for x, y in zip(parts_a, parts_b, strict=True)]
    error = math.sqrt(sum(gap**2 for gap in gaps) * n / (n - 1)) if n > 1 else None
    alone_a = alone_b = None
    key = metric.keys[0] if metric.keys else ""
    if key.startswith("correct"):
        alone_a = sum(bool(x[key]) > bool(y[key]) for x, y in zip(a, b, strict=True))
        alone_b = sum(bool(y[key]) > bool(x[key]) for x, y in zip(a, b, strict=True))
    return Compared(
        task, metric.name, metric.kind, value_a, value_b, value_b - value_a, error, n, alone_a,
        alone_b,
    )  # fmt: skip


def read_items(path: Path) -> dict[tuple[str, str], Outcome]:
    """The outcomes of a file that --items wrote, by task and id; DataError for another file."""
    found: dict[tuple[str, str], Outcome] = {}
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        for one in map(json.loads, lines):
            found[one["task"], one["id"]] = one
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path}: no file of items ({error!r}); --suite TASKS --items FILE writes one"
        ) from None
    return found


def compare(first: Path, second: Path) -> tuple[dict[str, Any], str]:
    """Both files' shared items, metric by metric; SettingsError where protocols differ."""
    a, b = read_items(first), read_items(second)
    shared = [key for key in a if key in b]
    if not shared:
        raise DataError(f"{first} and {second} have no item in common")
    for key in shared:
        if a[key].get("protocol") != b[key].get("protocol"):
            raise SettingsError(
                f"{key[0]}: {first} was scored by protocol {a[key].get('protocol')}, {second} by "
                f"{b[key].get('protocol')}: score both by one version and the same options"
            )
    rows = []
    for task in TASKS:
        mine = [key for key in shared if key[0] == task.name]
        for metric in task.metrics if mine else ():
            if not metric.keys:
                continue
            try:
                rows.append(paired(task.name, metric, [a[k] for k in mine], [b[k] for k in mine]))
            except (LookupError, TypeError, ValueError) as error:
                raise DataError(
                    f"{first}, {second}: {metric.name} of {task.name} cannot be told of these "
                    f"outcomes ({error!r}); --suite TASKS --items FILE writes whole ones"
                ) from None
    unpaired = len(a) + len(b) - 2 * len(shared)
    found = {"a": str(first), "b": str(second), "rows": [asdict(row) for row in rows]}
    return found | {"unpaired": unpaired}, _told(rows, unpaired)


def _told(rows: Sequence[Compared], unpaired: int) -> str:
    head = ("task", "metric", "A", "B", "B - A", "error", "items", "only A", "only B")
    lines: list[tuple[str, ...]] = [head]
    for row in rows:
        counts = ["-" if one is None else f"{one:,}" for one in (row.only_a, row.only_b)]
        lines.append(
            (
                row.task, row.metric, shown(row.kind, row.a), shown(row.kind, row.b),
                shown(row.kind, row.difference, "+"), shown(row.kind, row.standard_error),
                f"{row.items:,}", *counts,
            )
        )  # fmt: skip
    out = aligned(lines)
    out += ["", "Error: of the difference, in pairs. Only A: items that A alone got right."]
    return "\n".join(out + ([f"{unpaired:,} items are in one file alone."] if unpaired else []))
