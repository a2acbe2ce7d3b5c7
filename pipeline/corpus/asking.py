"""Which texts may be near copies of which: each text asks with a sample of its own shingles.

A text whose share `threshold` of shingles stands in another one, or in several together, has most
of any sample there too. So it asks with the `sample` shingles of the lowest hashes, and must be met
`hits` times: a text at the threshold is met less often with a chance of at most MISS_MAX, the tail
of a binomial distribution. A text with fewer shingles asks with all of them and is never missed.
Shingles that no other text has are misses for certain; a text with too many of them is no copy.

One text alone that has `hits` of the sample has one of any sample - hits + 1 of them. The rarest of
all are taken, so that what many pages share, like a template, is seldom asked for (prefix filtering
of Chaudhuri and others, 2006, on a sample). MinHash bands find pairs by Jaccard alone, and a short
text inside a long one has a low Jaccard; asking finds it as surely as any.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.shingles import I64, U64, ShingleSets
from pipeline.corpus.sketches import read_sets
from pipeline.errors import StageError

I32 = NDArray[np.int32]
Heartbeat = Callable[[str], None]  # told how far the work is; may raise to stop it
SAMPLE = 64  # shingles: coverage by several texts takes 64; 32 would do for one text alone
MISS_MAX = 0.01
BLOCK_TEXTS = 1024  # looked at in one go
CHUNK = 1 << 20  # items of a file that are in memory at once
TABLE_BITS = 4  # for each key, at least: up to a fifth of all shingles are looked up in vain


class Scheme(NamedTuple):
    """How a text asks, and the least share of pairs at the threshold that is found."""

    threshold: float
    sample: int
    hits: int
    recall: float

    def hits_min(self, sizes: I64) -> I64:
        """Of texts with so many shingles, how many of their sample another must have."""
        whole = np.ceil(self.threshold * sizes - 1e-9).astype(np.int64)
        return np.where(sizes <= self.sample, np.maximum(whole, 1), self.hits)

    def __str__(self) -> str:
        return (
            f"each text asks with {self.sample} of its shingles and must be met {self.hits} times, "
            f"so {self.recall:.1%} of the copies at the threshold are found"
        )


def scheme_for(threshold: float) -> Scheme:
    """The scheme that finds all but MISS_MAX of the pairs at the threshold, or above it."""
    sample = SAMPLE
    if threshold < 1:
        sample = max(SAMPLE, math.ceil(math.log(MISS_MAX) / math.log1p(-threshold)))
    missed, hits = 0.0, 0
    for met in range(sample):
        below = missed + math.comb(sample, met) * threshold**met * (1 - threshold) ** (sample - met)
        if below > MISS_MAX:
            break
        missed, hits = below, met + 1
    return Scheme(threshold, sample, hits, 1 - missed)


class Lists(NamedTuple):
    """A list of numbers for each text: text i has `values[offsets[i] : offsets[i + 1]]`."""

    values: I32
    offsets: I64

    def of(self, text: int) -> I32:
        """One text's numbers."""
        return self.values[self.offsets[text] : self.offsets[text + 1]]

    def only(self, texts: I64) -> "Lists":
        """The lists of these texts; all others are empty."""
        return Lists(self.values, np.append(self.offsets[texts], self.offsets[-1]))


class Index(NamedTuple):
    """What each text asks for, the rarest first, and which of all that is asked for it has."""

    asks: Lists
    has: Lists
    sizes: I32  # texts that have each of what is asked for, two or more


def build_index(
    sketches: Sequence[Path], places: I64, shadows: NDArray[np.bool_], scheme: Scheme,
    folder: Path, heartbeat: Heartbeat, *, alone: bool,
) -> tuple[Index, I64]:  # fmt: skip
    """The index of the texts with a place, in the order of their places, and their sets' sizes.

    `alone`: they are compared with one other text at a time. Shadows do not ask. Arrays of a size
    with the number of texts times the sample lie in `folder`.
    """
    sizes = np.zeros(len(shadows), np.int64)
    keys = _keys(sketches, places, scheme, folder, sizes, heartbeat)
    numbers, starts, counts, owners = _look_up(sketches, places, keys, folder, heartbeat)
    n_keys = len(keys)
    del keys
    asks = _asks(numbers, starts, owners, np.where(shadows, 0, sizes), scheme, folder, alone=alone)
    asked = array_in(folder / "asked", (n_keys,), np.int32)
    for low in range(0, len(asks.values), CHUNK):
        asked[asks.values[low : low + CHUNK]] = 1
    _number(asked)
    of_asked = []
    for low in range(0, n_keys, CHUNK):
        of_asked.append(owners[low : low + CHUNK][asked[low : low + CHUNK] >= 0])
    for low in range(0, len(asks.values), CHUNK):
        asks.values[low : low + CHUNK] = asked[asks.values[low : low + CHUNK]]
    has = _has(numbers, starts, counts, asked, folder)
    return Index(asks, has, np.concatenate([np.zeros(0, np.int32), *of_asked])), sizes


def read_in_step(sketches: Sequence[Path], places: I64) -> Iterator[tuple[I64, ShingleSets]]:
    """Batches of the sketch files, each with the places of its texts."""
    row = 0
    for path in sketches:
        for sets in read_sets(path):
            yield places[row : row + len(sets)], sets
            row += len(sets)
    if row != len(places):
        raise StageError(f"{row} sketches for {len(places)} texts; this is a defect of webtext")


def array_in(path: Path, shape: tuple[int, ...], dtype: Any, mode: Any = "w+") -> NDArray[Any]:
    """An array in a file, so that the system may keep it out of memory."""
    if 0 in shape:
        return np.zeros(shape, dtype)
    return np.asarray(np.memmap(path, dtype, mode, shape=shape))


def ramps(starts: I64, counts: I64) -> I64:
    """starts[0], starts[0] + 1, … counts[0] of them, then those of starts[1], and so on."""
    shifts = np.cumsum(counts) - counts
    return np.repeat(starts - shifts, counts) + np.arange(int(counts.sum()))


def _keys(
    sketches: Sequence[Path], places: I64, scheme: Scheme, folder: Path, sizes: I64,
    heartbeat: Heartbeat,
) -> U64:  # fmt: skip
    """All shingles that any text asks with, ascending, each once; fills `sizes` by place."""
    path, written = folder / "keys", 0
    with path.open("wb") as file:
        for at, sets in read_in_step(sketches, places):
            lengths, inside = np.diff(sets.offsets), at >= 0
            sizes[at[inside]] = lengths[inside]
            counts = np.minimum(lengths[inside], scheme.sample)
            # A set is in ascending order: its first hashes are its lowest.
            taken = sets.hashes[ramps(sets.offsets[:-1][inside], counts)]
            written += len(taken)
            file.write(taken.tobytes())
            heartbeat("taking samples of shingles")
    keys: U64 = array_in(path, (written,), np.uint64, "r+")
    keys.sort()
    kept, last = 0, None
    for low in range(0, written, CHUNK):
        chunk = keys[low : low + CHUNK].copy()
        new = np.append(last is None or chunk[0] != last, chunk[1:] != chunk[:-1])
        last, chunk = chunk[-1], chunk[new]
        keys[kept : kept + len(chunk)] = chunk
        kept += len(chunk)
    return keys[:kept]


def _look_up(
    sketches: Sequence[Path], places: I64, keys: U64, folder: Path, heartbeat: Heartbeat
) -> tuple[I32, I64, I64, I32]:
    """The numbers of the keys that each text has, ascending, and how many texts have each key.

    Text i has `numbers[starts[i] : starts[i] + counts[i]]`.
    """
    table = _Table(keys)
    owners = array_in(folder / "owners", (len(keys),), np.int32)
    n = int(places.max(initial=-1)) + 1
    starts, counts = np.zeros(n, np.int64), np.zeros(n, np.int64)
    path, written = folder / "numbers", 0
    with path.open("wb") as file:
        for at, sets in read_in_step(sketches, places):
            first = int(sets.offsets[0])
            hashes = sets.hashes[first : sets.offsets[-1]]
            found = np.flatnonzero(table.may_have(hashes))
            texts = np.searchsorted(sets.offsets - first, found, side="right") - 1
            taken = at[texts] >= 0
            found, texts = found[taken], texts[taken]
            wanted = hashes[found]
            numbers = np.searchsorted(keys, wanted)
            numbers[numbers == len(keys)] = 0
            right = keys[numbers] == wanted if len(keys) else np.zeros(0, bool)
            numbers, texts = numbers[right].astype(np.int32), texts[right]
            np.add.at(owners, numbers, 1)
            of_text = np.bincount(texts, minlength=len(at))
            inside = at >= 0
            starts[at[inside]] = (written + np.cumsum(of_text) - of_text)[inside]
            counts[at[inside]] = of_text[inside]
            file.write(numbers.tobytes())
            written += len(numbers)
            heartbeat("looking for the texts that have them")
    return array_in(path, (written,), np.int32, "r"), starts, counts, owners


class _Table:
    """Tells fast of most shingles that they are no keys: a bit for each key's hash."""

    def __init__(self, keys: U64) -> None:
        bits = max(3, (TABLE_BITS * len(keys)).bit_length())
        self._mask = np.uint64((1 << bits) - 1)
        self._bits = np.zeros(1 << (bits - 3), np.uint8)
        for low in range(0, len(keys), CHUNK):
            byte, bit = self._place(keys[low : low + CHUNK])
            np.bitwise_or.at(self._bits, byte, np.left_shift(np.uint8(1), bit))

    def may_have(self, hashes: U64) -> NDArray[np.bool_]:
        byte, bit = self._place(hashes)
        found: NDArray[np.bool_] = (self._bits[byte] >> bit & 1).astype(bool)
        return found

    def _place(self, hashes: U64) -> tuple[U64, NDArray[np.uint8]]:
        places = hashes & self._mask
        return places >> np.uint64(3), (places & np.uint64(7)).astype(np.uint8)


def _asks(
    numbers: I32, starts: I64, owners: I32, sizes: I64, scheme: Scheme, folder: Path, *,
    alone: bool,
) -> Lists:  # fmt: skip
    """The keys that each text asks for. A text's first keys are its sample, in the same order."""
    path = folder / "asks"
    lengths = np.zeros(len(sizes) + 1, np.int64)
    samples, hits_min = np.minimum(sizes, scheme.sample), scheme.hits_min(sizes)
    with path.open("wb") as file:
        for low in range(0, len(sizes), BLOCK_TEXTS):
            block = slice(low, low + BLOCK_TEXTS)
            counts = samples[block]
            sampled = numbers[ramps(starts[block], counts)]
            shape = (len(counts), scheme.sample)
            by_owners = np.full(shape, np.iinfo(np.int32).max, np.int32)
            of_text = np.zeros(shape, np.int32)
            filled = np.arange(scheme.sample) < counts[:, None]
            by_owners[filled] = owners[sampled]
            of_text[filled] = sampled
            own = np.count_nonzero(by_owners == 1, axis=1)  # misses for certain
            misses_max = counts - hits_min[block]
            wanted = (misses_max + 1 if alone else counts) - own
            wanted[(own > misses_max) | (counts == 0)] = 0
            order = np.argsort(by_owners, axis=1, kind="stable")
            ordered = np.take_along_axis(of_text, order, axis=1)
            place = np.arange(scheme.sample)
            taken = (place >= own[:, None]) & (place < (own + wanted)[:, None])
            file.write(ordered[taken].tobytes())
            lengths[low + 1 : low + 1 + len(counts)] = wanted
    offsets = np.cumsum(lengths)
    return Lists(array_in(path, (int(offsets[-1]),), np.int32, "r+"), offsets)


def _number(asked: I32) -> None:
    """Where 1 stands, numbers from 0 on; elsewhere -1."""
    done = 0
    for low in range(0, len(asked), CHUNK):
        chunk = asked[low : low + CHUNK]
        ones = chunk > 0
        numbers = np.where(ones, done + np.cumsum(ones) - 1, -1)
        done += int(ones.sum())
        chunk[:] = numbers


def _has(numbers: I32, starts: I64, counts: I64, asked: I32, folder: Path) -> Lists:
    """Of the keys that each text has those that are asked for, by their new numbers."""
    path = folder / "has"
    lengths = np.zeros(len(counts) + 1, np.int64)
    with path.open("wb") as file:
        for low in range(0, len(counts), BLOCK_TEXTS):
            of_text = counts[low : low + BLOCK_TEXTS]
            found = asked[numbers[ramps(starts[low : low + BLOCK_TEXTS], of_text)]]
            wanted = found >= 0
            before = np.concatenate([np.zeros(1, np.int64), np.cumsum(wanted)])
            ends = np.cumsum(of_text)
            lengths[low + 1 : low + 1 + len(of_text)] = before[ends] - before[ends - of_text]
            file.write(found[wanted].tobytes())
    offsets = np.cumsum(lengths)
    return Lists(array_in(path, (int(offsets[-1]),), np.int32, "r"), offsets)
