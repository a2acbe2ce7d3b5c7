"""Texts to decisions, without a build: the rules of the `corpus` stage on anyone's file."""

import json
import os
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.characters import without_ignorable
from pipeline.corpus.decide import decide
from pipeline.corpus.exact import ENTRY, drop_copies, text_hash
from pipeline.corpus.near import Beat
from pipeline.corpus.sketches import SketchWriter
from pipeline.errors import InputError, printable
from pipeline.reasons import Drop, Reason
from pipeline.settings import CorpusSettings, DocumentsSettings, TextsSettings
from pipeline.texts import Found, Odd, Row, fallen, read_texts, told, whole_number

BATCH_ROWS = 512
BATCH_CHARS = 4 << 20  # sketches of so many characters take some 100 MB


class Counts(NamedTuple):
    """What became of the texts: texts = kept + exact_copies + near_copies + dropped."""

    texts: int
    kept: int
    exact_copies: int
    near_copies: int
    dropped: int = 0


class Decided(NamedTuple):
    """The counts, what was odd in the file, and the messages of quality gates that failed."""

    counts: Counts
    said: list[str]
    gates: list[str]


def dedup(
    source: Path,
    out: Path,
    rules: CorpusSettings,
    beat: Beat,
    *,
    ids: Literal["given", "place"] = TextsSettings.ids,
    text_chars_max: int = DocumentsSettings.text_chars_max,
) -> Decided:
    """Decide for each row of `source` and write a JSON line each, in its order, to `out`.

    A line is {"id", "keep", "keeper", "jaccard", "reason"}; the last three are null for a kept
    text, keeper and jaccard for a row that is dropped by itself: it has no text, or one of more
    than `text_chars_max`, the limit of a page's text. `ids` is as in `read_texts`.

    The best of several copies is kept: most karma, then longest, then smallest id. A text without a
    word is a copy only of one that is the same. Texts are not held in memory: temporary files
    beside `out` take about 1.3 times the text's size. Raises InputError as `read_texts` does, and
    for an id that stands twice.
    """
    name, odd = printable(source.name), Odd()
    with TemporaryDirectory(dir=out.absolute().parent, prefix=".dedup-") as folder:
        sketches = Path(folder) / "sketches.arrow"
        rows = _Rows()
        entries = []
        with SketchWriter(sketches) as writer:
            found = read_texts(source, name, ids, odd)
            for texts in _batches(found, rows, text_chars_max):
                entries.append(_entries(source, texts, writer))
                beat(f"{len(rows.ids)} texts read")
        _refuse_twins(source, rows)
        table = pa.concat_tables(entries or [ENTRY.empty_table()]).combine_chunks()
        table = drop_copies(table, ["text_hash"], Reason.EXACT_COPY)
        decisions = decide(table, [sketches], rules, Path(folder), beat)
        aside = Path(folder) / "decisions.jsonl"
        with aside.open("wb") as file:
            for line in _lines(decisions, rows):
                file.write(msgspec.json.encode(line) + b"\n")
        os.replace(aside, out)  # noqa: PTH105 (over an earlier result, on every system)
    gate = fallen(name, len(rows.ids), Counter(rows.dropped.values()), rows.first)
    return Decided(_count(decisions, len(rows.dropped)), told(odd), [gate] if gate else [])


@dataclass
class _Rows:
    """What is kept in memory of all rows: id, number in the file, and why some are dropped."""

    ids: list[str | int] = field(default_factory=list)
    numbers: "array[int]" = field(default_factory=partial(array, "q"))
    dropped: dict[int, Reason] = field(default_factory=dict)  # by the row's index
    first: str = ""  # the first drop's place, and what is known of it
    unit: str = ""  # what is numbered: "line", "row"


def _batches(found: Iterator[Found], rows: _Rows, chars_max: int) -> Iterator[list[Found]]:
    """The rows that hold a text, some at a time; all are booked in `rows`."""
    batch: list[Found] = []
    chars = 0
    for each in found:
        row = each.row
        if isinstance(row, Row) and len(row.text) > chars_max:
            detail = f"{len(row.text):,} characters; documents.text_chars_max is {chars_max:,}"
            row = Drop(Reason.TOO_LONG, detail)
        if isinstance(row, Drop):
            rows.first = rows.first or f"{each.place}, {row.detail}"
            rows.dropped[len(rows.ids)] = row.reason
        else:
            batch.append(each)
            chars += len(row.text)
        rows.ids.append(each.id)
        rows.unit, number = each.place.split()
        rows.numbers.append(int(number))
        if len(batch) == BATCH_ROWS or chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _entries(source: Path, texts: list[Found], writer: SketchWriter) -> pa.Table:
    ids = [str(text.id) for text in texts]
    rows = [text.row for text in texts if isinstance(text.row, Row)]
    writer.write(ids, [row.text for row in rows])
    n = len(texts)
    columns = {
        "id": ids,
        "karma": [
            _karma(source, text.place, row.karma) for text, row in zip(texts, rows, strict=True)
        ],
        "text_chars": [len(without_ignorable(row.text)) for row in rows],
        "shadow": [False] * n,
        "text_hash": [text_hash(row.text) for row in rows],
        "reason": [""] * n,
        "detail": [""] * n,
        "keeper": [""] * n,
    }
    return pa.table(columns, schema=ENTRY)


def _karma(source: Path, place: str, given: Any) -> int:
    """How good a copy is; a missing karma is 0. InputError for one that is no whole number."""
    karma = whole_number(given)
    if karma is None:
        shown = json.dumps(given, default=str)[:80]
        problem = f"its karma is {shown}, and must be a whole number below 2^63"
        raise InputError(source, place, problem, "Mend it, or leave karma out.")
    return karma


def _refuse_twins(source: Path, rows: _Rows) -> None:
    ids = pa.array(map(str, rows.ids), pa.large_string())
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    first: dict[str, int] = {}
    for id, number in zip(map(str, rows.ids), rows.numbers, strict=True):
        if id in first:
            raise InputError(
                source,
                f"{rows.unit} {number}",
                f"its id {id[:80]!r} is that of {rows.unit} {first[id]} too",
                "Give each text an id of its own, or name all by file and line: --ids place",
            )
        first[id] = number


def _lines(decisions: pa.Table, rows: _Rows) -> Iterator[dict[str, Any]]:
    """A line for each row, in the file's order."""
    order = [str(id) for at, id in enumerate(rows.ids) if at not in rows.dropped]
    places = pc.index_in(pa.array(order, pa.string()), value_set=decisions["id"].combine_chunks())
    given = np.empty(len(order), np.int64)  # from a decision's row to its text's place
    given[places.to_numpy(zero_copy_only=False)] = [
        at for at in range(len(rows.ids)) if at not in rows.dropped
    ]
    keepers = pc.index_in(decisions["keeper"], value_set=decisions["id"].combine_chunks())
    columns = (keepers, decisions["jaccard"], decisions["reason"])
    decided = zip(*(column.take(places).to_pylist() for column in columns), strict=True)
    for at, id in enumerate(rows.ids):
        if reason := rows.dropped.get(at):
            yield _line(id, None, None, reason.value, keep=False)
            continue
        keeper, jaccard, why = next(decided)
        named = None if keeper is None else rows.ids[given[keeper]]
        yield _line(id, named, jaccard, why or None, keep=keeper is None)


def _line(
    id: str | int,
    keeper: str | int | None,
    jaccard: float | None,
    reason: str | None,
    *,
    keep: bool,
) -> dict[str, Any]:
    return {"id": id, "keep": keep, "keeper": keeper, "jaccard": jaccard, "reason": reason}


def _count(decisions: pa.Table, dropped: int) -> Counts:
    reasons = decisions["reason"]
    exact, near = (
        pc.sum(pc.equal(reasons, reason.value)).as_py() or 0
        for reason in (Reason.EXACT_COPY, Reason.NEAR_COPY)
    )
    kept = len(reasons) - exact - near
    return Counts(len(reasons) + dropped, kept, exact, near, dropped)
