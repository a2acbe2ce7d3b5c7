"""Scores of decisions on copies against the exact numbers of all texts, by any of our measures.

The numbers are made here from the shingle sets by counting, without samples: score.py of
data/neardup knows Jaccard alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.corpus.asking import ramps
from pipeline.corpus.exact import walk_order
from pipeline.corpus.judging import KEEPER_SHARE, stands_in
from pipeline.corpus.loss import KEPT, LOST, gram_sets, loss_of
from pipeline.corpus.shingles import I64, ShingleSets, counted_sets
from pipeline.corpus.sketches import REPEATED_MAX
from pipeline.settings import CorpusSettings

Bools = NDArray[np.bool_]


class Texts(NamedTuple):
    """Texts with what their order and their likeness are made of, in one order."""

    ids: Sequence[str]
    sets: ShingleSets
    grams: ShingleSets
    columns: pa.Table  # of walk_order
    numbers: I64  # of each shingle of `sets.hashes`, from 0 on
    members: I64  # the texts that have shingle 0, then those that have 1, …
    starts: I64  # where those of each begin

    @staticmethod
    def of(rows: Sequence[tuple[str, str, int]]) -> "Texts":
        """From ids, texts and karmas."""
        ids, texts = [row[0] for row in rows], [row[1] for row in rows]
        sets, with_repeats = counted_sets(texts)
        distinct = np.diff(sets.offsets)
        columns = pa.table(
            {
                "id": ids,
                "karma": [row[2] for row in rows],
                "text_chars": [len(text) for text in texts],
                "repetitive": with_repeats - distinct > REPEATED_MAX * with_repeats,
                "shadow": [False] * len(ids),
            }
        )
        numbers = np.unique(sets.hashes, return_inverse=True)[1]
        owners = np.repeat(np.arange(len(ids)), distinct)
        members = owners[np.argsort(numbers, kind="stable")]
        starts = np.concatenate([[0], np.cumsum(np.bincount(numbers))])
        return Texts(ids, sets, gram_sets(texts, 1), columns, numbers, members, starts)


def score(
    texts: Texts, decisions: Sequence[Mapping[str, Any]], rules: CorpusSettings
) -> dict[str, Any]:
    """How many texts are removed, wrongly removed and missed, and what share of 8-grams is lost.

    Wrongly: the named texts are not all kept, or have not what the rule wants. Missed: a kept text
    that the rule drops for texts which are kept, and stand before it.
    """
    place = {id: at for at, id in enumerate(texts.ids)}
    keep = np.zeros(len(texts.ids), bool)
    keep[[place[row["id"]] for row in decisions if row["keep"]]] = True
    wrong = sum(not _right(texts, place, keep, row, rules) for row in decisions if not row["keep"])
    missed = _missed(texts, keep, rules)
    right = len(keep) - int(keep.sum()) - wrong
    lost = loss_of(lambda: [texts.grams], np.where(keep, KEPT, LOST).astype(np.int8), one_in=1)
    return {
        "removed": right + wrong,
        "lost": round(lost.share, 4),
        "wrong": wrong,
        "missed": missed,
        "recall": round(right / max(1, right + missed), 4),
    }


def _right(
    texts: Texts,
    place: Mapping[str, int],
    keep: Bools,
    row: Mapping[str, Any],
    rules: CorpusSettings,
) -> bool:
    if row["keeper"] is None:
        return False
    named = [place[id] for id in (row["keeper"], *(row.get("others") or ()))]
    mine = texts.sets.of(place[row["id"]])
    if not keep[named].all():
        return False
    if len(mine) == 0:
        return len(texts.sets.of(named[0])) == 0
    has = [_in(mine, texts.sets.of(one)) for one in named]
    shared = int(has[0].sum())
    if rules.near_measure == "jaccard":
        union = len(mine) + len(texts.sets.of(named[0])) - shared
        return shared >= rules.near_threshold * union
    if rules.near_measure == "coverage" and shared < KEEPER_SHARE * len(mine):
        return False
    return bool(np.any(has, axis=0).sum() >= rules.near_threshold * len(mine))


def _in(mine: Any, theirs: Any) -> Bools:
    return stands_in(mine, theirs) if len(theirs) else np.zeros(len(mine), bool)


def _missed(texts: Texts, keep: Bools, rules: CorpusSettings) -> int:
    order = pc.sort_indices(texts.columns, sort_keys=walk_order(rules.near_order)).to_numpy()
    sizes = np.diff(texts.sets.offsets)
    before = np.zeros(len(keep), bool)  # kept texts that stand before
    missed = 0
    for text in order[keep[order]].tolist():
        size = sizes[text]
        if size:
            mine = texts.numbers[texts.sets.offsets[text] : texts.sets.offsets[text + 1]]
            counts = texts.starts[mine + 1] - texts.starts[mine]
            members = texts.members[ramps(texts.starts[mine], counts)]
            shared = np.bincount(members[before[members]], minlength=len(keep))
            if rules.near_measure == "jaccard":
                alike = (shared / (size + sizes - shared)).max() >= rules.near_threshold
            elif rules.near_measure == "containment":
                alike = shared.max() >= rules.near_threshold * size
            else:
                covered = np.add.reduceat(before[members], np.cumsum(counts) - counts) > 0
                most = shared.max() >= KEEPER_SHARE * size
                alike = most and covered.sum() >= rules.near_threshold * size
            missed += bool(alike)
        before[text] = True
    return missed
