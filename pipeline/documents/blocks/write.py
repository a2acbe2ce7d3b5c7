"""The blocks that were chosen as text: a line each, rows for tables of data, code as it stands."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.documents.blocks.segment import CELL_MARK, TAG_NUMBERS, Page
from pipeline.documents.render import NESTED_INDENT

_PRE, _ROW = TAG_NUMBERS["pre"], TAG_NUMBERS["tr"]
_ITEMS = frozenset(TAG_NUMBERS[tag] for tag in ("li", "dt", "dd"))
_LISTS = frozenset(TAG_NUMBERS[tag] for tag in ("ul", "ol", "dl"))
_ITEM_BLOCKS = 3  # on average; where items hold more, they are no list but posts, or cards
_CELLS = frozenset(TAG_NUMBERS[tag] for tag in ("td", "th"))


def write(page: Page, blocks: Iterable[int]) -> str:
    """The text of some blocks, in the order of the page; lines have no spaces at their ends."""
    return "\n".join(_lines(page, blocks))


def _lines(page: Page, blocks: Iterable[int]) -> Iterator[str]:
    known = {-1: _Place(-1, ())}
    chosen = [(block, _place(page, page.elements[block], known)) for block in blocks]
    marked = _marked([place for _, place in chosen])
    rows: list[list[str]] = []
    table = item = -1
    for block, place in chosen:
        element, text = page.elements[block], page.text(block)
        is_row = page.tags[element] == _ROW and CELL_MARK in text
        if rows and not (is_row and page.parents[element] == table):
            yield from _table(rows)
            rows = []
        if is_row:
            table = page.parents[element]
            rows.append([" ".join(cell.split()) for cell in text.split(CELL_MARK)])
        elif page.tags[element] == _PRE:
            yield from text.strip("\n").rstrip().split("\n")
        elif line := " ".join(text.split()):
            if place.item >= 0 and place.item != item and place.list in marked:
                depth = sum(one in marked for one in place.lists)
                line = f"{NESTED_INDENT * (depth - 1)}- {line}"
            item = place.item
            yield line
    yield from _table(rows)


class _Place(NamedTuple):
    """The item in which an element lies, -1 for none, and the lists around it, inner first."""

    item: int
    lists: tuple[int, ...]

    @property
    def list(self) -> int:
        """The list of the item; one that stands in none is one itself."""
        return self.lists[0] if self.lists else self.item


def _place(page: Page, element: int, known: dict[int, _Place]) -> _Place:
    """Where an element lies; of elements that are `known` it is not asked again."""
    path = []
    while element not in known:
        path.append(element)
        element = page.parents[element]
    place = known[element]
    for element in reversed(path):
        tag = page.tags[element]
        if tag in _ITEMS:
            place = _Place(element, place.lists)
        elif tag in _LISTS:
            place = _Place(place.item, (element, *place.lists))
        elif tag in _CELLS:
            place = known[-1]
        known[element] = place
    return place


def _marked(places: Iterable[_Place]) -> set[int]:
    """The lists that are read as such: the posts of a thread may be items of one, too."""
    blocks: Counter[int] = Counter()
    items: dict[int, set[int]] = {}
    for place in places:
        if place.item >= 0:
            blocks[place.list] += 1
            items.setdefault(place.list, set()).add(place.item)
    return {one for one, many in blocks.items() if many <= _ITEM_BLOCKS * len(items[one])}


def _table(rows: list[list[str]]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    rows = [row + [""] * (width - len(row)) for row in rows]
    columns = [column for column in range(width) if any(row[column] for row in rows)]
    for row in rows:
        yield f"| {' | '.join(row[column] for column in columns)} |"
