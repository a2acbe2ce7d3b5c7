"""What one WARC record is worth: a capture of a URL, or nothing that a link could lead to."""

import re
from base64 import b32encode
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

from pipeline.bucket_file import InputFile
from pipeline.documents.decode import beginning
from pipeline.links.canonical import Canonical, canonical
from pipeline.links.unwrap import unwrapper
from pipeline.pages.archive.outcomes import Answer, Outcome
from pipeline.pages.archive.segments import answer_in
from pipeline.pages.frames import whole_number
from pipeline.pages.media import media_type
from pipeline.pages.owners.preferences import of_page
from pipeline.pages.owners.robots import ROBOTS_BYTES_MAX, ROBOTS_PATH
from pipeline.pages.refresh import HEAD_BYTES, refresh_address
from pipeline.pages.warc import NotHttp, Record, Response, all_values, response_of, whole_record
from pipeline.reasons import Drop, Reason
from pipeline.records import schema_of

# 203 is a page that a proxy has passed on; 202 is no page yet.
PAGE_STATUSES = frozenset({200, 203})
PARTIAL = 206  # a page where it holds everything, as some clients ask for "bytes 0-"
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
NOT_MODIFIED = 304
# `Capture.kind` of a robots.txt, which no link leads to, and of what a source told of a link.
ROBOTS, ANSWER = "robots", "answer"
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
# So much is read of a record to tell whether its body is whole; pages have 8 MiB at most.
BLOCK_BYTES_MAX = 16 << 20
# `Capture.body`: what is known of a body.
ALL, CUT, NONE = "all", "cut", "none"
_CONTENT_RANGE = re.compile(r"bytes\s+0-(\d{1,18})/(\d{1,18})", re.IGNORECASE)
_SHA_1_HEX = re.compile("[0-9a-fA-F]{40}")
_HEX = re.compile("(?:[0-9a-fA-F]{2})+")
_BASE_32 = re.compile("[a-zA-Z2-7]{32}|[a-zA-Z2-7]{52}={0,4}")  # of SHA-1 and SHA-256
# A WARC-Date has 14 digits; the standard allows fewer or a fraction (4.7), archives cut or pad.
_DIGITS = re.compile(r"\D")
_YEAR_MIN, _YEAR_MAX = 1990, 2100


@dataclass(frozen=True, slots=True)
class Capture:
    """What lies where in the WARC files: one row for each record, independent of links."""

    record_id: str
    key: str  # canonical key of the target URI
    url: str
    # response, revisit, redirect (by status, or a page's own refresh), robots (a robots.txt),
    # answer (what a source told of a link: its outcome is in `mime`, its first redirect's target)
    kind: str
    warc: str  # the file's name; inputs.input_names tells its path
    offset: int
    length: int  # compressed bytes
    status: int
    mime: str
    captured_s: int | None
    payload_digest: str
    target_key: str  # redirect: key it leads to; revisit: key referred to
    target_url: str
    fault: str  # "", or the reason why the record cannot be a page
    detail: str  # of the fault
    # Of a page: "cut" short, "none" (empty or undecodable), "all" (a 206 that holds everything).
    body: str = ""
    refers_to: str = ""  # revisit: id of the record that it repeats, where told
    preferences: str = ""  # what the owner asks (preferences.py); of a robots.txt its text

    @property
    def place(self) -> tuple[str, int]:
        """Where it lies: a capture's identity, since ids are copied with their records."""
        return self.warc, self.offset


CAPTURE = schema_of(Capture)


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
    mime, charset = media_type(response.headers)
    is_robots = _is_robots(record, response, url)
    if is_robots and response.status in PAGE_STATUSES and not fault:
        fault, detail = Reason.NOT_A_PAGE.value, ROBOTS_PATH
    body, head = ("", b"") if fault else _body(record, response)
    target = _target(record, response, address, head, charset)
    kind = ROBOTS if is_robots else _kind(record, response, url, target)
    asked = "" if fault else _preferences(record, response, head, charset)
    return Capture(
        record_id=same_id(record.headers.get("warc-record-id", "")),
        key=url.key,
        url=url.url,
        kind=kind,
        warc=warc,
        offset=record.offset,
        length=record.length,
        status=response.status,
        mime=mime,
        captured_s=time_of(record.headers.get("warc-date", ""))
        if archived_s is None
        else archived_s,
        payload_digest=same_digest(record.headers.get("warc-payload-digest", "")),
        target_key=target.key if target else "",
        target_url=target.url if target else "",
        fault=fault,
        detail=detail,
        body=body,
        refers_to=same_id(record.headers.get("warc-refers-to", "")) if kind == "revisit" else "",
        preferences=_robots_txt(response) if is_robots else asked,
    )


def _told(answer: Answer, record: Record, warc: str) -> Capture | Drop:
    """What a source told of a link: why it has no page there, or by which redirect it has one.

    A page at the link's own URL has its capture, which tells all.
    """
    target = _first_target(answer)
    if answer.outcome is Outcome.CAPTURED and target is None:
        return Drop(Reason.NOT_A_PAGE, "a metadata record, of a page that is here")
    return Capture(
        record_id=same_id(record.headers.get("warc-record-id", "")),
        key=answer.key,
        url=answer.url,
        kind=ANSWER,
        warc=warc,
        offset=record.offset,
        length=record.length,
        status=answer.status,
        mime=answer.outcome.value,
        captured_s=answer.answered_s,
        payload_digest="",
        target_key=target.key if target else "",
        target_url=target.url if target else "",
        fault="",
        detail=answer.detail,
    )


def _first_target(answer: Answer) -> Canonical | None:
    """Where the first redirect on a link's way led; None without one."""
    if not answer.redirects:
        return None
    found = canonical([*(hop.url for hop in answer.redirects), answer.final_url][1])
    return None if isinstance(found, Drop) else found


def capture_in(path: InputFile, record: Record, warc: str) -> Capture | Drop:
    """The same of a record in the file at `path`, which is read again where only that can tell.

    A body that seems to be cut, and is longer than the beginning that was read, may be whole. What
    a source told of a link (archive.py) is a capture too.
    """
    if answer := answer_in(path, record):
        return _told(answer, record, warc)
    found = capture_of(record, warc)
    if isinstance(found, Drop) or found.body != CUT or len(record.block) == record.block_bytes:
        return found
    return capture_of(whole_record(path, record, BLOCK_BYTES_MAX), warc)


def is_by_id(capture: Capture) -> bool:
    """Whether this is a revisit that names its original by record id, and not where it was."""
    return capture.kind == "revisit" and bool(capture.refers_to) and not capture.target_key


def same_id(record_id: str) -> str:
    """A record's id in one form: in `<>`, which some writers leave out, a UUID in lower case."""
    bare = record_id.strip("<> \t")
    if bare.lower().startswith("urn:uuid:"):
        bare = bare.lower()
    return f"<{bare}>" if bare else ""


def same_digest(digest: str) -> str:
    """A payload's digest in one form: `sha1:` and base 32 in capitals, other numbers in hex."""
    algorithm, colon, value = digest.strip().partition(":")
    if not colon:
        return digest.strip()
    algorithm = algorithm.lower().replace("-", "")
    if _SHA_1_HEX.fullmatch(value) and algorithm == "sha1":
        value = b32encode(bytes.fromhex(value)).decode()
    elif _BASE_32.fullmatch(value):
        value = value.upper()
    elif _HEX.fullmatch(value):
        value = value.lower()
    return f"{algorithm}:{value}"


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
    if _says_page(response):
        mime = media_type(response.headers)[0]
        if mime not in PAGE_TYPES:
            return response, Reason.NOT_A_PAGE.value, mime
        if segment := record.headers.get("warc-segment-number"):
            return response, Reason.UNREADABLE.value, f"it is segment {segment} of a page"
    return response, "", ""


def _says_page(response: Response) -> bool:
    return response.status in PAGE_STATUSES or _is_all(response)


def _is_all(response: Response) -> bool:
    """Whether this is a 206 that holds everything."""
    if response.status != PARTIAL:
        return False
    found = _CONTENT_RANGE.fullmatch(response.header("Content-Range").strip())
    return found is not None and int(found[1]) + 1 == int(found[2])


def _body(record: Record, response: Response) -> tuple[str, bytes]:
    """What is known of a page's body, and how it begins; nothing of other records."""
    if record.kind == "revisit" or not _says_page(response):
        return "", b""
    begins = beginning(
        response.body,
        transfer_encoding=all_values(response.headers, "transfer-encoding"),
        content_encoding=all_values(response.headers, "content-encoding"),
        count=HEAD_BYTES,
    )
    if isinstance(begins, Drop):
        return NONE, b""
    received = record.block_bytes - (len(record.block) - len(response.body))
    # More than was promised is a body that the archive has unpacked, and less may be one too.
    lacks = received < _promised(response) and not begins.is_unpacked
    if record.headers.get("warc-truncated") or begins.is_cut or lacks:
        return CUT, begins.head
    return ALL if response.status == PARTIAL else "", begins.head


def _promised(response: Response) -> int:
    """The bytes that the body has by its headers, 0 where they do not say.

    Transfer-Encoding overrides Content-Length (RFC 9112, 6.3).
    """
    if all_values(response.headers, "transfer-encoding"):
        return 0
    # One that was sent twice is a list of equal numbers.
    lengths = {value.strip() for value in all_values(response.headers, "content-length").split(",")}
    promised = (whole_number(lengths.pop()) if len(lengths) == 1 else None) or 0
    found = _CONTENT_RANGE.fullmatch(response.header("Content-Range").strip())
    return max(promised, int(found[2]) if found and response.status == PARTIAL else 0)


def _target(
    record: Record, response: Response, base: str, head: bytes, charset: str
) -> Canonical | None:
    """Where a redirect leads, or the URL of the capture that a revisit repeats."""
    if response.status in REDIRECT_STATUSES:
        address = _header_utf8(response, "Location")
        try:
            address = urljoin(base, address) if address else ""
        except ValueError:  # an unmatched bracket in the host
            return None
    elif record.kind == "revisit":
        address = record.headers.get("warc-refers-to-target-uri", "").strip("<> ")
    else:
        refresh = _header_utf8(response, "Refresh")
        address = refresh_address(head, refresh, base, charset) if head else ""
    target = page_url(address)[0] if address else None
    return None if isinstance(target, Drop) else target


def _preferences(record: Record, response: Response, head: bytes, charset: str) -> str:
    """What the owner asks by this record; a `resource` has no headers of HTTP."""
    if record.kind == "revisit":
        return str(of_page(response.headers, None)) if response.headers else ""
    if not _says_page(response):
        return ""
    return str(of_page(None if record.kind == "resource" else response.headers, head, charset))


def _is_robots(record: Record, response: Response, url: Canonical) -> bool:
    """Whether this is a robots.txt, or the answer that there is none (RFC 9309, 2.3.1)."""
    is_answer = response.status in PAGE_STATUSES or 400 <= response.status < 500
    return record.kind == "response" and is_answer and urlsplit(url.url).path == ROBOTS_PATH


def _robots_txt(response: Response) -> str:
    """Its text; "" where there is none. What lies in a record's beginning is enough."""
    if response.status not in PAGE_STATUSES:
        return ""
    begins = beginning(
        response.body,
        transfer_encoding=all_values(response.headers, "transfer-encoding"),
        content_encoding=all_values(response.headers, "content-encoding"),
        count=ROBOTS_BYTES_MAX,
    )
    return "" if isinstance(begins, Drop) else begins.head.decode("utf-8", "replace")


def _header_utf8(response: Response, name: str) -> str:
    """Servers send UTF-8 in addresses, which was read as Latin-1 like all headers.

    Other bytes are escaped one by one, as browsers do.
    """
    value = response.header(name)
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return re.sub("[\x80-\xff]", lambda found: f"%{ord(found[0]):02X}", value)


def _kind(record: Record, response: Response, url: Canonical, target: Canonical | None) -> str:
    if response.status in REDIRECT_STATUSES and target:
        return "redirect"
    if record.kind == "revisit":
        return "revisit"
    # A page that leads to itself, as to be read anew, is a page.
    return "redirect" if target and target.key != url.key else "response"
