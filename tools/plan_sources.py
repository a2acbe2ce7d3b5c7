"""What the sources of pages after the WARC files take: links, requests, time, bytes of the archive.

They are told at their most: each source is reckoned as if those before it had no page of any link
that the WARC files lack. How many they have is known when they were asked.
"""

import asyncio
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.reading import Published, read_published
from pipeline.engine.stores import open_store
from pipeline.errors import SettingsError
from pipeline.links.group import KEPT
from pipeline.pages.archive.outcomes import Source
from pipeline.pages.commoncrawl.collect import planned
from pipeline.pages.commoncrawl.index import Plan
from pipeline.pages.commoncrawl.search import told
from pipeline.pages.fetch.domains import host_of, registrable_domain
from pipeline.settings import Settings
from tools import rates
from tools.places import Place
from tools.report.facts import openai_domains

# Rows of the stage `links` whose domains are counted. Its parts are dealt by hash, so that the
# first ones are a sample.
SAMPLED_LINKS = 1_000_000
BATCH_ROWS = 1 << 16
RULES = 2  # files that are asked of a host before its pages: robots.txt and tdmrep.json


@dataclass(frozen=True)
class Links:
    """The links that there are, and of them those of the registrable domain that has the most.

    `hosts` is how many hosts they have; None where that is not known. `source` says of what.
    """

    count: int
    domain: str
    of_domain: int
    hosts: int | None
    source: str


@dataclass(frozen=True)
class SourcePlan:
    """What one source takes at most. None: not known, and `bound` says why."""

    source: str
    links: int
    requests: int | None
    wall_s: float | None
    bound: str  # what the time, or what is not known, hangs on
    read_bytes_max: int | None = None  # of an index that was asked


def links_of(place: Place, settings: Settings, reckoned: float) -> Links:
    """The links of the build at this place if it has made them, else so many by OpenAI's shares."""
    made = read_published(open_store(place, settings.engine.scratch), "links")
    if made:
        return _counted(made)
    domain, pages = max(openai_domains().items(), key=lambda each: each[1])
    share = pages / rates.WEBTEXT_LINKS
    return Links(
        round(reckoned),
        domain,
        round(share * reckoned),
        None,
        f"reckoned; by OpenAI's domains.txt {domain} has {share:.1%} of WebText's links",
    )


def _counted(made: Published) -> Links:
    domains, hosts, seen = Counter[str](), set[str](), 0
    for part in made.manifest.parts:
        for batch in made.store.batches(part.table, BATCH_ROWS, ["url", "verdict"]):
            for url, verdict in zip(*(column.to_pylist() for column in batch), strict=True):
                if verdict == KEPT:
                    host = host_of(url)
                    domains[registrable_domain(host)] += 1
                    hosts.add(host)
        seen = domains.total()
        if seen >= SAMPLED_LINKS:
            break
    count = made.manifest.ledgers[made.manifest.unit].rows_out
    domain, most = domains.most_common(1)[0] if domains else ("", 0)
    is_whole = seen >= count
    told = "counted" if is_whole else f"counted in {seen:,} of them"
    return Links(
        count,
        domain,
        round(most * count / seen) if seen else 0,
        len(hosts) if is_whole else None,
        f"{told}, in the stage links of this build",
    )


def index_plan(place: Place, settings: Settings) -> Plan | None:
    """What the search for the build's links reads of Common Crawl's index, by its footers alone.

    None where it is no source. Raises SettingsError where the build has no links, and what
    `commoncrawl.collect.planned` raises.
    """
    if Source.COMMON_CRAWL not in settings.pages.sources:
        return None
    made = read_published(open_store(place, settings.engine.scratch), "links")
    if made is None:
        raise SettingsError(
            "--ask-index is for the links of a build: make them first (webtext build --to links)"
        )
    keys, count = [pa.array([], pa.string())], 0
    for part in made.manifest.parts:
        if count >= SAMPLED_LINKS:  # they are dealt by hash: others would read the same row groups
            break
        for batch in made.store.batches(part.table, BATCH_ROWS, ["key", "verdict"]):
            keys.append(batch.filter(pc.equal(batch["verdict"], KEPT))["key"])
            count += len(keys[-1])
    return asyncio.run(planned(pa.table({"key": pa.chunked_array(keys)}), settings))


def plan_sources(
    settings: Settings, links: Links, captures: float, index: Plan | None = None
) -> list[SourcePlan]:
    """A plan for each source but the WARC files, which have so many captures."""
    share = 1 - min(1.0, captures / links.count) if links.count else 0.0
    lacking = round(share * links.count)
    makers = {Source.LIVE: _live, Source.WAYBACK: _wayback}
    names = [Source(name) for name in settings.pages.sources if name != "warc"]
    return [
        _common_crawl(settings, lacking, index)
        if name is Source.COMMON_CRAWL
        else makers[name](settings, links, lacking)
        for name in names
    ]


def _live(settings: Settings, links: Links, lacking: int) -> SourcePlan:
    """Bound by the domain with the longest queue, or by the connections."""
    rules = settings.fetch
    of_domain = round(links.of_domain * lacking / links.count) if links.count else 0
    by_domain_s = of_domain * rules.delay_s
    requests = lacking + RULES * (links.hosts or 0)
    by_connections_s = requests * rates.ANSWER_S / rules.connections
    if by_domain_s >= by_connections_s:
        bound = f"{of_domain:,} links of {links.domain}, one request every {rules.delay_s:g} s"
    else:
        bound = f"{rules.connections:,} connections, {rates.ANSWER_S:g} s a request (assumed)"
    if links.hosts is None:
        bound += f"; {RULES} requests more for each host"
    wall_s = round(max(by_domain_s, by_connections_s), 1)
    return SourcePlan(Source.LIVE.value, lacking, requests, wall_s, bound)


def _wayback(settings: Settings, links: Links, lacking: int) -> SourcePlan:
    """Two requests a link, one after another."""
    rules = settings.wayback
    bound = f"2 requests a link, one every {rules.delay_s:g} s"
    if lacking > rules.links_max:
        bound += f"; refused above wayback.links_max = {rules.links_max:,}"
    requests = 2 * lacking
    return SourcePlan(Source.WAYBACK.value, lacking, requests, requests * rules.delay_s, bound)


def _common_crawl(settings: Settings, lacking: int, index: Plan | None) -> SourcePlan:
    """Only the number of captures is bounded, and what is read of an index that was asked."""
    source = Source.COMMON_CRAWL.value
    if index:
        bound = f"{told(index)}, besides the captures"
        return SourcePlan(source, lacking, None, None, bound, index.bytes_max)
    crawls = settings.commoncrawl.crawls
    of = f"{len(crawls)} crawl{'s' * (len(crawls) > 1)}" if crawls else "all crawls"
    bound = f"not known without the index of {of}: --ask-index tells the bytes to be read"
    return SourcePlan(source, lacking, None, None, bound)


def archive_bytes(plans: list[SourcePlan]) -> int:
    """Bytes of the archive's WARC files at most: a page of each link, whatever source has it."""
    return rates.PAGE_BYTES * max((each.links for each in plans), default=0)


def as_tables(links: Links, plans: list[SourcePlan]) -> dict[str, Any]:
    """Plain tables for JSON."""
    walls = [each.wall_s for each in plans]
    return {
        "links": asdict(links),
        "sources": [asdict(each) for each in plans],
        "archive_bytes": archive_bytes(plans),
        "page_bytes": rates.PAGE_BYTES,
        "page_bytes_source": rates.PAGE_BYTES_SOURCE,
        "wall_s": None if None in walls else sum(wall for wall in walls if wall is not None),
    }
