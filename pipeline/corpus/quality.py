"""Whether a text is good enough for the corpus: limits on what is counted in it.

Each limit that a text breaks has one of three reasons, by the family of its first number. Texts of
some kinds look bad by numbers and are not: code and recipes have few function words, code and verse
repeat themselves. These kinds are told by numbers too, and excepted from the families below. Lists
want no exception: a guide in bullets has function words, a menu has none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeline.limits import Bound, read_limit
from pipeline.reasons import Drop, Reason

# From these on a text is of a kind. Of 2,074 documents of real captures 78 are code, 55 recipes.
KINDS = {
    "code": Bound("code_lines", True, 0.15),
    "recipes": Bound("measure_lines", True, 0.1),
    "verse": Bound("verse_lines", True, 0.5),
}
EXCEPTED = {
    Reason.LITTLE_PROSE: ("code", "recipes", "verse"),
    Reason.REPETITIVE: ("code", "verse"),
    Reason.ODD_WORDS: ("code",),
}
_REPETITION = ("duplicate_", "repeated_", "top_")
_WORDS = (
    *("words", "word_chars", "hashes", "ellipses", "alphabetic_words", "lorem_ipsum", "braces"),
)


@dataclass(frozen=True)
class Limit:
    """One of `bounds` must hold; `text` is the limit as its setting says it."""

    text: str
    reason: Reason
    bounds: list[Bound]


def limits_of(texts: Iterable[str]) -> list[Limit]:
    """The limits of the setting corpus.quality, which has been looked at."""
    limits = []
    for text in texts:
        bounds = read_limit(text)
        assert bounds  # refused by the settings
        limits.append(Limit(text, _family(bounds[0].name), bounds))
    return limits


def judge_quality(numbers: Mapping[str, float], limits: Iterable[Limit]) -> Drop | None:
    """The first limit that a text breaks, its numbers being those of records.QUALITY."""
    for limit in limits:
        bounds = [*limit.bounds, *(KINDS[kind] for kind in EXCEPTED[limit.reason])]
        if not any(bound.holds(numbers) for bound in bounds):
            return Drop(limit.reason, "; ".join(bound.told(numbers) for bound in limit.bounds))
    return None


def told_rules(texts: Iterable[str]) -> list[str]:
    """A sentence for each limit, as cards have it."""
    return [
        f"{limit.text}; if not, `{limit.reason}` (not {', '.join(EXCEPTED[limit.reason])})"
        for limit in limits_of(texts)
    ]


def _family(name: str) -> Reason:
    if name.startswith(_REPETITION):
        return Reason.REPETITIVE
    return Reason.ODD_WORDS if name in _WORDS else Reason.LITTLE_PROSE
