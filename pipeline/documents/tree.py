"""A page's markup as a tree of lxml's HTML elements, whatever is wrong with it."""

import re

from lxml import etree
from lxml import html as lxml_html
from lxml.html import HtmlElement

# lxml.html's own parser asks a function of Python for the class of each element that is touched:
# without it trafilatura takes 6 % less time.
_PARSER = etree.HTMLParser(
    encoding="utf-8",
    remove_comments=True,
    remove_pis=True,
    collect_ids=False,
    default_doctype=False,
)
_PARSER.set_element_class_lookup(etree.ElementDefaultClassLookup(element=HtmlElement))
# Forbidden in XML 1.0: control characters, U+FFFE and U+FFFF, surrogates.
_CONTROLS = bytes({*range(0x20)} - {*b"\t\n\r"})
_NONCHARACTERS = tuple(sign.encode() for sign in "\ufffe\uffff")
# What we mark lines and cells with (markup.LINE_MARK, blocks/page.py): of a page they mean nothing.
_MARKS = tuple(sign.encode() for sign in "\ufdd0\ufdd1")
# libxml2 stops reading at `<html/>`, and at some document types.
_DOCTYPE = re.compile(r"\s*<!doctype[^<>]*>", re.IGNORECASE)
_EMPTY_HTML = re.compile(r"(<html\b[^<>]*)/>", re.IGNORECASE)
_HEAD_CHARS = 4096
# libxml2 ends the page at the first `</html>`, a browser goes on: 18 of 2,132 real pages have text
# behind it. What is said to those without frames it takes for text with angle brackets.
_TAIL_CHARS = 2000  # before `</html>`, where `</body>` stands
_END_OF_PAGE = re.compile(r"</(?:html|body)\s*>", re.IGNORECASE)
_FRAMES = re.compile(r"</?(?:noframes|frameset|frame)\b[^<>]*>", re.IGNORECASE)
_OPEN_TITLE = re.compile(r"<title\b[^<>]*>[^<]*", re.IGNORECASE)
_END_OF_TITLE = re.compile(r"</title[\s/>]", re.IGNORECASE)


def parse(html: str) -> HtmlElement | None:
    """Give back the page's root, `html`; None where there is no element at all."""
    html = _open_end(_close_title(html))
    if doctype := _DOCTYPE.search(html, 0, _HEAD_CHARS):
        html = html[: doctype.start()] + html[doctype.end() :]
    if root := _EMPTY_HTML.search(html, 0, _HEAD_CHARS):
        html = f"{html[: root.start()]}{root[1]}>{html[root.end() :]}"
    data = html.encode("utf-8", "ignore").translate(None, _CONTROLS)
    for sign in (*_NONCHARACTERS, *_MARKS) if b"\xef" in data else ():
        data = data.replace(sign, b"")
    try:
        tree = lxml_html.document_fromstring(data, parser=_PARSER)
    except etree.ParserError:  # it says that the document is empty
        return None
    if next(tree.iter("noframes"), None) is not None:
        return parse(_FRAMES.sub("", html))
    return tree


def _open_end(html: str) -> str:
    """Leave out the page's ends where tags follow the first of them."""
    at = html.find("</html>")
    if at < 0:
        at = html.find("</HTML>")
    if at < 0 or "<" not in html[at + len("</html>") :]:
        return html
    before = max(0, at - _TAIL_CHARS)
    return html[:before] + _END_OF_PAGE.sub("", html[before:])


def _close_title(html: str) -> str:
    """End a title that is never ended (`</titlevalue>`): a parser takes the whole page for it."""
    title = _OPEN_TITLE.search(html)
    if title is None or _END_OF_TITLE.search(html, title.end()):
        return html
    return f"{html[: title.end()]}</title>{html[title.end() :]}"
