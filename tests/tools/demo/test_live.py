"""The web that `webtext demo --live` serves and fetches."""

import http.client
import json
import socket
import time

import pytest

from pipeline.links.canonical import canonical
from pipeline.pages.fetch.guard import Guard
from pipeline.pages.fetch.transport import places_of
from pipeline.settings_file import load
from tools.cli import main
from tools.demo.live import write_live
from tools.demo.live_checks import rudeness, trespasses
from tools.demo.live_web import LOST_HOST, TRAP_HOST, Special, live_web
from tools.demo.server import LOOPBACK, TRAP_ADDRESSES, Answer, Request, Server
from tools.demo_command import LIVE_AS_PLANNED

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(scope="module")
def web():
    return live_web()


def asked(connection, host, path):
    connection.request("GET", path, headers={"Host": host})
    response = connection.getresponse()
    response.read()
    return response.status


def test_the_server_tells_hosts_apart_gives_answers_in_turn_and_logs_requests():
    answers = {"a.example/": (Answer((BUSY,)), Answer((OK[:9], OK[9:]), 0.01))}
    with Server(answers) as server:
        connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=20)
        began_s = time.monotonic()
        hosts = ("a.example", "a.example:80", "A.example", "b.example")
        assert [asked(connection, host, "/") for host in hosts] == [503, 200, 200, 404]
        assert asked(connection, "a.example", "/other") == 404
        connection.close()
    assert [(each.host, each.path) for each in server.log] == [
        *[("a.example", "/")] * 3, ("b.example", "/"), ("a.example", "/other"),
    ]  # fmt: skip
    times = [moment for each in server.log for moment in (each.asked_s, each.answered_s)]
    assert times == sorted(times)
    assert times[0] >= began_s
    assert server.trapped == 0


def test_a_server_may_stay_silent_and_be_ended_all_the_same():
    with Server({"a.example/": (Answer((), 60.0),)}) as server:
        waiting = socket.create_connection((LOOPBACK, server.port))
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        waiting.settimeout(0.2)
        with pytest.raises(TimeoutError):
            waiting.recv(1)
    waiting.close()


def test_a_connection_to_the_trap_is_counted():
    with Server({}) as server:
        if not server.trap[0]:
            pytest.skip("loopback has no second address here")
        connection = socket.create_connection(server.trap, timeout=20)
        assert connection.recv(1) == b""
        assert server.trapped == 1
        connection.close()


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ([("a.example", 0.0, 0.1), ("a.example", 0.4, 0.5)], []),
        ([("a.example", 0.0, 0.1), ("b.example", 0.1, 0.2)], []),
        ([("a.example", 0.0, 0.1), ("a.example", 0.25, 0.4)], ["0.150 s after"]),
        ([("a.x.example", 0.0, 0.0), ("b.x.example", 0.1, 0.1)], ["0.100 s after"]),
        ([("a.example", 0.0, 5.0), ("a.example", 0.9, 1.0)], ["-4.100 s after"]),
    ],
)
def test_a_domain_that_is_asked_too_soon_or_twice_at_once_is_told(log, told):
    requests = [Request(host, "/", asked_s, answered_s) for host, asked_s, answered_s in log]
    found = list(rudeness(requests, 0.2))
    assert len(found) == len(told)
    assert all(part in sentence for part, sentence in zip(told, found, strict=True))


def test_a_page_that_its_site_forbids_is_told_when_it_was_asked_for():
    specials = [
        Special("http://a.example/", "", "robots_disallowed", is_closed=True),
        Special("http://b.example/", "", "kept"),
    ]
    asked_for = [("a.example", "/robots.txt"), ("b.example", "/"), ("a.example", "/")]
    log = [Request(host, path, 0.0, 0.0) for host, path in asked_for]
    assert list(trespasses(log, specials)) == [
        "http://a.example/ was asked for although its site forbids it"
    ]


def test_its_web_is_small_of_dozens_of_hosts_and_all_http(web):
    urls = [target.url for target in web.targets]
    assert 150 < len(urls) < 300
    assert len({url.split("/")[2] for url in urls}) > 50
    assert all(url.startswith("http://") for url in urls)
    assert len({canonical(url).key for url in urls}) == len(urls)
    unserved = {url for url in urls if url.partition("://")[2] not in web.answers}
    assert unserved == {f"http://{LOST_HOST}/"}
    assert live_web() == web


@pytest.mark.parametrize(
    "addresses", [TRAP_ADDRESSES, ("192.0.2.1", "::1"), ("192.0.2.1",)], ids=len
)
def test_its_settings_open_the_server_alone_and_leave_no_name_to_be_looked_up(
    web, tmp_path, monkeypatch, addresses
):
    # As on machines that lack an address of loopback, or the second of them as well.
    monkeypatch.setattr("tools.demo.server.TRAP_ADDRESSES", addresses)
    with Server(web.answers) as server:
        files = write_live(tmp_path, web, server)
        settings = load(files.settings_path)
    guard, places = Guard(settings.fetch.networks), places_of(settings.fetch.resolve)
    assert settings.pages.sources == ("live",)
    assert places["*:80"] == (LOOPBACK, server.port)
    assert places["*:443"] is None
    assert places[f"{LOST_HOST}:80"] is None
    address, port = places[f"{TRAP_HOST}:80"]
    assert server.trap in ((address, port), ("", 0))
    assert guard.allows(LOOPBACK)
    assert not guard.allows(address)
    truth = json.loads(files.expected_path.read_text(encoding="utf-8"))
    assert truth["links"] == {target.url: target.expected for target in web.targets}


def test_options_that_do_not_go_with_live_are_refused(tmp_path, capsys):
    for words, told in (
        (["--fast"], "leave --fast out"),
        (["--to", "model"], "--live ends with the corpus"),
    ):
        assert main(["demo", "--live", *words, "--out", str(tmp_path / "none")]) == 2
        assert told in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_each_page_becomes_what_its_host_does_and_no_host_is_pressed(webtext, tmp_path):
    told = webtext("demo", "--live", "--out", tmp_path / "live").stdout
    assert LIVE_AS_PLANNED in told
    ends = {line.split()[0]: line.split()[-1] for line in told.splitlines() if "example/" in line}
    assert ends["inward.example/"] == "host_private"
    assert ends["silent.example/"] == "answer_timed_out"
    assert ends["busy.example/"] == ends["slow.example/"] == "kept"
