"""Exact copies: documents that share a final URL, or a normalised text.

Of documents with an equal key the one with the most karma stays; the others lose to it and leave
before near duplicates are looked for.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.characters import same_shape
from pipeline.links.canonical import canonical
from pipeline.reasons import Drop, Reason

# What the passes know of a document.
ENTRY = pa.schema(
    [
        ("id", pa.string()),
        ("karma", pa.int64()),
        ("text_chars", pa.int64()),
        ("repetitive", pa.bool_()),  # much of it stands in it again
        ("shadow", pa.bool_()),  # left out for a reason of its own, and still removes its copies
        ("text_hash", pa.string()),
        ("reason", pa.string()),  # "" as long as it is kept
        ("detail", pa.string()),  # of a reason that one document has by itself
        ("keeper", pa.string()),  # the id of the document that it is a copy of, or ""
    ]
)
# Best first. Shadows stand before all others: what is left out must not survive in a copy. A text
# that repeats itself stands behind all that do not, so that it never wins over a clean copy.
_FIRST = [("shadow", "descending"), ("repetitive", "ascending")]
_KARMA, _LENGTH = ("karma", "descending"), ("text_chars", "descending")


def walk_order(near_order: str = "karma") -> list[tuple[str, str]]:
    """The columns by which documents are sorted, best first; ids decide where all is equal."""
    rest = [_KARMA, _LENGTH] if near_order == "karma" else [_LENGTH, _KARMA]
    return [*_FIRST, *rest, ("id", "ascending")]


def text_hash(text: str) -> str:
    """32 hexadecimal digits: equal for texts that differ in case, width or white space alone.

    Ligatures are the letters that they join, and characters that are not seen do not count. What
    changes a meaning does: 10⁶ and 106 differ, and so do Maße and Masse.
    """
    squeezed = " ".join(same_shape(text).lower().split())
    return xxhash.xxh3_128_hexdigest(squeezed.encode("utf-8", "surrogatepass"))


def url_key(url: str) -> str:
    """What URLs of one page share; a URL that cannot be parsed is its own key."""
    found = canonical(url)
    return url if isinstance(found, Drop) else found.key


def drop_copies(entries: pa.Table, keys: Sequence[str], reason: Reason) -> pa.Table:
    """The entries, in which all but the best of those with equal keys name it as their keeper.

    `keys` are the columns that must be equal. Entries that lost before, or that have a reason and
    are no shadows, take no part. A shadow keeps its own reason when it loses.
    """
    free = pc.and_(pc.equal(entries["keeper"], ""), stands(entries)).to_numpy()
    rows = np.flatnonzero(free)
    if len(rows) == 0:
        return entries
    keys_and_order = [*((key, "ascending") for key in keys), *walk_order()]
    group = entries.select([name for name, _ in keys_and_order]).take(pa.array(rows))
    order = pc.sort_indices(group, keys_and_order)
    first = np.zeros(len(rows), bool)
    first[0] = True
    for key in keys:
        column = group[key].take(order).combine_chunks()
        first[1:] |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    ordered = rows[order.to_numpy()]
    best = ordered[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]
    keeper = np.full(entries.num_rows, -1, np.int64)
    keeper[ordered[~first]] = best[~first]
    lost = pa.array(keeper >= 0)
    named = entries["id"].take(pa.array(keeper, mask=keeper < 0))
    own = pc.or_(pc.invert(lost), entries["shadow"])
    columns = {
        "keeper": pc.if_else(lost, named, entries["keeper"]),
        "reason": pc.if_else(own, entries["reason"], reason.value),
    }
    for name, values in columns.items():
        at = entries.schema.get_field_index(name)
        entries = entries.set_column(at, entries.schema.field(name), values)
    return entries


def stands(entries: pa.Table) -> pa.ChunkedArray:
    """True for entries that still can remove copies: kept ones and shadows."""
    return pc.or_(pc.equal(entries["reason"], ""), entries["shadow"])
