"""A build whose pages come from the live web, served on loopback."""

import json
import signal
import subprocess
import sys
import time

import pytest
from hostile_web import Web, answer, on_page, redirect, robots

from pipeline.engine.manifest import read_manifest
from pipeline.engine.reading import read_published
from pipeline.engine.store import Disk
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
}
CAPTURED = {"http://ferry.test/": "captured", "http://moved.test/": "captured"}
OUTCOMES = CAPTURED | {
    "http://gone.test/": "status_error",
    "http://closed.test/": "robots_disallowed",
    "http://nowhere.test/": "host_not_found",
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


def words(folder, dumps, server, out, *more):
    hosts = [url.split("/")[2] for url in OUTCOMES] + ["ferry2.test", "late.test"]
    places = ",".join(
        f"{host}:80=127.0.0.1:{server.port}" for host in hosts if "nowhere" not in host
    )
    return build_of(
        folder, out, "--input.dumps", str(dumps), "--pages.sources", "live",
        "--fetch.contact", "crawler@example.org", "--fetch.networks", "127.0.0.1/32",
        "--fetch.resolve", places, "--fetch.delay-s", "0", "--fetch.rounds", "1", *more,
    )  # fmt: skip


def settings_in(folder):
    path = folder / "webtext.toml"
    path.touch()
    return str(path)


def build_of(folder, out, *more):
    few = ["--engine.buckets", "1", "--pages.hops-max", "1"]  # steps and parts cost a second each
    to = ["--to", "documents", "--out", str(folder / out)]
    return ["build", settings_in(folder), *to, *few, *more]


def outcomes(build):
    rows = read_published(Disk(build), "pages").table(["url", "outcome"]).to_pylist()
    return {row["url"]: row["outcome"] for row in rows}


def digest_of(build, stage):
    return read_manifest(Disk(build), stage).digest


@pytest.mark.slow
def test_a_build_fetches_its_pages_once_and_the_archive_gives_the_same_documents(tmp_path, capsys):
    dumps = dump(tmp_path / "RS_2016-11.jsonl", OUTCOMES)
    with Web(SITES) as server:
        assert main(words(tmp_path, dumps, server, "live")) == 0
        asked = len(server.log)
        assert outcomes(tmp_path / "live") == OUTCOMES
        pages = read_published(Disk(tmp_path / "live"), "pages").table(["source", "distance_s"])
        assert set(pages["source"].to_pylist()) == {"live", None}
        assert all(distance is None or distance > 0 for distance in pages["distance_s"].to_pylist())
        capsys.readouterr()
        assert main(words(tmp_path, dumps, server, "live")) == 0  # all is up to date
        assert len(server.log) == asked
        assert "is asked for" not in capsys.readouterr().err
        # Another dump asks for its link alone.
        more = dump(
            tmp_path / "RS_2016-12.jsonl", ["http://ferry2.test/there", "http://late.test/"]
        )
        both = tmp_path / "RS_*.jsonl"
        assert main(words(tmp_path, both, server, "live")) == 0
        paths = [(r.host, r.path) for r in server.log[asked:] if r.path != "/robots.txt"]
        assert paths.count(("late.test", "/")) == 1
        assert not {("ferry.test", "/"), ("ferry2.test", "/there")} & set(paths)  # are there
        more.unlink()
    archive = tmp_path / "live" / "archive" / "live" / "*.warc.gz"
    again = ["--input.warcs", str(archive), "--input.dumps", str(dumps)]
    assert main(build_of(tmp_path, "warc", *again)) == 0
    assert outcomes(tmp_path / "warc") == OUTCOMES
    assert main(build_of(tmp_path, "live", *again)) == 0
    assert digest_of(tmp_path / "warc", "documents") == digest_of(tmp_path / "live", "documents")
    # The same captures as Common Crawl has them.
    write_crawl(tmp_path / "crawl", "CC-MAIN-2016-50", sorted(archive.parent.glob("*.warc.gz")))
    crawl = ["--pages.sources", "commoncrawl", "--commoncrawl.place", str(tmp_path / "crawl")]
    assert main(build_of(tmp_path, "crawled", "--input.dumps", str(dumps), *crawl)) == 0
    assert outcomes(tmp_path / "crawled") == OUTCOMES | {
        "http://closed.test/": "not_in_index",
        "http://nowhere.test/": "not_in_index",
    }
    assert digest_of(tmp_path / "crawled", "documents") == digest_of(tmp_path / "warc", "documents")


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
