"""Where a page sends its reader by itself: `<meta http-equiv=refresh>`, or a `Refresh` header.

As browsers do, by the HTML standard's shared declarative refresh steps (4.2.5.3): what stands in a
comment, a script, a style or `<noscript>` is not there, and a relative URL is relative to `<base>`.
"""

import re
from html import unescape
from urllib.parse import urljoin

from pipeline.documents.labels import CODEC_OF_NAME, NAME_OF_LABEL
from pipeline.documents.plain import utf_16
from pipeline.documents.prescan import declared_charset

WAIT_MAX_S = 10  # who reads for longer than that has read a page
# Of 2,735 real pages 23 have a refresh, the last at byte 11,512; the two that lead elsewhere within
# ten seconds have it before byte 600. To look costs 25 us a page, its extraction 30 ms.
HEAD_BYTES = 16 << 10

# What hides the tags in it, which may lack its end, and tags: a quoted value may hold others.
_HIDDEN = b"script|style|noscript|title|textarea|template|xmp|iframe|noembed|noframes"
_PIECE = re.compile(
    rb"<!--(?:-?>|.*?(?:--!?>|\Z))"
    rb"|<(" + _HIDDEN + rb")\b.*?(?:</\1\b|\Z)"
    rb"|<([a-z][^\s/>]*+)((?:[^>=]|=\s*+(?:\"[^\"]*\"|'[^']*')?)*+)(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"([^\s\"'>/=]+)\s*(?:=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]*)))?")
_REFRESH = re.compile(
    r"\s*+(?=[\d.])0*+(\d*+)(?:\.[\d.]*+)?(?:\s*+[;,]\s*+|\s++)(?:url\s*+=\s*+)?"
    r"(?:\"([^\"]*+)|'([^']*+)|(.*+))",
    re.IGNORECASE | re.DOTALL,
)


def refresh_address(head: bytes, header: str, base: str, charset: str = "") -> str:
    """The absolute address that a page at `base` leads to within WAIT_MAX_S seconds, or "".

    `head` is the beginning of the page, `header` the value of its `Refresh` header, `charset` the
    label that its Content-Type has.
    """
    if address := _address(header):
        return _join(base, address)
    if b"refresh" not in head.replace(b"\0", b"").lower():
        return ""
    for piece in _PIECE.finditer(_as_utf_8(head, charset)):
        tag = (piece[2] or b"").lower()
        if tag not in (b"meta", b"base") or not piece[0].endswith(b">"):
            continue
        attributes: dict[bytes, str] = {}
        for name, *values in _ATTRIBUTE.findall(piece[3]):
            attributes.setdefault(name.lower(), _text(b"".join(values)))
        if tag == b"base":
            base = _join(base, attributes.get(b"href", ""))
        elif attributes.get(b"http-equiv", "").strip().lower() == "refresh" and (
            address := _address(attributes.get(b"content", ""))
        ):
            return _join(base, address)
    return ""


def _as_utf_8(head: bytes, charset: str) -> bytes:
    """The beginning of a page in UTF-8, where it is in another charset that is known."""
    name = utf_16(head) or NAME_OF_LABEL.get(charset.lower(), "") or declared_charset(head)
    if name in ("", "utf-8") or (not utf_16(head) and _is_utf_8(head)):
        return head
    return head.decode(CODEC_OF_NAME[name], "replace").encode()


def _is_utf_8(head: bytes) -> bool:
    """Whether this is UTF-8, whose last character may be torn; ISO-2022-JP is ASCII and is none."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return len(head) - error.start < 4 and error.reason == "unexpected end of data"
    return b"\x1b" not in head


def _address(content: str) -> str:
    """The URL in the value of a refresh, "" where it names none or waits too long."""
    found = _REFRESH.match(content)
    if not found:
        return ""
    seconds = found[1] or "0"
    if len(seconds) > 2 or int(seconds) > WAIT_MAX_S:
        return ""
    return next((part.strip() for part in found.groups()[1:] if part), "")


def _join(base: str, address: str) -> str:
    try:
        return urljoin(base, address)
    except ValueError:  # an unmatched bracket in the host
        return base


def _text(value: bytes) -> str:
    try:
        return unescape(value.decode())
    except UnicodeDecodeError:
        return unescape(value.decode("latin-1"))
