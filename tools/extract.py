"""`webtext extract`: anyone's WARC, HTML or JSONL files to documents, without a build.

Every page and every other record becomes a row of OUT or a line of OUT.drops.jsonl; the counts on
stdout add up. Both files are written aside and put in place at the end, when the sums agree.
"""

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.documents.extract import Document, PageAt, ReadAndExtract, extract, host_of
from pipeline.engine.ledger import Ledger
from pipeline.engine.pool import Fault, Limits, Pool
from pipeline.errors import InputError, SettingsError
from pipeline.lines import Lines
from pipeline.pages.capture import PAGE_STATUSES, Capture, capture_of
from pipeline.pages.warc import Response, records
from pipeline.reasons import Reason
from pipeline.records import DOCUMENT, Drop
from pipeline.settings import DocumentsSettings, Settings

COLUMNS = ("id", "url", "host", "title", "date", "language", "language_score", "charset", "text")
SCHEMA = pa.schema([*(DOCUMENT.field(name) for name in COLUMNS), ("engine", pa.string())])
HTML_HEADERS = (("Content-Type", "text/html"),)
UTF8_HEADERS = (("Content-Type", "text/html; charset=utf-8"),)
WARC_NAMES = (".warc", ".warc.gz", ".warc.zst")
HTML_NAMES = (".html", ".htm")
JSONL_NAMES = (".jsonl", ".jsonl.gz", ".jsonl.zst")
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

    def __call__(self, page: RawPage) -> Document | Drop | InputError:
        """Read the page where that is still to do, and extract it.

        An InputError is given back, not raised: a broken file is no page's fault.
        """
        if page.response:
            return extract(page.response, self.rules)
        at = PageAt(page.warc, page.offset, page.length)
        return ReadAndExtract(self.rules)(at)


class _Line(msgspec.Struct):
    html: str | None = None
    url: str | None = None
    id: str | int | None = None


def extract_files(inputs: Sequence[Path], out: Path, settings: Settings) -> int:
    """Extract all pages of `inputs` into `out`; prints the counts; 1 if no page gave a text.

    Raises SettingsError and InputError before anything is written where a name is not as needed.
    Whatever it raises, an earlier `out` stays as it was.
    """
    if not inputs:
        raise SettingsError("webtext extract wants at least one file")
    for path in inputs:
        _check_input(path)
    _check_output(out)
    drops_path = out.with_name(out.name + ".drops.jsonl")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as folder:
        aside = Path(folder)
        with _Drops(aside / drops_path.name) as drops, _Writer(aside / out.name) as writer:
            _extract_all(inputs, settings, drops, writer)
        ledger = drops.ledger
        ledger.check("webtext extract")
        for path in (drops_path, out):
            (aside / path.name).replace(path)
    counts = {"rows_in": ledger.rows_in, "rows_out": ledger.rows_out, "drops": dict(ledger.drops)}
    print(json.dumps(counts))
    if not ledger.rows_out:
        print(f"webtext: no page gave a text; {drops_path} says why", file=sys.stderr)
    return 0 if ledger.rows_out else 1


def _extract_all(
    inputs: Sequence[Path], settings: Settings, drops: "_Drops", writer: "_Writer"
) -> None:
    engine = settings.engine
    limits = Limits(engine.item_cpu_s, engine.item_wall_s, engine.worker_memory_bytes)
    waiting: list[RawPage] = []

    def pages() -> Iterator[RawPage]:
        for path in inputs:
            for page in read_pages(path, drops):
                waiting.append(page)
                yield page

    pool = Pool(engine.workers, limits, engine.worker_items)
    try:
        for result in pool.map(ExtractPage(settings.documents), pages(), lambda *_: None):
            page = waiting.pop(0)
            if isinstance(result, InputError):
                raise result
            if isinstance(result, Document):
                drops.ledger.rows_out += 1
                writer.add(_row(page, result))
            else:
                drops.add(page.id, page.url, result)
    finally:
        pool.close()


def _check_input(path: Path) -> None:
    if not path.is_file():
        raise InputError(path, "", "there is no such file", "Name WARC, HTML or JSONL files.")
    if not path.name.lower().endswith((*WARC_NAMES, *HTML_NAMES, *JSONL_NAMES)):
        raise InputError(
            path, "", "its name has no known ending", "Use .warc(.gz), .html or .jsonl(.gz, .zst)."
        )


def _check_output(out: Path) -> None:
    if not out.name.endswith((*JSONL_NAMES, ".parquet")):
        raise SettingsError(f"--out {out}: use .jsonl, .jsonl.gz, .jsonl.zst or .parquet")


def read_pages(path: Path, drops: "_Drops") -> Iterator[RawPage]:
    """The pages of one file; its records and lines that are no page go to `drops`."""
    name = path.name.lower()
    if name.endswith(WARC_NAMES):
        yield from _from_warc(path, drops)
    elif name.endswith(HTML_NAMES):
        drops.ledger.rows_in += 1
        yield RawPage(str(path), "", Response(200, HTML_HEADERS, path.read_bytes()))
    else:
        yield from _from_jsonl(path, drops)


def _from_warc(path: Path, drops: "_Drops") -> Iterator[RawPage]:
    for record in records(path):
        drops.ledger.rows_in += 1
        id = record.headers.get("warc-record-id", f"byte {record.offset}")
        capture = capture_of(record, path.name)
        if drop := _no_page(capture):
            drops.add(id, record.headers.get("warc-target-uri", ""), drop)
        else:
            assert isinstance(capture, Capture)
            yield RawPage(id, capture.url, None, str(path), record.offset, record.length)


def _no_page(capture: Capture | Drop) -> Drop | None:
    if isinstance(capture, Drop):
        return capture
    if capture.fault:
        return Drop(Reason[capture.fault.upper()], capture.detail)
    if capture.kind != "response":
        return Drop(Reason.NOT_A_PAGE, f"a {capture.kind}, status {capture.status}")
    if capture.status not in PAGE_STATUSES:
        return Drop(Reason.STATUS_ERROR, f"status {capture.status}")
    return None


def _from_jsonl(path: Path, drops: "_Drops") -> Iterator[RawPage]:
    decoder = msgspec.json.Decoder(_Line)
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        drops.ledger.rows_in += 1
        place = f"{path.name}, line {number}"
        try:
            row = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            drops.add(str(number), "", Drop(Reason.LINE_INVALID, f"{place}: {error}"))
            continue
        id, url = str(row.id or row.url or number), row.url or ""
        if row.html is None:
            drops.add(id, url, Drop(Reason.TEXT_MISSING, f'{place}: it needs "html"'))
            continue
        body = row.html.encode("utf-8", "replace")
        yield RawPage(id, url, Response(200, UTF8_HEADERS, body))


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with Lines(path) as lines:
            yield from lines
    except InputError as error:
        raise InputError(path, error.place, error.problem, "Get the file again.") from None


def _row(page: RawPage, document: Document) -> dict[str, Any]:
    return {"id": page.id, "url": page.url, "host": host_of(page.url), **asdict(document)}


class _Drops:
    """OUT.drops.jsonl: what gave no document, each with its reason; and the counts of all rows."""

    def __init__(self, path: Path) -> None:
        self.ledger = Ledger()
        self._file = path.open("w", encoding="utf-8")

    def __enter__(self) -> "_Drops":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, id: str, url: str, why: Drop | Fault) -> None:
        self.ledger.drops[why.reason.value] += 1
        row = {"id": id, "url": url, "reason": why.reason.value, "detail": why.detail}
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")


class _Writer:
    """Documents as JSON lines (plain, gzip, zstd) or Parquet, by the ending of the name."""

    def __init__(self, path: Path) -> None:
        self._rows: list[dict[str, Any]] = []
        self._parquet: pq.ParquetWriter | None = None
        self._lines: Any = None  # a binary file
        if path.name.endswith(".parquet"):
            self._parquet = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        elif path.name.endswith(".gz"):
            self._lines = gzip.open(path, "wb")  # noqa: SIM115 (closed by __exit__)
        elif path.name.endswith(".zst"):
            self._lines = zstandard.open(path, "wb")
        else:
            self._lines = path.open("wb")

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
