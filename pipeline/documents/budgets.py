"""What a page may cost an extractor, counted in one pass over its tags before any is called.

A million line breaks, twenty thousand nested elements, a hundred thousand attributes on one tag or
a table of a million cells hold an extractor for minutes, or make it lose the text without a word.
The counts are those of the text alone, so a page gets the same verdict on every machine; limits of
time and memory (engine/limits.py) stand about ten times above what the worst page within them costs
(`python -m tools.benchmarks.budgets`), for what nobody thought of.

Of 4,229 real pages, mostly small ones, the most of each are: 112,660 "<", 73 levels, 185 attributes
on one tag, 34,108 in all, 249,231 characters of classes and ids, 474,917 between tags, 49,597 cells
of tables, 110 in a row.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress, product

import numpy as np

from pipeline.documents.blocks.kernels import compiled
from pipeline.reasons import Drop, Reason
from pipeline.settings import DocumentsSettings

# A tag: its name, and its attributes. As in a browser a quote opens a value only after "=". Every
# quantifier is possessive, and where a quote has no partner there is none of its kind further on,
# so time is linear in the page.
_TAG = re.compile(r"<(/?[a-zA-Z][^\s/>]*+)([^>=]*+(?:=\s*+(?:\"[^\"]*+\"|'[^']*+')?+[^>=]*+)*+)")
_ATTRIBUTE = re.compile(r"[^\s/=]++(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'][^\s]*+)?+)?+")
# What a parser does not read as tags.
_RAW = re.compile(r"<(?=[!sStT])(?:(!--)|((?ai:script|style|textarea|title))\b)")
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
# trafilatura makes each row as wide as the table's widest, which it takes for at most this wide,
# and believes no cell that says it is wider or higher.
_SPAN_MAX = 100
_SPAN = re.compile(r"(?i:(col|row)span)\s*+=\s*+[\"']?\s*+0*+(\d{1,4})")
# Tags that count there, by every way to write them.
_TABLE_TAGS = {
    "".join(letters): tag
    for tag in ("td", "th", "tr", "table", "/table")
    for letters in product(*zip(tag, tag.upper(), strict=True))
}
_CELLS = frozenset(written for written, tag in _TABLE_TAGS.items() if tag in ("td", "th"))
# Extractors look into these for words of boilerplate: 1.4 us a character, other values cost 0.04.
_CLASS = re.compile(r"(?i:\b(?:class|id)\s*+=\s*+)(\"[^\"]*+\"|'[^']*+'|[^\s\"']\S*+)")


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
if compiled:
    compiled.know_levels([*dict.fromkeys(_NO_LEVEL, 0).items(), *_MORE_LEVELS.items()])


def check_budgets(html: str, rules: DocumentsSettings) -> Drop | None:
    """Drop a page that is over a limit.

    TOO_MANY_TAGS (of "<", in scripts and comments too, before anything else is looked at),
    TOO_DEEP, TOO_MANY_ATTRIBUTES, TOO_MANY_CELLS, TOO_LONG.
    """
    if (signs := html.count("<")) > rules.tags_max:
        return Drop(Reason.TOO_MANY_TAGS, f'{signs} "<"')
    markup = without_raw_text(html)
    if _is_small(markup, rules, closes="/>" in html):
        return None
    pieces = _TAG.split(markup)  # text, and after each a tag's name and attributes
    between, names, attributes = pieces[::3], pieces[1::3], pieces[2::3]
    nesting = names
    if "/>" in html:  # <path/> holds nothing
        tags = zip(names, attributes, strict=True)
        nesting = [name for name, text in tags if not text or text[-1] != "/"]
    if (depth := count_depth(nesting)) > rules.depth_max:
        return Drop(Reason.TOO_DEEP, f"{depth} levels")
    if drop := _check_attributes(attributes, rules):
        return drop
    if drop := _check_tables(names, attributes, rules):
        return drop
    chars = sum(map(len, between)) + len(names)
    if chars > rules.page_chars_max:
        return Drop(Reason.TOO_LONG, f"{chars} characters between tags")
    return None


def _is_small(markup: str, rules: DocumentsSettings, *, closes: bool) -> bool:
    """Whether a page is within all limits by a quick count, as nearly all are.

    `closes` says that a tag may end in a slash. Tables count with as many rows as there are signs.
    """
    found = compiled and compiled.scan_tags(markup, closes)
    if not found or len(markup) > rules.page_chars_max:
        return False
    depth, longest, chars, cells, has_spans = found
    whole = cells + markup.count("<") * min(cells, _SPAN_MAX)
    return bool(
        depth <= rules.depth_max
        and longest < 2 * rules.tag_attributes_max
        and chars < min(2 * rules.attributes_max, rules.class_chars_max)
        and not has_spans
        and cells <= rules.row_cells_max
        and whole <= rules.cells_max
    )


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
    # An attribute takes two characters, so nearly all tags and pages need no counting.
    lengths = [*map(len, texts)]
    many = 2 * rules.tag_attributes_max
    if max(lengths, default=0) >= many:
        most = max(len(_ATTRIBUTE.findall(text)) for text in texts if len(text) >= many)
        if most > rules.tag_attributes_max:
            return Drop(Reason.TOO_MANY_ATTRIBUTES, f"{most} on one tag")
    chars = sum(lengths)
    if chars >= 2 * rules.attributes_max:
        total = sum(len(_ATTRIBUTE.findall(text)) for text in texts)
        if total > rules.attributes_max:
            return Drop(Reason.TOO_MANY_ATTRIBUTES, f"{total} in all")
    if chars > rules.class_chars_max:
        classes = sum(len(value) for text in texts for value in _CLASS.findall(text))
        if classes > rules.class_chars_max:
            return Drop(Reason.TOO_MANY_ATTRIBUTES, f"{classes} characters of classes and ids")
    return None


@dataclass
class _Table:
    """What a table's rows hold so far, in cells as wide and high as they say they are."""

    rows: int = 0
    row: int = 0  # the width of the row at hand
    widest: int = 0
    cells: int = 0
    hanging: int = 0  # the width of all cells that reach into other rows

    def close_row(self) -> None:
        self.rows += 1
        self.widest = max(self.widest, self.row)
        self.row = 0

    def size(self) -> int:
        return self.cells + self.rows * min(self.widest, _SPAN_MAX)


def count_cells(names: Sequence[str], attributes: Sequence[str]) -> tuple[int, int]:
    """Give the cells that an extractor may make of all tables, and of a single row, at most.

    In trafilatura each cell of a row costs as much time as the row has cells before it.
    """
    tables, open_tables = [_Table()], [0]
    kinds = [*map(_TABLE_TAGS.get, names)]
    for kind, text in compress(zip(kinds, attributes, strict=True), kinds):
        table = tables[open_tables[-1]]
        if kind in ("td", "th"):
            wide, high = 1, 1
            if text and (found := _SPAN.findall(text)):
                spans = {which.lower(): max(1, min(int(size), _SPAN_MAX)) for which, size in found}
                wide, high = spans.get("col", 1), spans.get("row", 1)
            table.row += wide
            table.cells += wide * high
            table.hanging += wide if high > 1 else 0
        elif kind == "tr":
            table.close_row()
        elif kind == "table":
            open_tables.append(len(tables))
            tables.append(_Table())
        elif len(open_tables) > 1:
            open_tables.pop()
    for table in tables:
        table.close_row()
    return sum(map(_Table.size, tables)), max(table.widest + table.hanging for table in tables)


def _check_tables(
    names: Sequence[str], attributes: Sequence[str], rules: DocumentsSettings
) -> Drop | None:
    if _CELLS.isdisjoint(names):
        return None  # as most pages of today
    cells, row_cells = count_cells(names, attributes)
    if cells > rules.cells_max:
        return Drop(Reason.TOO_MANY_CELLS, f"{cells} in all")
    if row_cells > rules.row_cells_max:
        return Drop(Reason.TOO_MANY_CELLS, f"{row_cells} in a row")
    return None
