"""The search of whole crawls for many URLs: what it will read, and the rows that it finds."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import pyarrow as pa
from rich.filesize import decimal

from pipeline.errors import InputError
from pipeline.pages.commoncrawl.crawls import index_files
from pipeline.pages.commoncrawl.index import ROW, IndexFile, Plan, open_index, plan_of, search
from pipeline.pages.commoncrawl.places import ReadFailed, Refused
from pipeline.pages.commoncrawl.ranges import Ranges
from pipeline.pages.commoncrawl.wanted import Wanted

_GROUPS_AT_ONCE = 3  # each holds its columns in memory: some 100 MB
_T = TypeVar("_T")


async def plan(
    ranges: Ranges, crawls: Sequence[str], subsets: Sequence[str], wanted: Wanted
) -> Plan:
    """What a search reads, from the footers alone; raises InputError."""
    total = Plan()
    for crawl in crawls:
        files = await _opened(ranges, crawl, subsets)
        total = sum((plan_of(file, wanted) for file in files), total)
    return total


async def search_crawls(
    ranges: Ranges,
    crawls: Sequence[str],
    subsets: Sequence[str],
    wanted: Wanted,
    tell: Callable[[str], None],
) -> pa.Table:
    """The rows (index.ROW) of the wanted URLs in these crawls, one crawl after another.

    Says for each what it will read, and what it has read. Raises InputError where a file of the
    index is damaged or cannot be read: without it nobody knows what is not in it. Raises Refused.
    """
    found = [ROW.empty_table()]
    for crawl in crawls:
        files = await _opened(ranges, crawl, subsets)
        planned = sum((plan_of(file, wanted) for file in files), Plan())
        tell(f"{crawl}: {told(planned)}")
        before = ranges.traffic.read_bytes
        gate = asyncio.Semaphore(_GROUPS_AT_ONCE)
        tables = await all_of(
            _searched(ranges, file, group, wanted, gate)
            for file in files
            for group in file.groups(wanted)
        )
        rows = sum(table.num_rows for table in tables)
        read_bytes = ranges.traffic.read_bytes - before
        tell(f"{crawl}: {rows:,} captures of {len(wanted):,} URLs; {decimal(read_bytes)} read")
        found += [table for table in tables if table.num_rows]
    return pa.concat_tables(found)


def told(planned: Plan) -> str:
    """A plan in words."""
    unsorted = ""
    if planned.unbounded:
        unsorted = f"; {planned.unbounded:,} of its files tell no bounds, and are read whole"
    return (
        f"{planned.groups:,} of {planned.groups_of:,} row groups in {planned.files:,} files may "
        f"hold links: {decimal(planned.bytes_min)} to {decimal(planned.bytes_max)} of "
        f"{decimal(planned.bytes_of)} to read{unsorted}"
    )


async def _opened(ranges: Ranges, crawl: str, subsets: Sequence[str]) -> list[IndexFile]:
    try:
        names = [name for subset in subsets for name in await index_files(ranges, crawl, subset)]
        return await all_of(open_index(ranges, name) for name in names)
    except Refused:
        raise
    except ReadFailed as error:
        raise _unread(ranges, crawl, error) from None


async def _searched(
    ranges: Ranges, file: IndexFile, group: int, wanted: Wanted, gate: asyncio.Semaphore
) -> pa.Table:
    async with gate:
        try:
            return await search(ranges, file, group, wanted)
        except Refused:
            raise
        except ReadFailed as error:
            raise _unread(ranges, f"{file.name}, row group {group}", error) from None


def _unread(ranges: Ranges, what: str, error: ReadFailed) -> InputError:
    mend = "Run the same command again: it goes on from here"
    return InputError(ranges.place.where, what, f"the index cannot be read: {error}", mend)


async def all_of(work: Iterable[Awaitable[_T]]) -> list[_T]:
    """The results, in order; when one fails the others are cancelled, and waited for."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
