"""The language of a text, by py3langid: pure Python, its model inside, no download."""

from array import array
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from pipeline.reasons import Drop, Reason

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# A little text tells the language of nine pages in ten (1 ms for 1,000 characters); where it leaves
# a doubt, more is read. The pieces come from the first, second and third quarter's end: pages begin
# with menus and with abstracts in other languages.
SAMPLE_CHARS = 600
LONGER_SAMPLE_CHARS = 3000
SURE_SCORE = 0.9
# Another language is looked for in windows over the whole text; a classifier is asked of those that
# are not English at first sight, and believed if it is sure: it takes lists of names for anything.
WINDOW_CHARS = 300
WINDOWS_MAX = 24
WINDOW_SCORE = 0.99
LETTERS_MIN = 0.6  # of a window's characters
ENGLISH_WORDS_MIN = 4  # different ones
_ENGLISH = frozenset(
    "a an and are as at be but by for from had has have he his i if in is it its not of on or that "
    "the their they this to was we were which will with you your".split()
)
_NO_LANGUAGE = "zxx"  # ISO 639: no linguistic content


def classify(text: str) -> tuple[str, float]:
    """Name the likeliest language (ISO 639) of some pieces of the text, and its probability.

    The probability is over the model's 140 languages, rounded to 4 decimals.
    """
    language, probability = _identifier().classify(_sample(text, SAMPLE_CHARS))
    if probability < SURE_SCORE and len(text) > SAMPLE_CHARS:
        language, probability = _identifier().classify(_sample(text, LONGER_SAMPLE_CHARS))
    return language, round(probability, 4)


def judge_language(
    text: str, languages: tuple[str, ...], score_min: float
) -> tuple[str, float] | Drop:
    """Give back the language and its probability, or why the text is not wanted.

    No `languages` means all are wanted, and then a text whose language is unsure is kept with
    language "". Drops: LANGUAGE_UNSURE below `score_min`, OTHER_LANGUAGE.
    """
    language, score = classify(text)
    if score < score_min:
        if languages:
            return Drop(Reason.LANGUAGE_UNSURE, f"{language} {score}")
        return "", score
    if languages and language not in languages:
        return Drop(Reason.OTHER_LANGUAGE, f"{language} {score}")
    return language, score


def second_language(text: str, language: str) -> tuple[str, float]:
    """The commonest language besides `language`, and the share of the text's windows in it.

    ("", 0.0) where there is none, or the text is too short to tell. The share has 4 decimals.
    """
    windows = min(WINDOWS_MAX, len(text) // WINDOW_CHARS)
    if windows < 2:
        return "", 0.0
    step = (len(text) - WINDOW_CHARS) / (windows - 1)
    starts = (int(number * step) for number in range(windows))
    found = Counter(_told(text[start : start + WINDOW_CHARS], language) for start in starts)
    del found[language]
    if not found:
        return "", 0.0
    other, count = min(found.items(), key=lambda item: (-item[1], item[0]))
    return other, round(count / windows, 4)


def _told(window: str, language: str) -> str:
    """The language of a window; `language` where no other is sure."""
    if language == "en" and len(_ENGLISH.intersection(window.lower().split())) >= ENGLISH_WORDS_MIN:
        return language
    if sum(map(str.isalpha, window)) < LETTERS_MIN * len(window):
        return language
    other, probability = _identifier().classify(window)
    is_sure = probability >= WINDOW_SCORE and other != _NO_LANGUAGE
    return other if is_sure else language


def _sample(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    piece = chars // 3
    starts = (len(text) * quarter // 4 - piece // 2 for quarter in (1, 2, 3))
    return " ".join(text[max(0, start) : start + piece] for start in starts)


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # numpy: slow to import

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # 200,000 numbers as objects take 8 MB, of which each worker makes its copy as it counts
    # references, and a fifth of the time.
    for name in ("tk_output", "_rowbase"):
        setattr(identifier, name, array("i", getattr(identifier, name)))
    return identifier
