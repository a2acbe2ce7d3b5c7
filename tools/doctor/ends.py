"""Whether a compressed file ends as it should, told without unpacking it.

zstd's frames are walked from block to block (RFC 8878, 3.1.1), of which each tells its size; xz and
bzip2 end with a footer. gzip ends with nothing that a torn file could not have.
"""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

HEADER_BYTES = 18  # of a frame, at most
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)
_RLE, _RESERVED = 1, 3  # types of blocks; RLE takes one byte, whatever it says
_BZIP2_END = 0x177245385090  # 48 bits, then a CRC of 32, then zeros to the byte
_XZ_FOOTER_BYTES = 12


@dataclass(frozen=True)
class End:
    """How a file ends: `torn` says where, None if that cannot be told.

    `window_bytes` is what zstd must keep in memory to unpack it, 0 for other files.
    """

    torn: str | None
    window_bytes: int = 0


def end_of(path: Path, container: str) -> End:
    """The end of a file in this container (of pipeline.lines.container)."""
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        match container:
            case "zstd":
                return _zstd_end(file, size)
            case "xz":
                return End(_torn(_has_xz_footer(file, size), size))
            case "bzip2":
                return End(_torn(_has_bzip2_end(file, size), size))
            case _:
                return End(None)


def _torn(is_whole: bool, size: int) -> str:
    return "" if is_whole else f"it breaks off at byte {size:,}"


def _zstd_end(file: BinaryIO, size: int) -> End:
    at = window = 0
    while at < size:
        file.seek(at)
        head = file.read(HEADER_BYTES)
        if int.from_bytes(head[:4], "little") in _SKIPPABLE and len(head) >= 8:
            at += 8 + int.from_bytes(head[4:8], "little")
            continue
        try:
            frame = zstandard.get_frame_parameters(head)
            at += zstandard.frame_header_size(head)
        except zstandard.ZstdError:
            torn = len(head) < HEADER_BYTES
            return End(f"{'it breaks off' if torn else 'no frame starts'} at byte {at:,}", window)
        window = max(window, frame.window_size)
        after = _after_blocks(file, at, size)
        if isinstance(after, str):
            return End(after, window)
        at = after + 4 * frame.has_checksum
    return End("" if at == size else _torn(False, size), window)


def _after_blocks(file: BinaryIO, at: int, size: int) -> int | str:
    """Where the blocks end that begin at `at`, or what is wrong."""
    is_last = False
    while not is_last:
        file.seek(at)
        head = file.read(3)
        if len(head) < 3:
            return _torn(False, size)
        header = int.from_bytes(head, "little")
        is_last, kind = bool(header & 1), header >> 1 & 3
        if kind == _RESERVED:
            return f"it is damaged at byte {at:,}"
        at += 3 + (1 if kind == _RLE else header >> 3)
    return at


def _has_xz_footer(file: BinaryIO, size: int) -> bool:
    """Streams may be padded with zeros, in steps of four bytes (.xz file format, 2.2)."""
    file.seek(max(0, size - 4096))
    footer = file.read().rstrip(b"\0")[-_XZ_FOOTER_BYTES:]
    crc = int.from_bytes(footer[:4], "little")
    return footer.endswith(b"YZ") and zlib.crc32(footer[4:10]) == crc


def _has_bzip2_end(file: BinaryIO, size: int) -> bool:
    file.seek(max(0, size - 11))
    bits = int.from_bytes(file.read(), "big")
    return any(
        bits >> spare + 32 & (1 << 48) - 1 == _BZIP2_END and not bits & (1 << spare) - 1
        for spare in range(8)
    )
