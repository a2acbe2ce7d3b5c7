"""What `dedup` writes of each text: a decision, and a MinHash signature where it is asked for."""

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.corpus.minhash import N_PERM, signatures
from pipeline.corpus.sketches import read_sets
from pipeline.row_files import TableWriter, is_parquet, packed, put_in_place

ROWS_AT_ONCE = 8192  # of decisions that become Parquet
# In the file's schema: how datasketch makes the same permutations. Its hash of a shingle is the
# upper half of ours (minhash.py), which `minhash.signature` takes of a text.
SIGNATURES_ARE = {"minhash": f"datasketch.MinHash(num_perm={N_PERM}, seed=1, scheme='affine32')"}


class Decision(msgspec.Struct):
    """What becomes of a row: it is kept, or names the text that it copies, or a reason."""

    id: str | int
    keep: bool
    keeper: str | int | None = None
    jaccard: float | None = None
    containment: float | None = None
    coverage: float | None = None
    others: list[str | int] | None = None
    reason: str | None = None


def write_decisions(target: Path, lines: Iterable[Decision], id_type: pa.DataType) -> "array[int]":
    """Write the decisions; a 1 for each row that is kept, else a 0."""
    keep = array("b")

    def booked() -> Iterator[Decision]:
        for line in lines:
            keep.append(line.keep)
            yield line

    with put_in_place(target) as aside:
        if is_parquet(target):
            _write_table(aside, booked(), id_type)
        else:
            with packed(aside, target.name) as file:
                for line in booked():
                    file.write(msgspec.json.encode(line) + b"\n")
    return keep


def _write_table(path: Path, lines: Iterator[Decision], id_type: pa.DataType) -> None:
    likeness = [pa.float64()] * 3
    types = [id_type, pa.bool_(), id_type, *likeness, pa.list_(id_type), pa.string()]
    schema = pa.schema(list(zip(Decision.__struct_fields__, types, strict=True)))
    with TableWriter(path, schema) as writer:
        while batch := list(islice(lines, ROWS_AT_ONCE)):
            columns = zip(*map(msgspec.structs.astuple, batch), strict=True)
            arrays = [
                _ids(values, type) if type == id_type else pa.array(values, type)
                for values, type in zip(columns, types, strict=True)
            ]
            writer.write(pa.table(arrays, schema=schema))


def _ids(values: Iterable[Any], type: pa.DataType) -> pa.Array:
    if pa.types.is_string(type):
        values = [None if value is None else str(value) for value in values]
    return pa.array(values, type)


def write_signatures(
    target: Path, sketches: Path, ids: Iterator[str | int], id_type: pa.DataType
) -> None:
    """The MinHash signatures of the texts, in their order, whether they are kept or not."""
    signature = pa.list_(pa.uint32(), N_PERM)
    schema = pa.schema([("id", id_type), ("signature", signature)], SIGNATURES_ARE)
    with put_in_place(target) as aside, TableWriter(aside, schema) as writer:
        for sets in read_sets(sketches):
            signed = pa.array(signatures(sets).ravel())
            values = pa.FixedSizeListArray.from_arrays(signed, N_PERM)
            names = _ids(islice(ids, len(sets)), id_type)
            writer.write(pa.table([names, values], schema=schema))
