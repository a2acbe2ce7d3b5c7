"""What is checked after `webtext demo --live`: the build's word of each link, the server's log."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from pipeline.pages.fetch.domains import registrable_domain
from tools.demo.compare import differences, ends
from tools.demo.live_web import LiveWeb, Special
from tools.demo.server import Request, Server

OF_SITES = ("/robots.txt", "/.well-known/tdmrep.json")


def faults(
    build: Path, expected_path: Path, web: LiveWeb, server: Server, delay_s: float
) -> list[str]:
    """What went otherwise than planned, as sentences; none where all is well."""
    found = [str(each) for each in differences(build, expected_path)]
    found += rudeness(server.log, delay_s)
    found += trespasses(server.log, web.specials)
    if server.trapped:
        found.append(f"{server.trapped} connections to the private address {server.trap[0]}")
    return found


def table(build: Path, specials: Sequence[Special]) -> Table:
    """What became of the link to each special host."""
    end_of = ends(build)
    shown = Table("link", "what the host does", "became", box=None, pad_edge=False)
    for each in specials:
        shown.add_row(each.url.removeprefix("http://"), each.does, end_of(each.url))
    return shown


def rudeness(log: Sequence[Request], delay_s: float) -> Iterator[str]:
    """What a server saw that it should not have: a domain that was asked too soon, or two at once.

    From the beginning of an answer to the domain's next request there must be `delay_s`.
    """
    last: dict[str, Request] = {}
    for request in sorted(log, key=lambda each: each.asked_s):
        domain = registrable_domain(request.host)
        if domain in last:
            waited_s = request.asked_s - last[domain].answered_s
            if waited_s < delay_s:
                told = f"{request.host}{request.path} was asked for {waited_s:.3f} s after"
                yield f"{told} {last[domain].host}{last[domain].path}, less than {delay_s:g} s"
        last[domain] = request


def trespasses(log: Sequence[Request], specials: Sequence[Special]) -> Iterator[str]:
    """Pages that were asked for although a file of their site forbids them."""
    closed = {each.url.split("/")[2] for each in specials if each.is_closed}
    for request in log:
        if request.host in closed and request.path not in OF_SITES:
            yield f"http://{request.host}{request.path} was asked for although its site forbids it"
