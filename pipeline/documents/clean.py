"""Text as people read it: no invisible characters, one kind of space, one form of each letter.

Nothing that can be seen is taken away, and cleaning a clean text changes nothing.
"""

import re
import unicodedata

# Control characters, soft hyphen, zero-width space, word joiner and invisible operators,
# deprecated format characters, byte order mark, annotation marks, noncharacters, lone surrogates.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060-\u2064\u206a-\u206f\ufeff"
    "\ufff9-\ufffc\ufffe\uffff\ud800-\udfff]"
)
# Joiners shape Persian and Indic words and build emoji; after anything else they do nothing.
_JOINERS = re.compile("(?<![\u0590-\U0010ffff])[\u200c\u200d]+")
_LINE_END = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SPACE_OR_LINE_END = re.compile(f"{_SPACE.pattern}|{_LINE_END.pattern}")
_BEFORE_LINE_END = re.compile(
    "(?<![ \t])[ \t]++(?=\n)"
)  # from the run's start: linear in its length
_BLANK_LINES = re.compile("\n{3,}")


def clean_text(text: str) -> str:
    """Give back the text with clean characters and spacing, in Unicode's form NFC.

    Indentation and runs of spaces within a line are kept: extractors leave them in code alone.
    At most one blank line stays between two lines.
    """
    characters = "".join(set(text))  # most texts hold nothing to clean, and this is quick to see
    if _INVISIBLE.search(characters):
        text = _INVISIBLE.sub("", text)
    if "\u200c" in characters or "\u200d" in characters:
        text = _JOINERS.sub("", text)
    text = unicodedata.normalize("NFC", text)
    if _SPACE_OR_LINE_END.search(characters):
        text = _SPACE.sub(" ", _LINE_END.sub("\n", text))
    if " \n" in text or "\t\n" in text:
        text = _BEFORE_LINE_END.sub("", text)
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip("\n").rstrip()


def clean_line(text: str) -> str:
    """Give back the text cleaned and on one line, runs of white space as one space."""
    return " ".join(clean_text(text).split())
