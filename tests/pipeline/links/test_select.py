"""Submissions: one reason a row, in order, and no line that stops the reading."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.links.select import (
    LINES_LOOKED_AT,
    Dropped,
    Post,
    ReadRules,
    Selector,
    file_extension,
    why_url,
)
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


NAN = float("nan")
RULES = ReadRules.of(LinksSettings())


def judge(fields: dict[str, Any] | bytes, **changed: Any) -> Post | Dropped:
    line = fields if isinstance(fields, bytes) else json.dumps(fields).encode() + b"\n"
    rules = ReadRules.of(LinksSettings(**changed)) if changed else RULES
    return Selector(rules).judge(line)  # a new one, since the first lines tell what a dump is


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
        (b'{"a":"\xed\xa0\xbd\xff"}', "line_invalid"),
        (b'{"a":"\xed\xa0"}', "line_invalid"),
        (b'{"score":1e999}', "url_missing"),
        (b'{"a":NaN}', "url_missing"),
        (b'{"a":NaNa}', "line_invalid"),
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
        ({"created_utc": "2014-05-01 00:00:00"}, None),
        ({"created_utc": "01/05/2014"}, "time_invalid"),
        ({"created_utc": NAN}, "time_invalid"),
        ({"url": "None"}, "url_missing"),
        ({"url": "\\N"}, "url_missing"),
        ({"url": NAN}, "url_missing"),
        ({"url": "http://example.com/cut\ud83d"}, "url_invalid"),
        ({"url": "http://imgur.com/a", "url_overridden_by_dest": "None"}, "media_host"),
        ({"url": "http://example.com/", "url_overridden_by_dest": NAN}, None),
        ({"created_utc": "1400000000.0"}, None),
        ({"is_self": True}, "self_post"),
        ({"domain": "self.news"}, "self_post"),
        ({"score": None}, "score_missing"),
        ({"score": "8"}, None),
        ({"score": "8.5"}, "score_missing"),
        ({"score": "None"}, "score_missing"),
        ({"score": NAN}, "score_missing"),
        ({"score": float("-inf")}, "score_missing"),
        ({"score": 3.7}, "score_missing"),
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
        ({"removed_by_category": "None"}, None),
        ({"removed_by_category": "False"}, None),
        ({"removed_by_category": ""}, None),
        ({"removed_by_category": NAN}, None),
        ({"removed_by_category": True}, "removed"),
        ({"banned_by": "somebody"}, "removed"),
        ({"banned_by": None, "removed_by": "null", "removal_reason": False}, None),
        ({"removal_reason": "legal"}, "removed"),
        ({"removed": True}, "removed"),
        ({"removed": "true"}, "removed"),
        ({"spam": 1}, "removed"),
        ({"title": "[deleted by user]"}, "removed"),
        ({"selftext": "[removed]"}, "removed"),
        ({"selftext": "[deleted]", "author": "[deleted]"}, "removed"),
        ({"selftext": "[ Removed by Reddit in response to a copyright notice. ]"}, "removed"),
        ({"title": "[deleted] scenes", "selftext": ""}, None),
        ({"title": NAN, "selftext": NAN}, None),
        ({"_meta": {"was_deleted_later": True}}, "removed"),
        ({"_meta": {"was_deleted_later": "True"}}, "removed"),
        ({"_meta": {"was_initially_deleted": True}}, "removed"),
        ({"_meta": {"was_deleted_later": False, "removal_type": None}}, None),
        ({"_meta": {"removal_type": "moderator"}}, "removed"),
        ({"_meta": {"removal_type": "removed by reddit"}}, "removed"),
        ({"_meta": {"removal_type": "None"}}, None),
        ({"_meta": '{"removal_type": "deleted"}'}, "removed"),
        ({"_meta": "{'was_deleted_later': True}"}, "removed"),
        ({"_meta": '{"removal_type": "del'}, "flag_invalid"),
        ({"_meta": "[object Object]"}, "flag_invalid"),
        ({"_meta": {"was_deleted_later": "perhaps"}}, "flag_invalid"),
        ({"_meta": {"note": "no_2nd_retrieval"}}, None),
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


ODD_VALUES = [
    b'"cut off \\ud83d"',
    b'"\\ude00 x"',
    b'"\\ud83d\\ud83d"',
    b'"\xed\xa0\xbd"',  # half a pair, as CESU-8 writes it
    b'"\xed\xa0\xbd\xed\xb8\x80"',
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"9" * 5000,
    b'"a\x01\tb"',
    b'[{"deep": NaN}, "\\udc00"]',
]


@pytest.mark.parametrize("odd", ODD_VALUES, ids=lambda value: repr(value[:20]))
def test_what_stands_in_a_field_that_nobody_reads_changes_nothing(odd: bytes) -> None:
    plain = json.dumps(GOOD).encode()
    for line in (plain[:-1] + b', "title": ' + odd + b"}", b'{"flair": ' + odd + b", " + plain[1:]):
        assert judge(line) == judge(GOOD)


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert judge(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()) == judge(GOOD)


def test_surrogate_pairs_in_a_url_are_its_characters_however_they_are_written() -> None:
    whole = judge({**GOOD, "url": "http://example.com/\U0001f600"})
    line = json.dumps({**GOOD, "url": "http://example.com/@"}).encode()
    assert judge(line.replace(b"@", b"\xed\xa0\xbd\xed\xb8\x80")) == whole


FLAGS = ["hide_score", "is_self", "over_18", "promoted", "quarantine"]
NAMES = ["score_hidden", "self_post", "over_18", "promoted", "quarantined"]


@pytest.mark.parametrize(("flag", "name"), list(zip(FLAGS, NAMES, strict=True)))
def test_a_flag_is_obeyed_however_it_is_written(flag: str, name: str) -> None:
    for true in (True, "True", "true", "t", 1, "1", 1.0, "yes"):
        assert reason({**GOOD, flag: true}, over_18=False) == name, true
    for false in (False, "False", "f", 0, "0", "no", "", None, "None", NAN, "NULL"):
        assert reason({**GOOD, flag: false}, over_18=False) is None, false
    for odd in ("maybe", 7, [], {"a": 1}, "WAHR"):
        dropped = judge({**GOOD, flag: odd})
        assert isinstance(dropped, Dropped)
        assert dropped.reason is Reason.FLAG_INVALID
        assert dropped.detail.startswith(f"{flag}: ")


def test_a_row_from_a_spreadsheet_is_the_post_that_it_was() -> None:
    words = {name: str(value) for name, value in GOOD.items()}
    words |= {"over_18": "True", "removed_by_category": "None", "hide_score": "", "_meta": "nan"}
    assert judge(words) == judge({**GOOD, "over_18": True})
    assert judge({**GOOD, "id": "t3_abc"}) == judge(GOOD)
    number = judge({**GOOD, "id": 87})
    assert isinstance(number, Post)
    assert number.post_id == "87"


@pytest.mark.parametrize("id", [None, "", "None", "nan", NAN, "a\ud800", [], True])
def test_a_word_for_nothing_is_no_id(id: Any) -> None:
    post = judge({**GOOD, "id": id})
    assert isinstance(post, Post)
    assert post.post_id == ""


def test_a_score_is_as_old_as_its_words_say() -> None:
    selector = Selector(RULES)
    for read in ("1400000005", 1400000005.0, "2014-05-13 16:53:25", "1400086400", "None"):
        selector.judge(json.dumps({**GOOD, "retrieved_on": read}).encode())
    assert selector.score_ages() == {"2014-05": [4, 3]}


@pytest.mark.parametrize(
    "fields",
    [
        {"body": "words", "link_id": "t3_a", "parent_id": "t1_b"},
        {"body": "", "link_id": "t3_a"},
        {"body": "words", "parent_id": "t3_a", "url": None, "title": None},
        {"body": "words", "link_id": "t3_a", "url": "", "controversiality": "\ud83d"},
    ],
)
def test_a_comment_is_told_as_one(fields: dict[str, Any]) -> None:
    assert reason({"id": "c", "score": 3, "created_utc": 1400000000, **fields}) == "comment"


@pytest.mark.parametrize(
    "fields", [{"body": "words"}, {"body": None, "link_id": None}, {"link_id": "t3_a"}]
)
def test_a_submission_without_a_url_is_no_comment(fields: dict[str, Any]) -> None:
    assert reason({"id": "c", "title": "t", **fields}) == "url_missing"
    assert reason({**GOOD, **fields}) is None


MARKS: list[tuple[str, dict[str, Any]]] = [
    ("promoted", {"promoted": True}),
    ("quarantined", {"quarantine": "t"}),
    ("removed", {"removed_by_category": "deleted"}),
    ("over_18", {"over_18": 1}),
]


@pytest.mark.parametrize(("name", "change"), MARKS)
@pytest.mark.parametrize(
    "other", [{}, {"score": None}, {"url": ""}, {"hide_score": True}, {"created_utc": None}]
)
def test_a_drop_carries_the_mark_that_holds_for_all_copies_of_its_post(
    name: str, change: dict[str, Any], other: dict[str, Any]
) -> None:
    dropped = judge({**GOOD, **change, **other}, over_18=False)
    assert isinstance(dropped, Dropped)
    assert (dropped.mark, dropped.post_id) == (Reason(name), "abc")
    unmarked = judge({**GOOD, **other, "score": None}, over_18=False)
    assert isinstance(unmarked, Dropped)
    assert unmarked.mark is None


REMOVED: list[dict[str, Any]] = [
    {"_meta.removal_type": "deleted"},
    {"_meta_removal_type": "moderator"},
    {"meta__removal_type": "author"},
    {"removal_type": "copyright_takedown", "was_deleted_later": None},
    {"_meta.removal_type": None, "_meta.was_deleted_later": "True"},
    {"_meta.was_initially_deleted": 1.0},
    {"_meta": [{"removal_type": "deleted"}]},
    {"_meta": [{"retrieved_2nd_on": 1500000000}, {"was_deleted_later": True}]},
    {"_meta": [{"key": "removal_type", "value": "reddit"}]},
    {"_meta": [["was_deleted_later", True]]},
    {"_meta": '[{"removal_type": "deleted"}]'},
    {"_meta": {"retrieved_2nd_on": 1500000000}, "is_deleted": True},
    {"is_deleted": "t"},
    {"is_removed": 1},
    {"deleted": True},
    {"author": "[removed]"},
    {"selftext": " [ Removed by reddit ]"},
    {"selftext": "[Removed by Reddit]"},
    {"selftext": "[ Removed by Reddit on account of violating the [content policy](/help). ]"},
    {"selftext": "\n[removed]\n"},
    {"title": "[ Deleted By User ]"},
    {"title": "\u200b[removed by moderator]"},
    {"selftext": "\\[deleted\\]"},
    {"selftext": "**[removed]**"},
    {"title": "[deleted by author]."},
]
STANDING: list[dict[str, Any]] = [
    {"_meta.removal_type": None},
    {"_meta.removal_type": "None", "_meta.was_deleted_later": "False"},
    {"_meta_removal_type": NAN},
    {"_meta": []},
    {"_meta": [None, {}]},
    {"is_deleted": False, "deleted": "no", "is_removed": 0},
    {"is_meta": True, "title": "is_deleted"},
    {"title": "[removed] scenes"},
    {"title": "[Deleted] by user error"},
    {"selftext": " [deleted] and other words"},
    {"title": "removed by reddit"},
    {"title": "*" * 300 + "[removed]"},
    {"author": "[deleted]"},
    {"author": "removed"},
]


@pytest.mark.parametrize("change", REMOVED, ids=repr)
def test_a_removal_is_told_however_the_table_or_the_tombstone_is_written(
    change: dict[str, Any],
) -> None:
    dropped = judge({**GOOD, **change})
    assert isinstance(dropped, Dropped)
    assert (dropped.reason, dropped.mark, dropped.post_id) == (Reason.REMOVED,) * 2 + ("abc",)
    assert reason({**GOOD, **change}, accept_removed=True) is None


@pytest.mark.parametrize("change", STANDING, ids=repr)
def test_what_only_looks_like_a_removal_is_none(change: dict[str, Any]) -> None:
    assert reason({**GOOD, **change}) is None


@pytest.mark.parametrize("change", [{"_meta": [7]}, {"_meta.was_deleted_later": "perhaps"}])
def test_a_removal_that_cannot_be_read_is_no_guess(change: dict[str, Any]) -> None:
    assert reason({**GOOD, **change}) == "flag_invalid"


def test_a_table_made_of_a_dump_is_known_by_its_first_lines_and_read_as_one() -> None:
    selector = Selector(RULES)
    plain = json.dumps(GOOD).encode()
    flat = json.dumps({**GOOD, "_meta.was_deleted_later": True}).encode()
    first = [selector.judge(line) for line in (plain, flat, plain)]
    assert [isinstance(verdict, Post) for verdict in first] == [True, False, True]
    for _ in range(LINES_LOOKED_AT):
        selector.judge(plain)
    last = selector.judge(flat)
    assert isinstance(last, Dropped)
    assert last.reason is Reason.REMOVED


def test_a_flattened_time_of_reading_is_the_age_of_the_score() -> None:
    created = GOOD["created_utc"]
    selector = Selector(RULES)
    fields = {**GOOD, "retrieved_on": created, "_meta.retrieved_2nd_on": created + 10**6}
    selector.judge(json.dumps(fields).encode())
    assert selector.score_ages() == {"2014-05": [1, 0]}


@pytest.mark.parametrize(
    "names",
    [
        {"id": "t3_abc"},
        {"id": None, "name": "t3_abc"},
        {"id": "", "name": "t3_abc", "score": "5"},
        {"id": None, "permalink": "/r/news/comments/abc/a_title/"},
        {"id": None, "name": 7, "permalink": "https://www.reddit.com/comments/abc"},
    ],
)
def test_the_id_is_taken_from_the_full_name_or_the_address(names: dict[str, Any]) -> None:
    assert judge({**GOOD, **names}) == judge(GOOD)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"id": "t1_abc"}, "comment"),
        ({"id": None, "name": "t1_abc"}, "comment"),
        ({"id": "t1_abc", "over_18": "False"}, "comment"),
        ({"id": "t5_2qh33"}, "other_object"),
        ({"id": None, "name": "t2_abc"}, "other_object"),
        ({"id": "abc", "name": "t5_2qh33"}, None),
        ({"id": "row_7"}, None),
    ],
)
def test_what_is_no_submission_by_its_full_name_is_told_as_such(
    names: dict[str, Any], expected: str | None
) -> None:
    assert reason({**GOOD, **names}) == expected


def test_removed_posts_are_kept_where_that_is_asked() -> None:
    for change in ({"removed_by_category": "author"}, {"_meta": {"removal_type": "moderator"}}):
        assert reason({**GOOD, **change}, accept_removed=True) is None
    dropped = judge({**GOOD, "removed": True, "score": None}, accept_removed=True)
    assert isinstance(dropped, Dropped)
    assert dropped.mark is None


def test_no_moderator_is_named() -> None:
    dropped = judge({**GOOD, "banned_by": "somebody"})
    assert isinstance(dropped, Dropped)
    assert (dropped.reason, dropped.detail) == (Reason.REMOVED, "banned_by")


ORDER: list[tuple[str, dict[str, Any]]] = [
    ("outside_dates", {"created_utc": 1600000000}),
    ("flag_invalid", {"spam": "maybe"}),
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
    assert reason(GOOD, removed_by_request=(entry,)) == "removed_by_request"
    assert reason({**GOOD, "url": "http://other.org/a"}, removed_by_request=(entry,)) is None


@pytest.mark.parametrize("entry", ["", "example", "not a url", "c3b66bd0"])
def test_a_request_that_names_nothing_is_refused(entry: str) -> None:
    with pytest.raises(SettingsError, match=r"links\.removed_by_request"):
        Selector(ReadRules.of(LinksSettings(removed_by_request=(entry,))))


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
