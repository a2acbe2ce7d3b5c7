"""The blocks that were chosen as text: a line each, rows for tables of data, code as it stands."""

from collections.abc import Iterable, Iterator

from pipeline.documents.blocks.segment import CELL_MARK, TAG_NUMBERS, Page
from pipeline.documents.render import NESTED_INDENT

_PRE, _ROW = TAG_NUMBERS["pre"], TAG_NUMBERS["tr"]
_ITEMS = frozenset(TAG_NUMBERS[tag] for tag in ("li", "dt", "dd"))
_LISTS = frozenset(TAG_NUMBERS[tag] for tag in ("ul", "ol", "dl"))
_CELLS = frozenset(TAG_NUMBERS[tag] for tag in ("td", "th"))


def write(page: Page, blocks: Iterable[int]) -> str:
    """The text of some blocks, in the order of the page; lines have no spaces at their ends."""
    return "\n".join(_lines(page, blocks))


def _lines(page: Page, blocks: Iterable[int]) -> Iterator[str]:
    rows: list[list[str]] = []
    table = item = -1
    for block in blocks:
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
            found, depth = _item(page, element)
            if found >= 0 and found != item:
                line = f"{NESTED_INDENT * (depth - 1)}- {line}"
            item = found
            yield line
    yield from _table(rows)


def _item(page: Page, element: int) -> tuple[int, int]:
    """The item of a list in which an element lies, -1 for none, and how deep lists nest there."""
    found, depth = -1, 0
    while element >= 0:
        tag = page.tags[element]
        if tag in _ITEMS and found < 0:
            found = element
        elif tag in _LISTS:
            depth += 1
        elif tag in _CELLS:
            break
        element = page.parents[element]
    return found, max(depth, 1)


def _table(rows: list[list[str]]) -> Iterator[str]:
    width = max(map(len, rows), default=0)
    rows = [row + [""] * (width - len(row)) for row in rows]
    columns = [column for column in range(width) if any(row[column] for row in rows)]
    for row in rows:
        yield f"| {' | '.join(row[column] for column in columns)} |"
