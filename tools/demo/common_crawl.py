"""A crawl in the layout of Common Crawl, from WARC files: their records anew, and their index.

    crawl-data/CRAWL/segments/NUMBER/warc|crawldiagnostics|robotstxt/….warc.gz
    crawl-data/CRAWL/cc-index-table.paths.gz
    cc-index/table/cc-main/warc/crawl=CRAWL/subset=…/part-….parquet

Columns and their types are those of commoncrawl/cc-index-table (its flat schema), as far as a
search reads them, and some that none does. Crawls before 2019-47 lack two columns: `late_columns`.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.pages.archive.warc_records import surt
from pipeline.pages.capture import REDIRECT_STATUSES, time_of
from pipeline.pages.frames import read_frame
from pipeline.pages.media import media_type
from pipeline.pages.warc import NotHttp, Record, records, response_of

SUBSETS = ("warc", "crawldiagnostics", "robotstxt")
LATE_COLUMNS = ("fetch_redirect", "content_truncated")
SCHEMA = pa.schema(
    [
        ("url_surtkey", pa.string()),
        ("url", pa.string()),
        ("url_host_name", pa.string()),
        ("url_protocol", pa.string()),
        ("url_path", pa.string()),
        ("url_query", pa.string()),
        ("fetch_time", pa.timestamp("ms", "UTC")),
        ("fetch_status", pa.int16()),
        ("fetch_redirect", pa.string()),
        ("content_digest", pa.string()),
        ("content_mime_type", pa.string()),
        ("content_mime_detected", pa.string()),
        ("content_truncated", pa.string()),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int32()),
        ("warc_record_length", pa.int32()),
        ("warc_segment", pa.string()),
    ]
)
_SEGMENT = "1500000000000.00"
_BYTES_MAX = 64 << 20


@dataclass(frozen=True)
class Form:
    """How the files of an index are written."""

    late_columns: bool = True
    is_sorted: bool = True  # by url_surtkey; else as two sorted streams that were zipped
    bounds: bool = True  # whether row groups tell their lowest and highest values
    rows_in_group: int = 1_000
    files: int = 2
    compression: str = "gzip"


def write_crawl(
    folder: Path, crawl: str, warcs: Iterable[Path], form: Form | None = None
) -> list[dict[str, Any]]:
    """Write the responses of these WARC files as a crawl below `folder`; its rows (SCHEMA)."""
    rows: dict[str, list[dict[str, Any]]] = {subset: [] for subset in SUBSETS}
    for number, warc in enumerate(warcs):
        for subset, row, packed in _members(warc):
            name = f"{crawl}-{number:05d}.warc.gz"
            row["warc_filename"] = f"crawl-data/{crawl}/segments/{_SEGMENT}/{subset}/{name}"
            path = folder / row["warc_filename"]
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                row["warc_record_offset"] = file.tell()
                row["warc_record_length"] = len(packed)
                file.write(packed)
            rows[subset].append(row)
    write_index(folder, crawl, rows, form or Form())
    return [row for subset in SUBSETS for row in rows[subset]]


def write_index(
    folder: Path, crawl: str, rows: dict[str, list[dict[str, Any]]], form: Form
) -> list[str]:
    """Write the index of these rows, by subset; the names of its files."""
    names = []
    for subset, found in rows.items():
        ordered = sorted(found, key=lambda row: row["url_surtkey"] or "")
        if not form.is_sorted:
            half = (len(ordered) + 1) // 2
            zipped = zip(ordered[:half], [*ordered[half:], None], strict=False)
            ordered = [row for pair in zipped for row in pair if row]
        size = max(1, -(-len(ordered) // form.files))
        for number, start in enumerate(range(0, len(ordered), size)):
            name = (
                f"cc-index/table/cc-main/warc/crawl={crawl}/subset={subset}/"
                f"part-{number:05d}-00000000-0000-0000-0000-000000000000.c000.gz.parquet"
            )
            write_table(folder / name, ordered[start : start + size], form)
            names.append(name)
    paths = folder / f"crawl-data/{crawl}/cc-index-table.paths.gz"
    paths.parent.mkdir(parents=True, exist_ok=True)
    paths.write_bytes(gzip.compress("".join(f"{name}\n" for name in names).encode(), mtime=0))
    return names


def write_table(path: Path, rows: Sequence[dict[str, Any]], form: Form) -> None:
    """Write one file of an index."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(list(rows), schema=SCHEMA)
    if not form.late_columns:
        table = table.drop_columns(LATE_COLUMNS)
    pq.write_table(
        table,
        path,
        row_group_size=form.rows_in_group,
        compression=form.compression,
        write_statistics=form.bounds,
    )


def _members(warc: Path) -> Iterator[tuple[str, dict[str, Any], bytes]]:
    """Subset, row without place, and packed record of each response."""
    for record in records(warc):
        if record.kind != "response" or record.fault:
            continue
        try:
            subset, row = _row(record)
        except NotHttp:
            continue
        content = read_frame(warc, record.offset, record.length, _BYTES_MAX)
        yield subset, row, gzip.compress(content, mtime=0)


def _row(record: Record) -> tuple[str, dict[str, Any]]:
    response = response_of(record)
    url = record.headers["warc-target-uri"].strip("<>")
    parts = urlsplit(url)
    status = response.status
    if parts.path == "/robots.txt":
        subset = "robotstxt"
    else:
        subset = "warc" if status == 200 else "crawldiagnostics"
    seen_s = time_of(record.headers.get("warc-date", ""))
    return subset, {
        "url_surtkey": surt(url),
        "url": url,
        "url_host_name": parts.hostname,
        "url_protocol": parts.scheme,
        "url_path": parts.path,
        "url_query": parts.query or None,
        "fetch_time": None if seen_s is None else datetime.fromtimestamp(seen_s, UTC),
        "fetch_status": status,
        "fetch_redirect": response.header("Location") if status in REDIRECT_STATUSES else None,
        "content_digest": record.headers.get("warc-payload-digest", "").removeprefix("sha1:"),
        "content_mime_type": response.header("Content-Type").partition(";")[0].strip() or None,
        "content_mime_detected": media_type(response.headers)[0] or None,
        "content_truncated": record.headers.get("warc-truncated"),
        "warc_segment": _SEGMENT,
    }
