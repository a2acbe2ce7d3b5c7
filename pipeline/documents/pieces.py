"""Inline pieces of a line that a style sheet sets apart, and links that stand for an address.

Of the boundaries that get a space by `_is_another`, the labelled pages' own texts tell of 287: 276
have one there, 7 of the others (39€) get none since.
"""

import re

from lxml.html import HtmlElement

# Elements by which one line is made of several pieces ("Jobs<span>Latest post</span>").
_INLINE = ("a", "b", "em", "font", "i", "label", "small", "span", "strong", "time", "u")
_SHORTENED = re.compile(r"(https?://\S+?) ?(?:…|\.{3}) ?(\S*)")
_SET_BY_STYLE = frozenset(("a", "label", "small", "span", "time"))
_CURRENCIES = "$€£¥₹"
_FIGURES = f"0123456789{_CURRENCIES}"
_STOPS = (".", "!", "?", ":", ")")
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6", "dt")
_ANCHORS = frozenset("# ¶ § \U0001f517 \u2693".split())


def separate_pieces(tree: HtmlElement) -> None:
    """A space where a style sheet must have drawn one: before and after several words.

    One word may be the rest of another (a drop cap, Java<b>Script</b>); two links never are, but
    where one name is written as two of the same. Of elements that set nothing off by themselves
    (`span`, not `b`) fewer words are asked: `_is_another`.
    """
    for piece in list(tree.iter(*_INLINE)):
        text, tail, tag = piece.text or "", piece.tail, piece.tag
        is_link, is_apart, is_set = tag == "a", False, False
        if text:
            first = text[0]
            if first.isupper():
                if text[1:2].islower():
                    is_apart, is_set = " " in text.strip(), tag in _SET_BY_STYLE
            elif first in _FIGURES:
                is_set = tag in _SET_BY_STYLE
            elif is_link:
                if first in _ANCHORS and len(text) == 1 and _is_anchor(piece):
                    piece.drop_tree()
                    continue
                if first == "h":
                    _write_whole(piece, text)
        if is_apart or is_set or is_link:
            outer, previous = piece, piece.getprevious()
            before = "" if previous is None else previous.tail or ""
            if previous is None:
                if is_apart or is_set:
                    outer, before = _outer_and_before(piece)
            elif not before:
                if is_link and previous.tag == "a":
                    if not text[:1].islower() or piece.get("href") != previous.get("href"):
                        previous.tail = " "
                    continue
                before = _last_text(previous)
            if (is_apart and before[-1:].isalnum()) or (
                is_set and _is_another(outer, before, text) and not _is_in_code(piece)
            ):
                piece.text = " " + text
        if tail and tail[0].isupper() and tail[1:2].islower():
            last = _last_text(piece)
            if (" " in last.strip() and last[-1:].isalnum()) or (
                tag in _SET_BY_STYLE and last[-1:] in _STOPS and not _is_in_code(piece)
            ):
                piece.tail = " " + tail


def _outer_and_before(piece: HtmlElement) -> tuple[HtmlElement, str]:
    """The outermost inline element that begins with a piece, and the text to which it is glued."""
    outer = piece
    while (previous := outer.getprevious()) is None:
        around = outer.getparent()
        if around is None or around.text or around.tag not in _INLINE:
            return outer, (around.text if around is not None else "") or ""
        outer = around
    return outer, previous.tail or _last_text(previous)


def _is_another(piece: HtmlElement, before: str, text: str) -> bool:
    """Whether an inline element with a capital or a figure at its start goes on with nothing.

    It stands behind the end of a sentence, is an amount behind a figure, or stands beside another
    element; both have a class, or one is a link, or a figure meets a word.
    """
    previous = piece.getprevious()
    if not before and previous is not None and not previous.tail and previous.get("class"):
        further = previous.getprevious()  # between them a style sheet draws a picture
        return further is not None and not further.tail and _last_text(further)[-1:].isalnum()
    last = before[-1:]
    if not last or last.isspace():
        return False
    if last in _STOPS:
        return not text[0].isdigit()
    if text[0] in _CURRENCIES:
        return last.isdigit() and text[1:2].isdigit()
    if previous is None or previous.tail or previous.tag not in _INLINE:
        return False
    if last.isdigit():
        return text[0].isupper()
    if (
        len(before.strip()) < 2
        or not last.isalpha()
        or not (text[0].isupper() or text[1:2].isdigit())
    ):
        return False
    return "a" in (piece.tag, previous.tag) or bool(piece.get("class") and previous.get("class"))


def _is_anchor(link: HtmlElement) -> bool:
    """Whether a link gives the address of the heading that it stands in."""
    return (
        "#" in (link.get("href") or "") and next(link.iterancestors(*_HEADINGS), None) is not None
    )


def _write_whole(link: HtmlElement, text: str) -> None:
    """Write an address of which a link shows the two ends, or the first."""
    cut = _SHORTENED.fullmatch(text)
    href = link.get("href") or ""
    if cut and not len(link) and href.startswith(cut[1]) and href.endswith(cut[2]):
        link.text = href


def _is_in_code(piece: HtmlElement) -> bool:
    """Whether it is code by its tag, or the signature of a function as Sphinx has it."""
    if next(piece.iterancestors("code", "pre", "kbd", "samp", "tt"), None) is not None:
        return True
    return any("sig-object" in (term.get("class") or "") for term in piece.iterancestors("dt"))


def _last_text(element: HtmlElement) -> str:
    """The text that ends an element, across those inside, else ""."""
    while len(element):
        element = element[-1]
        if tail := element.tail:
            return str(tail)
    return element.text or ""
