"""The language of a text, by py3langid: pure Python, its model inside, no download."""

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


def _sample(text: str, chars: int) -> str:
    if len(text) <= chars:
        return text
    piece = chars // 3
    starts = (len(text) * quarter // 4 - piece // 2 for quarter in (1, 2, 3))
    return " ".join(text[max(0, start) : start + piece] for start in starts)


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # numpy: slow to import

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
