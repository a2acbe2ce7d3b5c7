"""The last pass over all documents: near copies, then one decision a document."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.corpus.exact import WALK_ORDER, stands
from pipeline.corpus.minhash import I64
from pipeline.corpus.near import Heartbeat, find_copies
from pipeline.corpus.sketches import read_ids
from pipeline.errors import StageError
from pipeline.reasons import Reason
from pipeline.settings import CorpusSettings

F64 = NDArray[np.float64]
# One row for each document, by id.
DECISION = pa.schema(
    [
        ("id", pa.string()),
        ("reason", pa.string()),  # "": it is kept
        ("detail", pa.string()),
        ("keeper", pa.string()),  # id of the document that stays (or is a shadow), or ""
        ("jaccard", pa.float64()),  # with the keeper, 6 decimals; null where not compared
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
) -> pa.Table:
    """One DECISION a document, by id, from the entries after the exact passes and their sketches.

    A copy of a copy names the document that is left in the end: if A is an exact copy of B, and B
    a near copy of C, then A's keeper is C, with the Jaccard of B and C.
    """
    entries = entries.sort_by("id")
    n = entries.num_rows
    keeper = _places(entries["keeper"], entries["id"])
    reasons = entries["reason"].to_numpy().copy()
    jaccard = np.where(reasons == Reason.EXACT_COPY, 1.0, np.nan)

    shadows = _mask(entries["shadow"])
    walking = np.flatnonzero(_mask(stands(entries)) & (keeper < 0))
    order = walking[_walk_order(entries, walking)]
    places = np.full(n, -1, np.int64)
    places[order] = np.arange(len(order))
    sketched = _places(read_ids(sketches).cast(pa.string()), entries["id"])
    found = find_copies(sketches, places[sketched], shadows[order], rules, scratch, heartbeat)
    near = order[found.keeper >= 0]
    keeper[near] = order[found.keeper[found.keeper >= 0]]
    jaccard[near] = found.jaccard[found.keeper >= 0]
    reasons[near] = Reason.NEAR_COPY.value
    return _decisions(entries, keeper, jaccard, reasons)


def _decisions(
    entries: pa.Table, keeper: I64, jaccard: F64, reasons: NDArray[np.object_]
) -> pa.Table:
    shadows = _mask(entries["shadow"])
    final = np.where(shadows, -1, _final_keepers(keeper, jaccard, reasons))
    ids = entries["id"].combine_chunks()
    return pa.table(
        {
            "id": ids,
            "reason": pa.array(reasons, pa.string()),
            "detail": entries["detail"],
            "keeper": _named(ids, final),
            "jaccard": pa.array(np.round(jaccard, 6), from_pandas=True),
            "shadow_reason": _named(pa.array(np.where(shadows, reasons, ""), pa.string()), final),
            "copies": pa.array(np.bincount(final[final >= 0], minlength=len(ids))),
        },
        schema=DECISION,
    )


def _final_keepers(keeper: I64, jaccard: F64, reasons: NDArray[np.object_]) -> I64:
    """Follow copies of copies to the document that stays; `jaccard` and `reasons` follow."""
    final = keeper.copy()
    while True:
        copies = np.flatnonzero(final >= 0)
        moved = copies[keeper[final[copies]] >= 0]
        if len(moved) == 0:
            return final
        to_near = moved[
            (reasons[moved] == Reason.EXACT_COPY) & (reasons[final[moved]] == Reason.NEAR_COPY)
        ]
        jaccard[to_near] = jaccard[final[to_near]]
        reasons[to_near] = Reason.NEAR_COPY.value
        final[moved] = keeper[final[moved]]


def _walk_order(entries: pa.Table, rows: I64) -> I64:
    """The rows' order in the walk, best first."""
    chosen = entries.select([name for name, _ in WALK_ORDER]).take(pa.array(rows))
    order: I64 = pc.sort_indices(chosen, sort_keys=WALK_ORDER).to_numpy().astype(np.int64)
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
