"""Fetching, measured: pages per CPU-second beside aiohttp and Scrapy, and a simulated week.

python -m tools.benchmarks.fetch pages [PAGES]    the same list by all three, one after another
python -m tools.benchmarks.fetch week [LINKS]     the frontier alone, in simulated time

Each client is a process of its own; its CPU seconds are counted from after its imports, its memory
is the peak of the whole process. `webtext` asks robots.txt and tdmrep.json of each site besides,
checks each page and writes WARC files. The others read the bodies and keep nothing; `aiohttp-raw`
leaves them as they come, Scrapy asks robots.txt.
"""

import asyncio
import heapq
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.pages.fetch.worklist import Link

PORT, SITES, CONNECTIONS, PAGES = 18099, 600, 500, 12_000
CLIENTS = ("webtext", "aiohttp", "aiohttp-raw", "scrapy")
LATENCIES_S = (0.1, 0.3, 0.5, 1.0, 3.0)
FAILING_SHARE = 0.1  # of turns: the link is tried again in its next round
DELAY_S, ROUND_WAIT_S = 1.0, 900.0


@contextmanager
def _site() -> Iterator[None]:
    words = [sys.executable, "-P", "-m", "tools.benchmarks.fetch_site", str(PORT), str(SITES)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def measure_pages(pages: int) -> None:
    """One line for each client."""
    from tools.benchmarks.fetch_site import addresses

    sites = addresses(SITES)
    urls = [f"http://{sites[n % SITES]}:{PORT}/{n // SITES}/{n}" for n in range(pages)]
    with tempfile.TemporaryDirectory() as folder, _site():
        listed = Path(folder) / "urls.txt"
        listed.write_text("".join(f"{url}\n" for url in urls), encoding="utf-8")
        for client in CLIENTS:
            out = Path(folder) / client
            words = ["-P", "-m", "tools.benchmarks.fetch", client, str(listed), str(out)]
            done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
            lines = done.stdout.strip().splitlines()
            print(lines[-1] if lines else f"{client} failed: {done.stderr[-500:]}", flush=True)


def _report(client: str, pages: int, began: tuple[float, float]) -> None:
    cpu_s, wall_s = time.process_time() - began[0], time.perf_counter() - began[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(
        json.dumps(
            {
                "client": client,
                "pages": pages,
                "cpu_s": round(cpu_s, 2),
                "wall_s": round(wall_s, 1),
                "pages_per_cpu_s": round(pages / cpu_s),
                "peak_mib": peak,
            }
        ),
        flush=True,
    )


def run_webtext(listed: Path, out: Path) -> None:
    """`webtext fetch` as it is by default, but for the delay and the networks."""
    from dataclasses import replace

    from pipeline.pages.archive.segments import Archive, Folder
    from pipeline.settings import Settings
    from tools.crawl import fetch_links

    settings = Settings()
    rules = replace(
        settings.fetch,
        contact="benchmark@localhost",
        connections=CONNECTIONS,
        address_connections=CONNECTIONS,
        delay_s=0.0,
        ports=(str(PORT),),
        networks=("127.0.0.0/8",),
    )
    began = time.process_time(), time.perf_counter()
    fetch_links([listed], out, replace(settings, fetch=rules))
    with Archive(Folder(out), out / ".work") as archive:
        captured = archive.answers(["outcome"])["outcome"].to_pylist().count("captured")
    _report("webtext", captured, began)


def run_aiohttp(listed: Path, _: Path, *, decompress: bool = True) -> None:
    """As a plain aiohttp client does it: a session, a semaphore, the bodies read."""
    import aiohttp

    urls = listed.read_text(encoding="utf-8").split()

    async def fetch() -> int:
        slots, got = asyncio.Semaphore(CONNECTIONS), 0
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, limit_per_host=1)
        async with aiohttp.ClientSession(
            connector=connector, auto_decompress=decompress
        ) as session:

            async def one(url: str) -> None:
                nonlocal got
                async with slots, session.get(url) as response:
                    got += bool(await response.read()) and response.status == 200

            await asyncio.gather(*map(one, urls))
        return got

    began = time.process_time(), time.perf_counter()
    _report("aiohttp" if decompress else "aiohttp-raw", asyncio.run(fetch()), began)


def run_scrapy(listed: Path, _: Path) -> None:
    """A spider over the list, as Scrapy is but for its concurrency."""
    import scrapy
    from scrapy.crawler import CrawlerProcess

    urls, got = listed.read_text(encoding="utf-8").split(), 0

    class Spider(scrapy.Spider):  # type: ignore[misc]
        name = "list"
        start_urls = urls

        def parse(self, response):  # type: ignore[no-untyped-def]
            nonlocal got
            got += bool(response.body)

    process = CrawlerProcess(
        {
            "CONCURRENT_REQUESTS": CONNECTIONS,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 1,
            "DOWNLOAD_DELAY": 0,
            "ROBOTSTXT_OBEY": True,
            "LOG_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
        }
    )
    began = time.process_time(), time.perf_counter()
    process.crawl(Spider)
    process.start()
    _report("scrapy", got, began)


class Domains:
    """Work whose domains have the sizes of OpenAI's list of 1,000, and a tail after them."""

    def __init__(self, links: int) -> None:
        import numpy as np

        from tools.report.facts import openai_domains

        pages = np.array(sorted(openai_domains().values(), reverse=True), float)
        # The list says nothing of what comes after its domains: the sizes are taken to fall on as
        # one over the rank, down to single links.
        ranks = np.arange(len(pages), 2_000_000)
        sizes = np.concatenate([pages, pages[-1] * len(pages) / ranks])
        sizes = np.maximum(1, sizes * links / sizes.sum()).astype(np.int64)
        sizes = sizes[: int(np.searchsorted(sizes.cumsum(), links)) + 1]
        self.starts = np.concatenate([[0], sizes.cumsum()])

    def domain(self, number: int) -> str:
        """A name."""
        return f"site{number}.org"

    def domain_of(self, row: int) -> int:
        """The domain of a row."""
        import numpy as np

        return int(np.searchsorted(self.starts, row, side="right")) - 1

    def link(self, row: int) -> "Link":
        """A link; of it only the URL is looked at."""
        from pipeline.pages.fetch.worklist import Link

        return Link("", "", f"http://site{self.domain_of(row)}.org/{row}", None, "", "")


@dataclass
class Week:
    """The figures of a simulated run. A domain idles while it may be asked, and is not."""

    now: float = 0.0
    turns: int = 0
    domains_in_memory_max: int = 0
    busy_connection_s: float = 0.0
    longest_idle_s: float = 0.0
    longest_turns_s: float = 0.0


def _resident_mib() -> float:
    """The memory of this process that is in use now (Linux)."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize() / (1 << 20)


def simulate_week(links: int) -> None:
    """The frontier over so many links at the polite rate; a turn costs no CPU of a network."""
    from pipeline.pages.fetch.frontier import Frontier, Visit

    week, work = Week(), Domains(links)
    before = most_mib = _resident_mib()
    frontier = Frontier(
        work,
        connections=CONNECTIONS,
        address_connections=20,
        delay_s=DELAY_S,
        rounds=3,
        round_wait_s=ROUND_WAIT_S,
        clock=lambda: week.now,
    )
    chance, longest, may_begin_s = random.Random(1), work.domain(0), 0.0
    running: list[tuple[float, int, Visit]] = []
    began = time.process_time()
    while frontier.left:
        while len(running) < CONNECTIONS and (visit := frontier.take()):
            frontier.enter(visit, visit.domain)
            takes_s = chance.choice(LATENCIES_S)
            week.turns += 1
            week.busy_connection_s += takes_s
            heapq.heappush(running, (week.now + takes_s, week.turns, visit))
            if visit.domain == longest:
                if week.now - may_begin_s < ROUND_WAIT_S:  # else it waited for its next round
                    week.longest_idle_s += week.now - may_begin_s
                week.longest_turns_s += takes_s + DELAY_S
                may_begin_s = week.now + takes_s + DELAY_S
        if week.turns % 1_000 == 0:
            most_mib = max(most_mib, _resident_mib())
        known = frontier.domains_known
        week.domains_in_memory_max = max(week.domains_in_memory_max, known)
        times = [running[0][0]] if running else []
        if len(running) < CONNECTIONS and (wait_s := frontier.wait_s()) is not None:
            times.append(week.now + wait_s)
        week.now = max(week.now, min(times))
        while running and running[0][0] <= week.now:
            ended, _, visit = heapq.heappop(running)
            frontier.leave(visit, ended)
            if chance.random() < FAILING_SHARE:
                frontier.later(visit)
            else:
                frontier.done()
    cpu_s = time.process_time() - began
    told = {
        "links": int(work.starts[-1]),
        "domains": len(work.starts) - 1,
        "longest_queue": int(work.starts[1]),
        "turns": week.turns,
        "simulated_hours": round(week.now / 3600, 1),
        "cpu_us_a_turn": round(cpu_s / week.turns * 1e6, 1),
        "domains_in_memory_max": week.domains_in_memory_max,
        "frontier_mib": round(most_mib - before, 1),
        "share_idle_of_the_longest_queue": round(
            week.longest_idle_s / (week.longest_idle_s + week.longest_turns_s), 4
        ),
        "share_busy_of_connections": round(week.busy_connection_s / week.now / CONNECTIONS, 4),
    }
    print(json.dumps(told))


def main(words: list[str]) -> None:
    """Take the figures that are asked for."""
    match words:
        case ["pages", *more]:
            measure_pages(int(more[0]) if more else PAGES)
        case ["week", *more]:
            simulate_week(int(more[0]) if more else 1_000_000)
        case [client, listed, out] if client in CLIENTS:
            runs: dict[str, Callable[[Path, Path], None]] = {
                "webtext": run_webtext,
                "aiohttp": run_aiohttp,
                "aiohttp-raw": partial(run_aiohttp, decompress=False),
                "scrapy": run_scrapy,
            }
            runs[client](Path(listed), Path(out))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
