"""Which crawls are asked for which links, and their names in few words."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.archive.outcomes import ANSWER
from pipeline.pages.commoncrawl.crawls import in_full, short
from pipeline.pages.commoncrawl.todo import asked_in, to_ask, with_asked

CRAWLS = ["CC-MAIN-2013-20", "CC-MAIN-2014-10", "CC-MAIN-2014-15"]
NAMES = st.one_of(
    st.builds("CC-MAIN-{}-{:02}".format, st.integers(2008, 2030), st.integers(0, 99)),
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
)


@given(st.sets(NAMES, max_size=12))
def test_names_in_short_are_read_as_they_were(names):
    assert in_full(short(sorted(names))) == names
    assert asked_in(with_asked("status 404, at http://x/[a]", sorted(names))) == names


def test_all_crawls_so_far_fit_into_a_detail():
    names = [f"CC-MAIN-{year}-{week:02}" for year in range(2013, 2031) for week in range(5, 50, 4)]
    assert len(with_asked("x" * 2000, names)) < 1_000


def answers(*rows):
    found = [{**dict.fromkeys(ANSWER.names), "is_final": True, **row} for row in rows]
    return pa.Table.from_pylist(found, schema=ANSWER)


def link_table(*ids):
    return pa.table({"id": pa.array(ids, pa.string()), "key": pa.array(ids, pa.string())})


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ({"outcome": "captured", "source": "live"}, []),
        ({"outcome": "captured", "source": "commoncrawl"}, []),
        (
            {"outcome": "not_in_index", "source": "commoncrawl", "detail": "[asked: 2013: 20]"},
            CRAWLS[1:],
        ),
        ({"outcome": "too_far", "source": "commoncrawl", "detail": with_asked("", CRAWLS)}, []),
        ({"outcome": "status_error", "source": "live", "detail": with_asked("", CRAWLS)}, CRAWLS),
        (
            {"outcome": "range_failed", "source": "commoncrawl", "is_final": False,
             "detail": with_asked("", CRAWLS)},
            CRAWLS,
        ),
        ({"outcome": "status_error", "source": "commoncrawl", "detail": None}, CRAWLS),
    ],
)  # fmt: skip
def test_a_link_is_asked_for_where_it_was_not(answer, asked):
    groups = list(to_ask(link_table("a"), answers({"id": "a", **answer}), CRAWLS))
    assert [crawls for crawls, _ in groups] == ([asked] if asked else [])


def test_every_link_is_in_one_group():
    told = answers(
        {
            "id": "b",
            "source": "commoncrawl",
            "outcome": "not_in_index",
            "detail": "[asked: 2014: 10]",
        },
        {"id": "c", "source": "commoncrawl", "outcome": "captured"},
    )
    groups = to_ask(link_table("a", "b", "c", "d"), told, CRAWLS)
    found = {tuple(crawls): table["id"].to_pylist() for crawls, table in groups}
    assert found == {tuple(CRAWLS): ["a", "d"], (CRAWLS[0], CRAWLS[2]): ["b"]}
    assert list(to_ask(link_table(), answers(), CRAWLS)) == []
