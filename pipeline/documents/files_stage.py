"""The stage `documents` over anyone's files, without a build's links and pages before it.

    extract    WARC, HTML and JSON lines -> documents      one row for each page that gave a text

It counts records: those of WARC files, whole HTML files, lines.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import groupby, tee
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from pipeline.bucket_file import InputFile
from pipeline.documents.extract import Document, PageAt, ReadAndExtract
from pipeline.documents.files import json_pages, warc_pages
from pipeline.documents.kinds import FilePage, html_pages, kind_of
from pipeline.documents.quality import measure
from pipeline.documents.stage import PAGES_PER_PART, Result, versions, write_results
from pipeline.engine.digest import digest_of, file_digest
from pipeline.engine.limits import Fault
from pipeline.engine.stage import Part, PartWriter, Stage, Step
from pipeline.errors import InputError, printable
from pipeline.lines import Lines
from pipeline.pages.copies import near_copy
from pipeline.pages.frames import Range, ranges
from pipeline.pages.warc import Response
from pipeline.reasons import Drop
from pipeline.records import DOCUMENT
from pipeline.settings import DocumentsSettings, PagesSettings

UNIT = "records"
COLUMNS = (
    *("id", "url", "host", "title", "date", "language", "language_score"),
    *("language2", "language2_share", "charset"),
    *("mojibake_repaired", "mojibake_left", "text", "extractor", "extractor_score", "page_type"),
    "quality",
)
SCHEMA = pa.schema([DOCUMENT.field(name) for name in COLUMNS])
# Each part of a packed file reads what lies before it too: so many take 32 times the unpacking,
# which is a twentieth of one core's extraction.
LINE_PARTS_MAX = 64


@dataclass(frozen=True)
class HtmlFiles:
    """Whole files of HTML, each by its name."""

    files: list[tuple[str, InputFile]]


@dataclass(frozen=True)
class Stretch:
    """A range of a file: bytes of a WARC file, or lines."""

    kind: Literal["warc", "lines"]
    path: InputFile
    start: int
    stop: int


Source = HtmlFiles | Stretch
Piece = tuple[str, Any, Source]  # label, what its digest covers, where its pages lie


def files_stage(
    paths: Sequence[InputFile],
    documents: DocumentsSettings,
    pages: PagesSettings,
    digest: Callable[[InputFile], str],
    heartbeat: Callable[[], None],
) -> Stage:
    """The stage over pages, WARC files and JSON lines, known by what they hold, in that order.

    `digest` gives a large file's digest; `heartbeat` is called while files are read for the plan,
    and may raise to stop.
    """
    step = Step(
        name="extract",
        version=11,
        settings={"documents": asdict(documents), "accept_torn": pages.accept_torn},
        versions={
            **versions(documents.extractor),
            "can_ada": version("can_ada"),
        },  # it shapes the URLs
        plan=partial(_plan, tuple(paths), pages.range_bytes, digest, heartbeat),
        work=_ExtractFiles(documents, pages.accept_torn),
        schema=SCHEMA,
        runs="items",
    )
    return Stage("documents", UNIT, (step,), empty_is_fine=True)


def _plan(
    paths: Sequence[InputFile],
    range_bytes: int,
    digest: Callable[[InputFile], str],
    heartbeat: Callable[[], None],
) -> list[Part[Source]]:
    pieces: list[Piece] = []
    for kind, group in groupby(paths, kind_of):
        if kind == "html":
            pieces += _groups(list(group), heartbeat)
            continue
        for path in group:
            cuts = _line_cuts(path, heartbeat) if kind == "lines" else _byte_cuts(path, range_bytes)
            # The name is in the rows: where a line's drop says its place.
            name = printable(path.name)
            pieces += [
                (
                    f"{name}, {kind} {start}",
                    [name, digest(path), start, stop],
                    Stretch(kind, path.absolute(), start, stop),
                )
                for start, stop in cuts
            ]
    return [
        Part(number, label, digest_of(content), source)
        for number, (label, content, source) in enumerate(pieces)
    ]


def _groups(paths: list[InputFile], heartbeat: Callable[[], None]) -> Iterator[Piece]:
    for first in range(0, len(paths), PAGES_PER_PART):
        group = paths[first : first + PAGES_PER_PART]
        content = [[printable(path), file_digest(path, heartbeat)] for path in group]
        files = [(printable(path), path.absolute()) for path in group]
        yield f"{printable(group[0])} and on", content, HtmlFiles(files)


def _byte_cuts(path: InputFile, range_bytes: int) -> list[tuple[int, int]]:
    return [(found.start, found.end) for found in ranges(path, range_bytes)]


def _line_cuts(path: InputFile, heartbeat: Callable[[], None]) -> list[tuple[int, int]]:
    lines = 0
    with Lines(path) as every:
        for _ in every:
            heartbeat()
            lines += 1
    step = max(PAGES_PER_PART, -(-lines // LINE_PARTS_MAX))
    return [(start, min(start + step, lines)) for start in range(0, lines, step)]


@dataclass(frozen=True)
class _Measured:
    """A page's document, and what is counted in its text."""

    document: Document
    quality: dict[str, float]


@dataclass(frozen=True)
class _ExtractAndMeasure:
    """What a worker process runs."""

    rules: DocumentsSettings

    def __call__(self, page: PageAt | Response) -> _Measured | Drop | InputError:
        found = ReadAndExtract(self.rules)(page)
        return _Measured(found, measure(found.text)) if isinstance(found, Document) else found


@dataclass(frozen=True)
class _ExtractFiles:
    """The pages of a part to documents and drops, in their order."""

    rules: DocumentsSettings
    accept_torn: bool

    def __call__(self, part: Part[Source], out: PartWriter) -> None:
        with _at_hand(part.source, out.store.scratch) as source:
            # The pool takes pages some way ahead of those whose results are written.
            ahead, behind = tee(self._pages(source))
            pages = (page.found for page in ahead if not isinstance(page.found, Drop))
            results = out.pool.map(_ExtractAndMeasure(self.rules), pages)
            write_results(_joined(behind, results, out), out, UNIT)

    def _pages(self, source: Source) -> Iterator[FilePage]:
        if isinstance(source, HtmlFiles):
            return html_pages(source.files, self.rules.body_bytes_max)
        path, start, stop = source.path, source.start, source.stop
        if source.kind == "warc":
            return warc_pages(path, Range(start, stop), accept_torn=self.accept_torn)
        return json_pages(path, start, stop)


@contextmanager
def _at_hand(source: Source, scratch: Path) -> Iterator[Source]:
    """The same pages where a worker can read one at a time: on this machine."""
    if isinstance(source, HtmlFiles) or source.kind == "lines":
        yield source
        return
    stretch = (source.start, source.stop - source.start)
    with near_copy(source.path, [stretch], scratch) as path:
        yield replace(source, path=path)


def _joined(
    pages: Iterable[FilePage],
    results: Iterator[_Measured | Drop | Fault | InputError],
    out: PartWriter,
) -> Iterator[tuple[Mapping[str, Any], Result]]:
    for page in pages:
        out.heartbeat(page.id)
        known = {"id": page.id, "url": page.url, "final_url": page.url}
        result = page.found if isinstance(page.found, Drop) else next(results)
        if isinstance(result, _Measured):
            yield {**known, "quality": result.quality}, result.document
        else:
            yield known, result
