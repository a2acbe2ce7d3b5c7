"""WARC 1.1 records to write, each a gzip member of its own, and their lines of a CDXJ index."""

import os
import re
from base64 import b32encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from struct import Struct
from urllib.parse import urlsplit

import msgspec
from isal import isal_zlib

from pipeline.pages.frames import GZIP_MAGIC, ZSTD_MAGIC
from pipeline.pages.media import media_type
from pipeline.pages.warc import NotHttp, parse_response

# ISA-L's, 0 to 3. At 1 it packs text to 36 % at 400 MB/s, zlib at 6 to 32 % at 40 MB/s.
GZIP_LEVEL = 1
# From here on a body that is packed already is not packed again: its head, some 500 bytes, is all
# that would be gained, at a tenth of what a page costs.
PACKED_BYTES_MIN = 4 << 10
_BLOCK_BYTES_MAX = 0xFFFF  # of a stored block (RFC 1951, 3.2.4)
_GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
REQUEST_TYPE = "application/http; msgtype=request"
RESPONSE_TYPE = "application/http; msgtype=response"
FIELDS_TYPE = "application/warc-fields"
# The block of our metadata records: one answer.
ANSWER_TYPE = "application/vnd.webtext.answer+json"
_BLOCK, _TRAILER = Struct("<BHH"), Struct("<II")
_NO_DIGIT = re.compile(r"\D+")
_PLAIN_URL = re.compile(
    r"https?://(?:www\.)?([a-z0-9.-]+)(:(?!80/|443/)\d+)?(/[^?#\s]*)(?:\?([^#\s]*))?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class WarcRecord:
    """A record: its named fields in order, without Content-Length, and its block."""

    fields: tuple[tuple[str, str], ...]
    block: bytes
    shown: tuple[int, str] | None = None  # status and media type, where they are known already
    is_packed: bool = False  # the block cannot be made smaller: it lies in its member as it is

    def field(self, name: str) -> str:
        """The value of a field, "" where it has none; its name in any case."""
        for key, value in self.fields:
            if key == name:
                return value
        wanted = name.lower()
        return next((value for key, value in self.fields if key.lower() == wanted), "")

    @property
    def id(self) -> str:
        """The WARC-Record-ID, in `<>`."""
        return self.field("WARC-Record-ID")

    def packed(self) -> bytes:
        """The record as it lies in a file: one gzip member."""
        head = "".join([f"{name}: {value}\r\n" for name, value in self.fields])
        length = f"Content-Length: {len(self.block)}\r\n\r\n"
        start = f"WARC/1.1\r\n{head}{length}".encode("utf-8", "replace")
        whole = b"".join((start, self.block, b"\r\n\r\n"))
        if self.is_packed:
            return _stored(whole)
        packed: bytes = isal_zlib.compress(whole, level=GZIP_LEVEL, wbits=31)
        return packed


def _stored(data: bytes) -> bytes:
    """A gzip member that holds the data as it is."""
    parts = [_GZIP_HEAD]
    last = max(0, len(data) - 1) // _BLOCK_BYTES_MAX * _BLOCK_BYTES_MAX
    for at in range(0, last + 1, _BLOCK_BYTES_MAX):
        block = data[at : at + _BLOCK_BYTES_MAX]
        parts += (_BLOCK.pack(at == last, len(block), len(block) ^ 0xFFFF), block)
    parts.append(_TRAILER.pack(isal_zlib.crc32(data), len(data) & 0xFFFFFFFF))
    return b"".join(parts)


def new_id() -> str:
    """A record id that no other record has: a random UUID (RFC 9562, 5.4)."""
    told = os.urandom(16).hex()
    variant = "89ab"[int(told[16], 16) & 3]
    return f"<urn:uuid:{told[:8]}-{told[8:12]}-4{told[13:16]}-{variant}{told[17:20]}-{told[20:]}>"


@lru_cache(256)
def date_of(time_s: float) -> str:
    """A WARC-Date, to the millisecond (WARC 1.1, 5.4)."""
    moment = datetime.fromtimestamp(time_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def digest_of(data: bytes) -> str:
    """SHA-1 in base 32, as all archives write it."""
    return f"sha1:{b32encode(sha1(data, usedforsecurity=False).digest()).decode()}"


def request_record(url: str, time_s: float, block: bytes, concurrent_to: str) -> WarcRecord:
    """The request that was sent for a response."""
    more = [("WARC-Target-URI", _one_line(url)), ("WARC-Concurrent-To", concurrent_to)]
    return WarcRecord(_fields("request", time_s, REQUEST_TYPE, more), block)


def response_record(
    url: str,
    time_s: float,
    head: bytes,
    body: bytes,
    *,
    address: str = "",
    truncated: str = "",
    shown: tuple[int, str] | None = None,
) -> WarcRecord:
    """A response: status line and headers up to the blank line, and the body as it came.

    `truncated` is "", length, time or disconnect: why the body is not whole (WARC 1.1, 5.13).
    """
    more = [("WARC-Target-URI", _one_line(url)), ("WARC-Payload-Digest", digest_of(body))]
    if address:
        more.append(("WARC-IP-Address", address))
    if truncated:
        more.append(("WARC-Truncated", truncated))
    block = head + body
    more.append(("WARC-Block-Digest", digest_of(block)))
    is_packed = len(body) >= PACKED_BYTES_MIN and body.startswith((GZIP_MAGIC, ZSTD_MAGIC))
    fields = _fields("response", time_s, RESPONSE_TYPE, more)
    return WarcRecord(fields, block, shown, is_packed)


def metadata_record(url: str, time_s: float, block: bytes, refers_to: str) -> WarcRecord:
    """An answer of ours, about the record `refers_to` or about none."""
    more = [("WARC-Target-URI", _one_line(url))]
    if refers_to:
        more.append(("WARC-Refers-To", refers_to))
    return WarcRecord(_fields("metadata", time_s, ANSWER_TYPE, more), block)


def warcinfo_record(name: str, time_s: float, facts: Mapping[str, str]) -> WarcRecord:
    """What wrote the file, with which user agent and contact."""
    told = {
        "software": "webtext",
        "format": "WARC File Format 1.1",
        "conformsTo": "https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/",
        **facts,
    }
    block = "".join(f"{key}: {_one_line(value)}\r\n" for key, value in told.items()).encode()
    return WarcRecord(_fields("warcinfo", time_s, FIELDS_TYPE, [("WARC-Filename", name)]), block)


def _fields(
    kind: str, time_s: float, content_type: str, more: Sequence[tuple[str, str]]
) -> tuple[tuple[str, str], ...]:
    return (
        ("WARC-Type", kind),
        ("WARC-Record-ID", new_id()),
        ("WARC-Date", date_of(time_s)),
        *more,
        ("Content-Type", content_type),
    )


def _one_line(value: str) -> str:
    return value if value.isprintable() else " ".join(value.splitlines())


def cdxj_line(record: WarcRecord, offset: int, length: int, file: str) -> str | None:
    """The line of a CDXJ index for a response or revisit, without its end; None for others."""
    kind = record.field("WARC-Type")
    if kind not in ("response", "revisit"):
        return None
    url = record.field("WARC-Target-URI").strip("<>")
    if not (key := surt(url)):
        return None
    status, mime = record.shown or _shown(record.block)
    facts = {
        "url": url,
        "mime": "warc/revisit" if kind == "revisit" else mime or "unk",
        "status": str(status or ""),
        "digest": record.field("WARC-Payload-Digest"),
        "length": str(length),
        "offset": str(offset),
        "filename": file,
    }
    digits = _NO_DIGIT.sub("", record.field("WARC-Date"))[:14]
    return f"{key} {digits} {msgspec.json.encode(facts).decode()}"


def _shown(block: bytes) -> tuple[int, str]:
    try:
        response = parse_response(block)
    except NotHttp:
        return 0, ""
    return response.status, media_type(response.headers)[0]


def surt(url: str) -> str:
    """The key by which web archives sort: `org,example)/path?a=1&b=2`; "" for what has no host.

    As pywb makes it of plain URLs: lower case, without `www.`, fragment and a path's last slash,
    the parts of a query sorted.
    """
    if plain := _PLAIN_URL.fullmatch(url):
        named, colon, path, query = plain.groups(default="")
        is_address = named.replace(".", "").isdigit()
        key = named if is_address else ",".join(reversed(named.split(".")))
        return _sort_key(key + colon, path, query)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    host = host.removeprefix("www.")
    is_name = not host.replace(".", "").isdigit() and ":" not in host
    name = ",".join(reversed(host.split("."))) if is_name else host
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port_text = f":{port}" if port and port != default else ""
    return _sort_key(name + port_text, parts.path, parts.query)


def _sort_key(host: str, path: str, query: str) -> str:
    path = path.rstrip("/") or "/"
    query = "?" + "&".join(sorted(query.split("&"))) if query else ""
    return f"{host}){path}{query}".lower().replace(" ", "%20")
