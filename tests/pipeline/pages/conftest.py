"""WARC files made to order."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import zstandard

DICTIONARY = zstandard.ZstdCompressionDict(b"WARC/1.1\r\nWARC-Type: response HTTP/1.1 200 OK" * 40)


def http(status: int | str = 200, body: bytes = b"<p>Hello</p>", **headers: str) -> bytes:
    """An HTTP response; header names are given with underscores."""
    lines = [f"HTTP/1.1 {status}"]
    headers = {"content_type": "text/html", **headers}
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def record(
    url: str = "http://example.com/",
    block: bytes = b"",
    *,
    kind: str = "response",
    date: str = "2013-05-01T00:00:00Z",
    record_id: str = "",
    **headers: str,
) -> bytes:
    """A WARC record."""
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": record_id or f"<urn:x:{url}:{date}:{kind}>",
        "WARC-Date": date,
        "Content-Length": str(len(block)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    if url:
        fields["WARC-Target-URI"] = url
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return b"WARC/1.1\r\n" + head.encode() + b"\r\n" + block + b"\r\n\r\n"


def packed(records: Sequence[bytes], form: str) -> list[bytes]:
    """The records as they lie in a file of this form: plain, gz, zst, or zst with a dictionary."""
    if form == "plain":
        return list(records)
    if form == "gz":
        return [gzip.compress(one, mtime=0) for one in records]
    if form == "zst":
        return [zstandard.compress(one) for one in records]
    packer = zstandard.ZstdCompressor(dict_data=DICTIONARY)
    data = zstandard.compress(DICTIONARY.as_bytes())
    skippable = b"\x5d\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data
    return [skippable, *(packer.compress(one) for one in records)]


class Maker:
    """Makes WARC files in a folder."""

    http = staticmethod(http)
    record = staticmethod(record)
    packed = staticmethod(packed)
    forms = ("plain", "gz", "zst", "dictionary")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, records: Sequence[bytes], form: str = "gz", name: str = "") -> Path:
        """A file that holds these records."""
        suffix = {"plain": "", "gz": ".gz"}.get(form, ".zst")
        path = self.folder / (name or f"made.warc{suffix}")
        path.write_bytes(b"".join(packed(records, form)))
        return path


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.fixture
def capture() -> Callable[..., Any]:
    """Makes a Capture: a page of http://a.org/ unless told otherwise."""
    from pipeline.pages.capture import Capture

    def make(**fields: Any) -> Capture:
        values = {
            "record_id": f"r{fields.get('offset', 0)}",
            "key": "a.org/",
            "url": "http://a.org/",
            "kind": "response",
            "warc": "a.warc.gz",
            "offset": 0,
            "length": 100,
            "status": 200,
            "mime": "text/html",
            "captured_s": 1_000,
            "payload_digest": "",
            "target_key": "",
            "target_url": "",
            "fault": "",
            "detail": "",
            **fields,
        }
        return Capture(**values)

    return make
