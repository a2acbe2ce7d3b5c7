"""The elements `<meta>` and `<base>` in the beginning of a page, as a browser finds them.

What stands in a comment, a script, a style or `<noscript>` is not there.
"""

import re
from collections.abc import Iterator
from html import unescape

from pipeline.documents.labels import CODEC_OF_NAME, NAME_OF_LABEL
from pipeline.documents.plain import utf_16
from pipeline.documents.prescan import declared_charset

# What hides the tags in it, which may lack its end, and tags: a quoted value may hold others.
_HIDDEN = b"script|style|noscript|title|textarea|template|xmp|iframe|noembed|noframes"
_PIECE = re.compile(
    rb"<!--(?:-?>|.*?(?:--!?>|\Z))"
    rb"|<(" + _HIDDEN + rb")\b.*?(?:</\1\b|\Z)"
    rb"|<([a-z][^\s/>]*+)((?:[^>=]|=\s*+(?:\"[^\"]*\"|'[^']*')?)*+)(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(rb"([^\s\"'>/=]+)\s*(?:=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]*)))?")


def head_tags(head: bytes, charset: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """The name ("meta", "base") and the attributes of each, in order; of equal ones the first.

    `head` is the beginning of the page, `charset` the label that its Content-Type has.
    """
    for piece in _PIECE.finditer(_as_utf_8(head, charset)):
        tag = (piece[2] or b"").lower()
        if tag not in (b"meta", b"base") or not piece[0].endswith(b">"):
            continue
        attributes: dict[str, str] = {}
        for name, *values in _ATTRIBUTE.findall(piece[3]):
            attributes.setdefault(_text(name).lower(), _text(b"".join(values)))
        yield tag.decode(), attributes


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


def _text(value: bytes) -> str:
    try:
        return unescape(value.decode())
    except UnicodeDecodeError:
        return unescape(value.decode("latin-1"))
