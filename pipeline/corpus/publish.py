"""Documents and decisions to the corpus: kept rows, drops with a reason, and a dataset card."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.corpus.decide import DECISION
from pipeline.corpus.edit import COUNTS
from pipeline.errors import StageError
from pipeline.reasons import Reason
from pipeline.records import CORPUS

ID = pa.binary(32)  # hexadecimal digits
_NUMBER = r"([0-9.]+)"
_DETAIL = re.compile(
    rf"keeper ([0-9a-f]{{32}})(?:, Jaccard {_NUMBER})?(?:, containment {_NUMBER})?"
    rf"(?:, coverage {_NUMBER}(?: with ([0-9a-f ]+))?)?"
)


class Copy(NamedTuple):
    """What a drop's detail says of a copy; a measure that it does not tell is None.

    All are None for the same URL: the texts were not compared.
    """

    keeper: str
    jaccard: float | None
    containment: float | None = None
    coverage: float | None = None
    others: tuple[str, ...] = ()  # ids of the documents that have the rest of the coverage

    @property
    def likeness(self) -> float | None:
        """The number by which it was decided."""
        return next((n for n in self[3:0:-1] if n is not None), None)


class Decisions:
    """Decisions by id, from a file that is mapped into memory and searched, never read whole."""

    def __init__(self, path: Path) -> None:
        self._table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self._ids = _digits(self._table["id"])

    @staticmethod
    def write(decisions: pa.Table, path: Path) -> None:
        """Write decisions in the order of their ids, which have 32 digits each."""
        decisions = decisions.set_column(0, "id", decisions["id"].cast(ID)).combine_chunks()
        with pa.ipc.new_file(path, decisions.schema) as writer:
            writer.write_table(decisions)

    def of(self, ids: pa.ChunkedArray) -> pa.Table:
        """The decisions on these documents, in their order; every id must have one."""
        wanted = _digits(ids)
        rows = np.searchsorted(self._ids, wanted)
        rows[rows == len(self._ids)] = 0
        if len(wanted) and not (len(self._ids) and (self._ids[rows] == wanted).all()):
            raise StageError("a document has no decision; this is a defect of webtext")
        return self._table.take(pa.array(rows)).set_column(0, DECISION.field("id"), ids)


def kept_rows(documents: pa.Table, decisions: pa.Table) -> pa.Table:
    """The documents that the corpus holds."""
    kept = pc.equal(decisions["reason"], "")
    rows = documents.append_column("copies", decisions["copies"]).filter(kept)
    for name in COUNTS:  # edit.py fills them
        rows = rows.append_column(name, pa.repeat(pa.scalar(0, pa.int64()), rows.num_rows))
    return rows.select(CORPUS.names).cast(CORPUS)


def dropped_rows(
    documents: pa.Table, decisions: pa.Table, measure: str = "jaccard"
) -> list[dict[str, Any]]:
    """Id, URL, reason and detail of the documents that it does not."""
    dropped = pc.not_equal(decisions["reason"], "")
    urls = documents["url"].filter(dropped).to_pylist()
    return [
        {
            "id": row["id"],
            "url": url,
            "reason": Reason(row["reason"]),
            "detail": copy_detail(row, measure) if row["keeper"] else row["detail"],
        }
        for url, row in zip(urls, decisions.filter(dropped).to_pylist(), strict=True)
    ]


def copy_detail(decision: dict[str, Any], measure: str = "jaccard") -> str:
    """ "keeper ID, Jaccard 0.8123", and why the keeper is itself left out; see `read_detail`.

    By containment and coverage "keeper ID, containment 0.7012, coverage 0.9123 with ID ID".
    """
    detail = f"keeper {decision['keeper']}"
    shown = {"jaccard": ["jaccard"], "containment": ["containment"]}
    for name in shown.get(measure, ["containment", "coverage"]):
        if decision[name] is not None:
            detail += f", {name.replace('jaccard', 'Jaccard')} {decision[name]:.4f}"
    if decision["others"]:
        detail += f" with {' '.join(decision['others'])}"
    if decision["shadow_reason"]:
        detail += f"; the keeper is left out itself: {decision['shadow_reason']}"
    return detail


def read_detail(detail: str) -> Copy | None:
    """Keeper and likeness from the detail of a dropped copy; None for any other detail."""
    found = _DETAIL.match(detail)
    if not found:
        return None
    jaccard, containment, coverage = (
        float(number) if number else None for number in found.groups()[1:4]
    )
    return Copy(found[1], jaccard, containment, coverage, tuple((found[5] or "").split()))


def card(rows: int, settings: Mapping[str, Any], origin: str = "") -> str:
    """The dataset card: it names the files that `datasets.load_dataset(folder)` must read.

    `settings` have their full names; `origin` is Markdown on what the documents come from.
    """
    rules = "\n".join(f"- `{name}`: {value}" for name, value in sorted(settings.items()))
    origin = f"\n## Where it comes from\n\n{origin}\n" if origin else ""
    columns = "\n".join(f"- `{column.name}`: {column.type}" for column in CORPUS)
    return f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: part-*.parquet
---

# A WebText corpus

{rows:,} documents that Reddit submissions link to, each text once.
Made by `webtext` from submission dumps and captured pages; the texts belong to their authors.

    datasets.load_dataset("this/folder", split="train")

`webtext look this/folder --drops` shows what was left out, and why.
{origin}
## Rules

{rules}

## Columns

{columns}
"""


def _digits(ids: pa.ChunkedArray) -> NDArray[np.bytes_]:
    """Ids of 32 hexadecimal digits as one array that sorts as they do, not copied if mapped."""
    column = ids.cast(ID).combine_chunks()
    digits = np.frombuffer(column.buffers()[1] or b"", "S32")
    return digits[column.offset : column.offset + len(column)]
