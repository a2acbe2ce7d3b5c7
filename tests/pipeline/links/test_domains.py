"""Hosts: private and senseless ones, and lists that agree with OpenAI's published domains."""

from pathlib import Path

import pytest
import tldextract

from pipeline.links.domains import (
    MEDIA_DOMAINS,
    REDDIT_DOMAINS,
    SOCIAL_DOMAINS,
    WIKIPEDIA_DOMAINS,
    HostFacts,
    host_facts,
)


def facts(host: str, blocked: str = "", removed: str = "") -> HostFacts:
    return host_facts(host, frozenset(blocked.split()), frozenset(removed.split()))


@pytest.mark.parametrize(
    "host",
    ["localhost", "a.localhost", "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "0.0.0.0",
     "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "[::1]", "[fe80::1]",
     "[fc00::1]", "[::ffff:127.0.0.1]", "printer.local", "x.internal", "router.lan", "nohost",
     "a.home.arpa"],
)  # fmt: skip
def test_private_hosts_are_refused(host: str) -> None:
    assert facts(host).unreachable == "host_private"


@pytest.mark.parametrize(
    "host", ["a..b.com", ".a.com", "a" * 64 + ".com", "a!b.com", "a." * 127 + "com", "[zz]"]
)
def test_senseless_hosts_are_refused(host: str) -> None:
    assert facts(host).unreachable == "host_invalid"


@pytest.mark.parametrize(
    "host",
    ["example.com", "8.8.8.8", "[2001:4860:4860::8888]", "a_b.example.com", "xn--bcher-kva.de"],
)
def test_public_hosts_pass(host: str) -> None:
    assert facts(host).innocent


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("np.reddit.com", "reddit_internal"),
        ("redd.it", "reddit_internal"),
        ("i.redd.it", "media_host"),
        ("v.redd.it", "media_host"),
        ("i.imgur.com", "media_host"),
        ("m.youtube.com", "media_host"),
        ("mobile.twitter.com", "social_host"),
        ("notimgur.com", None),
        ("imgur.com.example.org", None),
        ("github.com", None),
        ("bit.ly", None),
        ("google.com", None),
        ("archive.org", None),
        ("pinterest.com", None),
    ],
)
def test_a_listed_domain_covers_its_subdomains_and_nothing_else(
    host: str, reason: str | None
) -> None:
    assert facts(host).listed == reason


def test_wikipedia_is_left_out_but_not_its_neighbours() -> None:
    assert facts("en.m.wikipedia.org").blocked == "wikipedia"
    assert facts("secure.wikimedia.org").blocked == "wikipedia"
    assert facts("en.wiktionary.org").blocked is None
    assert facts("starwars.wikia.com").blocked is None


def test_blocked_domains_come_before_removed_hosts() -> None:
    assert facts("a.b.com", blocked="b.com", removed="a.b.com").blocked == "domain_blocked"
    assert facts("a.b.com", removed="b.com").blocked == "removed_by_request"
    assert facts("ab.com", blocked="b.com").blocked is None


@pytest.mark.real
def test_no_listed_domain_is_among_openais_published_ones(shared_data: Path) -> None:
    published = {
        line.split()[1]
        for line in (shared_data / "webtext/openai_webtext_top1000_domains.txt").open()
        if len(line.split()) == 2
    }
    label = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    ours = MEDIA_DOMAINS | SOCIAL_DOMAINS | REDDIT_DOMAINS | WIKIPEDIA_DOMAINS
    # plus.google.com is a host of a domain that stays, secure.wikimedia.org was Wikipedia.
    assert {name for name in ours if label(name).domain in published} == {"plus.google.com"}
    assert {"google", "github", "ebay", "archive", "bit", "goo", "pinterest"} <= published
