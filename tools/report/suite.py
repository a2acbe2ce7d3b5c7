"""The zero-shot tasks of a run: a chart of them in training, the paper's table, and the overlap.

From the lines of kind "suite" of log.jsonl, and from what the trained model found at its end
(tools/model.py); `train.eval_suite` makes both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

SIZES = ("117M", "345M", "762M", "1542M")
LINES_MAX = 4  # of the chart, which has so many strokes


def suite_facts(log: Sequence[dict[str, Any]], last: Mapping[str, Any] | None) -> dict[str, Any]:
    """Lines of (name, points in per cent by step) and rows of shown numbers; {} without a suite.

    The chart has the first share of each task, the table all numbers of the `last` run of the
    tasks; of a model that has none, those of the last look in training.
    """
    looks = [entry for entry in log if entry["kind"] == "suite"]
    if not looks:
        return {}
    lines: dict[str, tuple[str, list[tuple[int, float]]]] = {}
    for look in looks:
        seen = set()
        for row in look["rows"]:
            if row["kind"] != "share" or row["task"] in seen or row["value"] is None:
                continue
            seen.add(row["task"])
            name = f"{row['task']}, {row['metric']}"
            lines.setdefault(row["task"], (name, []))[1].append((look["step"], 100 * row["value"]))
    rows = (last or looks[-1])["rows"]
    return {"step": looks[-1]["step"], "sizes": SIZES, "lines": list(lines.values())[:LINES_MAX],
            "rows": [_row(row) for row in rows], "notes": _notes(rows)}  # fmt: skip


def _row(row: dict[str, Any]) -> dict[str, Any]:
    shown = [shown_number(row["kind"], value) for value in row["paper"] or 4 * [None]]
    return {
        "task": row["task"],
        "metric": _named(row),
        "ours": shown_number(row["kind"], row["value"]),
        "error": shown_number(row["kind"], row["standard_error"]),
        "paper": shown,
        "count": _of(row["items"], row["items_in_all"]),
        "protocol": row["protocol"],
    }


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which tasks are not those of the paper, so that nobody compares them with it."""
    unknown = {row["task"]: None for row in rows if not row.get("files_known", True)}
    unseen = {row["task"]: None for row in rows if not row.get("format_seen", True)}
    others = [task for task in unknown if task not in unseen]
    told = {
        "Other files than the paper's, so not to be compared with it": others,
        "No original file was at hand when the reader was written": unseen,
    }
    return [f"{what}: {', '.join(names)}." for what, names in told.items() if names]


def overlap_facts(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Rows of the sets that were looked for in the train split, and of the scores without overlap.

    Scores are those of tasks of which some items overlap and some do not.
    """
    if not found:
        return {}
    sets = [
        {
            "task": "held-out documents" if one["task"] == "held-out" else one["task"],
            "count": one["items"],
            "grams": one["grams"],
            "found": one["found"],
            "with_any": one["items_with_any"],
            "share": "-" if one["share"] is None else f"{100 * one['share']:.2f}",
        }
        for one in found["sets"]
    ]
    scores = [
        {
            "task": row["task"],
            "metric": _named(row),
            "all": shown_number(row["kind"], row["value"]),
            "clean": shown_number(row["kind"], row["clean_value"]),
            "error": shown_number(row["kind"], row["standard_error"]),
            "count": _of(row["clean_items"], row["items"]),
        }
        for row in found["scores"]
        if 0 < row["clean_items"] < row["items"]
    ]
    return {"grams": found["corpus_grams"], "sets": sets, "scores": scores}


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['metric']}, %" if row["kind"] == "share" else str(row["metric"])


def _of(items: int, in_all: int) -> str:
    return f"{items:,}" if items == in_all else f"{items:,} of {in_all:,}"


def shown_number(kind: str, value: float | None) -> str:
    """A number of a metric of this kind; shares in per cent."""
    if value is None:
        return "-"
    if kind == "share":
        return f"{100 * value:.2f}"
    return f"{value:.3f}" if kind == "bits" else f"{value:,.2f}" if value < 1e6 else f"{value:.1e}"
