"""A response's body as the bytes of a file: transfer and content encodings undone, under a cap.

Servers say one thing and send another, and archives undo an encoding and keep its header. So a
header is a hint: bytes that are text as they stand are taken as they stand, and bytes that show
another encoding than the header names, or one that it does not name, are decoded by that. They
show it by their first bytes (gzip, zstd, zlib), by chunk sizes that fit, by an end that fits, or by
giving markup. A body that ends too early gives what came before its end. Nothing is ever inflated
past the cap: a bomb stops at the first byte above it.
"""

import re
from dataclasses import dataclass

from pipeline.documents.plain import has_controls, is_text
from pipeline.documents.unpack import (
    DamagedError,
    Undone,
    is_surely_chunked,
    shown_by,
    starts_chunk,
    unchunk,
    unpack,
)
from pipeline.reasons import Drop, Reason

# curl refuses a response with more than five encodings in a row.
ENCODINGS_MAX = 5
# To tell whether a body is whole it is unpacked so far; what is larger is taken for whole.
WHOLE_BYTES_MAX = 16 << 20

_CONTENT = re.compile(rb"[^ \t\r\n\0]")

# How files of other kinds begin. Only prefixes that no page starts with: "BM" (bitmap) and "MZ"
# (program) are words too, so they are told by the byte after.
_MAGIC = {
    b"%PDF-": "PDF",
    b"%!PS": "PostScript",
    b"{\\rtf": "RTF",
    b"\x89PNG": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"\0\0\1\0": "icon",
    b"8BPS": "Photoshop",
    b"AT&TFORM": "DjVu",
    b"PK\3\4": "zip",
    b"PK\5\6": "zip",
    b"\x1f\x8b": "gzip",
    b"\x1f\x9d": "compress",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a": "RAR",
    b"MSCF\0": "cabinet",
    b"ID3": "MP3",
    b"\xff\xfb": "MP3",
    b"\xff\xf3": "MP3",
    b"OggS": "Ogg",
    b"fLaC": "FLAC",
    b"MThd\0": "MIDI",
    b".RMF": "RealMedia",
    b"FLV\1": "Flash video",
    b"FWS": "Flash",
    b"CWS": "Flash",
    b"\x1a\x45\xdf\xa3": "Matroska",
    b"\x30\x26\xb2\x75\x8e\x66": "Windows Media",
    b"\0\0\1\xba": "MPEG",
    b"\0\0\1\xb3": "MPEG",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "Office",
    b"MZ\x90": "program",
    b"\x7fELF": "program",
    b"\xca\xfe\xba\xbe": "Java class",
    b"wOFF": "font",
    b"wOF2": "font",
    b"OTTO\0": "font",
    b"\0\1\0\0\0": "font",
    b"SQLite format 3\0": "SQLite",
    b"\xed\xab\xee\xdb": "RPM",
}
_MAGIC_LENGTHS = sorted({len(magic) for magic in _MAGIC})
_RIFF_KINDS = {b"WAVE", b"AVI ", b"WEBP"}


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a body begins, and what its encodings tell of the rest."""

    head: bytes
    is_cut: bool  # it ends before one of its encodings does
    is_unpacked: bool  # a content encoding is said, and the body has none


@dataclass(slots=True)
class _Body:
    """A body while its encodings are undone."""

    content: bytes
    is_cut: bool = False
    unpacked: int = 0  # content encodings that it had

    def take(self, undone: Undone) -> None:
        self.content = undone[0]
        self.is_cut |= undone[1]


def decode_body(
    body: bytes, *, transfer_encoding: str, content_encoding: str, bytes_max: int
) -> bytes | Drop:
    """Give back the body with all its encodings undone, at most `bytes_max` bytes.

    The two headers are given as received (`gzip, chunked`), `""` where absent. Drops:
    PAGE_EMPTY, BODY_TOO_LARGE, BODY_UNDECODABLE (nothing decodes, or an unknown encoding, and the
    bytes are neither text nor a file of a known kind).
    """
    if len(body) > bytes_max:
        return Drop(Reason.BODY_TOO_LARGE, f"{len(body)} bytes")
    decoded = _decoded_body(body, transfer_encoding, content_encoding, bytes_max)
    if isinstance(decoded, Drop):
        return decoded
    if len(decoded.content) > bytes_max:
        return Drop(Reason.BODY_TOO_LARGE, f"over {bytes_max} bytes when decoded")
    return decoded.content if _has_content(decoded.content) else Drop(Reason.PAGE_EMPTY)


def beginning(
    body: bytes, *, transfer_encoding: str, content_encoding: str, count: int
) -> Beginning | Drop:
    """The first `count` bytes of what `decode_body` would give, and whether the body was cut.

    Unpacks at most WHOLE_BYTES_MAX: a larger one counts as whole. Drops: PAGE_EMPTY,
    BODY_UNDECODABLE.
    """
    decoded = _decoded_body(body, transfer_encoding, content_encoding, WHOLE_BYTES_MAX)
    if isinstance(decoded, Drop):
        return decoded
    if not _has_content(decoded.content):
        return Drop(Reason.PAGE_EMPTY)
    is_unpacked = bool(_labels(content_encoding)) and not decoded.unpacked
    return Beginning(decoded.content[:count], decoded.is_cut, is_unpacked)


def _decoded_body(
    body: bytes, transfer_encoding: str, content_encoding: str, bytes_max: int
) -> _Body | Drop:
    """The body decoded; where an encoding gives more than `bytes_max`, what that one gave."""
    transfer, content = _labels(transfer_encoding), _labels(content_encoding)
    if len(transfer) + len(content) > ENCODINGS_MAX:
        return Drop(Reason.BODY_UNDECODABLE, f"{len(transfer) + len(content)} encodings in a row")
    made = _Body(body)
    for label in (*reversed(transfer), "chunked, unsaid", *reversed(content)):
        try:
            _undo(label, made, bytes_max)
        except DamagedError:
            return Drop(Reason.BODY_UNDECODABLE, label)
        if len(made.content) > bytes_max:
            return made
    for _ in range(ENCODINGS_MAX):
        if len(made.content) > bytes_max or not _may_be_packed(made.content):
            break
        try:
            _take_unpacked("", made, bytes_max)
        except DamagedError:  # another kind of file
            break
    return made


def _has_content(body: bytes) -> bool:
    return _CONTENT.search(body) is not None


def file_kind(body: bytes) -> str:
    """Name the kind of file that the first bytes announce, or "" where they may be a page."""
    for length in _MAGIC_LENGTHS:
        if kind := _MAGIC.get(body[:length]):
            return kind
    if body[4:8] == b"ftyp":
        return "MP4"
    if body[:4] == b"RIFF" and body[8:12] in _RIFF_KINDS:
        return "RIFF"
    if body[:2] == b"BM" and body[6:10] == b"\0\0\0\0":
        return "bitmap"
    if body[257:262] == b"ustar":
        return "tar"
    return "PDF" if body[:64].lstrip().startswith(b"%PDF-") else ""


def _labels(header: str) -> list[str]:
    labels = (label.partition(";")[0].strip(" \t\"'").lower() for label in header.split(","))
    return [label for label in labels if label not in ("", "identity", "none")]


def _may_be_packed(body: bytes) -> bool:
    """Whether these bytes are neither clean text nor a file of a kind that no server packs."""
    return has_controls(body) and file_kind(body) in ("", "gzip", "zstd")


def _undo(label: str, made: _Body, bytes_max: int) -> None:
    """Take this encoding off the body; nothing where it does not have it. Raises DamagedError."""
    if label == "chunked, unsaid":
        if is_surely_chunked(made.content):
            made.take(unchunk(made.content))
    elif label == "chunked":
        # Archives undo the chunks and keep the header, also over bodies that are still gzip.
        if starts_chunk(made.content):
            made.take(unchunk(made.content))
    # Asked before: brotli and raw deflate make something of almost any bytes.
    elif _may_be_packed(made.content):
        _take_unpacked(label, made, bytes_max)


def _take_unpacked(label: str, made: _Body, bytes_max: int) -> None:
    """Unpack the body; text with a control character stays where it does not unpack to its end."""
    is_plain = is_text(made.content) and shown_by(made.content) not in ("gzip", "zstd")
    try:
        undone = unpack(label, made.content, bytes_max)
    except DamagedError:
        if is_plain:
            return
        raise
    if not (undone[1] and is_plain):
        made.take(undone)
        made.unpacked += 1
