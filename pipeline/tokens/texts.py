"""Anyone's texts as the documents of a corpus: their columns, and ids as a build's."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import xxhash

from pipeline.reasons import Drop
from pipeline.records import schema_of
from pipeline.texts import Found

LINK_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Text:
    """A document of anyone's. `id` is 32 hexadecimal digits."""

    id: str
    text: str
    url: str
    host: str


TEXT = schema_of(Text)


def text_of(found: Found) -> Text | Drop:
    """The document that a row is. Its id is a link's as it is, else the digest of the row's."""
    row = found.row
    if isinstance(row, Drop):
        return row
    name = str(found.id)
    id = name if LINK_ID.fullmatch(name) else xxhash.xxh3_128_hexdigest(name.encode())
    return Text(id, row.text, row.url, row.host or _host(row.url))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
