"""Canonical URLs: what merges, what must not, and that both paths agree."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.links.canonical import Canonical, canonical, canonical_slow, link_id
from pipeline.reasons import Drop, Reason

MERGE = [
    ("http://www.Example.com:80/a/../b/./c.html?utm_source=x&id=3#top", "https://example.com/b/c.html?id=3"),
    ("http://x.com/index.html", "https://www.x.com/"),
    ("http://x.com/docs/Default.aspx", "http://x.com/docs"),
    ("http://x.com/%7Efoo/", "http://x.com/~foo"),
    ("http://x.com/a%2d%2fb", "http://x.com/a-%2Fb"),
    ("http://xn--bcher-kva.de/", "http://bücher.de"),
    ("http://x.com/ä", "http://x.com/%c3%a4"),
    ("http://x.com/a?b=1&amp;c=2", "http://x.com/a?b=1&c=2"),
    ("http://x.com/a?b=1&amp;amp;c=2", "http://x.com/a?b=1&c=2"),
    ("https://x.com/A;jsessionid=12F?z=1", "https://x.com/A?z=1"),
    ("HTTPS://X.COM/a", "http://x.com/a"),
    ("http://x.com/a\tb\n", "http://x.com/ab"),
    ("  http://x.com/a ", "http://x.com/a"),
    ("http://x.com./a", "http://x.com/a"),
    ("http://x.com/a?", "http://x.com/a"),
    ("http://x.com/a?b=1&", "http://x.com/a?b=1"),
    ("http://x.com/a?fbclid=1&UTM_Medium=2", "http://x.com/a"),
    ("http://x.com/a?b[]=1", "http://x.com/a?b%5b%5d=1"),
    ("http://user:secret@x.com/a", "http://x.com/a"),
    ("http://x.com/a#:~:text=word", "http://x.com/a"),
    ("http://http://x.com/a", "http://x.com/a"),
    ("http://https://x.com/a", "http://x.com/a"),
    ("https://http//x.com/a", "http://x.com/a"),
    ("http:http://x.com/a", "http://x.com/a"),
    ("http:///http:///x.com/a", "http://x.com/a"),
    ("HTTP:\\\\http:\\\\x.com/a", "http://x.com/a"),
    ("http:// http://x.com/a", "http://x.com/a"),
    ("http//http://x.com/a", "http://x.com/a"),
    ("http://http%3A//x.com/a", "http://x.com/a"),
    ("http://https://http://x.com/a", "http://x.com/a"),
    ("http://x.com/a\u200b", "http://x.com/a"),
    ("\u200bhttp://x.com/a", "http://x.com/a"),
    ("\ufeff\u200e http://x.com/a \u200b\xa0\u2029", "http://x.com/a"),
    ("http://x.com/a%E2%80%8B", "http://x.com/a"),
    ("http://x.com/a%e2%80%8b%E2%80%8B%EF%BB%BF", "http://x.com/a"),
    ("http://x.com/a%C2%AD", "http://x.com/a"),
    ("http://x.com/a%0D%0A", "http://x.com/a"),
    ("http://x.com/a\u200b#top", "http://x.com/a"),
    ("http://x.com/a?b=1\u200b", "http://x.com/a?b=1"),
    ("http://x.com/a%E2%80%8B?utm_source=x", "http://x.com/a"),
    ("http://x.com\u200b", "http://x.com/"),
    ("http://\u200bx.com/a", "http://x.com/a"),
    ("http://x.com/a/\u200b", "http://x.com/a"),
    ("http://x.com/a&amp;#x200B;", "http://x.com/a"),
    ("http://x.com/a&amp;amp;#8203;", "http://x.com/a"),
    ("http://x.com/a&#x200b", "http://x.com/a"),
    ("http://x.com/a?b=1&#8203;&#xFEFF; ", "http://x.com/a?b=1"),
    ("http://x.com/a&nbsp;", "http://x.com/a"),
    ("http://x.com/a&amp;nbsp;&ZeroWidthSpace;", "http://x.com/a"),
    ("http://x.com/a%26nbsp%3B", "http://x.com/a"),
    ("http://x.com/a%26%23x200B;", "http://x.com/a"),
    ("&#x200B;&nbsp;http://x.com/a", "http://x.com/a"),
    ("http://x.com/a?b=1&#38;c=2", "http://x.com/a?b=1&c=2"),
    ("http://x.com&#x2F;a&#47;b", "http://x.com/a/b"),
    ("http://x.com/?a=1&#top", "http://x.com/?a=1"),
    ("http://www.http://x.com/a", "http://x.com/a"),
    ("http://www.https//x.com/a", "http://x.com/a"),
    ("http://ttp://x.com/a", "http://x.com/a"),
    ("http://htttps://x.com/a", "http://x.com/a"),
    ("http://http%3A%2F%2Fx.com%2Fa%3Fb=%C3%A4", "http://x.com/a?b=ä"),
    ("http%3a%2f%2fx.com%2fa", "http://x.com/a"),
    ("http%253A%252F%252Fx.com%252Fa", "http://x.com/a"),
    ("http:///x.com/a", "http://x.com/a"),
    ("[words](http://x.com/a_(b))", "http://x.com/a_(b)"),
    ("http://[words](http://x.com/a)", "http://x.com/a"),
    ("http://x.com/a](http://x.com/a)", "http://x.com/a"),
]  # fmt: skip
KEEP_APART = [
    ("http://x.com/a?12345", "http://x.com/a?67890"),
    ("http://x.com/A", "http://x.com/a"),
    ("http://x.com/?p=1", "http://x.com/?p=2"),
    ("http://x.com/s?cid=1", "http://x.com/s?cid=2"),
    ("http://x.com/s?id=1", "http://x.com/s?id=2"),
    ("http://x.com/s?ref=1", "http://x.com/s"),
    ("http://x.com/#!/a", "http://x.com/#!/b"),
    ("http://x.com:8080/", "http://x.com/"),
    ("http://m.x.com/a", "http://x.com/a"),
    ("http://x.com/a%2Fb", "http://x.com/a/b"),
    ("http://x.com/a?b=&c", "http://x.com/a?c"),
    ("http://x.com/a?b=&c", "http://x.com/a?b&c"),
    ("http://x.com/v?a=1&a=2", "http://x.com/v?a=2&a=1"),
    ("http://x.com/v?a=1&a=1", "http://x.com/v?a=1"),
    ("http://x.com/news?source=rss1", "http://x.com/news?source=rss2"),
    ("http://x.com/index.php?p=1", "http://x.com/?p=1"),
    ("http://x.com/a//b", "http://x.com/a/b"),
    ("http://www.com/", "http://com/"),
    ("http://x.com/?a=1&copy=2", "http://x.com/?a=1©=2"),
    ("http://x.com/a\u200cb", "http://x.com/ab"),
    ("http://x.com/a%20", "http://x.com/a"),
    ("http://x.com/a%80%8B", "http://x.com/a"),
    ("http://x.com/http://y.com/", "http://y.com/"),
    ("http://x.com/a&copy;", "http://x.com/a"),
    ("http://x.com/?a=1&nbsp=2", "http://x.com/?a=1"),
    ("http://x.com/a;nbsp;", "http://x.com/a"),
    ("http://www.http.com/a", "http://com/a"),
    ("http://http.com/a", "http://com/a"),
    ("http://x.com/a)", "http://x.com/a"),
    ("http://x.com/?q=[a](http://y.com/)", "http://y.com/"),
    ("http://x.com/?u=http%3A%2F%2Fy.com", "http://y.com/"),
]


def form(url: str) -> Canonical:
    result = canonical(url)
    assert isinstance(result, Canonical), result
    return result


@pytest.mark.parametrize(("one", "other"), MERGE)
def test_spellings_of_one_address_share_a_key(one: str, other: str) -> None:
    assert form(one).key == form(other).key


@pytest.mark.parametrize(("one", "other"), KEEP_APART)
def test_addresses_that_may_show_other_pages_keep_their_own_key(one: str, other: str) -> None:
    assert form(one).key != form(other).key


def test_the_url_to_fetch_keeps_scheme_www_slash_and_index_file() -> None:
    assert form("https://www.X.com/a/index.html").url == "https://www.x.com/a/index.html"
    assert form("http://x.com/a/?utm_id=1").url == "http://x.com/a/"
    assert form("http://x.com").url == "http://x.com/"


def test_credentials_are_reported_and_left_out() -> None:
    page = form("http://user:secret@x.com/a b?c=1")
    assert (page.url, page.credentials) == ("http://x.com/a%20b?c=1", True)
    assert not form("http://x.com/a b").credentials


def test_the_id_of_a_link_is_xxh3_128_of_its_key() -> None:
    assert link_id("example.com/") == "226bad41e2eb02784fb563679c34218d"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", Reason.URL_INVALID),
        ("http://", Reason.URL_INVALID),
        ("not a url", Reason.URL_INVALID),
        ("//example.com/x", Reason.URL_INVALID),
        ("http://[::1", Reason.URL_INVALID),
        ("http://exa mple.com/", Reason.URL_INVALID),
        ("http://x.com/\ud800", Reason.URL_INVALID),
        ("http://x.com/" + "a" * 100, Reason.URL_TOO_LONG),
        ("http://x.com/" + "ä" * 20, Reason.URL_TOO_LONG),
        ("data:" + "a" * 200, Reason.URL_TOO_LONG),
        ("javascript:alert(1)", Reason.SCHEME_NOT_HTTP),
        ("ftp://example.org/x.txt", Reason.SCHEME_NOT_HTTP),
        ("magnet:?xt=urn:btih:0000", Reason.SCHEME_NOT_HTTP),
        ("\u200b\ufeff", Reason.URL_INVALID),
        ("%E2%80%8B", Reason.URL_INVALID),
        ("http://" * 12 + "x.com/", Reason.URL_INVALID),
        ("&nbsp;", Reason.URL_INVALID),
        ("http%3A%2F%2F", Reason.URL_INVALID),
    ],
)
def test_what_is_no_web_address_gets_its_reason(url: str, reason: Reason) -> None:
    result = canonical(url, chars_max=100)
    assert isinstance(result, Drop)
    assert result.reason is reason


_PIECES = st.sampled_from(
    ["a", "B", "9", "-", ".", "..", "/", "//", "/.", "www.", "m.", ":80", ":443", ":8080", "?", "&",
     "=", "#", "#!", "%", "%2e", "%41", "%7e", "%zz", "%%34%31", "&amp;", ";", ";jsessionid=1",
     "utm_source=1", "fbclid", "index.html", "~", "+", " ", "\t", "'", "|", "[", "ä", "xn--", "@",
     "com", "\\", "\u3002", "_", "{", '"', "<", "\u200b", "\xad", "%E2%80%8B", "%e2%80", "%0a",
     "%C2%A0", "http://", "https//", "http:", "www.http://", "&#", "&#8203;", "&#x2f", "&nbsp;",
     "nbsp;", "%26nbsp%3B", "%3A%2F%2F", "http%3a%2f%2f", "](http://", ")"]
)  # fmt: skip
URLS = st.builds(
    lambda scheme, www, host, rest: scheme + www + host + "".join(rest),
    st.sampled_from(
        ["http://", "https://", "HTTP://", "http:/", "http://http://", "https:http//", "\u200bhttp://"]
    ),
    st.sampled_from(["", "www.", "www.www.", "WWW."]),
    st.sampled_from(["x.com", "a.b.co.uk", "com", "1.2.3.4", "x.com.", "xn--bcher-kva.de", "a..b",
                     ".a.b", "-a-.com", "a_b.com", "0x7f.1", "9.com", "x.c9", "ab--cd.com"]),
    st.lists(_PIECES, max_size=12).map(lambda rest: ["/", *rest]) | st.lists(_PIECES, max_size=8),
)  # fmt: skip


@given(URLS | st.text(max_size=30).map("http://x.com/".__add__) | st.text(max_size=20))
@example("http://x.com/%%34%31")
@example("http://x.com/.;jsessionid=1/a")
@example("http://www.com?x=a.b")
@settings(max_examples=400, deadline=None)
def test_canonical_is_idempotent(url: str) -> None:
    once = canonical(url)
    if isinstance(once, Canonical):
        again = canonical(once.url)
        assert isinstance(again, Canonical)
        assert (again.url, again.key, again.host) == (once.url, once.key, once.host)


@given(URLS)
@settings(max_examples=400, deadline=None)
def test_the_fast_path_gives_what_the_parser_gives(url: str) -> None:
    assert canonical(url) == canonical_slow(url)


@given(URLS, st.integers(1, 60))
@settings(max_examples=200, deadline=None)
def test_the_limit_holds_on_both_paths(url: str, chars_max: int) -> None:
    fast, slow = canonical(url, chars_max), canonical_slow(url, chars_max)
    assert isinstance(fast, Drop) == isinstance(slow, Drop)
    assert isinstance(fast, Drop) or len(fast.url) <= chars_max
