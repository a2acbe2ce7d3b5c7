"""What anyone's file holds, told by its bytes: a web archive, JSON lines of pages, or one page.

A page is what is none of the others: extract.py says why a PDF or an image gives no text. So any
name will do, `.php` and `.htm.gz` too; it decides only where the bytes leave a choice: a file
called .jsonl whose first line is broken is JSON lines.
"""

import bz2
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import zstandard

from pipeline.bucket_file import InputFile
from pipeline.documents.extract import PageAt
from pipeline.documents.unpack import GZIP_MAGIC, STEP_BYTES, ZSTD_MAGIC
from pipeline.errors import InputError, printable
from pipeline.pages.frames import START, archive_kind
from pipeline.pages.warc import Response
from pipeline.reasons import Drop

Kind = Literal["warc", "lines", "html"]

HTML_HEADERS = (("Content-Type", "text/html"),)
HEAD_BYTES = 1 << 16
PACKED_BYTES = 1 << 20  # bzip2 gives nothing before a block of 900 kB is read
XZ_MEMORY_BYTES = 128 << 20  # `xz -9` takes 65 MiB to unpack

_WARC = (".warc", ".warc.gz", ".warc.zst", ".wacz")
_LINES = re.compile(r"\.(?:jsonl|ndjson)(?:\.(?:gz|zst|xz|bz2))?\Z")
_SPACE = b"\xef\xbb\xbf \t\r\n"
# An object that begins and goes on in its first line; one over several lines is no JSON lines.
_ROW = re.compile(rb'\{[ \t]*"(?:[^\n]*")?html"[ \t]*:')
_DECODERS: dict[bytes, Callable[[], Any]] = {
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\0": partial(lzma.LZMADecompressor, memlimit=XZ_MEMORY_BYTES),
}


@dataclass(frozen=True, slots=True)
class FilePage:
    """A record, file or line: its page, where that lies, or why it is none."""

    id: str
    url: str
    found: Response | PageAt | Drop


def files_of(path: Path, but: Iterable[Path] = ()) -> list[Path]:
    """The file itself; of a folder all files in it and below, sorted, without hidden ones.

    `but` are files that a folder may hold and that are not meant. Raises InputError for what is
    not there or cannot be read, and for a folder without files.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(path, "", "there is no such file or folder", "Check the name.")
        return [path]
    left_out = {each.absolute() for each in but}
    files: list[Path] = []
    for folder, folders, names in os.walk(path, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found = (Path(folder, name) for name in sorted(names) if not name.startswith("."))
        files += (each for each in found if each.absolute() not in left_out and each.is_file())
    if not files:
        raise InputError(path, "", "the folder has no files", "Hidden ones do not count.")
    return files


def kind_of(path: InputFile) -> Kind:
    """What the file holds; an archive that is not read is "warc" too, and refused as one.

    Raises InputError where it cannot be read.
    """
    try:
        archive = archive_kind(path)
        with path.open("rb") as file:
            head = _head(file.read(PACKED_BYTES))
    except OSError as error:
        raise _unreadable_file(path, error) from None
    name = path.name.lower()
    if archive == "warc" or name.endswith(_WARC) or head.startswith((START, b"filedesc:")):
        return "warc"
    if head.startswith(b"<"):
        return "html"
    return "lines" if _LINES.search(name) or _ROW.match(head) else "html"


def html_pages(files: Iterable[tuple[str, InputFile]], body_bytes_max: int) -> Iterator[FilePage]:
    """One page a file, which is known by its name; a larger body comes with one byte too many."""
    for name, path in files:
        try:
            with path.open("rb") as file:
                body = file.read(body_bytes_max + 1)
        except OSError as error:
            raise _unreadable_file(path, error) from None
        body = unpacked(body, body_bytes_max + 1)
        yield FilePage(name, "", Response(200, HTML_HEADERS, body))


def unpacked(body: bytes, bytes_max: int) -> bytes:
    """The body of a file out of bzip2 or xz, at most so many bytes; any other as it is.

    gzip and zstd are what servers send too: decode.py undoes those. A torn or damaged file gives
    what comes before, and as it is where nothing does.
    """
    make = next((make for magic, make in _DECODERS.items() if body.startswith(magic)), None)
    if make is None:
        return body
    pieces: list[bytes] = []
    left, decoder = bytes_max, make()
    try:
        for at in range(0, len(body), STEP_BYTES):
            packed = body[at : at + STEP_BYTES]
            while packed and left:
                decoder = make() if decoder.eof else decoder
                pieces.append(decoder.decompress(packed, left))
                left -= len(pieces[-1])
                packed = decoder.unused_data
    except (OSError, EOFError, lzma.LZMAError):
        pass
    return b"".join(pieces) or body


def _head(packed: bytes) -> bytes:
    """How a file begins, out of whatever packs it, after blanks and marks."""
    try:
        if packed.startswith(GZIP_MAGIC):
            packed = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(packed, HEAD_BYTES)
        elif packed.startswith(ZSTD_MAGIC):
            with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed)) as stream:
                packed = stream.read(HEAD_BYTES)
    except (zlib.error, zstandard.ZstdError):
        pass
    return unpacked(packed, HEAD_BYTES).lstrip(_SPACE)[:HEAD_BYTES]


def _unreadable(error: OSError) -> None:
    raise _unreadable_file(error.filename, error) from None


def _unreadable_file(path: InputFile | str, error: OSError) -> InputError:
    return InputError(
        printable(path), "", f"cannot be read: {error.strerror}", "Check its permissions."
    )
