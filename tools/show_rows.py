"""Rows for people: a table where it fits the terminal, else a block for each row.

Long values are cut, line ends become spaces, and what a terminal would obey is written out.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from tools.status import console_for_tables

TABLE_CELL_CHARS = 60  # of a value in a table
BLOCK_CELL_CHARS = 400  # of a value in a block
CELL_EXTRA_CHARS = 3  # around each cell of a table
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
Row = dict[str, Any]


def show_rows(title: str, rows: Sequence[Row]) -> None:
    """Print the rows under a title."""
    console = console_for_tables()
    console.print(Text(title, style="bold"))
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name), TABLE_CELL_CHARS) for name in columns] for row in rows]
    widths = [
        max(len(name), *(len(row[at]) for row in cells)) + CELL_EXTRA_CHARS
        for at, name in enumerate(columns)
    ]
    if len(rows) > 1 and sum(widths) < console.width:
        console.print(_table(columns, cells))
        return
    for number, row in enumerate(rows, 1):
        if len(rows) > 1:
            console.print(Text(f"-- {number}", style="dim"))
        console.print(_block(row))


def _table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> Table:
    table = Table()
    for at, name in enumerate(columns):
        is_number = all(re.fullmatch(r"-?[\d.]*", row[at]) for row in cells)
        table.add_column(Text(name), justify="right" if is_number else "left", no_wrap=True)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _block(row: Row) -> Table:
    """One row as lines of name and value; what is empty says nothing and is left out."""
    table = Table.grid(padding=(0, 2))
    for name, value in row.items():
        if value not in (None, "", [], {}):
            cell = Text(_cell(value, BLOCK_CELL_CHARS), overflow="fold")
            table.add_row(Text(str(name), style="bold"), cell)
    return table


def _cell(value: Any, chars: int) -> str:
    """A value on one line, cut to so many characters."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    head = re.sub(r"\s+", " ", text[: 4 * chars])
    plain = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", head)
    if len(plain) > chars or len(text) > 4 * chars:
        return plain[: chars - 1].rstrip() + "…"
    return plain
