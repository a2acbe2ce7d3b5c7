"""Text that was encoded twice, or three times, read again as what it was before.

Somebody read UTF-8 as windows-1252 (or as another charset of one byte a character) and saved that
as UTF-8: `Itâ€™s`. ftfy says where that is sure. It is written for text that is likely to be
damaged, and we read whole webs, so four kinds that it calls sure are left as well. What is left is
counted: a wrong repair is worse than none.

Of 4,200 real pages 81 have some, 2,668 places in all; 101 are left.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

# The bytes 80 to BF of UTF-8, as the charsets of Latin letters read them.
_FOLLOWING = "".join(
    sorted(
        {
            bytes([byte]).decode(codec, "ignore")
            for byte in range(0x80, 0xC0)
            for codec in ("latin-1", "cp1250", "cp1252", "cp1254", "cp1257")
        }
    )
)
# What may begin there; Cyrillic, Greek and DOS readings only by their commonest pairs, which no
# language writes: every Russian word would be suspect else.
_SUSPECT = re.compile(
    f"[Â-ôĂĹĐŁŘŮā][{re.escape(_FOLLOWING)}]|вЂ|Р[°µѕё]|С‚|вќ|β€|‚Ä|√[©®°±∂†´≤≥º]|Γä|Γò|ÔÇ|├"
)
_SPACES_FOR_ASCII = b" " * 0x80 + bytes(range(0x80, 0x100))
_SEGMENT = re.compile(r"[^<>\n]+")  # text between tags, a tag with its attributes
_SURE = re.compile(f"[à-ï][{re.escape(_FOLLOWING)}]{{2}}")
# Capital letters before a sign that is meant (MAÇÃ®), a letter before its quotation mark (“ÂU Â”).
_MEANT = re.compile("[A-ZÀ-Þ]{2}Ã[©®°·»™¹²³ª]|Â[“”‘’–—…•]")
# ftfy takes 12 us a segment and 1 us a character; what is beyond these is left. Of the real pages
# none has more than 300 such segments.
_SEGMENTS_MAX = 5_000
_CHARS_MAX = 500_000
_CONTROLS = re.compile("[\x80-\x9f\ufffd]")
# Letters that come from chance pairs of signs where text in an unknown charset is read as Latin.
_ODD = re.compile(
    "[\u0180-\u019f\u01a2-\u01ae\u01b1-\u0217\u021c-\u02c5\u02c8-\u02d9]|(?<![A-Za-z])[\u0300-\u036f]"
)
_OTHER_SCRIPTS = re.compile("[\u0370-\u07ff]")
_OTHER_WORD = re.compile("[\u0370-\u07ff]{2}")


@dataclass(frozen=True, slots=True)
class Repaired:
    """The text, and how many places were repaired in it and how many were found and left."""

    text: str
    repaired: int = 0
    left: int = 0


def repair(text: str) -> Repaired:
    """Put back what was encoded twice, where that is sure; no line or tag weighs on another."""
    if text.isascii() or not _SUSPECT.search(_without_ascii(text)):
        return Repaired(text)
    counts: Counter[str] = Counter()
    fix, is_bad = _ftfy()

    def mended(found: re.Match[str]) -> str:
        before = found[0]
        if before.isascii() or not (places := len(_SUSPECT.findall(before))):
            return before
        counts.update(segments=1, chars=len(before))
        if counts["segments"] > _SEGMENTS_MAX or counts["chars"] > _CHARS_MAX:
            counts.update(left=places)
            return before
        if (after := fix(before)) != before and _is_sure(before, after):
            left = len(_SUSPECT.findall(after)) if is_bad(after) else 0
            counts.update(repaired=max(1, places - left), left=left)
            return after
        counts.update(left=places if is_bad(before) else 0)
        return before

    repaired = _SEGMENT.sub(mended, text)
    return Repaired(repaired, counts["repaired"], counts["left"])


@cache
def _ftfy() -> tuple[Callable[[str], str], Callable[[str], bool]]:
    """What repairs a segment, and what tells a bad one; imported where a page needs it: 35 ms.

    Only whole characters are put back. Spaces that were no-break spaces, sequences that lost a byte
    and C1 control characters (charset.py reads those) would be guesses.
    """
    from ftfy import TextFixerConfig, fix_encoding
    from ftfy.badness import is_bad

    config = TextFixerConfig(
        restore_byte_a0=False, replace_lossy_sequences=False, fix_c1_controls=False, explain=False
    )
    return partial(fix_encoding, config=config), is_bad


def _without_ascii(text: str) -> str:
    """The runs of all other characters, a space between: 0.1 ms a page, a search in all 1 ms."""
    runs = text.encode("utf-8", "surrogatepass").translate(_SPACES_FOR_ASCII).split()
    return b" ".join(runs).decode("utf-8", "surrogatepass")


def _is_sure(before: str, after: str) -> bool:
    if _MEANT.search(before) and not _SURE.search(before):
        return False
    new = "".join((Counter(after) - Counter(before)).elements())
    if _CONTROLS.search(new) or (_ODD.search(after) and not _ODD.search(before)):
        return False
    # Lone Hebrew or Cyrillic letters in a Latin text are each two signs that met (±5 ×²).
    return not _OTHER_SCRIPTS.search(new) or bool(_OTHER_WORD.search(after))
