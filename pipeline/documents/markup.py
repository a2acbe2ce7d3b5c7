"""The parsed page made ready for an extractor: what its tree would lose is put into words first.

Extractors drop the elements that carry a meaning (`sup`, `math`), join the text of a block with
what stands beside it, and squeeze code. So these passes come first, in this order:

    streamed         parts that stand at the page's end go where a script would put them
    code             its lines and indentation, as `<pre><code>`, also out of tables (code.py)
    formulas         MathML and MathJax as TeX where the page has that, else as text (formulas.py)
    superscripts     reference marks go, exponents get a ^ (superscripts.py)
    unseen           scripts and styles go
    quotations       `<q>` gets the quotation marks that browsers draw
    lists in cells   become paragraphs: trafilatura leaves them out
    nested           paragraphs, as libxml2 reads old pages, are apart
    borders          of blocks, and of pieces of a line, get the space that nobody wrote (pieces.py)
    loose text       beside paragraphs becomes a paragraph, as does each line of an item or cell

    container        gets a name that trafilatura knows (container.py)

Each pass is linear in the page. Only loose text, lists in cells and the container's name change
which text is extracted: page F1 on data/extraction is 0.9053 without any pass and 0.9077 with all.
"""

from collections.abc import Iterable, Iterator

from lxml import html as lxml_html
from lxml.etree import XPath
from lxml.html import HtmlElement

from pipeline.documents.code import keep_code
from pipeline.documents.container import APART, open_container
from pipeline.documents.formulas import write_formulas
from pipeline.documents.lists import text_of, unlist_cells
from pipeline.documents.pieces import separate_pieces
from pipeline.documents.superscripts import mark_superscripts
from pipeline.documents.written import Written, read_written

BLOCKS = frozenset(
    """
    address article aside blockquote body button caption center dd details dialog dir div dl dt
    fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu
    nav ol optgroup option p pre section summary table tbody td tfoot th thead tr ul
    """.split()
)
_CONTAINERS = ("div", "section", "article", "main", "body", "td", "center", "blockquote")
_STREAMED = XPath("/html/body/div[starts-with(@id, 'S:')]")
_UNSEEN = ("script", "style", "noscript", "template", "iframe")
# Tuned on data/extraction, whose pages gain nothing on average from loose text elsewhere: where no
# paragraph stands beside it, it is a menu as often as it is an article.
_PARAGRAPH_CHARS_MIN = 40
_DIV_CHARS_MIN = 40
_PROSE_CHARS_MIN = 400  # page F1 0.0002 higher, line F1 0.0002 lower than without
# Twice trafilatura's own limit (three times min_extracted_size), which it asks of a cleaned page.
_READ_BY_PARAGRAPHS_CHARS = 1500
# Says to render.py that a line begins here. Noncharacters are for such use (Unicode, 23.7); what a
# page has of them means nothing.
LINE_MARK = "\ufdd0"
_SPAN_DIGITS_MAX = 4
# A and I, which are words too, stay where they are.
_DROP_CAPS = frozenset("BCDEFGHJKLMNOPQRSTUVWXYZ")
_DROP_CAP_CHARS_MAX = 8  # with the white space around


def prepare(tree: HtmlElement, html: str) -> None:
    """Change the tree of a page in place, as the top of this file says."""
    written = read_written(html)
    _place_streamed(tree)
    keep_code(tree, written)
    write_formulas(tree, written)
    mark_superscripts(tree, written)
    _drop_unseen(tree)
    _cap_spans(tree)
    _quote(tree, written)
    unlist_cells(tree)
    _unnest_paragraphs(tree)
    holders = _separate_blocks(tree)
    _wrap_loose_text(tree, holders)
    open_container(tree)
    separate_pieces(tree)


def write_words(tree: HtmlElement, html: str) -> None:
    """Put into words what a text would lose, for one who reads the tree block by block himself.

    Code, formulas, superscripts, quotations, and the space that styles draw between pieces.
    """
    written = read_written(html)
    _place_streamed(tree)
    keep_code(tree, written)
    write_formulas(tree, written)
    mark_superscripts(tree, written)
    _quote(tree, written)
    separate_pieces(tree)


def _place_streamed(tree: HtmlElement) -> None:
    """Put what a page sends after its end where it is shown, as a script of React does.

    `<div hidden id="S:4">` stands for `<template id="B:4">`, or `P:4`.
    """
    parts = {part.get("id"): part for part in _STREAMED(tree)}
    for place in list(tree.iter("template")) if parts else ():
        name = place.get("id") or ""
        part = parts.pop(f"S:{name[2:]}", None) if name[:2] in ("B:", "P:") else None
        if part is not None and part not in place.iterancestors():
            part.drop_tree()
            part.tail = None
            place.addnext(part)
            part.drop_tag()


def _drop_unseen(tree: HtmlElement) -> None:
    """Drop what no extractor reads, before it copies the tree five times: 2 % of its time."""
    for unseen in list(tree.iter("script", "style", "title", "link", "svg", "iframe")):
        # JSON-LD holds texts of articles, in which trafilatura looks last.
        if unseen.getparent() is not None and unseen.get("type") != "application/ld+json":
            unseen.drop_tree()


def _cap_spans(tree: HtmlElement) -> None:
    """Drop widths of cells that no table has: trafilatura fails on a number of 5,000 digits."""
    for cell in tree.iter("td", "th"):
        for name in ("colspan", "rowspan"):
            if len(cell.get(name) or "") > _SPAN_DIGITS_MAX:
                del cell.attrib[name]


def _quote(tree: HtmlElement, written: Written) -> None:
    for quotation in tree.iter("q", "cite") if written.has("q", "cite") else ():
        if quotation.tag == "cite":
            _part_attribution(quotation)
            continue
        first = last = quotation
        while len(first) and first[0].tag in BLOCKS and not (first.text or "").strip():
            first = first[0]
        while len(last) and last[-1].tag in BLOCKS and not (last[-1].tail or "").strip():
            last = last[-1]
        quotation.tag = "span" if first is quotation is last else "div"
        first.text = "“" + (first.text or "").lstrip()
        if len(last):
            last[-1].tail = (last[-1].tail or "").rstrip() + "”"
        else:
            last.text = (last.text or "").rstrip() + "”"


def _part_attribution(cite: HtmlElement) -> None:
    """Make a line of "Ann wrote:" at the start of a quotation, to which what she wrote is glued."""
    if not (cite.tail or "")[:1].isalnum():
        return
    opens = cite
    while (around := opens.getparent()) is not None and around[0] is opens:
        if around.text and not around.text.isspace():
            return
        if around.tag == "blockquote":
            cite.tag = "div"
            return
        opens = around


def _unnest_paragraphs(tree: HtmlElement) -> None:
    """Make a `div` of a paragraph that holds others, and of what stands between them.

    Old pages open one paragraph after another within a `<font>` that is never closed; a browser
    ends each where the next begins, libxml2 puts all into the first, and trafilatura joins them.
    """
    for paragraph in tree.iter("p"):
        between: list[HtmlElement] = []
        for around in paragraph.iterancestors():
            if around.tag == "p":
                for element in [*between, around]:
                    element.tag = "div"
                break
            if around.tag in BLOCKS and around.tag != "div":
                break
            between.append(around)


def _wrap_loose_text(tree: HtmlElement, holders: set[HtmlElement]) -> None:
    """Where paragraphs or much loose text stand, put loose text into paragraphs.

    On a page with little text in paragraphs trafilatura reads each `div` as one. It would stop to
    if we made some of them paragraphs, and lose the others: so we leave them there.
    """
    is_read_by_paragraphs = _has_paragraph_chars(tree, _READ_BY_PARAGRAPHS_CHARS)
    for container in list(tree.iter(*_CONTAINERS)):
        if _has_paragraph(container) or _has_prose(container):
            _wrap_runs(container, list(container), holders)
    for div in list(tree.iter("div", "center")) if is_read_by_paragraphs else ():
        if div not in holders and _is_beside_paragraph(div):
            div.tag = "p"
    _part_items(tree)


def _part_items(tree: HtmlElement) -> None:
    """Mark the lines of an item or cell: trafilatura joins what is in no paragraph there."""
    for item in tree.iter("li", "dd", "dt", "td", "th"):
        for div in item.iterdescendants("div"):
            if not (div.text or "").startswith(LINE_MARK):
                div.text = LINE_MARK + (div.text or "")
                if div.tail and not div.tail.isspace():
                    div.tail = LINE_MARK + div.tail


def _has_paragraph_chars(tree: HtmlElement, chars: int) -> bool:
    for paragraph in tree.iter("p"):
        if next(paragraph.iterancestors(*APART), None) is None:
            chars -= len(text_of(paragraph))
            if chars <= 0:
                return True
    return False


def _has_paragraph(container: HtmlElement) -> bool:
    paragraphs = container.iterchildren("p")
    return any(len(text_of(found)) >= _PARAGRAPH_CHARS_MIN for found in paragraphs)


def _has_prose(container: HtmlElement) -> bool:
    """Whether much text stands directly in a container, in no paragraph.

    Else readability's way may be taken, which makes a line of each link in it.
    """
    if container.tag not in ("div", "section", "article", "main"):
        return False
    chars = len((container.text or "").strip())
    for child in container:
        chars += len((child.tail or "").strip())
        if chars >= _PROSE_CHARS_MIN:
            return True
    return chars >= _PROSE_CHARS_MIN


def _wrap_runs(
    container: HtmlElement, children: list[HtmlElement], holders: set[HtmlElement]
) -> None:
    """Wrap each run of text and inline elements between two blocks of the container."""
    before: HtmlElement | None = None
    run: list[HtmlElement] = []
    for child in [*children, None]:
        if child is not None and child.tag not in BLOCKS and child not in holders:
            run.append(child)
            continue
        _wrap_run(container, before, run)
        before, run = child, []


def _wrap_run(container: HtmlElement, before: HtmlElement | None, run: list[HtmlElement]) -> None:
    text = (container.text if before is None else before.tail) or ""
    if not any(not piece.isspace() for piece in _seen_text(text, run)):
        return
    paragraph = lxml_html.Element("p")
    paragraph.text = text
    if before is None:
        container.text = None
        container.insert(0, paragraph)
    else:
        before.tail = None
        before.addnext(paragraph)
    paragraph.extend(run)


def _seen_text(text: str, run: Iterable[HtmlElement]) -> Iterator[str]:
    if text:
        yield text
    for element in run:
        if isinstance(element.tag, str) and element.tag not in _UNSEEN:
            yield from element.itertext()
        if element.tail:
            yield element.tail


def _is_beside_paragraph(div: HtmlElement) -> bool:
    beside = (div.getprevious(), div.getnext())
    if not any(found is not None and found.tag == "p" for found in beside):
        return False
    return len(text_of(div)) >= _DIV_CHARS_MIN


def _separate_blocks(tree: HtmlElement) -> set[HtmlElement]:
    """Put white space at the borders of blocks, where it means nothing to a browser.

    Gives back all elements that have a block somewhere inside.
    """
    holders: set[HtmlElement] = set()
    for block in tree.iter(*BLOCKS):
        for around in block.iterancestors():
            if around in holders:
                break
            holders.add(around)
        _separate(block)
    return holders


def _separate(block: HtmlElement) -> None:
    text, tail, previous = block.text, block.tail, block.getprevious()
    if text and len(text) < _DROP_CAP_CHARS_MAX and text.strip() in _DROP_CAPS:
        _join_drop_cap(block)
        return
    if text and not text[0].isspace():
        block.text = " " + text
    if tail and not tail[0].isspace():
        block.tail = " " + tail
    if previous is not None:
        before = previous.tail
        if before and not before[-1].isspace():
            previous.tail = before + " "
    elif (around := block.getparent()) is not None:
        before = around.text
        if before and not before[-1].isspace():
            around.text = before + " "


def _join_drop_cap(block: HtmlElement) -> None:
    """Put the letter of a block of its own before the paragraph that it begins."""
    after = block.getnext()
    if len(block) or after is None or not (after.text or "")[:1].islower():
        return
    after.text = (block.text or "").strip() + (after.text or "")
    block.text = None
