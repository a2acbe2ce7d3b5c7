"""The links that are to be fetched, on disk in the order of their registrable domains.

So a domain's queue is two numbers, whatever its length, and the memory of a run does not grow with
its links. They are dealt into files by the hash of their domain, and each file is sorted for
itself: the largest needs about 300 bytes of memory a link.
"""

import bisect
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from pipeline.errors import InputError, printable
from pipeline.links.canonical import canonical, link_id
from pipeline.links.group import KEPT
from pipeline.pages.archive.answers import IdSet
from pipeline.pages.fetch.domains import host_of, registrable_domain, shard_of
from pipeline.reasons import Drop

BATCH_ROWS = 1 << 14
DEALS = 64
_WORK = pa.schema(
    [
        ("domain", pa.string()),
        ("id", pa.string()),
        ("key", pa.string()),
        ("url", pa.string()),
        ("first_post_s", pa.int64()),
        ("fault", pa.string()),  # a reason why the URL cannot be asked, or ""
        ("detail", pa.string()),
    ]
)
_LINK = _WORK.remove(0)


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the list."""

    id: str
    key: str
    url: str
    first_post_s: int | None
    fault: str
    detail: str


@dataclass
class Counts:
    """What became of the links that were given; the rest is the work."""

    given: int = 0
    karma_low: int = 0
    other_shard: int = 0
    doubled: int = 0
    settled: int = 0


class WorkList:
    """Links by row number; those of domain `d` are the rows from `starts[d]` to `starts[d + 1]`."""

    def __init__(self, path: Path) -> None:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        self._batches = [reader.get_batch(n) for n in range(reader.num_record_batches)]
        self._begins = [0]
        for batch in self._batches:
            self._begins.append(self._begins[-1] + batch.num_rows)
        self.starts = self._find_starts()

    def __len__(self) -> int:
        return self._begins[-1]

    def link(self, row: int) -> Link:
        """The link of this row."""
        batch, at = self._at(row)
        values = {name: batch.column(name)[at].as_py() for name in _LINK.names}
        return Link(**values)

    def domain(self, number: int) -> str:
        """The name of a domain."""
        batch, at = self._at(int(self.starts[number]))
        name: str = batch.column("domain")[at].as_py()
        return name

    def domain_of(self, row: int) -> int:
        """The number of the domain that has this row."""
        return int(np.searchsorted(self.starts, row, side="right")) - 1

    def _at(self, row: int) -> tuple[pa.RecordBatch, int]:
        number = bisect.bisect_right(self._begins, row) - 1
        return self._batches[number], row - self._begins[number]

    def _find_starts(self) -> npt.NDArray[np.int64]:
        starts, last = [], None
        for begin, batch in zip(self._begins, self._batches, strict=False):
            codes = batch.column("domain").dictionary_encode()
            changes = np.flatnonzero(np.diff(codes.indices.to_numpy())) + 1
            first = batch.column("domain")[0].as_py()
            starts.append(begin + changes if first == last else begin + np.r_[0, changes])
            last = batch.column("domain")[batch.num_rows - 1].as_py()
        return np.concatenate([*starts, [len(self)]]).astype(np.int64)


def make_worklist(
    links: Iterable[pa.Table], folder: Path, settled: IdSet, shard: int = 0, shards: int = 1
) -> tuple[WorkList, Counts]:
    """The work of this machine: the links of its shard that are not settled, each once."""
    counts = Counts()
    folder.mkdir(parents=True, exist_ok=True)
    dealt = [folder / f"dealt-{number}.arrow" for number in range(DEALS)]
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_file(path, _WORK)) for path in dealt]
        for table in links:
            counts.given += table.num_rows
            for number, part in _dealt(_of_shard(table, shard, shards, counts)):
                writers[number].write_table(part)
    target = folder / "work.arrow"
    with pa.ipc.new_file(target, _WORK) as writer:
        for path in dealt:
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
                writer.write_table(_sorted(table, settled, counts), max_chunksize=BATCH_ROWS)
            path.unlink()
    return WorkList(target), counts


def read_links(path: Path, counts: Counts) -> Iterator[pa.Table]:
    """The links of a Parquet file of `webtext links`, or of a list of URLs, one a line.

    Those below the karma limit are counted. Raises InputError for what is neither.
    """
    with path.open("rb") as file:
        magic = file.peek(4)[:4]
        if magic != b"PAR1":
            yield from _read_urls(file, path)
            return
    with pq.ParquetFile(path) as parquet:
        names = set(parquet.schema_arrow.names)
        if missing := {"id", "key", "url"} - names:
            raise InputError(
                path, "", f"it has no column {min(missing)}", "Give the files of `webtext links`"
            )
        columns = [n for n in ("id", "key", "url", "first_post_s", "verdict") if n in names]
        for batch in parquet.iter_batches(BATCH_ROWS, columns=columns):
            table = pa.Table.from_batches([batch])
            if "verdict" in names:
                kept = table.filter(pc.equal(table["verdict"], KEPT))
                counts.karma_low += table.num_rows - kept.num_rows
                counts.given += table.num_rows - kept.num_rows
                table = kept
            yield as_work(table)


def as_work(table: pa.Table) -> pa.Table:
    """Links (id, key, url, first_post_s where known) as `make_worklist` takes them."""
    has_time = "first_post_s" in table.schema.names
    nothing = pa.repeat("", table.num_rows)
    times = table["first_post_s"] if has_time else pa.nulls(table.num_rows, pa.int64())
    columns = [table["id"], table["key"], table["url"], times, nothing, nothing]
    return pa.Table.from_arrays(columns, schema=_LINK)


def _read_urls(file: Iterable[bytes], path: Path) -> Iterator[pa.Table]:
    rows = []
    for number, line in enumerate(file, 1):
        if b"\0" in line:
            raise InputError(
                path, f"line {number}", "this is no text", "Give Parquet, or a URL a line"
            )
        if url := line.decode("utf-8", "backslashreplace").strip():
            rows.append(_row(url))
        if len(rows) == BATCH_ROWS:
            yield pa.Table.from_pylist(rows, schema=_LINK)
            rows = []
    yield pa.Table.from_pylist(rows, schema=_LINK)


def _row(url: str) -> dict[str, str]:
    found = canonical(url)
    if isinstance(found, Drop):
        told = printable(url)
        return {
            "id": link_id(told), "key": told, "url": told,
            "fault": found.reason.value, "detail": found.detail,
        }  # fmt: skip
    return {"id": link_id(found.key), "key": found.key, "url": found.url, "fault": "", "detail": ""}


def _of_shard(table: pa.Table, shard: int, shards: int, counts: Counts) -> pa.Table:
    domains = [registrable_domain(host_of(url)) for url in table["url"].to_pylist()]
    table = table.add_column(0, "domain", pa.array(domains, pa.string()))
    if shards == 1:
        return table
    ours = table.filter(pa.array([shard_of(domain, shards) == shard for domain in domains]))
    counts.other_shard += table.num_rows - ours.num_rows
    return ours


def _dealt(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    names = table["domain"].to_pylist()
    hashes = [xxhash.xxh3_64_intdigest(name.encode()) >> 32 for name in names]  # not as shards
    hands = np.array(hashes, np.int64) % DEALS
    for number in np.unique(hands):
        yield int(number), table.filter(pa.array(hands == number))


def _sorted(table: pa.Table, settled: IdSet, counts: Counts) -> pa.Table:
    """In the order of domain and id: what a site's pages are called is spread over its queue."""
    if not table.num_rows:
        return table
    table = table.sort_by([("domain", "ascending"), ("id", "ascending")]).combine_chunks()
    ids = table["id"].combine_chunks()
    is_new = np.ones(len(ids), bool)
    is_new[1:] = pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)
    is_open = ~settled.holds(ids)
    counts.doubled += int((~is_new).sum())
    counts.settled += int((is_new & ~is_open).sum())
    return table.filter(pa.array(is_new & is_open))
