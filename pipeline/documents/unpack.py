"""The encodings of a body undone one by one: gzip, deflate, brotli, zstd and chunks.

Each gives the bytes, and whether the body ends before its encoding does: then it gives what came
before. Nothing is inflated past a cap: a bomb stops at the first byte above it, and is no cut one.
"""

import io
import re
import zlib
from collections.abc import Callable

import brotli
import zstandard

from pipeline.documents.plain import is_markup, is_text

# RFC 9659: zstd as a content encoding has a window of 8 MiB or less.
ZSTD_WINDOW_BYTES = 8 << 20
# zlib and brotli hand nothing back from the call that meets the damage, so input goes in by
# pieces of this size, and no more than a piece is lost.
STEP_BYTES = 1024
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZLIB_MAGIC = frozenset({b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"})
# Brotli and raw deflate without a name are believed where they end as they should and give so
# much text, or give markup.
GUESSED_BYTES_MIN = 64

# Blank lines before a chunk's size, or before packed bytes, come from servers that end their
# header twice.
_CHUNK_SIZE = re.compile(rb"[\r\n]{0,8}[ \t]*0{0,16}([0-9a-fA-F]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")
_NEXT_CHUNK = re.compile(rb"\r?\n[0-9a-fA-F]{1,8}[ \t]*(?:;[^\n]*)?\r?\n")
_ZSTD_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_ZSTD_HEADER_BYTES_MAX = 18
_ZSTD_RLE = 1

Undone = tuple[bytes, bool]


class DamagedError(Exception):
    """Not one byte of the body decodes."""


def unpack(label: str, body: bytes, bytes_max: int) -> Undone:
    """The body unpacked by what its bytes show, or by the decoder of this name ("" for none).

    Where neither gives markup it is asked of those that cannot be told by first bytes. Raises
    DamagedError where nothing gives anything that can be believed.
    """
    packed = body.lstrip(b"\r\n")
    shown = shown_by(packed)
    fallback: Undone | None = None
    for name, data in ((shown, packed), (label, body), ("deflate", packed), ("br", packed)):
        if name not in _DECODERS:
            continue
        try:
            found, is_cut = _DECODERS[name](data, bytes_max)
        except DamagedError:
            continue
        if is_markup(found):
            return found, is_cut
        if fallback is None and _is_sure(found, is_cut, name, shown, label):
            fallback = found, is_cut
    if fallback is None:
        raise DamagedError
    return fallback


def _is_sure(found: bytes, is_cut: bool, name: str, shown: str, label: str) -> bool:
    """Whether what a decoder has made is believed although it is no markup."""
    if name == shown and (not is_cut or shown != "deflate"):
        return bool(label) or is_text(found) or bool(shown_by(found))
    is_known = is_text(found) or bool(shown_by(found))
    return name == label or (not is_cut and len(found) >= GUESSED_BYTES_MIN and is_known)


def shown_by(body: bytes) -> str:
    """The encoding that the first bytes announce, or ""."""
    if body.startswith(GZIP_MAGIC):
        return "gzip"
    if body.startswith(ZSTD_MAGIC) or _ZSTD_SKIPPABLE.match(body):
        return "zstd"
    return "deflate" if body[:2] in ZLIB_MAGIC else ""


def starts_chunk(body: bytes) -> bool:
    """Whether a chunk's size stands first."""
    return _CHUNK_SIZE.match(body) is not None


def is_surely_chunked(body: bytes) -> bool:
    """Whether a first chunk is followed by the size of a second one."""
    size = _CHUNK_SIZE.match(body)
    return bool(size and _NEXT_CHUNK.match(body, size.end() + int(size[1], 16)))


def unchunk(body: bytes) -> Undone:
    """The chunks joined; cut where the last one, of no bytes, is missing."""
    pieces: list[bytes] = []
    at = 0
    while size := _CHUNK_SIZE.match(body, at):
        at = size.end() + int(size[1], 16)
        pieces.append(body[size.end() : at])
        if len(pieces[-1]) == 0:
            break
    is_cut = not size or int(size[1], 16) > 0
    return b"".join(pieces), is_cut


def _gunzip(body: bytes, bytes_max: int) -> Undone:
    # Members may follow each other; whatever else follows the last is padding.
    pieces: list[bytes] = []
    at, left, is_cut = 0, bytes_max, False
    while body.startswith(GZIP_MAGIC, at) and left >= 0:
        try:
            piece, at, is_cut = _inflate(body, at, zlib.MAX_WBITS | 16, left)
        except DamagedError:
            is_cut = True
            break
        pieces.append(piece)
        left -= len(piece)
    if not pieces:
        raise DamagedError
    return b"".join(pieces), is_cut


def _undeflate(body: bytes, bytes_max: int) -> Undone:
    # "deflate" means zlib (RFC 9110), yet some servers send the raw stream without its header.
    try:
        found, _, is_cut = _inflate(body, 0, zlib.MAX_WBITS, bytes_max)
    except DamagedError:
        found, _, is_cut = _inflate(body, 0, -zlib.MAX_WBITS, bytes_max)
    return found, is_cut


def _inflate(body: bytes, start: int, wbits: int, bytes_max: int) -> tuple[bytes, int, bool]:
    """Inflate the stream at `start` to at most `bytes_max + 1` bytes; also its end, and if cut.

    A torn or damaged stream gives what came before and ends with the body; where that is nothing,
    DamagedError is raised.
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
                return b"".join(pieces), end, False
            if left <= 0:
                return _decoded(pieces), len(body), False
    except zlib.error:
        pass
    return _decoded(pieces), len(body), True


def _unbrotli(body: bytes, bytes_max: int) -> Undone:
    stream = brotli.Decompressor()
    pieces: list[bytes] = []
    left = bytes_max + 1
    try:
        for at in range(0, len(body), STEP_BYTES):
            pieces.append(stream.process(body[at : at + STEP_BYTES], output_buffer_limit=left))
            left -= len(pieces[-1])
            if stream.is_finished():
                return b"".join(pieces), False
            if left <= 0:
                return _decoded(pieces), False
    except brotli.error:
        pass
    return _decoded(pieces), True


def _unzstd(body: bytes, bytes_max: int) -> Undone:
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    pieces: list[bytes] = []
    end, is_cut = _frames_end(body)
    if end == 0:
        raise DamagedError
    left = bytes_max + 1
    try:
        with decoder.stream_reader(io.BytesIO(body[:end]), read_across_frames=True) as stream:
            while left > 0 and (piece := stream.read(min(left, 16 * STEP_BYTES))):
                pieces.append(piece)
                left -= len(piece)
    except zstandard.ZstdError:
        is_cut = True
    return (b"".join(pieces), False) if not is_cut else (_decoded(pieces), left > 0)


def _frames_end(body: bytes) -> tuple[int, bool]:
    """Where the zstd frames of a body end, and whether the body does before (RFC 8878, 3.1).

    Blocks are counted by their headers, since the library does not say that a frame is torn.
    """
    at = 0
    while True:
        if _ZSTD_SKIPPABLE.match(body, at):
            at += 8 + int.from_bytes(body[at + 4 : at + 8], "little")
            continue
        if not body.startswith(ZSTD_MAGIC, at):
            return at, at > len(body)  # padding, or nothing
        try:
            header = body[at : at + _ZSTD_HEADER_BYTES_MAX]
            at += zstandard.frame_header_size(header)
            checksum_bytes = 4 * zstandard.get_frame_parameters(header).has_checksum
        except zstandard.ZstdError:
            return len(body), True
        is_last = 0
        while not is_last:
            if at + 3 > len(body):
                return len(body), True
            block = int.from_bytes(body[at : at + 3], "little")
            is_last, kind, size = block & 1, block >> 1 & 3, block >> 3
            at += 3 + (1 if kind == _ZSTD_RLE else size)
        at += checksum_bytes


def _decoded(pieces: list[bytes]) -> bytes:
    if not any(pieces):
        raise DamagedError
    return b"".join(pieces)


_DECODERS: dict[str, Callable[[bytes, int], Undone]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
