"""Reads anyone's texts: JSON lines (plain, gzip, zstd) or Parquet with `id`, `text`, `karma`."""

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.errors import InputError

READ_BYTES = 1 << 20
BATCH_ROWS = 512
ZSTD_WINDOW_BYTES = 1 << 31  # what `zstd --long=31` writes
MEND = 'Each row needs "id" (text or number) and "text"; "karma" (a whole number) is optional.'


class Text(msgspec.Struct):
    """One text. `karma` says which of two copies is better; a missing one counts as 0."""

    id: str | int
    text: str
    karma: int | None = None


def read_texts(path: Path) -> Iterator[list[Text]]:
    """The file's texts in its order, some hundred at a time.

    Raises InputError with the line, row or byte for a row that is no text, a damaged file, and two
    rows of one id.
    """
    if not path.is_file():
        raise InputError(path, "", "there is no such file", "Name a file of JSON lines or Parquet.")
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic == b"PAR1":
            yield from _read_parquet(path, file)
            return
        batch: list[Text] = []
        for number, line in enumerate(_lines(_chunks(path, file, magic)), start=1):
            if line.strip():
                batch.append(_row(path, f"line {number}", partial(_DECODER.decode, line)))
            if len(batch) == BATCH_ROWS:
                yield batch
                batch = []
        if batch:
            yield batch


_DECODER = msgspec.json.Decoder(Text)


def _row(path: Path, place: str, convert: Callable[[], Text]) -> Text:
    try:
        return convert()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(path, place, f"not a text ({error})", MEND) from None


def _read_parquet(path: Path, file: BinaryIO) -> Iterator[list[Text]]:
    try:
        table = pq.ParquetFile(file)
        names = [name for name in ("id", "text", "karma") if name in table.schema_arrow.names]
        if "id" not in names or "text" not in names:
            found = ", ".join(table.schema_arrow.names)
            raise InputError(path, "", f"it has the columns {found}", MEND)
        row = 0
        for batch in table.iter_batches(BATCH_ROWS, columns=names):
            texts = []
            for values in batch.to_pylist():
                row += 1
                texts.append(_row(path, f"row {row}", partial(msgspec.convert, values, Text)))
            yield texts
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(path, "", f"damaged Parquet ({error})", "Get the file again.") from None


def _chunks(path: Path, file: BinaryIO, magic: bytes) -> Iterator[bytes]:
    """The file's bytes, decompressed if it is gzip or zstd, with all its members or frames."""
    new: Callable[[], Any]
    if magic[:2] == b"\x1f\x8b":
        new = partial(zlib.decompressobj, wbits=31)
    elif magic == b"\x28\xb5\x2f\xfd":
        decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
        new = decompressor.decompressobj
    else:
        while data := file.read(READ_BYTES):
            yield data
        return
    decoder = None
    try:
        while data := file.read(READ_BYTES):
            while data:
                decoder = decoder or new()
                yield decoder.decompress(data)
                data = decoder.unused_data if decoder.eof else b""
                if decoder.eof:
                    decoder = None
    except (zlib.error, zstandard.ZstdError) as error:
        place = f"before byte {file.tell()}"
        raise InputError(path, place, f"damaged ({error})", "Get the file again.") from None
    if decoder is not None:
        place = f"byte {file.tell()}"
        raise InputError(path, place, "it ends within compressed data", "Get the file again.")


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for chunk in chunks:
        first, *more = chunk.split(b"\n")
        rest.append(first)
        for line in more:
            yield b"".join(rest)
            rest = [line]
    yield b"".join(rest)
