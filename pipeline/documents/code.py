"""Code of a page as `<pre><code>` with one text inside: lines and indentation as they are shown.

Highlighters write code as spans, as a `div` a line, with `<br>`, or as a table whose first column
numbers the lines. An extractor reads these as prose and squeezes them.
"""

import re

from lxml import html as lxml_html
from lxml.html import HtmlElement

# What highlighters put into code; anything else means that `<pre>` was never closed, or is a frame.
_CODE_INSIDE = frozenset(
    """
    a abbr b bdi bdo big br cite code del dfn div em font i img ins kbd li mark nobr ol p pre q s
    samp small span strike strong sub sup table tbody td th thead tr tt u ul var wbr
    """.split()
)
_LINES = frozenset("div li p tr".split())  # elements that highlighters use for one line each
_NUMBERS = re.compile(r"[\s\d.:|]*")
_CODE_CLASS = re.compile(r"\b(?:blob-code|code|codehilite|highlight|hljs|syntax)", re.IGNORECASE)


def keep_code(tree: HtmlElement) -> None:
    """Turn tables of code, `<pre>`, and `<code>` of several lines into `<pre><code>`."""
    for table in list(tree.iter("table")):
        if (cells := _code_cells(table)) is not None:
            _become_code(table, "\n".join(_shown(cell) for cell in cells))
    for code in list(tree.iter("pre", "code")):
        if next(code.iterancestors("pre", "code"), None) is not None:
            continue
        if not all(inner.tag in _CODE_INSIDE for inner in code.iterdescendants("*")):
            continue
        text = _shown(code)
        if text and (code.tag == "pre" or next(code.iter("br"), None) is not None):
            _become_code(code, text)


def _become_code(element: HtmlElement, text: str) -> None:
    tail = element.tail
    element.clear()
    element.tag, element.tail = "pre", tail
    code = lxml_html.Element("code")
    code.text = text
    element.append(code)


def _code_cells(table: HtmlElement) -> list[HtmlElement] | None:
    """The cells with code of a table that holds nothing else but line numbers; else None."""
    if next(table.iterdescendants("table"), None) is not None:
        return None
    cells = []
    rows = list(table.iter("tr"))
    for row in rows:
        lines = [cell for cell in row if cell.tag in ("td", "th") and not _is_numbers(cell)]
        if len(lines) > 1:
            return None
        cells += lines
    numbered = any(_is_numbers(cell) for row in rows for cell in row if cell.tag in ("td", "th"))
    return cells if numbered and cells and any(map(_is_code, cells)) else None


def _is_numbers(cell: HtmlElement) -> bool:
    return all(_NUMBERS.fullmatch(text) for text in cell.itertext())


def _is_code(cell: HtmlElement) -> bool:
    if next(cell.iter("pre", "code"), None) is not None:
        return True
    return _CODE_CLASS.search(cell.get("class") or "") is not None


def _shown(element: HtmlElement) -> str:
    """The text with a line end for each `<br>` and around each element that is a line."""
    pieces: list[str] = []
    _show(element, pieces)
    return "".join(pieces).strip("\n").rstrip()


def _show(element: HtmlElement, pieces: list[str]) -> None:
    pieces.append((element.text or "").replace("\r\n", "\n"))
    for child in element:
        if child.tag == "br":
            pieces.append("\n")
        elif isinstance(child.tag, str):
            is_line = child.tag in _LINES
            if is_line:
                _end_line(pieces)
            _show(child, pieces)
            if is_line:
                _end_line(pieces)
        if child.tail:
            pieces.append(child.tail.replace("\r\n", "\n"))


def _end_line(pieces: list[str]) -> None:
    last = next((piece for piece in reversed(pieces) if piece), "\n")
    if not last.endswith("\n"):
        pieces.append("\n")
