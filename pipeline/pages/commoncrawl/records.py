"""One record of another's archive, from the bytes of a range: is it what the index says it is?

Nothing is believed unseen. The bytes must be one gzip member, its record whole and of the URL that
was asked for, its payload of the digest that the index has. What is believed is written into our
archive as it was: id, date, headers, block.
"""

import re
import zlib
from dataclasses import dataclass

from pipeline.documents.unpack import unchunk
from pipeline.links.canonical import Canonical, canonical
from pipeline.pages.archive.warc_records import WarcRecord, digest_of
from pipeline.pages.capture import same_digest
from pipeline.pages.frames import GZIP_MAGIC, HEAD_BYTES, START, whole_number
from pipeline.pages.warc import NotHttp, Record, all_values, parse_response
from pipeline.reasons import Drop, Reason

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_PADDING = b"\r\n"


@dataclass(frozen=True, slots=True)
class Verified:
    """A record as the archive writes it, and as `capture_of` reads it."""

    written: WarcRecord
    record: Record


def verified(
    packed: bytes, *, offset: int, url_key: str, digest: str, block_bytes_max: int
) -> Verified | Drop:
    """The record in these bytes, or Drop (unreadable, index_wrong, digest_mismatch, …).

    `url_key` is the key of the URL that the record must be of, `digest` what the index has of its
    payload (SHA-1 in base 32, with or without `sha1:`), "" if it has none.
    """
    content = _unpacked(packed, block_bytes_max)
    if isinstance(content, Drop):
        return content
    read = _parsed(content)
    if isinstance(read, Drop):
        return read
    fields, block = read
    written = WarcRecord(fields, block)
    page = canonical(written.field("WARC-Target-URI").strip("<> "))
    if not isinstance(page, Canonical) or page.key != url_key:
        told = written.field("WARC-Target-URI") or "a record without URL"
        return Drop(Reason.INDEX_WRONG, f"{told} lies where the index has {url_key}")
    if wrong := _wrong_digest(written, digest):
        return Drop(Reason.DIGEST_MISMATCH, wrong)
    headers = {name.lower(): value for name, value in reversed(fields)}
    return Verified(written, Record(offset, len(packed), headers, block, block_bytes=len(block)))


def _unpacked(packed: bytes, block_bytes_max: int) -> bytes | Drop:
    if not packed.startswith(GZIP_MAGIC):
        return Drop(Reason.INDEX_WRONG, f"no gzip member starts here, but {packed[:8]!r}")
    unpacker = zlib.decompressobj(31)
    most = HEAD_BYTES + block_bytes_max
    try:
        content = unpacker.decompress(packed, most)
    except zlib.error as error:
        return Drop(Reason.UNREADABLE, f"damaged: {error}")
    if not unpacker.eof and len(content) >= most:
        return Drop(Reason.BODY_TOO_LARGE, f"the record has more than {block_bytes_max} bytes")
    if not unpacker.eof:
        return Drop(Reason.INDEX_WRONG, "the record goes on after the length that the index has")
    if unpacker.unused_data:
        return Drop(Reason.INDEX_WRONG, "the record ends before the length that the index has")
    return content


def _parsed(content: bytes) -> tuple[tuple[tuple[str, str], ...], bytes] | Drop:
    """The fields but Content-Length, and the block."""
    ends = _HEADER_END.search(content, 0, HEAD_BYTES)
    if not content.startswith(START) or not ends:
        return Drop(Reason.UNREADABLE, "it has no WARC header")
    fields, length = [], None
    for line in re.sub(rb"\r?\n[ \t]+", b" ", content[: ends.start()]).split(b"\n")[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        field = name.decode("latin-1").strip(), value.decode("utf-8", "replace").strip()
        if field[0].lower() == "content-length":
            length = whole_number(field[1])
        else:
            fields.append(field)
    block = content[ends.end() :]
    if length is None:
        return Drop(Reason.UNREADABLE, "it has no Content-Length that can be read")
    if len(block) < length:
        return Drop(
            Reason.UNREADABLE, f"it lacks {length - len(block)} bytes of its Content-Length"
        )
    if block[length:].strip(_PADDING):
        return Drop(Reason.UNREADABLE, "it has more bytes than its Content-Length")
    return tuple(fields), block[:length]


def _wrong_digest(record: WarcRecord, digest: str) -> str:
    """Which digest is not that of the record; "" if all that are told are right.

    Of a chunked body some archives take the digest with the chunks, some without.
    """
    told = {_sha_1(digest), _sha_1(record.field("WARC-Payload-Digest"))} - {""}
    block = _sha_1(record.field("WARC-Block-Digest"))
    if block and digest_of(record.block) != block:
        return f"its block should have {block}"
    if not told:
        return ""
    try:
        response = parse_response(record.block)
    except NotHttp:
        return "" if block else "it is no HTTP response, so nothing has the digest of the index"
    possible = {digest_of(response.body)}
    if "chunked" in all_values(response.headers, "transfer-encoding").lower():
        possible.add(digest_of(unchunk(response.body)[0]))
    if wrong := told - possible:
        return f"its payload should have {min(wrong)}"
    return ""


def _sha_1(digest: str) -> str:
    """A SHA-1 in the form in which all are compared; "" for another algorithm, or none."""
    if not digest:
        return ""
    found = same_digest(digest if ":" in digest else f"sha1:{digest}")
    return found if found.startswith("sha1:") else ""
