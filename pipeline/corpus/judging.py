"""Whether a text is a near copy: of one kept text alone, or of several together.

`Alone` compares it with the kept texts that have what it asks for, best first, until one has a
verified Jaccard or containment >= threshold. `Together` asks what share of its shingles stands in
kept texts, whichever they are: the keeper is the one that has the most, and at least half; the
others that are needed to reach the threshold are named too.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.asking import I32, Heartbeat, Index, Scheme, ramps
from pipeline.corpus.shingles import I64, U64, ShingleSets
from pipeline.settings import CorpusSettings

F64 = NDArray[np.float64]
BEAT_TEXTS = 1000
VERIFY_BLOCK = 512  # sets compared at once, at most
CROWD = 128  # texts that have a shingle: comparing with so many costs more than counting shingles
TABLE_BITS_MAX = 27  # of each table of shingles: 128 MB
KEEPER_SHARE = 0.5  # of a copy's shingles that its keeper has, at least


class Found(NamedTuple):
    """A text's keeper, their exact likeness, and with whom it has what share of the text."""

    keeper: int
    jaccard: float
    containment: float
    coverage: float
    others: list[int]


class Judge(Protocol):
    """Knows the kept texts; is asked and told in the walk's order."""

    def keeper_of(self, text: int) -> Found | None:
        """The keeper of a text that is a near copy."""

    def keep(self, text: int) -> None:
        """Take a text for a kept one."""


class Together:
    """Compares a text with all kept texts together."""

    def __init__(self, index: Index, sets: ShingleSets, scheme: Scheme) -> None:
        self._index, self._sets, self._threshold = index, sets, scheme.threshold
        self._hits_min = scheme.hits_min(np.diff(sets.offsets))
        # What is asked for, and the best kept text that has it. A later one adds nothing there.
        self._first = np.full(len(index.sizes), -1, np.int32)

    def keeper_of(self, text: int) -> Found | None:
        """The one that has most of it; the others follow by what they add."""
        firsts = self._first[self._index.asks.of(text)]
        firsts = firsts[firsts >= 0]
        if len(firsts) == 0 or len(firsts) < self._hits_min[text]:
            return None
        candidates = np.unique(firsts).tolist()
        mine = self._sets.of(text)
        has = np.array([stands_in(mine, self._sets.of(kept)) for kept in candidates])
        counts = np.count_nonzero(has, axis=1)
        best = int(np.argmax(counts))
        shared, size = int(counts[best]), len(mine)
        if shared < KEEPER_SHARE * size:
            return None
        covered, others = has[best], []
        while (n := int(np.count_nonzero(covered))) < self._threshold * size:
            gains = np.count_nonzero(has & ~covered, axis=1)
            most = int(np.argmax(gains))
            if gains[most] == 0:
                return None
            covered = covered | has[most]
            others.append(candidates[most])
        keeper = candidates[best]
        jaccard = shared / (size + len(self._sets.of(keeper)) - shared)
        return Found(keeper, jaccard, shared / size, n / size, others)

    def keep(self, text: int) -> None:
        """It is the first of what no kept text had."""
        has = self._index.has.of(text)
        self._first[has[self._first[has] < 0]] = text


class Alone:
    """Compares a text with one kept text at a time: by numbers of shingles, then by the sets.

    Two texts in a crowd (of those that have the same shingle) share no more shingles than the fewer
    of those that either has in common with any of the crowd: pages of one template, each with words
    of its own, are told apart by two numbers.
    """

    def __init__(
        self, index: Index, sets: ShingleSets, rules: CorpusSettings, heartbeat: Heartbeat
    ) -> None:
        self._index, self._sets = index, sets
        self._sizes = np.diff(sets.offsets)
        self._by_jaccard = rules.near_measure == "jaccard"
        self._threshold = rules.near_threshold
        # Of what is asked for the kept texts that have it, in the walk's order:
        # slots[starts[k] : starts[k] + kept[k]].
        self._starts = np.cumsum(index.sizes, dtype=np.int64) - index.sizes
        self._slots = np.empty(int(index.sizes.sum()), np.int32)
        self._kept = np.zeros(len(index.sizes), np.int64)
        owners = np.repeat(np.arange(len(sets)), np.diff(index.has.offsets))
        self._crowded = np.zeros(len(sets), bool)
        self._crowded[owners[index.sizes[index.has.values[: len(owners)]] >= CROWD]] = True
        self._in_common = in_common(sets, np.flatnonzero(self._crowded), heartbeat)

    def keeper_of(self, text: int) -> Found | None:
        """The best one that is alike enough."""
        asked = self._index.asks.of(text)
        members = self._slots[ramps(self._starts[asked], self._kept[asked])]
        candidates = _distinct(self._possible(text, members))
        mine = self._sets.of(text)
        low, step = 0, 1
        while low < len(candidates):
            chosen = candidates[low : low + step]
            shared = self._shared(mine, chosen)
            alike = np.flatnonzero(self._measured(text, chosen, shared) >= self._threshold)
            if len(alike):
                keeper, n = int(chosen[alike[0]]), int(shared[alike[0]])
                union = len(mine) + int(self._sizes[keeper]) - n
                return Found(keeper, n / union, n / len(mine), np.nan, [])
            low += step
            step = min(step * 4, VERIFY_BLOCK)
        return None

    def keep(self, text: int) -> None:
        """It stands last with each shingle that is asked for."""
        has = self._index.has.of(text)
        self._slots[self._starts[has] + self._kept[has]] = text
        self._kept[has] += 1

    def _possible(self, text: int, others: I32) -> I32:
        """Those whose numbers of shingles allow the threshold."""
        shared = np.minimum(self._sizes[others], self._sizes[text])
        if self._crowded[text]:
            both = self._crowded[others]
            shared[both] = np.minimum(self._in_common[others[both]], self._in_common[text])
        possible: I32 = others[self._measured(text, others, shared) >= self._threshold]
        return possible

    def _measured(self, text: int, others: I32, shared: I64) -> F64:
        """The measure of one text's likeness to several, if they share so many shingles."""
        size = self._sizes[text]
        if self._by_jaccard:
            return np.asarray(shared / (size + self._sizes[others] - shared))
        return np.asarray(shared / size)

    def _shared(self, mine: U64, others: I32) -> I64:
        """How many shingles one set shares with each of several."""
        theirs = np.concatenate([self._sets.of(i) for i in others.tolist()])
        sizes = self._sizes[others]
        starts = np.cumsum(sizes) - sizes
        return np.add.reduceat(stands_in(theirs, mine), starts, dtype=np.int64)


def stands_in(hashes: U64, ordered: U64) -> NDArray[np.bool_]:
    """Of each of some hashes whether it is in a set, which is in ascending order and not empty."""
    found = np.searchsorted(ordered, hashes)
    found[found == len(ordered)] = 0
    return np.asarray(ordered[found] == hashes)


def in_common(sets: ShingleSets, texts: I64, heartbeat: Heartbeat) -> I64:
    """Of each of these sets, how many of its shingles another of them has too, or a few more.

    They are counted in two tables by different bits of the shingles' hashes. A shingle is no other
    set's if one of its two places was met by this set alone. The other sets have 0.
    """
    found = np.zeros(len(sets), np.int64)
    if len(texts) == 0:
        return found
    bits = min(TABLE_BITS_MAX, (2 * int(np.diff(sets.offsets)[texts].sum())).bit_length())
    mask, half = np.uint64((1 << bits) - 1), np.uint64(32)
    low, high = np.zeros((2, 1 << bits), np.uint8)
    for number, text in enumerate(texts.tolist()):
        if number % BEAT_TEXTS == 0:
            heartbeat(f"shingles of {number:,} of {len(texts):,} texts in large buckets counted")
        hashes = sets.of(text)
        for table, at in ((low, hashes & mask), (high, hashes >> half & mask)):
            table[at] = np.minimum(table[at] + 1, 2)
    for text in texts.tolist():
        hashes = sets.of(text)
        met = np.minimum(low[hashes & mask], high[hashes >> half & mask])
        found[text] = np.count_nonzero(met > 1)
    return found


def _distinct(members: I32) -> I32:
    """Each once, ascending: best first."""
    members.sort()
    new = np.empty(len(members), bool)
    new[:1] = True
    np.not_equal(members[1:], members[:-1], out=new[1:])
    return members[new]
