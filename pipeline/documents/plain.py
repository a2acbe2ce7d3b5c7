"""Whether bytes are text as they stand, and not packed: told by their beginning."""

import re

SEARCH_BYTES = 1024
# Packed bytes have 11 % control characters; pages have some by accident, and none at the start,
# where stored (not compressed) blocks have theirs.
CLEAN_BYTES = 16
CONTROL_SHARE_MAX = 0.02

_TAG = re.compile(rb"<[a-zA-Z!?]")
# An escape that changes the charset of ISO-2022 is text.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]|\x1b(?![$(])")
_OTHERS = bytes(byte for byte in range(256) if byte in b"\t\n\f\r" or 0x20 <= byte != 0x7F)
_UTF_16_SEARCH_BYTES = 4096
_UTF_16_MARKS = {b"\xff\xfe": "utf-16le", b"\xfe\xff": "utf-16be"}


def has_controls(body: bytes) -> bool:
    """Whether control characters stand near the beginning, in what is not marked as UTF-16."""
    head = body[:SEARCH_BYTES]
    if not head.translate(None, _OTHERS):  # ten times as fast as the search
        return False
    return _CONTROL.search(head) is not None and body[:2] not in _UTF_16_MARKS


def is_text(body: bytes) -> bool:
    """Whether this is text in any charset, UTF-16 too; a few control characters are accidents."""
    if not has_controls(body):
        return True
    head = body[:SEARCH_BYTES]
    if utf_16(body):
        head = head.replace(b"\0", b"")
    is_clean = _CONTROL.search(head, 0, CLEAN_BYTES) is None
    return is_clean and len(_CONTROL.findall(head)) <= CONTROL_SHARE_MAX * len(head)


def is_markup(body: bytes) -> bool:
    """Whether this is text with a tag near its beginning."""
    if not is_text(body):
        return False
    head = body[:SEARCH_BYTES]
    return _TAG.search(head) is not None or (
        b"\0" in head and _TAG.search(head.replace(b"\0", b"")) is not None
    )


def utf_16(body: bytes) -> str:
    """ "utf-16le" or "utf-16be" by the mark or the zeros, "" for other bytes.

    Without a mark markup shows it, which has a zero in every other byte.
    """
    if marked := _UTF_16_MARKS.get(body[:2]):
        return marked
    head = body[:_UTF_16_SEARCH_BYTES]
    if b"\0" not in head:
        return ""
    even, odd, half = head[0::2].count(0), head[1::2].count(0), max(1, len(head) // 2)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16le"
    return "utf-16be" if even > 0.4 * half and odd < 0.1 * half else ""
