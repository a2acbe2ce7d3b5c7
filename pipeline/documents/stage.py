"""The stage `documents`: pages to text, each page in a worker process that may fall.

    extract    pages -> documents      one row for each page that gave a text

The driver sends places, not pages: a worker reads its page from the WARC file itself, so the
thread that feeds the workers has next to nothing to do.
"""

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.documents.extract import Document, PageAt, ReadAndExtract, host_of
from pipeline.engine.digest import digest_of
from pipeline.engine.limits import Fault
from pipeline.engine.stage import Inputs, Part, PartWriter, Record, Stage, Step
from pipeline.engine.store import Store
from pipeline.errors import InputError
from pipeline.reasons import Drop
from pipeline.records import DOCUMENT
from pipeline.settings import DocumentsSettings

UNIT = "pages"
PAGES_PER_PART = 2_000  # about a minute of two cores at 30 ms of CPU a page
ROWS_PER_BATCH = 200
LIBRARIES = ("trafilatura", "justext", "lxml", "py3langid", "ftfy")
Result = Document | Drop | Fault | InputError


def documents_stage(
    rules: DocumentsSettings, warcs: Mapping[str, Path], file_digest: Callable[[Path], str]
) -> Stage:
    """The stage; its input is the stage `pages`, made over the WARC files of these names.

    `file_digest` gives a file's digest, and is asked only when the stage is planned.
    """
    step = Step(
        name="extract",
        version=3,
        settings=rules,
        versions=versions(),
        inputs=("pages",),
        plan=partial(_plan, dict(warcs), file_digest),
        work=Extract(rules, dict(warcs)),
        schema=DOCUMENT,
        runs="items",
    )
    return Stage("documents", UNIT, (step,), gives="documents")


@dataclass(frozen=True)
class Extract:
    """The pages of a part to documents and drops; `warcs` says where a named WARC file lies."""

    rules: DocumentsSettings
    warcs: dict[str, Path]

    def __call__(self, part: Part, out: PartWriter) -> None:
        """One row or one drop for each captured page, in the order in which they lie."""
        pages = _read_pages(out.store, part.source)
        places = [
            PageAt(str(self.warcs[page["warc"]]), page["offset"], page["length"]) for page in pages
        ]
        results = out.pool.map(ReadAndExtract(self.rules), places)
        write_results(zip(pages, results, strict=True), out, UNIT)


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
        documents.append(_row(page, result))
        if len(documents) == ROWS_PER_BATCH:
            out.write_rows(documents)
            documents = []
    out.write_rows(documents)
    out.note("mojibake", mojibake)


def _plan(
    warcs: Mapping[str, Path], file_digest: Callable[[Path], str], inputs: Inputs
) -> list[Part]:
    """Parts of at most PAGES_PER_PART pages: small tables together, large ones cut.

    A part's digest covers the WARC files that it reads: a page's row says only where it lies.
    """

    @cache
    def digest(warc: str) -> str:
        return file_digest(warcs[warc])

    groups: list[list[Slice]] = []
    pages = PAGES_PER_PART
    store = inputs["pages"].store
    for found in _slices(inputs["pages"].parts):
        pages += found.stop - found.start
        if pages > PAGES_PER_PART:
            groups.append([])
            pages = found.stop - found.start
        groups[-1].append(found)
    return [
        Part(
            number,
            f"pages {number}",
            digest_of(
                [
                    [found.digest, found.start, found.stop, *map(digest, _warcs_of(store, found))]
                    for found in group
                ]
            ),
            group,
        )
        for number, group in enumerate(groups)
    ]


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of a table of pages."""

    table: str
    digest: str
    start: int
    stop: int


def _slices(parts: Iterable[Record]) -> Iterator[Slice]:
    for part in parts:
        captured = part.ledgers["links"].rows_out  # these rows come first in the table
        for start in range(0, captured, PAGES_PER_PART):
            stop = min(start + PAGES_PER_PART, captured)
            yield Slice(part.table, part.digest, start, stop)


def _warcs_of(store: Store, found: Slice) -> list[str]:
    names = _read_slice(store, found, ["warc"])["warc"]
    return sorted(names.unique().to_pylist())


def _read_pages(store: Store, slices: Iterable[Slice]) -> list[dict[str, Any]]:
    """The pages of these slices, in the order in which they lie in the WARC files."""
    pages = pa.concat_tables([_read_slice(store, found) for found in slices])
    order = [("warc", "ascending"), ("offset", "ascending"), ("id", "ascending")]
    rows: list[dict[str, Any]] = pages.sort_by(order).to_pylist()
    return rows


def _read_slice(store: Store, found: Slice, columns: list[str] | None = None) -> pa.Table:
    # Only the row groups that are needed: a table may be large and its parts many.
    with store.parquet(found.table) as file:
        groups, first, before = [], 0, 0
        for number in range(file.num_row_groups):
            last = first + file.metadata.row_group(number).num_rows
            if last <= found.start:
                before = last
            elif first < found.stop:
                groups.append(number)
            first = last
        rows = file.read_row_groups(groups, columns)
        return rows.slice(found.start - before, found.stop - found.start)


def _row(page: Mapping[str, Any], document: Document) -> dict[str, Any]:
    """All that is known of a document; the step's schema takes what it has columns for."""
    said = {field.name: getattr(document, field.name) for field in fields(document)}
    derived = {"host": host_of(page["final_url"]), "text_chars": len(document.text)}
    return {**page, **said, **derived}


def versions() -> dict[str, str]:
    """The versions of what shapes documents."""
    return {
        **{library: version(library) for library in LIBRARIES},
        "unicode": unicodedata.unidata_version,
    }
