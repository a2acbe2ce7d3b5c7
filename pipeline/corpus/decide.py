"""The last pass over all documents: near copies, then one decision a document."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.corpus.asking import Heartbeat
from pipeline.corpus.exact import stands, walk_order
from pipeline.corpus.loss import KEPT, LEFT_OUT, LOST, Loss, loss_of
from pipeline.corpus.near import find_copies
from pipeline.corpus.shingles import I64, ShingleSets
from pipeline.corpus.sketches import read_ids, read_sets
from pipeline.errors import StageError
from pipeline.reasons import Reason
from pipeline.settings import CorpusSettings

F64 = NDArray[np.float64]
LIKENESS = ("jaccard", "containment", "coverage")
# One row for each document, by id.
DECISION = pa.schema(
    [
        ("id", pa.string()),
        ("reason", pa.string()),  # "": it is kept
        ("detail", pa.string()),
        ("keeper", pa.string()),  # id of the document that stays (or is a shadow), or ""
        # With 6 decimals; null where the texts were not compared.
        ("jaccard", pa.float64()),  # with the keeper
        ("containment", pa.float64()),  # the share of its shingles that the keeper has
        ("coverage", pa.float64()),  # that the keeper and `others` have; null for other measures
        ("others", pa.list_(pa.string())),  # ids of kept documents, or shadows
        ("shadow_reason", pa.string()),  # why the keeper itself is left out, or ""
        ("copies", pa.int64()),  # documents that were dropped for this one
    ]
)


def decide(
    entries: pa.Table,
    sketches: Sequence[Path],
    rules: CorpusSettings,
    scratch: Path,
    heartbeat: Heartbeat,
) -> tuple[pa.Table, Loss]:
    """One DECISION a document, by id, from the entries after the exact passes and their sketches.

    A copy of a copy names the document that is left in the end: if A is an exact copy of B, and B
    a near copy of C, then A's keeper is C, with the Jaccard of B and C. The loss is that of the
    documents that are kept, or copies of kept ones: what shadows take with them is meant to go.
    """
    entries = entries.drop_columns(["text_hash"]).sort_by("id")
    pa.default_memory_pool().release_unused()
    n = entries.num_rows
    keeper = _places(entries["keeper"], entries["id"])
    reasons = entries["reason"].to_numpy().copy()
    likeness = np.full((len(LIKENESS), n), np.nan)
    exact = reasons == Reason.EXACT_COPY
    likeness[: 3 if rules.near_measure == "coverage" else 2, exact] = 1.0

    shadows = _mask(entries["shadow"])
    walking = np.flatnonzero(_mask(stands(entries)) & (keeper < 0))
    order = walking[_walk_order(entries, walking, rules.near_order)]
    places = np.full(n, -1, np.int64)
    places[order] = np.arange(len(order))
    sketched = _places(read_ids(sketches).cast(pa.string()), entries["id"])
    pa.default_memory_pool().release_unused()
    found = find_copies(sketches, places[sketched], shadows[order], rules, scratch, heartbeat)
    copied = found.keeper >= 0
    near = order[copied]
    keeper[near] = order[found.keeper[copied]]
    likeness[:, near] = np.array([getattr(found, name) for name in LIKENESS])[:, copied]
    reasons[near] = Reason.NEAR_COPY.value
    with_whom = {int(order[text]): order[others] for text, others in found.others.items()}
    final = np.where(shadows, -1, _final_keepers(keeper, likeness, reasons, with_whom))
    decisions = _decisions(entries, final, likeness, reasons, with_whom)
    fates = np.full(n, LEFT_OUT, np.int8)
    fates[reasons == ""] = KEPT
    fates[(final >= 0) & ~shadows[final]] = LOST
    heartbeat("counting what is in no kept text")
    return decisions, loss_of(partial(_grams, sketches), fates[sketched])


def _grams(sketches: Sequence[Path]) -> Iterator[ShingleSets]:
    for path in sketches:
        yield from read_sets(path, "grams")


def _decisions(
    entries: pa.Table, final: I64, likeness: F64, reasons: NDArray[np.object_],
    with_whom: dict[int, I64],
) -> pa.Table:  # fmt: skip
    shadows = _mask(entries["shadow"])
    ids = entries["id"].combine_chunks()
    measured = {
        name: pa.array(np.round(values, 6), from_pandas=True)
        for name, values in zip(LIKENESS, likeness, strict=True)
    }
    counts = np.zeros(len(ids) + 1, np.int32)
    counts[[text + 1 for text in with_whom]] = [len(others) for others in with_whom.values()]
    named = np.concatenate(
        [np.zeros(0, np.int64), *(with_whom[text] for text in sorted(with_whom))]
    )
    others = pa.ListArray.from_arrays(
        pa.array(np.cumsum(counts, dtype=np.int32)), _named(ids, named)
    )
    return pa.table(
        {
            "id": ids,
            "reason": pa.array(reasons, pa.string()),
            "detail": entries["detail"],
            "keeper": _named(ids, final),
            **measured,
            "others": others,
            "shadow_reason": _named(pa.array(np.where(shadows, reasons, ""), pa.string()), final),
            "copies": pa.array(np.bincount(final[final >= 0], minlength=len(ids))),
        },
        schema=DECISION,
    )


def _final_keepers(
    keeper: I64, likeness: F64, reasons: NDArray[np.object_], with_whom: dict[int, I64]
) -> I64:
    """Follow copies of copies to the document that stays; what is known of them follows."""
    final = keeper.copy()
    while True:
        copies = np.flatnonzero(final >= 0)
        moved = copies[keeper[final[copies]] >= 0]
        if len(moved) == 0:
            return final
        to_near = moved[
            (reasons[moved] == Reason.EXACT_COPY) & (reasons[final[moved]] == Reason.NEAR_COPY)
        ]
        likeness[:, to_near] = likeness[:, final[to_near]]
        reasons[to_near] = Reason.NEAR_COPY.value
        for text in to_near.tolist():
            if (others := with_whom.get(int(final[text]))) is not None:
                with_whom[text] = others
        final[moved] = keeper[final[moved]]


def _walk_order(entries: pa.Table, rows: I64, near_order: str) -> I64:
    """The rows' order in the walk, best first."""
    keys = walk_order(near_order)
    chosen = entries.select([name for name, _ in keys]).take(pa.array(rows))
    order: I64 = pc.sort_indices(chosen, sort_keys=keys).to_numpy().astype(np.int64)
    return order


def _places(names: pa.ChunkedArray, ids: pa.ChunkedArray) -> I64:
    """The row of each named id; -1 for ""."""
    rows = pc.index_in(names, value_set=ids.combine_chunks())
    missing = pc.sum(pc.and_(pc.is_null(rows), pc.not_equal(names, ""))).as_py()
    if missing:
        raise StageError(f"{missing} ids are of no document; this is a defect of webtext")
    places: I64 = pc.fill_null(rows, -1).to_numpy().astype(np.int64)
    return places


def _named(values: pa.Array, places: I64) -> pa.Array:
    """The value at each place; "" for -1."""
    return pc.fill_null(values.take(pa.array(places, mask=places < 0)), "")


def _mask(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = column.to_numpy().astype(bool)
    return mask
