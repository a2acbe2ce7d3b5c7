"""The stage `documents`: pages to text, each page in a worker process that may fall.

    place      pages -> pages             by the stretch of a WARC file in which they lie
    gather     pages by stretch -> pages  in the order of their bytes, cut into groups of captures
    texts      captures -> texts          kept: extraction is costly, and knows no link
    documents  pages, texts -> documents  one row for each page that gave a text, with its numbers

What a group's captures say depends on their bytes and the rules alone. So another karma, one more
month of dumps or another outcome of some links extracts no page again but those that are new and
their neighbours in the group.

The driver sends places, not pages: a worker reads its page from the WARC file itself (of one in a
bucket from a copy of what the part needs), so the thread that feeds the workers has next to nothing
to do.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, partial
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.bucket_file import InputFile
from pipeline.documents.blocks.model import model_digest
from pipeline.documents.extract import Document, PageAt, ReadAndExtract, host_of
from pipeline.documents.quality import measure
from pipeline.engine.digest import digest_of, hex_digest, rows_digest
from pipeline.engine.limits import Fault
from pipeline.engine.stage import (
    Exchange,
    Output,
    Part,
    PartWriter,
    ReduceStep,
    Stage,
    Step,
    Table,
    Upstream,
    one_part_each,
)
from pipeline.engine.store import Store
from pipeline.errors import InputError
from pipeline.pages.copies import near_copies
from pipeline.reasons import FAULTS, Drop, Reason
from pipeline.records import DOCUMENT, PAGE, content_of
from pipeline.settings import DocumentsSettings

UNIT = "pages"
PAGES_PER_PART = 2_000  # about a minute of two cores at 30 ms of CPU a page
PART_BYTES = 64 << 20  # or so many of their compressed bytes: some pages are large
STRETCH_BYTES = 16 << 20  # of a WARC file
# Small stretches make one group until it has so many captures and a stretch's hash says to cut, so
# a stretch that is new changes its own group, not those after it.
PAGES_PER_GROUP_MIN = 500
CUT_AT_ONE_OF = 4
ROWS_PER_BATCH = 200
LIBRARIES = ("trafilatura", "justext", "lxml", "py3langid", "ftfy")
Result = Document | Drop | Fault | InputError

# A page, and the stretch of a WARC file in which its capture lies.
PLACED = PAGE.append(pa.field("stretch", pa.string()))
# What a capture says, or why it says nothing. It knows its place, and no link.
TEXT = pa.schema(
    [
        ("warc", pa.string()),
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        *(DOCUMENT.field(field.name) for field in fields(Document)),
    ]
)


def documents_stage(
    rules: DocumentsSettings,
    warcs: Mapping[str, InputFile],
    file_digest: Callable[[InputFile], str],
) -> Stage:
    """The stage; its input is the stage `pages`, made over the WARC files of these names.

    `file_digest` gives a file's digest, and is asked only when the stage is planned.
    """
    place = Step(
        name="place",
        version=2,
        inputs=(Upstream("pages"),),
        plan=one_part_each,
        work=_place,
        schema=PLACED,
        exchange=Exchange("stretch"),
    )
    gather = ReduceStep(
        name="gather",
        version=2,
        inputs=(place,),
        key="stretch",
        reduce=_gather,
        schema=PAGE,
    )
    texts = Step(
        name="texts",
        version=7,
        settings=rules,
        versions=versions(rules.extractor),
        inputs=(gather,),
        feeds=(),
        plan=partial(_plan_texts, dict(warcs), file_digest),
        work=ExtractTexts(rules, dict(warcs)),
        schema=TEXT,
        runs="items",
        shared=("pipeline.documents.shared",),
        keep=True,
    )
    documents = Step(
        name="documents",
        version=3,
        inputs=(gather, texts),
        feeds=(gather,),
        plan=_plan_documents,
        work=_documents,
        schema=DOCUMENT,
        content=content_of(DOCUMENT),
    )
    return Stage("documents", UNIT, (place, gather, texts, documents), gives="documents")


def _place(part: Part[Table], out: PartWriter) -> None:
    out.book(UNIT)
    for batch in out.store.batches(part.source.name, 5_000):
        out.heartbeat()
        pages = pa.Table.from_batches([batch])
        pages = pages.filter(pc.equal(pages["outcome"], "captured"))
        places = zip(pages["warc"].to_pylist(), pages["offset"].to_pylist(), strict=True)
        stretches = [f"{warc} {offset // STRETCH_BYTES:08d}" for warc, offset in places]
        out.write(pages.append_column("stretch", pa.array(stretches, pa.string())))
        out.book(UNIT, rows_in=pages.num_rows, rows_out=pages.num_rows)


def _gather(placed: pa.Table, out: PartWriter) -> None:
    """Pages in the order of their bytes; the groups that are extracted together are noted."""
    order = [("stretch", "ascending"), ("offset", "ascending"), ("id", "ascending")]
    pages = placed.sort_by(order)
    for start, stop in _groups(pages):
        group = pages.slice(start, stop - start).select(PAGE.names)
        at = out.rows
        out.write(group)
        out.add_note("groups", _noted(group, at))
    out.book(UNIT, rows_in=pages.num_rows, rows_out=pages.num_rows)


def _groups(pages: pa.Table) -> Iterator[tuple[int, int]]:
    """[start, stop) of rows, so that all rows of one capture are in one group."""
    start = captures = size = 0
    before: tuple[str, int] | None = None
    columns = (pages[name].to_pylist() for name in ("stretch", "offset", "length"))
    for row, (stretch, offset, length) in enumerate(zip(*columns, strict=True)):
        if (stretch, offset) == before:
            continue
        is_full = captures == PAGES_PER_PART or size >= PART_BYTES
        ends = before is not None and stretch != before[0] and _may_cut(before[0], captures)
        if captures and (is_full or ends):
            yield start, row
            start, captures, size = row, 0, 0
        before, captures, size = (stretch, offset), captures + 1, size + length
    if pages.num_rows:
        yield start, pages.num_rows


def _may_cut(stretch: str, captures: int) -> bool:
    if captures < PAGES_PER_GROUP_MIN:
        return False
    return xxhash.xxh3_64_intdigest(stretch.encode()) % CUT_AT_ONE_OF == 0


def _noted(group: pa.Table, start: int) -> dict[str, Any]:
    """A group for the plans of the next steps: its rows, its WARC files, digests of what is read.

    Its texts depend on its captures alone, its documents on all columns of its rows.
    """
    captures = pa.Table.from_batches(group.select(["warc", "offset", "length"]).to_batches())
    captures = captures.group_by(["warc", "offset", "length"]).aggregate([])
    first = group.slice(0, 1).to_pylist()[0]
    return {
        "label": f"{first['warc']} from byte {first['offset']}",
        "start": start,
        "stop": start + group.num_rows,
        "warcs": sorted(group["warc"].unique().to_pylist()),
        "captures": hex_digest(rows_digest(captures)),
        "rows": hex_digest(rows_digest(group)),
    }


@dataclass(frozen=True)
class Group:
    """Rows of a table of pages, and the table of their captures' texts when it is made."""

    pages: str
    start: int
    stop: int
    texts: str = ""


def _noted_groups(gather: Output) -> Iterator[tuple[Group, dict[str, Any]]]:
    for part in gather.parts:
        for noted in part.notes.get("groups", ()):
            yield Group(part.table, noted["start"], noted["stop"]), noted


def _plan_texts(
    warcs: Mapping[str, InputFile], file_digest: Callable[[InputFile], str], gather: Output
) -> list[Part[Group]]:
    """A part for each group; its digest covers the WARC files that it reads."""

    @cache
    def digest(warc: str) -> str:
        return file_digest(warcs[warc])

    return [
        Part(
            number,
            noted["label"],
            digest_of([noted["captures"], *map(digest, noted["warcs"])]),
            group,
        )
        for number, (group, noted) in enumerate(_noted_groups(gather))
    ]


@dataclass(frozen=True)
class ExtractTexts:
    """The captures of a group to texts; `warcs` says where a named WARC file lies."""

    rules: DocumentsSettings
    warcs: dict[str, InputFile]

    def __call__(self, part: Part[Group], out: PartWriter) -> None:
        """A row for each capture, in the order in which they lie. Raises what a worker found."""
        rows = _read_rows(out.store, part.source, ["warc", "offset", "length"])
        captures = list(dict.fromkeys((row["warc"], row["offset"], row["length"]) for row in rows))
        with near_copies(self.warcs, captures, out.store.scratch) as paths:
            places = [PageAt(str(paths[warc]), *where) for warc, *where in captures]
            results = out.pool.map(ReadAndExtract(self.rules), places)
            self._write(captures, results, out)

    def _write(
        self, captures: Sequence[tuple[str, int, int]], results: Iterator[Result], out: PartWriter
    ) -> None:
        texts: list[dict[str, Any]] = []
        mojibake = {"repaired": 0, "left": 0}
        out.book("captures", rows_in=len(captures), rows_out=len(captures))
        for (warc, offset, _), result in zip(captures, results, strict=True):
            texts.append({"warc": warc, "offset": offset, **_said(result)})
            if isinstance(result, Document):
                mojibake["repaired"] += result.mojibake_repaired
                mojibake["left"] += result.mojibake_left
            elif not isinstance(result, InputError) and result.reason in FAULTS:
                place = {"id": f"{warc} {offset}", "url": ""}
                out.fault("captures", reason=result.reason.value, detail=result.detail, **place)
            if len(texts) == ROWS_PER_BATCH:
                out.write_rows(texts)
                texts = []
        out.write_rows(texts)
        out.note("mojibake", mojibake)


def _said(result: Result) -> dict[str, Any]:
    """A result as columns of TEXT; raises the InputError that a worker found instead."""
    if isinstance(result, InputError):
        raise result
    if isinstance(result, Document):
        said = {field.name: getattr(result, field.name) for field in fields(result)}
        return {"reason": "", "detail": "", **said}
    return {"reason": result.reason.value, "detail": result.detail}


def _plan_documents(gather: Output, texts: Output) -> list[Part[Group]]:
    groups = list(_noted_groups(gather))
    return [
        Part(
            number,
            noted["label"],
            digest_of([noted["rows"], text.digest]),
            Group(group.pages, group.start, group.stop, text.table),
        )
        for number, ((group, noted), text) in enumerate(zip(groups, texts.parts, strict=True))
    ]


def _documents(part: Part[Group], out: PartWriter) -> None:
    """Each page with what its capture says."""
    texts = {
        (text["warc"], text["offset"]): text
        for batch in out.store.batches(part.source.texts, ROWS_PER_BATCH)
        for text in batch.to_pylist()
    }
    out.book(UNIT)
    documents: list[dict[str, Any]] = []
    for page in _read_rows(out.store, part.source):
        out.heartbeat(page["url"])
        text = texts[page["warc"], page["offset"]]
        out.book(UNIT, rows_in=1)
        if text["reason"]:
            reason = Reason(text["reason"])
            out.drop(UNIT, reason, id=page["id"], url=page["url"], detail=text["detail"])
            continue
        out.book(UNIT, rows_out=1)
        documents.append({**_row(page, text), "quality": measure(text["text"])})
        if len(documents) == ROWS_PER_BATCH:
            out.write_rows(documents)
            documents = []
    out.write_rows(documents)


def _read_rows(
    store: Store, group: Group, columns: list[str] | None = None
) -> list[dict[str, Any]]:
    """The rows of a group: only the row groups that are needed, of a table that may be large."""
    with store.sound(group.pages), store.parquet(group.pages) as file:
        needed, first, before = [], 0, 0
        for number in range(file.num_row_groups):
            last = first + file.metadata.row_group(number).num_rows
            if last <= group.start:
                before = last
            elif first < group.stop:
                needed.append(number)
            first = last
        table = file.read_row_groups(needed, columns)
    rows: list[dict[str, Any]] = table.slice(
        group.start - before, group.stop - group.start
    ).to_pylist()
    return rows


def write_results(
    results: Iterable[tuple[Mapping[str, Any], Result]], out: PartWriter, unit: str
) -> None:
    """Write and book what became of each page, given with its `id`, `url` and `final_url`.

    Raises the InputError that a worker found instead.
    """
    out.book(unit)
    documents: list[dict[str, Any]] = []
    mojibake = {"repaired": 0, "left": 0}
    for page, result in results:
        if isinstance(result, InputError):
            raise result
        out.book(unit, rows_in=1)
        if isinstance(result, Drop | Fault):
            out.drop(unit, result.reason, id=page["id"], url=page["url"], detail=result.detail)
            continue
        out.book(unit, rows_out=1)
        mojibake["repaired"] += result.mojibake_repaired
        mojibake["left"] += result.mojibake_left
        documents.append(_row(page, _said(result)))
        if len(documents) == ROWS_PER_BATCH:
            out.write_rows(documents)
            documents = []
    out.write_rows(documents)
    out.note("mojibake", mojibake)


def _row(page: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """All that is known of a document; the step's schema takes what it has columns for."""
    derived = {"host": host_of(page["final_url"]), "text_chars": len(said["text"])}
    return {**page, **said, **derived}


def versions(extractor: str) -> dict[str, str]:
    """The versions of what shapes documents by this extractor."""
    found = {library: version(library) for library in LIBRARIES}
    if extractor != "trafilatura":
        found["resiliparse"] = version("resiliparse")
    if extractor.startswith("combined"):
        found["blocks"] = model_digest()
    return {**found, "unicode": unicodedata.unidata_version}
