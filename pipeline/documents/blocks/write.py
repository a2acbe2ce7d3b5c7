"""The blocks that were chosen as text: a line each, rows for tables of data, code as it stands."""

import re
from collections.abc import Iterable, Iterator
from math import inf
from typing import NamedTuple

from pipeline.documents.blocks.page import CELL_MARK, TAG_NUMBERS, Page
from pipeline.documents.render import NESTED_INDENT

_PRE, _ROW, _ITEM = TAG_NUMBERS["pre"], TAG_NUMBERS["tr"], TAG_NUMBERS["li"]
_LISTS = frozenset(TAG_NUMBERS[tag] for tag in ("ul", "ol"))
_ITEM_BLOCKS = 2  # on average; where items hold as many, they are no list but posts, or cards
_RANK = re.compile(r"\d{1,4}[.)]")
_CELLS = frozenset(TAG_NUMBERS[tag] for tag in ("td", "th"))
_HEADINGS = frozenset(TAG_NUMBERS[f"h{level}"] for level in range(1, 7))


def write(page: Page, blocks: Iterable[int]) -> str:
    """The text of some blocks, in the order of the page; lines have no spaces at their ends."""
    tree = _Tree(page)
    chosen = [(block, tree.place(tree.elements[block])) for block in blocks]
    marked = _marked(tree, chosen)
    begun = {-1}  # items that had their mark
    lines: list[str] = []
    rows: list[list[str]] = []
    table = -1
    ranked = range(0)  # the elements of a row whose first cell was a number alone
    for block, place in chosen:
        element, text = tree.elements[block], page.text(block)
        tag, is_title, ranked = tree.tags[element], element in ranked, range(0)
        is_row = tag == _ROW and CELL_MARK in text
        if rows and not (is_row and tree.parents[element] == table):
            lines += _table(rows)
            rows = []
        if is_row:
            table = tree.parents[element]
            rows.append([" ".join(cell.split()) for cell in text.split(CELL_MARK)])
        elif tag == _PRE:
            lines += text.strip("\n").rstrip().split("\n")
        elif line := " ".join(text.split()):
            if is_title:
                lines[-1] += f" {line}"
                continue
            if _RANK.fullmatch(line):
                ranked = tree.row(element)
            if place.item not in begun and place.list in marked:
                depth = sum(one in marked for one in place.lists)
                line = f"{NESTED_INDENT * (depth - 1)}- {line}"
            lines.append(line)
        else:
            continue
        begun.add(place.item)
    lines += _table(rows)
    return "\n".join(lines)


class _Place(NamedTuple):
    """The item in which an element lies, -1 for none, and the lists around it, inner first."""

    item: int
    lists: tuple[int, ...]

    @property
    def list(self) -> int:
        """The list of the item; one that stands in none is one itself."""
        return self.lists[0] if self.lists else self.item


class _Tree:
    """A page's elements, and where they lie; numbers are asked of lists in half the time."""

    def __init__(self, page: Page) -> None:
        self.tags: list[int] = page.tags.tolist()
        self.parents: list[int] = page.parents.tolist()
        self.ends: list[int] = page.ends.tolist()
        self.elements: list[int] = page.elements.tolist()
        self.begin_blocks, self.end_blocks = page.begin_blocks.tolist(), page.end_blocks.tolist()
        self.places = {-1: _Place(-1, ())}  # those that were asked for

    def row(self, element: int) -> range:
        """What else is in an element's row of a table that lays out a page."""
        row = element
        while row > 0 and self.tags[row] != _ROW:
            row = self.parents[row]
        return range(element + 1, self.ends[row]) if row > 0 else range(0)

    def place(self, element: int) -> _Place:
        """Where an element lies."""
        path = []
        while element not in self.places:
            path.append(element)
            element = self.parents[element]
        place = self.places[element]
        for element in reversed(path):
            tag = self.tags[element]
            if tag == _ITEM:
                place = _Place(element, place.lists)
            elif tag in _LISTS:
                place = _Place(place.item, (element, *place.lists))
            elif tag in _CELLS:
                place = self.places[-1]
            self.places[element] = place
        return place

    def blocks(self, item: int) -> float:
        """The elements of an item that are blocks, without code and those of items inside.

        All count, chosen or not, but lines of one (`<b>Plan.</b><br>You should`) are one. Endless
        after a heading.
        """
        first, end = self.begin_blocks[item], self.end_blocks[item]
        if self.tags[self.elements[first]] in _HEADINGS:
            return inf
        if end - first == 1:  # most are so
            return 1
        inside = self.elements[first:end]
        own = {one for one in inside if self.tags[one] != _PRE and self.place(one).item == item}
        return len(own)


def _marked(tree: _Tree, places: Iterable[tuple[int, _Place]]) -> set[int]:
    """The lists that are read as such: posts, and cards with a heading, may be items of one, too.

    Code makes no post of an item.
    """
    items: dict[int, set[int]] = {}
    for _, place in places:
        if place.item >= 0:
            items.setdefault(place.list, set()).add(place.item)
    return {
        one for one, its in items.items() if sum(map(tree.blocks, its)) < _ITEM_BLOCKS * len(its)
    }


def _table(rows: list[list[str]]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    rows = [row + [""] * (width - len(row)) for row in rows]
    columns = [column for column in range(width) if any(row[column] for row in rows)]
    for row in rows:
        yield f"| {' | '.join(row[column] for column in columns)} |"
