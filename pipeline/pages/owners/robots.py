"""robots.txt (RFC 9309): who may fetch what, and what may be done with what was fetched.

`protego` reads Allow, Disallow and Crawl-delay. Two lines that it does not know are read here:
`Content-Signal` (contentsignals.org) and `Content-Usage` (draft-ietf-aipref-attach-05, section 3).
Both hold for the crawlers of their group. A line before the first User-agent is in no group; it is
taken to hold for everyone, since its owner meant someone.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from protego import Protego

from pipeline.pages.owners.agents import AI_AGENTS
from pipeline.pages.owners.path_patterns import matches, path_of, pattern_of

ROBOTS_PATH = "/robots.txt"
# What crawlers must read at least (RFC 9309, 2.5); we read no more.
ROBOTS_BYTES_MAX = 500 << 10
_LINE_END = re.compile(r"\r\n|\r|\n")
_AGENT = frozenset({"user-agent", "useragent", "user agent"})
_OF_NO_GROUP = frozenset({"sitemap", "sitemaps", "site-map", "host"})
# "User-agent: GPTBot/1.2" means GPTBot; protego would look for that version.
_VERSION = re.compile(r"(?im)^([ \t]*user[ -]?agent[ \t]*:[ \t]*[^\s/#]+)/[^\r\n#]*")
_EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class UsageRule:
    """A Content-Signal or a Content-Usage line: what it says of the paths that it names."""

    path: str  # a pattern in normal form, "" for all paths
    value: str


@dataclass(slots=True)
class _Group:
    """What a group says of use. `agents` are lower-case; empty: the lines before any group."""

    agents: set[str]
    signals: list[UsageRule] = field(default_factory=list)
    usages: list[UsageRule] = field(default_factory=list)


class RobotsTxt:
    """One robots.txt. Agents are product tokens, in any case; URLs are absolute."""

    def __init__(self, content: bytes) -> None:
        """Reads at most ROBOTS_BYTES_MAX bytes; what is no robots.txt allows everything."""
        text = content[:ROBOTS_BYTES_MAX].decode("utf-8-sig", "replace")
        text = _VERSION.sub(r"\1", text)
        self._rules = Protego.parse(text)
        self._groups = _groups(text)
        self._names = {name for group in self._groups for name in group.agents}

    def allows(self, url: str, agent: str) -> bool:
        """Whether this crawler may fetch the URL; without a group of its own, as any crawler."""
        return bool(self._rules.can_fetch(url, agent))

    def crawl_delay_s(self, agent: str) -> float | None:
        """The seconds between two requests that it asks of this crawler, if it does."""
        delay_s: float | None = self._rules.crawl_delay(agent)
        return delay_s

    def named(self, agents: Iterable[str] = AI_AGENTS) -> list[str]:
        """Those of the agents that have a group of their own, in order."""
        if self._names <= {_EVERYONE, ""}:
            return []
        return [agent for agent in agents if agent.lower() in self._names]

    def disallowed(self, url: str, agents: Iterable[str] = AI_AGENTS) -> list[str]:
        """Those of the agents whose own group disallows the URL, in order."""
        return [agent for agent in self.named(agents) if not self.allows(url, agent)]

    def content_signals(self, url: str, agent: str) -> list[str]:
        """The values of the Content-Signal lines that hold for this URL and this crawler."""
        rules = [rule for group in self._groups_of(agent) for rule in group.signals]
        return _of_longest_path(rules, path_of(url))

    def content_usages(self, url: str, agent: str) -> list[str]:
        """The same of Content-Usage: those with the longest path that matches, each for itself."""
        rules = [rule for group in self._groups_of(agent) for rule in group.usages]
        return _of_longest_path(rules, path_of(url))

    def _groups_of(self, agent: str) -> list[_Group]:
        """The crawler's own groups, or else those of everyone; and the lines of no group."""
        name = agent.lower() if self.named([agent]) else _EVERYONE
        return [group for group in self._groups if name in group.agents or not group.agents]


def _groups(text: str) -> list[_Group]:
    groups = [_Group(set())]
    begins = True  # whether a User-agent line would begin another group
    for line in _LINE_END.split(text):
        name, colon, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if not colon or name in _OF_NO_GROUP:
            continue
        if name not in _AGENT:
            begins = True
            if name == "content-signal":
                groups[-1].signals.append(_usage_rule(value))
            elif name == "content-usage":
                groups[-1].usages.append(_usage_rule(value))
            continue
        if begins:
            groups.append(_Group({""}))  # one without a name holds for nobody
            begins = False
        if value:
            groups[-1].agents.add(value.lower())
    return groups


def _usage_rule(value: str) -> UsageRule:
    if not value.startswith("/"):
        return UsageRule("", value)
    path, *rest = value.split(maxsplit=1)
    return UsageRule(pattern_of(path), rest[0] if rest else "")


def _of_longest_path(rules: Sequence[UsageRule], path: str) -> list[str]:
    found = [rule for rule in rules if matches(rule.path, path)]
    longest = max((len(rule.path) for rule in found), default=0)
    return [rule.value for rule in found if len(rule.path) == longest]
