"""Redirectors, archives and caches: the page behind them is the link."""

import pytest

from pipeline.links.select import ReadRules, UrlRules
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
        "https://web.archive.org/web/20130401120000/mailto:a@example.com",
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
