"""Submissions: one reason a row, in order, and no line that stops the reading."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.links.select import Dropped, Post, ReadRules, Selector, file_extension, why_url
from pipeline.reasons import Reason
from pipeline.settings import LinksSettings

GOOD: dict[str, Any] = {
    "id": "abc",
    "url": "http://www.example.com/a/?utm_source=x",
    "created_utc": 1400000000,
    "score": 5,
    "subreddit": "news",
    "is_self": False,
    "over_18": False,
    "author": "somebody",
}


RULES = ReadRules.of(LinksSettings())
DEFAULT = Selector(RULES)


def judge(fields: dict[str, Any] | bytes, **changed: Any) -> Post | Dropped:
    line = fields if isinstance(fields, bytes) else json.dumps(fields).encode() + b"\n"
    selector = Selector(ReadRules.of(LinksSettings(**changed))) if changed else DEFAULT
    return selector.judge(line)


def reason(fields: dict[str, Any] | bytes, **changed: Any) -> str | None:
    verdict = judge(fields, **changed)
    return verdict.reason.value if isinstance(verdict, Dropped) else None


def test_a_good_submission_becomes_a_post_without_its_author() -> None:
    post = judge(GOOD)
    assert isinstance(post, Post)
    assert post.target.key == "example.com/a"
    assert post.target.url == "http://www.example.com/a/"
    assert (post.karma, post.created_s, post.post_id) == (5, 1400000000, "abc")
    assert (post.subreddit, post.over_18) == ("news", False)
    assert "somebody" not in repr(post)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", "line_invalid"),
        (b"\n", "line_invalid"),
        (b"\0" * 64, "line_invalid"),
        (b'{"id":"a"', "line_invalid"),
        (b'{"a":"\xff"}', "line_invalid"),
        (b'{"url":"\xff\xfe"}', "line_invalid"),
        (b'{"url":"\\ud800"}', "line_invalid"),
        (b'{"score":1e999}', "line_invalid"),
        (b'{"a":NaN}', "line_invalid"),
        (b'{"a":1} trailing', "line_invalid"),
        (b'["a"', "line_invalid"),
        (b'{"url":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "line_invalid"),
        (b"[" * 100_000, "line_invalid"),
        (b"null", "line_not_object"),
        (b'["not","an","object"]', "line_not_object"),
        (b'"text"', "line_not_object"),
        (b"3", "line_not_object"),
        (b"{}", "url_missing"),
    ],
)
def test_a_broken_line_is_a_counted_reason(line: bytes, expected: str) -> None:
    assert reason(line) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"url": None}, "url_missing"),
        ({"url": ""}, "url_missing"),
        ({"url": 7}, "url_missing"),
        ({"url": {"a": 1}}, "url_missing"),
        ({"created_utc": None}, "time_invalid"),
        ({"created_utc": "soon"}, "time_invalid"),
        ({"created_utc": "9" * 30}, "time_invalid"),
        ({"created_utc": True}, "time_invalid"),
        ({"created_utc": -5}, "time_invalid"),
        ({"created_utc": [1]}, "time_invalid"),
        ({"created_utc": 1514764800}, "outside_dates"),
        ({"created_utc": 1514764799}, None),
        ({"created_utc": "1400000000"}, None),
        ({"created_utc": 1400000000.0}, None),
        ({"created_utc": "1400000000.0"}, None),
        ({"is_self": True}, "self_post"),
        ({"domain": "self.news"}, "self_post"),
        ({"score": None}, "score_missing"),
        ({"score": "8"}, "score_missing"),
        ({"score": True}, "score_missing"),
        ({"score": 10**30}, "score_missing"),
        ({"score": [3]}, "score_missing"),
        ({"score": 3.0}, None),
        ({"score": None, "ups": 9, "downs": 1}, "score_missing"),
        ({"hide_score": True}, "score_hidden"),
        ({"promoted": True}, "promoted"),
        ({"promoted": None}, None),
        ({"quarantine": True}, "quarantined"),
        ({"removed_by_category": "moderator"}, "removed"),
        ({"removed_by_category": None}, None),
        ({"_meta": {"was_deleted_later": True}}, "removed"),
        ({"author": "[deleted]"}, None),
        ({"url": "/r/news/comments/abc/x/"}, "reddit_internal"),
        ({"url": "//example.com/"}, "url_invalid"),
        ({"url": "http://" + "a/" * 2000}, "url_too_long"),
        ({"url": "ftp://example.org/x"}, "scheme_not_http"),
        ({"url": "http://a..b/"}, "host_invalid"),
        ({"url": "http://localhost:8000/"}, "host_private"),
        ({"url": "http://user:pw@example.com/"}, "url_credentials"),
        ({"url": "http://user:pw@localhost/"}, "host_private"),
        ({"url": "http://user:pw@imgur.com/"}, "url_credentials"),
        ({"url": "http://imgur.com/a.jpg"}, "media_host"),
        ({"url": "http://twitter.com/a"}, "social_host"),
        ({"url": "http://example.com/a.pdf"}, "file_extension"),
        ({"url": "http://en.wikipedia.org/a.PDF?x=1"}, "file_extension"),
        ({"url": "http://en.wikipedia.org/wiki/File:A.png"}, "wikipedia"),
        ({"url": "http://imgur.com/a", "url_overridden_by_dest": "http://example.com/"}, None),
        ({"url": "http://example.com/", "url_overridden_by_dest": None}, None),
        ({"title": "\u65e5 \0 \ufffd", "selftext": "x" * 1_000_000}, None),
        ({"id": None, "subreddit": 7, "over_18": "yes", "domain": 5, "_meta": "x"}, None),
    ],
)
def test_each_field_gets_its_reason(change: dict[str, Any], expected: str | None) -> None:
    assert reason({**GOOD, **change}) == expected


ORDER: list[tuple[str, dict[str, Any]]] = [
    ("outside_dates", {"created_utc": 1600000000}),
    ("self_post", {"is_self": True}),
    ("score_missing", {"score": None}),
    ("score_hidden", {"hide_score": True}),
    ("promoted", {"promoted": True}),
    ("quarantined", {"quarantine": True}),
    ("removed", {"removed_by_category": "reddit"}),
    ("over_18", {"over_18": True}),
    ("subreddit_blocked", {"subreddit": "Worst"}),
    ("wikipedia", {"url": "http://en.wikipedia.org/wiki/Map"}),
]


def test_the_first_reason_in_the_order_of_the_list_is_given() -> None:
    order = [member.value for member in Reason]
    assert [name for name, _ in ORDER] == sorted((n for n, _ in ORDER), key=order.index)
    for number in range(len(ORDER)):
        fields = dict(GOOD)
        for _, change in ORDER[number:]:
            fields |= change
        assert reason(fields, over_18=False, blocked_subreddits=("r/worst",)) == ORDER[number][0]


def test_settings_for_posts_are_obeyed() -> None:
    assert reason({**GOOD, "over_18": True}) is None
    assert reason(GOOD, blocked_domains=("www.Example.com",)) == "domain_blocked"
    assert reason(GOOD, date_min=date(2014, 5, 14)) == "outside_dates"
    assert reason(GOOD, date_min=date(2014, 5, 13)) is None
    assert reason(GOOD, date_max=date(2014, 5, 13)) is None
    assert reason(GOOD, url_chars_max=20) == "url_too_long"


@pytest.mark.parametrize(
    "entry",
    ["example.com", "www.example.com", "http://example.com/a", "https://www.example.com/a/",
     "example.com/a", "c3b66bd0"],
)  # fmt: skip
def test_links_are_removed_by_host_url_or_id(entry: str) -> None:
    kept = judge(GOOD)
    assert isinstance(kept, Post)
    entry = kept.target.id if entry == "c3b66bd0" else entry
    assert reason(GOOD, removed=(entry,)) == "removed_by_request"
    assert reason({**GOOD, "url": "http://other.org/a"}, removed=(entry,)) is None


@pytest.mark.parametrize("entry", ["", "example", "not a url", "c3b66bd0"])
def test_a_request_that_names_nothing_is_refused(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"links\.removed"):
        Selector(ReadRules.of(LinksSettings(removed=(entry,))))


def test_a_drop_names_the_link_so_that_why_can_find_it() -> None:
    kept = judge(GOOD)
    dropped = judge({**GOOD, "score": None})
    assert isinstance(kept, Post)
    assert isinstance(dropped, Dropped)
    assert dropped.id == kept.target.id == why_url(GOOD["url"], RULES).id
    media = judge({**GOOD, "url": "http://imgur.com/a"})
    assert isinstance(media, Dropped)
    assert media.id == why_url("http://imgur.com/a", RULES).id
    assert why_url("http://imgur.com/a", RULES).reason is Reason.MEDIA_HOST


def test_why_says_what_a_url_is_and_what_speaks_against_it() -> None:
    good = why_url("http://www.example.com/a/", RULES)
    assert (good.key, good.url, good.reason) == ("example.com/a", "http://www.example.com/a/", None)
    assert why_url("mailto:a@b.c", RULES) == ("", "", "", Reason.SCHEME_NOT_HTTP)


@pytest.mark.parametrize(
    ("path", "extension"),
    [("/a.jpg", "jpg"), ("/a.JPG", "jpg"), ("/a.b/c", ""), ("/a.html", ""), ("/", ""),
     ("/a.jpg/", ""), ("/wiki/File:A.jpg", ""), ("/.pdf", "pdf"), ("/a.jpg.html", "")],
)  # fmt: skip
def test_the_file_extension_is_that_of_the_last_name(path: str, extension: str) -> None:
    assert file_extension(path) == extension


def test_score_ages_are_counted_by_month_of_posting() -> None:
    selector = Selector(RULES)
    for created, read in [
        (1400000000, {"retrieved_on": 1400000005}),  # 2014-05, after five seconds
        (1400000000, {"retrieved_utc": 1400086400}),  # after a day
        (1400000000, {"retrieved_on": 1400000005, "updated_on": 1500000000}),
        (1400000000, {"retrieved_on": 1400000005, "_meta": {"retrieved_2nd_on": 1400200000}}),
        (1400000000, {}),
        (1402000000, {"retrieved_on": 1402000005}),  # 2014-06
        (1600000000, {"retrieved_on": 1600000005}),  # outside the dates
    ]:
        selector.judge(json.dumps({**GOOD, "created_utc": created, **read}).encode())
    assert selector.score_ages() == {"2014-05": [4, 1], "2014-06": [1, 1]}


_PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["http://x.com/a", "https://[", "1400000000", "[deleted]"])
)  # fmt: skip
_VALUES = _PLAIN | st.lists(_PLAIN, max_size=1) | st.dictionaries(st.text(max_size=3), _PLAIN)
_NAMES = st.sampled_from(
    [*GOOD, "domain", "hide_score", "promoted", "quarantine", "removed_by_category", "retrieved_on",
     "retrieved_utc", "updated_on", "url_overridden_by_dest", "_meta"]
)  # fmt: skip


@given(st.dictionaries(_NAMES, _VALUES))
@settings(max_examples=150, deadline=None)
def test_no_object_stops_the_reading(change: dict[str, Any]) -> None:
    verdict = judge({**GOOD, **change})
    assert isinstance(verdict, Post | Dropped)


@given(st.binary(max_size=60) | st.binary(max_size=20).map(b'{"url":"'.__add__))
@settings(max_examples=150, deadline=None)
def test_no_line_stops_the_reading(line: bytes) -> None:
    assert isinstance(judge(line), Post | Dropped)
