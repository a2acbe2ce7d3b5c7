"""Normal forms of text that take linear time, and the forms in which texts are compared.

`unicodedata.normalize` sorts a run of combining marks by insertion: a million of them take eight
minutes. So a run is broken first, as UAX #15's Stream-Safe Text Process does, and every normal form
of ours is made here. An ordinary text pays 4 ns a character to learn that it has no such run, one
in ASCII nothing.

Everything is a function of the text and of Python's Unicode tables.
"""

import re
import unicodedata
from functools import cache, lru_cache
from typing import Literal

RUN_MAX = 30  # non-starters in a row, of UAX #15's Stream-Safe Text Format
CGJ = "\u034f"  # combining grapheme joiner: a starter that is not seen and stays in normal forms
# A character is at most two non-starters, or ends with at most three: fewer make no run too long.
_CANDIDATES_MIN = (RUN_MAX + 1 - 3) // 2

# Unicode's Default_Ignorable_Code_Point: what a reader sees of them is at most their effect on
# their neighbours. Soft hyphens, zero-width spaces and joiners, marks of direction, variation
# selectors, fillers, tags. NFKC_Casefold, Unicode's own form for comparing, removes the same.
_IGNORABLE_BMP = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
)
_IGNORABLE = re.compile(
    f"[{_IGNORABLE_BMP}\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

# Compatibility mappings that change how wide a character is or how it is drawn, and no more. Not
# among them: <super>, <sub>, <fraction>, <circle>, <square> and <font>, which carry a meaning.
_SHAPES = {
    *("<wide>", "<narrow>", "<noBreak>", "<small>", "<vertical>"),
    *("<isolated>", "<initial>", "<medial>", "<final>"),
}
# Where mappings are; tests read all the others.
_MAPPED = range(0xA0, 0x20000)

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def normal_form(form: Form, text: str) -> str:
    """The text in a normal form of Unicode, with runs of marks broken as `stream_safe` does.

    Doing it again changes nothing. Without the breaks the result is the normal form of the text.
    """
    return unicodedata.normalize(form, stream_safe(text))


def stream_safe(text: str) -> str:
    """The text with U+034F wherever more than 30 non-starters would stand in a row (UAX #15).

    Non-starters are counted in NFKD. Nothing is lost, and other texts stay as they are.
    """
    if text.isascii():
        return text
    return _candidates().sub(_broken, text)


def without_ignorable(text: str) -> str:
    """The text without the characters that do not count when texts are compared."""
    return text if text.isascii() else _IGNORABLE.sub("", text)


def same_words(text: str) -> str:
    """The text in NFKC without ignorable characters."""
    if text.isascii() or not _special().search(text):
        return unicodedata.normalize("NFKC", text)
    return normal_form("NFKC", without_ignorable(text))


def same_shape(text: str) -> str:
    """What texts share that differ in ignorable characters, composition, width or shape alone.

    NFC, with the plain letters for fullwidth and halfwidth ones, ligatures and presentation forms.
    NFKC would go on and take 10⁶ for 106, ½ for 1⁄2 and ① for 1.
    """
    special, pattern, plain = _shapes()
    if text.isascii() or not special.search(text):
        return unicodedata.normalize("NFC", text)
    text = pattern.sub(lambda found: plain[found[0]], without_ignorable(text))
    return normal_form("NFC", text)


def _broken(found: re.Match[str]) -> str:
    """Candidates in a row with the breaks that they need, after what stands before them."""
    start = found.start()
    run = _ends(found.string[start - 1])[1] if start else 0
    pieces = []
    for character in found[0]:
        leading, trailing, whole = _known_ends(character)
        if run + leading > RUN_MAX:
            pieces.append(CGJ)
            run = 0
        pieces.append(character)
        run = run + trailing if whole else trailing
    return "".join(pieces)


def _ends(character: str) -> tuple[int, int, bool]:
    """Non-starters at the start and end of a character's NFKD; whether it has no others."""
    starters = [not unicodedata.combining(c) for c in unicodedata.normalize("NFKD", character)]
    if True not in starters:
        return len(starters), len(starters), True
    return starters.index(True), starters[::-1].index(True), False


_known_ends = lru_cache(4096)(_ends)  # a run repeats a few characters


@cache
def _candidates() -> re.Pattern[str]:
    """Enough characters in a row for a run to be too long: non-starters, or beyond U+FFFF."""
    # The first is spelt out, since a leading set is what `re` searches fastest.
    return re.compile(f"[{_marks()}][{_marks()}]{{{_CANDIDATES_MIN - 1},}}")


@cache
def _special() -> re.Pattern[str]:
    """A character that may be ignorable or in a long run: one search tells ordinary texts."""
    return re.compile(f"[{_IGNORABLE_BMP}{_marks()}]")


@cache
def _marks() -> str:
    """Non-starters, and all that is beyond U+FFFF: as one range, since there `re` tries each."""
    points = map(chr, range(0x300, 0x10000))
    possible = (c for c in points if unicodedata.combining(c) or unicodedata.decomposition(c))
    return re.escape("".join(c for c in possible if _ends(c)[2])) + "\U00010000-\U0010ffff"


@cache
def _shapes() -> tuple[re.Pattern[str], re.Pattern[str], dict[str, str]]:
    """What is special or a shape of others; what is a shape; and of which characters."""
    mapped = (c for c in map(chr, _MAPPED) if unicodedata.decomposition(c).startswith("<"))
    plain = {c: p for c in mapped if (p := _plain(c)) != c}
    shapes = re.escape("".join(plain))
    return re.compile(f"[{_IGNORABLE_BMP}{_marks()}{shapes}]"), re.compile(f"[{shapes}]"), plain


def _plain(character: str) -> str:
    """The characters that this one is a shape of, or itself."""
    kind, *points = unicodedata.decomposition(character).split() or ("",)
    mapped = "".join(chr(int(point, 16)) for point in points if kind.startswith("<"))
    # <compat> is a mixture: letters alone (ligatures, ſ, Ⅷ) or a space of another width are
    # shapes; "⑴", "…" and "℃" are signs of their own.
    kinds = {unicodedata.category(c)[0] for c in mapped}
    shape = kind in _SHAPES or (kind == "<compat>" and (kinds <= {"L", "M"} or kinds == {"Z"}))
    return "".join(map(_plain, mapped)) if shape else character
