"""Code of a page as `<pre><code>` with one text inside: lines and indentation as they are shown.

Highlighters write code as spans, as a `div` a line, with `<br>`, or as a table whose first column
numbers the lines. An extractor reads these as prose and squeezes them.
"""

import re

from lxml import html as lxml_html
from lxml.html import HtmlElement

from pipeline.documents.written import OLD_PRE, Written

# What highlighters put into code; anything else means that `<pre>` was never closed, or is a frame.
_CODE_INSIDE = frozenset(
    """
    a abbr b bdi bdo big br cite code del dfn div em font i img ins kbd li mark nobr ol p pre q s
    samp small span strike strong sub sup table tbody td th thead tr tt u ul var wbr
    """.split()
)
_LINES = frozenset("div li p tr h1 h2 h3 h4 h5 h6 hr".split())  # elements of one line each
# Papers of plain text have these in `<pre>`; beside elements of the page's frame they mean that
# it was never closed.
_RULES = frozenset("h1 h2 h3 h4 h5 h6 hr".split())
_FRAME = frozenset("div p table ul ol".split())
_CODE = ("pre", "code", "tt", *OLD_PRE)
_BLANK = " \t\xa0"
_NUMBERS = re.compile(r"[\s\d.:|]*")
_CODE_CLASS = re.compile(r"\b(?:blob-code|code|codehilite|highlight|hljs|syntax)", re.IGNORECASE)


def keep_code(tree: HtmlElement, written: Written) -> None:
    """Turn tables of code, `<pre>`, and `<code>` of several lines into `<pre><code>`."""
    for table in list(tree.iter("table")) if written.has("table") else ():
        if (cells := _code_cells(table)) is not None:
            _become_code(table, "\n".join(_shown(cell) for cell in cells))
    for code in list(tree.iter(*_CODE)) if written.has(*_CODE) else ():
        around = next(code.iterancestors(*_CODE, "html"), None)
        if around is None or around.tag != "html":  # taken from the tree, or inside of another
            continue
        if not _is_closed({inner.tag for inner in code.iterdescendants("*")}):
            continue
        lines = _lines_after(code)
        text = "\n".join(map(_shown, [code, *lines]))
        if text and (code.tag in ("pre", *OLD_PRE) or _has_lines(code, lines, text)):
            for line in lines:
                _take(line)
            _become_code(code, text)


def _is_closed(tags: set[str]) -> bool:
    """Whether what is inside can be code: else the element was never closed."""
    return tags <= _CODE_INSIDE or (tags <= _CODE_INSIDE | _RULES and _FRAME.isdisjoint(tags))


def _has_lines(code: HtmlElement, lines: list[HtmlElement], text: str) -> bool:
    """Whether `<code>` has several lines; of `<tt>`, also a typewriter's, one is indented.

    In a cell too: else they are values, of which there may be several.
    """
    if not lines and next(code.iter("br"), None) is None:
        return False
    is_code = code.tag == "code" and next(code.iterancestors("td", "th"), None) is None
    return is_code or any(f"\n{blank}" in text for blank in _BLANK)


def _lines_after(code: HtmlElement) -> list[HtmlElement]:
    """The elements of the same kind that follow, each after nothing but a `<br>`."""
    lines: list[HtmlElement] = []
    last = code
    while code.tag in ("code", "tt") and _is_blank(last.tail):
        end = last.getnext()
        line = end.getnext() if end is not None and end.tag == "br" else None
        if end is None or line is None or line.tag != code.tag or not _is_blank(end.tail):
            break
        lines.append(line)
        last = line
    return lines


def _take(line: HtmlElement) -> None:
    """Take a line and the `<br>` before it from the tree."""
    end, around = line.getprevious(), line.getparent()
    before = end.getprevious() if end is not None else None
    if end is not None and before is not None and around is not None:
        before.tail = line.tail
        around.remove(end)
        around.remove(line)


def _is_blank(text: str | None) -> bool:
    return not text or text.isspace()


def _become_code(element: HtmlElement, text: str) -> None:
    tail = element.tail
    element.clear()
    element.tag, element.tail = "pre", tail
    code = lxml_html.Element("code")
    code.text = text
    element.append(code)
    figure = next(element.iterancestors("figure"), None)
    if figure is not None:  # trafilatura drops what a page shows as a figure
        figure.tag = "div"


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
    text = "".join(pieces).strip("\n").rstrip()
    if element.tag == "pre" and "\n" not in text and {line.tag for line in element} == {"code"}:
        return "\n".join(map(_shown, element))  # a style shows each as a line
    return text


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
