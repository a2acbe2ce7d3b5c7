"""Exchange: brings rows with equal keys together, for tables of any size.

    rows -> bucket = first bits of xxh3_64(key) -> reduce(table sorted by key) -> table

The map side of an exchange writes its rows in the order of buckets (ranges.py). That file is
durable, so a kill loses no map part. Two transports bring a bucket's ranges to its reducer: `files`
reads them where they lie (the embedded runner, whose own GroupByKey lives in memory), `shuffle`
sends them through the runner's GroupByKey (a distributed engine; see runner.py). Partition, sort
and reduce are the same code for both.

A bucket that outgrows memory is cut by further bits of the hash: its rows are read once, go to
files of this machine, and each cut is reduced by itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.engine.digest import BATCH_ROWS, encode
from pipeline.settings import EngineSettings

IPC_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")
CUT_BITS = 4  # a bucket that is too large comes in 16 cuts; one of these, again
CUTS_DEEP = 3  # 4,096 cuts of a bucket: what is still too large then is nearly one key
CUT_BYTES = 16 << 20  # of rows that are cut at once

Batches = Iterable[tuple[str, pa.RecordBatch]]  # the input's name, rows of one bucket
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Exchange:
    """Declares that a step's rows go to a reduce step, partitioned by this column."""

    key: str


def shuffles(engine: EngineSettings) -> bool:
    """Whether the runner's own shuffle brings rows together, not files."""
    # Dask's own shuffle plans by map parts x map parts: 16 s for 300, before it starts.
    by_itself = engine.exchange == "auto" and engine.runner not in ("local", "dask")
    return engine.exchange == "shuffle" or by_itself


def hash_keys(column: pa.Array | pa.ChunkedArray) -> Hashes:
    """xxh3_64 of each key (a string, bytes, or an integer by its decimal digits)."""
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    keys = column.cast(pa.binary())
    chunks = (keys.slice(start, BATCH_ROWS) for start in range(0, len(keys), BATCH_ROWS))
    hashes = (xxhash.xxh3_64_intdigest(key) for chunk in chunks for key in chunk.to_pylist())
    return np.fromiter(hashes, dtype=np.uint64, count=len(keys))


def bucket_of(column: pa.Array | pa.ChunkedArray, buckets: int) -> npt.NDArray[np.uint32]:
    """The bucket of each key, of a power of two of them: the first bits of its hash."""
    bits = buckets.bit_length() - 1
    return ((hash_keys(column) >> np.uint64(32)) >> np.uint64(32 - bits)).astype(np.uint32)


def partition(table: pa.Table, key: str, buckets: int) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each bucket that has any, in bucket order; order within a bucket is kept."""
    return _grouped(table, bucket_of(table[key], buckets), buckets)


def _grouped(
    table: pa.Table, numbers: npt.NDArray[np.uint32], groups: int
) -> Iterator[tuple[int, pa.Table]]:
    small = numbers.astype(
        np.uint16 if groups <= 1 << 16 else np.uint32
    )  # the first sorts by radix
    order = np.argsort(small, kind="stable")
    cuts = np.searchsorted(small[order], np.arange(groups + 1))
    table = table.take(pa.array(order))
    for group in range(groups):
        if cuts[group] < cuts[group + 1]:
            yield group, table.slice(cuts[group], cuts[group + 1] - cuts[group])


def slices(
    batches: Batches,
    schemas: Mapping[str, pa.Schema],
    key: str,
    bytes_max: int,
    scratch: Path,
    depth: int = 0,
) -> Iterator[dict[str, pa.Table]]:
    """A bucket's rows by input name, sorted: whole, or cut where it is larger than `bytes_max`.

    All rows with one key are in one slice. Within a slice rows are sorted by key, then by all other
    columns, so nothing downstream depends on their order. Cuts wait in `scratch`.
    """
    found: dict[str, list[pa.Table]] = {name: [] for name in schemas}
    held, cuts = 0, None
    for name, batch in batches:
        found[name].append(pa.Table.from_batches([batch]))
        held += batch.nbytes
        if held > (CUT_BYTES if cuts else bytes_max) and depth < CUTS_DEEP:
            cuts = cuts or _Cuts(scratch, schemas, key, depth)
            cuts.add(found)
            held = 0
    if cuts is None:
        # Popped, so that no bucket is held twice while it is reduced.
        yield {
            name: _sorted(pa.concat_tables(found.pop(name) or [schema.empty_table()]), key)
            for name, schema in schemas.items()
        }
        return
    cuts.add(found)
    for cut in cuts.each():
        yield from slices(cut, schemas, key, bytes_max, scratch, depth + 1)


class _Cuts:
    """Rows on their way to be reduced cut by cut, in a file for each cut and input."""

    def __init__(
        self, scratch: Path, schemas: Mapping[str, pa.Schema], key: str, depth: int
    ) -> None:
        self._scratch, self._schemas, self._key, self._depth = scratch, schemas, key, depth
        self._writers: dict[tuple[int, str], pa.ipc.RecordBatchStreamWriter] = {}

    def add(self, found: dict[str, list[pa.Table]]) -> None:
        """Take these rows, so that the lists are empty."""
        for name, tables in found.items():
            while tables:
                some = [tables.pop()]
                while tables and sum(table.nbytes for table in some) < CUT_BYTES:
                    some.append(tables.pop())
                self._write(name, pa.concat_tables(some))

    def _write(self, name: str, table: pa.Table) -> None:
        bits = np.uint64(CUT_BITS * self._depth)
        numbers = (hash_keys(table[self._key]) >> bits) & np.uint64((1 << CUT_BITS) - 1)
        for cut, rows in _grouped(table, numbers.astype(np.uint32), 1 << CUT_BITS):
            if (cut, name) not in self._writers:
                self._writers[cut, name] = pa.ipc.new_stream(
                    str(self._path(cut, name)), self._schemas[name], options=IPC_OPTIONS
                )
            self._writers[cut, name].write_table(rows.combine_chunks())

    def each(self) -> Iterator[Batches]:
        """The rows of each cut, which can be read once."""
        for writer in self._writers.values():
            writer.close()
        for cut in sorted({cut for cut, _ in self._writers}):
            yield self._read(cut)

    def _read(self, cut: int) -> Batches:
        for name in self._schemas:
            if (cut, name) in self._writers:
                path = self._path(cut, name)
                with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
                    for batch in reader:
                        yield name, batch
                path.unlink()

    def _path(self, cut: int, name: str) -> Path:
        return self._scratch / f"cut-{self._depth}-{cut}-{name}.arrow"


def _sorted(table: pa.Table, key: str) -> pa.Table:
    names = [key, *(name for name in table.column_names if name != key)]
    columns = {name: table[name] for name in names}
    for name in names:
        if pa.types.is_nested(columns[name].type):  # Arrow cannot sort these
            encoded = [encode(value) for value in columns[name].to_pylist()]
            columns[name] = pa.array(encoded, pa.large_binary())
    order = [(name, "ascending") for name in names]
    indices = pc.sort_indices(pa.table(columns), sort_keys=order)
    return table.take(indices).combine_chunks()
