"""Copies to posts: a submission that stands in several dumps, or twice in one, is one post.

Later dumps know more than earlier ones: what was removed since, or marked as an advertisement, as
unsafe for work, as from a quarantined subreddit. So a mark on any copy is a mark on the post. The
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
    }
    return pa.concat_tables([table, _filled(bare)])


def each_once(copies: pa.Table) -> Once:
    """Each post once, unless one of its copies is marked; `copies` must be sorted by their key.

    Copies share id and time of posting (rows that share an id alone are other posts). Of them the
    one with the highest karma stays, unsafe for work if any is. Rows without an id are all posts.
    """
    if not copies.num_rows:
        return Once(copies.select(POST.names), copies)
    keys = copies["copy_key"].combine_chunks()
    differs = np.ones(len(keys), bool)
    differs[1:] = pc.not_equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False)
    starts, post = np.flatnonzero(differs), np.cumsum(differs) - 1
    mark = copies["mark"].to_numpy()
    worst = np.minimum.reduceat(mark, starts)[post]
    standing = np.flatnonzero(worst == UNMARKED)
    fallen = np.flatnonzero((mark == UNMARKED) & (worst < UNMARKED))
    marked = copies.take(fallen)
    place = marked.schema.get_field_index("mark")
    marked = marked.set_column(place, COPY.field("mark"), pa.array(worst[fallen], pa.int8()))
    return Once(_merged(copies.take(standing), post[standing]), marked)


def _merged(copies: pa.Table, post: npt.NDArray[np.int64]) -> pa.Table:
    if not copies.num_rows:
        return copies.select(POST.names)
    karma, created = copies["karma"].to_numpy(), copies["created_s"].to_numpy()
    # The place in the table comes last: the table's order is a function of its rows.
    order = np.lexsort((np.arange(len(post)), -karma, created, post))
    named = pc.not_equal(copies["post_id"], "").to_numpy()[order]
    first = np.ones(len(order), bool)
    again = (np.diff(post[order]) == 0) & (np.diff(created[order]) == 0)
    first[1:] = ~(again & named[1:])
    unsafe = copies["over_18"].to_numpy()[order]
    over_18 = np.logical_or.reduceat(unsafe, np.flatnonzero(first))
    kept = copies.take(order[first]).select(POST.names)
    return kept.set_column(
        POST.get_field_index("over_18"), POST.field("over_18"), pa.array(over_18)
    )


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
