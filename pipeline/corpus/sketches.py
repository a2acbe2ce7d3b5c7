"""Sketch files: id, shingle set and some 8-grams of each text.

An Arrow IPC file, uncompressed, so that a reader maps it into memory and copies nothing. A text of
4 kB takes about 5 kB of shingles and 0.3 kB of 8-grams.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from pipeline.corpus.loss import gram_sets
from pipeline.corpus.shingles import I64, ShingleSets, counted_sets

HASHES = pa.large_list(pa.uint64())
SKETCH = pa.schema(
    [
        ("id", pa.large_string()),
        ("shingles", HASHES),  # ascending, each once
        ("grams", HASHES),  # of loss.py, one in ONE_IN
    ]
)
# Of a text's shingles, those that stood there before: above this share it repeats itself. Gopher's
# limit for 5-grams is 0.15 of the characters (Rae and others, 2021, table A1); of 8,000 texts of
# data/neardup 200 are above 0.2, lists of products above all.
REPEATED_MAX = 0.2


class Counted(NamedTuple):
    """Of each text: its distinct shingles, and whether it repeats itself."""

    shingles: list[int]
    repetitive: list[bool]


class SketchWriter:
    """Writes one sketch file; a context manager."""

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(path, SKETCH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, ids: Sequence[str], texts: Sequence[str]) -> Counted:
        """Append the sketches of some texts."""
        sets, with_repeats = counted_sets(texts)
        columns = [pa.array(ids, pa.large_string()), _lists(sets), _lists(gram_sets(texts))]
        self._writer.write_batch(pa.record_batch(columns, schema=SKETCH))
        distinct: I64 = np.diff(sets.offsets)
        repetitive = with_repeats - distinct > REPEATED_MAX * with_repeats
        return Counted(distinct.tolist(), repetitive.tolist())


def read_ids(paths: Sequence[Path]) -> pa.ChunkedArray:
    """The ids of all texts of some sketch files, in their order."""
    columns = [batch.column("id") for path in paths for batch in _batches(path)]
    return pa.chunked_array(columns, pa.large_string())


def read_sets(path: Path, column: str = "shingles") -> Iterator[ShingleSets]:
    """Shingle sets, or the other column, batch by batch, as views of the mapped file."""
    for batch in _batches(path):
        lists = batch.column(column)
        yield ShingleSets(lists.values.to_numpy(), lists.offsets.to_numpy())


def _lists(sets: ShingleSets) -> pa.Array:
    return pa.LargeListArray.from_arrays(pa.array(sets.offsets), pa.array(sets.hashes))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)
