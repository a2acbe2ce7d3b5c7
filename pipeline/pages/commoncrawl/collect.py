"""Common Crawl as a source: links in batches to the index, then to the captures that they choose.

    links -> batches in the index's order -> rows of the index -> choices -> captures -> answers

A redirect's target is another URL, with another place in the index. Links that were led on are
gathered and go to the index together, in a round of their own.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.filesize import decimal

from pipeline.errors import StageError
from pipeline.pages.archive.outcomes import Outcome, Source
from pipeline.pages.archive.segments import Archive
from pipeline.pages.commoncrawl.choice import DAY_S, Choice, Walk, choice_of
from pipeline.pages.commoncrawl.crawls import REDIRECTS, ROBOTS, WARC, crawls_of
from pipeline.pages.commoncrawl.fetch import Captures, Robots
from pipeline.pages.commoncrawl.index import Plan
from pipeline.pages.commoncrawl.open_place import open_place
from pipeline.pages.commoncrawl.places import Refused
from pipeline.pages.commoncrawl.ranges import Patience, Ranges
from pipeline.pages.commoncrawl.rows_cache import RowsCache
from pipeline.pages.commoncrawl.search import plan, search_crawls
from pipeline.pages.commoncrawl.todo import COLUMNS, to_ask, with_asked
from pipeline.pages.commoncrawl.wanted import Wanted, in_index_order
from pipeline.pages.owners.agents import PRODUCT
from pipeline.pages.sources import Collected, as_links, user_agent
from pipeline.settings import CommonCrawlSettings, PagesSettings, Settings

_CHUNK_LINKS, _CHUNK_BYTES = 200, 32 << 20  # whose captures are in memory at once
_TELL_EVERY_S = 30.0
Tell = Callable[[str], None]


async def collect(
    links: pa.Table, archive: Archive, settings: Settings, *, scratch: Path, tell: Tell
) -> Collected:
    """Ask the crawls of [commoncrawl] for these links; see sources.Collect.

    Raises SettingsError for a place or a crawl that cannot be, InputError where the index cannot be
    read, StageError where the place refuses all reads.
    """
    rules, agent, links = settings.commoncrawl, user_agent(settings), as_links(links)
    index = ranges_of(rules, rules.place, agent)
    captures = index if rules.warcs in ("", rules.place) else ranges_of(rules, rules.warcs, agent)
    made = Collected()
    try:
        crawls = await crawls_of(index, rules.crawls)
        groups = list(to_ask(links, archive.answers(COLUMNS), crawls))
        made.known = links.num_rows - sum(group.num_rows for _, group in groups)
        for asked, group in groups:
            work = _Work(index, captures, archive, settings, asked, scratch, tell, made)
            await work.run(group)
    except Refused as error:
        archive.flush()
        raise StageError(
            f"{rules.warcs or rules.place} refuses to be read ({error}). Common Crawl does so for "
            "a day after too many requests, a bucket where the credentials are not right. Nothing "
            "is lost: run the same command later, with a lower commoncrawl.connections"
        ) from None
    finally:
        for ranges in {id(index): index, id(captures): captures}.values():
            made.requests += ranges.traffic.requests
            made.read_bytes += ranges.traffic.read_bytes
            await ranges.place.close()
    archive.flush()
    return made


async def planned(links: pa.Table, settings: Settings) -> Plan:
    """What the search for these links reads of the index, redirects aside; only footers are read.

    Raises as `collect`.
    """
    rules = settings.commoncrawl
    index = ranges_of(rules, rules.place, user_agent(settings))
    try:
        crawls = await crawls_of(index, rules.crawls)
        keys = links["key"].unique().to_pylist()
        if rules.robots:
            keys += sorted({robots_key(key) for key in keys})
        return await plan(index, crawls, subsets_of(rules), Wanted(keys))
    finally:
        await index.place.close()


def ranges_of(rules: CommonCrawlSettings, place: str, agent: str = PRODUCT) -> Ranges:
    """Patient reads of a place; raises SettingsError if it is none."""
    opened = open_place(
        place,
        rules.connections,
        timeout_s=float(rules.timeout_s),
        agent=agent,
        ca_file=rules.ca_file,
    )
    return Ranges(opened, rules.connections, Patience(rules.attempts, rules.wait_s))


def subsets_of(rules: CommonCrawlSettings) -> tuple[str, ...]:
    """The subsets of a crawl that are searched."""
    return (WARC, REDIRECTS, ROBOTS) if rules.robots else (WARC, REDIRECTS)


@dataclass
class _Work:
    """The links that are asked for in the same crawls."""

    index: Ranges
    captures: Ranges
    archive: Archive
    settings: Settings
    crawls: list[str]
    scratch: Path
    tell: Tell
    made: Collected
    _told_s: float = field(default_factory=time.monotonic)

    @property
    def _rules(self) -> CommonCrawlSettings:
        return self.settings.commoncrawl

    @property
    def _pages(self) -> PagesSettings:
        return self.settings.pages

    async def run(self, links: pa.Table) -> None:
        """Answer all of them."""
        links = links.take(pa.array(in_index_order(links["key"].combine_chunks())))
        size, moved = self._rules.batch_links, list[Walk]()
        for start in range(0, links.num_rows, size):
            walks = [_walk(row) for row in links.slice(start, size).to_pylist()]
            moved += await self._round(walks, self._cache(walks))
            if len(moved) >= size:
                moved = await self._led_on(moved)
        while moved:
            moved = await self._led_on(moved)

    async def _led_on(self, moved: list[Walk]) -> list[Walk]:
        """A round of links that were led to other URLs; those that are led on once more."""
        order = in_index_order(pa.array([walk.at_key for walk in moved]))
        ordered = [moved[at] for at in order.tolist()]
        size, again = self._rules.batch_links, list[Walk]()
        for start in range(0, len(ordered), size):
            self.tell(f"{len(ordered):,} links were led on by redirects")
            again += await self._round(ordered[start : start + size], None)
        return again

    def _cache(self, walks: Sequence[Walk]) -> RowsCache:
        asked = [self._rules.place, *subsets_of(self._rules), *self.crawls]
        return RowsCache(self.scratch / Source.COMMON_CRAWL, asked, walks[0].id, walks[-1].id)

    async def _round(self, walks: list[Walk], cache: RowsCache | None) -> list[Walk]:
        """Answer these links, but for those that are led on, which are given back."""
        keys = [walk.at_key for walk in walks]
        if self._rules.robots:
            keys += sorted({robots_key(key) for key in keys})
        wanted = Wanted(keys)
        rows = cache.find(wanted.keys) if cache else None
        if rows is None:
            subsets = subsets_of(self._rules)
            rows = await search_crawls(self.index, self.crawls, subsets, wanted, self.tell)
            if cache:
                cache.keep(wanted.keys, rows)
        lying = _Lying(rows)
        # Captures of one file follow each other, so that near ones are read as one.
        choices = _by_place([self._choice(walk, lying) for walk in walks])
        moved: list[Walk] = []
        robots = Robots(self.captures, self.archive, self._rules, lying.of)
        for chunk in _chunks(choices):
            moved += await self._chunk(chunk, robots)
            self._progress()
        if cache:
            cache.remove()
        return moved

    def _choice(self, walk: Walk, lying: "_Lying") -> Choice:
        days = self._pages.max_distance_days
        return choice_of(
            walk,
            lying.of(walk.at_key),
            hops_max=self._pages.hops_max,
            distance_max_s=days * DAY_S if days else None,
            record_bytes_max=self._rules.record_bytes_max,
        )

    async def _chunk(self, choices: list[Choice], robots: Robots) -> list[Walk]:
        """Fetch until each of these has ended, or was led on; the latter are given back."""
        captures = Captures(self.captures, self._rules)
        ended, moved = await captures.decided(choices)
        for step in moved:
            self.archive.store([step.redirect.written])
        told = await robots.of_pages(ended)
        for (choice, end), preferences in zip(ended, told, strict=True):
            is_captured = end.outcome is Outcome.CAPTURED
            detail = end.detail if is_captured else with_asked(end.detail, self.crawls)
            answer = end.answer(choice.walk, Source.COMMON_CRAWL, preferences, detail)
            self.archive.add(answer, [end.page.written] if end.page else [])
            self.made.outcomes[end.outcome.value] += 1
        return [step.walk for step in moved]

    def _progress(self) -> None:
        if time.monotonic() - self._told_s >= _TELL_EVERY_S:
            self._told_s = time.monotonic()
            traffic = self.captures.traffic
            self.tell(
                f"{self.made.outcomes.total():,} links answered, "
                f"{self.made.outcomes[Outcome.CAPTURED.value]:,} with a page; "
                f"{traffic.requests:,} requests, {decimal(traffic.read_bytes)} read"
            )


def robots_key(key: str) -> str:
    """The key of the robots.txt of the site on which the page of this key is."""
    return f"{key.partition('/')[0]}/robots.txt"


def _walk(row: dict[str, Any]) -> Walk:
    return Walk(row["id"], row["key"], row["url"], row["first_post_s"], row["capture_hint_s"])


class _Lying:
    """Rows of the index, by key."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows.sort_by("key")
        runs = pc.run_end_encode(self._rows["key"].combine_chunks())
        ends, keys = runs.run_ends.to_pylist(), runs.values.to_pylist()
        starts = [0, *ends][: len(ends)]
        self._spans = dict(zip(keys, zip(starts, ends, strict=True), strict=True))

    def of(self, key: str) -> list[dict[str, Any]]:
        """The rows of this key."""
        start, end = self._spans.get(key, (0, 0))
        found: list[dict[str, Any]] = self._rows.slice(start, end - start).to_pylist()
        return found


def _by_place(choices: list[Choice]) -> list[Choice]:
    """In the order of the captures that they choose first; those that choose none come first."""
    return sorted(choices, key=lambda choice: choice.first.place if choice.first else ("", 0))


def _chunks(choices: list[Choice]) -> Iterator[list[Choice]]:
    """The choices in lists whose captures fit into memory together."""
    chunk: list[Choice] = []
    size = 0
    for choice in choices:
        length = choice.first.length if choice.first else 0
        if chunk and (len(chunk) >= _CHUNK_LINKS or size + length > _CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(choice)
        size += length
    if chunk:
        yield chunk
