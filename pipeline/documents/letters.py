"""Which charset bytes are in, told by the letters that they give; what is declared plays no part.

In the right charset the bytes above 127 are letters of one language, and signs beside words. In a
wrong one signs stand within words (`S±siad`), capitals behind small letters (`mŸssen`), and letters
that no language has together. Counted is each such byte with its two neighbours, once for all
charsets, so that the time hardly depends on how many are tried: 1 ms for 1,500 bytes of German.

In scripts other than Latin a wrong charset gives letters too, but rare ones: there the share of the
language's commonest letters counts, and in Chinese and Korean that of the commoner characters,
which the standards have put first (rows 16 to 55 of GB 2312, A440 to C67E of Big5).

Tuned on tests/sentences.py. Of 343 single sentences in 28 charsets 336 are read right, of texts of
four sentences all; charset-normalizer with py3langid had 186, and half.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from pipeline.documents.labels import CODEC_OF_NAME
from pipeline.documents.language import classify

LAST_RESORT = "windows-1252"
FIT_MIN = 0.5  # below it nothing fits, and the last resort is as good
SURE_HIGH_MIN, SURE_FIT_MIN = 20, 0.9  # bytes above 127 that tell a charset, and how well it fits
NEARLY = 0.15  # where the fits differ by less, the language of the whole text decides
FEW_BYTES = 2  # above 127 tell nothing: there the language counts for more
LATIN_SHARE_MAX = 0.3  # of bytes above 127 in words that have some
KANA_SHARE_MIN = 0.1  # Japanese is half kana; other text read as Japanese has hardly any
WIDE_FIT_MIN = 0.8  # of charsets of two bytes a character; other texts read so have 0.7 at most
WIDE_CHARS_FEW = 3  # may as well be accented Latin letters
COMMON_SHARE = 0.5  # of a text's letters its language's common ones; 0.45 at most in other texts
CAPITALS_WEIGHT = 0.8  # of a capital behind a capital: words of capitals are the rarer reading

# The letters beyond a to z that a language's texts have, and the charsets of these languages.
_BEYOND_A_TO_Z = {
    "en": "éèïëçñôöêâ",
    "de": "äöüßé",
    "fr": "àâæçéèêëîïôœùûüÿ",
    "es": "áéíñóúüºª",
    "pt": "ãáàâçéêíóôõúüºª",
    "it": "àèéìíîòóùúºª",
    "nl": "éëèïöüóáêûçä",
    "sv": "åäöéüà",
    "da": "æøåéö",
    "fi": "äöåšžé",
    "is": "áðéíóúýþæö",
    "ca": "àçéèíïóòúü",
    "pl": "ąćęłńóśźż",
    "cs": "áčďéěíňóřšťúůýž",
    "sk": "áäčďéíĺľňóôŕšťúýž",
    "hu": "áéíóöőúüű",
    "hr": "čćđšž",
    "ro": "ăâîşţ",
    "sq": "ëç",
    "tr": "çğıöşüâîû\u0307",  # İ is a small i with a dot above
    "lt": "ąčęėįšųūž",
    "lv": "āčēģīķļņšūž",
    "et": "äöõüšž",
    "vi": "ăâđêôơưáàéèíóúùýãõ\u0300\u0301\u0303\u0309\u0323",
}
_ALIKE = {
    **dict.fromkeys(("sl", "bs", "sr"), "hr"),
    **dict.fromkeys(("no", "nb", "nn"), "da"),
    "gl": "pt",
    "az": "tr",
}
_WEST = tuple("en de fr es pt it nl sv da fi is ca".split())
_EAST = tuple("pl cs sk hu hr ro sq".split())
_LATIN = {  # in the order in which one is taken where several fit alike
    "windows-1252": _WEST,
    "windows-1250": _EAST,
    "iso-8859-2": _EAST,
    "windows-1254": ("tr",),
    "windows-1257": ("lt", "lv", "et"),
    "windows-1258": ("vi",),
    "iso-8859-15": ("fr", "fi"),
    "macintosh": _WEST,
    "cp850": _WEST,
    "cp852": _EAST,
}


class _Script(NamedTuple):
    letters: str
    common: str


def _range(first: str, last: str) -> str:
    return "".join(map(chr, range(ord(first), ord(last) + 1)))


_RUSSIAN = _range("а", "я") + "ё"
_SCRIPTS = {
    "ru": _Script(_RUSSIAN, "оеаинтсрвл"),
    "uk": _Script(_RUSSIAN + "іїєґўјљњћђџѓќѕ", "оаниівтерс"),
    "el": _Script(_range("α", "ω") + "άέήίόύώϊϋΐΰ", "αοιετσνηυρκπ"),
    "he": _Script(_range("\u05b0", "\u05ea"), "יוהלארבתמש"),
    "ar": _Script(_range("\u0621", "\u0652") + "پچژگک", "اليمونرتبه"),
    "th": _Script(_range("\u0e01", "\u0e5b"), "านรกอเงมยลว่้ัี"),
}
_OTHER_SCRIPTS = {
    "windows-1251": ("ru", "uk"),
    "koi8-r": ("ru",),
    "koi8-u": ("uk",),
    "ibm866": ("ru",),
    "iso-8859-5": ("ru", "uk"),
    "x-mac-cyrillic": ("ru", "uk"),
    "windows-1253": ("el",),
    "iso-8859-7": ("el",),
    "windows-1255": ("he",),
    "iso-8859-8": ("he",),
    "windows-1256": ("ar",),
    "iso-8859-6": ("ar",),
    "windows-874": ("th",),
}
_LANGUAGES = _LATIN | _OTHER_SCRIPTS
# Charsets of DOS and old Macintoshes: texts may have them, no page does.
_OLD = frozenset({"cp850", "cp852", "macintosh", "x-mac-cyrillic"})

_KANA = re.compile("[\u3041-\u30fe]")
# What is common in text of two bytes a character.
_JAPANESE = re.compile("[\u3000-\u30fe\u4e00-\u9fff\uff01-\uff5e\u2010-\u2026]")
_FIRST_HALF = {  # by the first byte
    "euc-kr": range(0xB0, 0xC9),
    "gbk": range(0xB0, 0xD8),
    "big5": range(0xA4, 0xC7),
}
_WIDE_SIGNS = range(0xA1, 0xA4)
_SECOND_MIN = 0xA1  # lower ones are later additions; Big5 always had some
_WIDE = ("shift_jis", "euc-jp", "euc-kr", "gbk", "big5")

# Where signs stand: before a word, behind one, within one, by themselves.
_BEFORE = frozenset("\xa0«»‹›“”„‘’‚…–—•·´\xad€£©¿¡№")
_BEHIND = frozenset("\xa0«»‹›“”‘’…–—•·´\xad€£©®™°¹²³†‡")
_WITHIN = frozenset("’‘´·\xad–—")
_ALONE = _BEFORE | _BEHIND | frozenset("§±¶×½¼¾¥¢−÷")
_SIGNS = {  # by whether a letter stands on the left, and on the right
    (False, False): _ALONE,
    (False, True): _BEFORE,
    (True, False): _BEHIND,
    (True, True): _WITHIN,
}
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
Around = Counter[tuple[int, int, int]]  # bytes above 127, each between its neighbours


@dataclass(frozen=True, slots=True)
class Guess:
    """A charset, and how well the text reads in it: the share, 0 to 1, of what is as it should."""

    name: str
    fit: float
    is_sure: bool


def codec_of(name: str) -> str:
    """Python's codec for the name of a charset; those of DOS are called by their codecs."""
    return CODEC_OF_NAME.get(name, name)


def guess(sample: bytes, *, old: bool = False) -> Guess:
    """The charset in which these bytes read best; windows-1252 where they fit in none.

    UTF-8 and what else is told by its bytes is not among them. With `old` also charsets that no
    page has. Charsets in which the sample reads alike are one as good as the other.
    """
    fits = _fits(sample, old=old)
    best = max(fits, key=lambda name: fits[name])
    if best in _LATIN:
        best = _by_language(sample, fits)
    if fits[best] < FIT_MIN:
        return Guess(LAST_RESORT, fits[best], is_sure=False)
    high = sum(byte > 0x7F for byte in sample)
    return Guess(best, fits[best], is_sure=high >= SURE_HIGH_MIN and fits[best] >= SURE_FIT_MIN)


def fit_of(text: bytes, name: str) -> float:
    """How well the bytes read in this charset, as in a Guess; 1 where none is above 127."""
    if text.isascii():
        return 1.0
    return _wide_fit(text, name) if name in _WIDE else _fit(_around(text), name)


def _fits(sample: bytes, *, old: bool) -> dict[str, float]:
    words = _WORD.findall(sample)
    high = sum(byte > 0x7F for word in words for byte in word)
    names = list(_LATIN)
    fits = {}
    if high > LATIN_SHARE_MAX * sum(map(len, words)):
        names += _OTHER_SCRIPTS
        wide = _WIDE if high > 2 * WIDE_CHARS_FEW else ()
        fits = {name: fit for name in wide if (fit := _wide_fit(sample, name)) > WIDE_FIT_MIN}
    around, old = _around(sample), old and high > 1
    return fits | {name: _fit(around, name) for name in names if old or name not in _OLD}


def _by_language(sample: bytes, fits: dict[str, float]) -> str:
    """Of the Latin charsets that fit nearly best, that in which the text is in its language."""
    read_as = cache(classify)  # many read alike
    weight = NEARLY if sum(byte > 0x7F for byte in sample) > FEW_BYTES else 2
    scores = {}
    for name in fits:
        if name in _LATIN and fits[name] >= max(fits.values()) - weight:
            language, score = read_as(sample.decode(codec_of(name), "replace"))
            scores[name] = fits[name] + weight * score * _is_of(language, name)
    return max(scores, key=lambda name: scores[name])


def is_in_its_language(text: bytes, name: str) -> bool:
    """Whether the text, read in this charset, is in a language that is written in it."""
    if name not in _LATIN:
        return True  # the letters say so
    return _is_of(classify(text.decode(codec_of(name), "replace"))[0], name)


def _is_of(language: str, name: str) -> bool:
    return _ALIKE.get(language, language) in _LATIN[name]


def _around(sample: bytes) -> Around:
    """A space stands before the first byte and behind the last."""
    every = zip(b" " + sample, sample, sample[1:] + b" ", strict=False)
    return Counter(each for each in every if each[1] > 0x7F)


class _Char(NamedTuple):
    """What a byte is in a charset. `letter` is a small one, `sign` a sign of texts, or ""."""

    letter: str
    sign: str
    is_capital: bool
    is_small: bool


@cache
def _chars(name: str) -> list[_Char]:
    """What each byte is; marks of a script's letters are letters."""
    every = [bytes([byte]).decode(codec_of(name), "replace") for byte in range(256)]
    own = set("".join(map(_letters_of, _LANGUAGES[name])))
    return [
        _Char(
            char.lower() if char.isalpha() or char in own else "",
            char if char in _ALONE else "",
            char.isupper(),
            char.islower(),
        )
        for char in every
    ]


def _letters_of(language: str) -> str:
    return _SCRIPTS[language].letters if language in _SCRIPTS else _BEYOND_A_TO_Z[language]


def _fit(around: Around, name: str) -> float:
    """The share of bytes above 127 that are as they should be, in the language that has most."""
    chars = _chars(name)
    letters: dict[str, float] = defaultdict(float)
    signs = 0
    for (before, byte, after), count in around.items():
        left, here, right = chars[before], chars[byte], chars[after]
        if here.sign in _SIGNS[bool(left.letter), bool(right.letter)]:
            signs += count
        elif here.letter and not (here.is_capital and left.is_small):
            mixed = (before < 0x80 and left.letter) or (after < 0x80 and right.letter)
            if not (mixed and name in _OTHER_SCRIPTS):  # no word has letters of two scripts
                weight = CAPITALS_WEIGHT if here.is_capital and left.is_capital else 1
                letters[here.letter] += count * weight
    fitting = max(_fitting(letters, language) for language in _LANGUAGES[name])
    return (fitting + signs) / max(1, around.total())


def _fitting(letters: dict[str, float], language: str) -> float:
    own = sum(letters.get(letter[0], 0) for letter in _letters_of(language))
    if language not in _SCRIPTS:
        return own
    common = sum(letters.get(letter, 0) for letter in _SCRIPTS[language].common)
    return min(own, common / COMMON_SHARE)


def _wide_fit(sample: bytes, name: str) -> float:
    """The share of characters that are common in the language; the last may have been cut."""
    wide = [char for char in sample.decode(codec_of(name), "replace") if char > "\x7f"]
    if not wide:
        return 0.0
    if name in _FIRST_HALF:
        common = sum(count for char, count in Counter(wide).items() if _is_common(char, name))
        return common / len(wide)
    text = "".join(wide)
    if len(_KANA.findall(text)) <= KANA_SHARE_MIN * len(wide):
        return 0.0
    return len(_JAPANESE.findall(text)) / len(wide)


def _is_common(char: str, name: str) -> bool:
    first, second = (char.encode(codec_of(name), "replace") + b" ")[:2]
    known = first in _FIRST_HALF[name] or first in _WIDE_SIGNS
    return known and (second >= _SECOND_MIN or name == "big5")
