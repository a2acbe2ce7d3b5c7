import pytest

from pipeline.pages.archive.outcomes import Outcome
from pipeline.pages.fetch.frontier import Kind
from pipeline.pages.fetch.guard import Guard
from pipeline.pages.fetch.sites import Sites
from pipeline.pages.fetch.transport import NoAddress, Received, Resolver, places_of
from pipeline.pages.fetch.visit import NO_PREFERENCES, joined, meaning_of, retry_after_s
from pipeline.settings import PREFERENCES

NOW = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("99999999999999", 3600),
        ("Wed, 21 Oct 2015 07:29:00 GMT", 60),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0),
        ("Wednesday, 21-Oct-15 07:29:00 GMT", 60),
        ("", 30),
        ("-5", 30),
        ("1.5", 30),
        ("soon", 30),
    ],
)
def test_retry_after(told, seconds):
    assert retry_after_s(told, NOW) == seconds


@pytest.mark.parametrize(
    ("base", "address", "found"),
    [
        ("http://a.org/b/c", "d#e", "http://a.org/b/d"),
        ("http://a.org/b/c", "//B.org", "http://b.org/"),
        ("http://a.org/", "http://2130706433/", "http://127.0.0.1/"),
        ("http://a.org/", "http://[bad", ""),
        ("http://a.org/x?y", "?z=é", "http://a.org/x?z=%C3%A9"),
    ],
)
def test_the_address_of_a_redirect(base, address, found):
    assert joined(base, address) == found


def test_places():
    assert places_of(["a.test:80=127.0.0.1:8080", "b.test:443=[::1]:1", "c.test:80=nowhere"]) == {
        "a.test:80": ("127.0.0.1", 8080),
        "b.test:443": ("::1", 1),
        "c.test:80": None,
    }
    for wrong in ("a.test=1", "a.test:80", "a.test:80=127.0.0.1", "a.test=nowhere"):
        with pytest.raises(ValueError, match=wrong):
            places_of([wrong])


def test_all_hosts_may_be_at_one_place_but_those_that_are_named():
    told = ["*:80=127.0.0.1:8080", "*:443=nowhere", "b.test:80=[::1]:1", "c.test:80=nowhere"]
    resolver = Resolver(Guard(), 1.0, places_of(told))
    assert resolver.place("a.test", 80) == ("127.0.0.1", 8080)
    assert resolver.place("b.test", 80) == ("::1", 1)
    assert resolver.place("a.test", 8080) is None
    for host, port in (("c.test", 80), ("a.test", 443)):
        with pytest.raises(NoAddress) as error:
            resolver.place(host, port)
        assert error.value.outcome is Outcome.HOST_NOT_FOUND


def test_a_busy_server_is_left_alone_for_as_long_as_it_says():
    got = Received("http://a.org/", NOW, status=503, headers=(("retry-after", "77"),))
    meaning = meaning_of(got, NO_PREFERENCES, PREFERENCES, 1 << 20)
    assert (meaning.outcome, meaning.wait_s) == (Outcome.SERVER_BUSY, 77)


def test_a_site_that_fails_too_often_in_a_row_is_left_alone_for_a_while():
    sites = Sites(PREFERENCES, failures_max=3, pause_s=100)
    site = sites.of("http://a.org")
    for _ in range(2):
        sites.failed(site, 0, Outcome.CONNECT_FAILED, "refused")
    sites.answered(site)
    for _ in range(2):
        sites.failed(site, 0, Outcome.CONNECT_FAILED, "refused")
    assert sites.fault(site, 1) is None
    sites.failed(site, 5, Outcome.CONNECT_FAILED, "refused")
    outcome, told = sites.fault(site, 6)
    assert outcome is Outcome.HOST_FAILING
    assert told == "3 failures in a row, the last: connect_failed refused"
    assert sites.fault(site, 105) is None
    sites.failed(site, 106, Outcome.CONNECT_FAILED, "refused")
    assert sites.fault(site, 107)


def test_rules_are_asked_for_again_after_a_day_and_only_those_that_are_obeyed():
    sites = Sites(("tdm",), failures_max=3, pause_s=100)
    site = sites.of("http://a.org")
    assert sites.lacks(site, 0) is Kind.TDMREP
    sites = Sites((), failures_max=3, pause_s=100)
    assert sites.lacks(sites.of("http://a.org"), 0) is None
    sites = Sites(("robots",), failures_max=3, pause_s=100)
    site = sites.of("http://a.org")
    assert sites.lacks(site, 0) is Kind.ROBOTS
    sites.learn(Kind.ROBOTS, site, Received("http://a.org/robots.txt", NOW, status=404), 0)
    assert sites.lacks(site, 86_399) is None
    assert sites.lacks(site, 86_401) is Kind.ROBOTS


def test_only_so_many_sites_are_remembered():
    sites = Sites((), failures_max=3, pause_s=100, kept=10)
    for number in range(30):
        sites.of(f"http://{number}.org")
    assert len(sites) == 10


def test_a_crawl_delay_is_obeyed_up_to_an_hour():
    sites = Sites(PREFERENCES, failures_max=3, pause_s=100)
    for told, seconds in (("7", 7), ("0.5", 0.5), ("999999", 3600), ("none", 0)):
        site = sites.of(f"http://{told}.org")
        body = f"User-agent: *\nCrawl-delay: {told}\n".encode()
        sites.learn(Kind.ROBOTS, site, Received("", NOW, status=200, body=body), 0)
        assert site.delay_s == seconds
