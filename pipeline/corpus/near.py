"""Near duplicates: each text is dropped only for a kept one that is named, with their Jaccard.

Verified lazy greedy. Texts are walked best first (`exact.WALK_ORDER`). Each is compared only with
texts that were *kept* and share one of its bands' buckets, best first, until one has a verified
Jaccard >= threshold over their shingle sets: that one is its keeper. There is no transitive removal
(a chain of likenesses does not lose its ends), no cap, and no list of pairs; the result depends on
the texts and the rule alone. A candidate whose signature estimate is below threshold - slack is not
verified; this filter is part of the rule. Shadows (texts left out for another reason, like
Wikipedia's) stand first and are keepers all: they remove their copies.

The walk is one pass in one process over memory-mapped arrays of the texts that share a bucket at
all: 0.5 kB a text and 8 bytes a shingle on disk, up to 256 MB of counts in memory. Pages of one
template, a little less alike than the threshold, are all kept, and each meets all others. What they
have for themselves tells them apart at 0.03 us a pair (20,000 pages of 56 shingles: 6 s). Where
that is too little, a pair is compared in full, for 2.4 us.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.minhash import I64, N_PERM, U32, U64, ShingleSets, band_keys
from pipeline.corpus.sketches import read_sketches
from pipeline.errors import StageError
from pipeline.settings import CorpusSettings

I32 = NDArray[np.int32]
Heartbeat = Callable[[str], None]  # told how far the work is; may raise to stop it
BEAT_TEXTS = 1000
ESTIMATE_BLOCK = 4096  # signatures compared at once: 2 MB
VERIFY_BLOCK = 512  # sets compared at once, at most
CROWD = 128  # texts in a bucket: comparing with so many costs more than counting their shingles
TABLE_BITS_MAX = 27  # of each table of shingles: 128 MB


class Copies(NamedTuple):
    """The walk's decisions, in its order: the keeper's place or -1 (kept), and their Jaccard."""

    keeper: I64
    jaccard: NDArray[np.float64]


class Buckets(NamedTuple):
    """Which texts share a band's key: text i is in `numbers[offsets[i] : offsets[i + 1]]`."""

    offsets: I64
    numbers: I32
    sizes: I64  # texts in each bucket, two or more


def find_copies(
    sketches: Sequence[Path],
    places: I64,
    shadows: NDArray[np.bool_],
    rules: CorpusSettings,
    scratch: Path,
    heartbeat: Heartbeat,
) -> Copies:
    """Decide for each text that takes part; `places` says where it stands in the walk.

    `places` has one entry a row of the sketch files, in their order: 0 for the best text, -1 for a
    text that does not take part. `shadows` is in the walk's order. `scratch` is a folder for
    temporary arrays: 256 bytes for each text, and the sketches of those that share a bucket.
    `heartbeat` is called now and then.
    """
    n = len(shadows)
    copies = Copies(np.full(n, -1, np.int64), np.zeros(n))
    if n == 0:
        return copies
    with TemporaryDirectory(dir=scratch) as folder:
        keys = _array(Path(folder) / "keys", (rules.bands, n), np.uint64)
        sizes = np.zeros(n, np.int64)
        for at, signed, sets in _read_in_step(sketches, places):
            inside = at >= 0
            keys[:, at[inside]] = band_keys(signed[inside], rules.bands, rules.rows)
            sizes[at[inside]] = np.diff(sets.offsets)[inside]
            # Texts without a word have equal signatures and are alike to nothing.
            empty = at[inside & (np.diff(sets.offsets) == 0)]
            keys[:, empty] = empty
            heartbeat("putting signatures into buckets")
        buckets = shared_buckets(keys)
        together = np.flatnonzero(np.diff(buckets.offsets))  # only these can be copies
        if len(together):
            dense = np.full(n + 1, -1, np.int64)  # the last entry is for places of -1
            dense[together] = np.arange(len(together))
            signed, sets = _gather(Path(folder), sketches, dense[places], sizes[together])
            offsets = np.append(buckets.offsets[together], len(buckets.numbers))
            near = buckets._replace(offsets=offsets)
            found = walk(near, signed, sets, shadows[together], rules, heartbeat)
            copied = found.keeper >= 0
            copies.keeper[together[copied]] = together[found.keeper[copied]]
            copies.jaccard[together] = found.jaccard
    return copies


def shared_buckets(keys: U64) -> Buckets:
    """Texts with equal keys in a band; `keys` has the shape (bands, texts).

    One band is sorted at a time; keys that only one text has leave here.
    """
    n = keys.shape[1]
    members: list[I64] = []
    numbers: list[I32] = []
    sizes: list[I64] = []
    n_buckets = 0
    counts = np.zeros(n, np.int64)
    for band in keys:
        order = np.argsort(band, kind="stable")
        ordered = band[order]
        starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
        lengths = np.diff(np.append(starts, n))
        shared = lengths > 1
        taken = np.repeat(shared, lengths)
        n_shared = int(shared.sum())
        members.append(order[taken])
        numbers.append(
            np.repeat(np.arange(n_buckets, n_buckets + n_shared), lengths[shared]).astype(np.int32)
        )
        sizes.append(lengths[shared])
        counts[members[-1]] += 1
        n_buckets += n_shared
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    by_text = np.empty(offsets[-1], np.int32)
    free = offsets[:-1].copy()
    for member, number in zip(members, numbers, strict=True):
        by_text[free[member]] = number
        free[member] += 1
    return Buckets(offsets, by_text, np.concatenate(sizes))


def walk(
    buckets: Buckets,
    signed: U32,
    sets: ShingleSets,
    shadows: NDArray[np.bool_],
    rules: CorpusSettings,
    heartbeat: Heartbeat,
) -> Copies:
    """Each text's keeper, in the order given (best first). All sets have a shingle or more."""
    n = len(shadows)
    copies = Copies(np.full(n, -1, np.int64), np.zeros(n))
    crowded = np.zeros(n, bool)
    owners = np.repeat(np.arange(n), np.diff(buckets.offsets))
    crowded[owners[buckets.sizes[buckets.numbers] >= CROWD]] = True
    likeness = _Likeness(signed, sets, crowded, rules, heartbeat)
    # Of each bucket the kept members, in the walk's order: slots[starts[b] : starts[b] + kept[b]].
    starts = np.cumsum(buckets.sizes) - buckets.sizes
    slots = np.empty(int(buckets.sizes.sum()), np.int32)
    kept = np.zeros(len(buckets.sizes), np.int64)
    bounds = buckets.offsets.tolist()
    for text in range(n):
        if text % BEAT_TEXTS == 0:
            heartbeat(f"{text:,} of {n:,} texts compared that share a bucket")
        mine = buckets.numbers[bounds[text] : bounds[text + 1]]
        if not shadows[text]:
            members = _members(slots, starts[mine], kept[mine])
            candidates = _distinct(likeness.possible(text, members))
            if len(candidates):
                keeper, jaccard = likeness.first_alike(text, candidates)
                if keeper >= 0:
                    copies.keeper[text], copies.jaccard[text] = keeper, jaccard
                    continue
        slots[starts[mine] + kept[mine]] = text
        kept[mine] += 1
    return copies


def _members(slots: I32, starts: I64, counts: I64) -> I32:
    """The members of several buckets; those of more than one come as often."""
    shifts = np.cumsum(counts) - counts
    return slots[np.repeat(starts - shifts, counts) + np.arange(int(counts.sum()))]


def _distinct(members: I32) -> I32:
    """Each once, ascending: best first."""
    members.sort()
    new = np.empty(len(members), bool)
    new[:1] = True
    np.not_equal(members[1:], members[:-1], out=new[1:])
    return members[new]


class _Likeness:
    """Compares one text with many: by numbers of shingles, by signatures, then by the sets.

    Two `crowded` texts, which are in large buckets, share no more shingles than the fewer of those
    that either has in common with any of the crowd: pages of one template, each with words of its
    own, are told apart by two numbers.
    """

    def __init__(
        self, signed: U32, sets: ShingleSets, crowded: NDArray[np.bool_], rules: CorpusSettings,
        heartbeat: Heartbeat,
    ) -> None:  # fmt: skip
        self._signed, self._sets, self._crowded = signed, sets, crowded
        self._sizes = np.diff(sets.offsets)
        self._in_common = in_common(sets, np.flatnonzero(crowded), heartbeat)
        self._bounds = sets.offsets.tolist()
        self._threshold = rules.near_threshold
        # Equal signature values that an estimate of threshold - slack takes; the small term keeps
        # 0.65 * 128 from being rounded up.
        least = (rules.near_threshold - rules.near_slack) * N_PERM
        self._matches_min = math.ceil(least - 1e-9)

    def possible(self, text: int, others: I32) -> I32:
        """Those whose numbers of shingles allow the threshold."""
        sizes, size = self._sizes[others], self._sizes[text]
        shared = np.minimum(sizes, size)
        if self._crowded[text]:
            both = self._crowded[others]
            shared[both] = np.minimum(self._in_common[others[both]], self._in_common[text])
        bound = shared / (sizes + size - shared)
        possible: I32 = others[bound >= self._threshold]
        return possible

    def first_alike(self, text: int, candidates: I32) -> tuple[int, float]:
        """The first candidate with Jaccard >= threshold, and it; (-1, 0.0) if there is none."""
        mine = self._sets.hashes[self._bounds[text] : self._bounds[text + 1]]
        for block in self._likely(text, candidates):
            low, step = 0, 1
            while low < len(block):
                chosen = block[low : low + step]
                jaccards = self._jaccards(mine, chosen)
                alike = np.flatnonzero(jaccards >= self._threshold)
                if len(alike):
                    return int(chosen[alike[0]]), float(jaccards[alike[0]])
                low += step
                step = min(step * 4, VERIFY_BLOCK)
        return -1, 0.0

    def _likely(self, text: int, candidates: I32) -> Iterator[I32]:
        """Candidates that pass the estimate."""
        for low in range(0, len(candidates), ESTIMATE_BLOCK):
            block = candidates[low : low + ESTIMATE_BLOCK]
            matches = np.count_nonzero(self._signed[block] == self._signed[text], axis=1)
            yield block[matches >= self._matches_min]

    def _jaccards(self, mine: U64, others: I32) -> NDArray[np.float64]:
        """Exact Jaccard similarity of one set with each of several."""
        parts = [self._sets.hashes[self._bounds[i] : self._bounds[i + 1]] for i in others.tolist()]
        theirs = np.concatenate(parts)
        found = np.searchsorted(mine, theirs)
        found[found == len(mine)] = 0
        sizes = self._sizes[others]
        starts = np.cumsum(sizes) - sizes
        shared = np.add.reduceat(mine[found] == theirs, starts, dtype=np.int64)
        jaccards: NDArray[np.float64] = shared / (len(mine) + sizes - shared)
        return jaccards


def in_common(sets: ShingleSets, texts: I64, heartbeat: Heartbeat) -> I64:
    """Of each of these sets, how many of its shingles another of them has too, or a few more.

    They are counted in two tables by different bits of the shingles' hashes. A shingle is no other
    set's if one of its two places was met by this set alone. The other sets have 0.
    """
    found = np.zeros(len(sets), np.int64)
    bits = min(TABLE_BITS_MAX, (2 * int(np.diff(sets.offsets)[texts].sum())).bit_length())
    mask, half = np.uint64((1 << bits) - 1), np.uint64(32)
    low, high = np.zeros((2, 1 << bits), np.uint8)
    for number, text in enumerate(texts.tolist()):
        if number % BEAT_TEXTS == 0:
            heartbeat(f"shingles of {number:,} of {len(texts):,} texts in large buckets counted")
        hashes = sets[text]
        for table, at in ((low, hashes & mask), (high, hashes >> half & mask)):
            table[at] = np.minimum(table[at] + 1, 2)
    for text in texts.tolist():
        hashes = sets[text]
        met = np.minimum(low[hashes & mask], high[hashes >> half & mask])
        found[text] = np.count_nonzero(met > 1)
    return found


def _gather(
    folder: Path, sketches: Sequence[Path], places: I64, sizes: I64
) -> tuple[U32, ShingleSets]:
    """Signatures and sets of the texts with a place, in the order of their places."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    all_signed = _array(folder / "signatures", (len(sizes), N_PERM), np.uint32)
    hashes = _array(folder / "shingles", (int(offsets[-1]),), np.uint64)
    for at, signed, sets in _read_in_step(sketches, places):
        inside = np.flatnonzero(at >= 0)
        all_signed[at[inside]] = signed[inside]
        for text, place in zip(inside.tolist(), at[inside].tolist(), strict=True):
            hashes[offsets[place] : offsets[place + 1]] = sets[text]
    return all_signed, ShingleSets(hashes, offsets)


def _read_in_step(sketches: Sequence[Path], places: I64) -> Iterator[tuple[I64, U32, ShingleSets]]:
    """Batches of the sketch files, each with the places of its texts."""
    row = 0
    for path in sketches:
        for signed, sets in read_sketches(path):
            yield places[row : row + len(signed)], signed, sets
            row += len(signed)
    if row != len(places):
        raise StageError(f"{row} sketches for {len(places)} texts; this is a defect of webtext")


def _array(path: Path, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """An array in a file, so that the system may keep it out of memory."""
    return np.asarray(np.memmap(path, dtype, "w+", shape=shape))
