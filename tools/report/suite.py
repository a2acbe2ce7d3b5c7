"""The zero-shot tasks that a run was examined by while it trained: a chart, and the paper's table.

From the lines of kind "suite" of log.jsonl; `train.eval_suite` makes them.
"""

from typing import Any

SIZES = ("117M", "345M", "762M", "1542M")
LINES_MAX = 4  # of the chart, which has so many strokes


def suite_facts(log: list[dict[str, Any]]) -> dict[str, Any]:
    """Lines of (name, points in per cent by step) and rows of shown numbers; {} without a suite.

    The chart has the first share of each task, the table all numbers of the last look.
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
    last = looks[-1]
    rows = [_row(row) for row in last["rows"]]
    return {"step": last["step"], "sizes": SIZES, "lines": list(lines.values())[:LINES_MAX],
            "rows": rows}  # fmt: skip


def _row(row: dict[str, Any]) -> dict[str, Any]:
    shown = [shown_number(row["kind"], value) for value in row["paper"] or 4 * [None]]
    whole = row["items"] == row["items_in_all"]
    return {
        "task": row["task"],
        "metric": row["metric"] + (", %" if row["kind"] == "share" else ""),
        "ours": shown_number(row["kind"], row["value"]),
        "error": shown_number(row["kind"], row["standard_error"]),
        "paper": shown,
        "count": f"{row['items']:,}" if whole else f"{row['items']:,} of {row['items_in_all']:,}",
        "protocol": row["protocol"],
    }


def shown_number(kind: str, value: float | None) -> str:
    """A number of a metric of this kind; shares in per cent."""
    if value is None:
        return "-"
    if kind == "share":
        return f"{100 * value:.2f}"
    return f"{value:.3f}" if kind == "bits" else f"{value:,.2f}" if value < 1e6 else f"{value:.1e}"
