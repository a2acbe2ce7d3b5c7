"""The element that holds a page's text, made known to trafilatura where its name says nothing.

trafilatura looks for an element that is called article, content, main or the like. Where it finds
none, it takes paragraphs, quotations and tables from the whole page, and leaves out every list and
heading. So the smallest element that holds nearly all paragraphs gets a name that it knows. The
body and a cell can get none (the body with a name would give its menus too: page F1 0.001 lower);
there the lists and headings among the paragraphs become paragraphs.

Tuned on data/extraction: page F1 0.9071 and line F1 0.8163, against 0.9059 and 0.8137 without.
"""

import re
from collections.abc import Iterable
from functools import cache

from lxml.html import HtmlElement

from pipeline.documents.lists import is_linked, text_of, unlist_text

APART = ("footer", "aside", "nav", "form")  # hold other text than the page's own
_NAMEABLE = ("div", "article", "main", "section")
_NAME = "articleContent"  # the id that BODY_XPATH asks for first
_NAMING = ("id", "class", "itemprop", "role")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_LISTS = ("ul", "ol", "dl")
_PARAGRAPH_CHARS_MIN = 40
_PAGE_CHARS_MIN = 1000  # in paragraphs: with less trafilatura looks elsewhere too
_SHARE_MIN = 0.9
_LIST_CHARS_MIN = 40


def names_of(paths: Iterable[str]) -> re.Pattern[str]:
    """Give one pattern, for values of attributes a line each, of all names that XPaths look for.

    A name that they ask of a class counts as an id too.
    """
    names: list[str] = []
    for path in paths:
        names += re.findall(r"re:test\(@\w+, '([^']*)'", path)
        names += (f"^{re.escape(name)}$" for name in re.findall(r"@\w+='([^']*)'", path))
        names += (
            f"^{re.escape(name)}" for name in re.findall(r"starts-with\(@\w+, '([^']*)'", path)
        )
        # contains(translate(@id, 'CM', 'cm'), 'main-content'): the case of a letter is all the same
        names += (f"(?i:{re.escape(name)})" for name in re.findall(r"'\w+'\), '([^']*)'", path))
    return re.compile("|".join(names), re.MULTILINE)


@cache
def _known_names() -> re.Pattern[str]:
    from trafilatura.xpaths import BODY_XPATH  # a fifth of a second, which other extractors save

    return names_of(known.path for known in BODY_XPATH)


def open_container(tree: HtmlElement) -> None:
    """Name the page's container, or make paragraphs of what trafilatura would not read there."""
    if _is_known(tree):
        return
    paragraphs, container = _find_container(tree)
    if container is None:
        return
    if container.tag in _NAMEABLE:
        container.set("id", _NAME)
    else:
        _flatten(container, paragraphs[0], paragraphs[-1])


def _is_known(tree: HtmlElement) -> bool:
    """Whether trafilatura would find a container; its own five looks take 1.2 ms a page."""
    if next(tree.iter("article", "main"), None) is not None:
        return True
    values = (div.get(name) for div in tree.iter("div", "section") for name in _NAMING)
    return _known_names().search("\n".join(filter(None, values))) is not None


def _find_container(tree: HtmlElement) -> tuple[list[HtmlElement], HtmlElement | None]:
    """The page's paragraphs, and the smallest element with nearly all their characters."""
    paragraphs, total = [], 0
    held: dict[HtmlElement, int] = {}  # characters by element, outer ones before inner ones
    for paragraph in tree.iter("p"):
        if (chars := len(text_of(paragraph))) < _PARAGRAPH_CHARS_MIN:
            continue
        around = list(paragraph.iterancestors())
        if any(outer.tag in APART for outer in around):
            continue
        paragraphs.append(paragraph)
        total += chars
        for outer in reversed(around):
            held[outer] = held.get(outer, 0) + chars
    if total < _PAGE_CHARS_MIN:
        return paragraphs, None
    # The elements with nearly all lie one within the other, the outer ones before.
    return paragraphs, [outer for outer, chars in held.items() if chars >= _SHARE_MIN * total][-1]


def _flatten(container: HtmlElement, first: HtmlElement, last: HtmlElement) -> None:
    """Make paragraphs of the headings, and of the lists between the first and last paragraph."""
    is_inside = False
    for element in list(container.iter("p", *_HEADINGS, *_LISTS)):
        if element is last:
            return
        is_inside = is_inside or element is first
        if element.tag in _HEADINGS:
            _become_paragraph(element)
        elif is_inside and element.tag in _LISTS:
            around = next(element.iterancestors(*APART, *_LISTS), None)
            if around is None:
                unlist_text(element, _LIST_CHARS_MIN)


def _become_paragraph(heading: HtmlElement) -> None:
    chars = len(text_of(heading))
    if heading.find(".//p") is not None or is_linked(heading, chars):
        return
    if next(heading.iterancestors("li", *APART), None) is None:
        heading.tag = "p"
