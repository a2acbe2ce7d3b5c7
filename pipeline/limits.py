"""What is counted in a text to judge it, by name, and limits on these numbers as settings say them.

The numbers are columns of documents and corpus (records.QUALITY); documents/quality.py counts them
and says what a word and a line is. Shares are from 0 to 1: those of lines are of lines that are not
blank, but for Gopher's two; those of characters are of the text's.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

NUMBERS = (
    "words",  # with a letter or digit (Gopher)
    "word_chars",  # mean length of these (Gopher)
    "hashes",  # "#" by words and signs (Gopher)
    "ellipses",  # "..." and "…" by words and signs (Gopher)
    "alphabetic_words",  # share of words and signs with a letter (Gopher)
    "function_words",  # share of words such as the, of, it (ours)
    "stop_words",  # how many of eight there are: the be to of and that have with (Gopher)
    "bullet_lines",  # share that begins with a bullet or hyphen, of all lines (Gopher)
    "ellipsis_lines",  # share that ends with an ellipsis, of all lines (Gopher)
    "punctuated_lines",  # share that ends as a sentence does (FineWeb)
    "short_lines",  # share of at most 30 characters (FineWeb)
    "newlines",  # by words and signs: the list ratio (FineWeb)
    "ended_lines",  # share that ends as a sentence or a quotation does (C4)
    "few_words_lines",  # share of under 3 words (C4)
    "javascript_lines",  # share that speaks of JavaScript (C4)
    "policy_lines",  # share that speaks of cookies, terms of use or privacy (C4)
    "sentences",  # in lines of 3 words and more that speak of neither (C4)
    "lorem_ipsum",  # how often the text says it (C4)
    "braces",  # how many "{" (C4)
    "code_lines",  # share that looks like code (ours)
    "measure_lines",  # share that begins with a measure, as in a recipe (ours)
    "verse_lines",  # share of short lines that are said, at least four in a row (ours)
    "duplicate_paragraphs",  # share that stood before (Gopher)
    "duplicate_paragraph_chars",  # share of characters in these (Gopher)
    "duplicate_lines",  # share that stood before (Gopher)
    "duplicate_line_chars",  # share of characters in these (Gopher)
    "repeated_line_chars",  # the same, of the characters of lines (FineWeb)
    # Share of characters in the commonest 2, 3, 4 words in a row (Gopher).
    *("top_2_grams", "top_3_grams", "top_4_grams"),
    # Share of characters in 5 to 10 words in a row that stood before (Gopher).
    *("duplicate_5_grams", "duplicate_6_grams", "duplicate_7_grams"),
    *("duplicate_8_grams", "duplicate_9_grams", "duplicate_10_grams"),
)
_LIMIT = re.compile(r"\s*(\w+)\s*(>=|<=)\s*(\d+(?:\.\d+)?)\s*")
DIGITS = 6  # of a number, after the point, that count beside a limit
WANTED = (
    'limits such as "function_words >= 0.12" or "word_chars <= 10", joined by "or" where one of '
    "several is enough"
)


class Bound(NamedTuple):
    """A number, and what it must be: at least (`is_least`) or at most the limit."""

    name: str
    is_least: bool
    limit: float

    def holds(self, numbers: Mapping[str, float]) -> bool:
        """Whether a text's numbers, which are stored in 32 bits, keep to it."""
        number = round(numbers[self.name], DIGITS)
        return number >= self.limit if self.is_least else number <= self.limit

    def told(self, numbers: Mapping[str, float]) -> str:
        """ "function_words 0.041, at least 0.12"."""
        bound = "at least" if self.is_least else "at most"
        return f"{self.name} {numbers[self.name]:.4g}, {bound} {self.limit:g}"


def read_limit(text: str) -> list[Bound] | None:
    """The bounds of a limit, one of which must hold; None if it is none, or names no number."""
    bounds = []
    for part in text.split(" or "):
        found = _LIMIT.fullmatch(part)
        if not found or found[1] not in NUMBERS:
            return None
        bounds.append(Bound(found[1], found[2] == ">=", float(found[3])))
    return bounds
