"""The table of a suite, for people: ours beside the four sizes of the paper."""

import math
from collections.abc import Sequence
from typing import Any

from train.evaluate.task import Task

# Parameters by count, and as the paper calls the sizes.
SIZES = {124_439_808: "117M", 354_823_168: "345M", 774_030_080: "762M", 1_557_611_200: "1542M"}
HEAD = ("task", "metric", "ours", "error", *SIZES.values(), "difference", "items", "protocol")


def nearest_size(parameters: int) -> int:
    """The number, 0 to 3, of the paper's size that is nearest by the ratio of parameters."""
    ratios = [abs(math.log(parameters / size)) for size in SIZES]
    return ratios.index(min(ratios))


def shown(kind: str, value: float | None, sign: str = "") -> str:
    """A number of a metric of this kind; shares in per cent."""
    if value is None:
        return "-"
    if kind == "share":
        return f"{100 * value:{sign}.2f}"
    if kind == "bits":
        return f"{value:{sign}.3f}"
    return f"{value:{sign}.2f}" if abs(value) < 1e6 else f"{value:{sign}.2e}"


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Lines of cells in columns: names in the first two to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if at < 2 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def table(rows: Sequence[dict[str, Any]], parameters: int) -> str:
    """All rows, and under them what is known of each task."""
    beside = nearest_size(parameters)
    lines = [HEAD, *(_cells(row, beside) for row in rows)]
    out = aligned(lines)
    out += ["", "Shares are in per cent. Error: one standard error over items. Difference: to the"]
    out += [f"paper's {list(SIZES.values())[beside]}, the nearest of its sizes."]
    for row in {row["task"]: row for row in rows}.values():
        out += [f"{row['task']}: {'; '.join(_notes(row))}."]
    return "\n".join(out)


def _cells(row: dict[str, Any], beside: int) -> tuple[str, ...]:
    kind, paper = row["kind"], row["paper"]
    wanted = paper[beside] if paper else None
    difference = None if wanted is None else row["value"] - wanted
    items = f"{row['items']:,}"
    return (
        row["task"],
        row["metric"],
        shown(kind, row["value"]),
        shown(kind, row["standard_error"]),
        *(shown(kind, value) for value in paper or 4 * [None]),
        shown(kind, difference, "+"),
        items if row["items"] == row["items_in_all"] else f"{items} of {row['items_in_all']:,}",
        row["protocol"],
    )


def _notes(row: dict[str, Any]) -> list[str]:
    notes = []
    if not row["format_seen"]:
        notes.append("format unseen: no original file was at hand when its reader was written")
    elif not row["files_known"]:
        notes.append("the files are not those that we know by digest")
    return [*notes, *([row["remark"]] if row["remark"] else []), row["differs"]]


def listing(suites: dict[str, tuple[str, ...]], tasks: Sequence[Task]) -> str:
    """Suites, tasks, their files with SHA-256 where an original was seen, and protocols."""
    out = [f"suite {name}: {', '.join(of)}" for name, of in suites.items()]
    for task in tasks:
        unseen = "" if task.format_seen else ", format unseen"
        out += ["", f"{task.name}: {task.title}{unseen}; protocol {task.digest()}"]
        for file in task.files:
            known = f"sha256 {file.sha256}" if file.sha256 else "digest not known"
            out.append(f"  {' or '.join(file.names)} (or .gz): {known}")
        out += [f"  {what}: {how}" for what, how in task.protocol.items()]
    return "\n".join(out)
