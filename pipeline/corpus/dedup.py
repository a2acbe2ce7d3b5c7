"""Texts to decisions, without a build: the rules of the `corpus` stage on anyone's file."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpus.decide import decide
from pipeline.corpus.exact import ENTRY, drop_copies, text_hash
from pipeline.corpus.near import Beat
from pipeline.corpus.sketches import SketchWriter
from pipeline.errors import InputError
from pipeline.reasons import Reason
from pipeline.records import Drop
from pipeline.rows import read_rows
from pipeline.settings import CorpusSettings

BATCH_ROWS = 512
MEND = 'Each row needs "id" (text or number) and "text"; "karma" (a whole number) is optional.'


class Text(msgspec.Struct):
    """One text. `karma` says which of two copies is better; a missing one counts as 0."""

    id: str | int
    text: str
    karma: int | None = None


class Counts(NamedTuple):
    """What became of the texts: texts = kept + exact_copies + near_copies."""

    texts: int
    kept: int
    exact_copies: int
    near_copies: int


def dedup(source: Path, out: Path, rules: CorpusSettings, beat: Beat) -> Counts:
    """Decide for each text of `source` and write a JSON line each, in its order, to `out`.

    A line is {"id", "keep", "keeper", "jaccard"}; keeper and jaccard are null for a kept text. The
    best of several copies is kept: most karma, then longest, then smallest id. A text without a
    word is a copy only of one that is the same. Texts are not held in memory: temporary files
    beside `out` take about 1.3 times the text's size. Raises InputError as `read_texts` does, and
    for an id that stands twice.
    """
    with TemporaryDirectory(dir=out.absolute().parent, prefix=".dedup-") as folder:
        sketches = Path(folder) / "sketches.arrow"
        ids: list[str | int] = []
        entries = []
        rows = read_texts(source)
        with SketchWriter(sketches) as writer:
            while texts := list(islice(rows, BATCH_ROWS)):
                entries.append(_entries(texts, writer))
                ids += [text.id for text in texts]
                beat(f"{len(ids)} texts read")
        table = pa.concat_tables(entries or [ENTRY.empty_table()]).combine_chunks()
        _refuse_twins(source, table["id"])
        order = [str(id) for id in ids]
        table = drop_copies(table, ["text_hash"], Reason.EXACT_COPY)
        decisions = decide(table, [sketches], rules, Path(folder), beat)
        aside = Path(folder) / "decisions.jsonl"
        with aside.open("wb") as file:
            for line in _lines(decisions, order, ids):
                file.write(msgspec.json.encode(line) + b"\n")
        os.replace(aside, out)  # noqa: PTH105 (over an earlier result, on every system)
    return _count(decisions)


def read_texts(source: Path) -> Iterator[Text]:
    """The texts of a file, in its order.

    Every text is owed a decision, so a row that is none is an InputError, as is a damaged file.
    """
    for place, row in read_rows(source, Text):
        if isinstance(row, Drop):
            raise InputError(source, place, f"not a text ({row.detail})", MEND)
        yield row


def _entries(texts: list[Text], writer: SketchWriter) -> pa.Table:
    ids = [str(text.id) for text in texts]
    writer.write(ids, [text.text for text in texts])
    n = len(texts)
    columns = {
        "id": ids,
        "karma": [text.karma or 0 for text in texts],
        "text_chars": [len(text.text) for text in texts],
        "shadow": [False] * n,
        "text_hash": [text_hash(text.text) for text in texts],
        "reason": [""] * n,
        "detail": [""] * n,
        "keeper": [""] * n,
    }
    return pa.table(columns, schema=ENTRY)


def _refuse_twins(source: Path, ids: pa.ChunkedArray) -> None:
    if pc.count_distinct(ids).as_py() == len(ids):
        return
    counts = pc.value_counts(ids)
    twins = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    raise InputError(
        source,
        "",
        f"{len(twins)} ids occur more than once, {min(twins)!r} among them",
        "Give each text an id of its own.",
    )


def _lines(decisions: pa.Table, order: list[str], ids: list[str | int]) -> Iterator[dict[str, Any]]:
    rows = pc.index_in(pa.array(order, pa.string()), value_set=decisions["id"].combine_chunks())
    given = np.empty(len(ids), np.int64)  # from a decision's row to its text's place
    given[rows.to_numpy(zero_copy_only=False)] = np.arange(len(ids))
    keepers = pc.index_in(decisions["keeper"], value_set=decisions["id"].combine_chunks())
    columns = zip(
        keepers.take(rows).to_pylist(), decisions["jaccard"].take(rows).to_pylist(), strict=True
    )
    for id, (keeper, jaccard) in zip(ids, columns, strict=True):
        named = None if keeper is None else ids[given[keeper]]
        yield {"id": id, "keep": keeper is None, "keeper": named, "jaccard": jaccard}


def _count(decisions: pa.Table) -> Counts:
    reasons = decisions["reason"]
    exact, near = (
        pc.sum(pc.equal(reasons, reason.value)).as_py() or 0
        for reason in (Reason.EXACT_COPY, Reason.NEAR_COPY)
    )
    return Counts(len(reasons), len(reasons) - exact - near, exact, near)
