"""How much of all texts is in no kept text: the share of their distinct 8-grams that is lost.

An 8-gram is eight words in a row; a word is a run of `\\w` (of Python's re) in lower case. A text
of fewer than eight words has none. They are counted by hashes: of every one, or of one in `ONE_IN`,
which hash alone chooses, so that all texts show the same ones. At 80,000 of them a share of 4 % is
right within 0.07 points (one standard deviation).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.shingles import (
    I64,
    U64,
    ShingleSets,
    batches,
    code_points,
    fmix64,
    token_hashes,
    windows,
)

GRAM_WORDS = 8
ONE_IN = 16  # of the grams that sketches hold: 0.3 kB a text of 4 kB
GRAMS_MAX = 1 << 20  # looked at: 8 MB; a share of 4 % is right within 0.02 points
KEPT, LOST, LEFT_OUT = range(3)  # fates of texts; one that is left out has no part in the loss


class Loss(NamedTuple):
    """Distinct 8-grams that were looked at, and how many of them stand in no kept text."""

    grams: int
    lost: int
    one_in: int  # of so many one was looked at

    @property
    def share(self) -> float:
        """The loss, from 0 to 1."""
        return self.lost / self.grams if self.grams else 0.0

    def __str__(self) -> str:
        sampled = f" (of one in {self.one_in})" if self.one_in > 1 else ""
        return f"{self.share:.2%} of the distinct 8-word sequences are in no kept text{sampled}"


def gram_sets(texts: Sequence[str], one_in: int = ONE_IN) -> ShingleSets:
    """Hashes of each text's 8-grams, one in `one_in` (a power of two), perhaps with repeats."""
    sets: list[U64] = [np.zeros(0, np.uint64)]
    counts: list[I64] = [np.zeros(1, np.int64)]
    for batch in batches([text.lower() for text in texts]):
        points, text_starts = code_points(batch)
        word = _is_word()[points]
        edges = np.flatnonzero(word[1:] != word[:-1]) + 1
        starts = edges[::2]
        hashes = fmix64(windows(token_hashes(points, starts, edges[1::2]), GRAM_WORDS))
        firsts = np.searchsorted(starts, text_starts)
        n_words = np.diff(firsts)
        # The last seven words of each text begin no gram.
        left = np.repeat(firsts[1:], n_words) - np.arange(firsts[0], firsts[-1])
        taken = (left >= GRAM_WORDS) & (hashes & np.uint64(one_in - 1) == 0)
        sets.append(hashes[taken])
        before = np.concatenate([np.zeros(1, np.int64), np.cumsum(taken)])
        counts.append(np.diff(before[firsts]))
    return ShingleSets(np.concatenate(sets), np.cumsum(np.concatenate(counts)))


def loss_of(
    read: Callable[[], Iterable[ShingleSets]], fates: NDArray[np.int8], one_in: int = ONE_IN
) -> Loss:
    """The loss of texts whose fates are KEPT or LOST, in the order of the gram sets.

    `read` gives the sets batch by batch, each time anew, with one gram in `one_in`. Of more than
    GRAMS_MAX fewer are looked at, unless the sets hold all.
    """
    total = sum(int(sets.offsets[-1] - sets.offsets[0]) for sets in read())
    while one_in > 1 and total > GRAMS_MAX:
        one_in, total = 2 * one_in, total // 2
    everything, kept = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    row = 0
    for sets in read():
        grams = sets.hashes[sets.offsets[0] : sets.offsets[-1]]
        of_gram = np.repeat(fates[row : row + len(sets)], np.diff(sets.offsets))
        row += len(sets)
        looked_at = grams & np.uint64(one_in - 1) == 0
        everything.append(grams[looked_at & (of_gram != LEFT_OUT)])
        kept.append(grams[looked_at & (of_gram == KEPT)])
    grams_in_all = _distinct(everything)
    return Loss(grams_in_all, grams_in_all - _distinct(kept), one_in)


def _distinct(hashes: list[U64]) -> int:
    ordered = np.sort(np.concatenate(hashes))
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + bool(len(ordered))


@cache
def _is_word() -> NDArray[np.bool_]:
    r"""Whether re takes each code point for a `\w`."""
    found = np.zeros(0x110000, bool)
    everything = "".join(map(chr, range(0x110000)))
    for match in re.finditer(r"\w+", everything):
        found[match.start() : match.end()] = True
    return found
