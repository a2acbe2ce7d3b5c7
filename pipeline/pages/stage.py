"""The stage `pages`: every kept link gets one outcome, every WARC record too.

    index      WARC -> captures                    kept: a changed rule reads no WARC again
    named      captures -> by record id            only what a revisit names by that alone
    refers     revisits and captures, by id        such revisits with the URL that they repeat
    wanted     links -> open walks
    follow_0   walks and captures, by key          the link's own URL
    follow_1 … walks and captures, by key          one redirect each, up to hops_max; with its page
                                                   a walk goes to the host's robots.txt, and ends
    records    captures and visits, by key         what became of each record
    pages      walks that ended -> PAGE            one row for each kept link

Links are booked once when they set out and once when they end, so a walk that was lost or doubled
on its way is noticed. A record that is `used` was one that a link's outcome rests on: its page,
a redirect or revisit on the way, the host's robots.txt, or the answer that was an error.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.bucket_file import InputFile
from pipeline.engine.digest import digest_of
from pipeline.engine.stage import (
    AnyStep,
    Exchange,
    Output,
    Part,
    PartWriter,
    Record,
    ReduceStep,
    Stage,
    Step,
    Table,
    Upstream,
    one_part_each,
    read_rows,
)
from pipeline.engine.store import Store
from pipeline.pages.capture import CAPTURE, ROBOTS, Capture, capture_in, is_by_id
from pipeline.pages.follow import CAPTURED, ENDED, FOUND, OPEN, VISIT, WALK, look_up, with_urls
from pipeline.pages.frames import Range, ranges_of_all
from pipeline.pages.warc import checked, records
from pipeline.reasons import Drop, Reason
from pipeline.records import PAGE, content_of
from pipeline.settings import PagesSettings

BATCH_ROWS = 5_000
BY_KEY = Exchange("key")
BY_ID = "by_id"  # a part's note: it has a revisit that names its original by record id alone
USED = pa.schema([("warc", pa.string()), ("offset", pa.int64())])
_T = TypeVar("_T")


def pages_stage(
    rules: PagesSettings, warcs: Mapping[str, InputFile], file_digest: Callable[[InputFile], str]
) -> Stage:
    """The stage over these WARC files, by name (see `input_names`).

    `file_digest` gives a file's digest, and is asked only when the stage is planned.
    """
    index = Step(
        name="index",
        version=5,
        settings={"accept_torn": rules.accept_torn},
        versions={"can_ada": version("can_ada")},  # it shapes the keys
        plan=partial(_plan_index, warcs, rules.range_bytes, file_digest),
        work=Index(rules.accept_torn),
        schema=CAPTURE,
        exchange=BY_KEY,
        keep=True,
        sampled_drops=True,  # every request is a record too
    )
    named = Step(
        name="named",
        version=3,
        inputs=(index,),
        feeds=(),
        plan=_plan_named,
        work=under_ids,
        schema=CAPTURE,
        exchange=Exchange("refers_to"),
    )
    refers = ReduceStep(
        name="refers",
        version=3,
        inputs=(named,),
        feeds=(),
        key="refers_to",
        reduce=refer,
        schema=CAPTURE,
        exchange=BY_KEY,
    )
    wanted = Step(
        name="wanted",
        version=4,
        inputs=(Upstream("links"),),
        plan=one_part_each,
        work=set_out,
        schema=WALK,
        exchange=BY_KEY,
    )
    follow = _follow_steps(rules, wanted, index, refers)
    records = ReduceStep(
        name="records",
        version=2,
        inputs=(index, *follow),
        key="key",
        reduce=account,
        schema=USED,
        sampled_drops=True,
    )
    pages = Step(
        name="pages",
        version=3,
        inputs=(*follow, records),
        plan=_plan_pages,
        work=arrive,
        schema=PAGE,
        content=content_of(PAGE),
    )
    return Stage(
        name="pages",
        unit="links",
        steps=(index, named, refers, wanted, *follow, records, pages),
        gives="pages",
        check=_check,
    )


def _follow_steps(
    rules: PagesSettings, wanted: AnyStep, index: AnyStep, refers: AnyStep
) -> tuple[ReduceStep, ...]:
    """One for the link's own URL, one for each redirect; each goes on where the last one ended.

    One more is for the robots.txt of pages that are found after the last redirect.
    """
    follow = Follow(rules.hops_max, tuple(sorted(rules.respect)), rules.max_distance_days)
    steps: list[ReduceStep] = []
    for hop in range(rules.hops_max + 2):
        step = ReduceStep(
            name=f"follow_{hop}",
            version=5,
            settings=follow,
            versions={"protego": version("protego")},
            inputs=(steps[-1] if steps else wanted, index, refers),
            key="key",
            reduce=follow,
            schema=WALK,
            exchange=BY_KEY,
        )
        steps.append(step)
    return tuple(steps)


def _check(index: Output, *_: Output) -> list[str]:
    """A quality gate: WARC files that were torn, and accepted as they are."""
    return [
        f"pages: {part.notes['torn']}; what comes before was used"
        for part in index.parts
        if "torn" in part.notes
    ]


@dataclass(frozen=True)
class WarcRange:
    """What a part of the index reads: a stretch of a WARC file, which rows know by its name."""

    warc: str
    path: InputFile
    stretch: Range


def _plan_index(
    warcs: Mapping[str, InputFile], range_bytes: int, file_digest: Callable[[InputFile], str]
) -> list[Part[WarcRange]]:
    parts: list[Part[WarcRange]] = []
    names = sorted(warcs)
    cuts = ranges_of_all([warcs[name] for name in names], range_bytes)
    for name, stretches in zip(names, cuts, strict=True):
        path, digest = warcs[name], file_digest(warcs[name])
        for stretch in stretches:
            label = f"{name} from byte {stretch.start}"
            content = digest_of([digest, name, stretch.start, stretch.end])
            parts.append(Part(len(parts), label, content, WarcRange(name, path, stretch)))
    return parts


@dataclass(frozen=True)
class Index:
    """A range of a WARC file to its captures."""

    accept_torn: bool

    def __call__(self, part: Part[WarcRange], out: PartWriter) -> None:
        """Every record is a row, or dropped as not_a_page or unreadable; a torn end is noted."""
        warc, path = part.source.warc, part.source.path
        found = records(path, part.source.stretch, accept_torn=self.accept_torn)
        for batch in _batches(checked(found, path), BATCH_ROWS):
            captures = []
            for record in batch:
                out.heartbeat(f"byte {record.offset}")
                if record.torn:
                    out.note("torn", f"{warc} is torn (byte {record.offset}: {record.fault})")
                capture = capture_in(path, record, warc)
                if isinstance(capture, Drop):
                    out.drop(
                        "records",
                        capture.reason,
                        id=record.headers.get("warc-record-id", ""),
                        url=record.headers.get("warc-target-uri", ""),
                        detail=f"{warc}, byte {record.offset}: {capture.detail}",
                    )
                    continue
                if is_by_id(capture):
                    out.note(BY_ID, True)
                captures.append({name: getattr(capture, name) for name in CAPTURE.names})
            out.write_rows(captures)
            out.book("records", rows_in=len(batch), rows_out=len(captures))


def _plan_named(index: Output) -> list[Part[Table]]:
    """The index once more, or nothing where no revisit asks for a record by its id alone."""
    return one_part_each(index) if any(BY_ID in part.notes for part in index.parts) else []


def under_ids(part: Part[Table], out: PartWriter) -> None:
    """What can be repeated, under its own id, and the revisits by id, under the one they name."""
    for batch in read_rows(out.store, part.source.name, CAPTURE):
        out.heartbeat()
        rows = [row for row in batch.to_pylist() if not row["fault"]]
        out.write_rows({**row, "refers_to": row["record_id"]} for row in rows if row["record_id"])
        out.write_rows(row for row in rows if is_by_id(Capture(**row)))


def refer(named: pa.Table, out: PartWriter) -> None:
    """The revisits that name a record of this archive, as if they had told its URL too."""
    out.write_rows(with_urls(named.to_pylist()))


def set_out(part: Part[Table], out: PartWriter) -> None:
    """The kept links of a part of links, each as a walk that is about to set out."""
    for batch in out.store.batches(part.source.name, BATCH_ROWS):
        out.heartbeat()
        links = pa.Table.from_batches([batch])
        links = links.filter(pc.equal(links["verdict"], "kept"))
        out.write(_walks(links))
        out.book("links", rows_in=links.num_rows, rows_out=links.num_rows)


def _walks(links: pa.Table) -> pa.Table:
    starts: Mapping[str, Any] = {"state": OPEN, "hops": 0, "redirects": [], "trail": []}
    columns = []
    for column in WALK:
        if column.name in links.schema.names:
            columns.append(links[column.name])
        else:
            value = pa.scalar(starts.get(column.name), column.type)
            columns.append(pa.repeat(value, links.num_rows))
    return pa.Table.from_arrays(columns, schema=WALK)


@dataclass(frozen=True)
class Follow:
    """One round: walks that have not ended meet the captures of the URL they have come to."""

    hops_max: int
    respect: tuple[str, ...]
    max_distance_days: int

    def __call__(self, walks: pa.Table, index: pa.Table, refers: pa.Table, out: PartWriter) -> None:
        """Writes the walks that ended or moved on, and visits; walks that ended before stay."""
        walks = walks.filter(pc.is_in(walks["state"], value_set=pa.array([OPEN, FOUND])))
        captures = _by_key(index, refers, walks["key"])
        for batch in walks.to_batches(max_chunksize=BATCH_ROWS):
            out.heartbeat()
            rows = (
                row
                for walk in batch.to_pylist()
                for row in look_up(
                    walk,
                    captures.get(walk["key"], ()),
                    self.hops_max,
                    self.respect,
                    self.max_distance_days,
                )
            )
            out.write_rows(rows)


def _by_key(
    captures: pa.Table, referring: pa.Table, keys: pa.ChunkedArray
) -> dict[str, list[Capture]]:
    """The captures of these keys, by key; `referring` are some of them that are better known."""
    wanted, found = keys.unique(), {}
    for table in (captures, referring):
        for row in table.filter(pc.is_in(table["key"], value_set=wanted)).to_pylist():
            found[row["warc"], row["offset"]] = Capture(**row)
    by_key: dict[str, list[Capture]] = {}
    for capture in found.values():
        by_key.setdefault(capture.key, []).append(capture)
    return by_key


def account(captures: pa.Table, *follow: pa.Table, out: PartWriter) -> None:
    """Each capture is used, or dropped: faulty, other_capture or not_linked."""
    used: set[tuple[str, int]] = set()
    visited: set[str] = set()
    for walks in follow:
        visits = walks.filter(pc.equal(walks["state"], VISIT)).select(["key", "warc", "offset"])
        for visit in visits.to_pylist():
            visited.add(visit["key"])
            used.add((visit["warc"], visit["offset"]))
    for batch in captures.to_batches(max_chunksize=BATCH_ROWS):
        out.heartbeat()
        kept = []
        for row in batch.to_pylist():
            place = {"warc": row["warc"], "offset": row["offset"]}
            reason = _record_reason(row, used, visited)
            if reason is None:
                kept.append(place)
                continue
            detail = f"{row['warc']}, byte {row['offset']}"
            if row["detail"]:
                detail += f": {row['detail']}"
            out.drop("records", reason, id=row["record_id"], url=row["url"], detail=detail)
        out.write_rows(kept)
        out.book("records", rows_in=batch.num_rows, rows_out=len(kept))


def _record_reason(
    row: Mapping[str, Any], used: set[tuple[str, int]], visited: set[str]
) -> Reason | None:
    is_used = (row["warc"], row["offset"]) in used
    if row["fault"] and not (is_used and row["kind"] == ROBOTS):
        return Reason(row["fault"])
    if is_used:
        return None
    return Reason.OTHER_CAPTURE if row["key"] in visited else Reason.NOT_LINKED


@dataclass(frozen=True)
class Walked:
    """What a part of `pages` reads: the tables of one bucket, of all rounds."""

    tables: list[str]


def _plan_pages(*inputs: Output) -> list[Part[Walked]]:
    *follow, _ = inputs
    by_bucket: dict[int, list[Record]] = {}
    for walks in follow:
        for part in walks.parts:
            by_bucket.setdefault(part.number, []).append(part)
    return [
        Part(
            bucket,
            f"bucket {bucket}",
            digest_of([part.digest for part in parts]),
            Walked([part.table for part in parts]),
        )
        for bucket, parts in sorted(by_bucket.items())
    ]


def arrive(part: Part[Walked], out: PartWriter) -> None:
    """A row for each walk that ended in these tables, those with a page first, as they lie."""
    ended = pa.concat_tables([_ended(out.store, table) for table in part.source.tables])
    captured = pc.equal(ended["outcome"], CAPTURED)
    found = ended.filter(captured).sort_by(
        [("warc", "ascending"), ("offset", "ascending"), ("id", "ascending")]
    )
    lost = ended.filter(pc.invert(captured)).sort_by("id")
    out.write(found.select(PAGE.names))
    out.write(lost.select(PAGE.names))
    out.book("links", rows_in=ended.num_rows, rows_out=found.num_rows)
    for batch in lost.select(["id", "url", "outcome", "detail"]).to_batches(
        max_chunksize=BATCH_ROWS
    ):
        out.heartbeat()
        for row in batch.to_pylist():
            reason = Reason(row["outcome"])
            out.drop("links", reason, id=row["id"], url=row["url"], detail=row["detail"] or "")


def _ended(store: Store, table: str) -> pa.Table:
    batches = (
        batch.filter(pc.equal(batch["state"], ENDED)) for batch in read_rows(store, table, WALK)
    )
    return pa.Table.from_batches(batches, schema=WALK)


def _batches(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """The items in lists of `size`."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
