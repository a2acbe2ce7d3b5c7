"""What the owner of a page asks of those who collect it, and whether that forbids its use.

    robots          robots.txt disallows the page for our crawler (RFC 9309)
    ai_agents       robots.txt disallows it for crawlers that collect for training, by their names
    noai, noimageai X-Robots-Tag, or a meta element: not for AI; the images are not
    tdm             the rights to text and data mining are reserved: file, header or meta element
    content_signal  robots.txt says ai-train=no (contentsignals.org)
    content_usage   train-ai=n in a header or in robots.txt (AIPREF)

A capture rarely tells all of it: who has no robots.txt of that time does not know what it said. So
the places that were looked at belong to what was found, and *unknown* is an answer.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.pages.head_tags import head_tags
from pipeline.pages.owners.agents import AI_AGENTS, PRODUCT
from pipeline.pages.owners.content_signal import AI_TRAIN, signals_of
from pipeline.pages.owners.content_usage import TRAIN_AI, usage_of
from pipeline.pages.owners.robots import RobotsTxt
from pipeline.pages.owners.robots_tags import NOAI, NOIMAGEAI, header_directives, meta_directives
from pipeline.pages.owners.tdm import TdmRules, reservation
from pipeline.pages.warc import Headers, all_values
from pipeline.reasons import Drop, Reason
from pipeline.settings import PREFERENCES

# Where something may be said. Of a TDM reservation a later place holds against an earlier one.
ROBOTS_TXT, TDMREP, HEADER, META = PLACES = ("robots.txt", "tdmrep.json", "header", "meta")
PLACES_OF = {
    "robots": (ROBOTS_TXT,),
    "ai_agents": (ROBOTS_TXT,),
    "noai": (HEADER, META),
    "noimageai": (HEADER, META),
    "tdm": (TDMREP, HEADER, META),
    "content_signal": (ROBOTS_TXT,),
    "content_usage": (ROBOTS_TXT, HEADER),
}
REASON_OF = {
    "robots": Reason.ROBOTS_DISALLOWED,
    "ai_agents": Reason.AI_AGENTS_DISALLOWED,
    "noai": Reason.NOAI,
    "noimageai": Reason.NOIMAGEAI,
    "tdm": Reason.TDM_RESERVED,
    "content_signal": Reason.CONTENT_SIGNAL,
    "content_usage": Reason.CONTENT_USAGE,
}
AGENTS = (PRODUCT, *AI_AGENTS)
AGENTS_TOLD = 3  # names in a statement; the others are counted
# Most pages have none of these, and need not be parsed for them.
_MAY_SAY = (b"noai", b"noimageai", b"tdm-reservation")
_HEADERS = frozenset({"x-robots-tag", "tdm-reservation", "content-usage"})
_STATEMENT = re.compile(r"([-+])(\w+)@([\w.]+)=(\S+)")

State = Literal["forbidden", "allowed", "unsaid", "unknown"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What was found in one place: `kind` is a name of PREFERENCES, `where` one of PLACES.

    `value` is what was said, in short and without spaces: "noai", "1", "gptbot+ccbot", "/path".
    """

    kind: str
    where: str
    value: str
    forbids: bool

    def __str__(self) -> str:
        return f"{'-' if self.forbids else '+'}{self.kind}@{self.where}={self.value}"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What was found, in the places that were looked at.

    Written as `robots.txt,header,meta -noai@header=noai +tdm@meta=0` (`-` forbids, `+` allows):
    this form lies in columns and in metadata records, and `read` makes the same object of it.
    """

    seen: frozenset[str] = frozenset()
    statements: tuple[Statement, ...] = ()

    def __str__(self) -> str:
        if not self.seen:
            return ""
        return " ".join([",".join(p for p in PLACES if p in self.seen), *map(str, self.statements)])

    @classmethod
    def read(cls, text: str) -> "Preferences":
        """The preferences that were written so; what it does not know is passed over."""
        places, *said = text.split() or [""]
        found = [_STATEMENT.fullmatch(each) for each in said]
        return _made(
            set(places.split(",")) & set(PLACES),
            (Statement(f[2], f[3], f[4], f[1] == "-") for f in found if f),
        )

    def of(self, kind: str) -> list[Statement]:
        """The statements that count: of a TDM reservation those in the last place that has one."""
        found = [statement for statement in self.statements if statement.kind == kind]
        if kind != "tdm":
            return found
        last = max((PLACES.index(each.where) for each in found), default=0)
        return [each for each in found if PLACES.index(each.where) == last]

    def state(self, kind: str) -> State:
        """Forbidden where anything forbids; unknown where nothing is said, and not all was seen."""
        found = self.of(kind)
        if found:
            return "forbidden" if any(each.forbids for each in found) else "allowed"
        return "unsaid" if self.seen >= set(PLACES_OF[kind]) else "unknown"


def merged(*parts: Preferences) -> Preferences:
    """What all of them found, in all places."""
    seen = frozenset[str]().union(*(part.seen for part in parts))
    return _made(seen, (each for part in parts for each in part.statements))


def verdict(preferences: Preferences, respect: Collection[str] = PREFERENCES) -> Drop | None:
    """Why the page may not be used: the first of `respect` that forbids it, in their order."""
    if not any(each.forbids for each in preferences.statements):
        return None
    for kind in PREFERENCES:
        if kind in respect and preferences.state(kind) == "forbidden":
            said = next(each for each in preferences.of(kind) if each.forbids)
            return Drop(REASON_OF[kind], f"{said.value} ({said.where})")
    return None


def of_page(headers: Headers | None, head: bytes | None, charset: str = "") -> Preferences:
    """What the headers of a response say, and the meta elements of its page.

    `head` is the beginning of the page without content encoding, `charset` the label that its
    Content-Type has. What is None was not there to be looked at.
    """
    said = [] if headers is None else list(_of_headers(headers))
    if head is not None:
        text = head.replace(b"\0", b"").lower()
        if any(word in text for word in _MAY_SAY):
            said += _of_metas(head, charset)
    seen = ((HEADER, headers), (META, head))
    return _made([place for place, there in seen if there is not None], said)


def of_robots_txt(robots: RobotsTxt, url: str, product: str = PRODUCT) -> Preferences:
    """What a robots.txt says of the page at this URL; of a site that has none, `RobotsTxt(b"")`."""
    return _made({ROBOTS_TXT}, _of_robots_txt(robots, url, product))


def of_tdmrep(rules: TdmRules, url: str) -> Preferences:
    """What a tdmrep.json says of the page at this URL; of a site that has none, `TdmRules()`."""
    return _made({TDMREP}, _reservation(rules.reservation(url), TDMREP))


def _made(seen: Iterable[str], statements: Iterable[Statement]) -> Preferences:
    """In one order, each statement once."""
    order = {kind: number for number, kind in enumerate(PREFERENCES)}
    known = {each for each in statements if each.kind in order and each.where in PLACES}
    ordered = sorted(
        known, key=lambda s: (order[s.kind], PLACES.index(s.where), s.value, s.forbids)
    )
    return Preferences(frozenset(seen), tuple(ordered))


def _of_headers(headers: Headers) -> Iterator[Statement]:
    headers = tuple(each for each in headers if each[0].lower() in _HEADERS)
    if not headers:  # most pages
        return
    lines = [value for name, value in headers if name.lower() == "x-robots-tag"]
    yield from _noai(header_directives(lines, AGENTS), HEADER)
    for value in all_values(headers, "tdm-reservation").split(","):
        yield from _reservation(reservation(value), HEADER)
    usage = usage_of(all_values(headers, "content-usage")).get(TRAIN_AI)
    yield from _usage(usage, HEADER)


def _of_metas(head: bytes, charset: str) -> Iterator[Statement]:
    metas = [
        (attributes.get("name", ""), attributes.get("content", ""))
        for tag, attributes in head_tags(head, charset)
        if tag == "meta"
    ]
    yield from _noai(meta_directives(metas, AGENTS), META)
    for name, content in metas:
        if name.strip().lower() == "tdm-reservation":
            yield from _reservation(reservation(content), META)


def _of_robots_txt(robots: RobotsTxt, url: str, product: str) -> Iterator[Statement]:
    if not robots.allows(url, product):
        yield Statement("robots", ROBOTS_TXT, "disallow", True)
    if disallowed := robots.disallowed(url):
        told = "+".join(disallowed[:AGENTS_TOLD])
        more = f"+{len(disallowed) - AGENTS_TOLD}" if len(disallowed) > AGENTS_TOLD else ""
        yield Statement("ai_agents", ROBOTS_TXT, f"{told}{more}", True)
    agents = (product, *robots.named())
    signals = [signals_of(v) for agent in agents for v in robots.content_signals(url, agent)]
    if said := [each[AI_TRAIN] for each in signals if AI_TRAIN in each]:
        word = "yes" if all(said) else "no"
        yield Statement("content_signal", ROBOTS_TXT, f"{AI_TRAIN}={word}", word == "no")
    usages = [usage_of(v) for agent in agents for v in robots.content_usages(url, agent)]
    if said := [each[TRAIN_AI] for each in usages if TRAIN_AI in each]:
        yield from _usage(all(said), ROBOTS_TXT)


def _noai(directives: set[str], where: str) -> Iterator[Statement]:
    for kind in (NOAI, NOIMAGEAI):
        if kind in directives:
            yield Statement(kind, where, kind, True)


def _reservation(is_reserved: bool | None, where: str) -> Iterator[Statement]:
    if is_reserved is not None:
        yield Statement("tdm", where, str(int(is_reserved)), is_reserved)


def _usage(is_allowed: bool | None, where: str) -> Iterator[Statement]:
    if is_allowed is not None:
        word = "y" if is_allowed else "n"
        yield Statement("content_usage", where, f"{TRAIN_AI}={word}", not is_allowed)
