"""Lists as paragraphs, where trafilatura leaves lists out: in cells, and in unnamed containers.

An item's first words get a dash, as the items of other lists have in the text. A list of links is
a menu and stays what it is.
"""

from lxml.html import HtmlElement

_LISTS = ("ul", "ol", "dl")
_CELL_LIST_CHARS_MIN = 100  # of all lists of a cell
_LINK_SHARE_MAX = 0.5


def unlist_cells(tree: HtmlElement) -> None:
    """Make paragraphs of the lists in cells, and divisions of quotations there.

    Of a quotation in a cell trafilatura keeps the text outside paragraphs alone.
    """
    by_cell: dict[HtmlElement, list[HtmlElement]] = {}
    for outer in tree.iter(*_LISTS, "blockquote"):
        around = next(outer.iterancestors("td", "th", *_LISTS), None)
        if around is None or around.tag not in ("td", "th"):
            continue
        if outer.tag == "blockquote":
            outer.tag = "div"
        else:
            by_cell.setdefault(around, []).append(outer)
    for lists in by_cell.values():
        if _is_text(lists, _CELL_LIST_CHARS_MIN):
            for outer in lists:
                unlist(outer)


def unlist_text(outer: HtmlElement, chars_min: int) -> None:
    """Make paragraphs of a list that has so many characters and is none of links."""
    if _is_text([outer], chars_min):
        unlist(outer)


def unlist(outer: HtmlElement) -> None:
    """Make a paragraph of each item, with a dash, and a division of each list."""
    for item in outer.iter("li", "dt", "dd"):
        item.tag = "p" if item.find(".//p") is None else "div"
        _mark(item)
    for inner in outer.iter(*_LISTS):
        inner.tag = "div"


def is_linked(element: HtmlElement, chars: int) -> bool:
    """Whether more of an element's characters stand in links than a text has."""
    linked = sum(len(text_of(link)) for link in element.iter("a"))
    return linked > _LINK_SHARE_MAX * chars


def text_of(element: HtmlElement) -> str:
    """The text inside, white space squeezed."""
    return " ".join("".join(element.itertext()).split())


def _is_text(lists: list[HtmlElement], chars_min: int) -> bool:
    chars = sum(len(text_of(outer)) for outer in lists)
    linked = sum(len(text_of(link)) for outer in lists for link in outer.iter("a"))
    return chars >= chars_min and linked <= _LINK_SHARE_MAX * chars


def _mark(item: HtmlElement) -> None:
    """A dash before the first words of an item, wherever they are."""
    holder = item
    while not (holder.text or "").strip() and len(holder) and isinstance(holder[0].tag, str):
        holder = holder[0]
    if (holder.text or "").strip():
        holder.text = "- " + (holder.text or "").lstrip()
