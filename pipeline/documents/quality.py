r"""What is counted in a text to judge it: the numbers of the rules of C4, Gopher and FineWeb.

Only numbers: which of them drop a text is a setting of the corpus (pipeline/corpus/quality.py), so
another limit extracts no page again. The rules are those of C4 (https://arxiv.org/abs/1910.10683,
section 2.2), Gopher (https://arxiv.org/abs/2112.11446, tables A1 and the text before it) and
FineWeb (https://arxiv.org/abs/2406.17557, section 3.6). Where a paper leaves open what is counted,
the numbers are those of datatrove 0.10, which FineWeb used: tools/benchmarks/datatrove_values.py
compares each of them.

A word is a run of `\w`, joined by apostrophes, or one other sign; datatrove asks spaCy instead.

Four numbers are ours. Function words tell prose from menus and tables where punctuation does not;
lines of code, measures and verse tell the texts that those rules take for bad ones.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.walls import FUNCTION_WORDS

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
_WORD = re.compile(r"\w++(?:['’]\w++)*+|[^\w\s]")
STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})  # Gopher's
# What ends a sentence, in the scripts that are met on the web. C4 knows quotation marks too.
TERMINAL = tuple(".!?‼‽⁇⁈⁉。．｡！？؟۔।॥։።፧၊။។")
C4_TERMINAL = (".", "?", "!", '"', "'")
C4_LINE_WORDS_MIN = 3
C4_WORD_CHARS_MAX = 1_000
# Lines that speak of these are the site's own.
C4_POLICY = (
    *("terms of use", "privacy policy", "cookie policy"),
    *("uses cookies", "use of cookies", "use cookies"),
)
_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*[^\S\n]+(?=[\"'“‘(\[]*[A-Z\d])")
# A line of code ends as a statement does, begins as one, or is indented and no item of a list.
_CODE_END = (";", "{", "}")
_CODE_START = re.compile(
    r"[$#>] |//|/\*|</?\w|@\w|import |from \w+ import|def |fn |let |const |var |return\b"
    r"|class \w+[:({ ]|if \(|for \(|while \(|[\w.]+\(.*\)$|\w+ = |\s{2,}[^\s*|•-]"
)
_MEASURE = re.compile(
    r"\W{0,4}(?:\d[\d\s./,¼½¾⅓⅔⅛–-]{0,20}|[¼½¾⅓⅔⅛])\s?(?:x\s?)?(?:\(.{1,20}?\)\s?)?"
    r"(?:heaped |level |large |medium |small )?"
    r"(?:cups?|tsps?|tbsps?|teaspoons?|tablespoons?|k?g|grams?|ml|millilit\w+|l|lit\w+|oz|ounces?|"
    r"lbs?|pounds?|cloves?|pinch|cans?|tins?|eggs?|onions?|sticks?|slices?)\b",
    re.IGNORECASE,
)
VERSE_CHARS = range(12, 66)  # of a line of verse; so many in a row are verse, fewer are not
VERSE_LINES_MIN = 4
_NO_VERSE = re.compile(r"[\d|•:>@©/]|^\W*-")
SHORT_LINE_CHARS = 30  # FineWeb's
TOP_GRAMS, DUPLICATE_GRAMS = (2, 3, 4), (5, 6, 7, 8, 9, 10)
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2^64
_INVERSE = pow(_BASE, -1, 1 << 64)


def words_of(text: str) -> list[str]:
    """The words and signs of a text, in order."""
    return _WORD.findall(text)


def measure(text: str, words: Sequence[str] | None = None) -> dict[str, float]:
    """The numbers of a text, by the names in limits.NUMBERS; all are 0 for an empty text."""
    words = words_of(text) if words is None else words
    vocabulary: defaultdict[str, int] = defaultdict()
    vocabulary.default_factory = vocabulary.__len__  # a new word has the next number
    ids = np.fromiter(map(vocabulary.__getitem__, words), np.int64, len(words))
    lengths = np.fromiter(map(len, vocabulary), np.int64, len(vocabulary))
    lines = [line for line in text.split("\n") if line.strip()]
    return {
        **_words(text, list(vocabulary), lengths, ids),
        **_lines(text, lines, len(words)),
        **_c4(text, lines),
        **_kinds(lines),
        **_duplicate_lines(text, lines),
        **_grams(words, ids, lengths[ids], len(text)),
    }


def sentences(lines: str) -> int:
    """How many sentences lines have together, none of which is blank."""
    return 1 + lines.count("\n") + len(_SENTENCE_END.findall(lines))


def is_sign(word: str) -> bool:
    """Whether a word has no letter and no digit."""
    return not (word.isalnum() or any(map(str.isalnum, word)))


def _words(text: str, vocabulary: Sequence[str], lengths: I64, ids: I64) -> dict[str, float]:
    n = len(vocabulary)
    lettered = np.fromiter(map(str.isalpha, vocabulary), np.bool_, n)
    named = lettered.copy()
    for at in np.flatnonzero(~lettered).tolist():  # the few words of other characters too
        word = vocabulary[at]
        lettered[at] = any(map(str.isalpha, word))
        named[at] = not is_sign(word)
    function = np.fromiter(
        map(FUNCTION_WORDS.__contains__, map(str.lower, vocabulary)), np.bool_, n
    )
    counts = np.bincount(ids, minlength=n)
    n_words, n_named = max(len(ids), 1), int(counts[named].sum())
    return {
        "words": n_named,
        "word_chars": int((counts * lengths)[named].sum()) / max(n_named, 1),
        "hashes": text.count("#") / n_words,
        "ellipses": (text.count("...") + text.count("…")) / n_words,
        "alphabetic_words": int(counts[lettered].sum()) / n_words,
        "function_words": int(counts[function].sum()) / max(n_named, 1),
        "stop_words": len(STOP_WORDS.intersection(vocabulary)),
    }


def _lines(text: str, lines: Sequence[str], n_words: int) -> dict[str, float]:
    every = max(text.count("\n") + (not text.endswith("\n")), 1)  # Gopher counts blank ones too
    n = max(len(lines), 1)
    starts = [line.lstrip() for line in lines]
    ends = [line.rstrip() for line in lines]
    return {
        "bullet_lines": sum(line.startswith(("•", "-")) for line in starts) / every,
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in ends) / every,
        "punctuated_lines": sum(line.endswith(TERMINAL) for line in lines) / n,
        "short_lines": sum(len(line) <= SHORT_LINE_CHARS for line in lines) / n,
        "newlines": text.count("\n") / max(n_words, 1),
    }


def _c4(text: str, lines: Sequence[str]) -> dict[str, float]:
    n = max(len(lines), 1)
    ended = few = javascript = policy = 0
    counted = []  # lines whose sentences are
    whole = text.lower()
    # Most texts speak of neither.
    any_script, any_policy = "javascript" in whole, _is_of_policy(whole)
    for given in lines:
        line = given.strip()
        if "[" in line:
            line = _CITATION.sub("", line)
        ended += line.endswith(C4_TERMINAL) and not line.endswith("...")
        is_short = len(given.split(None, C4_LINE_WORDS_MIN - 1)) < C4_LINE_WORDS_MIN
        few += is_short
        of_script = any_script and "javascript" in line.lower()
        of_policy = any_policy and _is_of_policy(line.lower())
        javascript += of_script
        policy += of_policy
        if not (is_short or of_script or of_policy) and _has_short_words(given):
            counted.append(line)
    return {
        "ended_lines": ended / n,
        "few_words_lines": few / n,
        "javascript_lines": javascript / n,
        "policy_lines": policy / n,
        "sentences": sentences("\n".join(counted)) if counted else 0,
        "lorem_ipsum": whole.count("lorem ipsum"),
        "braces": text.count("{"),
    }


def _is_of_policy(lower: str) -> bool:
    return any(saying in lower for saying in C4_POLICY)


def _has_short_words(line: str) -> bool:
    return len(line) <= C4_WORD_CHARS_MAX or max(map(len, line.split())) <= C4_WORD_CHARS_MAX


def _kinds(lines: Sequence[str]) -> dict[str, float]:
    """Shares of lines of code, of measures as recipes have them, and of verse."""
    n, verse, run = max(len(lines), 1), 0, 0
    for line in [*lines, ""]:
        if len(line) in VERSE_CHARS and not _NO_VERSE.search(line) and _is_said(line):
            run += 1
            continue
        verse += run if run >= VERSE_LINES_MIN else 0
        run = 0
    return {
        "code_lines": sum(_is_code(line) for line in lines) / n,
        "measure_lines": sum(bool(_MEASURE.match(line)) for line in lines) / n,
        "verse_lines": verse / n,
    }


def _is_code(line: str) -> bool:
    return line.endswith(_CODE_END) or bool(_CODE_START.match(line))


def _is_said(line: str) -> bool:
    words = line.lower().split()
    return len(words) > 2 and not FUNCTION_WORDS.isdisjoint(words)


def _duplicate_lines(text: str, shown: Sequence[str]) -> dict[str, float]:
    chars = max(len(text), 1)
    has_blank_lines = "\n\n" in text
    paragraphs = re.split(r"\n{2,}", text.strip()) if has_blank_lines else [text.strip()]
    lines = re.split(r"\n+", text) if has_blank_lines else text.split("\n")
    twice, twice_chars = _duplicates(paragraphs)
    line_twice, line_twice_chars = _duplicates(lines)
    return {
        "duplicate_paragraphs": twice / len(paragraphs),
        "duplicate_paragraph_chars": twice_chars / chars,
        "duplicate_lines": line_twice / len(lines),
        "duplicate_line_chars": line_twice_chars / chars,
        # FineWeb's, of the characters of lines that are not blank.
        "repeated_line_chars": _duplicates(shown)[1] / max(len(text) - text.count("\n"), 1),
    }


def _duplicates(parts: Sequence[str]) -> tuple[int, int]:
    """How many parts stood before, and their characters."""
    unique = set(parts)
    return len(parts) - len(unique), sum(map(len, parts)) - sum(map(len, unique))


def _grams(words: Sequence[str], ids: I64, lengths: I64, chars: int) -> dict[str, float]:
    """Characters of the commonest n words in a row, and of n words that stood before."""
    chars = max(chars, 1)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    tops = zip(TOP_GRAMS, _tops(ids.astype(np.uint64), ends), strict=True)
    found = {f"top_{n}_grams": top / chars for n, top in tops}
    hashes = _prefixes("".join(words), ends)
    repeats = True  # n words that repeat begin with n - 1 that do
    for n in DUPLICATE_GRAMS:
        twice = _duplicate_chars(hashes, ends, n) if repeats else 0
        found[f"duplicate_{n}_grams"] = twice / chars
        repeats = twice > 0
    return found


def _tops(ids: U64, ends: I64) -> Iterator[int]:
    """Characters of the commonest n words in a row, one between two words; the first of equals."""
    at, grams = np.arange(len(ids)), ids
    for n in TOP_GRAMS:
        if len(ids) < n:
            yield 0
            continue
        at = at[: np.searchsorted(at, len(ids) - n, "right")]
        grams = grams[: len(at)] * np.uint64(_BASE) + ids[at + n - 1]
        ordered = np.sort(grams)
        starts = _starts(ordered)
        counts = np.diff(starts)
        most = int(counts.max(initial=1))
        start = int(at[_first(ordered[starts[:-1][counts == most]], grams)]) if most > 1 else 0
        yield most * int(ends[start + n] - ends[start] + n - 1)
        twice = _maybe_among(ordered[starts[:-1][counts > 1]], grams)
        at, grams = at[twice], grams[twice]  # what repeats begins with what does


def _duplicate_chars(hashes: tuple[U64, U64], ends: I64, n: int) -> int:
    """Characters of n words in a row that stood before; what was counted is stepped over."""
    if len(ends) <= n:
        return 0
    prefixes, unshift = hashes
    grams = (prefixes[n:] - prefixes[:-n]) * unshift[:-n]
    ordered = np.sort(grams)
    places = _maybe_among(ordered[1:][ordered[1:] == ordered[:-1]], grams)
    seen: set[int] = set()
    found = free = 0
    for at, gram in zip(places.tolist(), grams[places].tolist(), strict=True):
        if at < free:
            continue
        if gram in seen:
            found += int(ends[at + n] - ends[at])
            free = at + n
        else:
            seen.add(gram)
    return found


def _starts(ordered: U64) -> I64:
    """Where each value of an ordered array begins, and where the array ends."""
    is_start = np.ones(len(ordered) + 1, np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=is_start[1:-1])
    return np.flatnonzero(is_start)


def _first(some: U64, values: U64) -> int:
    """Where the first value stands that is among `some`, which one is."""
    wanted, places = set(some.tolist()), _maybe_among(some, values)
    found = zip(places.tolist(), values[places].tolist(), strict=True)
    return int(next(at for at, value in found if value in wanted))


def _maybe_among(some: U64, values: U64) -> I64:
    """Where values stand that are among `some`, and a few that are not: told by their first bits.

    A table of bits is asked, which takes a third of a search's time.
    """
    bits = max(12, (16 * len(some)).bit_length())
    shift = np.uint64(64 - bits)
    has = np.zeros(1 << bits, np.bool_)
    has[some >> shift] = True
    return np.flatnonzero(has[values >> shift])


def _prefixes(joined: str, ends: I64) -> tuple[U64, U64]:
    """Hashes of the prefixes that end there, polynomials modulo 2^64; what takes a power away."""
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    values = (points.astype(np.uint64) + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
    values ^= values >> np.uint64(32)
    powers = _powers(_BASE, len(points))
    prefixes = np.zeros(len(points) + 1, np.uint64)
    np.cumsum(values * powers[:-1], out=prefixes[1:])
    return prefixes[ends], _powers(_INVERSE, len(points))[ends]


def _powers(base: int, size: int) -> U64:
    """base^0 to base^size modulo 2^64."""
    powers = np.full(size + 1, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)
