"""`webtext extract`: anyone's WARC, HTML or JSONL files to documents, without a build.

Every page becomes a row of OUT or a line of OUT.drops.jsonl; the counts on stdout add up.
"""

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.documents.extract import Document, extract, host_of
from pipeline.engine.pool import Fault, Limits, Pool
from pipeline.errors import InputError, SettingsError
from pipeline.pages.capture import capture_of
from pipeline.pages.warc import Response, read_page, records
from pipeline.reasons import Reason
from pipeline.records import DOCUMENT, Drop
from pipeline.settings import DocumentsSettings, Settings

COLUMNS = ("id", "url", "host", "title", "date", "language", "language_score", "charset", "text")
SCHEMA = pa.schema([*(DOCUMENT.field(name) for name in COLUMNS), ("engine", pa.string())])
HTML_HEADERS = (("Content-Type", "text/html"),)
UTF8_HEADERS = (("Content-Type", "text/html; charset=utf-8"),)
BATCH_ROWS = 500


@dataclass(frozen=True)
class RawPage:
    """A page to extract: its bytes, or where they lie in a WARC file."""

    id: str
    url: str
    response: Response | None
    warc: str = ""
    offset: int = 0
    length: int = 0


@dataclass(frozen=True)
class ExtractPage:
    """What a worker does with one page."""

    rules: DocumentsSettings

    def __call__(self, page: RawPage) -> Document | Drop:
        """Read the page where that is still to do, and extract it."""
        response = page.response or read_page(
            Path(page.warc), page.offset, page.length, self.rules.body_bytes_max
        )
        return extract(response, self.rules)


class _Line(msgspec.Struct):
    html: str
    url: str = ""
    id: str | int = ""


def extract_files(inputs: Sequence[Path], out: Path, settings: Settings) -> int:
    """Extract all pages of `inputs` into `out`; prints the counts; 1 if no page gave a text."""
    if not inputs:
        raise SettingsError("webtext extract wants at least one file")
    engine = settings.engine
    limits = Limits(engine.item_cpu_s, engine.item_wall_s, engine.worker_memory_bytes)
    pool = Pool(engine.workers, limits, engine.worker_items)
    counts: Counter[str] = Counter()
    out.parent.mkdir(parents=True, exist_ok=True)
    drops_path = out.with_name(out.name + ".drops.jsonl")
    waiting: list[RawPage] = []

    def pages() -> Iterator[RawPage]:
        for path in inputs:
            for page in read_pages(path, counts, drops):
                waiting.append(page)
                yield page

    try:
        with drops_path.open("w", encoding="utf-8") as drops, _Writer(out) as writer:
            for result in pool.map(ExtractPage(settings.documents), pages(), lambda *_: None):
                page = waiting.pop(0)
                counts["pages"] += 1
                if isinstance(result, Document):
                    counts["documents"] += 1
                    writer.add(_row(page, result))
                else:
                    _drop(drops, counts, page.id, page.url, result)
    finally:
        pool.close()
    print(json.dumps(dict(counts)))
    if not counts["documents"]:
        print(f"webtext: no page gave a text; {drops_path} says why", file=sys.stderr)
    return 0 if counts["documents"] else 1


def read_pages(path: Path, counts: Counter[str], drops: IO[str]) -> Iterator[RawPage]:
    """The pages of one file; records that are no page are counted and written to `drops`."""
    name = path.name.lower()
    if not path.is_file():
        raise InputError(path, "", "there is no such file", "Name WARC, HTML or JSONL files.")
    if name.endswith((".warc", ".warc.gz", ".warc.zst")):
        yield from _from_warc(path, counts, drops)
    elif name.endswith((".html", ".htm")):
        yield RawPage(str(path), "", Response(200, HTML_HEADERS, path.read_bytes()))
    elif name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
        yield from _from_jsonl(path)
    else:
        raise InputError(
            path, "", "its name has no known ending", "Use .warc(.gz), .html or .jsonl(.gz, .zst)."
        )


def _from_warc(path: Path, counts: Counter[str], drops: IO[str]) -> Iterator[RawPage]:
    for record in records(path):
        id = record.headers.get("warc-record-id", f"byte {record.offset}")
        url = record.headers.get("warc-target-uri", "")
        capture = capture_of(record, path.name)
        if isinstance(capture, Drop):
            _drop(drops, counts, id, url, capture)
        elif capture.kind != "response":
            drop = Drop(Reason.NOT_A_PAGE, f"{capture.kind}, status {capture.status}")
            _drop(drops, counts, id, url, drop)
        else:
            yield RawPage(id, capture.url, None, str(path), record.offset, record.length)


def _from_jsonl(path: Path) -> Iterator[RawPage]:
    decoder = msgspec.json.Decoder(_Line)
    with open_bytes(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise InputError(
                    path, f"line {number}", str(error), 'Each line needs "html"; "url" is wished.'
                ) from None
            body = row.html.encode("utf-8", "replace")
            yield RawPage(
                str(row.id or row.url or number), row.url, Response(200, UTF8_HEADERS, body)
            )


def open_bytes(path: Path, mode: Literal["rb", "wb"]) -> Any:
    """A file, packed or unpacked as the ending of its name says."""
    if path.name.endswith(".gz"):
        return gzip.open(path, mode)
    if path.name.endswith(".zst"):
        dctx = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        return zstandard.open(path, mode, dctx=dctx if mode == "rb" else None)
    return path.open(mode)


def _row(page: RawPage, document: Document) -> dict[str, Any]:
    return {"id": page.id, "url": page.url, "host": host_of(page.url), **asdict(document)}


def _drop(drops: IO[str], counts: Counter[str], id: str, url: str, why: Drop | Fault) -> None:
    counts[why.reason.value] += 1
    row = {"id": id, "url": url, "reason": why.reason.value, "detail": why.detail}
    drops.write(json.dumps(row, ensure_ascii=False) + "\n")


class _Writer:
    """Documents as JSON lines (plain, gzip, zstd) or Parquet, by the ending of the name."""

    def __init__(self, path: Path) -> None:
        self._rows: list[dict[str, Any]] = []
        self._parquet: pq.ParquetWriter | None = None
        self._lines: IO[bytes] | None = None
        if path.name.endswith(".parquet"):
            self._parquet = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        elif path.name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst")):
            self._lines = open_bytes(path, "wb")
        else:
            raise SettingsError(f"--out {path}: use .jsonl, .jsonl.gz, .jsonl.zst or .parquet")

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        for file in (self._parquet, self._lines):
            if file:
                file.close()

    def add(self, row: dict[str, Any]) -> None:
        if self._lines:
            self._lines.write(msgspec.json.encode(row) + b"\n")
        else:
            self._rows.append(row)
            if len(self._rows) >= BATCH_ROWS:
                self._flush()

    def _flush(self) -> None:
        if self._parquet and self._rows:
            self._parquet.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows = []
