"""Near duplicates: each text is dropped only for a kept one that is named, with their likeness.

Verified lazy greedy. Texts are walked best first (`exact.walk_order`). Each is compared only with
texts that were *kept* (`judging`), as far as they have what it asks for (`asking`). There is no
transitive removal (a chain of likenesses does not lose its ends), no cap, and no list of pairs; the
result depends on the texts and the rule alone. Shadows (texts left out for another reason, like
Wikipedia's) stand first and are keepers all: they remove their copies.

The walk is one pass in one process over memory-mapped arrays of the texts that share a shingle of
which one of them asks: on disk up to 0.6 kB a text for what is asked, and 8 bytes a shingle.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.corpus.asking import (
    Heartbeat,
    Index,
    array_in,
    build_index,
    read_in_step,
    scheme_for,
)
from pipeline.corpus.judging import BEAT_TEXTS, Alone, Judge, Together
from pipeline.corpus.shingles import I64, ShingleSets
from pipeline.settings import CorpusSettings

F64 = NDArray[np.float64]


class Copies(NamedTuple):
    """The walk's decisions, in its order: the keeper's place or -1 (kept), and their likeness.

    `coverage` is NaN where texts are compared one by one; `others` are those besides the keeper.
    """

    keeper: I64
    jaccard: F64
    containment: F64
    coverage: F64
    others: dict[int, list[int]]

    @staticmethod
    def none(n: int) -> "Copies":
        """Of n texts no one is a copy."""
        jaccard, containment, coverage = np.full((3, n), np.nan)
        return Copies(np.full(n, -1, np.int64), jaccard, containment, coverage, {})


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
    temporary arrays: what is asked, and the shingles of those that have any of it.
    `heartbeat` is called now and then.
    """
    n = len(shadows)
    copies = Copies.none(n)
    if n == 0:
        return copies
    scheme = scheme_for(rules.near_threshold)
    alone = rules.near_measure != "coverage"
    with TemporaryDirectory(dir=scratch) as name:
        folder = Path(name)
        index, sizes = build_index(
            sketches, places, shadows, scheme, folder, heartbeat, alone=alone
        )
        together = np.flatnonzero(np.diff(index.has.offsets))  # only these can be copies
        if len(together):
            dense = np.full(n + 1, -1, np.int64)  # the last entry is for places of -1
            dense[together] = np.arange(len(together))
            sets = _gather(folder, sketches, dense[places], sizes[together])
            near = Index(index.asks.only(together), index.has.only(together), index.sizes)
            judge: Judge = (
                Alone(near, sets, rules, heartbeat) if alone else Together(near, sets, scheme)
            )
            _walk(judge, near, together, copies, heartbeat)
    return copies


def _walk(judge: Judge, index: Index, texts: I64, copies: Copies, heartbeat: Heartbeat) -> None:
    """Fill in the decisions on the `texts`, the places of those in the index."""
    askers = np.diff(index.asks.offsets) > 0
    for text, place in enumerate(texts.tolist()):
        if text % BEAT_TEXTS == 0:
            heartbeat(f"{text:,} of {len(texts):,} texts compared that share a shingle")
        found = judge.keeper_of(text) if askers[text] else None
        if found is None:
            judge.keep(text)
            continue
        copies.keeper[place] = texts[found.keeper]
        copies.jaccard[place] = found.jaccard
        copies.containment[place] = found.containment
        copies.coverage[place] = found.coverage
        if found.others:
            copies.others[place] = texts[found.others].tolist()


def _gather(folder: Path, sketches: Sequence[Path], places: I64, sizes: I64) -> ShingleSets:
    """The sets of the texts with a place, in the order of their places."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    hashes = array_in(folder / "shingles", (int(offsets[-1]),), np.uint64)
    for at, sets in read_in_step(sketches, places):
        inside = np.flatnonzero(at >= 0)
        for text, place in zip(inside.tolist(), at[inside].tolist(), strict=True):
            hashes[offsets[place] : offsets[place + 1]] = sets.of(text)
    return ShingleSets(hashes, offsets)
