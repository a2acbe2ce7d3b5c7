"""Which rows an index may have for links: by SURT, by host name, by key."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.links.canonical import Canonical, canonical
from pipeline.pages.archive.warc_records import surt
from pipeline.pages.commoncrawl.surt import surt_host, surt_prefixes
from pipeline.pages.commoncrawl.wanted import Wanted, in_index_order


@pytest.mark.parametrize(
    ("authority", "prefixes"),
    [
        ("example.com", {"com,example)"}),
        ("www2.example.com", {"com,example,www2)", "com,example)"}),
        ("www.com", {"com,www)", "com)"}),
        ("a.b.example.co.uk:8080", {"uk,co,example,b,a:8080)"}),
        ("192.0.2.1", {"1,2,0,192)", "192.0.2.1)"}),
        ("192.0.2.1:81", {"1,2,0,192:81)", "192.0.2.1:81)"}),
        ("[2001:db8::1]", {"[2001:db8::1])"}),
    ],
)
def test_a_host_has_all_forms_that_indexes_write(authority, prefixes):
    assert surt_prefixes(authority) == prefixes


HOSTS = st.lists(st.sampled_from("a b www www2 com org b-c a1".split()), min_size=2, max_size=4)
URLS = st.builds(
    "http://{}{}/{}".format,
    HOSTS.map(".".join),
    st.sampled_from(["", ":80", ":8080"]),
    st.text("ab/?=&.", max_size=6),
)


@given(st.lists(URLS, min_size=1, max_size=8), st.lists(URLS, min_size=1, max_size=6))
def test_a_row_group_with_a_wanted_url_is_never_left_out(rows, links):
    wanted = Wanted([page.key for url in links if isinstance(page := canonical(url), Canonical)])
    keys = set(wanted.keys.to_pylist())
    surts = sorted(surt(url) for url in rows)
    names = sorted(url.split("/")[2].partition(":")[0] for url in rows)
    if any(canonical(url).key in keys for url in rows):
        assert wanted.may_be_between(surts[0], surts[-1])
        assert wanted.may_be_between(surts[0].encode(), surts[-1].encode())
        assert wanted.may_be_named_between(names[0], names[-1])


def test_a_row_group_between_two_hosts_is_left_out():
    wanted = Wanted(["a.com/x", "m.com/x", "z.com/x"])
    assert not wanted.may_be_between("com,b)/", "com,l)/zzz")
    assert not wanted.may_be_named_between("b.com", "l.com")
    assert wanted.may_be_between("com,m)/a", "com,m)/b")
    assert wanted.may_be_between("com,l)/", "com,n)/")
    assert wanted.may_be_between(None, None)
    assert wanted.may_be_named_between(None, "x")


def test_hosts_are_found_under_every_name_they_have_in_an_index():
    wanted = Wanted(["example.com/", "www.com/", "xn--bcher-kva.example/", "a.b:8080/"])
    names = ["example.com", "www.example.com", "WWW.Example.COM", "www.com", "other.com", "b.com"]
    mask, hosts = wanted.hosts_among([*names, "bücher.example", "a.b", "example.com.", ""])
    assert mask.tolist() == [True] * 4 + [False, False, True, True, True, False]
    assert hosts == ["a.b", "example.com", "www.com", "xn--bcher-kva.example"]


def test_urls_match_by_key_and_only_those_of_the_hosts_named():
    wanted = Wanted(["a.com/x", "b.com/x", "b.com:81/x"])
    urls = pa.array(
        ["http://www.a.com/x/", "https://b.com/x?utm_source=1", "http://b.com:81/x", "x:"]
    )
    at, keys = wanted.matches(urls)
    assert (at.to_pylist(), keys.to_pylist()) == ([0, 1, 2], ["a.com/x", "b.com/x", "b.com:81/x"])
    assert wanted.matches(urls, ["b.com"])[0].to_pylist() == [1, 2]
    assert wanted.matches(urls, [])[0].to_pylist() == []


def test_links_go_to_the_index_in_its_order():
    keys = ["z.com/", "a.org/", "b.a.com/x", "a.com/y", "a.com/x", "a.com:81/"]
    order = in_index_order(pa.array(keys))
    surts = [surt_host(surt(f"http://{keys[at]}")) for at in order]
    assert surts == sorted(surts)
    assert [keys[at] for at in order][:2] == ["a.com/y", "a.com/x"], "stable"


def test_a_wanted_of_nothing_wants_nothing():
    wanted = Wanted([])
    assert not wanted.may_be_between("a", "z") and not wanted.hosts_among(["a.com"])[1]
