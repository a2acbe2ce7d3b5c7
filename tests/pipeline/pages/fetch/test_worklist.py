import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.links.canonical import canonical, link_id
from pipeline.pages.archive.answers import IdSet
from pipeline.pages.fetch.domains import (
    host_of,
    origin_of,
    path_of,
    registrable_domain,
    shard_of,
)
from pipeline.pages.fetch.worklist import Counts, make_worklist, read_links

NOTHING = IdSet.of(pa.array([], pa.string()))


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.example.co.uk", "example.co.uk"),
        ("a.blogspot.com", "a.blogspot.com"),
        ("x.a.blogspot.com", "a.blogspot.com"),
        ("blogspot.com", "blogspot.com"),
        ("github.io", "github.io"),
        ("a.b.example", "b.example"),
        ("example", "example"),
        ("192.0.2.1", "192.0.2.1"),
        ("[::1]", "[::1]"),
        ("com", "com"),
    ],
)
def test_the_registrable_domain(host, domain):
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    ("url", "host", "origin", "path"),
    [
        ("http://a.org/x?y#z", "a.org", "http://a.org", "/x?y"),
        ("https://a.org:8443?y", "a.org", "https://a.org:8443", "/?y"),
        ("http://[::1]:80/x", "[::1]", "http://[::1]:80", "/x"),
        ("http://u:p@a.org/", "a.org", "http://u:p@a.org", "/"),
    ],
)
def test_the_parts_of_a_url(url, host, origin, path):
    assert (host_of(url), origin_of(url), path_of(url)) == (host, origin, path)


def work_of(tmp_path, urls, settled=NOTHING, **more):
    path = tmp_path / "urls.txt"
    path.write_text("".join(f"{url}\n" for url in urls))
    return make_worklist(read_links(path, Counts()), tmp_path / "work", settled, **more)


def test_links_lie_by_domain_each_once_and_what_is_settled_is_left_out(tmp_path):
    urls = [f"http://{host}/{n}" for n in range(30) for host in ("a.org", "www.b.org", "c.org")]
    gone = IdSet.of(pa.array([link_id("c.org/7")]))
    work, counts = work_of(tmp_path, [*urls, "http://www.a.org/3/", "", "http:bad:url"], gone)
    assert (counts.given, counts.doubled, counts.settled, len(work)) == (92, 1, 1, 90)
    by_domain = {
        work.domain(number): range(work.starts[number], work.starts[number + 1])
        for number in range(len(work.starts) - 1)
    }
    assert {name: len(rows) for name, rows in by_domain.items() if name in ("a.org", "b.org")} == {
        "a.org": 30,
        "b.org": 30,
    }
    assert len(by_domain["c.org"]) == 29
    for number, rows in enumerate(by_domain.values()):
        assert {work.domain_of(row) for row in rows} == {number}
    links = [work.link(row) for row in by_domain["b.org"]]
    assert {link.url for link in links} == {f"http://www.b.org/{n}" for n in range(30)}
    assert all(link.id == link_id(canonical(link.url).key) for link in links)
    (bad,) = [work.link(row) for row in range(len(work)) if work.link(row).fault]
    assert (bad.url, bad.fault) == ("http:bad:url", "url_invalid")


def test_shards_share_all_domains_and_have_none_in_common(tmp_path):
    urls = [f"http://site{n % 50}.org/{n}" for n in range(500)]
    found = []
    for shard in range(3):
        work, counts = work_of(tmp_path, urls, shard=shard, shards=3)
        assert len(work) + counts.other_shard == 500
        domains = [work.domain(number) for number in range(len(work.starts) - 1)]
        assert {shard_of(domain, 3) for domain in domains} == {shard}
        found += domains
    assert sorted(found) == sorted({f"site{n}.org" for n in range(50)})


def test_an_empty_list_is_no_work(tmp_path):
    work, _ = work_of(tmp_path, [])
    assert (len(work), work.starts.tolist()) == (0, [0])


def test_the_kept_links_of_a_parquet_file_are_the_work(tmp_path):
    path = tmp_path / "part-0.parquet"
    rows = [
        {
            "id": link_id(f"a.org/{n}"), "key": f"a.org/{n}", "url": f"http://a.org/{n}",
            "first_post_s": n, "verdict": "kept" if n % 2 else "karma_low",
        }
        for n in range(10)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    counts = Counts()
    work, _ = make_worklist(read_links(path, counts), tmp_path / "work", NOTHING)
    assert (len(work), counts.karma_low) == (5, 5)
    assert {work.link(row).first_post_s for row in range(5)} == {1, 3, 5, 7, 9}


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\0\1\2")
    with pytest.raises(InputError, match="line 1: this is no text"):
        list(read_links(path, Counts()))
    pq.write_table(pa.table({"id": ["1"]}), path)
    with pytest.raises(InputError, match="no column key"):
        list(read_links(path, Counts()))
