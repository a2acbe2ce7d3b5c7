"""Texts to 8-grams, and which of those that are kept were seen in other texts.

A word is a run of letters and digits in lower case, as in the paper ("lower-cased alphanumeric
words with a single space as a delimiter"); letters are those of any script. An 8-gram is eight
words in a row within a text; a text of fewer words has none. It is held as 64 bits: of a corpus of
10^10 8-grams one that is not there is found with a chance of 10^10 / 2^64, less than 1 in 10^9.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

from pipeline.characters import same_words

WORDS = 8
BATCH_CHARS = 1 << 20
_WORD = re.compile(r"[^\W_]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so no bit of a word's hash is lost
_WORDS_HELD = 1 << 21  # whose hashes are kept; a corpus has ever new ones

U64 = NDArray[np.uint64]


class _Hashes(dict[str, int]):
    """The 64-bit hash of a word; those met before are looked up."""

    def __missing__(self, word: str) -> int:
        if len(self) >= _WORDS_HELD:
            self.clear()
        found = self[word] = xxhash.xxh3_64_intdigest(word.encode("utf-8", "surrogatepass"))
        return found


_hash_of = _Hashes()


def words_of(text: str) -> list[str]:
    """The words of a text, in order; characters in one form (NFKC), without what is not seen."""
    return _WORD.findall(same_words(text).lower())


class Grams(NamedTuple):
    """8-grams of several texts: text i has `hashes[offsets[i] : offsets[i + 1]]`, in its order."""

    hashes: U64
    offsets: NDArray[np.int64]


def grams_of(texts: Sequence[str]) -> Grams:
    """The 8-grams of each text."""
    words: list[str] = []
    starts = [0]
    for text in texts:
        words += words_of(text)
        starts.append(len(words))
    hashes = np.fromiter(map(_hash_of.__getitem__, words), np.uint64, len(words))
    whole = max(0, len(words) - WORDS + 1)
    rolled = np.zeros(whole, np.uint64)
    for k in range(WORDS):
        rolled *= _BASE
        rolled += hashes[k : k + whole]
    borders = np.array(starts, np.int64)
    counts = np.maximum(np.diff(borders) - WORDS + 1, 0)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    # Those that begin in one text and end in another are left out.
    taken = np.repeat(borders[:-1] - offsets[:-1], counts) + np.arange(offsets[-1])
    return Grams(rolled[taken], offsets)


class Kept:
    """8-grams of test sets; `mark` notes which of them the texts that go by have."""

    def __init__(self, hashes: U64) -> None:
        self._known: U64 = np.unique(hashes)
        self._seen = np.zeros(len(self._known), bool)
        # A table by the first bits turns away nearly all others: 16 places for each that is kept.
        bits = min(30, max(16, (16 * len(self._known)).bit_length()))
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, bool)
        self._table[self._known >> self._shift] = True

    def mark(self, hashes: U64) -> None:
        """Note that these 8-grams were met."""
        near = hashes[self._table[hashes >> self._shift]]
        if not len(near):
            return
        at = np.minimum(np.searchsorted(self._known, near), len(self._known) - 1)
        self._seen[at[self._known[at] == near]] = True

    def seen(self, hashes: U64) -> NDArray[np.bool_]:
        """Of each of these 8-grams, all of them kept, whether it was met."""
        found: NDArray[np.bool_] = self._seen[np.searchsorted(self._known, hashes)]
        return found


def in_batches(texts: Iterable[str]) -> Iterator[Grams]:
    """The 8-grams of all texts, some megabytes of text at a time."""
    chars, batch = 0, list[str]()
    for text in texts:
        batch.append(text)
        chars += len(text)
        if chars >= BATCH_CHARS:
            yield grams_of(batch)
            chars, batch = 0, []
    yield grams_of(batch)


def mark_all(kept: Kept, texts: Iterable[str]) -> int:
    """Mark the 8-grams of all texts; how many there were."""
    total = 0
    for grams in in_batches(texts):
        kept.mark(grams.hashes)
        total += len(grams.hashes)
    return total
