"""Robots tags: the header `X-Robots-Tag`, and `<meta name=robots>` or by a crawler's name.

`noai` and `noimageai` are no standard: DeviantArt made them in 2022, and site builders and data set
tools follow. A tag may be scoped to a crawler (`X-Robots-Tag: GPTBot: noai`).
"""

import re
from collections.abc import Collection, Iterable

NOAI, NOIMAGEAI = "noai", "noimageai"
_SCOPE = re.compile(r"\s*([A-Za-z0-9_.*-]+)\s*:(.*)", re.DOTALL)
# Directives that have a value of their own after a colon.
_WITH_VALUE = frozenset(
    {"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"}
)
_WORDS = re.compile(r"[\s,;]+")


def header_directives(lines: Iterable[str], agents: Collection[str]) -> set[str]:
    """The directives, in lower case, of all X-Robots-Tag lines that hold for one of the agents.

    What has no scope holds for all; a scope holds to the end of its line, or to the next one.
    """
    wanted = {agent.lower() for agent in agents} | {"*", "robots"}
    found: set[str] = set()
    for line in lines:
        holds = True
        for member in line.split(","):
            scope = _SCOPE.match(member)
            if scope and scope[1].lower() not in _WITH_VALUE:
                holds, member = scope[1].lower() in wanted, scope[2]
            if holds:
                found.update(_words(member))
    return found


def meta_directives(metas: Iterable[tuple[str, str]], agents: Collection[str]) -> set[str]:
    """The same of meta elements, each as name and content: `robots`, or the name of an agent."""
    wanted = {agent.lower() for agent in agents} | {"robots"}
    found: set[str] = set()
    for name, content in metas:
        if name.strip().lower() in wanted:
            found.update(_words(content))
    return found


def _words(text: str) -> Iterable[str]:
    return (word for word in _WORDS.split(text.lower()) if word)
