"""Texts to shingle sets, a batch at a time, in numpy alone.

The rule: NFKC and lower case, without characters that are not seen; a token is a run of letters,
digits and marks, or one letter of a script that is written without spaces (with the marks that
follow it). A shingle is five tokens in a row. A text of one to four tokens has one shingle, the
whole text, with its signs: "C" is no copy of "C++", nor 10⁶ of 106. A text without tokens has none.
In code each sign is a token too: `a += b` and `a -= b` are two texts. A text is taken for code if
it has a sign, or a bracket right after a word, for every three words.

Everything here is a function of the text and of Python's Unicode tables (`UNICODE_VERSION` belongs
into a build's fingerprint). Hashes are 64 bits: two different shingles are taken for one with a
chance of 2^-64 a pair.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipeline.characters import same_shape, same_words

UNICODE_VERSION = unicodedata.unidata_version
SHINGLE_TOKENS = 5

# Scripts written without spaces: each letter is a token of its own.
SOLO_RANGES = (
    (0x0E00, 0x0E7F),  # Thai
    (0x0E80, 0x0EFF),  # Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana, small letters
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x323AF),  # Han, extensions B to H
)
SIGNS = frozenset("#%&*-/@\\^")  # of ASCII, besides those that Unicode counts as symbols
# Code points with a category that matters lie in these ranges; tests read all the others.
_ASSIGNED = (range(0x34000), range(0xE0000, 0xE1000))
_SEPARATOR, _BRACKET, _SIGN, _WORD, _SOLO, _MARK = range(6)
CODE_SIGNS = "#%&*+-/;<=>@\\^{|}~"
WORDS_A_SIGN = 3  # in code, at most; 36 of the 8,000 texts of data/neardup: commands, tables

# Odd multipliers of the polynomial hashes (golden ratio; a prime of wyhash), and the finalizer of
# MurmurHash3.
_CHAR_BASE = 0x9E3779B97F4A7C15
_TOKEN_BASE = 0xD6E8FEB86659FD93
_FMIX64 = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)
_BATCH_CHARS = 1 << 17  # such arrays stay in a core's cache; twice or half as many is as fast

U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]


class ShingleSets(NamedTuple):
    """The sets of several texts: text i has `hashes[offsets[i] : offsets[i + 1]]`, ascending."""

    hashes: U64
    offsets: I64

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, text: int) -> U64:
        """One text's set."""
        return self.hashes[self.offsets[text] : self.offsets[text + 1]]


def normalise(text: str) -> str:
    """The text without what is not seen, in NFKC and lower case.

    Some results are not NFKC: lower case comes last.
    """
    return same_words(text).lower()


def shingle_sets(texts: Sequence[str]) -> ShingleSets:
    """The set of 64-bit shingle hashes of each text; a text gets the same set in any batch."""
    return counted_sets(texts)[0]


def counted_sets(texts: Sequence[str]) -> tuple[ShingleSets, I64]:
    """The same, and how many shingles each text has with all repeats."""
    hashes: list[U64] = []
    sizes: list[I64] = [np.zeros(1, np.int64)]
    all_counts: list[I64] = [np.zeros(0, np.int64)]
    done = 0
    for batch in batches([normalise(text) for text in texts]):
        windows, counts = _shingles(batch, texts[done : done + len(batch)])
        done += len(batch)
        unique, unique_counts = _sorted_unique(windows, counts)
        hashes.append(unique)
        sizes.append(unique_counts)
        all_counts.append(counts)
    offsets = np.cumsum(np.concatenate(sizes))
    joined = np.concatenate(hashes) if hashes else np.zeros(0, np.uint64)
    return ShingleSets(joined, offsets), np.concatenate(all_counts)


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts, some at a time: as many as make arrays of a good size."""
    low, chars = 0, 0
    for i, text in enumerate(texts):
        if i > low and chars + len(text) > _BATCH_CHARS:
            yield texts[low:i]
            low, chars = i, 0
        chars += len(text)
    if low < len(texts):
        yield texts[low:]


def code_points(texts: Sequence[str]) -> tuple[U32, I64]:
    """The texts' code points in one array with a separator around each, and where each begins.

    The last begin is the array's end: text i is in `points[starts[i] : starts[i + 1] - 1]`.
    """
    joined = "\n" + "\n".join(texts) + "\n"
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    return points, np.cumsum([1, *(len(text) + 1 for text in texts)])


def windows(tokens: U64, length: int) -> U64:
    """A hash of the `length` tokens from each token on; what reaches past the last is no window."""
    padded = np.concatenate([tokens, np.zeros(length - 1, np.uint64)])
    hashes = np.zeros(len(tokens), np.uint64)
    for k in range(length):
        hashes *= np.uint64(_TOKEN_BASE)
        hashes += padded[k : k + len(tokens)]
    return hashes


def _shingles(texts: Sequence[str], originals: Sequence[str]) -> tuple[U64, I64]:
    """All shingle hashes of the normalised texts in reading order, and how many each text has."""
    points, text_starts = code_points(texts)
    classes = _classes()[points]
    starts, ends = _token_bounds(classes)
    short = np.diff(np.searchsorted(starts, text_starts)) < SHINGLE_TOKENS
    signs = _signs_of_code(classes, starts, text_starts)
    if len(signs):
        starts = np.sort(np.concatenate([starts, signs]))
        ends = np.sort(np.concatenate([ends, signs + 1]))
    tokens = token_hashes(points, starts, ends)
    firsts = np.searchsorted(starts, text_starts)
    n_tokens = np.diff(firsts)
    short &= n_tokens > 0
    counts = np.where(short, 1, np.maximum(n_tokens - (SHINGLE_TOKENS - 1), 0))
    slots = np.cumsum(counts) - counts
    taken = np.repeat(firsts[:-1] - slots, counts) + np.arange(counts.sum())
    hashes = fmix64(windows(tokens, SHINGLE_TOKENS)[taken])
    for i in np.flatnonzero(short).tolist():
        hashes[slots[i]] = _whole_text(originals[i])
    return hashes, counts


def _signs_of_code(classes: NDArray[np.uint8], starts: I64, text_starts: I64) -> I64:
    """Where the signs are of the texts that are code; `starts` are those of their words."""
    signs = np.flatnonzero(classes == _SIGN)
    brackets = np.flatnonzero(classes == _BRACKET)
    joins = (classes[signs - 1] >= _WORD) & (classes[signs + 1] >= _WORD)  # as in plug-in, and/or
    runs = signs[(classes[signs - 1] != _SIGN) & ~joins]
    calls = brackets[classes[brackets - 1] >= _WORD]
    marks, words = (
        np.diff(np.searchsorted(places, text_starts))
        for places in (np.sort(np.concatenate([runs, calls])), starts)
    )
    code = (words > 0) & (marks * WORDS_A_SIGN >= words)
    of_code: I64 = signs[code[np.searchsorted(text_starts, signs, side="right") - 1]]
    return of_code


def _whole_text(text: str) -> int:
    """The one shingle of a text with fewer than five tokens: its words and signs."""
    pieces = (
        f" {c} " if _is_sign(c) else c if unicodedata.category(c)[0] in "LMN" else " "
        for c in same_shape(text).lower()
    )
    words = " ".join("".join(pieces).split())
    return xxhash.xxh3_64_intdigest(words.encode("utf-8", "surrogatepass"))


def _is_sign(character: str) -> bool:
    """Whether a character is one of mathematics, money or code, or a picture."""
    return character in SIGNS or unicodedata.category(character) in ("Sm", "Sc", "So")


def _token_bounds(classes: NDArray[np.uint8]) -> tuple[I64, I64]:
    """Start and end of every word; the first and the last code point are separators."""
    word = classes == _WORD
    if classes.max() <= _WORD:  # no solo letters, no marks: a token is a run of word characters
        edges = np.flatnonzero(word[1:] != word[:-1]) + 1
        return edges[::2], edges[1::2]
    solo, mark = classes == _SOLO, classes == _MARK
    # A mark goes on with what is before it: a solo letter's token, or a word, or a word of its own.
    before = np.where(mark, 0, np.arange(len(classes)))
    np.maximum.accumulate(before, out=before)
    solo_mark = mark & solo[before]
    word |= mark & ~solo_mark
    first = solo.copy()
    first[1:] |= word[1:] & ~word[:-1]
    inside = solo_mark.copy()
    inside[1:] |= word[1:] & word[:-1]
    last = (word | solo | solo_mark)[:-1] & ~inside[1:]
    return np.flatnonzero(first), np.flatnonzero(last) + 1


def token_hashes(points: U32, starts: I64, ends: I64) -> U64:
    """A hash of each token's characters, wherever it stands.

    Prefix sums of a polynomial in `_CHAR_BASE` modulo 2^64; the power at the token's start is
    divided out.
    """
    powers, inverses = _powers(1 << len(points).bit_length())
    sums = np.zeros(len(points) + 1, np.uint64)
    np.cumsum(_char_hashes()[points] * powers[: len(points)], out=sums[1:])
    return fmix64((sums[ends] - sums[starts]) * inverses[starts])


@cache
def _classes() -> NDArray[np.uint8]:
    """Separator, bracket, sign, word, solo or mark for each code point."""
    classes = np.zeros(0x110000, np.uint8)
    kinds = {"L": _WORD, "N": _WORD, "M": _MARK}
    for assigned in _ASSIGNED:
        categories = (unicodedata.category(chr(point))[0] for point in assigned)
        classes[assigned.start : assigned.stop] = [kinds.get(c, _SEPARATOR) for c in categories]
    for low, high in SOLO_RANGES:
        block = classes[low : high + 1]
        letters = [unicodedata.category(chr(point))[0] == "L" for point in range(low, high + 1)]
        block[letters] = _SOLO
    classes[[ord(sign) for sign in CODE_SIGNS]] = _SIGN
    classes[[ord("("), ord("[")]] = _BRACKET
    return classes


@cache
def _char_hashes() -> U64:
    return fmix64(np.arange(1, 0x110001, dtype=np.uint64))


@cache
def _powers(n: int) -> tuple[U64, U64]:
    """The first n powers of `_CHAR_BASE` and of its inverse, modulo 2^64."""
    powers = np.full(n, _CHAR_BASE, np.uint64)
    inverses = np.full(n, pow(_CHAR_BASE, -1, 1 << 64), np.uint64)
    powers[0] = inverses[0] = 1
    return np.multiply.accumulate(powers), np.multiply.accumulate(inverses)


def _sorted_unique(hashes: U64, counts: I64) -> tuple[U64, I64]:
    """Each text's hashes in ascending order without repeats, and how many they are."""
    ends = np.cumsum(counts)
    for start, end in zip((ends - counts).tolist(), ends.tolist(), strict=True):
        hashes[start:end].sort()
    new = np.ones(len(hashes), bool)
    new[1:] = hashes[1:] != hashes[:-1]
    filled = counts > 0
    new[(ends - counts)[filled]] = True
    unique_counts = np.zeros(len(counts), np.int64)
    if len(hashes):
        unique_counts[filled] = np.add.reduceat(new, (ends - counts)[filled], dtype=np.int64)
    return hashes[new], unique_counts


def fmix64(values: U64) -> U64:
    """MurmurHash3's 64-bit finalizer, a bijection that spreads every bit."""
    mixed = values ^ (values >> np.uint64(33))
    for factor in _FMIX64:
        mixed *= np.uint64(factor)
        mixed ^= mixed >> np.uint64(33)
    return mixed
