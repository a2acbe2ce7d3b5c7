"""What a page may cost an engine, counted in one pass over its tags before any engine is called.

Twenty thousand nested elements, a hundred thousand attributes on one tag or three hundred thousand
paragraphs hold an extractor for minutes, or make it lose the text without a word. The counts are
those of the text alone, so a page gets the same verdict on every machine; limits of time and
memory (engine/pool.py) stand far above them, for what nobody thought of.

Of 2,801 real pages the deepest has 51 levels, the most attributes on one tag are 82.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.reasons import Reason
from pipeline.records import Drop
from pipeline.settings import DocumentsSettings

# A tag: its name, and its attributes. As in a browser a quote opens a value only after "=". Every
# quantifier is possessive, and where a quote has no partner there is none of its kind further on,
# so time is linear in the page.
_TAG = re.compile(r"<(/?[a-zA-Z][^\s/>]*+)([^>=]*+(?:=\s*+(?:\"[^\"]*+\"|'[^']*+')?+[^>=]*+)*+)")
_ATTRIBUTE = re.compile(r"[^\s/=]++(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'][^\s]*+)?+)?+")
# What a parser does not read as tags.
_RAW = re.compile(r"<(?:(!--)|((?i:script|style|textarea|title))\b)")
_RAW_END = {
    "!--": re.compile("-->"),
    "script": re.compile("</script", re.IGNORECASE),
    "style": re.compile("</style", re.IGNORECASE),
    "textarea": re.compile("</textarea", re.IGNORECASE),
    "title": re.compile("</title", re.IGNORECASE),
}

# Levels that an element adds to the tree. Void elements add none, nor do those that end by
# themselves where the next of them starts; these nest no deeper than the lists and tables around
# them, which are counted for more in turn (table, tbody, tr, td).
_NO_LEVEL = (
    "area base br col embed hr img input link meta param source track wbr frame keygen"
    " html head body p li dt dd tr td th thead tbody tfoot caption colgroup option optgroup a rp rt"
).split()
_MORE_LEVELS = {"table": 4, "ul": 2, "ol": 2, "dl": 2, "select": 2}
_NAMES_MAX = 10_000  # names that are remembered; a hostile page may invent millions
# What an extractor judges one by one, about 0.1 ms each.
_BLOCKS = (
    "p div li td th tr dt dd h1 h2 h3 h4 h5 h6 pre blockquote section article header footer nav"
    " aside main table ul ol dl form option a"
).split()


class _Levels(dict[str, int]):
    """Levels that a tag adds (`div` 1, `/div` -1, `br` 0), by its name as written."""

    def __missing__(self, tag: str) -> int:
        name = tag.removeprefix("/").lower()
        levels = 0 if name in _NO_LEVEL else _MORE_LEVELS.get(name, 1)
        levels = -levels if tag.startswith("/") else levels
        if len(self) < _NAMES_MAX:
            self[tag] = levels
        return levels


_LEVELS = _Levels()


def check_budgets(html: str, rules: DocumentsSettings) -> Drop | None:
    """Drop a page that is over a limit: TOO_DEEP, TOO_MANY_ATTRIBUTES or TOO_MANY_BLOCKS."""
    tags = _TAG.findall(without_raw_text(html))
    if not tags:
        return None
    names, attributes = zip(*tags, strict=True)
    # <path/> holds nothing; many pages have no such tag, and the search is quick.
    nesting = [name for name, text in tags if text[-1:] != "/"] if "/>" in html else names
    if (depth := count_depth(nesting)) > rules.depth_max:
        return Drop(Reason.TOO_DEEP, f"{depth} levels")
    if drop := _check_attributes(attributes, rules):
        return drop
    if len(names) > rules.blocks_max and (blocks := _count_blocks(names)) > rules.blocks_max:
        return Drop(Reason.TOO_MANY_BLOCKS, f"{blocks} blocks")
    return None


def count_depth(names: Sequence[str]) -> int:
    """Give the greatest nesting of start and end tags (`div`, `/div`), whatever closes what.

    A parser that repairs the page builds a tree of about that depth. An end tag without a start
    tag changes nothing.
    """
    if not names:
        return 0
    level = np.cumsum(np.fromiter(map(_LEVELS.__getitem__, names), np.int64, len(names)))
    # A sum that stops at zero is the plain sum less the lowest point that it had below zero.
    return int((level - np.minimum(np.minimum.accumulate(level), 0)).max())


def without_raw_text(html: str) -> str:
    """Give back the page without comments and without what is inside script, style and the like.

    One that never ends is left in: parsers differ in how much they take for it.
    """
    pieces, at = [], 0
    endless: set[str] = set()
    for start in _RAW.finditer(html):
        kind = (start[1] or start[2]).lower()
        if start.start() < at or kind in endless:
            continue
        end = _RAW_END[kind].search(html, start.end())
        if end is None:
            endless.add(kind)
            continue
        pieces.append(html[at : start.start()])
        at = end.end() if kind == "!--" else end.start()
    return "".join(pieces) + html[at:]


def _check_attributes(texts: Sequence[str], rules: DocumentsSettings) -> Drop | None:
    # An attribute takes two characters, so nearly all pages need no counting.
    if max(map(len, texts)) >= 2 * rules.tag_attributes_max:
        most = max(len(_ATTRIBUTE.findall(text)) for text in texts)
        if most > rules.tag_attributes_max:
            return Drop(Reason.TOO_MANY_ATTRIBUTES, f"{most} on one tag")
    if sum(map(len, texts)) >= 2 * rules.attributes_max:
        total = sum(len(_ATTRIBUTE.findall(text)) for text in texts)
        if total > rules.attributes_max:
            return Drop(Reason.TOO_MANY_ATTRIBUTES, f"{total} in all")
    return None


def _count_blocks(names: Sequence[str]) -> int:
    by_name = Counter(map(str.lower, names))
    return sum(by_name[name] for name in _BLOCKS)
