"""What one answer means for the link that asked: a page, a way on, or an outcome without a page."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import can_ada
from isal import isal_zlib

from pipeline.documents.decode import decode_body
from pipeline.documents.plain import has_controls
from pipeline.links.canonical import canonical
from pipeline.pages.archive.outcomes import Outcome
from pipeline.pages.capture import PAGE_STATUSES, PAGE_TYPES, REDIRECT_STATUSES
from pipeline.pages.fetch.transport import Received
from pipeline.pages.frames import GZIP_MAGIC
from pipeline.pages.owners.preferences import Preferences, merged, of_page, verdict
from pipeline.pages.refresh import HEAD_BYTES, refresh_address
from pipeline.pages.warc import all_values, first_header
from pipeline.reasons import Drop

# Of an answer that is no page so much is stored: enough for people to see what it was.
ERROR_BYTES_MAX = 64 << 10
RETRY_AFTER_MAX_S = 3600.0
RETRY_AFTER_S = 30.0  # where a server is busy, and does not say for how long
BUSY_STATUSES = frozenset({429, 503})
PASSING_STATUSES = frozenset({408, 425})
DEFLATE_RATIO_MAX = 1_032  # deflate makes no more of a byte
# What the beginning of a page must have in it to say something of its use, or to lead elsewhere.
_WORDS = (b"noai", b"noimageai", b"tdm-reservation", b"refresh")
NO_PREFERENCES = Preferences()  # nothing was looked at


@dataclass(frozen=True, slots=True)
class Meaning:
    """With a `target` the answer lies there, else `outcome` is it.

    `is_stored`: whether the answer may be kept; the metadata record tells of it all the same.
    """

    outcome: Outcome
    detail: str = ""
    target: str = ""
    preferences: Preferences = NO_PREFERENCES
    is_stored: bool = True
    wait_s: float = 0.0  # what the server asked for before anything else is asked


def body_cap(page_bytes_max: int, got: Received) -> int:
    """How many bytes of a body are wanted. One that is too large by its header is not begun."""
    if got.status not in PAGE_STATUSES:
        return ERROR_BYTES_MAX
    if got.type[0] not in PAGE_TYPES:
        return 0
    told = first_header(got.headers, "content-length").strip()
    is_larger = told.isdigit() and len(told) < 19 and int(told) > page_bytes_max
    return 0 if is_larger else page_bytes_max


def meaning_of(
    got: Received, known: Preferences, respect: Collection[str], decoded_bytes_max: int
) -> Meaning:
    """What an answer to a page's URL means; `known` are the preferences of the site's files."""
    if got.status == 0:
        return Meaning(got.fault or Outcome.HTTP_INVALID, got.detail, preferences=known)
    if got.status in PAGE_STATUSES and not got.fault:
        return _page(got, known, respect, decoded_bytes_max)
    preferences = merged(known, of_page(got.headers, None))
    if got.fault:
        return Meaning(got.fault, got.detail, preferences=preferences)
    if got.status in REDIRECT_STATUSES:
        if location := _utf8(first_header(got.headers, "location")):
            return _way_on(got.url, location, preferences)
        return Meaning(Outcome.REDIRECT_LOST, "it does not say to where", preferences=preferences)
    return _error(got, preferences)


def _page(
    got: Received, known: Preferences, respect: Collection[str], decoded_bytes_max: int
) -> Meaning:
    """What an answer with a page's status means."""
    mime, charset = got.type
    is_page = mime in PAGE_TYPES
    if not is_page or got.truncated == "length":
        outcome = Outcome.BODY_TOO_LARGE if is_page else Outcome.NOT_A_PAGE
        detail = "" if is_page else mime
        preferences = merged(known, of_page(got.headers, None))
        return Meaning(outcome, detail, preferences=preferences, is_stored=not is_page)
    body = _decoded(got, max(decoded_bytes_max, len(got.body)))
    if isinstance(body, Drop):
        preferences = merged(known, of_page(got.headers, None))
        is_bomb = body.reason.value == Outcome.BODY_TOO_LARGE
        return Meaning(
            Outcome(body.reason.value), body.detail, preferences=preferences, is_stored=not is_bomb
        )
    head = body[:HEAD_BYTES]
    refresh = first_header(got.headers, "refresh")
    lower = head.replace(b"\0", b"").lower()
    if not (refresh or any(word in lower for word in _WORDS)):  # most pages
        head = b""
    preferences = merged(known, of_page(got.headers, head, charset))
    if forbidden := verdict(preferences, respect):
        outcome = Outcome(forbidden.reason.value)
        return Meaning(outcome, forbidden.detail, preferences=preferences, is_stored=False)
    if address := refresh_address(head, _utf8(refresh), got.url, charset):
        there, here = canonical(address), canonical(got.url)
        if not isinstance(there, Drop) and not isinstance(here, Drop) and there.key != here.key:
            return _way_on(got.url, address, preferences)
    return Meaning(Outcome.CAPTURED, preferences=preferences)


def _decoded(got: Received, bytes_max: int) -> bytes | Drop:
    """The page without its encodings: the common cases fast, all others as extraction does.

    Of gzip that is too short to hold more than `bytes_max` only the beginning is unpacked.
    """
    encoding = all_values(got.headers, "content-encoding").strip().lower()
    if encoding in ("gzip", "x-gzip") and got.body.startswith(GZIP_MAGIC):
        stream = isal_zlib.decompressobj(31)
        is_small = len(got.body) * DEFLATE_RATIO_MAX <= bytes_max
        try:
            found: bytes = stream.decompress(got.body, HEAD_BYTES if is_small else bytes_max + 1)
        except isal_zlib.IsalError:  # type: ignore[misc]  # its stub says no class
            found = b""
        is_known = stream.eof or (is_small and len(found) == HEAD_BYTES)
        if is_known and not stream.unused_data and _is_plain(found, bytes_max):
            return found
    elif not encoding and _is_plain(got.body, bytes_max):
        return got.body
    return decode_body(
        got.body, transfer_encoding="", content_encoding=encoding, bytes_max=bytes_max
    )


def _is_plain(body: bytes, bytes_max: int) -> bool:
    """Whether this is markup as it stands, which nothing has to be undone of."""
    return len(body) <= bytes_max and body.lstrip()[:1] == b"<" and not has_controls(body)


def _way_on(base: str, address: str, preferences: Preferences) -> Meaning:
    target = joined(base, address)
    if not target:
        return Meaning(Outcome.URL_INVALID, f"a redirect to {address}", preferences=preferences)
    return Meaning(Outcome.REDIRECT_LOST, "", target, preferences)


def _error(got: Received, preferences: Preferences) -> Meaning:
    told = f"status {got.status}"
    if got.status in BUSY_STATUSES:
        wait_s = retry_after_s(first_header(got.headers, "retry-after"), got.time_s)
        return Meaning(Outcome.SERVER_BUSY, told, preferences=preferences, wait_s=wait_s)
    if got.status >= 500 or got.status in PASSING_STATUSES:
        return Meaning(Outcome.SERVER_ERROR, told, preferences=preferences)
    return Meaning(Outcome.STATUS_ERROR, told, preferences=preferences)


def joined(base: str, address: str) -> str:
    """An absolute address as browsers write it, without its fragment; "" if there is none."""
    try:
        return str(can_ada.parse(urljoin(base, address)).href).partition("#")[0]
    except (ValueError, TypeError):
        return ""


def retry_after_s(told: str, now_s: float) -> float:
    """Seconds that a Retry-After asks for: a number or a date (RFC 9110, 10.2.3)."""
    told = told.strip()
    if told.isascii() and told.isdigit():
        return min(RETRY_AFTER_MAX_S, float(told[:9]))
    try:
        moment = parsedate_to_datetime(told)
    except (ValueError, TypeError, IndexError):
        return RETRY_AFTER_S
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(RETRY_AFTER_MAX_S, max(0.0, moment.timestamp() - now_s))


def _utf8(value: str) -> str:
    """Servers send UTF-8 in addresses, which was read as Latin-1; other bytes are escaped."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeDecodeError:
        return re.sub("[\x80-\xff]", lambda found: f"%{ord(found[0]):02X}", value)
