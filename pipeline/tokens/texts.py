"""Anyone's texts as documents: JSON lines, Parquet or plain text, packed or not.

JSON lines and Parquet need `text`; `id`, `url` and `host` are optional. In a plain file documents
are separated by `<|endoftext|>`; without it the whole file is one. gzip, zstd and xz are known by
their first bytes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa
import xxhash

from pipeline.lines import Lines, is_parquet
from pipeline.reasons import Reason
from pipeline.records import Drop
from pipeline.rows import read_rows
from pipeline.tokens.tokenizer import END_OF_TEXT

TEXT = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("url", pa.string()), ("host", pa.string())]
)
LINK_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Text:
    """A document of anyone's. `id` is 32 hexadecimal digits; the columns of TEXT."""

    id: str
    text: str
    url: str
    host: str


class _Row(msgspec.Struct):
    """What is read of a row. Names and addresses may be of any type: they are made to strings."""

    text: str
    id: Any = None
    url: Any = None
    host: Any = None


def read_texts(path: Path) -> Iterator[tuple[str, Text | Drop]]:
    """The file's documents in its order, each with its place; a row that is none is a Drop.

    Raises InputError as `read_rows` does.
    """
    rows = _documents(path) if is_plain(path) else read_rows(path, _Row)
    for place, row in rows:
        yield place, row if isinstance(row, Drop) else _text(row)


def is_plain(path: Path) -> bool:
    """Whether the file is plain text: JSON lines are known by their name, Parquet by its bytes."""
    suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".zst", ".xz")]
    json_lines = suffixes and suffixes[-1] in (".jsonl", ".json", ".ndjson")
    return not json_lines and not is_parquet(path)


def _documents(path: Path) -> Iterator[tuple[str, _Row]]:
    with Lines(path) as lines:
        data = b"".join(lines)
    for number, piece in enumerate(data.decode("utf-8", "replace").split(END_OF_TEXT), 1):
        text = piece.strip("\n")
        if text:
            yield f"document {number}", _Row(text)


def _text(row: _Row) -> Text | Drop:
    if not row.text.strip():
        return Drop(Reason.EMPTY_TEXT)
    url = str(row.url or "")
    return Text(_id(row.id, row.text), row.text, url, str(row.host or "") or _host(url))


def _id(given: Any, text: str) -> str:
    """A link's id as it is; of another id, or of the text where there is none, the digest."""
    name = text if given is None else str(given)
    return name if LINK_ID.fullmatch(name) else xxhash.xxh3_128_hexdigest(name.encode())


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
