"""What sources of pages take: `webtext plan` with pages.sources."""

import gzip
import json

import pytest

from pipeline.pages.archive.warc_records import response_record
from pipeline.settings_file import load
from tools import plan_sources, rates
from tools.cli import main
from tools.demo.common_crawl import Form, write_crawl
from tools.plan import plan
from tools.plan_sources import Links

LINKS = Links(10_000, "big.example", 2_000, 3_000, "counted")


def planned(links, captures=0, **more):
    settings = load(None, {key.replace("__", "."): value for key, value in more.items()})
    return plan_sources.plan_sources(settings, links, captures)


def test_live_takes_as_long_as_the_domain_with_most_links_or_as_the_connections():
    (slow,) = planned(LINKS, pages__sources=["live"])
    assert (slow.links, slow.requests) == (10_000, 10_000 + 2 * 3_000)
    assert slow.wall_s == 2_000
    assert slow.bound == "2,000 links of big.example, one request every 1 s"
    (fast,) = planned(LINKS, pages__sources=["live"], fetch__delay_s=0, fetch__connections=10)
    assert fast.wall_s == pytest.approx(16_000 * rates.ANSWER_S / 10)
    assert fast.bound.startswith("10 connections")


def test_only_links_without_a_capture_are_asked_for():
    (live,) = planned(LINKS, captures=4_000, pages__sources=["warc", "live"])
    assert (live.links, live.wall_s) == (6_000, 1_200)
    (none,) = planned(LINKS, captures=20_000, pages__sources=["warc", "live"])
    assert (none.links, none.wall_s) == (0, 2 * 3_000 * rates.ANSWER_S / 500)


def test_wayback_takes_two_requests_a_link_and_refuses_many():
    (few,) = planned(Links(100, "", 0, None, ""), pages__sources=["wayback"])
    assert (few.requests, few.wall_s) == (200, 1_200)
    assert "refused" not in few.bound
    (many,) = planned(LINKS, pages__sources=["wayback"])
    assert "refused above wayback.links_max = 1,000" in many.bound


def test_common_crawl_is_not_reckoned_without_its_index_and_the_archive_counts_a_page_once():
    plans = planned(LINKS, pages__sources=["commoncrawl", "live"])
    assert [each.source for each in plans] == ["commoncrawl", "live"]
    assert (plans[0].requests, plans[0].wall_s) == (None, None)
    assert "index of all crawls" in plans[0].bound
    found = plan_sources.as_tables(LINKS, plans)
    assert found["archive_bytes"] == 10_000 * rates.PAGE_BYTES
    assert found["wall_s"] is None


@pytest.fixture
def inputs(tmp_path):
    """The settings of six links on three domains, one of which has three of them."""
    hosts = ["a.example", "b.example", "new.c.example", "c.example", "old.c.example"]
    urls = [f"http://{host}/story" for host in hosts] + ["http://b.example/2"]
    lines = [
        {"id": f"p{n}", "url": url, "score": 9, "created_utc": 1_480_000_000 + n, "title": "t",
         "subreddit": "s", "is_self": False, "over_18": False, "retrieved_on": 1_490_000_000}
        for n, url in enumerate(urls)
    ]  # fmt: skip
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "RS.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    path = tmp_path / "webtext.toml"
    path.write_text('[input]\ndumps = ["RS.jsonl.gz"]\n[pages]\nsources = ["live"]\n')
    return path


def test_before_the_links_are_made_openais_domains_stand_for_them(inputs, capsys):
    found = plan(load(inputs, {}), inputs.parent, inputs.parent / "build", "documents")
    links = found["sources"]["links"]
    assert (links["count"], links["hosts"]) == (6, None)
    assert "google has 3.4% of WebText's links" in links["source"]
    assert found["stages"]["documents"]["rows"] == 6  # pages come, although no WARC file is named
    assert found["disk_bytes"] > found["sources"]["archive_bytes"] == 6 * rates.PAGE_BYTES
    assert main(["plan", str(inputs), "--to", "documents"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "│ live │ 6 links" in told
    assert "for the sources" in told
    assert main(["plan", str(inputs), "--to", "links"]) == 0
    assert "source of pages" not in capsys.readouterr().out


def test_the_index_of_a_crawl_tells_what_is_to_be_read_of_it_for_the_links_of_a_build(
    inputs, monkeypatch, capsys
):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    urls = [*(f"http://m{n}.example/" for n in range(40)), "http://c.example/story"]
    warc = inputs.parent / "crawl.warc.gz"
    pages = (response_record(url, 1_480_000_000.0, head, b"<p>x</p>").packed() for url in urls)
    warc.write_bytes(b"".join(pages))
    write_crawl(inputs.parent / "cc", "CC-MAIN-2016-50", [warc], Form(rows_in_group=10, files=1))
    asked = [
        "--out", str(inputs.parent / "build"), "--to", "pages", "--pages.sources",
        "commoncrawl", "--commoncrawl.place", str(inputs.parent / "cc"),
    ]  # fmt: skip
    assert main(["plan", str(inputs), *asked, "--ask-index"]) == 2
    assert "webtext build --to links" in capsys.readouterr().err
    made = ["--to", "links", "--out", str(inputs.parent / "build"), "--engine.buckets", "2"]
    assert main(["build", str(inputs), *made]) == 0
    capsys.readouterr()
    assert main(["plan", str(inputs), *asked, "--ask-index", "--json"]) == 0
    (plan,) = json.loads(capsys.readouterr().out)["sources"]["sources"]
    assert plan["bound"].startswith("1 of 5 row groups in 1 files may hold links")
    assert 0 < plan["read_bytes_max"] < 20_000
    monkeypatch.setattr(plan_sources, "planned", None)
    assert main(["plan", str(inputs), *asked, "--json"]) == 0, "unasked, nothing is read"
    (plan,) = json.loads(capsys.readouterr().out)["sources"]["sources"]
    assert plan["read_bytes_max"] is None and "--ask-index" in plan["bound"]


def test_a_build_that_has_its_links_is_counted(inputs, monkeypatch):
    build = inputs.parent / "build"
    words = ["build", str(inputs), "--to", "links", "--out", str(build), "--engine.buckets", "2"]
    assert main(words) == 0
    settings = load(inputs, {"fetch.delay_s": 2.0})
    found = plan(settings, inputs.parent, build, "documents")["sources"]
    assert found["links"] == {
        "count": 6, "domain": "c.example", "of_domain": 3, "hosts": 5,
        "source": "counted, in the stage links of this build",
    }  # fmt: skip
    (live,) = found["sources"]
    assert (live["requests"], live["wall_s"]) == (6 + 2 * 5, 6.0)
    monkeypatch.setattr(plan_sources, "SAMPLED_LINKS", 1)
    sampled = plan_sources.links_of(build, settings, 0)  # the first of two parts
    assert (sampled.count, sampled.hosts) == (6, None)
    assert sampled.source.startswith("counted in ")
    assert 1 <= sampled.of_domain <= 6
