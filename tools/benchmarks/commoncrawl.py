"""The join of links with an index of Common Crawl beside DuckDB, and what a page costs to fetch.

python -m tools.benchmarks.commoncrawl [--rows 2000000] [--pages DATA/pages] [--json]

The index is synthetic, in Common Crawl's layout: hosts by a power law, sorted, one URL in ten
not in canonical form. Both read the same files, each in a process of its own, in turns. DuckDB
joins once by the URL as it is, which finds fewer, and once by a key that takes off scheme, `www.`
and the last slash, the nearest that one line of SQL comes to ours.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.links.canonical import Canonical, canonical, link_id
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.commoncrawl.collect import collect
from pipeline.pages.commoncrawl.open_place import open_place
from pipeline.pages.commoncrawl.ranges import Ranges
from pipeline.pages.commoncrawl.search import search_crawls
from pipeline.pages.commoncrawl.wanted import Wanted
from pipeline.pages.sources import LINKS
from pipeline.settings import CommonCrawlSettings, Settings
from tools.benchmarks.measure import measure, show
from tools.demo.common_crawl import SCHEMA, write_crawl

CRAWL = "CC-MAIN-2020-10"
FILES, ROWS_IN_GROUP = 4, 250_000
LINK_COUNTS = (1_000, 100_000)
ROUNDS = 3
_WORDS = "news about story archive photo review music game world science post item tag user".split()
_QUERIES = {
    "duckdb, url": "i.url = l.url",
    "duckdb, key": r"regexp_replace(i.url, '^https?://(?:www\.)?|/$', '', 'g') = l.key",
}
_COLUMNS = "url, fetch_status, fetch_redirect, content_digest, content_mime_type, content_truncated"
_PLACES = "warc_filename, warc_record_offset, warc_record_length"


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables, or with --json all that was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--pages", type=Path, help="a folder of WARC files to fetch pages from")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_index(folder, options.rows)
        found["join"] = [row for count in LINK_COUNTS for row in _joins(folder, count)]
    if options.pages:
        with tempfile.TemporaryDirectory() as name:
            found["pages"] = pages(Path(name), sorted(options.pages.glob("*.warc.gz")))
    if options.json:
        print(json.dumps(found, indent=1))
        return
    header = ["join", "links", "CPU-s", "rows per CPU-s", "found", "process MB"]
    show(header, [[str(value) for value in row.values()] for row in found["join"]])
    for line in found.get("pages", {}).items():
        print(*line, sep=": ")


def _joins(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """Each way's best of some rounds."""
    make_links(folder, count)
    runs: dict[str, list[tuple[float, int, int]]] = {}
    rows = sum(pq.read_metadata(path).num_rows for path in folder.rglob("part-*.parquet"))
    for _ in range(ROUNDS):
        for name in ("webtext", *_QUERIES):
            usage = measure("tools.benchmarks.commoncrawl:join", str(folder), name)
            cpu_s, matches = usage.result
            runs.setdefault(name, []).append((cpu_s, matches, usage.process_bytes))
    for name, taken in runs.items():
        cpu_s, matches, memory = min(taken)
        yield {
            "join": name,
            "links": count,
            "cpu_s": round(cpu_s, 2),
            "rows_per_cpu_s": round(rows / cpu_s),
            "found": matches,
            "process_mb": memory >> 20,
        }


def join(place: str, name: str) -> tuple[float, int]:
    """CPU seconds of one join, without imports, and how many rows it found."""
    links = Path(place) / "links.parquet"
    if name == "webtext":
        return _ours(place, links)
    import duckdb

    files = str(Path(place) / "cc-index/table/cc-main/warc/*/subset=warc/*.parquet")
    started = time.process_time()
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1; SET enable_progress_bar = false")
        query = (
            f"SELECT {_COLUMNS}, epoch(fetch_time), {_PLACES} FROM read_parquet('{files}') i "
            f"SEMI JOIN '{links}' l ON {_QUERIES[name]}"
        )
        rows = len(connection.execute(query).fetchnumpy()["url"])
    return time.process_time() - started, rows


def _ours(place: str, links: Path) -> tuple[float, int]:
    started = time.process_time()
    wanted = Wanted(pq.read_table(links, columns=["key"])["key"].combine_chunks())

    async def run() -> int:
        ranges = Ranges(open_place(place, 4, timeout_s=60), 4)
        found = await search_crawls(ranges, [CRAWL], ["warc"], wanted, lambda line: None)
        return int(found.num_rows)

    rows = asyncio.run(run())
    return time.process_time() - started, rows


def make_index(folder: Path, rows: int, seed: int = 1) -> None:
    """Write an index of so many rows, sorted, in FILES files."""
    rng = random.Random(seed)
    hosts = sorted(
        (f"{rng.choice(['com', 'org', 'de', 'uk,co'])},{rng.choice(_WORDS)}{number}", number)
        for number in range(max(1, rows // 40))
    )
    shares = np.random.default_rng(seed).pareto(1.1, len(hosts)) + 0.2
    counts = np.maximum(1, shares / shares.sum() * rows).astype(int)
    size = -(-int(counts.sum()) // FILES)
    batch: list[tuple[str, str, str]] = []
    number = 0
    for (surt, _), count in zip(hosts, counts.tolist(), strict=True):
        batch += sorted(_pages(surt, count, rng))
        while len(batch) >= size:
            _write(folder, number, batch[:size], seed)
            batch, number = batch[size:], number + 1
    if batch:
        _write(folder, number, batch, seed)


def _pages(surt: str, count: int, rng: random.Random) -> Iterator[tuple[str, str, str]]:
    """SURT key, URL and host name of a host's pages."""
    host = ".".join(reversed(surt.split(",")))
    name = f"www.{host}" if rng.random() < 0.6 else host
    scheme = "https" if rng.random() < 0.7 else "http"
    for _ in range(count):
        word, number = rng.choice(_WORDS), rng.randrange(10**7)
        form = rng.random()
        if form < 0.6:
            path = f"/{word}/{number}-{rng.choice(_WORDS)}-{rng.choice(_WORDS)}"
        elif form < 0.75:
            path = f"/{number % 30 + 1990}/{number % 12 + 1:02}/{word}-{number}/"
        elif form < 0.9:
            path = f"/{word}.php?id={number}"
        else:
            path = f"/{word}%20{number}/index.html"
        yield f"{surt}){path}", f"{scheme}://{name}{path}", name


def _write(folder: Path, number: int, pages: list[tuple[str, str, str]], seed: int) -> None:
    surts, urls, names = zip(*pages, strict=True)
    rng = np.random.default_rng((seed, number))
    count = len(pages)
    letters = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", np.uint8)
    digests = letters[rng.integers(0, 32, count * 32)].tobytes().decode()
    segment = rng.integers(0, 100, count)
    columns = {
        "url_surtkey": surts,
        "url": urls,
        "url_host_name": names,
        "fetch_time": pa.array(rng.integers(1_580_000_000, 1_583_000_000, count) * 1000),
        "fetch_status": np.full(count, 200, np.int16),
        "content_digest": [digests[at : at + 32] for at in range(0, count * 32, 32)],
        "content_mime_type": ["text/html"] * count,
        "content_mime_detected": ["text/html"] * count,
        "warc_filename": [
            f"crawl-data/{CRAWL}/segments/{part}/warc/{CRAWL}-{at:05}.warc.gz"
            for part, at in zip(segment, rng.integers(0, 600, count), strict=True)
        ],
        "warc_record_offset": rng.integers(0, 10**9, count).astype(np.int32),
        "warc_record_length": rng.integers(1_000, 100_000, count).astype(np.int32),
    }
    table = pa.table(
        {
            field.name: pa.array(columns[field.name]).cast(field.type)
            if field.name in columns
            else pa.nulls(count, field.type)
            for field in SCHEMA
        }
    )
    path = (
        folder / f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/part-{number:05}.parquet"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=ROWS_IN_GROUP, compression="gzip")


def make_links(folder: Path, count: int, seed: int = 2) -> None:
    """Write links: half to pages of the index, a fourth to its hosts, a fourth to others."""
    rng = random.Random(seed)
    urls: list[str] = []
    for path in sorted(folder.glob("cc-index/**/*.parquet")):
        urls += rng.sample(pq.read_table(path, columns=["url"])["url"].to_pylist(), count)
    chosen = rng.sample(urls, count)
    half, fourth = count // 2, count // 4
    links = [
        *(
            url.replace("https://", "http://") if rng.random() < 0.3 else url
            for url in chosen[:half]
        ),
        *(f"{url}-not-there" for url in chosen[half : half + fourth]),
        *(f"http://elsewhere{number}.net/x" for number in range(count - half - fourth)),
    ]
    pages = [page for url in links if isinstance(page := canonical(url), Canonical)]
    table = {"url": [page.url for page in pages], "key": [page.key for page in pages]}
    pq.write_table(pa.table(table), folder / "links.parquet")


def pages(folder: Path, warcs: Sequence[Path]) -> dict[str, Any]:
    """What it takes to fetch all pages of these files, each by a request of its own."""
    rows = write_crawl(folder / "cc", CRAWL, warcs)
    found = {
        page.key: page.url for row in rows if isinstance(page := canonical(row["url"]), Canonical)
    }
    links = pa.Table.from_pylist(
        [
            {
                "id": link_id(key),
                "key": key,
                "url": url,
                "first_post_s": None,
                "capture_hint_s": None,
            }
            for key, url in found.items()
        ],
        schema=LINKS,
    )
    rules = CommonCrawlSettings(place=str(folder / "cc"), gap_bytes=0, read_bytes_max=1)
    started = time.process_time()
    with Archive(Folder(folder / "archive"), folder / "scratch") as archive:
        made = asyncio.run(
            collect(
                links,
                archive,
                Settings(commoncrawl=rules),
                scratch=folder / "rows",
                tell=lambda line: None,
            )
        )
    cpu_s = time.process_time() - started
    captured = made.outcomes["captured"]
    index_bytes = sum(path.stat().st_size for path in (folder / "cc").rglob("*.parquet"))
    return {
        "links": len(found),
        **asdict(made),
        "requests_per_page": round(made.requests / captured, 3),
        "bytes_per_page": round(made.read_bytes / captured),
        "index_bytes": index_bytes,
        "pages_per_cpu_s": round(captured / cpu_s),
    }


if __name__ == "__main__":
    main()
