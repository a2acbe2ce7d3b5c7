"""The numbers of pipeline/documents/quality.py beside datatrove's filters, on the same texts.

    PYTHON_WITH_DATATROVE -P -m tools.benchmarks.datatrove_values BUILD/documents [--texts 500]

A filter of datatrove tells no number, it keeps or drops. So each rule is asked alone, twice: with
its limit just above our number, where it must keep, and just below, where it must drop. Both sides
get the same words, sentences, signs and ends of sentences, which are ours: datatrove's own need
spaCy. What datatrove changes of lines is counted in what it leaves.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datatrove.data import Document  # type: ignore[import-not-found]
from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)

from pipeline.documents.quality import TERMINAL, is_sign, measure, sentences, words_of

NEAR = 1e-9  # by so much a limit lies beside the number
TINY = 1e-300  # datatrove takes a limit of 0 for none
Make = Callable[[float | None], Any]


class _Signs:
    """Stands for datatrove's set of punctuation: what has no letter and no digit."""

    def __contains__(self, char: str) -> bool:
        return is_sign(char)


def _gopher(name: str) -> Make:
    off = dict.fromkeys(
        ("min_doc_words", "max_doc_words", "min_avg_word_length", "max_avg_word_length",
         "max_symbol_word_ratio", "max_bullet_lines_ratio", "max_ellipsis_lines_ratio",
         "max_non_alpha_words_ratio", "min_stop_words")
    )  # fmt: skip
    return lambda limit: GopherQualityFilter(**{**off, name: limit})


def _repetition(name: str, n: int = 0) -> Make:
    off: dict[str, Any] = dict.fromkeys(
        ("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac")
    )
    off |= {"top_n_grams": (), "dup_n_grams": ()}
    return lambda limit: GopherRepetitionFilter(**{**off, name: ((n, limit),) if n else limit})


def _fineweb(name: str) -> Make:
    off = {"line_punct_thr": -1, "short_line_thr": 9, "char_duplicates_ratio": 9,
           "new_line_ratio": 1e9, "stop_chars": TERMINAL}  # fmt: skip
    return lambda limit: FineWebQualityFilter(**{**off, name: limit})


def _c4(**on: Any) -> C4QualityFilter:
    off = {"filter_no_terminal_punct": False, "min_num_sentences": -1, "min_words_per_line": -1,
           "max_word_length": -1, "filter_lorem_ipsum": False, "filter_javascript": False,
           "filter_curly_bracket": False, "filter_policy": False}  # fmt: skip
    return C4QualityFilter(**{**off, **on})


MOST: dict[str, Make] = {  # datatrove drops above the limit
    "hashes": _gopher("max_symbol_word_ratio"),
    "word_chars": _gopher("max_avg_word_length"),
    "words": _gopher("max_doc_words"),
    "bullet_lines": _gopher("max_bullet_lines_ratio"),
    "ellipsis_lines": _gopher("max_ellipsis_lines_ratio"),
    "short_lines": _fineweb("short_line_thr"),
    "newlines": _fineweb("new_line_ratio"),
    "repeated_line_chars": _fineweb("char_duplicates_ratio"),
    "duplicate_paragraphs": _repetition("dup_para_frac"),
    "duplicate_paragraph_chars": _repetition("dup_para_char_frac"),
    "duplicate_lines": _repetition("dup_line_frac"),
    "duplicate_line_chars": _repetition("dup_line_char_frac"),
    **{f"top_{n}_grams": _repetition("top_n_grams", n) for n in (2, 3, 4)},
    **{f"duplicate_{n}_grams": _repetition("dup_n_grams", n) for n in range(5, 11)},
}
LEAST: dict[str, Make] = {  # datatrove drops below it
    "alphabetic_words": _gopher("max_non_alpha_words_ratio"),
    "stop_words": _gopher("min_stop_words"),
    "punctuated_lines": _fineweb("line_punct_thr"),
    "sentences": lambda limit: _c4(
        min_num_sentences=limit, min_words_per_line=3, max_word_length=1000,
        filter_javascript=True, filter_policy=True,
    ),
}  # fmt: skip
LINES: dict[str, dict[str, Any]] = {  # C4 drops such lines
    "ended_lines": {"filter_no_terminal_punct": True},
    "few_words_lines": {"min_words_per_line": 3},
    # A line that is a citation alone would be gone before.
    "javascript_lines": {"filter_javascript": True, "remove_citations": False},
    "policy_lines": {"filter_policy": True, "remove_citations": False},
}
SAID = {
    "lorem_ipsum": {"filter_lorem_ipsum": True},
    "braces": {"filter_curly_bracket": True},
}


def use_our_words() -> None:
    """Give datatrove our words, sentences and signs."""
    for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
        module.split_into_words = lambda text, language: words_of(text)
    c4_filters.split_into_sentences = lambda line, language: range(sentences(line))
    gopher_quality_filter.PUNCTUATION_SET = _Signs()


def disagreements(text: str) -> Iterator[str]:
    """The names of numbers on which datatrove decides otherwise. Ellipses hide behind hashes."""
    numbers = measure(text)
    both = max(numbers["hashes"], numbers["ellipses"])
    for rules, above in ((MOST, 1), (LEAST, -1)):
        for name, make in rules.items():
            number = both if name == "hashes" else numbers[name]
            kept = number * (1 + above * NEAR) + above * TINY
            dropped = number * (1 - above * NEAR) - above * TINY
            if not _keeps(make(kept), text) or (number and _keeps(make(dropped), text)):
                yield name
    shown = sum(1 for line in text.split("\n") if line.strip())
    for name, on in LINES.items():
        document = Document(text=text, id="")
        _c4(**on).filter(document)
        left = sum(1 for line in document.text.split("\n") if line.strip())
        share = (left if name == "ended_lines" else shown - left) / shown
        if abs(share - numbers[name]) > NEAR:
            yield name
    for name, on in SAID.items():
        if _keeps(_c4(**on), text) == bool(numbers[name]):
            yield name


def _keeps(rule: Any, text: str) -> bool:
    verdict = rule.filter(Document(text=text, id=""))
    return (verdict[0] if isinstance(verdict, tuple) else verdict) is True


def main() -> None:
    """Print how many texts disagree on each number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("documents", type=Path, help="folder of Parquet files with a column text")
    parser.add_argument("--texts", type=int, default=500)
    options = parser.parse_args()
    use_our_words()
    wrong: Counter[str] = Counter()
    n = 0
    for path in sorted(options.documents.glob("*.parquet")):
        for text in pq.read_table(path, columns=["text"])["text"].to_pylist():
            if n < options.texts and any(not is_sign(word) for word in words_of(text)):
                n += 1
                wrong.update(disagreements(text))
    for name in (*MOST, *LEAST, *LINES, *SAID):
        print(f"{name:28}{wrong[name]:6} of {n} texts disagree")


if __name__ == "__main__":
    main()
