"""One Parquet file of the index: its footer, the row groups that may hold links, and their rows.

Three reads, each only where the one before leaves something: the hosts of a row group (a hundredth
of its bytes), the URLs, and where the captures lie. Rows of a host that has links are compared by
key. Files of older crawls are not sorted, and those of Parquet before 1.10 tell no bounds of text,
so that all their row groups are read; `Plan` says how much that is.
"""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.pages.commoncrawl.ranges import Ranges, Span, merged
from pipeline.pages.commoncrawl.wanted import Bound, Wanted

SURT, HOST, URL = "url_surtkey", "url_host_name", "url"
# The columns of which captures are made, and as what. Those that a crawl lacks are null:
# content_truncated and fetch_redirect came with CC-MAIN-2019-47.
ROW = pa.schema(
    [
        ("key", pa.string()),
        ("url", pa.string()),
        ("fetch_time", pa.int64()),  # UTC seconds
        ("fetch_status", pa.int32()),
        ("fetch_redirect", pa.string()),
        ("content_digest", pa.string()),
        ("content_mime_type", pa.string()),
        ("content_truncated", pa.string()),
        ("warc_filename", pa.string()),
        ("warc_record_offset", pa.int64()),
        ("warc_record_length", pa.int64()),
    ]
)
_DETAILS = tuple(name for name in ROW.names if name not in ("key", "url"))
_NEEDED = (URL, "warc_filename", "warc_record_offset", "warc_record_length")
_FOOTER_BYTES = 64 << 10  # asked for at once; the files of a crawl have about 30 kB
_FOOTER_BYTES_MAX = 64 << 20
_CHUNK_BYTES_MAX = 2 << 30  # of a column in one row group
_GAP_BYTES = 1 << 20
_READ_BYTES_MAX = 64 << 20
_BATCH_ROWS = 1 << 17
_MAGIC = b"PAR1"
_MEND = "Get the index anew, or leave this crawl out (commoncrawl.crawls)"


@dataclass(frozen=True)
class IndexFile:
    """A file of the index whose footer is known."""

    name: str
    size: int
    footer: pq.FileMetaData
    columns: dict[str, int]  # number of each column that is read, by name

    def groups(self, wanted: Wanted) -> list[int]:
        """The row groups that may hold a wanted URL."""
        bounds = (self._bounds(group) for group in range(self.footer.num_row_groups))
        return [
            group
            for group, (surts, names) in enumerate(bounds)
            if wanted.may_be_between(*surts) and wanted.may_be_named_between(*names)
        ]

    def has_bounds(self) -> bool:
        """Whether each row group tells between which hosts its rows lie."""
        bounds = [self._bounds(group) for group in range(self.footer.num_row_groups)]
        return all(surts[0] is not None or names[0] is not None for surts, names in bounds)

    def bytes_of(self, group: int, columns: Sequence[str] | None = None) -> int:
        """The bytes of these columns of a row group; None: of all columns that can be read."""
        chosen = self.columns if columns is None else [c for c in columns if c in self.columns]
        return sum(self._span(group, name).length for name in chosen if name != SURT)

    def spans(self, group: int, columns: Sequence[str]) -> list[Span[str]]:
        """Where these columns of a row group lie; raises InputError if that can not be."""
        return [self._span(group, name) for name in columns if name in self.columns]

    def _span(self, group: int, column: str) -> Span[str]:
        chunk = self.footer.row_group(group).column(self.columns[column])
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
            start = min(start, chunk.dictionary_page_offset) or start
        length = chunk.total_compressed_size
        if not (start > 0 and 0 <= length <= _CHUNK_BYTES_MAX and start + length <= self.size):
            told = f"column {column} lies at {start} with {length} bytes, in a file of {self.size}"
            raise InputError(self.name, f"row group {group}", told, _MEND)
        return Span(start, length, column)

    def _bounds(self, group: int) -> tuple[tuple[Bound, Bound], tuple[Bound, Bound]]:
        """Lowest and highest `url_surtkey`, and `url_host_name`, of a row group."""
        found: list[tuple[Bound, Bound]] = []
        for name in (SURT, HOST):
            low = high = None
            if name in self.columns:
                told = self.footer.row_group(group).column(self.columns[name]).statistics
                if told is not None and told.has_min_max:
                    low, high = told.min, told.max
            found.append((low, high))
        return found[0], found[1]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a search of an index reads: `bytes_max` where every row group has candidates."""

    files: int = 0
    groups: int = 0
    groups_of: int = 0  # all row groups of these files
    bytes_min: int = 0  # the hosts of the chosen row groups, without which nothing can be told
    bytes_max: int = 0
    bytes_of: int = 0  # of these files
    unbounded: int = 0  # files that do not tell their bounds: all of their row groups are read

    def __add__(self, other: "Plan") -> "Plan":
        return Plan(*(getattr(self, f) + getattr(other, f) for f in Plan.__slots__))


def plan_of(file: IndexFile, wanted: Wanted) -> Plan:
    """What a search for these URLs reads of a file, footer aside."""
    groups = file.groups(wanted)
    first = (HOST,) if HOST in file.columns else (URL,)
    return Plan(
        files=1,
        groups=len(groups),
        groups_of=file.footer.num_row_groups,
        bytes_min=sum(file.bytes_of(group, first) for group in groups),
        bytes_max=sum(file.bytes_of(group) for group in groups),
        bytes_of=file.size,
        unbounded=int(not file.has_bounds()),
    )


async def open_index(ranges: Ranges, name: str) -> IndexFile:
    """Read the footer of a file; InputError if it is none of the index. Raises ReadFailed."""
    tail = await ranges.tail(name, _FOOTER_BYTES)
    length = int.from_bytes(tail.data[-8:-4], "little")
    if tail.data[-4:] != _MAGIC or length + 8 > min(tail.size, _FOOTER_BYTES_MAX):
        raise InputError(name, "its end", "this is no whole Parquet file", _MEND)
    data = tail.data
    if length + 8 > len(data):
        data = (await ranges.tail(name, length + 8)).data
    try:
        footer = pq.read_metadata(pa.BufferReader(_MAGIC + data[-length - 8 :]))
    except (pa.ArrowException, OSError) as error:
        raise InputError(name, "its footer", f"it cannot be read: {error}", _MEND) from None
    paths = [footer.schema.column(number).path for number in range(footer.num_columns)]
    known = {SURT, HOST, URL, *_DETAILS}
    columns = {path: number for number, path in enumerate(paths) if path in known}
    if missing := [column for column in _NEEDED if column not in columns]:
        told = f"it has no column {missing[0]}, so it is no index in Common Crawl's flat schema"
        raise InputError(name, "its footer", told, _MEND)
    return IndexFile(name, tail.size, footer, columns)


async def search(ranges: Ranges, file: IndexFile, group: int, wanted: Wanted) -> pa.Table:
    """The rows (ROW) of a row group that have a wanted key.

    Raises InputError where the file is damaged, ReadFailed where it cannot be read.
    """
    reader = _GroupReader(ranges, file, group)
    total = file.footer.row_group(group).num_rows
    mask, hosts = np.ones(total, bool), None
    if HOST in file.columns:
        await reader.load([HOST])
        mask, hosts = await asyncio.to_thread(_rows_of_hosts, reader, wanted, total)
        if not mask.any():
            return ROW.empty_table()
    await reader.load([URL])
    rows, keys, urls = await asyncio.to_thread(_matches, reader, wanted, mask, hosts)
    if not len(rows):
        return ROW.empty_table()
    await reader.load(_DETAILS)
    return await asyncio.to_thread(_details, reader, rows, keys, urls)


def _rows_of_hosts(
    reader: "_GroupReader", wanted: Wanted, total: int
) -> tuple[np.ndarray, list[str]]:
    """Which rows have a host with links, and what these hosts are."""
    mask = np.zeros(total, bool)
    hosts: set[str] = set()
    at = 0
    for batch in reader.batches([HOST], as_dictionary=True):
        column = batch.column(0)
        is_wanted, found = wanted.hosts_among(column.dictionary.cast(pa.string()).to_pylist())
        hosts.update(found)
        indices = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        mask[at : at + len(batch)] = np.append(is_wanted, False)[indices]
        at += len(batch)
    return mask, sorted(hosts)


def _matches(
    reader: "_GroupReader", wanted: Wanted, mask: np.ndarray, hosts: list[str] | None
) -> tuple[np.ndarray, pa.Array, pa.Array]:
    """The numbers of the rows that have a wanted key, the keys and the URLs."""
    rows, keys, urls = [], [], []
    at = 0
    for batch in reader.batches([URL]):
        chosen = np.flatnonzero(mask[at : at + len(batch)])
        if len(chosen):
            candidates = batch.column(0).take(pa.array(chosen)).cast(pa.string())
            chosen, candidates = _without_null(chosen, candidates)
            found, keys_found = wanted.matches(candidates, hosts)
            rows.append(at + chosen[found.to_numpy()])
            keys.append(keys_found)
            urls.append(candidates.take(found))
        at += len(batch)
    if not rows:
        return np.zeros(0, int), pa.array([], pa.string()), pa.array([], pa.string())
    return np.concatenate(rows), pa.concat_arrays(keys), pa.concat_arrays(urls)


def _without_null(rows: np.ndarray, values: pa.Array) -> tuple[np.ndarray, pa.Array]:
    if not values.null_count:
        return rows, values
    told = values.is_valid()
    return rows[told.to_numpy(zero_copy_only=False)], values.filter(told)


def _details(reader: "_GroupReader", rows: np.ndarray, keys: pa.Array, urls: pa.Array) -> pa.Table:
    columns = {"key": keys, "url": urls}
    for field in ROW:
        if field.name in columns:
            continue
        if field.name not in reader.file.columns:
            columns[field.name] = pa.nulls(len(rows), field.type)
            continue
        column = reader.column(field.name).take(pa.array(rows)).combine_chunks()
        columns[field.name] = reader.as_type(column, field)
    return pa.table(columns, schema=ROW)


class _GroupReader:
    """The columns of one row group, from bytes that were read by ranges."""

    def __init__(self, ranges: Ranges, file: IndexFile, group: int) -> None:
        self.file, self._ranges, self._group = file, ranges, group
        self._pieces: dict[int, bytes] = {}

    async def load(self, columns: Sequence[str]) -> None:
        """Read the bytes of these columns, those of others are let go."""
        self._pieces = {}
        spans = self.file.spans(self._group, columns)
        groups = merged(spans, _GAP_BYTES, _READ_BYTES_MAX)
        starts = [group[0].start for group in groups]
        ends = [max(span.end for span in group) for group in groups]
        reads = (
            self._ranges.read(self.file.name, start, end - start)
            for start, end in zip(starts, ends, strict=True)
        )
        self._pieces = dict(zip(starts, await asyncio.gather(*reads), strict=True))

    def batches(self, columns: list[str], *, as_dictionary: bool = False) -> Any:
        """The rows of these columns, some at a time; raises InputError where they are damaged."""
        opened = self._opened(columns if as_dictionary else [])
        try:
            yield from opened.iter_batches(_BATCH_ROWS, row_groups=[self._group], columns=columns)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None

    def column(self, name: str) -> pa.ChunkedArray:
        """All of a column; raises InputError where it is damaged."""
        try:
            return self._opened([]).read_row_group(self._group, columns=[name]).column(0)
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error) from None

    def as_type(self, column: pa.Array, field: pa.Field) -> pa.Array:
        """The column as what ROW has; raises InputError if it is something else."""
        try:
            if pa.types.is_timestamp(column.type):
                column = column.cast(pa.timestamp("s", column.type.tz), safe=False)
            return column.cast(field.type)
        except pa.ArrowException as error:
            raise self._damaged(f"column {field.name}: {error}") from None

    def _opened(self, as_dictionary: list[str]) -> pq.ParquetFile:
        source = pa.PythonFile(_Pieces(self._pieces, self.file.size), "r")
        return pq.ParquetFile(source, metadata=self.file.footer, read_dictionary=as_dictionary)

    def _damaged(self, problem: object) -> InputError:
        told = " ".join(str(problem).split())
        return InputError(self.file.name, f"row group {self._group}", told, _MEND)


class _Pieces(io.RawIOBase):
    """A file of which some pieces are here."""

    def __init__(self, pieces: dict[int, bytes], size: int) -> None:
        self._pieces, self._size, self._at = pieces, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Raises OSError where these bytes are not here."""
        for start, data in self._pieces.items():
            if start <= self._at < start + len(data):
                at = self._at - start
                found = data[at : at + size] if size is not None and size >= 0 else data[at:]
                self._at += len(found)
                return found
        raise OSError(f"byte {self._at} is none of the columns that were asked for")
