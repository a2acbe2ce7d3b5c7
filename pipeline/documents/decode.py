"""A response's body as the bytes of a file: transfer and content encodings undone, under a cap.

Servers say one thing and send another, and archives undo an encoding and keep its header. So a
header is a hint: bytes that are markup as they stand are taken as they stand, and bytes that show
another encoding than the header names, or one that it does not name, are decoded by that. They
show it by their first bytes (gzip, zstd, zlib), by chunk sizes that fit, or by giving markup. A
body that ends too early gives what came before its end. Nothing is ever inflated past the cap: a
bomb stops at the first byte above it.
"""

import io
import re
import zlib
from collections.abc import Callable

import brotli
import zstandard

from pipeline.reasons import Reason
from pipeline.records import Drop

# curl refuses a response with more than five encodings in a row.
ENCODINGS_MAX = 5
# RFC 9659: zstd as a content encoding has a window of 8 MiB or less.
ZSTD_WINDOW_BYTES = 8 << 20
MARKUP_SEARCH_BYTES = 1024
# zlib and brotli hand nothing back from the call that meets the damage, so input goes in by
# pieces of this size, and no more than a piece is lost.
STEP_BYTES = 1024
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZLIB_MAGIC = frozenset({b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"})

# Blank lines before a chunk's size, or before packed bytes, come from servers that end their
# header twice.
_CHUNK_SIZE = re.compile(rb"[\r\n]{0,8}[ \t]*0{0,16}([0-9a-fA-F]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")
_NEXT_CHUNK = re.compile(rb"\r?\n[0-9a-fA-F]{1,8}[ \t]*(?:;[^\n]*)?\r?\n")
_TAG = re.compile(rb"<[a-zA-Z!?]")
_CONTENT = re.compile(rb"[^ \t\r\n\0]")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")

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


class _DamagedError(Exception):
    """Not one byte of the body decodes."""


def decode_body(
    body: bytes, *, transfer_encoding: str, content_encoding: str, bytes_max: int
) -> bytes | Drop:
    """Give back the body with all its encodings undone, at most `bytes_max` bytes.

    The two headers are given as received (`gzip, chunked`), `""` where absent. Drops:
    PAGE_EMPTY, BODY_TOO_LARGE, BODY_UNDECODABLE (nothing decodes, or an unknown encoding, and the
    bytes are no markup).
    """
    if len(body) > bytes_max:
        return Drop(Reason.BODY_TOO_LARGE, f"{len(body)} bytes")
    decoded = _decoded_body(body, transfer_encoding, content_encoding, bytes_max, cut=False)
    if isinstance(decoded, Drop):
        return decoded
    if len(decoded) > bytes_max:
        return Drop(Reason.BODY_TOO_LARGE, f"over {bytes_max} bytes when decoded")
    return decoded if _has_content(decoded) else Drop(Reason.PAGE_EMPTY)


def first_bytes(
    body: bytes, *, transfer_encoding: str, content_encoding: str, count: int
) -> bytes | Drop:
    """The first `count` bytes of what `decode_body` would give; no more than that is unpacked.

    `body` may be the beginning of a longer one. Drops: PAGE_EMPTY, BODY_UNDECODABLE.
    """
    # Not less than this: what is packed twice needs the inner beginning.
    bytes_max = max(count, 16 * STEP_BYTES)
    decoded = _decoded_body(body, transfer_encoding, content_encoding, bytes_max, cut=True)
    if isinstance(decoded, Drop):
        return decoded
    return decoded[:count] if _has_content(decoded) else Drop(Reason.PAGE_EMPTY)


def _decoded_body(
    body: bytes, transfer_encoding: str, content_encoding: str, bytes_max: int, *, cut: bool
) -> bytes | Drop:
    """The body decoded; each encoding stops at the first byte above `bytes_max`.

    With `cut` the next one goes on with what there is; else the body is given back as too large.
    """
    transfer, content = _labels(transfer_encoding), _labels(content_encoding)
    if len(transfer) + len(content) > ENCODINGS_MAX:
        return Drop(Reason.BODY_UNDECODABLE, f"{len(transfer) + len(content)} encodings in a row")
    for label in (*reversed(transfer), "chunked, unsaid", *reversed(content)):
        try:
            body = _undo(label, body, bytes_max)
        except _DamagedError:
            return Drop(Reason.BODY_UNDECODABLE, label)
        if len(body) > bytes_max and not cut:
            return body
    for _ in range(ENCODINGS_MAX):
        if not _may_be_packed(body) or (len(body) > bytes_max and not cut):
            break
        try:
            body = _unpack("", body, bytes_max)
        except _DamagedError:  # another kind of file
            break
    return body


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


def _is_markup(body: bytes) -> bool:
    # Compressed bytes have control characters almost at once.
    head = body[:MARKUP_SEARCH_BYTES]
    return _TAG.search(head) is not None and _CONTROL.search(head) is None


def _may_be_packed(body: bytes) -> bool:
    """Whether these bytes are neither text nor a file of a kind that no server packs pages in."""
    is_text = _CONTROL.search(body[:MARKUP_SEARCH_BYTES]) is None
    return not is_text and file_kind(body) in ("", "gzip", "zstd")


def _undo(label: str, body: bytes, bytes_max: int) -> bytes:
    """The body without this encoding; as it is where it does not have it."""
    if label == "chunked, unsaid":
        return _unchunk(body) if _is_surely_chunked(body) else body
    if label == "chunked":
        # Archives undo the chunks and keep the header, also over bodies that are still gzip.
        return _unchunk(body) if _CHUNK_SIZE.match(body) else body
    # Asked before: brotli and raw deflate make something of almost any bytes.
    return body if _is_markup(body) else _unpack(label, body, bytes_max)


def _unpack(label: str, body: bytes, bytes_max: int) -> bytes:
    """The body unpacked by what its bytes show, or by the decoder of this name.

    Where neither gives markup it is asked of those that cannot be told by first bytes. Without a
    name only markup, or a known magic within, is believed.
    """
    packed = body.lstrip(b"\r\n")
    shown = _shown_by(packed)
    fallback: bytes | None = None
    for name, data in ((shown, packed), (label, body), ("deflate", packed), ("br", packed)):
        if name not in _DECODERS:
            continue
        try:
            found = _DECODERS[name](data, bytes_max)
        except _DamagedError:
            continue
        if _is_markup(found):
            return found
        sure = name == shown and (_shown_by(found) or (label and shown != "deflate"))
        if fallback is None and (sure or name == label):
            fallback = found
    if fallback is None:
        raise _DamagedError
    return fallback


def _shown_by(body: bytes) -> str:
    """The encoding that the first bytes announce, or ""."""
    if body.startswith(GZIP_MAGIC):
        return "gzip"
    if body.startswith(ZSTD_MAGIC):
        return "zstd"
    return "deflate" if body[:2] in ZLIB_MAGIC else ""


def _is_surely_chunked(body: bytes) -> bool:
    """Whether a first chunk is followed by the size of a second one."""
    size = _CHUNK_SIZE.match(body)
    return bool(size and _NEXT_CHUNK.match(body, size.end() + int(size[1], 16)))


def _unchunk(body: bytes) -> bytes:
    pieces: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(body, at):
        at = size.end() + int(size[1], 16)
        pieces.append(body[size.end() : at])
        if len(pieces[-1]) == 0:
            break
    return b"".join(pieces)


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    # Members may follow each other; whatever else follows the last is padding.
    pieces: list[bytes] = []
    at, left = 0, bytes_max
    while body.startswith(GZIP_MAGIC, at) and left >= 0:
        try:
            piece, at = _inflate(body, at, zlib.MAX_WBITS | 16, left)
        except _DamagedError:
            break
        pieces.append(piece)
        left -= len(piece)
    if not pieces:
        raise _DamagedError
    return b"".join(pieces)


def _undeflate(body: bytes, bytes_max: int) -> bytes:
    # "deflate" means zlib (RFC 9110), yet some servers send the raw stream without its header.
    try:
        return _inflate(body, 0, zlib.MAX_WBITS, bytes_max)[0]
    except _DamagedError:
        return _inflate(body, 0, -zlib.MAX_WBITS, bytes_max)[0]


def _inflate(body: bytes, start: int, wbits: int, bytes_max: int) -> tuple[bytes, int]:
    """Inflate the stream at `start` to at most `bytes_max + 1` bytes; say also where it ends.

    A torn or damaged stream gives what came before and ends with the body; where that is nothing,
    _DamagedError is raised.
    """
    stream = zlib.decompressobj(wbits)
    pieces: list[bytes] = []
    left = bytes_max + 1
    try:
        for at in range(start, len(body), STEP_BYTES):
            pieces.append(stream.decompress(body[at : at + STEP_BYTES], left))
            left -= len(pieces[-1])
            if stream.eof:
                end = min(at + STEP_BYTES, len(body)) - len(stream.unused_data)
                return b"".join(pieces), end
            if left <= 0:
                break
    except zlib.error:
        pass
    return _decoded(pieces), len(body)


def _unbrotli(body: bytes, bytes_max: int) -> bytes:
    stream = brotli.Decompressor()
    pieces: list[bytes] = []
    left = bytes_max + 1
    try:
        for at in range(0, len(body), STEP_BYTES):
            pieces.append(stream.process(body[at : at + STEP_BYTES], output_buffer_limit=left))
            left -= len(pieces[-1])
            if stream.is_finished():
                return b"".join(pieces)
            if left <= 0:
                break
    except brotli.error:
        pass
    return _decoded(pieces)


def _unzstd(body: bytes, bytes_max: int) -> bytes:
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    pieces: list[bytes] = []
    left = bytes_max + 1
    try:
        with decoder.stream_reader(io.BytesIO(body), read_across_frames=True) as stream:
            while left > 0 and (piece := stream.read(min(left, 16 * STEP_BYTES))):
                pieces.append(piece)
                left -= len(piece)
    except zstandard.ZstdError:
        pass
    return _decoded(pieces)


def _decoded(pieces: list[bytes]) -> bytes:
    if not any(pieces):
        raise _DamagedError
    return b"".join(pieces)


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
