"""What one WARC record is worth: a capture of a URL, or nothing that a link could lead to."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin

from pipeline.links.canonical import Canonical, canonical
from pipeline.links.unwrap import unwrapper
from pipeline.pages.warc import NotHttp, Record, Response, response_of
from pipeline.reasons import Reason
from pipeline.records import Drop

# 203 is a page that a proxy has passed on; 202 and 206 are no whole pages.
PAGE_STATUSES = frozenset({200, 203})
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
NOT_MODIFIED = 304
# Where the type is missing or says nothing, the bytes decide (in `documents`), as in a browser.
PAGE_TYPES = frozenset(
    {
        "text/html",
        "application/xhtml+xml",
        "application/vnd.wap.xhtml+xml",
        "",
        "unknown/unknown",
        "application/unknown",
        "*/*",
    }
)
# A WARC-Date has 14 digits; the standard allows fewer or a fraction (4.7), archives cut or pad.
_DIGITS = re.compile(r"\D")
_YEAR_MIN, _YEAR_MAX = 1990, 2100


@dataclass(frozen=True, slots=True)
class Capture:
    """One row of records.CAPTURE; the columns are explained there."""

    record_id: str
    key: str
    url: str
    kind: str
    warc: str
    offset: int
    length: int
    status: int
    mime: str
    captured_s: int | None
    payload_digest: str
    target_key: str
    target_url: str
    fault: str
    detail: str

    @property
    def place(self) -> tuple[str, int]:
        """Where it lies: a capture's identity, since ids are copied with their records."""
        return self.warc, self.offset


def capture_of(record: Record, warc: str) -> Capture | Drop:
    """The capture that a record holds; a Drop (not_a_page, unreadable) if no link can lead to it.

    A damaged or foreign answer of a known URL is a capture with a `fault`, so that a link to it
    can be told what became of it.
    """
    if record.kind not in ("response", "revisit", "resource"):
        if record.fault:
            return Drop(Reason.UNREADABLE, record.fault)
        return Drop(Reason.NOT_A_PAGE, f"a {record.kind or 'nameless'} record")
    address = record.headers.get("warc-target-uri", "").strip().removeprefix("<").removesuffix(">")
    url, archived_s = page_url(address)
    if isinstance(url, Drop):
        reason = Reason.UNREADABLE if record.fault else Reason.NOT_A_PAGE
        return Drop(reason, f"{address or 'no target URI'}: {url.reason}")
    response, fault, detail = _response(record)
    target = _target(record, response, address)
    return Capture(
        record_id=record.headers.get("warc-record-id", ""),
        key=url.key,
        url=url.url,
        kind=_kind(record, response, target),
        warc=warc,
        offset=record.offset,
        length=record.length,
        status=response.status,
        mime=mime_of(response),
        captured_s=time_of(record.headers.get("warc-date", ""))
        if archived_s is None
        else archived_s,
        payload_digest=record.headers.get("warc-payload-digest", ""),
        target_key=target.key if target else "",
        target_url=target.url if target else "",
        fault=fault,
        detail=detail,
    )


def page_url(address: str) -> tuple[Canonical | Drop, int | None]:
    """The URL of the page at this address, and the time of its capture where that is a web archive.

    A dated page of web.archive.org is the page that it shows, as links are unwrapped too. Other
    wrappers stay: a translation is another page.
    """
    url = canonical(address)
    if isinstance(url, Drop):
        return url, None
    unwrap = unwrapper(url.host)
    inner = unwrap(url) if unwrap else None
    if inner is None or inner.capture_hint_s is None:
        return url, None
    within = canonical(inner.url)
    return (url, None) if isinstance(within, Drop) else (within, inner.capture_hint_s)


def mime_of(response: Response) -> str:
    """The media type in lower case, without parameters; "" where there is none."""
    return response.header("Content-Type").partition(";")[0].strip().lower()


def time_of(date: str) -> int | None:
    """UTC seconds of a WARC-Date, whatever its precision; None if it is no date."""
    digits = _DIGITS.sub("", date)[:14]
    if len(digits) < 4 or not _YEAR_MIN <= int(digits[:4]) < _YEAR_MAX:
        return None
    digits += "0101000000"[len(digits) - 4 :]
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    try:
        moment = datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp())


_NO_RESPONSE = Response(0, (), b"")


def _response(record: Record) -> tuple[Response, str, str]:
    """The response (status 0 where none is told), its fault and the fault's detail."""
    if record.fault:
        return _NO_RESPONSE, Reason.UNREADABLE.value, record.fault
    try:
        response = response_of(record)
    except NotHttp as error:
        if record.kind == "revisit":  # it may hold nothing: the original has the headers
            return _NO_RESPONSE, "", ""
        return _NO_RESPONSE, Reason.UNREADABLE.value, str(error)
    if record.kind == "revisit" and response.status == NOT_MODIFIED:
        return _NO_RESPONSE, "", ""
    mime = mime_of(response)
    if response.status in PAGE_STATUSES and mime not in PAGE_TYPES:
        return response, Reason.NOT_A_PAGE.value, mime
    return response, "", ""


def _target(record: Record, response: Response, base: str) -> Canonical | None:
    """Where a redirect leads, or the URL of the capture that a revisit repeats."""
    if response.status in REDIRECT_STATUSES:
        # Servers send UTF-8 here, which was read as Latin-1 like all headers.
        address = response.header("Location").encode("latin-1").decode("utf-8", "replace")
        try:
            address = urljoin(base, address) if address else ""
        except ValueError:  # an unmatched bracket in the host
            return None
    else:
        address = record.headers.get("warc-refers-to-target-uri", "").strip("<> ")
    target = page_url(address)[0] if address else None
    return None if isinstance(target, Drop) else target


def _kind(record: Record, response: Response, target: Canonical | None) -> str:
    if response.status in REDIRECT_STATUSES and target:
        return "redirect"
    return "revisit" if record.kind == "revisit" else "response"
