"""Superscripts of a page in plain text: reference marks go, exponents get a ^, the rest joins.

"10<sup>6</sup>" is not 106, and "claimed.<sup>6</sup>" says nothing without its footnote. Of 787
superscripts in data/extraction 305 are marks of references, 197 of trademarks, 25 of ordinals.
Subscripts join what they stand at: H2O.
"""

import re

from lxml.etree import XPath
from lxml.html import HtmlElement

from pipeline.documents.written import Written

_LINKS_WITHIN = XPath(
    "descendant-or-self::a[contains(@href, '#')]"
)  # 0.1 ms a page less than a loop
_BEFORE_CHARS = 40  # of the text before a superscript are looked at
_STEPS_MAX = 8  # elements that are stepped over to find it
_EXPONENT_CHARS_MAX = 16
_REFERENCE_CLASS = re.compile(r"(?:^|[\s_-])(?:reference|footnote|fn|cite|endnote)", re.IGNORECASE)
_BRACKETED = re.compile(r"[\[(].{0,40}[\])]", re.DOTALL)
_MARK = re.compile(r"(?=.*\d)[\d\s,;–-]{1,12}|[*†‡§¶#◊^]{1,4}|[a-z](?:,\s?[a-z\d])*")
_SYMBOLS = re.compile(r"[*†‡§¶#◊^]{1,4}")
_NUMBER_OR_LETTER = re.compile(
    r"[+\-−–]?\s?\d+(?:[.,/]\d+)?|\d+[+\-−–]|[+\-−–]?[^\W\d_]"  # 6, -1, 1/2; 2+; n
)
_NEGATIVE = re.compile(r"[\-−–]\d{1,3}")  # of any unit: ms^-1
_EXPRESSION = re.compile(r"(?!.*[^\W\d_]{3})(?=.*[\d+\-−–*/])[^\W_][\w+\-−–*/=()^ ]*")
_GREEK_EXPRESSION = re.compile(r"(?=.*[α-ω])[^\W\d_]{2,3}")  # e^(iπ); of no ordinal in Greek
_LATIN = re.compile(r"(?<![^\W_])[A-Za-z]$")
_ORDINAL = re.compile(
    r"st|nd|rd|th|ths|er|ers|re|res|ère|e|es|ème|èmes|eme|nde|nds|de|te|ten|ste|o|os|a|as|ª|º|ro|to|mo",
    re.IGNORECASE,
)
# A number or a variable, a unit of measurement, or a closing bracket.
_BASE = re.compile(
    r"(?:\d|[)\]}]|(?<![^\W_])(?:[^\W\d_]|sq|[kcdmnµμ]m|ft|yd|mi|in|sec|min|mol|kg|mg|Hz|ha"
    r"|sin|cos|tan|log|ln|miles?|feet|inch(?:es)?|met(?:er|re)s?|pixels?))$"
    r"|[=+*/·]\s?[^\W\d_]{2,3}$"
)
_TRADEMARKS = {"TM": "™", "SM": "℠", "R": "®"}
_NAME = re.compile(r"[^\W\d_]{3}$")
_LONG_WORD = re.compile(r"\w{3}")
_PRICE = re.compile(r"[$€£¥]\s?\d[\d,.]*$")
_WORDS_IN_BRACKETS = re.compile(r"\([^()]*\b[^\W\d_]{3,}\s[^()]*\)$")
_NOTE = re.compile(r"^_?(?:fn|ftn|foot|note|endnote|en?dn|cite|ref)", re.IGNORECASE)
_NOTE_MARK = re.compile(r"[\[(]?(?:\d{1,3}|[*†‡§]{1,3}|[ivxl]{1,5})[\])]?")
_STOP = re.compile(r"\s?[.,;:!?)\]]")
_WORD_OR_STOP = re.compile(r"(?:[^\W\d_]{2,}|[.,;:!?…\"'”’»)\]%])$")


def mark_superscripts(tree: HtmlElement, written: Written) -> None:
    """Write each `sup` of the tree as it is read, and drop links to footnotes; code stays."""
    if written.has_notes:
        _drop_footnote_links(tree)
    if written.has("sup"):
        _write_superscripts(tree)


def _write_superscripts(tree: HtmlElement) -> None:
    # One inside another is written first: 2^(2^n).
    nested = (reversed(list(outer.iter("sup"))) for outer in tree.iter("sup") if _is_outer(outer))
    for raised in [raised for group in nested for raised in group]:
        if next(raised.iterancestors("pre", "code"), None) is not None:
            continue
        if raised.text and raised.text.strip():
            _drop_notes_inside(raised)
        text, before = " ".join("".join(raised.itertext()).split()), _text_before(raised)
        written = _write(text, before, _is_reference(raised, text, before))
        if written != text:
            _empty(raised)
            raised.text = written
            for link in raised.iterancestors("a") if not written else ():
                if not "".join(link.itertext()).strip():
                    link.tag = "span"
            if not written and _STOP.match(raised.tail or ""):
                _trim_before(raised)
        elif text.isdecimal() and not before:
            _set_apart(raised)


def _set_apart(raised: HtmlElement) -> None:
    """A space behind the number of a note that begins a line; 14C is no note."""
    following = raised.getnext()
    after = raised.tail or ("" if following is None else "".join(following.itertext()))
    if _LONG_WORD.match(after):
        raised.tail = " " + (raised.tail or "")


def _is_outer(raised: HtmlElement) -> bool:
    return next(raised.iterancestors("sup"), None) is None


def _empty(element: HtmlElement) -> None:
    """Take all away but the tail; an empty link would make its paragraph boilerplate."""
    tail = element.tail
    element.clear()
    element.tag, element.tail = "span", tail


def _drop_notes_inside(raised: HtmlElement) -> None:
    """10<sup>6<a href="#n1">[1]</a></sup>: the note is none of the exponent."""
    for link in list(raised.iter("a")):
        if "#" in (link.get("href") or ""):
            _empty(link)


def _drop_footnote_links(tree: HtmlElement) -> None:
    """Links to a note that stand behind a word and say nothing but its number."""
    for link in _LINKS_WITHIN(tree):
        if not _NOTE.search(link.get("href").rpartition("#")[2]):
            continue
        text = "".join(link.itertext()).strip()
        if _NOTE_MARK.fullmatch(text) and _text_before(link).strip():
            _empty(link)


def _write(text: str, before: str, is_reference: bool) -> str:
    """The text that stands for a superscript after `before`; "" where it goes."""
    if is_reference:
        return ""
    if _NAME.search(before) and (sign := _TRADEMARKS.get(text.upper())):
        return sign
    if _PRICE.search(before) and re.fullmatch(r"\d\d", text):
        return f".{text}"
    if before[-1:].isdigit() and _ORDINAL.fullmatch(text):
        return text
    if _NEGATIVE.fullmatch(text) and before[-1:].isalnum():
        return f"^{text}"
    if _LATIN.search(before) and _GREEK_EXPRESSION.fullmatch(text):
        return f"^({text})"
    if _BASE.search(before) and not _WORDS_IN_BRACKETS.search(before):
        if _NUMBER_OR_LETTER.fullmatch(text):
            return f"^{text.replace(' ', '')}"
        if len(text) <= _EXPONENT_CHARS_MAX and _EXPRESSION.fullmatch(text):
            return f"^({text})"
    is_mark = _MARK.fullmatch(text) and _WORD_OR_STOP.search(before)
    return "" if is_mark or (before.strip() and _SYMBOLS.fullmatch(text)) else text


def _is_reference(raised: HtmlElement, text: str, before: str) -> bool:
    """Whether the page itself says so: by a link within the page, a class, or brackets."""
    links = [*raised.iter("a"), *raised.iterancestors("a")]
    if links and before[-1:].isdigit() and not any("#" in (a.get("href") or "") for a in links):
        return False
    if any((link.get("href") or "").find("#") >= 0 for link in links):
        return True
    if _REFERENCE_CLASS.search(raised.get("class") or ""):
        return True
    if links and _MARK.fullmatch(text):
        return True
    return text[:1] == "[" and _BRACKETED.fullmatch(text) is not None


def _trim_before(raised: HtmlElement) -> None:
    """Take away the space that stood before a mark, where a full stop follows now."""
    previous, around = raised.getprevious(), raised.getparent()
    if previous is not None:
        previous.tail = previous.tail and previous.tail.rstrip()
    elif around is not None:
        around.text = around.text and around.text.rstrip()


def _text_before(element: HtmlElement) -> str:
    """The end of the text before an element, across inline elements."""
    for _ in range(_STEPS_MAX):
        previous, around = element.getprevious(), element.getparent()
        if previous is not None:
            text = previous.tail or "".join(previous.itertext())
        else:
            text = (around.text if around is not None else "") or ""
        if text:
            return text[-_BEFORE_CHARS:]
        if previous is None:
            if around is None or around.tag not in ("a", "b", "em", "font", "i", "span", "strong"):
                return ""
            element = around
        else:
            element = previous
    return ""
