"""Byte-level BPE from counts of pre-tokens, in numpy: the merges that Hugging Face learns.

The pair of the highest count is merged first, ties go to the smallest pair of ids. Counts are exact
in 64 bits. The pre-tokens lie end to end in one array, with a border between them:

    first   the token that begins at a byte     "the" as t, he:   t h .    t he
    last    the token that ends at a byte                          t . e

So the neighbours of a token are one look away, and a merge is a few operations on all places of its
pair at once, however long the pre-tokens are. A pair is born with its younger token, and its count
only falls. So only pairs above a floor are remembered, few enough for Python's objects: when there
are none left, all pairs are looked at anew, and the floor is lowered.

No two pairs make the same bytes: what is merged within some bytes does not depend on what stands
around them, so where bytes have become a token, they did so everywhere by the same merge. (Hugging
Face has a rule for that case; it needs tokens that were there before, as special ones.)
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

from pipeline.tokens.tokenizer import LETTER_OF_BYTE

BYTES = sorted(range(256), key=LETTER_OF_BYTE.__getitem__)  # by id, as in GPT-2
FIRST_FLOOR = 4096  # the first floor is this part of the text: the commonest pair is a hundredth
FLOORS = 16  # a floor is so many times the next
GROUPS = 32
FEW = 24  # places of a pair that are merged one by one sooner than all at once
NONE = 0xFFFF  # no token begins or ends here; the last id of 16 bits is end-of-text's
Places = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]
Entry = tuple[int, int, int, Places]  # -count, pair, number of the entry, places of the left token


@dataclass(frozen=True)
class Counts:
    """Distinct pre-tokens, end to end: `ends[i]` is where the i-th ends, `counts` how often."""

    text: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def learn(
    counts: Counts,
    vocab_size: int,
    min_frequency: int,
    token_bytes_max: int = 0,
    told: Callable[[int], None] = lambda merges: None,
) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """Tokens by id and merges by rank, from the 256 bytes on, until there are `vocab_size` tokens.

    Fewer where no pair is left that occurs `min_frequency` times. `token_bytes_max` is Hugging
    Face's `max_token_length`: tokens of several merges have fewer bytes; 0: no limit. `told` gets
    the number of merges before each; what it raises ends the training.
    """
    learner = _Learner(counts, min_frequency, token_bytes_max, vocab_size)
    merges: list[tuple[int, int]] = []
    while len(learner.tokens) < vocab_size and (entry := learner.next()):
        told(len(merges))
        merges.append(learner.merge(entry))
    tokens = learner.tokens
    return tokens, [(tokens[left], tokens[right]) for left, right in merges]


class _Learner:
    """The merges so far, as they stand in the pre-tokens, and the pairs to choose from."""

    def __init__(
        self, counts: Counts, min_frequency: int, token_bytes_max: int, vocab_size: int
    ) -> None:
        self.tokens = [bytes([byte]) for byte in BYTES]
        self._lengths = np.ones(max(vocab_size, len(BYTES)), np.int64)
        self._min = max(1, min_frequency)
        self._bytes_max = token_bytes_max
        self._words = counts.counts
        self._counts: dict[int, int] = {}  # of pairs that may be merged
        self._heap: list[Entry] = []
        self._entries = 0
        self._lay_out(counts)
        arrays = (self._first, self._last, self._lengths, self._words, self._word)
        self._few = [each.data for each in arrays]  # of which single items are read faster
        text_bytes = counts.counts.astype(np.float64) @ np.diff(counts.ends, prepend=0)
        self._floor = max(self._min, int(text_bytes) // FIRST_FLOOR)
        self._look()

    def _lay_out(self, counts: Counts) -> None:
        ids = np.empty(256, np.uint16)
        ids[BYTES] = np.arange(256)
        words = np.arange(len(counts.ends), dtype=np.int32)
        borders = np.append(0, counts.ends + words + 1)
        self._first = ids[np.insert(counts.text, np.append(0, counts.ends), 0)]
        self._first[borders] = NONE
        self._last = self._first.copy()
        self._word = np.repeat(
            np.append(words, np.int32(0)), np.diff(borders, append=borders[-1] + 1)
        )

    def next(self) -> Entry | None:
        """The entry of the pair to merge; None where no pair is frequent enough."""
        while True:
            while self._heap:
                entry = heappop(self._heap)
                count = self._counts[entry[1]]
                if count < self._floor:
                    del self._counts[entry[1]]
                elif count == -entry[0]:
                    return entry
                else:
                    heappush(self._heap, (-count, *entry[1:]))
            if self._floor == self._min:
                return None
            self._floor = max(self._min, self._floor // FLOORS)
            self._look()

    def _look(self) -> None:
        """Remember the pairs above the floor."""
        self._counts.clear()
        begins = self._first[:-1] != NONE
        places = np.arange(len(begins), dtype=np.int32)[begins]  # flatnonzero's have 64 bits
        groups = (self._first[places] % GROUPS).astype(np.uint8)
        for group in range(GROUPS):  # of left tokens, one after the other: less memory
            some = places[groups == group]
            lefts = self._first[some].astype(np.int64)
            rights = self._first[some + self._lengths[lefts]]
            inner = np.flatnonzero(rights != NONE)
            self._add(lefts[inner] << 16 | rights[inner], some[inner])

    def merge(self, entry: Entry) -> tuple[int, int]:
        """Merge the entry's pair at its places."""
        left, right = _sides(entry[1])
        if len(entry[3]) <= FEW:
            self._merge_few(left, right, entry[3].tolist())
        else:
            self._merge_many(left, right, self._places(entry))
        return left, right

    def _merge_few(self, left: int, right: int, places: Sequence[int]) -> None:
        """As `_merge_many`, place by place: what numpy's calls take is saved."""
        first, last, lengths, weights, word = self._few
        length, size = lengths[left], lengths[left] + lengths[right]
        found: list[tuple[int, int, int, int]] = []  # place, the tokens around it, weight
        for place in places:
            if first[place] == left and first[place + length] == right:
                if found and place < found[-1][0] + size:
                    continue
                around = last[place - 1], first[place + size]
                found.append((place, *around, weights[word[place]]))
        new = self._token(left, right)
        born: dict[int, list[int]] = {}  # pair: its count, and its places
        counts, bytes_max = self._counts, self._bytes_max or sys.maxsize
        ends = {place + size for place, *_ in found}
        begins = {place for place, *_ in found}
        for place, before, after, weight in found:
            first[place + length] = last[place + length - 1] = NONE
            first[place] = last[place + size - 1] = new
            pairs = []
            if before != NONE and place not in ends:
                if (key := before << 16 | left) in counts:
                    counts[key] -= weight
                if lengths[before] + size < bytes_max:
                    pairs.append((before << 16 | new, place - lengths[before]))
            if after != NONE:
                if (key := right << 16 | after) in counts:
                    counts[key] -= weight
                after = new if place + size in begins else after
                if lengths[after] + size < bytes_max:
                    pairs.append((new << 16 | after, place))
            for key, begin in pairs:
                one = born.setdefault(key, [0])
                one[0] += weight
                one.append(begin)
        for key, (count, *at) in born.items():
            if count >= self._floor:
                self._remember(key, count, np.array(at, np.int32))

    def _merge_many(self, left: int, right: int, places: Places) -> None:
        """Merge a pair at these places, all at once."""
        first, last, lengths = self._first, self._last, self._lengths
        seconds = places + lengths[left]
        behind = seconds + lengths[right]
        before, after = last[places - 1].astype(np.int64), first[behind].astype(np.int64)
        new = self._token(left, right)
        last[seconds - 1] = NONE
        first[seconds] = NONE
        first[places] = new
        last[behind - 1] = new
        # Of places in a row, the pairs between two are the old right and left, and the new twice.
        in_row = np.flatnonzero(behind[:-1] == places[1:])
        alone_before, alone_after = before != NONE, after != NONE
        weights = self._words[self._word[places]]
        alone_before[in_row + 1] = False
        self._take(
            np.concatenate([before[alone_before] << 16 | left, right << 16 | after[alone_after]]),
            np.concatenate([weights[alone_before], weights[alone_after]]),
        )
        alone_after[in_row] = False
        if self._bytes_max:
            alone_before &= lengths[before * alone_before] + lengths[new] < self._bytes_max
            alone_after &= lengths[after * alone_after] + lengths[new] < self._bytes_max
            in_row = in_row[: None if 2 * lengths[new] < self._bytes_max else 0]
        before, after = before[alone_before], after[alone_after]
        pairs = (before << 16 | new, np.full(len(in_row), new << 16 | new), new << 16 | after)
        at = (places[alone_before] - lengths[before], places[in_row], places[alone_after])
        self._add(np.concatenate(pairs), np.concatenate(at))

    def _token(self, left: int, right: int) -> int:
        """The id of the token that two make."""
        new = len(self.tokens)
        self.tokens.append(self.tokens[left] + self.tokens[right])
        self._lengths[new] = len(self.tokens[new])
        return new

    def _places(self, entry: Entry) -> Places:
        """Where an entry's pair stands now: ascending, none within another."""
        left, right = _sides(entry[1])
        length = self._lengths[left]
        found: Places = entry[3]
        found = found[self._first[found] == left]
        found = found[self._first[found + length] == right]
        if left == right and len(found) > 1:
            begins = np.append(True, found[1:] != found[:-1] + length)
            number = np.arange(len(found))
            found = found[(number - np.maximum.accumulate(number * begins)) % 2 == 0]
        return found

    def _take(self, keys: Numbers, weights: Numbers) -> None:
        """Lower the counts of pairs, of those that are remembered."""
        if not len(keys):
            return
        order = np.argsort(keys)
        keys, weights = keys[order], weights[order]
        starts = _starts(keys)
        counts = self._counts
        for key, count in zip(
            keys[starts].tolist(), np.add.reduceat(weights, starts).tolist(), strict=True
        ):
            if key in counts:
                counts[key] -= count

    def _add(self, keys: Numbers, places: Numbers | Places) -> None:
        """Remember pairs that stand at these places, and are above the floor."""
        if not len(keys):
            return
        both = keys << 31 | places  # 32 and 31 bits: sorted faster than by an order of one
        both.sort()
        keys, places = both >> 31, (both & 0x7FFFFFFF).astype(np.int32)
        starts = _starts(keys)
        sums = np.add.reduceat(self._words[self._word[places]], starts)
        ends = np.append(starts[1:], len(keys))
        frequent = np.flatnonzero(sums >= self._floor)
        for key, count, start, end in zip(
            *(each[frequent].tolist() for each in (keys[starts], sums, starts, ends)), strict=True
        ):
            self._remember(key, count, places[start:end].copy())

    def _remember(self, key: int, count: int, places: Places) -> None:
        self._counts[key] = count
        self._entries += 1
        heappush(self._heap, (-count, key, self._entries, places))


def _sides(key: int) -> tuple[int, int]:
    return key >> 16, key & 0xFFFF


def _starts(keys: Numbers) -> Numbers:
    """Where each key begins among sorted ones."""
    return np.append(0, np.flatnonzero(keys[1:] != keys[:-1]) + 1)
