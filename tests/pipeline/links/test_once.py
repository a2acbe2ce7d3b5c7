"""Copies to posts: each counts once, and a mark on any copy is a mark on the post."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.links.group import POST
from pipeline.links.once import COPY, MARKS, UNMARKED, copies_table, each_once
from pipeline.links.select import Dropped, Post, Target
from pipeline.reasons import Reason

Row = dict[str, Any]


def post(
    id: str, karma: int = 5, created: int = 10, link: str = "a", over_18: bool = False
) -> Post:
    target = Target(None, "", link, f"{link}.com/", f"http://{link}.com/")
    return Post(target, karma, created, id, "news", over_18)


def mark(id: str, reason: Reason = Reason.REMOVED, link: str = "") -> Dropped:
    return Dropped(reason, link, mark=reason, post_id=id)


def once(posts: list[Post], *marks: Dropped) -> tuple[list[Row], list[Row]]:
    """Rows of posts and of marked copies, as the engine gets them: sorted by all columns."""
    others = [name for name in COPY.names if name != "copy_key"]
    keys = [(name, "ascending") for name in ("copy_key", *others)]
    found = each_once(copies_table(posts, marks).sort_by(keys))
    assert found.posts.schema == POST
    assert found.marked.schema == COPY
    return found.posts.to_pylist(), found.marked.to_pylist()


def test_the_marks_stand_in_the_order_of_the_reasons() -> None:
    assert list(MARKS) == sorted(MARKS, key=list(Reason).index)


def test_copies_of_a_post_are_one_with_the_highest_karma() -> None:
    (kept,), marked = once([post("x", 5), post("x", 9), post("x", 7, over_18=True), post("x", 9)])
    assert (kept["karma"], kept["post_id"], kept["over_18"]) == (9, "x", True)
    assert not marked


def test_what_leads_to_two_links_counts_for_both() -> None:
    kept, _ = once([post("x", 5, link="a"), post("x", 6, link="b"), post("x", 4, link="b")])
    assert [(row["id"], row["karma"]) for row in kept] == [("a", 5), ("b", 6)]


def test_posts_without_an_id_all_count_and_are_spread_by_their_link() -> None:
    posts = [post(""), post(""), post("", link="b")]
    assert len(once(posts)[0]) == 3
    assert set(copies_table(posts, [])["copy_key"].to_pylist()) == {"/a", "/b"}


@pytest.mark.parametrize("reason", MARKS[:3])
def test_a_mark_drops_all_copies_of_its_post_and_no_other(reason: Reason) -> None:
    kept, marked = once(
        [post("x"), post("x", link="b"), post("y"), post("x", created=11)], mark("x", reason)
    )
    assert [row["post_id"] for row in kept] == ["y"]
    assert [(row["post_id"], row["mark"]) for row in marked] == [("x", MARKS.index(reason))] * 3


def test_a_mark_for_unsafe_work_drops_the_copies_of_its_link() -> None:
    posts = [post("x"), post("x", link="b"), post("y")]
    kept, marked = once(posts, mark("x", Reason.OVER_18, "a"), mark("z", Reason.OVER_18, "a"))
    assert sorted((row["post_id"], row["id"]) for row in kept) == [("x", "b"), ("y", "a")]
    assert [(row["post_id"], row["id"], row["mark"]) for row in marked] == [("x", "a", 3)]


def test_of_several_marks_the_first_reason_is_told() -> None:
    _, (row,) = once([post("x")], mark("x", Reason.OVER_18, "a"), mark("x", Reason.QUARANTINED))
    assert MARKS[row["mark"]] is Reason.QUARANTINED


def test_a_mark_alone_is_no_submission() -> None:
    assert once([], mark("x")) == ([], [])
    assert once([]) == ([], [])


_POSTS = st.lists(
    st.builds(
        post,
        st.sampled_from(["", *"pqrs"]),
        st.integers(-2, 3),
        st.sampled_from([10, 10, 20]),
        st.sampled_from("ab"),
        st.booleans(),
    ),
    max_size=9,
)
_MARKS = st.lists(
    st.builds(mark, st.sampled_from("pqt"), st.sampled_from(MARKS), st.sampled_from(["", "a"])),
    max_size=3,
)


@given(_POSTS, _MARKS, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_posts_are_what_the_plain_way_gives_in_any_order(
    posts: list[Post], marks: list[Dropped], random: Any
) -> None:
    def is_marked(row: Post) -> bool:
        return any(
            row.post_id == drop.post_id
            and (drop.mark is not Reason.OVER_18 or drop.id == row.target.id)
            for drop in marks
        )

    best: dict[Any, Post] = {}
    for number, row in enumerate(posts):
        if not is_marked(row):
            key = (row.post_id, row.target.id) if row.post_id else number
            if key not in best or row.karma > best[key].karma:
                best[key] = row
    random.shuffle(posts)
    kept, marked = once(posts, *marks)
    told = sorted((row["post_id"], row["id"], row["karma"]) for row in kept)
    assert told == sorted((p.post_id, p.target.id, p.karma) for p in best.values())
    assert len(marked) == sum(map(is_marked, posts))
    assert all(row["mark"] < UNMARKED for row in marked)


def test_the_table_of_copies_holds_posts_and_marks() -> None:
    table = copies_table([post("x")], [mark("y", Reason.PROMOTED)])
    assert table.schema == COPY
    assert table.select(["copy_key", "mark"]).to_pylist() == [
        {"copy_key": "x", "mark": UNMARKED}, {"copy_key": "y", "mark": 0},
    ]  # fmt: skip
    assert isinstance(table, pa.Table)
