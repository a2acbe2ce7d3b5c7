"""The extractor's tree as text: one line a block, rows for data tables alone, code as it stands.

trafilatura's own text writes every table as Markdown rows, those of layout too, the usual page of
1996 to 2010: paragraphs of a cell come out joined in one row. Its tree still has them apart. Here
a table is rows only if it reads as data (`is_data`); of any other the blocks of each cell become
lines. White space is squeezed in all but code.

The tree is TEI-like: body of p, head, list (item), quote, code, table (row, cell), lb (a line
break) and inline elements.
"""

from collections.abc import Iterator

from lxml.etree import _Element

from pipeline.documents.markup import LINE_MARK

BLOCKS = frozenset("p head list item quote table row cell code div fw ab body".split())
# A table of data has two columns or more in most rows, and short cells; a large one has exceptions.
CELL_CHARS_MAX = 250
LARGE_CELLS = 200
LONG_SHARE_MAX = 0.05
COLUMN_SHARE_MIN = 0.6
NESTED_INDENT = "  "
_NO_TEXT = f" \t\r\n\xa0{LINE_MARK}"
LINE_BREAK = "\u2028"  # stands for `lb` in a run of text, where a line end is a mere space


def render(body: _Element) -> str:
    """Give back the text of an extracted tree, lines without spaces at their ends."""
    return "\n".join(_lines_inside(body))


def is_data(table: _Element) -> bool:
    """Whether a table is one of data, whose rows say something: not one that lays out a page."""
    rows = [_cells(row) for row in table.iter("row")]
    filled = [[cell for cell in row if _has_text(cell)] for row in rows]
    filled = [row for row in filled if row]
    if len(filled) < 2 or next(table.iterdescendants("table"), None) is not None:
        return False
    if sum(len(row) >= 2 for row in filled) < COLUMN_SHARE_MIN * len(filled):
        return False
    cells = [cell for row in filled for cell in row]
    long = sum(not _is_short(cell) for cell in cells)
    return long <= (LONG_SHARE_MAX * len(cells) if len(cells) >= LARGE_CELLS else 0)


def _is_short(cell: _Element) -> bool:
    blocks = [child for child in cell.iterchildren("*") if child.tag in BLOCKS and _has_text(child)]
    if any("\n" in _code(code) for code in cell.iter("code")):
        return False
    if len(blocks) > 1:
        return False
    text = "".join(cell.itertext())
    return len(text) <= CELL_CHARS_MAX or len(" ".join(text.split())) <= CELL_CHARS_MAX


def _cells(row: _Element) -> list[_Element]:
    return list(row.iterchildren("cell"))


def _has_text(element: _Element) -> bool:
    return any(text.strip(_NO_TEXT) for text in element.itertext())


def _block_lines(element: _Element) -> Iterator[str]:
    """The lines of one block."""
    if element.tag == "table" and is_data(element):
        yield from _table_rows(element)
    elif element.tag == "code":
        yield from _code(element).split("\n")
    elif element.tag == "item":
        yield from _item_lines(element)
    else:
        yield from _lines_inside(element)


def _lines_inside(element: _Element) -> Iterator[str]:
    """The lines of mixed content: runs of text and inline elements, and blocks between them."""
    if len(element) == 0:
        yield from _squeezed(element.text or "")
        return
    run = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            if _is_block(child):
                yield from _squeezed("".join(run))
                run.clear()
                yield from _block_lines(child)
            else:
                run.append(_inline(child))
        run.append(child.tail or "")
    yield from _squeezed("".join(run))


def _is_block(element: _Element) -> bool:
    if element.tag == "code":
        return "\n" in _code(element)
    return element.tag in BLOCKS or any(child.tag in BLOCKS for child in element)


def _item_lines(item: _Element) -> Iterator[str]:
    indent = NESTED_INDENT * (sum(1 for _ in item.iterancestors("list")) - 1)
    mark = f"{indent}- "
    for line in _lines_inside(item):
        yield mark + line if mark else line
        mark = ""


def _table_rows(table: _Element) -> Iterator[str]:
    rows = [[_cell_text(cell) for cell in _cells(row)] for row in table.iter("row")]
    width = max(map(len, rows))
    rows = [row + [""] * (width - len(row)) for row in rows if any(row)]
    columns = [column for column in range(width) if any(row[column] for row in rows)]
    for row in rows:
        yield f"| {' | '.join(row[column] for column in columns)} |"


def _cell_text(cell: _Element) -> str:
    return " ".join(_lines_inside(cell))


def _inline(element: _Element) -> str:
    if element.tag == "lb":
        return LINE_BREAK
    parts = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            space = " " if child.tag in BLOCKS and child.tag != "code" else ""
            parts += [space, _inline(child), space]
        parts.append(child.tail or "")
    return "".join(parts)


def _code(element: _Element) -> str:
    return _inline(element).replace(LINE_BREAK, "\n").strip("\n").rstrip()


def _squeezed(text: str) -> Iterator[str]:
    for line in text.replace(LINE_MARK, LINE_BREAK).split(LINE_BREAK):
        if squeezed := " ".join(line.split()):
            yield squeezed
