"""Compressed bytes that are the same on every machine: nothing in them is compressed.

zlib, brotli and zstd may give other bytes in other versions, and the demo's golden digest hangs on
every offset. So all pages are wrapped in the formats' stored blocks, which any decoder reads.
"""

import struct
import zlib

STORED_MAX = 65_535  # bytes of a stored block in deflate (RFC 1951)
ZSTD_BLOCK_MAX = 128 << 10  # RFC 8878
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, unknown system


def deflate_stored(data: bytes) -> bytes:
    """A raw deflate stream of stored blocks."""
    starts = range(0, max(len(data), 1), STORED_MAX)
    blocks = []
    for start in starts:
        piece = data[start : start + STORED_MAX]
        last = start + STORED_MAX >= len(data)
        blocks.append(struct.pack("<BHH", last, len(piece), len(piece) ^ 0xFFFF) + piece)
    return b"".join(blocks)


def gzip_stored(data: bytes) -> bytes:
    """A gzip member of stored blocks."""
    tail = struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
    return GZIP_HEAD + deflate_stored(data) + tail


def zlib_stored(data: bytes) -> bytes:
    """What HTTP calls "deflate" (RFC 9110): a zlib stream, of stored blocks."""
    return b"\x78\x01" + deflate_stored(data) + struct.pack(">I", zlib.adler32(data))


def brotli_stored(data: bytes) -> bytes:
    """A brotli stream of uncompressed meta-blocks (RFC 7932, 9.2)."""
    blocks = []
    for start in range(0, len(data), STORED_MAX + 1):
        piece = data[start : start + STORED_MAX + 1]
        # From the lowest bit: the first block says the window (1 bit: 16); then ISLAST 0,
        # MNIBBLES 00, MLEN - 1 in 16 bits, ISUNCOMPRESSED 1, and zeros up to a whole byte.
        head = (len(piece) - 1) << 3 | 1 << 19
        blocks.append((head << (start == 0)).to_bytes(3, "little") + piece)
    return b"".join(blocks) + b"\x03"  # ISLAST 1, ISLASTEMPTY 1


def zstd_stored(data: bytes) -> bytes:
    """A zstd frame of raw blocks (RFC 8878, 3.1.1): one segment, its size in four bytes."""
    blocks = []
    for start in range(0, max(len(data), 1), ZSTD_BLOCK_MAX):
        piece = data[start : start + ZSTD_BLOCK_MAX]
        last = start + ZSTD_BLOCK_MAX >= len(data)
        blocks.append((len(piece) << 3 | last).to_bytes(3, "little") + piece)
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + b"".join(blocks)


def chunked(data: bytes, chunk_bytes: int = 4_000) -> bytes:
    """The chunked transfer encoding."""
    pieces = [data[at : at + chunk_bytes] for at in range(0, len(data), chunk_bytes)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def bomb(repeats: int) -> bytes:
    """A gzip member of `repeats` * 8 * 258 + 1 spaces: 13 bytes for each 2,064.

    One block of fixed Huffman codes: the literal space, then matches of length 258 and distance 1,
    which take 13 bits each, then the end.
    """
    literal, match, end = "01010000", "11000101" + "00000", "0000000"
    head = "1" + "10" + literal  # last block; fixed codes (01, lowest bit first)
    # 11 bits are out of step with the bytes, so the pattern of 8 matches is turned by 11 % 8.
    bits = head + match * 8
    start = _packed(bits[:16])
    pattern = _packed((match * 16)[5 : 5 + 104])
    tail = (match * 8 * 2)[5 : 5 + 99] + end
    body = start + pattern * (repeats - 1) + _packed(tail)
    size = repeats * 8 * 258 + 1
    crc = zlib.crc32(b" " * size)
    return GZIP_HEAD + body + struct.pack("<II", crc, size & 0xFFFFFFFF)


def _packed(bits: str) -> bytes:
    """Bits in the order of the stream as bytes, whose lowest bit comes first."""
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[at : at + 8][::-1], 2) for at in range(0, len(bits), 8))
