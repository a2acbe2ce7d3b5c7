"""The program over a network that is made up."""

import asyncio
import time

import pytest

from pipeline.errors import StageError
from pipeline.pages.archive.outcomes import Outcome, Source
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.fetch.frontier import Frontier
from pipeline.pages.fetch.guard import Guard
from pipeline.pages.fetch.program import SILENT_MAX, Program, Rules
from pipeline.pages.fetch.sites import Sites
from pipeline.pages.fetch.transport import NoAddress, Received
from pipeline.pages.fetch.worklist import Counts, make_worklist, read_links
from pipeline.settings import PREFERENCES


class Network:
    """Answers by a function of the URL."""

    def __init__(self, answer) -> None:
        self.answer, self.asked = answer, []

    async def address_of(self, url):
        found = self.answer(url)
        if isinstance(found, NoAddress):
            raise found
        return "192.0.2.1"

    async def get(self, url, cap):
        await asyncio.sleep(0)
        self.asked.append(url)
        got = self.answer(url)
        got.url, got.time_s, got.began_s = url, time.time(), time.monotonic()
        return got


def response(status=200, body=b"<p>Hello</p>", fault=None):
    head = f"HTTP/1.1 {status} x\r\nContent-Type: text/html\r\n\r\n".encode()
    headers = (("Content-Type", "text/html"),)
    if fault:
        return Received("", 0.0, fault=fault, detail="made up")
    return Received(
        "", 0.0, request=b"GET", status=status, headers=headers, type=("text/html", ""),
        head=head, body=body,
    )  # fmt: skip


def run(tmp_path, urls, network, *, rounds=1, clock=time.monotonic):
    given = tmp_path / "urls"
    given.write_text("".join(f"{url}\n" for url in urls))
    with Archive(Folder(tmp_path / "archive"), tmp_path / "scratch") as archive:
        work, _ = make_worklist(
            read_links(given, Counts()), tmp_path / "links", archive.settled(Source.LIVE)
        )
        frontier = Frontier(
            work, connections=20, address_connections=20, delay_s=0.0, rounds=rounds,
            round_wait_s=0.0, clock=clock,
        )  # fmt: skip
        rules = Rules(
            guard=Guard(), ports=frozenset({80, 443}), url_chars_max=8_000, hops_max=5,
            connections=20, body_bytes_max=1 << 20, decoded_bytes_max=1 << 20,
            respect=PREFERENCES,
        )  # fmt: skip
        sites = Sites(PREFERENCES, failures_max=5, pause_s=1_000)
        program = Program(frontier, sites, network, archive, rules, clock=clock)
        try:
            asyncio.run(program.run())
        finally:
            archive.flush()
        return program, archive.answers(("url", "outcome")).to_pylist()


def test_a_host_that_fails_in_a_row_is_left_alone(tmp_path):
    def answer(url):
        is_page = url.rpartition("/")[2].isdigit()
        return response(fault=Outcome.CONNECTION_LOST) if is_page else response(404)

    network = Network(answer)
    program, _ = run(tmp_path, [f"http://a.org/{n}" for n in range(12)], network)
    assert program.outcomes == {"connection_lost": 5, "host_failing": 7}
    assert len(network.asked) == 2 + 5


def test_a_host_without_an_address_is_looked_up_once(tmp_path):
    looked_up = []

    def answer(url):
        looked_up.append(url)
        return NoAddress(Outcome.HOST_NOT_FOUND, "no such name")

    program, _ = run(tmp_path, [f"http://a.org/{n}" for n in range(12)], Network(answer))
    assert program.outcomes == {"host_not_found": 12}
    assert looked_up == ["http://a.org/robots.txt"]


def test_where_nobody_answers_the_run_stops_and_names_the_network(tmp_path):
    network = Network(lambda url: NoAddress(Outcome.DNS_FAILED, "no server"))
    urls = [f"http://site{n}.org/" for n in range(SILENT_MAX + 100)]
    with pytest.raises(StageError, match="Is this machine on the network"):
        run(tmp_path, urls, network)
    _, told = run(tmp_path, urls[:10], Network(lambda url: response()))
    assert {row["outcome"] for row in told if row["url"] in urls[:10]} == {"captured"}


def test_dead_hosts_of_a_later_round_are_no_dead_network(tmp_path):
    network = Network(lambda url: NoAddress(Outcome.DNS_FAILED, "no server"))
    urls = [f"http://site{n}.org/" for n in range(SILENT_MAX - 10)]
    program, _ = run(tmp_path, urls, network, rounds=2)
    assert program.outcomes == {"dns_failed": SILENT_MAX - 10}


def test_a_fault_of_our_own_stops_the_run_and_keeps_what_was_fetched(tmp_path):
    def answer(url):
        if url.endswith("/7"):
            raise ZeroDivisionError
        return response(404 if not url[-1].isdigit() else 200)

    urls = [f"http://site{n}.org/{n}" for n in range(9)]
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, urls, Network(answer))
    _, told = run(tmp_path, urls, Network(lambda url: response()))
    assert {row["outcome"] for row in told} == {"captured"} and len(told) == 9
