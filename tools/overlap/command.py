"""What `webtext overlap` finds and says: a share an item, sums a test set, scores without them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from pipeline.errors import InputError
from pipeline.lines import Lines
from pipeline.row_files import put_in_place
from tools.overlap.grams import Kept, in_batches, mark_all
from tools.overlap.items import Item
from tools.status import console_for_tables

ITEMS_WANTED = "Give what `webtext evaluate --items` wrote."


@dataclass(frozen=True)
class ItemOverlap:
    """An item's 8-grams, and how many of them stand in the corpus."""

    task: str
    id: str
    grams: int
    found: int

    @property
    def share(self) -> float | None:
        """The share that stands there; None for an item of fewer than eight words."""
        return self.found / self.grams if self.grams else None


@dataclass(frozen=True)
class SetOverlap:
    """A test set's sums. `share` is over all its 8-grams, as the paper's table 6 has it."""

    task: str
    items: int
    grams: int
    found: int
    items_with_any: int
    items_without_grams: int

    @property
    def share(self) -> float | None:
        """The share of the set's 8-grams that stand in the corpus."""
        return self.found / self.grams if self.grams else None


def find_overlap(items: Sequence[Item], texts: Iterable[str]) -> tuple[list[ItemOverlap], int]:
    """Each item's overlap with the texts, which are read once, and the texts' 8-grams."""
    batches = list(in_batches(item.text for item in items))
    hashes = np.concatenate([batch.hashes for batch in batches])
    counts = np.concatenate([np.diff(batch.offsets) for batch in batches])
    kept = Kept(hashes)
    met = mark_all(kept, texts)
    sums = np.concatenate([[0], np.cumsum(kept.seen(hashes))])
    ends = np.cumsum(counts)
    found = sums[ends] - sums[ends - counts]
    return [
        ItemOverlap(item.task, item.id, int(n), int(hits))
        for item, n, hits in zip(items, counts, found, strict=True)
    ], met


def by_set(overlaps: Iterable[ItemOverlap]) -> list[SetOverlap]:
    """The sums of each test set, in the order in which they come."""
    sets: dict[str, list[ItemOverlap]] = {}
    for one in overlaps:
        sets.setdefault(one.task, []).append(one)
    return [
        SetOverlap(
            task, len(own), sum(one.grams for one in own), sum(one.found for one in own),
            sum(one.found > 0 for one in own), sum(not one.grams for one in own),
        )
        for task, own in sets.items()
    ]  # fmt: skip


def write_items(out: Path, overlaps: Sequence[ItemOverlap]) -> None:
    """One JSON object an item."""
    with put_in_place(out) as aside, aside.open("w", encoding="utf-8") as file:
        for one in overlaps:
            file.write(json.dumps(asdict(one) | {"share": one.share}, ensure_ascii=False) + "\n")


def read_scores(path: Path) -> list[dict[str, Any]]:
    """The lines of `webtext evaluate --items`; InputError for other ones."""
    found = []
    with Lines(path) as lines:
        for number, line in enumerate(lines, 1):
            try:
                one = json.loads(line)
                found.append({**one, "task": str(one["task"]), "id": str(one["id"])})
            except (ValueError, LookupError, TypeError, RecursionError) as error:
                told = f"no outcome of an item ({error!r})"
                raise InputError(path, f"line {number:,}", told, ITEMS_WANTED) from None
    return found


def cleaned(
    scores: Sequence[Mapping[str, Any]], overlaps: Iterable[ItemOverlap]
) -> list[dict[str, Any]]:
    """Each metric over all scored items, and over those of which no 8-gram stands in the corpus.

    A window of a document ("3:1025") counts as its document. Items that were scored and not looked
    for are left out of both.
    """
    from train.evaluate.suite import chosen

    found = {(one.task, one.id): one.found for one in overlaps}

    def hits(one: Mapping[str, Any]) -> int | None:
        task, id = one["task"], one["id"]
        return found.get((task, id), found.get((task, id.rpartition(":")[0])))

    known = [one for one in scores if hits(one) is not None]
    rows = []
    for task in chosen(",".join(dict.fromkeys(one["task"] for one in known))) if known else ():
        own = [one for one in known if one["task"] == task.name]
        clean = [one for one in own if not hits(one)]
        for metric in task.metrics:
            try:
                whole, rest = metric.estimate(own), metric.estimate(clean) if clean else None
            except (LookupError, TypeError, ValueError) as error:
                told = f"{metric.name} cannot be told of these outcomes ({error!r})"
                raise InputError("--scores", task.name, told, ITEMS_WANTED) from None
            rows.append(
                {
                    "task": task.name, "metric": metric.name, "kind": metric.kind,
                    "items": len(own), "value": whole.value, "clean_items": len(clean),
                    "clean_value": rest.value if rest else None,
                    "standard_error": rest.standard_error if rest else None,
                }
            )  # fmt: skip
    return rows


def show(sets: Sequence[SetOverlap], met: int, scores: Sequence[Mapping[str, Any]]) -> None:
    """Print both tables."""
    console = console_for_tables()
    table = Table("test set")
    for name in ("items", "8-grams", "in the corpus", "per cent", "items with any"):
        table.add_column(name, justify="right")
    for one in sets:
        share = "-" if one.share is None else f"{100 * one.share:.2f}"
        counts = (one.items, one.grams, one.found)
        table.add_row(one.task, *map("{:,}".format, counts), share, f"{one.items_with_any:,}")
    console.print(table)
    console.print(f"{met:,} 8-grams of the corpus went by")
    for one in sets:
        if one.items_without_grams:
            console.print(
                f"{one.task}: of {one.items:,} items {one.items_without_grams:,} with fewer than "
                "eight words, which have no 8-gram"
            )
    if scores:
        console.print(_scores_table(scores))


def _scores_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from train.evaluate.table import shown

    table = Table("test set", "metric")
    for name in ("all", "of items", "without overlap", "of items", "error", "difference"):
        table.add_column(name, justify="right")
    for row in rows:
        kind, clean = row["kind"], row["clean_value"]
        table.add_row(
            row["task"], row["metric"], shown(kind, row["value"]), f"{row['items']:,}",
            shown(kind, clean), f"{row['clean_items']:,}", shown(kind, row["standard_error"]),
            shown(kind, None if clean is None else clean - row["value"], "+"),
        )  # fmt: skip
    return table


def counted(texts: Iterable[str], heartbeat: Any) -> Iterator[str]:
    """The texts as they come, with a word on how many there were."""
    for number, text in enumerate(texts, 1):
        if number % 1000 == 0:
            heartbeat(f"{number:,} texts of the corpus read")
        yield text
