"""WARC 1.1 files (ISO 28500:2017), one gzip member a record, as a polite crawler writes them."""

import base64
import gzip
import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tools.demo.stored import gzip_stored

Headers = tuple[tuple[str, str], ...]
HTML: Headers = (("Content-Type", "text/html; charset=utf-8"),)
_REASONS = {200: "OK", 301: "Moved Permanently", 302: "Found", 404: "Not Found", 410: "Gone"}


@dataclass(frozen=True)
class Capture:
    """One WARC record to be. For a response `body` is as sent: encoded, chunked.

    With `block` the record holds just those bytes, whatever its kind.
    """

    url: str
    captured: datetime
    body: bytes = b""
    status: int = 200
    headers: Headers = HTML
    kind: str = "response"
    block: bytes | None = None
    refers_to: str = ""  # revisit: WARC-Refers-To-Target-URI

    @property
    def record_id(self) -> str:
        """The same for the same record on every machine."""
        name = f"{self.kind} {self.captured.isoformat()} {self.url}"
        return f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}>"


def write_warc(path: Path, captures: Iterable[Capture], *, stored: bool) -> None:
    """Write a WARC file; `stored` members hold the same bytes on every machine (`stored.py`)."""
    with path.open("wb") as file:
        for capture in captures:
            content = record_bytes(capture)
            if stored:
                file.write(gzip_stored(content))
            else:
                file.write(gzip.compress(content, compresslevel=6, mtime=0))


def record_bytes(capture: Capture) -> bytes:
    """The whole record, uncompressed, with the two line ends after its block."""
    block = block_of(capture)
    lines = [
        "WARC/1.1",
        f"WARC-Type: {capture.kind}",
        f"WARC-Record-ID: {capture.record_id}",
        f"WARC-Date: {capture.captured:%Y-%m-%dT%H:%M:%SZ}",
    ]
    if capture.kind == "warcinfo":
        lines.append("WARC-Filename: " + capture.url)
    else:
        lines.append("WARC-Target-URI: " + capture.url)
    if capture.kind in ("response", "revisit"):
        lines.append("WARC-Payload-Digest: " + _digest(capture.body))
    if capture.kind == "revisit":
        lines += [
            "WARC-Profile: http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
            "WARC-Refers-To-Target-URI: " + capture.refers_to,
        ]
    lines += [
        "WARC-Block-Digest: " + _digest(block),
        "Content-Type: " + _content_type(capture),
        f"Content-Length: {len(block)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def block_of(capture: Capture) -> bytes:
    """The block of a record: of a response, the answer as a server sends it."""
    if capture.block is not None:
        return capture.block
    reason = _REASONS.get(capture.status, "Internal Server Error")
    headers = [*capture.headers, ("Server", "demo")]
    if ("Transfer-Encoding", "chunked") not in headers:
        headers.append(("Content-Length", str(len(capture.body))))
    head = [f"HTTP/1.1 {capture.status} {reason}", *(f"{k}: {v}" for k, v in headers)]
    body = b"" if capture.kind == "revisit" else capture.body
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def _content_type(capture: Capture) -> str:
    if capture.kind in ("warcinfo", "metadata"):
        return "application/warc-fields"
    if capture.kind == "resource":
        return capture.headers[0][1]
    return f"application/http; msgtype={'request' if capture.kind == 'request' else 'response'}"


def _digest(data: bytes) -> str:
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
