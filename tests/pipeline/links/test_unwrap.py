"""Redirectors, archives and caches: the page behind them is the link."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.links.select import ReadRules, UrlRules
from pipeline.links.unwrap import _BY_DOMAIN, _BY_HOST
from pipeline.settings import LinksSettings

URLS = UrlRules(ReadRules.of(LinksSettings()))
PAGE = "http://example.com/a?b=1"
QUOTED = "http%3A%2F%2Fexample.com%2Fa%3Fb%3D1"


@pytest.mark.parametrize(
    "wrapped",
    [
        f"https://www.google.com/url?sa=t&url={QUOTED}&usg=x",
        f"https://google.co.uk/url?q={QUOTED}",
        f"https://www.google.de/url?q={QUOTED.replace('%', '%25')}",
        f"https://l.facebook.com/l.php?u={QUOTED}&h=x",
        f"https://lm.facebook.com/l.php?u={QUOTED}",
        f"https://out.reddit.com/t3_abc?url={QUOTED}&token=x",
        f"https://t.umblr.com/redirect?z={QUOTED}&t=x",
        f"https://translate.google.com/translate?hl=en&u={QUOTED}",
        f"https://disq.us/url?url={QUOTED}%3AabcdefghijABCDEFGHIJ12345&cuid=1",
        f"http://href.li/?{PAGE}",
        f"http://anonym.to/?{PAGE}",
        f"https://outline.com/{PAGE}",
        f"https://web.archive.org/web/20130401120000/{PAGE}",
        f"https://web.archive.org/web/20130401120000if_/{PAGE}",
        f"https://web.archive.org/web/*/{PAGE}",
        "https://web.archive.org/web/2013/example.com/a?b=1",
        "https://web.archive.org/web/2013/http:/example.com/a?b=1",
        "https://www.google.com/amp/s/example.com/a?b=1",
        "https://www.google.com/amp/example.com/a?b=1",
        "https://example-com.cdn.ampproject.org/c/s/example.com/a?b=1",
        "https://example-com.translate.goog/a?b=1&_x_tr_sl=de&_x_tr_tl=en",
        f"http://archive.is/20140101000000/{PAGE}",
        f"https://archive.today/2014.01.01-000000/{PAGE}",
        f"https://archive.ph/newest/{PAGE}",
        f"https://archive.fo/o/AbCdE/{PAGE}",
        f"http://archive.li/{PAGE}",
        f"http://www.archive.md/?run=1&url={QUOTED}",
        "http://archive.vn/2014/example.com/a?b=1",
        "http://webcache.googleusercontent.com/search?q=cache:AbC:example.com/a%3Fb%3D1+words&hl=en",
        f"http://webcache.googleusercontent.com/search?q=cache:{QUOTED}",
        f"http://webcache.googleusercontent.com/search?q=cache:aBcD_-123456:{PAGE}",
        f"http://www.google.com/search?q=cache%3AAbCdEfGhIjKl%3A{QUOTED}%20words",
        f"http://news.google.com/news/url?sa=t&url={QUOTED}",
        f"https://news.google.co.uk/news/url?sa=t&fd=R&usg=x&url={PAGE}",
        f"http://www.google.com/gwt/x?u={QUOTED}",
        f"https://plus.google.com/url?q={QUOTED}",
        f"https://scholar.google.com/scholar_url?url={QUOTED}&hl=en",
        f"https://translate.google.de/translate?u={QUOTED}",
        f"http://www.facebook.com/l.php?u={QUOTED}&h=a",
        f"https://m.facebook.com/l.php?u={QUOTED}",
        f"https://de-de.facebook.com/l.php?u={QUOTED}",
        f"https://www.facebook.com/sharer/sharer.php?u={QUOTED}",
        "http://www.facebook.com/l/0a1b2;example.com/a?b=1",
        f"https://l.instagram.com/?u={QUOTED}&e=x",
        f"http://www.youtube.com/redirect?q={QUOTED}",
        f"https://m.youtube.com/redirect?event=comments&q={QUOTED}&html_redirect=1",
        f"https://steamcommunity.com/linkfilter/?url={QUOTED}",
        f"https://steamcommunity.com/linkfilter/{PAGE}",
        f"https://vk.com/away.php?to={QUOTED}",
        f"https://m.vk.com/away.php?to={QUOTED}",
        f"https://slack-redir.net/link?url={QUOTED}&v=3",
        f"https://duckduckgo.com/l/?kh=-1&uddg={QUOTED}",
        f"http://www.linkedin.com/redir/redirect?url={QUOTED}&urlhash=x",
        f"https://medium.com/r/?url={QUOTED}",
        f"https://eur01.safelinks.protection.outlook.com/?url={QUOTED}&data=x",
        "https://urldefense.proofpoint.com/v2/url?u=http-3A__example.com_a-3Fb-3D1&d=x",
        f"https://urldefense.proofpoint.com/v1/url?u={QUOTED}&k=x",
        f"http://rds.yahoo.com/_ylt=x/SIG=y/**{QUOTED}",
        f"http://us.rd.yahoo.com/dailynews/*{PAGE}",
        "http://example.com.nyud.net:8090/a?b=1",
        f"https://www.deviantart.com/users/outgoing?{PAGE}",
        f"https://googleweblight.com/?lite_url={QUOTED}",
        f"http://facebook.com/l.php?u=http%3A%2F%2F{QUOTED}",
        "http://74.125.113.132/search?q=cache:AbCdEf-gh_1:example.com/a%3Fb%3D1+words&hl=en",
        f"http://209.85.129.132/translate_c?hl=en&sl=de&u={QUOTED}&prev=/search",
        f"https://web.archive.org/save/{PAGE}",
        f"https://web.archive.org/save/_embed/{PAGE}",
        f"https://web.archive.org/web/{PAGE}",
        "https://web.archive.org/web/example.com/a?b=1",
        f"https://web.archive.org/{PAGE}",
        "http://web.archive.org/web/2013/http://example.com:80/a?b=1",
        "http://web.archive.org/web/2013/example.com:80/a?b=1",
        f"http://www.archive.org/web/20130401120000/{PAGE}",
        f"http://archive.org/wayback/20130401120000/{PAGE}",
        f"http://replay.web.archive.org/20130401120000/{PAGE}",
        f"http://www.google.com/translate?u={QUOTED}&langpair=de|en",
        f"http://translate.google.com/translate_c?hl=en&u={QUOTED}",
        f"http://www.google.com/imgres?imgurl=http://x.com/a.jpg&imgrefurl={QUOTED}&h=9",
        f"http://images.google.de/imgres?imgurl=http://x.com/a.jpg&imgrefurl={QUOTED}",
        f"http://www.google.com/imglanding?q=x&imgurl=http://x.com/a.jpg&imgrefurl={QUOTED}",
        f"https://www.linkedin.com/safety/go/?url={QUOTED}&trk=x",
        f"https://www.linkedin.com/redirect?url={QUOTED}&urlhash=x",
        f"https://www.linkedin.com/redir/redirect/?url={QUOTED}",
        f"https://www.facebook.com/l.php/?u={QUOTED}&h=x",
        "http://www.facebook.com/l.php?u=example.com%2Fa%3Fb%3D1&h=x",
        "http://www.google.com/url?sa=t&q=words&url=//example.com/a%3Fb%3D1",
        "https://out.reddit.com/t3_abc?url=example.com%2Fa%3Fb%3D1",
        "https://t.umblr.com/redirect?z=example.com%3A80%2Fa%3Fb%3D1",
        "https://vk.com/away.php?to=example.com/a?b%3D1",
        f"https://vk.com/away?to={QUOTED}",
        "https://steamcommunity.com/linkfilter/?u=example.com/a?b%3D1",
        f"https://steamcommunity.com/linkfilter?url={QUOTED}",
        f"https://duckduckgo.com/l?uddg={QUOTED}",
        "http://href.li/?example.com/a?b=1",
        "http://anonym.to/?example.com%2Fa%3Fb%3D1",
        "https://www.youtube.com/redirect?q=example.com%2Fa%3Fb%3D1",
        f"https://l.wl.co/l?u={QUOTED}&e=x",
        f"http://babelfish.yahoo.com/translate_url?lp=de_en&trurl={QUOTED}",
        f"http://babelfish.altavista.com/babelfish/trurl_pagecontent?lp=de_en&url={QUOTED}",
        f"https://www.translatetheweb.com/?from=&to=en&a={QUOTED}",
        f"http://www.readability.com/read?url={QUOTED}",
        f"http://mobilizer.instapaper.com/m?u={QUOTED}",
        f"http://go.skimresources.com/?id=1X1&xs=1&url={QUOTED}",
        f"http://click.linksynergy.com/deeplink?id=x&mid=1&murl={QUOTED}",
        f"https://www.awin1.com/cread.php?awinmid=1&awinaffid=2&ued={QUOTED}",
        f"http://www.anrdoezrs.net/click-1-2?url={QUOTED}",
        f"http://rover.ebay.com/rover/1/711-0/1?mpre={QUOTED}",
    ],
)
def test_a_wrapped_url_is_the_link_of_the_page_inside(wrapped: str) -> None:
    target, plain = URLS.target(wrapped), URLS.target(PAGE)
    assert (target.id, target.reason) == (plain.id, None)
    assert target.via in wrapped
    assert target.via
    assert not plain.via


@pytest.mark.parametrize(
    "url",
    [
        "https://www.google.com/search?q=http%3A%2F%2Fexample.com",
        "https://www.google.com/url?q=words",
        "https://news.google.com/url?url=http://example.com/",
        "https://outline.com/ABC123",
        "https://web.archive.org/save/",
        "https://archive.org/details/example.com",
        "https://archive.is/AbCdE",
        "https://archive.today/",
        "https://archive.ph/wip/AbCdE",
        "https://t.co/AbCdE",
        "https://duckduckgo.com/?q=http%3A%2F%2Fexample.com",
        "https://medium.com/story?url=http%3A%2F%2Fexample.com",
        "https://www.linkedin.com/in/somebody?url=http%3A%2F%2Fexample.com",
        "https://steamcommunity.com/app/10?url=http%3A%2F%2Fexample.com",
        "https://www.google.com/search?q=cache:",
        "https://translate.goog/a",
        "http://nyud.net/a",
        "https://urldefense.com/v3/__https:/*example.com/a__",
        "https://web.archive.org/web/20130401120000/mailto:a@example.com",
        "https://web.archive.org/web/web.php",
        "https://archive.org/about/example.com/a",
        "http://93.184.216.34/search?q=words",
        "http://93.184.216.34/search?q=cache:words",
        "http://93.184.216.34/url?url=http%3A%2F%2Fexample.com",
        "http://www.google.com/imgres?imgurl=http%3A%2F%2Fexample.com%2Fa",
        "http://www.google.com/url?q=two.%20words",
        "http://www.google.com/url?q=3.14",
        "http://www.google.com/url?q=mailto:a@example.com",
        "https://plus.google.com.example.com/share?url=http%3A%2F%2Fexample.com",
        "https://www.pinterest.com/pin/create/button/?url=http%3A%2F%2Fexample.com",
        "https://www.linkedin.com/shareArticle?mini=true&url=http%3A%2F%2Fexample.com",
        "https://news.ycombinator.com/submitlink?u=http%3A%2F%2Fexample.com",
        "https://example.com/l.php?u=http%3A%2F%2Fexample.org",
        "http://href.li/?words",
    ],
)
def test_what_wraps_no_url_stays_as_it_is(url: str) -> None:
    target = URLS.target(url)
    assert target.via == ""
    assert target.url == url


@pytest.mark.parametrize(
    ("stamp", "hint"),
    [("20130401120000", 1364817600), ("20130401", 1364774400), ("2013", 1356998400),
     ("20131399", None), ("*", None), ("2013*", 1356998400)],
)  # fmt: skip
def test_an_archives_timestamp_is_kept_as_capture_hint(stamp: str, hint: int | None) -> None:
    target = URLS.target(f"https://web.archive.org/web/{stamp}/http://example.com/")
    assert (target.url, target.capture_hint_s) == ("http://example.com/", hint)


def test_wrappers_are_taken_off_three_deep_and_named_from_the_outermost() -> None:
    url = "https://web.archive.org/web/2013/http://anonym.to/?https://outline.com/http://x.com/"
    target = URLS.target(url)
    assert (target.url, target.via) == ("http://x.com/", "web.archive.org anonym.to outline.com")
    assert URLS.target("http://href.li/?" + url).url == "https://outline.com/http://x.com/"


def test_rules_are_for_the_page_inside_not_for_the_wrapper() -> None:
    assert URLS.target(f"https://out.reddit.com/t3_abc?url={QUOTED}").reason is None
    inside = "http%3A%2F%2Flocalhost%2F"
    assert URLS.target(f"https://www.google.com/url?q={inside}").reason == "host_private"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://www.facebook.com/somebody?u=http%3A%2F%2Fexample.com", "social_host"),
        ("https://vk.com/wall?to=http%3A%2F%2Fexample.com", "social_host"),
        ("https://www.youtube.com/results?q=http%3A%2F%2Fexample.com", "media_host"),
        ("https://www.youtube.com/redirect?q=http%3A%2F%2Fimgur.com%2Fa", "media_host"),
        ("https://www.facebook.com/l.php?u=http%3A%2F%2Ftwitter.com%2Fa", "social_host"),
        ("https://www.youtube.com/redirect?q=http%3A%2F%2Flocalhost%2F", "host_private"),
        ("https://l.facebook.com/l.php?u=https%3A%2F%2Fwww.reddit.com%2Fr%2Fa", "reddit_internal"),
        ("https://www.facebook.com/l.php?h=x", "social_host"),
        ("https://www.facebook.com/l/abc/page.html", "social_host"),
    ],
)
def test_a_host_is_judged_by_what_is_inside_if_something_is(url: str, reason: str) -> None:
    assert URLS.target(url).reason == reason


def test_bytes_that_are_no_utf8_keep_their_encoding() -> None:
    target = URLS.target(
        "https://vk.com/away.php?to=http%3A%2F%2Fexample.com%2F%EF%F0%3Fq%3D%D1%83"
    )
    assert target.url == "http://example.com/%EF%F0?q=%D1%83"


@pytest.mark.parametrize("stamp", ["20130401120000", "2013.04.01-120000"])
def test_the_time_of_archive_today_is_a_capture_hint_too(stamp: str) -> None:
    target = URLS.target(f"https://archive.is/{stamp}/http://example.com/")
    assert (target.url, target.capture_hint_s) == ("http://example.com/", 1364817600)


def test_a_coral_port_is_a_port() -> None:
    assert URLS.target("http://example.com.8080.nyud.net/a").url == "http://example.com:8080/a"


_HOSTS = sorted(_BY_HOST) + [f"{sub}{name}" for name in _BY_DOMAIN for sub in ("", "www.", "a.b.")]
_PATHS = st.sampled_from(
    ["/", "/url", "/l.php", "/l/x;", "/l/", "/search", "/v2/url", "/redirect", "/web/2013/",
     "/save/", "/wayback/", "/imgres", "/translate_c", "/2014/", "/linkfilter/",
     "/amp/s/", "/away.php", "/*", "/**", "/news/url"]
)  # fmt: skip
_TAILS = st.lists(
    st.sampled_from(["?", "&", "u=", "q=", "url=", "cache:", "http", ":", "//", "%3A", "%2F", "%25",
                     "imgrefurl=", ":80", "x.com", ";", "/", "+", "%E2%80%8B", "%FF", "-", "_",
                     "*", "http://"]),
    max_size=8,
).map("".join)  # fmt: skip


@given(st.sampled_from([*_HOSTS, "www.google.com", "news.google.de", "74.125.1.1"]), _PATHS, _TAILS)
@settings(max_examples=400, deadline=None)
def test_no_wrapped_url_stops_the_reading_and_what_is_found_is_canonical(
    host: str, path: str, tail: str
) -> None:
    target = URLS.target(f"http://{host}{path}{tail}")
    if target.id:
        assert URLS.target(target.url).url == target.url or target.via.count(" ") == 2
