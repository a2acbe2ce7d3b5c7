"""Copies to posts: a submission that stands in several dumps, or twice in one, is one post.

Later dumps know more than earlier ones: what was removed since, or marked as an advertisement, as
from a quarantined subreddit, as unsafe for work. So a mark on any copy is a mark on the post. The
marked copies themselves are dropped where they are read; what travels to the others is a row with
the post's id and the mark, no submission by itself. Copies meet by the post's id, not by their
link: a removal often takes the URL away, and newer fields name another one.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.links.group import POST, posts_table
from pipeline.links.select import Dropped, Post
from pipeline.reasons import Reason

# In the order of the reasons: the first that holds is told.
MARKS = (Reason.PROMOTED, Reason.QUARANTINED, Reason.REMOVED, Reason.OVER_18)
UNMARKED = len(MARKS)
_OVER_18 = MARKS.index(Reason.OVER_18)

# One row for each copy that counts by itself (`mark` is UNMARKED), and one for each marked copy.
# `copy_key` is the post's id; that of the link, after a slash, where the post has none.
COPY = pa.schema([("copy_key", pa.string()), ("mark", pa.int8()), *POST])


class Once(NamedTuple):
    """Posts that count (rows of POST), and copies that do not (rows of COPY, with the mark)."""

    posts: pa.Table
    marked: pa.Table


def copies_table(posts: Sequence[Post], marks: Sequence[Dropped]) -> pa.Table:
    """The rows of COPY for posts, and for drops that have a mark."""
    keys = [post.post_id or "/" + post.target.id for post in posts]
    rows = posts_table(posts)
    unmarked = pa.repeat(pa.scalar(UNMARKED, pa.int8()), len(posts))
    table = pa.table([pa.array(keys, pa.string()), unmarked, *rows.columns], schema=COPY)
    if not marks:
        return table
    bare: dict[str, list[object]] = {
        "copy_key": [drop.post_id for drop in marks],
        "mark": [_place(drop) for drop in marks],
        "id": [drop.id for drop in marks],
    }
    return pa.concat_tables([table, _filled(bare)])


def each_once(copies: pa.Table) -> Once:
    """Each post once a link, unless a copy is marked; `copies` must be sorted by all columns.

    Of copies that lead to one link that with the highest karma stays, unsafe for work if any is.
    Rows without a post's id are all posts. A mark counts for all copies, that for unsafe work only
    for those of the same link: it is a judgement on a page.
    """
    if not copies.num_rows:
        return Once(copies.select(POST.names), copies)
    mark = copies["mark"].to_numpy()
    worst = _worst_marks(copies, mark)
    fallen = (mark == UNMARKED) & (worst < UNMARKED)
    marked = copies.filter(pa.array(fallen))
    place = marked.schema.get_field_index("mark")
    marked = marked.set_column(place, COPY.field("mark"), pa.array(worst[fallen], pa.int8()))
    return Once(_merged(copies.filter(pa.array(worst == UNMARKED))), marked)


def _worst_marks(copies: pa.Table, mark: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """For each row the first of the marks that count for it."""
    differs = _differs(copies["copy_key"])
    everywhere = np.where(mark == _OVER_18, UNMARKED, mark)
    worst = np.minimum.reduceat(everywhere, np.flatnonzero(differs))[np.cumsum(differs) - 1]
    if (mark == _OVER_18).any():
        places = pc.binary_join_element_wise(copies["copy_key"], copies["id"], " ")
        unsafe = pc.is_in(places, value_set=places.filter(pa.array(mark == _OVER_18)))
        worst = np.where(unsafe.to_numpy(), np.minimum(worst, _OVER_18), worst)
    marks: npt.NDArray[np.int8] = worst.astype(np.int8)
    return marks


def _merged(copies: pa.Table) -> pa.Table:
    if not copies.num_rows:
        return copies.select(POST.names)
    named = pc.not_equal(copies["post_id"], "").to_numpy()
    first = _differs(copies["copy_key"]) | _differs(copies["id"]) | ~named
    # The place in the table comes last: the table's order is a function of its rows.
    post = np.cumsum(first)
    order = np.lexsort((np.arange(len(post)), -copies["karma"].to_numpy(), post))
    kept = copies.take(order[first]).select(POST.names)  # the first of each post in this order
    over_18 = np.logical_or.reduceat(copies["over_18"].to_numpy(), np.flatnonzero(first))
    return kept.set_column(
        POST.get_field_index("over_18"), POST.field("over_18"), pa.array(over_18)
    )


def _differs(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Whether each value is another than the one before it."""
    values = column.combine_chunks()
    differs = np.ones(len(values), bool)
    differs[1:] = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    return differs


def _place(drop: Dropped) -> int:
    assert drop.mark is not None
    return MARKS.index(drop.mark)


def _filled(columns: dict[str, list[object]]) -> pa.Table:
    """These columns, and the others empty."""
    count = len(columns["copy_key"])
    empty = {pa.string(): "", pa.int64(): 0, pa.bool_(): False}
    return pa.table(
        [columns.get(f.name) or pa.repeat(pa.scalar(empty[f.type], f.type), count) for f in COPY],
        schema=COPY,
    )
