"""Text as people read it: no invisible characters, one kind of space, one form of each letter.

Nothing that can be seen is taken away, and cleaning a clean text changes nothing.
"""

import re

from pipeline.characters import normal_form

# Control characters, soft hyphen, zero-width space, word joiner and invisible operators,
# deprecated format characters, byte order mark, annotation marks, noncharacters, lone surrogates,
# and private use: the icons of a font that the page brings along.
_INVISIBLE = (
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060-\u2064\u206a-\u206f\ufeff"
    "\ufff9-\ufffc\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff\ue000-\uf8ff]"
)
_ANY_INVISIBLE = re.compile(_INVISIBLE)
# With the one space that stands behind it at the start of a line; several are an indentation.
_WITH_SPACE = re.compile(f"^{_INVISIBLE}+ (?! )|{_INVISIBLE}+", re.MULTILINE)
# Marks of direction do nothing in a text that runs from left to right throughout: one without
# letters of the other direction and without a mark that turns it.
_LEFT_TO_RIGHT = re.compile("[\u200e\u202a\u202c\u2066\u2068\u2069]")
_TURNED = re.compile(
    "[\u0590-\u08ff\u200f\u202b\u202d\u202e\u2067\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefe"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
# Characters that act on the one before them, and do nothing elsewhere. Joiners shape Persian and
# Indic words and build emoji; tags spell the region of a flag (and hide messages elsewhere); a
# vowel separator and its kin shape Mongolian; of several variation selectors the first counts.
_CONTEXT = re.compile("[\u180b-\u180f\u200c\u200d\ufe00-\ufe0f\U000e0000-\U000e0fff]")
_TAGS = re.compile("(?<![\U0001f3f4\U000e0000-\U000e007f])[\U000e0000-\U000e007f]+")
_MONGOLIAN = re.compile("(?<![\u1800-\u18af])[\u180b-\u180f]+")
_JOINERS = re.compile("(?<![\u0590-\U0010ffff])[\u200c\u200d]+")
_SELECTOR = "[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
_SELECTORS = re.compile(f"(?<={_SELECTOR}){_SELECTOR}+")
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SPACE_OR_LINE_END = re.compile(f"{_SPACE.pattern}|{_LINE_END.pattern}")
_BEFORE_LINE_END = re.compile(
    "(?<![ \t])[ \t]++(?=\n)"
)  # from the run's start: linear in its length
_BLANK_LINES = re.compile("\n{3,}")
# ASCII that is never cleaned by itself.
_PLAIN = bytes([*b"\t\n", *range(0x20, 0x7F)])


def clean_text(text: str) -> str:
    """Give back the text with clean characters and spacing, in Unicode's form NFC.

    Indentation and runs of spaces within a line are kept: extractors leave them in code alone.
    At most one blank line stays between two lines.
    """
    # Most texts hold nothing to clean, and this is quick to see.
    others = text.encode("utf-8", "surrogatepass").translate(None, _PLAIN)
    characters = "".join(set(others.decode("utf-8", "surrogatepass")))
    if _ANY_INVISIBLE.search(characters):
        text = _WITH_SPACE.sub("", text)
    if _LEFT_TO_RIGHT.search(characters) and not _TURNED.search(characters):
        text = _LEFT_TO_RIGHT.sub("", text)
    text = normal_form("NFC", text)
    if _CONTEXT.search(characters):
        text = _without_idle(text)
    if _SPACE_OR_LINE_END.search(characters):
        text = _SPACE.sub(" ", _LINE_END.sub("\n", text))
    if " \n" in text or "\t\n" in text:
        text = _BEFORE_LINE_END.sub("", text)
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip("\n").rstrip()


def _without_idle(text: str) -> str:
    """A text in NFC without characters that have nothing before them to act on."""
    while True:  # what goes may bring others beside, or let marks compose
        before = text
        for pattern in (_TAGS, _MONGOLIAN, _JOINERS, _SELECTORS):
            text = pattern.sub("", text)
        if text == before:
            return text
        text = normal_form("NFC", text)


def clean_line(text: str) -> str:
    """Give back the text cleaned and on one line, runs of white space as one space."""
    return " ".join(clean_text(text).split())
