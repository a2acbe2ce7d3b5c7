"""The rows that flow from stage to stage, and the Arrow schema of each table on disk.

Ids are 32 hexadecimal digits: xxh3_128 of the link's key. One id follows a text from its link
through page, document and corpus to the shard, which is what lets `webtext why` tell its story.
Times are UTC seconds since 1970 (`_s`), None where unknown.
"""

from dataclasses import fields
from typing import Any, Literal, get_origin, get_type_hints

import pyarrow as pa

from pipeline.limits import NUMBERS

# One row for each link: an outbound URL and the submissions that share it (stage `links`).
# All three karmas are stored for every link, those below the limit too: the rule can change
# without reading a dump again. `verdict` is "kept" or "karma_low".
LINK = pa.schema(
    [
        ("id", pa.string()),
        ("key", pa.string()),
        ("url", pa.string()),
        ("via", pa.string()),  # the redirector that the URL was unwrapped from, or ""
        ("capture_hint_s", pa.int64()),  # a web.archive.org timestamp in the URL
        ("karma_max", pa.int64()),
        ("karma_sum", pa.int64()),
        ("karma_first", pa.int64()),
        ("posts", pa.int64()),
        ("first_post_s", pa.int64()),
        ("best_post_id", pa.string()),
        ("subreddit", pa.string()),  # of the best post
        ("over_18", pa.bool_()),
        ("verdict", pa.string()),
    ]
)

# A redirect on a link's way: the URL that answered, with which status.
HOP = pa.struct([("url", pa.string()), ("status", pa.int32())])

# One row for each kept link (stage `pages`): its one outcome, and where its page lies.
PAGE = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("outcome", pa.string()),  # "captured", or a reason's name
        ("final_url", pa.string()),
        ("hops", pa.int32()),
        ("warc", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("record_id", pa.string()),
        ("status", pa.int32()),
        ("captured_s", pa.int64()),
        ("karma_max", pa.int64()),
        ("karma_sum", pa.int64()),
        ("posts", pa.int64()),
        ("first_post_s", pa.int64()),
        ("subreddit", pa.string()),
        ("over_18", pa.bool_()),
        ("preferences", pa.string()),  # what the owner asks (pages/owners/preferences.py)
        ("source", pa.string()),  # of the page: warc, commoncrawl, wayback, live
        ("distance_s", pa.int64()),  # from the first post to the capture; below 0 before it
        ("redirects", pa.list_(HOP)),  # from the link to `final_url`, in order
        ("payload_digest", pa.string()),  # as the record tells it, "" if it does not
        ("is_whole", pa.bool_()),  # whether the page has all of its body, and it can be decoded
    ]
)

# What is counted in a text to judge it; limits.py says what each number is.
QUALITY = pa.struct([(name, pa.float32()) for name in NUMBERS])

PROVENANCE = [
    ("karma_max", pa.int64()),
    ("karma_sum", pa.int64()),
    ("posts", pa.int64()),
    ("first_post_s", pa.int64()),
    ("subreddit", pa.string()),
    ("over_18", pa.bool_()),
    ("captured_s", pa.int64()),
    ("warc", pa.string()),
    ("offset", pa.int64()),
    ("extractor", pa.string()),
    ("extractor_score", pa.float64()),  # page F1 that it expects of its text, null if it does not
    ("page_type", pa.string()),  # blocks/page_types.py, "" where the extractor asks none
    ("quality", QUALITY),
]

# One row for each page that gave a text (stage `documents`).
DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("final_url", pa.string()),
        ("host", pa.string()),
        ("title", pa.string()),
        ("date", pa.string()),  # ISO 8601, "" where unknown
        ("language", pa.string()),  # ISO 639, "" where unsure
        ("language_score", pa.float64()),  # rounded to 4 decimals
        ("language2", pa.string()),  # the commonest other one, "" if there is none
        ("language2_share", pa.float64()),  # of the text's windows (language.py)
        ("charset", pa.string()),
        ("mojibake_repaired", pa.int64()),  # places that had been encoded twice
        ("mojibake_left", pa.int64()),  # places that look so, where it is not sure
        ("text", pa.string()),
        ("text_chars", pa.int64()),
        *PROVENANCE,
    ]
)

# The corpus that people load (stage `corpus`).
CORPUS = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("url", pa.string()),
        ("host", pa.string()),
        ("title", pa.string()),
        ("date", pa.string()),
        ("language", pa.string()),
        ("language2", pa.string()),
        ("language2_share", pa.float64()),
        ("text_chars", pa.int64()),
        ("copies", pa.int64()),  # documents dropped as copies of this one: same URL, exact, near
        ("lines_cut", pa.int64()),  # of the text in `documents`: boilerplate of its host
        ("emails_masked", pa.int64()),
        ("ips_masked", pa.int64()),
        ("phones_masked", pa.int64()),
        *PROVENANCE,
    ]
)

# Where a page is stored, when and how it was captured, and what was captured of its owner's
# preferences: no content, so in no digest of a stage.
STORED = frozenset(
    {
        *("warc", "offset", "length", "record_id", "captured_s", "preferences", "source"),
        *("distance_s", "redirects", "payload_digest", "is_whole"),
    }
)

# Rows that left, in every stage: files whose names end in `.drops.parquet`, in a build's data/.
DROP = pa.schema(
    [
        ("unit", pa.string()),  # what was counted: submissions, links, records, documents
        ("id", pa.string()),
        ("url", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)


_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    int | None: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def schema_of(row: Any) -> pa.Schema:
    """The columns of a dataclass whose objects are rows, so that these are declared once."""
    types = get_type_hints(row)
    return pa.schema([(field.name, _arrow(types[field.name])) for field in fields(row)])


def _arrow(type_: Any) -> pa.DataType:
    return pa.string() if get_origin(type_) is Literal else _TYPES[type_]


def content_of(schema: pa.Schema) -> tuple[str, ...]:
    """The columns of a table that are its content: the same page by another source is the same."""
    return tuple(name for name in schema.names if name not in STORED)
