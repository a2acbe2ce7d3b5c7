"""A page's tree as blocks: runs of text between the borders that a browser draws as line ends.

One walk gives the elements in the order of the page, each with the end of what it holds, and the
blocks with the pieces of text that they are made of. A row of a table of data is one block; of any
other table the blocks of the cells are. So is what stands between two `<br>`.

What an attribute hides is marked: panels of a product page are text, menus of a phone are not.
What stands for a script that does not run is left out, unless little else is there (`segment`).

segment.c walks over the markup that libxml2 writes of the tree, `_Walk` over the tree itself.
"""

import re
from itertools import islice
from typing import Any

import numpy as np
from lxml import etree
from lxml.html import HtmlElement

from pipeline.documents.blocks.attributes import (
    CONSENTS,
    CONSENTS_BY_ID,
    HIDES,
    HREF,
    OPEN,
    ROLE,
    SPOKEN,
    STYLE,
    read_attributes,
)
from pipeline.documents.blocks.kernels import compiled
from pipeline.documents.blocks.names import shared_kinds
from pipeline.documents.blocks.page import (
    ALOUD,
    BOLD,
    CARD,
    CELL_MARK,
    HIDDEN,
    ITALIC,
    LINK,
    TAG_NUMBERS,
    Page,
    codes_of,
    limits_of,
)
from pipeline.documents.blocks.tables import CELL_BLOCKS, data_rows

# A page that shows fewer words, and holds thrice as many that are hidden, is drawn by a script.
FEW_WORDS = 100
_OTHER = TAG_NUMBERS["other"]
_UNSEEN = frozenset(
    "head script style title select svg math object video audio canvas map textarea iframe"
    " datalist link meta base".split()
)
_HIDDEN_AT_FIRST = frozenset(("noscript", "template"))
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img input ins kbd label mark"
    " nobr output q rb rp rt rtc ruby s samp small span strike strong sub sup time tt u var wbr"
    " area embed source track param picture progress meter slot basefont".split()
)
_DIALOGS = frozenset(("dialog", "alertdialog"))
_HEADING_TAGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_HEADINGS = frozenset(TAG_NUMBERS[tag] for tag in _HEADING_TAGS)
_HEADING_BREAKS_MAX = 3  # more, and it is a text of old in large letters
_WIDTH = re.compile(
    r"small|medium|large|mobile|desktop|tablet|phone|hidden|visible|\b(?:xs|sm|md|lg)\b", re.ASCII
)
_OF_SENTENCES = frozenset(("p", "li", "span"))  # in which a button may be a word
_COLSPAN_MAX = 50
_NOT_SHOWN = re.compile(r"display\s*:\s*none", re.IGNORECASE | re.ASCII)
_OF_ELEMENTS = "tags parents ends depths own inherited kinds signs begin_blocks end_blocks".split()
_OF_BLOCKS = "elements breaks links inner".split()
# What nodes.c is told of tags, a bit each.
_KINDS_OF_TAGS: tuple[frozenset[str], ...] = (
    _INLINE,
    _UNSEEN,
    _HIDDEN_AT_FIRST,
    _HEADING_TAGS,
    _OF_SENTENCES,
    CELL_BLOCKS,
    *(
        frozenset(tags.split())
        for tags in "a;b strong;em i;br;button;table;tr;td th;th;code;dialog;body".split(";")
    ),
)


def _known_tags() -> list[tuple[str, int, int]]:
    """All tags that mean anything here: name, number, bits of what each is."""
    return [
        (
            tag,
            TAG_NUMBERS.get(tag, _OTHER),
            sum(1 << bit for bit, tags in enumerate(_KINDS_OF_TAGS) if tag in tags),
        )
        for tag in sorted({*TAG_NUMBERS, *frozenset().union(*_KINDS_OF_TAGS)})
    ]


if compiled:
    compiled.know_tags(_known_tags(), _OTHER)


def segment(tree: HtmlElement) -> Page:
    """The blocks of a tree, whose words were written (markup.write_words).

    Where fewer than a hundred words are shown and thrice as many hidden, the hidden ones are shown.
    """
    markup = b""
    if compiled:
        tree.getroottree().docinfo.clear()  # of a page in XHTML libxml2 would write other markup
        markup = etree.tostring(tree, encoding="utf-8", with_tail=False)
    page, words = _walk(tree, markup, with_hidden=False)
    if words >= FEW_WORDS:
        return page
    whole, all_words = _walk(tree, markup, with_hidden=True)
    return whole if all_words >= 3 * words + 50 else page


def _walk(tree: HtmlElement, markup: bytes, *, with_hidden: bool) -> tuple[Page, int]:
    """The blocks of a tree, and how many words of them are shown; C walks over its markup."""
    found = compiled and compiled.walk_blocks(markup, with_hidden)
    return _read(*(found or _Walk(tree, with_hidden=with_hidden).found()))


def _read(
    elements: Any,
    blocks: Any,
    starts: Any,
    texts: tuple[Any, Any, Any],
    kinds: list[tuple[int, str]],
    words: int,
) -> tuple[Page, int]:
    """A page from buffers: a row for each of _OF_ELEMENTS and _OF_BLOCKS; codes, sizes, flags."""
    of_elements = np.frombuffer(elements, np.int64).reshape(len(_OF_ELEMENTS), -1)
    of_blocks = np.frombuffer(blocks, np.int64).reshape(len(_OF_BLOCKS), -1)
    rows = dict(zip((*_OF_ELEMENTS, *_OF_BLOCKS), (*of_elements, *of_blocks), strict=True))
    rows["kinds"], plain_kinds = shared_kinds(kinds, rows["kinds"])
    sizes, first_pieces = np.frombuffer(texts[1], np.int64), np.frombuffer(starts, np.int64)
    page = Page(
        **rows,
        starts=first_pieces,
        codes=np.frombuffer(texts[0], np.uint32),
        sizes=sizes,
        flags=np.frombuffer(texts[2], np.uint8),
        plain_kinds=plain_kinds,
        limits=limits_of(sizes, first_pieces),
    )
    return page, words


class _Walk:
    """One walk over a tree."""

    def __init__(self, tree: HtmlElement, *, with_hidden: bool) -> None:
        # Of elements, of blocks and of pieces, as page.Page names them.
        self.tags, self.parents, self.ends = [TAG_NUMBERS["html"]], [-1], [0]
        self.depths, self.own, self.inherited = [0], [0], [0]
        self.kinds, self.signs, self.begin_blocks, self.end_blocks = [0], [0], [0], [0]
        self.elements: list[int] = []
        self.breaks: list[int] = []
        self.links: list[int] = []
        self.inner: list[int] = []
        self.starts: list[int] = []
        self.pieces: list[str] = []
        self.flags: list[int] = []
        self.unseen = _UNSEEN if with_hidden else _UNSEEN | _HIDDEN_AT_FIRST
        self.with_hidden = with_hidden
        self.is_open = False
        self.is_aloud = False  # whether some of the block at hand is for screen readers alone
        self.known_kinds: dict[tuple[int, str], int] = {(TAG_NUMBERS["html"], ""): 0}
        # Of the block at hand.
        self.breaks_before = self.names_inside = self.links_inside = 0
        self.visit(tree, 0, 0)
        self.close(0)
        self.starts.append(len(self.pieces))
        self.ends[0] = len(self.tags)
        self.end_blocks[0] = len(self.elements)

    def found(self) -> tuple[Any, ...]:
        """What segment.c gives, for `_read`."""
        elements, blocks = (
            np.array([getattr(self, name) for name in names], np.int64)
            for names in (_OF_ELEMENTS, _OF_BLOCKS)
        )
        texts = (
            codes_of("".join(self.pieces)),
            np.array([len(text) for text in self.pieces], np.int64),
            np.array(self.flags, np.uint8),
        )
        pieces = zip(self.pieces, self.flags, strict=True)
        words = sum(len(text.split()) for text, flags in pieces if not flags & HIDDEN)
        starts = np.array(self.starts, np.int64)
        return elements, blocks, starts, texts, list(self.known_kinds), words

    def add(self, text: str, flags: int) -> None:
        """Add a piece of text to the block at hand, or begin one: by none that is white space."""
        if not self.is_open:
            self.is_open = True
            self.starts.append(len(self.pieces))
        self.pieces.append(text)
        self.flags.append(flags)

    def close(self, element: int) -> None:
        """End the block at hand: it belongs to the element that is open now."""
        if self.is_open:
            if self.is_aloud:
                self.leave_out_aloud()
            self.elements.append(element)
            self.breaks.append(self.breaks_before)
            self.links.append(self.links_inside)
            self.inner.append(self.names_inside)
            self.is_open = False
            self.breaks_before = 0
        self.names_inside = self.links_inside = 0

    def leave_out_aloud(self) -> None:
        """Leave out what is for screen readers alone ("Original price:"), beside other words."""
        first = self.starts[-1]
        pieces = list(zip(self.pieces[first:], self.flags[first:], strict=True))
        seen = [(text, flags) for text, flags in pieces if not flags & ALOUD]
        if any(not text.isspace() for text, _ in seen):
            self.pieces[first:] = [text for text, _ in seen]
            self.flags[first:] = [flags for _, flags in seen]
        self.is_aloud = False

    def open(self, tag: int, kind: str, mask: int, around: int, signs: int) -> int:
        """Add an element, and give back its number."""
        number, blocks = len(self.tags), len(self.elements)
        self.tags.append(tag)
        self.parents.append(around)
        self.depths.append(self.depths[around] + 1)
        self.own.append(mask)
        self.inherited.append(mask | self.inherited[around])
        self.kinds.append(self.known_kinds.setdefault((tag, kind), len(self.known_kinds)))
        self.signs.append(signs)
        self.ends.append(number + 1)
        self.begin_blocks.append(blocks)
        self.end_blocks.append(blocks + 1)  # of a row; others are known when they end
        return number

    def visit(self, element: HtmlElement, number: int, flags: int) -> None:
        """Read what is inside of an element; `number` is the block element around it.

        In one piece with all kinds of children: calls are half of what a walk costs.
        """
        text = element.text
        if text and (self.is_open or not text.isspace()):
            self.add(text, flags)
        is_wrapped: bool | None = None  # not asked yet: a page may have 100,000 line ends
        # To go from child to child takes a third of the time of an iterator over them.
        child = element[0] if len(element) else None
        while child is not None:
            tag = child.tag
            if tag in _INLINE or (tag == "button" and _is_in_sentence(element, child)):
                mask, _, _, marks = read_attributes(child)
                inner = flags
                if marks & HREF and tag == "a" and not self.is_anchor(child, number):
                    inner |= LINK
                    self.links_inside += 1
                if not marks & (STYLE | HIDES) or not self.is_hidden(child, marks):
                    if marks & SPOKEN:
                        inner |= ALOUD
                        self.is_aloud = True
                    if tag == "b" or tag == "strong":
                        inner |= BOLD
                    elif tag == "em" or tag == "i":
                        inner |= ITALIC
                    if len(child):
                        self.visit(child, number, inner)
                    elif (text := child.text) and (self.is_open or not text.isspace()):
                        self.add(text, inner)
                    self.names_inside |= mask
            elif tag == "br":
                if is_wrapped is None:
                    is_wrapped = self.tags[number] in _HEADINGS and _has_few_breaks(element)
                if is_wrapped or _WIDTH.search(child.get("class") or ""):
                    if self.is_open:
                        self.add(" ", flags)
                else:
                    if self.is_open:
                        self.close(number)
                    self.breaks_before += 1
            elif tag not in self.unseen:
                if self.is_open:
                    self.close(number)
                self.visit_block(child, tag, number, flags)
            text = child.tail
            if text and (self.is_open or not text.isspace()):
                self.add(text, flags)
            child = child.getnext()

    def visit_block(self, child: HtmlElement, tag: str, around: int, flags: int) -> None:
        """Read an element that begins and ends a line."""
        mask, kind, signs, marks = read_attributes(child)
        if marks & CONSENTS_BY_ID or (marks & CONSENTS and tag != "body"):
            return
        if flags & LINK:
            flags |= CARD
        if marks & ROLE:
            role = child.get("role")
            if role in _DIALOGS and not self.with_hidden:
                flags |= HIDDEN
            elif role == "heading" and all(inner.tag in _INLINE for inner in child):
                tag = f"h{child.get('aria-level', '2')}"
        if marks & (STYLE | HIDES) and self.is_hidden(child, marks):
            flags |= HIDDEN
        if tag == "dialog" and not marks & OPEN and not self.with_hidden:
            flags |= HIDDEN
        number = self.open(TAG_NUMBERS.get(tag, _OTHER), kind, mask, around, signs)
        rows = data_rows(child) if tag == "table" else None
        if rows is None:
            if len(child) or child.text:
                self.visit(child, number, flags)
                if self.is_open:
                    self.close(number)
        else:
            for cells in rows:
                self.visit_row(cells, number, flags)
        self.ends[number] = len(self.tags)
        self.end_blocks[number] = len(self.elements)

    def is_hidden(self, element: HtmlElement, marks: int) -> bool:
        """Whether an attribute hides its element, in this walk."""
        if self.with_hidden:
            return False
        return bool(marks & HIDES or _NOT_SHOWN.search(element.get("style", "")))

    def is_anchor(self, link: HtmlElement, number: int) -> bool:
        """Whether a link stands in a heading and leads to it."""
        return self.tags[number] in _HEADINGS and link.get("href", "")[:1] == "#"

    def visit_row(self, cells: list[HtmlElement], table: int, flags: int) -> None:
        """Read a row of data as one block."""
        pieces: list[tuple[bool, str]] = []
        marks = 0
        for cell in cells:
            pieces += [(False, CELL_MARK)] * marks
            pieces += _cell_pieces(cell)
            marks = _columns(cell)
        if all(text.isspace() or text == CELL_MARK for _, text in pieces):
            return
        number = self.open(TAG_NUMBERS["tr"], "data", 0, table, 0)
        for is_link, text in pieces:
            if self.is_open or not text.isspace():
                self.add(text, flags | LINK if is_link else flags)
        self.close(number)


def _has_few_breaks(element: HtmlElement) -> bool:
    """Whether it has no more line ends than a heading that was wrapped for a narrow screen."""
    several = islice(element.iter("br"), _HEADING_BREAKS_MAX + 1)
    return sum(1 for _ in several) <= _HEADING_BREAKS_MAX


def _is_in_sentence(around: HtmlElement, button: HtmlElement) -> bool:
    """Whether a button is some words of the text around it."""
    if around.tag not in _OF_SENTENCES or any(child.tag not in _INLINE for child in button):
        return False
    previous = button.getprevious()
    before = around.text if previous is None else previous.tail
    return any(text and not text.isspace() for text in (before, button.tail))


def _columns(cell: HtmlElement) -> int:
    """The columns that a cell is wide."""
    wide = cell.get("colspan") or ""
    is_number = wide.isascii() and wide.isdecimal() and len(wide) < 4
    return min(int(wide), _COLSPAN_MAX) if is_number and int(wide) else 1


def _cell_pieces(cell: HtmlElement) -> list[tuple[bool, str]]:
    """Texts inside a cell, with whether each stands in a link; blocks are apart by a space."""
    pieces: list[tuple[bool, str]] = []

    def visit(element: HtmlElement, is_link: bool) -> None:
        if element.text:
            pieces.append((is_link, element.text))
        for child in element:
            if isinstance(child.tag, str) and child.tag not in _UNSEEN:
                if child.tag not in _INLINE:
                    pieces.append((is_link, " "))
                visit(child, is_link or child.tag == "a")
                if child.tag not in _INLINE:
                    pieces.append((is_link, " "))
            if child.tail:
                pieces.append((is_link, child.tail))

    visit(cell, False)
    return pieces
