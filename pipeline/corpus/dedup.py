"""Texts to decisions, without a build: the rules of the `corpus` stage on anyone's files."""

import json
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.characters import without_ignorable
from pipeline.corpus.asking import Heartbeat
from pipeline.corpus.decide import LIKENESS, decide
from pipeline.corpus.exact import ENTRY, drop_copies, text_hash
from pipeline.corpus.kept import KeptRows, write_kept
from pipeline.corpus.loss import Loss
from pipeline.corpus.quality import Limit, judge_quality, limits_of
from pipeline.corpus.results import Decision, write_decisions, write_signatures
from pipeline.corpus.sketches import SketchWriter
from pipeline.documents.quality import measure
from pipeline.errors import InputError
from pipeline.inputs import input_names
from pipeline.reasons import Drop, Reason
from pipeline.row_files import put_in_place
from pipeline.scratch import scratch_in
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
    """The counts, drops by reason, what was odd, and the messages of quality gates that failed."""

    counts: Counts
    loss: Loss
    drops: Counter[str]
    said: list[str]
    gates: list[str]


class Results(NamedTuple):
    """The files to write. Decisions are JSON lines, packed as the name ends, or .parquet.

    `kept` gets the kept rows with all that they hold, in the same forms; `signatures` is Parquet.
    """

    decisions: Path
    kept: Path | None = None
    signatures: Path | None = None


def dedup(
    sources: Sequence[Path],
    out: Results,
    rules: CorpusSettings,
    heartbeat: Heartbeat,
    *,
    texts: TextsSettings = TextsSettings(),
    text_chars_max: int = DocumentsSettings.text_chars_max,
) -> Decided:
    """Decide for each row of the `sources`, and write a decision each, in their order.

    A decision is {"id", "keep", "keeper", "jaccard", "containment", "coverage", "others",
    "reason"}; all but the first two are null for a kept text, all but the reason for a row that is
    dropped by itself: it has no text, one of more than `text_chars_max`, the limit of a page's
    text, or one that breaks a limit of `rules.quality` (its numbers take 1 ms a text). The coverage
    is that by the keeper and the others; null where texts are compared one by one.

    The best of several copies is kept: most karma, then longest, then smallest id; or the longest
    first; one that repeats itself last. A text without a word is a copy only of one that is the
    same. Texts are not held in memory: temporary files
    beside the decisions take about 1.3 times the text's size. Raises InputError as `read_texts`
    does, for an id that stands twice, and as `write_kept` does.
    """
    odd, rows = Odd(), _Rows()
    judge = partial(_judged, limits_of(rules.quality), text_chars_max)
    with scratch_in(out.decisions.absolute().parent) as folder:
        sketches = folder / "sketches.arrow"
        entries = []
        with SketchWriter(sketches) as writer:
            for path in _in_order(sources, rows):
                found = read_texts(path, rows.files[-1].name, texts, odd)
                for batch in _batches(map(judge, found), rows):
                    entries.append(_entries(path, batch, writer))
                    heartbeat(f"{len(rows.ids):,} texts read")
        _refuse_twins(rows)
        decisions, loss = decide(_best_of_each(entries), [sketches], rules, folder, heartbeat)
        heartbeat(f"writing {out.decisions}")
        kept = write_decisions(out.decisions, _lines(decisions, rows), rows.id_type)
        if out.signatures:
            write_signatures(out.signatures, sketches, rows.texts(), rows.id_type)
    if out.kept:
        heartbeat(f"writing {out.kept}")
        with put_in_place(out.kept) as aside:
            write_kept(aside, out.kept, rows.kept(kept), texts)
    gates = rows.gates()
    said = told(odd) + ([] if gates else rows.first_drop())
    return Decided(_count(decisions, len(rows.dropped)), loss, rows.drops(), said, gates)


def _best_of_each(entries: list[pa.Table]) -> pa.Table:
    """One table, in which exact copies name theirs; the list is emptied, for the memory."""
    table = pa.concat_tables(entries or [ENTRY.empty_table()])
    entries.clear()
    return drop_copies(table, ["text_hash"], Reason.EXACT_COPY)


@dataclass
class _File:
    """What is known of one input file."""

    path: Path
    name: str
    start: int  # the index of its first row
    unit: str = ""  # what is numbered: "line", "row"
    first: str = ""  # the first drop's place, and what is known of it


@dataclass
class _Rows:
    """What is kept in memory of all rows: id, number in the file, and why some are dropped."""

    ids: list[str | int] = field(default_factory=list)
    numbers: "array[int]" = field(default_factory=partial(array, "q"))
    dropped: dict[int, Reason] = field(default_factory=dict)  # by the row's index
    files: list[_File] = field(default_factory=list)

    @property
    def id_type(self) -> pa.DataType:
        """Of a column of ids: whole numbers where all are such."""
        fit = all(isinstance(id, int) and -(2**63) <= id < 2**63 for id in self.ids)
        return pa.int64() if fit and self.ids else pa.string()

    def texts(self) -> Iterator[str | int]:
        """The ids of the rows that hold a text."""
        return (id for at, id in enumerate(self.ids) if at not in self.dropped)

    def place(self, at: int) -> tuple[_File, str]:
        """The file of a row, by its index, and its place there."""
        file = self.files[bisect_right(self.files, at, key=lambda each: each.start) - 1]
        return file, f"{file.unit} {self.numbers[at]}"

    def kept(self, keep: "array[int]") -> list[KeptRows]:
        """The kept rows of each file; `keep` has a 1 for each row that is."""
        numbers, chosen = np.array(self.numbers), np.array(keep, bool)
        ends = [*(file.start for file in self.files[1:]), len(numbers)]
        return [
            KeptRows(file.path, file.name, numbers[file.start : end][chosen[file.start : end]])
            for file, end in zip(self.files, ends, strict=True)
        ]

    def drops(self) -> Counter[str]:
        """How many rows are dropped, by reason."""
        return Counter(reason.value for reason in self.dropped.values())

    def first_drop(self) -> list[str]:
        """A sentence that tells of the first row that is dropped, if there is one."""
        first = next((file for file in self.files if file.first), None)
        return [f"{first.name}: the first row that is dropped: {first.first}"] if first else []

    def gates(self) -> list[str]:
        """A message for each file of which most rows were dropped."""
        drops: dict[int, Counter[str]] = {file.start: Counter() for file in self.files}
        ends = [*(file.start for file in self.files[1:]), len(self.ids)]
        for at, reason in self.dropped.items():
            drops[self.place(at)[0].start][reason.value] += 1
        found = (
            fallen(file.name, end - file.start, drops[file.start], file.first)
            for file, end in zip(self.files, ends, strict=True)
        )
        return [message for message in found if message]


def _in_order(sources: Sequence[Path], rows: _Rows) -> Iterator[Path]:
    """The files, each booked when its turn comes; one that is named twice comes once."""
    names = {path.resolve(): name for name, path in input_names(sources).items()}
    for path in sources:
        if name := names.pop(path.resolve(), None):
            rows.files.append(_File(path, name, len(rows.ids)))
            yield path


def _judged(limits: list[Limit], chars_max: int, found: Found) -> Found:
    """The row, or why its text is dropped by itself."""
    row = found.row
    if not isinstance(row, Row):
        return found
    if len(row.text) > chars_max:
        detail = f"{len(row.text):,} characters; documents.text_chars_max is {chars_max:,}"
        return found._replace(row=Drop(Reason.TOO_LONG, detail))
    bad = judge_quality(measure(row.text), limits) if limits else None
    return found._replace(row=bad) if bad else found


def _batches(found: Iterator[Found], rows: _Rows) -> Iterator[list[Found]]:
    """The rows that hold a text, some at a time; all are booked in `rows`."""
    batch: list[Found] = []
    chars, file = 0, rows.files[-1]
    for each in found:
        row = each.row
        if isinstance(row, Drop):
            about = row.detail or row.reason.sentence
            file.first = file.first or f"{each.place}, {about}"
            rows.dropped[len(rows.ids)] = row.reason
        else:
            batch.append(each)
            chars += len(row.text)
        rows.ids.append(each.id)
        file.unit, number = each.place.split()
        rows.numbers.append(int(number))
        if len(batch) == BATCH_ROWS or chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def _entries(source: Path, texts: list[Found], writer: SketchWriter) -> pa.Table:
    ids = [str(text.id) for text in texts]
    rows = [text.row for text in texts if isinstance(text.row, Row)]
    counted = writer.write(ids, [row.text for row in rows])
    n = len(texts)
    columns = {
        "id": ids,
        "karma": [
            _karma(source, text.place, row.karma) for text, row in zip(texts, rows, strict=True)
        ],
        "text_chars": [len(without_ignorable(row.text)) for row in rows],
        "repetitive": counted.repetitive,
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


def _refuse_twins(rows: _Rows) -> None:
    ids = pa.array(map(str, rows.ids), pa.large_string())
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    first: dict[str, int] = {}
    for at, id in enumerate(map(str, rows.ids)):
        if id in first:
            file, place = rows.place(at)
            other, other_place = rows.place(first[id])
            where = other_place if file is other else f"{other.name}, {other_place}"
            raise InputError(
                file.path,
                place,
                f"its id {id[:80]!r} is that of {where} too",
                "Give each text an id of its own, or name all by file and line: --ids place",
            )
        first[id] = at


def _lines(decisions: pa.Table, rows: _Rows) -> Iterator[Decision]:
    """A decision for each row, in the order of the rows."""
    order = [str(id) for id in rows.texts()]
    places = pc.index_in(pa.array(order, pa.string()), value_set=decisions["id"].combine_chunks())
    given = np.empty(len(order), np.int64)  # from a decision's row to its text's place
    given[places.to_numpy(zero_copy_only=False)] = [
        at for at in range(len(rows.ids)) if at not in rows.dropped
    ]
    keepers = pc.index_in(decisions["keeper"], value_set=decisions["id"].combine_chunks())
    columns = (keepers, *(decisions[name] for name in (*LIKENESS, "others", "reason")))
    decided = _tuples(columns, places)
    ids = decisions["id"].combine_chunks()
    for at, id in enumerate(rows.ids):
        if reason := rows.dropped.get(at):
            yield Decision(id, keep=False, reason=reason.value)
            continue
        keeper, jaccard, containment, coverage, others, why = next(decided)
        if keeper is None:
            yield Decision(id, keep=True)
            continue
        named = [rows.ids[given[row]] for row in _rows_of(others, ids)] if others else None
        kept = rows.ids[given[keeper]]
        yield Decision(id, False, kept, jaccard, containment, coverage, named, why)


def _tuples(columns: Sequence[pa.ChunkedArray], rows: pa.Array) -> Iterator[tuple[Any, ...]]:
    """The columns' values in these rows, some at a time."""
    for low in range(0, len(rows), BATCH_ROWS):
        chosen = rows[low : low + BATCH_ROWS]
        yield from zip(*(column.take(chosen).to_pylist() for column in columns), strict=True)


def _rows_of(names: list[str], ids: pa.Array) -> list[int]:
    rows: list[int] = pc.index_in(pa.array(names, pa.string()), ids).to_pylist()
    return rows


def _count(decisions: pa.Table, dropped: int) -> Counts:
    reasons = decisions["reason"]
    exact, near = (
        pc.sum(pc.equal(reasons, reason.value)).as_py() or 0
        for reason in (Reason.EXACT_COPY, Reason.NEAR_COPY)
    )
    kept = len(reasons) - exact - near
    return Counts(len(reasons) + dropped, kept, exact, near, dropped)
