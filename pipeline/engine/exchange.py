"""Exchange: brings rows with equal keys together, for tables of any size.

    rows -> bucket = xxh3_64(key) mod a power of two -> reduce(table sorted by key) -> table

The map side of an exchange writes one Arrow file a part in which each record batch holds the rows
of one bucket, and the record says which batch is whose. That file is durable, so a kill loses no
map part. Two transports bring a bucket's batches to its reducer: `files` reads them where they lie
(the embedded runner, whose own GroupByKey lives in memory), `shuffle` sends them as Arrow IPC
bytes through the runner's GroupByKey (a distributed engine; see runner.py). Partition, sort and
reduce are the same code for both. A bucket that outgrows memory is reduced in slices, by further
bits of the same hash.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.engine.digest import BATCH_ROWS, encode
from pipeline.engine.store import Store

# Rows are gathered until so many bytes before they are cut into buckets: one batch a bucket then.
FLUSH_BYTES = 16 << 20
IPC_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")

Batches = Iterable[tuple[str, pa.RecordBatch]]  # the input's name, rows of one bucket
# Where a map part's rows of one bucket lie: batches as [number in the file, rows, bytes in memory,
# start and end in the file, xxh3_64 of what is between them].
Where = list[list[int]]
Index = dict[str, Where]  # by bucket


@dataclass(frozen=True)
class Exchange:
    """Declares that a step's rows go to a reduce step, partitioned by this column."""

    key: str


class BucketWriter:
    """The map side: rows to one Arrow file, cut into a batch a bucket."""

    def __init__(self, path: Path, schema: pa.Schema, exchange: Exchange, buckets: int) -> None:
        self._path = path
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, schema, options=IPC_OPTIONS)
        self._key = exchange.key
        self._buckets = buckets
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._batches = 0
        self._index: Index = {}
        self._open = True

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        self._bytes += table.nbytes
        if self._bytes >= FLUSH_BYTES:
            self._flush()

    def close(self) -> tuple[Index, list[list[int]]]:
        """The index, and no row groups: the other kind of table has those."""
        if self._open:
            self._flush()
            self._writer.close()
            self._file.close()
            self._open = False
            with pa.memory_map(str(self._path)) as file:
                for where in self._index.values():
                    for batch in where:
                        batch.append(_checksum(file, *batch[3:]))
        return self._index, []

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        self._waiting, self._bytes = [], 0
        for bucket, rows in partition(table, self._key, self._buckets):
            batch = rows.combine_chunks().to_batches()[0]
            start = self._file.tell()
            self._writer.write_batch(batch)
            self._index.setdefault(str(bucket), []).append(
                [self._batches, batch.num_rows, batch.nbytes, start, self._file.tell()]
            )
            self._batches += 1


def hash_keys(column: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """xxh3_64 of each key (a string, bytes, or an integer by its decimal digits)."""
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    keys = column.cast(pa.binary())
    chunks = (keys.slice(start, BATCH_ROWS) for start in range(0, len(keys), BATCH_ROWS))
    hashes = (xxhash.xxh3_64_intdigest(key) for chunk in chunks for key in chunk.to_pylist())
    return np.fromiter(hashes, dtype=np.uint64, count=len(keys))


def partition(table: pa.Table, key: str, buckets: int) -> Iterator[tuple[int, pa.Table]]:
    """The rows of each bucket that has any, in bucket order; order within a bucket is kept."""
    if table.num_rows == 0:
        return
    numbers = (hash_keys(table[key]) & np.uint64(buckets - 1)).astype(np.int64)
    order = np.argsort(numbers, kind="stable")
    cuts = np.searchsorted(numbers[order], np.arange(buckets + 1))
    table = table.take(pa.array(order))
    for bucket in range(buckets):
        if cuts[bucket] < cuts[bucket + 1]:
            yield bucket, table.slice(cuts[bucket], cuts[bucket + 1] - cuts[bucket])


def slices(
    batches: Callable[[], Batches],
    schemas: dict[str, pa.Schema],
    key: str,
    bucket_bytes: int,
    bytes_max: int,
) -> Iterator[dict[str, pa.Table]]:
    """A bucket's rows by input name, sorted, in as many slices as keep each under `bytes_max`.

    `batches` is called once a slice. All rows with one key are in one slice. Within a slice rows
    are sorted by key, then by all other columns, so nothing downstream depends on their order.
    """
    count = 1
    while bucket_bytes > count * bytes_max:
        count *= 2
    for number in range(count):
        found: dict[str, list[pa.Table]] = {name: [] for name in schemas}
        for name, batch in batches():
            table = pa.Table.from_batches([batch])
            if count > 1:
                bits = (hash_keys(table[key]) >> np.uint64(32)) & np.uint64(count - 1)
                table = table.filter(pa.array(bits == number))
            found[name].append(table)
        # Popped, so that no bucket is held twice while it is reduced.
        yield {
            name: _sorted(pa.concat_tables(found.pop(name) or [schema.empty_table()]), key)
            for name, schema in schemas.items()
        }


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


def read_batches(store: Store, name: str, where: Where) -> Iterator[pa.RecordBatch]:
    """Batches of a map part's file."""
    if where:
        with store.sound(name), store.map(name) as source:
            reader = pa.ipc.open_file(source)
            for number, _, _, start, end, checksum in where:
                if _checksum(source, start, end) != checksum:
                    raise store.damaged(name, "")
                yield reader.get_batch(number)


def _checksum(file: pa.NativeFile, start: int, end: int) -> int:
    return xxhash.xxh3_64_intdigest(file.read_at(end - start, start))


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch as one Arrow IPC stream, for a runner's shuffle."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=IPC_OPTIONS) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def from_bytes(data: bytes) -> Iterator[pa.RecordBatch]:
    """The reverse of `to_bytes`."""
    yield from pa.ipc.open_stream(data)
