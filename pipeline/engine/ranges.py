"""The file of a map part: its rows in the order of their buckets, so that each bucket is one range.

    range     cell cell …     all rows of one bucket
    cell      xxh3_64 of the messages, their length (8 bytes each, little endian), messages
    messages  Arrow IPC record batches without their schema, about FLUSH_BYTES of the part's rows

A bucket is the first bits of its keys' hashes, so a file in 64 buckets serves 16 too: four
neighbours are one range. Of a file in fewer buckets than are asked for, a range holds others' rows,
which its reader leaves out. A record says no more of its file than the length of each range, and
cells are copied as they are where map parts are joined (joins.py).
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import xxhash

from pipeline.engine.exchange import IPC_OPTIONS, Batches, bucket_of, partition
from pipeline.engine.store import Store

# Rows are gathered until so many bytes before they are cut into buckets: one cell a bucket then.
FLUSH_BYTES = 16 << 20
READ_BYTES = 32 << 20  # of a file that is not mapped into memory: one request each
HEADER = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class MapPart:
    """A map part as its record tells of it: its table, the lengths of its ranges, its rows."""

    table: str
    lengths: str  # in bytes, one a bucket, with spaces between
    digest: str
    rows: int

    @property
    def buckets(self) -> int:
        """How many buckets its rows are in."""
        return self.lengths.count(" ") + 1


class Place(NamedTuple):
    """Where a map part keeps the rows of a bucket; `whole` unless others' rows lie there too."""

    table: str
    start: int
    end: int
    whole: bool


@dataclass(frozen=True)
class Bucket:
    """One of `buckets` of an exchange by `key`; the schemas are those of its inputs, by name."""

    number: int
    buckets: int
    key: str
    schemas: Mapping[str, pa.Schema]

    def read(self, store: Store, map_parts: Mapping[str, Sequence[MapPart]]) -> Batches:
        """The bucket's rows in the map parts of all inputs."""
        for name in self.schemas:
            for part in map_parts[name]:
                for _, place in places(part, [self.number], self.buckets):
                    for cell in read_range(store, place):
                        yield from self.rows_of(name, cell, place.whole)

    def rows_of(self, name: str, cell: pa.Buffer, whole: bool) -> Batches:
        """The bucket's rows in a cell of the input `name`; `whole`: it has no others."""
        for batch in _batches(cell, self.schemas[name]):
            if not whole:
                mine = bucket_of(batch[self.key], self.buckets) == self.number
                batch = batch.filter(pa.array(mine))
            yield name, batch


def places(part: MapPart, numbers: Iterable[int], buckets: int) -> Iterator[tuple[int, Place]]:
    """Where a map part keeps these of so many buckets, if it has any rows of theirs."""
    ends = list(accumulate(map(int, part.lengths.split()), initial=0))
    held = len(ends) - 1
    for number in numbers:
        first, last = number * held // buckets, -(-(number + 1) * held // buckets)
        if ends[first] < ends[last]:
            yield number, Place(part.table, ends[first], ends[last], held >= buckets)


def read_range(store: Store, place: Place) -> Iterator[pa.Buffer]:
    """The cells of a range; StageError names the file and the bytes that are damaged."""
    with store.sound(place.table), store.map(place.table) as file:
        yield from _cells(store, place.table, _from(file, place.start, place.end), *place[1:3])


def read_rows(store: Store, table: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """All rows of a map part; StageError names the file and the bytes that are damaged."""
    with store.sound(table), store.map(table) as file:
        end = file.size()
        for cell in _cells(store, table, _from(file, 0, end), 0, end):
            yield from _batches(cell, schema)


def _batches(cell: pa.Buffer, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    reader = pa.BufferReader(cell)
    while reader.tell() < reader.size():
        yield pa.ipc.read_record_batch(pa.ipc.read_message(reader), schema)


def _from(file: pa.NativeFile, start: int, end: int) -> pa.NativeFile:
    """A file at the start of what is read of it: few requests where each costs."""
    file.seek(start)
    mapped = isinstance(file, pa.MemoryMappedFile)
    return file if mapped else pa.BufferedInputStream(file, max(1, min(end - start, READ_BYTES)))


def _cells(
    store: Store, name: str, file: pa.NativeFile, start: int, end: int
) -> Iterator[pa.Buffer]:
    while start < end:
        header = file.read(HEADER.size)
        checksum, length = HEADER.unpack(header) if len(header) == HEADER.size else (0, end)
        behind = start + HEADER.size + length
        cell = file.read_buffer(length) if behind <= end else b""
        if len(cell) != length or xxhash.xxh3_64_intdigest(cell) != checksum:
            raise store.damaged(name, f"bytes {start} to {min(behind, end)}")
        yield cell
        start = behind


class BucketWriter:
    """The map side: rows, or whole map parts, to one file in the order of buckets."""

    def __init__(self, path: Path, schema: pa.Schema, key: str, buckets: int) -> None:
        self._path, self._key, self._buckets = path, key, buckets
        self._aside = path.with_name(f"{path.name}.aside")
        self._file = pa.OSFile(str(self._aside), "wb")
        self._writer = pa.ipc.new_stream(self._file, schema, options=IPC_OPTIONS)
        # The schema is written before the first batch: cells begin behind it.
        self._writer.write_batch(pa.RecordBatch.from_pylist([], schema))
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._cells: list[list[tuple[int, int]]] = [[] for _ in range(buckets)]
        self._lengths: list[int] = []

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        self._bytes += table.nbytes
        if self._bytes >= FLUSH_BYTES:
            self._flush()

    def join(self, store: Store, part: MapPart) -> None:
        """Add a map part, whose buckets are as many as this file's, or more."""
        lengths = list(map(int, part.lengths.split()))
        start = 0
        with store.sound(part.table), store.open(part.table) as file:
            whole = _from(file, 0, sum(lengths))
            for number, length in enumerate(lengths):
                for cell in _cells(store, part.table, whole, start, start + length):
                    begin = self._file.tell()
                    self._file.write(cell)
                    self._note(number * self._buckets // len(lengths), begin)
                start += length

    def close(self) -> tuple[str, list[list[int]]]:
        """Put the file in order; the lengths of its ranges, as a record has them.

        No row groups: the other kind of table has those.
        """
        if not self._file.closed:
            self._flush()
            self._writer.close()
            self._file.close()
            self._order()
            self._aside.unlink()
        return " ".join(map(str, self._lengths)), []

    def leave(self) -> None:
        """Close what is open; the file is of no use."""
        self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.concat_tables(self._waiting)
            self._waiting, self._bytes = [], 0
            for bucket, rows in partition(table, self._key, self._buckets):
                begin = self._file.tell()
                for batch in rows.combine_chunks().to_batches():
                    self._writer.write_batch(batch)
                self._note(bucket, begin)

    def _note(self, bucket: int, begin: int) -> None:
        self._cells[bucket].append((begin, self._file.tell()))

    def _order(self) -> None:
        with self._aside.open("rb") as source, self._path.open("wb") as target:
            for cells in self._cells:
                began = target.tell()
                for start, end in cells:
                    source.seek(start)
                    cell = source.read(end - start)
                    target.write(HEADER.pack(xxhash.xxh3_64_intdigest(cell), len(cell)))
                    target.write(cell)
                self._lengths.append(target.tell() - began)
