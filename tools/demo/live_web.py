"""The web of `webtext demo --live`: the demo's sites with few pages, and hosts that do one thing.

Every address is http: the demo has no certificate that a crawler would take.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tools.demo.captures import HTML, Capture, block_of
from tools.demo.owners import BY_HEADER, BY_ROBOTS_TXT, plant_owners
from tools.demo.plants import page_of
from tools.demo.server import Answer
from tools.demo.web import CRAWLED, KEPT, Target, Web, add_sites

SHARE = 8  # one in so many of the sites' pages
IDLE_S = 5.0  # a server may be silent for so long (fetch.idle_s)
TRAP_HOST, LOST_HOST = "intranet.example", "lost.example"
# By the name of a host of owners.py: what its owner asks.
_ASKS = {name: f"{header}: {value}" for name, header, value, _ in BY_HEADER} | {
    name: f"robots.txt: {'; '.join(asked.splitlines())}" for name, asked, _ in BY_ROBOTS_TXT
}
_TDMREP = "/.well-known/tdmrep.json"


@dataclass(frozen=True)
class Special:
    """A host of which one thing is to be seen: what it does, and what becomes of the link to it."""

    url: str
    does: str
    expected: str
    is_closed: bool = False  # a file of the site forbids the page, so it may not be asked for


@dataclass(frozen=True)
class LiveWeb:
    """What is served, by host and path; what is linked; and which links are shown to people."""

    answers: dict[str, tuple[Answer, ...]]
    targets: tuple[Target, ...]
    specials: tuple[Special, ...]


def live_web() -> LiveWeb:
    """The whole web; the same on every machine."""
    web = Web()
    add_sites(web, SHARE)
    ordinary = [replace(target, url=f"http://{_place(target.url)}") for target in web.targets]
    owners = Web()
    plant_owners(owners)
    served = (*web.captures, *owners.captures)
    answers: dict[str, tuple[Answer, ...]] = {
        _place(each.url): (Answer((block_of(each),)),) for each in served
    }
    specials = []
    for target in owners.targets:
        place = _place(target.url)
        does = _ASKS.get(place.partition(".")[0], "<meta name=robots content=noimageai>")
        is_closed = does.startswith("robots.txt") and target.expected != KEPT
        specials.append(Special(f"http://{place}", does, target.expected, is_closed))
    for special, pages in _specials():
        specials.append(special)
        answers |= {_place(url): given for url, given in pages.items()}
    planted = [Target(each.url, each.expected, 9) for each in specials]
    return LiveWeb(answers, (*ordinary, *planted), tuple(specials))


def _specials() -> Iterator[tuple[Special, dict[str, tuple[Answer, ...]]]]:
    """Each host with what it serves."""
    slow = _response(_page("slow"))
    third = len(slow) // 3
    pieces = (slow[:third], slow[third : 2 * third], slow[2 * third :])
    yield (
        Special("http://slow.example/", "sends its page a third at a time", KEPT),
        {"http://slow.example/": (Answer(pieces, 0.7),)},
    )
    yield (
        Special("http://silent.example/", "never answers", "answer_timed_out"),
        {"http://silent.example/": (Answer((), IDLE_S + 2),)},
    )
    busy = Answer((_response("", 503, ("Retry-After", "1")),))
    yield (
        Special("http://busy.example/", "is busy at first, and asks for a second", KEPT),
        {"http://busy.example/": (busy, Answer((_response(_page("busy")),)))},
    )
    yield (
        Special("http://short.example/s1", "leads to a page of another host", KEPT),
        {
            "http://short.example/s1": _moved("http://moved.example/there"),
            "http://moved.example/there": (Answer((_response(_page("moved")),)),),
        },
    )
    yield (
        Special("http://loop.example/a", "leads in a circle", "redirect_loop"),
        {
            "http://loop.example/a": _moved("http://loop.example/b"),
            "http://loop.example/b": _moved("http://loop.example/a"),
        },
    )
    yield (
        Special("http://inward.example/", "leads to a private address: the trap", "host_private"),
        {"http://inward.example/": _moved(f"http://{TRAP_HOST}/")},
    )
    yield (
        Special("http://localward.example/", "leads to localhost", "host_private"),
        {"http://localward.example/": _moved("http://localhost/")},
    )
    yield (
        Special("http://sideward.example/", "leads to another port", "port_not_allowed"),
        {"http://sideward.example/": _moved("http://sideward.example:6379/")},
    )
    yield (
        Special("http://gone.example/", "has no page any more", "status_error"),
        {"http://gone.example/": (Answer((_response("", 410),)),)},
    )
    yield Special(f"http://{LOST_HOST}/", "does not exist", "host_not_found"), {}
    reserved = '[{"location": "/", "tdm-reservation": 1}]'
    yield (
        Special("http://reserved.example/", "tdmrep.json: reserved", "tdm_reserved", True),
        {
            "http://reserved.example/": (Answer((_response(_page("reserved")),)),),
            f"http://reserved.example{_TDMREP}": (Answer((_response(reserved),)),),
        },
    )


def _page(name: str) -> str:
    return page_of(f"live {name}", "travel")


def _response(body: str, status: int = 200, *more: tuple[str, str]) -> bytes:
    return block_of(Capture("", CRAWLED, body.encode(), status, (*HTML, *more)))


def _moved(location: str) -> tuple[Answer, ...]:
    return (Answer((_response("", 302, ("Location", location)),)),)


def _place(url: str) -> str:
    return url.partition("://")[2]
