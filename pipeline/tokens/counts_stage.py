"""Steps that count a corpus's pre-tokens, of the stage `tokenizer`, or as the stage `counts`.

    sizes   corpus -> text bytes by order    only where the sample may be smaller than the corpus
    count   corpus, sizes -> counts          of each part, kept: another month adds parts
    sum     count -> counts                  one row for each pre-token, rare ones are pruned; kept

Parts of `count` lie in ranges by hash, as for an exchange. `sum` plans its own buckets, so that
each has about ROWS_HELD rows: of a small corpus there is one.
"""

import json
import sys
from collections import Counter as Sums
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.digest import digest_of
from pipeline.engine.parts import TABLE
from pipeline.engine.ranges import Bucket, MapPart
from pipeline.engine.stage import (
    AnyStep,
    Exchange,
    Output,
    Part,
    PartWriter,
    Stage,
    Step,
    Upstream,
)
from pipeline.reasons import Reason
from pipeline.rows import BATCH_ROWS
from pipeline.settings import TokenizerSettings
from pipeline.tokens.counts import (
    COUNTED,
    PATTERN,
    ROWS_HELD,
    VERSION,
    Counter,
    first_bytes,
)
from pipeline.tokens.pretokens import BYTES_MAX, batches
from pipeline.tokens.split import SplitRules, order_of, pieces
from pipeline.tokens.texts import TEXT, Text

UNIT = "pretokens"
COUNTS_FILE = "counts.json"
PART_BYTES = 64 << 20  # of text become one part: some 4 s
BUCKETS_MAX = 1 << 16
CORPUS = Upstream("corpus")
OF_COUNT = ("documents", "text_bytes", "cut_documents", "cut_pretokens")
OF_SUM = ("pretokens", "occurrences", "pruned_pretokens", "pruned_occurrences")
TOTALS = (*OF_COUNT, *OF_SUM)  # notes that are added up
SIZE = pa.schema([("group", pa.int64()), ("text_bytes", pa.int64())])


def counting(rules: TokenizerSettings, split: SplitRules) -> tuple[AnyStep, AnyStep, AnyStep]:
    """The steps `sizes`, `count` and `sum`; their input is `corpus`."""
    sizes = Step(
        name="sizes",
        version=1,
        settings=split,
        inputs=(CORPUS,),
        feeds=(),
        plan=partial(_plan_sizes, rules.sample_bytes_max),
        work=_Sizes(split),
        schema=SIZE,
    )
    count = Step(
        name="count",
        version=VERSION,
        settings={"split": asdict(split), "document_bytes_max": rules.document_bytes_max},
        inputs=(CORPUS, sizes),
        feeds=(),
        plan=partial(_plan_count, rules.sample_bytes_max),
        work=_Count(split, rules.document_bytes_max),
        schema=COUNTED,
        exchange=Exchange("pretoken"),
        keep=True,
    )
    summed = Step(
        name="sum",
        version=1,
        settings={"min_count": rules.min_count},
        inputs=(count,),
        plan=_plan_sum,
        work=_Sum(rules.min_count),
        schema=COUNTED,
        keep=True,
        sampled_drops=True,
    )
    return sizes, count, summed


def counts_stage(rules: TokenizerSettings, split: SplitRules) -> Stage:
    """Counts by themselves; the input is `corpus`."""

    def finish(*outputs: Output) -> dict[str, bytes]:
        about = {
            "pattern": PATTERN,
            "version": VERSION,
            "pretoken_bytes_max": BYTES_MAX,
            "document_bytes_max": rules.document_bytes_max,
            "min_count": rules.min_count,
            **asdict(split),
            **totals(outputs[1], outputs[2]),
        }
        return {COUNTS_FILE: (json.dumps(about, indent=1) + "\n").encode()}

    return Stage("counts", UNIT, counting(rules, split), finish=finish, empty_is_fine=True)


@dataclass(frozen=True)
class Range:
    """Row groups [first, last) of a table of the corpus."""

    table: str
    first: int
    last: int

    def documents(self, out: PartWriter) -> Iterator[Text]:
        """The columns of TEXT; each tells that the part is alive."""
        groups = list(range(self.first, self.last))
        for batch in out.store.batches(self.table, BATCH_ROWS, TEXT.names, row_groups=groups):
            for row in batch.to_pylist():
                out.heartbeat(row["id"])
                yield Text(**{name: row[name] or "" for name in TEXT.names})


def ranges_of(corpus: Output, bytes_max: int) -> list[Part[Range]]:
    """Parts of about `bytes_max` of rows: a range of a corpus part's row groups."""
    parts: list[Part[Range]] = []
    for part in corpus.parts:
        ranges = list(row_group_ranges(part.row_groups, bytes_max))
        for first, last in ranges:
            # The digest of rows knows no order; a range of them is known by the file's checksum.
            digest = part.digest
            if len(ranges) > 1:
                digest = digest_of([part.files[TABLE].xxh3_128, first, last])
            source = Range(part.table, first, last)
            parts.append(Part(len(parts), f"{part.label} from row group {first}", digest, source))
    return parts


def row_group_ranges(groups: Sequence[Sequence[int]], bytes_max: int) -> Iterator[tuple[int, int]]:
    """[first, last) of neighbouring row groups; one range, perhaps empty, for an empty file."""
    first, gathered = 0, 0
    for number, (_, size) in enumerate(groups):
        if gathered and gathered + size > bytes_max:
            yield first, number
            first, gathered = number, 0
        gathered += size
    yield first, len(groups)


def _plan_sizes(sample_bytes_max: int, corpus: Output) -> list[Part[Range]]:
    """No part where all of the corpus is no more than the sample may be."""
    rows_bytes = sum(size for part in corpus.parts for _, size in part.row_groups)
    if not sample_bytes_max or rows_bytes <= sample_bytes_max:
        return []
    return ranges_of(corpus, PART_BYTES)


@dataclass(frozen=True)
class _Sizes:
    """Documents to the bytes of text to train on, by groups of the order."""

    split: SplitRules

    def __call__(self, part: Part[Range], out: PartWriter) -> None:
        sizes: Sums[int] = Sums()
        for document in part.source.documents(out):
            for piece in pieces(document.id, document.host, document.text, self.split):
                if piece.split == "train":
                    size = len(piece.text.encode(errors="replace"))
                    sizes[order_group(order_of(piece.id, self.split))] += size
        rows = [{"group": group, "text_bytes": sizes[group]} for group in sorted(sizes)]
        out.write_rows(rows)
        out.note("sizes", [list(row.values()) for row in rows])


def order_group(order: int) -> int:
    """Groups of neighbouring orders, the later the wider: each 1/32 to 1/16 of its place."""
    bits = max(0, order.bit_length() - 5)
    return bits << 5 | order >> bits


def last_of_group(group: int) -> int:
    """The last order of a group."""
    bits = group >> 5
    return ((group & 31) + 1 << bits) - 1


def _limit(sample_bytes_max: int, sizes: Output) -> int:
    """The last order of the first groups that have so many bytes together."""
    total: Sums[int] = Sums()
    for part in sizes.parts:
        total.update(dict(part.notes["sizes"]))
    reached = 0
    for group in sorted(total):
        reached += total[group]
        if reached >= sample_bytes_max:
            return last_of_group(group)
    return 2**63 - 1


@dataclass(frozen=True)
class ToCount:
    """Documents to the order `limit`."""

    texts: Range
    limit: int


def _plan_count(sample_bytes_max: int, corpus: Output, sizes: Output) -> list[Part[ToCount]]:
    limit = _limit(sample_bytes_max, sizes) if sizes.parts else 2**63 - 1
    return [
        Part(part.number, part.label, digest_of([part.digest, limit]), ToCount(part.source, limit))
        for part in ranges_of(corpus, PART_BYTES)
    ]


@dataclass(frozen=True)
class _Count:
    """Documents to the counts of their pre-tokens."""

    split: SplitRules
    document_bytes_max: int

    def __call__(self, part: Part[ToCount], out: PartWriter) -> None:
        counter = Counter()
        seen: Sums[str] = Sums()
        for texts in batches(self._texts(part.source, out, seen)):
            counter.add_texts(texts)
        table = counter.table()
        out.write(table)
        merged = counter.occurrences - table.num_rows
        out.book(UNIT, rows_in=counter.occurrences, rows_out=table.num_rows, merged=merged)
        for name in OF_COUNT[:3]:
            out.note(name, seen[name])
        out.note("cut_pretokens", counter.cut)

    def _texts(self, source: ToCount, out: PartWriter, seen: Sums[str]) -> Iterator[str]:
        """The text to train on of each document, as much as may be counted of it."""
        for document in source.texts.documents(out):
            left = self.document_bytes_max or sys.maxsize
            for piece in pieces(document.id, document.host, document.text, self.split):
                if piece.split != "train" or order_of(piece.id, self.split) > source.limit:
                    continue
                if text := first_bytes(piece.text, left):
                    size = len(text.encode(errors="replace"))
                    seen["documents"] += 1
                    seen["text_bytes"] += size
                    left -= size
                    yield text
                if len(text) < len(piece.text):
                    seen["cut_documents"] += 1
                    break


@dataclass(frozen=True)
class ToSum:
    """A bucket of the counts of all parts."""

    number: int
    buckets: int
    map_parts: list[MapPart]


def _plan_sum(count: Output) -> list[Part[ToSum]]:
    map_parts = [part.map_part for part in count.parts if part.rows]
    rows = sum(part.rows for part in map_parts)
    buckets = 1
    while buckets * ROWS_HELD < rows and buckets < BUCKETS_MAX:
        buckets *= 2
    return [
        Part(
            number,
            f"bucket {number}",
            digest_of([count.digest, number, buckets]),
            ToSum(number, buckets, map_parts),
        )
        for number in range(buckets)
    ]


@dataclass(frozen=True)
class _Sum:
    """Counts of parts to counts of all, without what is rare."""

    min_count: int

    def __call__(self, part: Part[ToSum], out: PartWriter) -> None:
        source = part.source
        bucket = Bucket(source.number, source.buckets, "pretoken", {"count": COUNTED})
        counter, rows_in = Counter(), 0
        for _, batch in bucket.read(out.store, {"count": source.map_parts}):
            out.heartbeat()
            rows_in += batch.num_rows
            counter.add(pa.Table.from_batches([batch]))
        table = counter.table()
        frequent = pc.greater_equal(table["count"], self.min_count)
        kept, rare = table.filter(frequent), table.filter(pc.invert(frequent))
        out.write(kept)
        merged = rows_in - table.num_rows
        out.book(UNIT, rows_in=rows_in, rows_out=kept.num_rows, merged=merged)
        if rare.num_rows:
            detail = f"{rare.num_rows:,} pre-tokens, such as {rare['pretoken'][0].as_py()[:40]!r}"
            out.drop(UNIT, Reason.PRETOKEN_RARE, detail=detail, count=rare.num_rows)
        out.note("pretokens", kept.num_rows)
        out.note("occurrences", pc.sum(kept["count"]).as_py() or 0)
        out.note("pruned_pretokens", rare.num_rows)
        out.note("pruned_occurrences", pc.sum(rare["count"]).as_py() or 0)


def totals(count: Output, summed: Output) -> dict[str, int]:
    """The notes of both steps, added up."""
    notes = [part.notes for part in (*count.parts, *summed.parts)]
    return {name: sum(note.get(name, 0) for note in notes) for name in TOTALS}
