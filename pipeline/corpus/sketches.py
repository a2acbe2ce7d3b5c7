"""Sketch files: id, signature and shingle set of each text.

An Arrow IPC file, uncompressed, so that a reader maps it into memory and copies nothing. A text of
4 kB takes about 0.5 kB of signature and 5 kB of shingles.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from pipeline.corpus.minhash import N_PERM, U32, ShingleSets, shingle_sets, signatures

SKETCH = pa.schema(
    [
        ("id", pa.large_string()),
        ("signature", pa.list_(pa.uint32(), N_PERM)),
        ("shingles", pa.large_list(pa.uint64())),  # ascending, each once
    ]
)


class SketchWriter:
    """Writes one sketch file; a context manager."""

    def __init__(self, path: Path) -> None:
        self._writer = pa.ipc.new_file(path, SKETCH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, ids: Sequence[str], texts: Sequence[str]) -> list[int]:
        """Append the sketches of some texts; gives back how many shingles each has."""
        sets = shingle_sets(texts)
        signed = pa.array(signatures(sets).ravel(), pa.uint32())
        columns = [
            pa.array(ids, pa.large_string()),
            pa.FixedSizeListArray.from_arrays(signed, N_PERM),
            pa.LargeListArray.from_arrays(pa.array(sets.offsets), pa.array(sets.hashes)),
        ]
        self._writer.write_batch(pa.record_batch(columns, schema=SKETCH))
        counts: list[int] = np.diff(sets.offsets).tolist()
        return counts


def read_ids(paths: Sequence[Path]) -> pa.ChunkedArray:
    """The ids of all texts of some sketch files, in their order."""
    columns = [batch.column("id") for path in paths for batch in _batches(path)]
    return pa.chunked_array(columns, pa.large_string())


def read_sketches(path: Path) -> Iterator[tuple[U32, ShingleSets]]:
    """Signatures (texts, 128) and shingle sets, batch by batch, as views of the mapped file."""
    for batch in _batches(path):
        shingles = batch.column("shingles")
        sets = ShingleSets(shingles.values.to_numpy(), shingles.offsets.to_numpy())
        yield batch.column("signature").values.to_numpy().reshape(-1, N_PERM), sets


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    for number in range(reader.num_record_batches):
        yield reader.get_batch(number)
