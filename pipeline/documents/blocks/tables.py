"""Which tables hold data, so that a row of them is one block; tables.c does the same."""

from lxml.html import HtmlElement

from pipeline.documents.blocks.kernels import compiled
from pipeline.documents.render import CELL_CHARS_MAX, COLUMN_SHARE_MIN, LARGE_CELLS, LONG_SHARE_MAX

CELL_BLOCKS = frozenset("p ul ol dl table div blockquote pre h1 h2 h3 h4 h5 h6".split())
_HEADED_LONG_SHARE_MAX = 0.1  # of the cells of a table that names its columns or rows

if compiled:
    compiled.know_tables(
        CELL_CHARS_MAX, LARGE_CELLS, COLUMN_SHARE_MIN, LONG_SHARE_MAX, _HEADED_LONG_SHARE_MAX
    )


def data_rows(table: HtmlElement) -> list[list[HtmlElement]] | None:
    """The cells of each row of a table of data; None of one that lays out a page.

    By the rule of render.is_data, which reads the trees of trafilatura. Where the table has names
    for its columns or rows, a few cells may be long, and one row may be all.
    """
    if next(table.iterdescendants("table"), None) is not None:
        return None
    rows = [[cell for cell in row if cell.tag in ("td", "th")] for row in table.iter("tr")]
    is_headed = _is_headed([cells for cells in rows if len(cells) >= 2])
    enough = 1 if is_headed else 2
    if sum(len(cells) >= 2 for cells in rows) < enough:
        return None
    filled = [[cell for cell in cells if _has_text(cell)] for cells in rows]
    filled = [cells for cells in filled if cells]
    columns = sum(len(cells) >= 2 for cells in filled)
    if len(filled) < enough or columns < COLUMN_SHARE_MIN * len(filled):
        return None
    cells = [cell for row in filled for cell in row]
    long = sum(not _is_short(cell, 2 if is_headed else 1) for cell in cells)
    share = LONG_SHARE_MAX if len(cells) >= LARGE_CELLS else 0
    return rows if long <= max(share, _HEADED_LONG_SHARE_MAX * is_headed) * len(cells) else None


def _is_headed(rows: list[list[HtmlElement]]) -> bool:
    """Whether rows of one length have names above them, or each at its start."""
    if len({len(cells) for cells in rows}) != 1:
        return False
    if all(cells[0].tag == "th" and cells[1].tag == "td" for cells in rows):
        return True
    return len(rows) > 1 and all(cell.tag == "th" for cell in rows[0])


def _has_text(element: HtmlElement) -> bool:
    return any(text and not text.isspace() for text in element.itertext())


def _is_short(cell: HtmlElement, blocks_max: int) -> bool:
    text = "".join(cell.itertext())
    if len(text) > CELL_CHARS_MAX and len(" ".join(text.split())) > CELL_CHARS_MAX:
        return False
    if any("\n" in (code.text or "") for code in cell.iter("code")):
        return False
    return sum(child.tag in CELL_BLOCKS and _has_text(child) for child in cell) <= blocks_max
