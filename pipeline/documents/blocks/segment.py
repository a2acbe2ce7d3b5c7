"""A page's tree as blocks: runs of text between the borders that a browser draws as line ends.

One walk gives the elements in the order of the page, each with the end of what it holds, and the
blocks with the pieces of text that they are made of. A row of a table of data is one block; of any
other table the blocks of the cells are. So is what stands between two `<br>`.

What an attribute hides is marked: panels of a product page are text, menus of a phone are not.
What stands for a script that does not run is left out, unless little else is there (`segment`).
"""

import re
from dataclasses import dataclass, field
from itertools import islice

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
from pipeline.documents.blocks.names import shared_kinds
from pipeline.documents.markup import BLOCKS as BLOCK_TAGS
from pipeline.documents.render import CELL_CHARS_MAX, COLUMN_SHARE_MIN, LARGE_CELLS, LONG_SHARE_MAX

# ALOUD is for screen readers alone; a CARD is a link around blocks.
LINK, BOLD, HIDDEN, ALOUD, ITALIC, CARD = 1, 2, 4, 8, 16, 32
CELL_MARK = "\ufdd1"  # stands between two cells of a row
# A page that shows fewer words, and holds thrice as many that are hidden, is drawn by a script.
FEW_WORDS = 100
_TAGS = (*sorted(BLOCK_TAGS), "html", "noscript", "template", "td", "th", "hr", "other")
TAG_NUMBERS = {tag: number for number, tag in enumerate(dict.fromkeys(_TAGS))}
OTHER = TAG_NUMBERS["other"]
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
_HEADINGS = frozenset(TAG_NUMBERS[tag] for tag in ("h1", "h2", "h3", "h4", "h5", "h6"))
_HEADING_BREAKS_MAX = 3  # more, and it is a text of old in large letters
_WIDTH = re.compile(
    r"small|medium|large|mobile|desktop|tablet|phone|hidden|visible|\b(?:xs|sm|md|lg)\b"
)
_OF_SENTENCES = frozenset(("p", "li", "span"))  # in which a button may be a word
_HEADED_LONG_SHARE_MAX = 0.1  # of the cells of a table that names its columns or rows
_COLSPAN_MAX = 50
_NOT_SHOWN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_CELL_BLOCKS = frozenset("p ul ol dl table div blockquote pre h1 h2 h3 h4 h5 h6".split())


@dataclass(slots=True)
class Page:
    """Elements (lists of one length, in the order of the page) and blocks (likewise).

    `end` of an element is the number of the first element after all that it holds. `starts` of a
    block is its first piece, with one more at the end; pieces are texts as they stand in the page.
    """

    tags: list[int] = field(default_factory=lambda: [TAG_NUMBERS["html"]])
    parents: list[int] = field(default_factory=lambda: [-1])
    ends: list[int] = field(default_factory=lambda: [0])
    depths: list[int] = field(default_factory=lambda: [0])
    own: list[int] = field(default_factory=lambda: [0])
    inherited: list[int] = field(default_factory=lambda: [0])
    kinds: list[int] = field(
        default_factory=lambda: [0]
    )  # of one tag and class: names.shared_kinds
    plain_kinds: set[int] = field(default_factory=set)  # those without a class
    signs: list[int] = field(default_factory=lambda: [0])  # of its class, and of its id times 16
    begin_blocks: list[int] = field(default_factory=lambda: [0])  # the first block inside
    end_blocks: list[int] = field(default_factory=lambda: [0])  # and the first after all of them

    elements: list[int] = field(default_factory=list)
    breaks: list[int] = field(default_factory=list)  # `<br>` before the block
    links: list[int] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)  # masks of inline elements in it
    starts: list[int] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)

    def text(self, block: int) -> str:
        """A block's text as it stands in the page."""
        return "".join(self.pieces[self.starts[block] : self.starts[block + 1]])


def segment(tree: HtmlElement) -> Page:
    """The blocks of a tree that was made ready (`combined.make_ready`).

    Where fewer than a hundred words are shown and thrice as many hidden, the hidden ones are shown.
    """
    page = _Walk(tree, with_hidden=False).page
    words = _count_words(page, FEW_WORDS)
    if words >= FEW_WORDS:
        return page
    whole = _Walk(tree, with_hidden=True).page
    wanted = 3 * words + 50
    return whole if _count_words(whole, wanted) >= wanted else page


def _count_words(page: Page, enough: int) -> int:
    """The words that a page shows, counted until they are enough."""
    words = 0
    for piece, flags in zip(page.pieces, page.flags, strict=True):
        words += 0 if flags & HIDDEN else len(piece.split())
        if words >= enough:
            break
    return words


class _Walk:
    """One walk over a tree; what it finds is in `page`."""

    def __init__(self, tree: HtmlElement, *, with_hidden: bool) -> None:
        self.page = Page()
        self.unseen = _UNSEEN if with_hidden else _UNSEEN | _HIDDEN_AT_FIRST
        self.with_hidden = with_hidden
        self.is_open = False
        self.is_aloud = False  # whether some of the block at hand is for screen readers alone
        self.known_kinds: dict[tuple[int, str], int] = {(TAG_NUMBERS["html"], ""): 0}
        self.breaks = self.inner = self.links = 0  # of the block at hand
        self.visit(tree, 0, 0)
        self.close(0)
        self.page.starts.append(len(self.page.pieces))
        self.page.ends[0] = len(self.page.tags)
        self.page.end_blocks[0] = len(self.page.elements)
        self.page.kinds, self.page.plain_kinds = shared_kinds(self.known_kinds, self.page.kinds)

    def add(self, text: str, flags: int) -> None:
        """Add a piece of text to the block at hand, or begin one: by none that is white space."""
        page = self.page
        if not self.is_open:
            self.is_open = True
            page.starts.append(len(page.pieces))
        page.pieces.append(text)
        page.flags.append(flags)

    def close(self, element: int) -> None:
        """End the block at hand: it belongs to the element that is open now."""
        if self.is_open:
            page = self.page
            if self.is_aloud:
                self.leave_out_aloud()
            page.elements.append(element)
            page.breaks.append(self.breaks)
            page.links.append(self.links)
            page.inner.append(self.inner)
            self.is_open = False
            self.breaks = 0
        self.inner = self.links = 0

    def leave_out_aloud(self) -> None:
        """Leave out what is for screen readers alone ("Original price:"), beside other words."""
        page, first = self.page, self.page.starts[-1]
        pieces = list(zip(page.pieces[first:], page.flags[first:], strict=True))
        seen = [(text, flags) for text, flags in pieces if not flags & ALOUD]
        if any(not text.isspace() for text, _ in seen):
            page.pieces[first:] = [text for text, _ in seen]
            page.flags[first:] = [flags for _, flags in seen]
        self.is_aloud = False

    def open(self, tag: int, kind: str, mask: int, around: int, signs: int) -> int:
        """Add an element, and give back its number."""
        page = self.page
        number, blocks = len(page.tags), len(page.elements)
        page.tags.append(tag)
        page.parents.append(around)
        page.depths.append(page.depths[around] + 1)
        page.own.append(mask)
        page.inherited.append(mask | page.inherited[around])
        page.kinds.append(self.known_kinds.setdefault((tag, kind), len(self.known_kinds)))
        page.signs.append(signs)
        page.ends.append(number + 1)
        page.begin_blocks.append(blocks)
        page.end_blocks.append(blocks + 1)  # of a row; others are known when they end
        return number

    def visit(self, element: HtmlElement, number: int, flags: int) -> None:
        """Read what is inside of an element; `number` is the block element around it.

        In one piece with all kinds of children: calls are half of what a walk costs.
        """
        text = element.text
        if text and (self.is_open or not text.isspace()):
            self.add(text, flags)
        # To go from child to child takes a third of the time of an iterator over them.
        child = element[0] if len(element) else None
        while child is not None:
            tag = child.tag
            if tag in _INLINE or (tag == "button" and _is_in_sentence(element, child)):
                mask, _, _, marks = read_attributes(child)
                inner = flags
                if marks & HREF and tag == "a" and not self.is_anchor(child, number):
                    inner |= LINK
                    self.links += 1
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
                    self.inner |= mask
            elif tag == "br" and self.is_space(element, child, number):
                if self.is_open:
                    self.add(" ", flags)
            elif tag == "br":
                if self.is_open:
                    self.close(number)
                self.breaks += 1
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
        number = self.open(TAG_NUMBERS.get(tag, OTHER), kind, mask, around, signs)
        rows = data_rows(child) if tag == "table" else None
        if rows is None:
            if len(child) or child.text:
                self.visit(child, number, flags)
                if self.is_open:
                    self.close(number)
        else:
            for cells in rows:
                self.visit_row(cells, number, flags)
        self.page.ends[number] = len(self.page.tags)
        self.page.end_blocks[number] = len(self.page.elements)

    def is_space(self, around: HtmlElement, line_end: HtmlElement, number: int) -> bool:
        """Whether a `<br>` is there for the width of a screen: by its class, or in a heading."""
        if _WIDTH.search(line_end.get("class") or ""):
            return True
        if self.page.tags[number] not in _HEADINGS:
            return False
        several = islice(around.iter("br"), _HEADING_BREAKS_MAX + 1)
        return sum(1 for _ in several) <= _HEADING_BREAKS_MAX

    def is_hidden(self, element: HtmlElement, marks: int) -> bool:
        """Whether an attribute hides its element, in this walk."""
        if self.with_hidden:
            return False
        return bool(marks & HIDES or _NOT_SHOWN.search(element.get("style", "")))

    def is_anchor(self, link: HtmlElement, number: int) -> bool:
        """Whether a link stands in a heading and leads to it."""
        return self.page.tags[number] in _HEADINGS and link.get("href", "")[:1] == "#"

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


def _is_in_sentence(around: HtmlElement, button: HtmlElement) -> bool:
    """Whether a button is some words of the text around it."""
    if around.tag not in _OF_SENTENCES or any(child.tag not in _INLINE for child in button):
        return False
    previous = button.getprevious()
    before = around.text if previous is None else previous.tail
    return any(text and not text.isspace() for text in (before, button.tail))


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


def _columns(cell: HtmlElement) -> int:
    """The columns that a cell is wide."""
    wide = cell.get("colspan") or ""
    return min(int(wide), _COLSPAN_MAX) if wide.isdecimal() and len(wide) < 4 and int(wide) else 1


def _has_text(element: HtmlElement) -> bool:
    return any(not text.isspace() for text in element.itertext())


def _is_short(cell: HtmlElement, blocks_max: int) -> bool:
    text = "".join(cell.itertext())
    if len(text) > CELL_CHARS_MAX and len(" ".join(text.split())) > CELL_CHARS_MAX:
        return False
    if any("\n" in (code.text or "") for code in cell.iter("code")):
        return False
    return sum(child.tag in _CELL_BLOCKS and _has_text(child) for child in cell) <= blocks_max


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
