"""A build whose pages come from the live web, served on loopback."""

import json
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pytest
from hostile_web import Web, answer, on_page, redirect, robots
from wayback_machine import Machine

from pipeline.engine.manifest import read_manifest
from pipeline.engine.reading import read_published
from pipeline.engine.store import Disk
from pipeline.pages.archive.warc_records import response_record
from pipeline.pages.sources import LINKS
from pipeline.records import PAGE
from tools import collect
from tools.cli import main
from tools.demo.common_crawl import write_crawl

STORY = "".join(
    f"<p>The {n}th morning the ferry brought letters, salt and a schoolteacher to the island, and "
    f"the harbour master wrote down {n} names in the book that nobody but him had ever read.</p>"
    for n in range(1, 9)
)


def page(title):
    return f"<html lang=en><head><title>{title}</title></head><body><h1>{title}</h1>{STORY}</body>"


SITES = {
    "ferry.test": on_page([answer(page("The ferry").encode())]),
    "moved.test": on_page([redirect("http://ferry2.test/there")]),
    "ferry2.test": on_page([answer(page("The second ferry").encode())]),
    "late.test": on_page([answer(page("The late ferry").encode())]),
    "gone.test": on_page([answer(b"no", "404 Not Found")]),
    "closed.test": robots("User-agent: *\nDisallow: /\n"),
    "broken.test": on_page([answer(b"", "500 Error")]),
}
CAPTURED = {"http://ferry.test/": "captured", "http://moved.test/": "captured"}
OUTCOMES = CAPTURED | {
    "http://gone.test/": "status_error",
    "http://closed.test/": "robots_disallowed",
    "http://nowhere.test/": "host_not_found",
    "http://broken.test/": "status_error",  # 500, which may pass
}
# The archives of others tell of captures alone, and the Wayback Machine is asked for no errors.
UNKNOWN = {
    "commoncrawl": dict.fromkeys(["http://closed.test/", "http://nowhere.test/"], "not_in_index"),
    "wayback": dict.fromkeys(OUTCOMES.keys() - CAPTURED.keys(), "not_in_index"),
}


def dump(path, urls):
    """A month's submissions, one link each."""
    rows = (
        {"id": f"p{n}", "url": url, "score": 9, "created_utc": 1_480_000_000 + n, "subreddit": "s",
         "title": "t", "is_self": False, "over_18": False, "retrieved_on": 1_490_000_000}
        for n, url in enumerate(urls)
    )  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def words(folder, dumps, server, out, *more, to="documents"):
    hosts = [url.split("/")[2] for url in OUTCOMES] + ["ferry2.test", "late.test"]
    places = ",".join(
        f"{host}:80=127.0.0.1:{server.port}" for host in hosts if "nowhere" not in host
    )
    return build_of(
        folder, out, "--input.dumps", str(dumps), "--pages.sources", "live",
        "--fetch.contact", "crawler@example.org", "--fetch.networks", "127.0.0.1/32",
        "--fetch.resolve", places, "--fetch.delay-s", "0", "--fetch.rounds", "1", *more,
        to=to,
    )  # fmt: skip


def settings_in(folder):
    path = folder / "webtext.toml"
    path.touch()
    return str(path)


def build_of(folder, out, *more, to="documents"):
    few = ["--engine.buckets", "1", "--pages.hops-max", "1"]  # steps and parts cost a second each
    to = ["--to", to, "--out", str(folder / out)]
    return ["build", settings_in(folder), *to, *few, *more]


def outcomes(build):
    rows = read_published(Disk(build), "pages").table(["url", "outcome"]).to_pylist()
    return {row["url"]: row["outcome"] for row in rows}


def digest_of(build, stage):
    return read_manifest(Disk(build), stage).digest


@pytest.mark.slow
def test_a_build_asks_for_its_pages_once_and_another_dump_for_its_links_alone(tmp_path, capsys):
    dumps, both = dump(tmp_path / "RS_2016-11.jsonl", OUTCOMES), tmp_path / "RS_*.jsonl"
    with Web(SITES) as server:
        assert main(words(tmp_path, dumps, server, "live", to="pages")) == 0
        asked = len(server.log)
        assert outcomes(tmp_path / "live") == OUTCOMES
        capsys.readouterr()
        assert main(words(tmp_path, dumps, server, "live", to="pages")) == 0  # all is up to date
        assert len(server.log) == asked
        assert "is asked for" not in capsys.readouterr().err
        dump(tmp_path / "RS_2016-12.jsonl", ["http://ferry2.test/there", "http://late.test/"])
        assert main(words(tmp_path, both, server, "live", to="pages")) == 0
        paths = [(r.host, r.path) for r in server.log[asked:] if r.path != "/robots.txt"]
        assert paths.count(("late.test", "/")) == 1
        assert not {("ferry.test", "/"), ("ferry2.test", "/there")} & set(paths)  # are there
        # What failed in a way that may pass is asked again by the user's word alone.
        assert ("broken.test", "/") not in paths
        server.sites["broken.test"] = SITES["late.test"]
        asked = len(server.log)
        assert main([*words(tmp_path, both, server, "live", to="pages"), "--replay", "pages"]) == 0
        assert outcomes(tmp_path / "live")["http://broken.test/"] == "captured"
        assert {r.host for r in server.log[asked:]} == {"broken.test"}


@pytest.mark.slow
def test_the_same_captures_give_the_same_documents_by_each_source(tmp_path):
    dumps = dump(tmp_path / "RS_2016-11.jsonl", OUTCOMES)
    with Web(SITES) as server:
        assert main(words(tmp_path, dumps, server, "live")) == 0
    assert outcomes(tmp_path / "live") == OUTCOMES
    rows = read_published(Disk(tmp_path / "live"), "pages").table(PAGE.names).to_pylist()
    pages = {row["url"]: row for row in rows if row["outcome"] == "captured"}
    for row in pages.values():
        assert (row["source"], row["status"], row["is_whole"]) == ("live", 200, True)
        assert row["payload_digest"].startswith("sha1:") and row["distance_s"] > 0
    assert pages["http://ferry.test/"]["redirects"] == []
    moved = {"url": "http://moved.test/", "status": 302}
    assert pages["http://moved.test/"]["redirects"] == [moved]
    segments = sorted((tmp_path / "live" / "archive" / "live").glob("*.warc.gz"))
    write_crawl(tmp_path / "crawl", "CC-MAIN-2016-50", segments)
    with Machine() as machine:
        for segment in segments:
            machine.add_all(segment)
        sources = {
            "warc": ["--input.warcs", ",".join(map(str, segments))],
            "commoncrawl": [
                "--pages.sources", "commoncrawl", "--commoncrawl.place", str(tmp_path / "crawl")
            ],
            "wayback": wayback(machine),
        }  # fmt: skip
        for name, source in sources.items():
            build = tmp_path / name
            assert main(build_of(tmp_path, name, "--input.dumps", str(dumps), *source)) == 0
            assert outcomes(build) == OUTCOMES | ({} if name == "warc" else UNKNOWN[name]), name
            assert digest_of(build, "documents") == digest_of(tmp_path / "live", "documents"), name


def wayback(machine):
    return [
        "--pages.sources", "wayback", "--wayback.url", machine.url, "--wayback.delay-s", "0",
    ]  # fmt: skip


def capture(url, title, **more):
    """A record of a page that was captured on the day of its post."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    return response_record(url, 1_480_000_000.0, head, page(title).encode(), **more).packed()


def test_the_live_web_is_not_asked_for_what_would_be_too_far_from_the_post():
    rows = [
        {"id": "old", "first_post_s": 99}, {"id": "young", "first_post_s": 100}, {"id": "undated"},
        {"id": "hinted", "first_post_s": 200, "capture_hint_s": 50},
    ]  # fmt: skip
    (found,) = collect.posted_since([pa.Table.from_pylist(rows, schema=LINKS)], 100.0)
    assert found["id"].to_pylist() == ["young", "undated"]


@pytest.mark.slow
def test_a_cut_page_or_a_lost_redirect_ends_no_search_and_hides_no_page_of_a_later_source(tmp_path):
    urls = [f"http://{name}.test/" for name in ("whole", "mended", "cut", "led")]
    warc = tmp_path / "given.warc.gz"
    away = b"HTTP/1.1 302 Found\r\nLocation: http://nowhere.test/\r\n\r\n"
    warc.write_bytes(
        capture(urls[0], "A whole page")
        + capture(urls[1], "A page that was cut", truncated="length")
        + capture(urls[2], "Another page that was cut", truncated="length")
        + response_record(urls[3], 1_480_000_000.0, away, b"").packed()
    )
    dumps = dump(tmp_path / "RS_2016-11.jsonl", urls)
    with Machine() as machine:
        for url in urls[:2]:
            machine.add(url, "2019-01-01", body=page("A page of the Wayback Machine").encode())
        machine.add(urls[3], "2019-01-01", 301, b"", Location="http://there.test/")
        machine.add("http://there.test/", "2019-01-01")
        given = ["--input.dumps", str(dumps), "--input.warcs", str(warc), *wayback(machine)]
        given[given.index("wayback")] = "warc,wayback"
        assert main(build_of(tmp_path, "build", *given, to="pages")) == 0
        assert not any("whole.test" in path for path in machine.requests)
        assert any("cut.test" in path for path in machine.requests)
    columns = ["url", "outcome", "source", "is_whole"]
    rows = read_published(Disk(tmp_path / "build"), "pages").table(columns).to_pylist()
    assert {tuple(row.values()) for row in rows} == {
        (urls[0], "captured", "warc", True),
        (urls[1], "captured", "wayback", True),
        (urls[2], "captured", "warc", False),
        (urls[3], "captured", "wayback", True),  # not by the redirect that leads nowhere
    }


@pytest.mark.slow
def test_links_for_the_wayback_machine_are_counted_over_all_that_lack_a_page(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(collect, "LINKS_AT_ONCE", 1)
    monkeypatch.setattr(collect, "BATCH_ROWS", 1)
    urls = [f"http://site{n}.test/" for n in range(3)]
    dumps = dump(tmp_path / "RS_2016-11.jsonl", urls)
    with Machine() as machine:
        asked = ["--input.dumps", str(dumps), *wayback(machine), "--wayback.links-max"]
        assert main(build_of(tmp_path, "build", *asked, "2", to="pages")) == 2
        assert machine.requests == []
        assert "3 links for the Wayback Machine" in capsys.readouterr().err
        machine.add(urls[0], "2019-01-01")
        assert main(build_of(tmp_path, "build", *asked, "3", to="pages")) == 0
    assert sorted(outcomes(tmp_path / "build").values()) == ["captured", *["not_in_index"] * 2]


@pytest.mark.slow
def test_a_stopped_build_keeps_what_it_has_fetched(tmp_path):
    dumps = dump(tmp_path / "RS_2016-11.jsonl", ["http://ferry.test/", "http://late.test/"])
    with Web({**SITES, "late.test": on_page([60.0])}) as server:
        command = [sys.executable, "-P", "-c", "import sys; from tools.cli import main; "
                   "sys.exit(main(sys.argv[1:]))"]  # fmt: skip
        started = subprocess.Popen([*command, *words(tmp_path, dumps, server, "live")])
        while not {"ferry.test", "late.test"} <= {r.host for r in server.log if r.path == "/"}:
            assert started.poll() is None
            time.sleep(0.1)
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 75
        server.sites["late.test"] = SITES["late.test"]
        assert main(words(tmp_path, dumps, server, "live")) == 0
        assert set(outcomes(tmp_path / "live").values()) == {"captured"}
        assert sum((r.host, r.path) == ("ferry.test", "/") for r in server.log) == 1
