"""`webtext fetch` as people run it, against servers on loopback."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from hostile_web import PAGE, Web, answer, on_page, redirect, robots

from pipeline.errors import SettingsError
from pipeline.pages.archive.outcomes import ANSWER, Outcome, Source
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.fetch.collect import request_headers, user_agent
from pipeline.pages.fetch.domains import registrable_domain
from pipeline.pages.warc import read_page, records
from pipeline.settings import FetchSettings, Settings
from tools.cli import main
from tools.crawl import fetch_links, shard_of

CONTACT = ("--contact", "crawler@example.org")


def options(server, hosts, *more, delay="0"):
    places = ",".join(f"{host}:80=127.0.0.1:{server.port}" for host in hosts)
    return [
        *CONTACT, "--networks", "127.0.0.1/32", "--resolve", places, "--delay-s", delay,
        "--address-connections", "100", "--round-wait-s", "0.2", *more,
    ]  # fmt: skip


def rows_of(archive):
    tables = [pq.read_table(path) for path in sorted(archive.glob("*.parquet"))]
    return [row for table in tables for row in table.to_pylist()]


def write(path, urls):
    path.write_text("".join(f"{url}\n" for url in urls))
    return path


def test_without_a_contact_nothing_is_fetched(tmp_path, capsys):
    links = write(tmp_path / "urls", ["http://a.test/"])
    for contact in ([], ["--contact", ""], ["--contact", "me"]):
        assert main(["fetch", str(links), "--out", str(tmp_path / "out"), *contact]) == 2
        assert "contact is missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--shard", "4/4"], "write I/N, from 0/4 to 3/4"),
        (["--shard", "half"], "write I/N"),
        (["--ports", "80,http"], "http is no port"),
        (["--resolve", "a.test"], "a.test is not HOST:PORT=ADDRESS:PORT"),
        (["--networks", "127.0.0.1/8"], "is no network"),
        (["--respect", "robots,nobody"], "respect"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(tmp_path, capsys, words, told):
    links = write(tmp_path / "urls", ["http://a.test/"])
    out = tmp_path / "out"
    assert main(["fetch", str(links), "--out", str(out), *CONTACT, *words]) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_a_list_that_is_not_there_is_named(tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["fetch", str(tmp_path / "none"), "--out", out, *CONTACT]) == 2
    assert "there is no such file" in capsys.readouterr().err
    assert main(["fetch", str(tmp_path), "--out", out, *CONTACT]) == 2
    assert "no Parquet file is in it" in capsys.readouterr().err
    assert main(["fetch", "--out", out, *CONTACT]) == 2
    assert "name the links" in capsys.readouterr().err


def test_requests_name_their_sender():
    headers = request_headers("me@example.org")
    assert headers["User-Agent"] == user_agent("me@example.org")
    assert headers["User-Agent"].endswith("(+me@example.org)")
    assert headers["From"] == "me@example.org"
    assert "From" not in request_headers("https://example.org/me")
    assert shard_of("1/4") == (1, 4)


def test_pages_are_fetched_told_and_not_fetched_again(tmp_path, capsys):
    hosts = ["a.test", "b.test"]
    with Web({"a.test": on_page([answer()]), "b.test": [answer(b"", "404 Not Found")]}) as server:
        urls = [f"http://{host}/{n}" for host in hosts for n in range(3)]
        links = write(tmp_path / "urls", [*urls, "http://a.test/1/"])
        words = ["fetch", str(links), "--out", str(tmp_path / "out"), *options(server, hosts)]
        assert main([*words, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told == {
            "links": 7, "karma_low": 0, "other_shard": 0, "doubled": 1, "settled_before": 0,
            "outcomes": {"captured": 3, "status_error": 3}, "open": 0,
        }  # fmt: skip
        asked = len(server.log)
        assert main(words) == 0
        assert len(server.log) == asked
    out = capsys.readouterr().out
    assert "captured" in out and "The server answered with an error status." in out
    for row in rows_of(tmp_path / "out"):
        response = read_page(
            tmp_path / "out" / row["segment"], row["offset"], row["length"], 1 << 20
        )
        assert response.status == row["status"]
        assert (response.body == PAGE) == (row["outcome"] == "captured")


def test_shards_ask_each_domain_from_one_machine_alone(tmp_path, capsys):
    hosts = [f"{name}.site{n}.test" for n in range(12) for name in ("www", "blog")]
    with Web({host: on_page([answer()]) for host in hosts}) as server:
        links = write(tmp_path / "urls", [f"http://{host}/{n}" for host in hosts for n in (1, 2)])
        parts = []
        for shard in ("0/2", "1/2"):
            server.log.clear()
            words = ["fetch", str(links), "--out", str(tmp_path / "out"), "--shard", shard]
            assert main([*words, *options(server, hosts)]) == 0
            parts.append({registrable_domain(request.host) for request in server.log})
    assert parts[0] & parts[1] == set()
    assert parts[0] | parts[1] == {f"site{n}.test" for n in range(12)}
    assert Counter(row["outcome"] for row in rows_of(tmp_path / "out")) == {"captured": 48}


def test_a_failure_that_may_pass_is_tried_again_in_a_later_round_and_run(tmp_path, capsys):
    answers = Counter()

    def script(request):
        if request.path in ("/robots.txt", "/.well-known/tdmrep.json"):
            return [answer(b"", "404 Not Found")]
        answers[request.path] += 1
        limit = 2 if request.path == "/soon" else 4
        return [answer() if answers[request.path] > limit else answer(b"", "500 Error")]

    with Web({"a.test": script}) as server:
        links = write(tmp_path / "urls", ["http://a.test/soon", "http://a.test/late"])
        words = ["fetch", str(links), "--out", str(tmp_path / "out"), *options(server, ["a.test"])]
        assert main([*words, "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["outcomes"] == {"captured": 1, "server_error": 1}
        assert told["open"] == 1
        assert answers == {"/soon": 3, "/late": 3}
        assert main([*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["outcomes"] == {"captured": 2}
    assert answers == {"/soon": 3, "/late": 5}


def test_the_owner_is_asked_and_obeyed_and_never_hurried(tmp_path, capsys):
    """From the server's own log: one at a time a domain, never faster than the delay."""
    slow = on_page([answer()[:60], 0.3, answer()[60:]])
    sites = {
        "www.one.test": on_page([answer()]),
        "blog.one.test": slow,
        "a.blogspot.com": on_page([answer()]),
        "b.blogspot.com": on_page([redirect("http://www.one.test/moved")]),
        "slow.test": slow,
        "delay.test": robots("User-agent: *\nCrawl-delay: 0.9\n"),
        "closed.test": robots("User-agent: *\nDisallow: /\n"),
        "half.test": robots("User-agent: webtext\nDisallow: /no\n"),
        "signal.test": robots("User-agent: *\nContent-Signal: ai-train=no\n"),
    }
    urls = [f"http://{host}/{n}" for host in sites for n in range(4)]
    urls += [f"http://half.test/no/{n}" for n in range(4)]
    with Web(sites) as server:
        links = write(tmp_path / "urls", urls)
        words = ["fetch", str(links), "--out", str(tmp_path / "out"), "--json"]
        assert main([*words, *options(server, sites, delay="0.4")]) == 0
        log = list(server.log)
    outcomes = json.loads(capsys.readouterr().out)["outcomes"]
    assert outcomes == {
        "captured": 28, "robots_disallowed": 8, "content_signal": 4,
    }  # fmt: skip
    by_domain = defaultdict(list)
    for request in log:
        by_domain[registrable_domain(request.host)].append(request)
    assert {"a.blogspot.com", "b.blogspot.com", "one.test"} <= set(by_domain)
    for domain, requests in by_domain.items():
        delay_s = 0.9 if domain == "delay.test" else 0.4
        for earlier, later in pairwise(requests):
            assert later.began >= earlier.ended[0], domain
            assert later.began - earlier.began >= delay_s, domain
    asked = {(request.host, request.path) for request in log}
    for host in ("closed.test", "signal.test"):
        assert {path for name, path in asked if name == host} <= {
            "/robots.txt", "/.well-known/tdmrep.json",
        }  # fmt: skip
    assert not any(path.startswith("/no") for _, path in asked)
    assert all((host, "/robots.txt") in asked for host in sites)


def test_behind_a_proxy_addresses_that_tell_themselves_are_refused_all_the_same(tmp_path, capsys):
    def script(request):
        is_page = request.path.rpartition("/")[2].isdigit()
        return [answer() if is_page else answer(b"", "404 Not Found")]

    with Web({"a.test": script}) as proxy:
        urls = ["http://a.test/1", "http://10.0.0.1/2", "http://localhost/3", "http://a.test:22/4"]
        links = write(tmp_path / "urls", urls)
        words = ["fetch", str(links), "--out", str(tmp_path / "out"), "--json", *CONTACT]
        assert main([*words, "--proxy", f"http://127.0.0.1:{proxy.port}", "--delay-s", "0"]) == 0
        asked = [request.path for request in proxy.log]
    assert asked == [
        "http://a.test/robots.txt",
        "http://a.test/.well-known/tdmrep.json",
        "http://a.test/1",
    ]
    outcomes = json.loads(capsys.readouterr().out)["outcomes"]
    assert outcomes == {"captured": 1, "host_private": 2, "port_not_allowed": 1}


@contextmanager
def running(words):
    code = "import sys; from tools.entry import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(test, process):
    while not test():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def test_ctrl_c_lets_what_is_begun_end_and_the_same_command_goes_on(tmp_path):
    hosts = [f"site{n}.test" for n in range(4)]
    slow = on_page([answer()[:60], 0.5, answer()[60:]])
    with Web(dict.fromkeys(hosts, slow)) as server:
        links = write(tmp_path / "urls", [f"http://{h}/{n}" for h in hosts for n in range(5)])
        words = ["fetch", str(links), "--out", str(tmp_path / "out"), *options(server, hosts)]
        with running(words) as process:
            wait_for(lambda: sum(r.path[1:].isdigit() for r in server.log) >= 6, process)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 130, errors
        assert "stopped by Ctrl-C" in errors and "the same command goes on" in errors
        pages = Counter((r.host, r.path) for r in server.log if r.path[1:].isdigit())
        assert len(rows_of(tmp_path / "out")) == sum(pages.values()) < 20
        assert main(words) == 0
        pages = Counter((r.host, r.path) for r in server.log if r.path[1:].isdigit())
    assert set(pages.values()) == {1} and len(pages) == 20
    assert Counter(row["outcome"] for row in rows_of(tmp_path / "out")) == {"captured": 20}


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    with Web({"a.test": on_page([answer()[:60], 300.0])}) as server:
        links = write(tmp_path / "urls", ["http://a.test/1"])
        words = ["fetch", str(links), "--out", str(tmp_path / "out"), *options(server, ["a.test"])]
        with running([*words, "--idle-s", "300", "--total-s", "300"]) as process:
            wait_for(lambda: any(r.path == "/1" for r in server.log), process)
            process.send_signal(signal.SIGINT)
            time.sleep(0.3)
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
            assert process.returncode == 130
    assert rows_of(tmp_path / "out") == []


@pytest.mark.slow
def test_after_ten_kills_no_page_is_lost_and_none_is_fetched_again(tmp_path):
    """At random moments. What was being fetched at a kill may be asked for once more."""
    hosts = [f"site{n}.test" for n in range(30)]
    seen = Counter()

    def script(request):
        if not request.path[1:].isdigit():
            return [answer(b"", "404 Not Found")]
        seen[request.host + request.path] += 1
        return [0.02, answer(PAGE + random.randbytes(20_000).hex().encode())]

    links = write(tmp_path / "urls", [f"http://{h}/{n}" for h in hosts for n in range(60)])
    out = tmp_path / "out"
    chance = random.Random(7)
    with Web(dict.fromkeys(hosts, script)) as server:
        words = [
            "fetch", str(links), "--out", str(out), *options(server, hosts),
            "--connections", "8", "--segment-s", "0.5",
        ]  # fmt: skip
        for _ in range(10):
            before = sum(seen.values())
            with running(words) as process:
                wait_for(lambda before=before: sum(seen.values()) > before, process)
                time.sleep(chance.uniform(0.0, 0.9))
                assert process.poll() is None, process.stderr.read()
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert main(words) == 0
    assert len(seen) == 1800
    rows = rows_of(out)
    assert len(rows) == len({row["id"] for row in rows}) == 1800  # none is answered twice
    assert {row["outcome"] for row in rows} == {"captured"}
    again = sum(seen.values()) - 1800
    print(f"{again} pages were asked for twice after ten kills")
    assert again <= 10 * 8, again
    for row in rows:
        response = read_page(out / row["segment"], row["offset"], row["length"], 1 << 20)
        assert response.body.startswith(PAGE)
    _check_by_all_readers(out)


def _check_by_all_readers(out):
    fastwarc = pytest.importorskip("fastwarc")
    from warcio.archiveiterator import ArchiveIterator

    paths = sorted(out.glob("*.warc.gz"))
    assert len(paths) > 10
    for path in paths:
        assert path.with_name(path.name.replace(".warc.gz", ".cdxj")).exists()
        ours = list(records(path))
        assert not any(record.fault for record in ours)
        with path.open("rb") as file:
            for each in fastwarc.ArchiveIterator(file, parse_http=False):
                told = {name.lower(): value for name, value in each.headers}
                assert "warc-block-digest" not in told or each.verify_block_digest()
        with path.open("rb") as file:
            found = 0
            for each in ArchiveIterator(file, check_digests="raise"):
                each.content_stream().read()
                found += 1
        assert found == len(ours)


@pytest.mark.slow
def test_a_hostile_web_takes_little_memory(tmp_path):
    from hostile_web import bomb, packed

    endless = on_page([b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65_536] * 4_000])
    deep = packed(bomb(200 << 20), "gzip")
    sites = {}
    for n in range(20):
        sites[f"endless{n}.test"] = endless
        sites[f"bomb{n}.test"] = on_page(
            [answer(deep, "200 OK", ("Content-Encoding", "gzip, gzip"))]
        )
        sites[f"headers{n}.test"] = on_page(
            [answer(PAGE, "200 OK", *[(f"X-{i}", "v" * 1_000) for i in range(300)])]
        )
    links = write(tmp_path / "urls", [f"http://{host}/" for host in sites])
    code = (  # ru_maxrss would be that of the process from which this one was forked
        "import re, sys; from pathlib import Path; from tools.cli import main; main(); "
        "told = Path('/proc/self/status').read_text(); "
        "print(re.search(r'VmHWM:\\s+(\\d+)', told)[1], file=sys.stderr)"
    )
    with Web(sites) as server:
        words = ["fetch", str(links), "--out", str(tmp_path / "out"), *options(server, sites)]
        done = subprocess.run(
            [sys.executable, "-P", "-c", code, *words],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    outcomes = Counter(row["outcome"] for row in rows_of(tmp_path / "out"))
    assert outcomes == {"body_too_large": 40, "header_too_large": 20}, done.stderr
    peak_mib = int(done.stderr.split()[-1]) >> 10
    # 20 bodies of 8 MiB may lie there at once, and one that is unpacked to 16 MiB.
    assert peak_mib < 500, peak_mib


def test_no_link_is_forgotten_by_the_archive(tmp_path):
    """Links of another source's pages are not fetched."""
    from pipeline.links.canonical import link_id
    from pipeline.pages.archive.outcomes import Answer

    out = tmp_path / "out"
    with Archive(Folder(out), tmp_path / "scratch") as archive:
        archive.add(
            Answer(
                id=link_id("a.test/1"), key="a.test/1", url="http://a.test/1",
                source=Source.COMMON_CRAWL, outcome=Outcome.CAPTURED, answered_s=1,
            )
        )  # fmt: skip
    with Web({"a.test": on_page([answer()])}) as server:
        links = write(tmp_path / "urls", ["http://a.test/1", "http://a.test/2"])
        assert main(["fetch", str(links), "--out", str(out), *options(server, ["a.test"])]) == 0
        assert "/1" not in {request.path for request in server.log}
    rows = rows_of(out)
    assert {row["url"]: row["source"] for row in rows} == {
        "http://a.test/1": "commoncrawl", "http://a.test/2": "live",
    }  # fmt: skip
    assert set(rows[0]) == set(ANSWER.names)


def test_settings_have_no_contact_by_default():
    assert FetchSettings().contact == ""
    with pytest.raises(SettingsError):
        fetch_links([], None, Settings())
