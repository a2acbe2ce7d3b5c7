"""The rows that flow from stage to stage, and the Arrow schema of each table on disk.

Ids are 32 hexadecimal digits: xxh3_128 of the link's key. One id follows a text from its link
through page, document and corpus to the shard, which is what lets `webtext why` tell its story.
Times are UTC seconds since 1970 (`_s`), None where unknown.
"""

import pyarrow as pa

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

# One row for each WARC record: what lies where (stage `pages`, step `index`; independent of links).
CAPTURE = pa.schema(
    [
        ("record_id", pa.string()),
        ("key", pa.string()),  # canonical key of the target URI
        ("url", pa.string()),
        # response, revisit, redirect (by status, or a page's own refresh), robots (a robots.txt)
        ("kind", pa.string()),
        ("warc", pa.string()),  # the file's name; inputs.input_names tells its path
        ("offset", pa.int64()),
        ("length", pa.int64()),  # compressed bytes
        ("status", pa.int32()),
        ("mime", pa.string()),
        ("captured_s", pa.int64()),
        ("payload_digest", pa.string()),
        ("target_key", pa.string()),  # redirect: key it leads to; revisit: key referred to
        ("target_url", pa.string()),
        ("fault", pa.string()),  # "", or the reason why the record cannot be a page
        ("detail", pa.string()),  # of the fault
        # Of a page: "cut" short, "none" (empty or undecodable), "all" (a 206 that holds
        # everything); else "".
        ("body", pa.string()),
        ("refers_to", pa.string()),  # revisit: id of the record that it repeats, where told
        # What the owner asks (pages/preferences.py); of a robots.txt its text.
        ("preferences", pa.string()),
    ]
)

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
        ("preferences", pa.string()),  # what the owner asks (pages/preferences.py)
    ]
)

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
        ("text_chars", pa.int64()),
        ("copies", pa.int64()),  # documents dropped as copies of this one: same URL, exact, near
        *PROVENANCE,
    ]
)

# Where a page is stored, when it was captured, and what was captured of its owner's preferences: no
# content, so in no digest of a stage.
STORED = frozenset({"warc", "offset", "length", "record_id", "captured_s", "preferences"})

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


def content_of(schema: pa.Schema) -> tuple[str, ...]:
    """The columns of a table that are its content: the same page by another source is the same."""
    return tuple(name for name in schema.names if name not in STORED)
