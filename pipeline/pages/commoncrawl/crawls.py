"""Which files make up the index of a crawl: as the place lists them, or as the crawl names them.

The layout is Common Crawl's, and anyone's who keeps to it:

    cc-index/table/cc-main/warc/crawl=CC-MAIN-2018-05/subset=warc/part-00000-….parquet
    crawl-data/CC-MAIN-2018-05/cc-index-table.paths.gz      their names, where none are listed
    crawl-data/CC-MAIN-2018-05/segments/…/warc/….warc.gz
"""

import re
import zlib

from pipeline.errors import InputError, SettingsError
from pipeline.pages.commoncrawl.places import NotThere, ReadFailed, Refused, safe_name
from pipeline.pages.commoncrawl.ranges import Ranges

TABLE = "cc-index/table/cc-main/warc"
WARC, REDIRECTS, ROBOTS = "warc", "crawldiagnostics", "robotstxt"  # subsets
_CRAWL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PATHS_BYTES_MAX = 4 << 20  # the paths of a crawl have 5 kB, packed 20 to 1
_PATHS_TEXT_MAX = 64 << 20
_SHORT = re.compile(r"CC-MAIN-(\d{4})-(\d{2})")
_YEAR = re.compile(r"(\d{4}): ([\d ]+)")


async def crawls_of(ranges: Ranges, named: tuple[str, ...]) -> list[str]:
    """The crawls that are asked: those named, else all that the place lists.

    Raises SettingsError for what can be no name, and where none is named and nothing is listed.
    """
    for name in named:
        if not _CRAWL.fullmatch(name):
            raise SettingsError(f"commoncrawl.crawls: {name!r} is no name of a crawl")
    if named:
        return list(dict.fromkeys(named))
    folders = await ranges.folders(TABLE)
    if folders is None:
        raise SettingsError(
            "commoncrawl.crawls names no crawl, and nothing can be listed over https; name them, "
            "as CC-MAIN-2017-04 (https://index.commoncrawl.org shows them all)"
        )
    prefix = "crawl="
    found = [name.removeprefix(prefix) for name in folders if name.startswith(prefix)]
    if not found:
        raise SettingsError(f"{ranges.place.where} has no index: {TABLE}/crawl=… is not there")
    return [name for name in found if _CRAWL.fullmatch(name)]


async def index_files(ranges: Ranges, crawl: str, subset: str) -> list[str]:
    """The Parquet files of a crawl's subset, sorted; none where the crawl has no such subset.

    Raises InputError where the place does not have this crawl.
    """
    folder = f"{TABLE}/crawl={crawl}/subset={subset}"
    listed = await ranges.names(folder)
    if not listed:
        listed = await _from_paths(ranges, crawl, may_lack=listed is not None)
    return sorted(
        name
        for name in listed
        if name.startswith(f"{folder}/") and name.endswith(".parquet") and safe_name(name)
    )


async def _from_paths(ranges: Ranges, crawl: str, *, may_lack: bool) -> list[str]:
    name = f"crawl-data/{crawl}/cc-index-table.paths.gz"
    try:
        packed = await ranges.tail(name, _PATHS_BYTES_MAX)
    except NotThere:
        if may_lack and await ranges.folders(f"{TABLE}/crawl={crawl}"):
            return []
        raise InputError(
            ranges.place.where,
            name,
            f"the crawl {crawl} has no columnar index here",
            "Check its name; indexes begin with CC-MAIN-2013-20",
        ) from None
    except Refused:
        raise
    except ReadFailed as error:
        mend = "Run the same command again; nothing is lost"
        raise InputError(ranges.place.where, name, str(error), mend) from None
    data = packed.data
    if data.startswith(b"\x1f\x8b"):
        unpacker = zlib.decompressobj(31)
        try:
            data = unpacker.decompress(data, _PATHS_TEXT_MAX)
        except zlib.error as error:
            mend = "Get the file again"
            raise InputError(ranges.place.where, name, f"damaged: {error}", mend) from None
    return data.decode("utf-8", "replace").split()


def short(crawls: list[str]) -> str:
    """Names of crawls, in few words: `2013: 20 48; 2014: 10`; other names in full."""
    years: dict[str, list[str]] = {}
    others = []
    for crawl in sorted(crawls):
        if found := _SHORT.fullmatch(crawl):
            years.setdefault(found[1], []).append(found[2])
        else:
            others.append(crawl)
    return "; ".join([*(f"{year}: {' '.join(weeks)}" for year, weeks in years.items()), *others])


def in_full(text: str) -> set[str]:
    """The names of crawls that `short` wrote."""
    found: set[str] = set()
    for part in filter(None, text.split("; ")):
        if year := _YEAR.fullmatch(part):
            found.update(f"CC-MAIN-{year[1]}-{week}" for week in year[2].split())
        else:
            found.add(part)
    return found
