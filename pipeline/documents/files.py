"""Anyone's files as pages: the records of WARC files, JSON lines with `html`; see kinds.py."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec

from pipeline.bucket_file import InputFile
from pipeline.documents.extract import PageAt
from pipeline.documents.kinds import FilePage
from pipeline.errors import printable
from pipeline.lines import Lines
from pipeline.pages.capture import Capture, capture_in
from pipeline.pages.choose import is_page
from pipeline.pages.frames import Range
from pipeline.pages.warc import Response, checked, records, response_of
from pipeline.reasons import Drop, Reason
from pipeline.rows import json_rows
from pipeline.texts import given_id

UTF8_HEADERS = (("Content-Type", "text/html; charset=utf-8"),)


class _Line(msgspec.Struct):
    html: str | None = None
    url: str | None = None
    id: Any = None


def warc_pages(
    path: InputFile, span: Range, *, accept_torn: bool, bodies_max: int = 0
) -> Iterator[FilePage]:
    """The records of a range of a WARC file: where each page lies, or the page itself.

    That is given where the record was read as a whole, and has at most `bodies_max` bytes. Workers
    read pages themselves: one process that reads for all of them would hold them up.
    """
    for record in checked(records(path, span, accept_torn=accept_torn), path):
        id = record.headers.get("warc-record-id", f"byte {record.offset}")
        capture = capture_in(path, record, path.name)
        if drop := _no_page(capture):
            yield FilePage(id, record.headers.get("warc-target-uri", ""), drop)
        else:
            assert isinstance(capture, Capture)
            is_whole = len(record.block) == record.block_bytes <= bodies_max
            place = PageAt(str(path), record.offset, record.length)
            yield FilePage(id, capture.url, response_of(record) if is_whole else place)


def _no_page(capture: Capture | Drop) -> Drop | None:
    if isinstance(capture, Drop):
        return capture
    if capture.fault:
        return Drop(Reason(capture.fault), capture.detail)
    if capture.kind != "response":
        to = f", to {capture.target_url}" if capture.target_url else ""
        return Drop(Reason.NOT_A_PAGE, f"a {capture.kind}, status {capture.status}{to}")
    if not is_page(capture):
        return Drop(Reason.STATUS_ERROR, f"status {capture.status}")
    return None


def json_pages(path: InputFile, start: int, stop: int) -> Iterator[FilePage]:
    """The pages of the lines after the first `start`, up to line `stop`; blank lines are none."""
    name = printable(path.name)
    with Lines(path) as lines:
        for place, row in json_rows(islice(enumerate(lines, 1), start, stop), _Line):
            given = given_id(row.id) if isinstance(row, _Line) else None
            named = f"{name}:{place.split()[1]}"
            id = named if given is None else str(given)
            if isinstance(row, Drop):
                why = Drop(row.reason, f"{name}, {place}: {row.detail}")
                yield FilePage(id, "", why)
                continue
            url = row.url or ""
            if row.html is None:
                why = Drop(Reason.TEXT_MISSING, f'{name}, {place}: it needs "html"')
                yield FilePage(id, url, why)
            else:
                body = row.html.encode("utf-8", "replace")
                yield FilePage(id, url, Response(200, UTF8_HEADERS, body))
