"""What stands in a page's markup: a pass over its tree is left out where it would find nothing.

A walk over all elements takes lxml 0.2 ms; most pages have no formula and no footnote.
"""

import re
from dataclasses import dataclass

from pipeline.documents.blocks.kernels import compiled

MATH = ("math", "m:math", "mml:math", "mathml:math")  # with the prefixes that pages of XHTML use
OLD_PRE = ("xmp", "listing", "plaintext")
_ASKED = (*MATH, *OLD_PRE, "table", "pre", "code", "tt", "sup", "q", "cite")
_NAME = re.compile(r"<([a-zA-Z][^\s/>]*)")
# The address of a note in this page, or a sign of it that is written as an entity.
_NOTE = re.compile(
    r"#(?:_?(?:fn|ftn|foot|note|endnote|en?dn|cite|ref)|&|0*35;|x0*23;)", re.IGNORECASE
)
TEX_TYPE = "math/tex"  # so begins the type of a script of MathJax, which asks for small letters


@dataclass(frozen=True, slots=True)
class Written:
    """What may stand in a page. A tag whose name a control character breaks is not seen."""

    tags: frozenset[str]  # of those that passes ask for
    has_notes: bool  # links to footnotes
    has_tex: bool  # in scripts

    def has(self, *tags: str) -> bool:
        """Whether one of these may stand in it."""
        return not self.tags.isdisjoint(tags)


def read_written(html: str) -> Written:
    """What may stand in a page; more than does where its scripts write markup."""
    has_notes = _NOTE.search(html) is not None or "&num;" in html
    return Written(_tags(html), has_notes, TEX_TYPE in html)


def _tags(html: str) -> frozenset[str]:
    found: frozenset[str] | None = compiled.find_tags(html, _ASKED) if compiled else None
    if found is not None:
        return found
    return frozenset(_ASKED).intersection(map(str.lower, {*_NAME.findall(html)}))
