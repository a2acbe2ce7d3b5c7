"""Posts to links: all karmas, the best post, the first; checked against the plain way."""

from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.links.group import POST, links_table, posts_table, with_verdicts
from pipeline.links.select import Post, Target
from pipeline.records import LINK
from pipeline.settings import LinksSettings

Row = dict[str, Any]


def post(link: str, karma: int, created: int, id: str, **more: Any) -> Row:
    row = {"id": link, "key": f"{link}.com/", "url": f"http://{link}.com/", "via": "",
           "capture_hint_s": None, "karma": karma, "created_s": created, "post_id": id,
           "subreddit": "news", "over_18": False}  # fmt: skip
    return row | more


def links(rows: list[Row]) -> list[Row]:
    """As the engine calls it: sorted by id, then by all other columns."""
    table = pa.Table.from_pylist(rows, schema=POST)
    others = [name for name in POST.names if name != "id"]
    found = links_table(table.sort_by([(name, "ascending") for name in ("id", *others)]))
    assert found.schema == LINK
    return list(found.to_pylist())


def plainly(rows: list[Row]) -> list[Row]:
    """The same in the obvious way."""
    by_link: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_link[row["id"]].append(row)
    found = []
    for id, posts in sorted(by_link.items()):
        by_time = sorted(posts, key=lambda p: (p["created_s"], p["post_id"]))
        best = min(by_time, key=lambda p: (-p["karma"], p["created_s"], p["post_id"]))
        hints = [p["capture_hint_s"] for p in by_time if p["capture_hint_s"] is not None]
        found.append(
            {
                "id": id,
                "capture_hint_s": hints[0] if hints else None,
                "karma_max": best["karma"],
                "karma_sum": sum(p["karma"] for p in by_time),
                "karma_first": by_time[0]["karma"],
                "posts": len(by_time),
                "first_post_s": by_time[0]["created_s"],
                "best_post_id": best["post_id"],
                "over_18": any(p["over_18"] for p in by_time),
            }
        )
    return found


def test_the_best_post_gives_url_and_subreddit_and_the_first_its_time() -> None:
    rows = [
        post("a", 2, 10, "x1", url="http://a.com/", capture_hint_s=7, over_18=True),
        post("a", 9, 30, "x3", url="https://www.a.com/", subreddit="science", via="href.li"),
        post("a", 9, 40, "x2", url="http://www.a.com/", subreddit="later", capture_hint_s=8),
        post("b", -4, 20, "y1"),
    ]
    a, b = links(rows)
    assert (a["karma_max"], a["karma_sum"], a["karma_first"], a["posts"]) == (9, 20, 2, 3)
    assert (a["best_post_id"], a["subreddit"], a["via"]) == ("x3", "science", "href.li")
    assert (a["url"], a["key"]) == ("https://www.a.com/", "a.com/")
    assert (a["first_post_s"], a["capture_hint_s"], a["over_18"]) == (10, 7, True)
    assert (b["karma_max"], b["karma_sum"], b["posts"], b["over_18"]) == (-4, -4, 1, False)
    assert b["capture_hint_s"] is None


def test_submissions_without_an_id_are_all_counted() -> None:
    (a,) = links([post("a", 5, 10, ""), post("a", 5, 10, "")])
    assert (a["posts"], a["karma_sum"]) == (2, 10)


def test_of_equal_posts_the_earliest_then_the_smaller_id_is_best() -> None:
    (a,) = links([post("a", 5, 20, "x1"), post("a", 5, 10, "x3"), post("a", 5, 10, "x2")])
    assert a["best_post_id"] == "x2"


_ROWS = st.lists(
    st.builds(
        post,
        st.sampled_from("abc"),
        st.integers(-3, 4),
        st.integers(1, 4),
        st.sampled_from("pqrstuvw"),
        capture_hint_s=st.none() | st.integers(1, 3),
        over_18=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda row: row["post_id"],
)


@given(_ROWS, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_links_are_what_the_plain_way_gives_in_any_order(rows: list[Row], random: Any) -> None:
    random.shuffle(rows)
    expected = plainly(rows)
    assert [{name: row[name] for name in expected[0]} for row in links(rows)] == expected


def test_no_posts_give_no_links() -> None:
    assert links([]) == []


@pytest.mark.parametrize(
    ("rule", "limit", "kept"),
    [("max", 3, "ab"), ("max", 4, "a"), ("sum", 3, "a"), ("sum", 1, "ac"), ("first", 3, "b"),
     ("max", 0, "abc")],
)  # fmt: skip
def test_the_karma_rule_decides_and_all_links_stay(rule: Any, limit: int, kept: str) -> None:
    rows = [
        post("a", 1, 10, "x1"), post("a", 4, 20, "x2"),
        post("b", 3, 10, "y1"), post("b", -3, 20, "y2"),
        post("c", 1, 10, "z1"), post("c", 0, 20, "z2"),
    ]  # fmt: skip
    table = pa.Table.from_pylist(links(rows), schema=LINK)
    verdicts = with_verdicts(table, LinksSettings(karma_rule=rule, karma_min=limit))
    assert verdicts.schema == LINK
    found = {row["id"]: row["verdict"] for row in verdicts.to_pylist()}
    assert found == {id: "kept" if id in kept else "karma_low" for id in "abc"}


def test_posts_become_columns_in_the_schema_of_the_exchange() -> None:
    target = Target(None, "", "i", "k", "u", "v", None)
    table = posts_table([Post(target, 3, 10, "x", "news", True)])
    assert table.schema == POST
    assert table.to_pylist() == [post("i", 3, 10, "x", key="k", url="u", via="v", over_18=True)]
    assert posts_table([]).num_rows == 0
