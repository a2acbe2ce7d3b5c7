"""Anyone's texts as documents: JSON lines, Parquet or plain text, packed or not.

JSON lines and Parquet need `text`; `id`, `url` and `host` are optional. In a plain file documents
are separated by `<|endoftext|>`; without it the whole file is one. gzip, zstd and xz are known by
their first bytes.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.errors import InputError
from pipeline.lines import Lines, is_parquet
from pipeline.reasons import Reason
from pipeline.records import Drop
from pipeline.tokens.encode import without_surrogates
from pipeline.tokens.tokenizer import END_OF_TEXT

TEXT = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("url", pa.string()), ("host", pa.string())]
)
BATCH_ROWS = 256
LINK_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Text:
    """A document of anyone's. `id` is 32 hexadecimal digits; the columns of TEXT."""

    id: str
    text: str
    url: str
    host: str


Found = tuple[str, Text | Drop]  # where ("line 3", "row 3", "document 3"), and what


def read_texts(path: Path) -> Iterator[Found]:
    """The file's documents in its order; a row that is none is a Drop.

    Raises InputError for a file that is missing, torn or damaged, with the byte, and for a Parquet
    file without a column `text`.
    """
    with Lines(path) as lines:
        if is_parquet(path):
            yield from _parquet_rows(path)
        elif is_plain(path):
            yield from _documents(b"".join(lines))
        else:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield f"line {number}", _of_line(line)


def is_plain(path: Path) -> bool:
    """Whether the file is plain text (not JSON lines), by its name less what packed it."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".zst", ".xz")]
    return not suffixes or suffixes[-1] not in (".jsonl", ".json", ".ndjson")


def _documents(data: bytes) -> Iterator[Found]:
    for number, piece in enumerate(data.decode("utf-8", "replace").split(END_OF_TEXT), 1):
        text = piece.strip("\n")
        if text:
            yield f"document {number}", _text({"text": text})


def _of_line(line: bytes) -> Text | Drop:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # bytes that are no UTF-8 are a ValueError too
        return Drop(Reason.LINE_INVALID, str(error)[:200])
    if not isinstance(row, dict):
        return Drop(Reason.LINE_NOT_OBJECT, type(row).__name__)
    return _text(row)


def _text(row: dict[str, Any]) -> Text | Drop:
    text = row.get("text")
    if not isinstance(text, str):
        return Drop(Reason.TEXT_MISSING, f"text is {type(text).__name__}")
    if not text.strip():
        return Drop(Reason.EMPTY_TEXT)
    text = without_surrogates(text)
    url = without_surrogates(str(row.get("url") or ""))
    return Text(_id(row.get("id"), text), text, url, str(row.get("host") or "") or _host(url))


def _id(given: Any, text: str) -> str:
    """A link's id as it is; of another id, or of the text where there is none, the digest."""
    name = text if given is None else without_surrogates(str(given))
    return name if LINK_ID.fullmatch(name) else xxhash.xxh3_128_hexdigest(name.encode())


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _parquet_rows(path: Path) -> Iterator[Found]:
    try:
        with pq.ParquetFile(path) as file:
            names = [name for name in TEXT.names if name in file.schema_arrow.names]
            if "text" not in names:
                found = ", ".join(file.schema_arrow.names)
                raise InputError(path, "", f"its columns are {found}", "One must be `text`.")
            number = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", _text(row)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(path, "", f"damaged Parquet ({error})", "Get it again.") from None
