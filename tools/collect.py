"""Pages from the sources after the WARC files: asked for the links that have no page yet.

    links, pages so far -> what is lacking -> a source -> segments of the archive -> pages again

Each source in its turn, in the order of pages.sources. What a source was asked is noted when it has
answered, so the same build asks nobody twice; more links ask for those alone. `--replay pages` asks
again for the links that failed in a way that may pass.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.bucket_file import InputFile
from pipeline.engine import names
from pipeline.engine.build import Build
from pipeline.engine.digest import digest_of
from pipeline.engine.progress import Standing
from pipeline.engine.stage import Output, Stage
from pipeline.engine.store import Store
from pipeline.links.group import KEPT
from pipeline.pages.archive.answers import IdSet
from pipeline.pages.archive.outcomes import Source
from pipeline.pages.archive.segments import WARC, Archive
from pipeline.pages.commoncrawl.dealt import in_ranges
from pipeline.pages.follow import CAPTURED, DAY_S
from pipeline.pages.owners.preferences import REASON_OF
from pipeline.pages.sources import LINKS, Collected, source
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.pages.fetch.program import Progress

LINKS_AT_ONCE = 1_000_000  # that an archive of others is asked for: about 300 MB
BATCH_ROWS = 1 << 16
# The owner's word ends the search for a page, as a whole page does; one that was cut does not.
_FORBIDDEN = [reason.value for reason in REASON_OF.values()]


class StoreFiles:
    """One source's files in a build's archive (archive.Files)."""

    def __init__(self, store: Store, source: Source) -> None:
        self._store, self._folder = store, f"{names.ARCHIVE}/{source}"
        self.place = f"{store.place}/{self._folder}"

    def add(self, path: Path, name: str) -> None:
        """Put a finished file there."""
        self._store.add(path, f"{self._folder}/{name}")

    def names(self) -> list[str]:
        """The names of all files."""
        entries = self._store.entries(self._folder)
        return sorted(entry.name.removeprefix(f"{self._folder}/") for entry in entries)

    def open(self, name: str) -> pa.NativeFile:
        """A file to read at any place."""
        return self._store.open(f"{self._folder}/{name}")


def segments(store: Store) -> dict[str, InputFile]:
    """The WARC files of the build's archive, as inputs by the names that rows know them by."""
    entries = store.entries(names.ARCHIVE, below=True)
    return {
        entry.name: store.input_file(entry.name) for entry in entries if entry.name.endswith(WARC)
    }


def collect_pages(build: Build, settings: Settings, pages: Callable[[], Stage]) -> None:
    """Ask each source that has not been asked for these links; `pages` makes the stage so far."""
    links = build.output("links")
    again = "pages" in build.replay
    for name in settings.pages.sources:
        if name == "warc":
            continue
        rules = digest_of([name, settings.pages, _settings_of(name, settings)])
        note = f"{names.ARCHIVE}/{name}/asked.json"
        before = build.store.read_json(note) or {}
        if before.get("rules") != rules or again:
            before = {}
        if before.get("links") == links.digest:
            continue
        given = "warc" in settings.pages.sources and settings.input.warcs
        any_at_hand = given or segments(build.store)
        so_far = build.run(replace(pages(), empty_is_fine=True)) if any_at_hand else None
        build.progress.say(f"pages: {name} is asked for the links that have no page yet")
        made = _ask(build, settings, Source(name), links, so_far, before.get("ended_s", 0))
        pages_found, count = made.outcomes[CAPTURED], made.outcomes.total()
        build.progress.say(
            f"pages: {name}: {count:,} links asked for, {pages_found:,} pages, "
            f"{made.requests:,} requests"
        )
        told = {"rules": rules, "links": links.digest, "ended_s": int(time.time())}
        build.store.write_json(note, told)


def _settings_of(name: str, settings: Settings) -> object:
    return settings.fetch if name == Source.LIVE else getattr(settings, name)


def _ask(
    build: Build,
    settings: Settings,
    name: Source,
    links: Output,
    so_far: Output | None,
    until_s: int,
) -> Collected:
    """What the source gives for the links that have no page; all it said by `until_s` stands."""
    from pipeline.pages.fetch import collect as live  # half a second of libraries

    scratch = build.store.scratch / names.ARCHIVE / name
    with Archive(
        StoreFiles(build.store, name),
        scratch,
        facts=live.facts_of(settings),
        segment_bytes=settings.fetch.segment_bytes,
        segment_s=settings.fetch.segment_s,
        in_background=True,
    ) as archive:
        for sentence in archive.recovered:
            build.progress.say(sentence)
        say = build.progress.say
        known = [archive.unsettled(name, until_s), *([_with_page(so_far)] if so_far else [])]
        lacking = _lacking(links, known)
        if name is Source.WAYBACK:
            from pipeline.pages.wayback import check_count

            open_ones = _lacking(links, [*known, archive.settled(name)])
            check_count(sum(table.num_rows for table in open_ones), settings.wayback)
        if name is Source.LIVE:
            if days := settings.pages.max_distance_days:
                lacking = posted_since(lacking, time.time() - days * DAY_S)
            show = partial(_show, build, time.monotonic())
            return _driven(
                build,
                live.collect(lacking, archive, settings, scratch=scratch, show=show, tell=say),
            )
        made = Collected()
        if name is Source.COMMON_CRAWL:
            lacking = in_ranges(lacking, scratch)
        for chunk in _chunks(lacking, LINKS_AT_ONCE):
            given = _driven(
                build, source(name)(chunk, archive, settings, scratch=scratch, tell=say)
            )
            made.outcomes += given.outcomes
            made.requests += given.requests
            made.read_bytes += given.read_bytes
        return made


def _show(build: Build, started_s: float, progress: "Progress") -> None:
    """How far the live web is, as a step of the stage."""
    done, seconds = progress.links - progress.left, time.monotonic() - started_s
    told = progress.outcomes
    build.show(
        Standing(
            stage="pages",
            step=Source.LIVE.value,
            parts=progress.links,
            done=done,
            unit="links",
            rows=done,
            kept=told[CAPTURED],
            drops={name: count for name, count in told.most_common() if name != CAPTURED},
            faults=0,
            rows_per_s=done / seconds if done else None,
            left_s=seconds / done * progress.left if done else None,
            counted="links",
            also=f"{progress.at_once:,} requests under way, {progress.domains:,} domains at work, "
            f"{progress.domains_waiting:,} waiting",
        )
    )


def _lacking(links: Output, known: Iterable[IdSet]) -> Iterator[pa.Table]:
    """The kept links that are in none of these sets, as LINKS."""
    for part in links.parts:
        columns = [*LINKS.names, "verdict"]
        for batch in links.store.batches(part.table, BATCH_ROWS, columns):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.equal(table["verdict"], KEPT)).select(LINKS.names)
            for ids in known:
                table = table.filter(pa.array(~ids.holds(table["id"])))
            if table.num_rows:
                yield table


def posted_since(tables: Iterable[pa.Table], time_s: float) -> Iterator[pa.Table]:
    """The links whose capture of today would not be too far: of posts since then, or undated."""
    for table in tables:
        sought_s = pc.coalesce(table["capture_hint_s"], table["first_post_s"])
        yield table.filter(pc.fill_null(pc.greater_equal(sought_s, int(time_s)), True))


def _with_page(pages: Output) -> IdSet:
    """The links that need no other source: they have a whole page, or one that its owner denies."""
    found = []
    for part in pages.parts:
        for batch in pages.store.batches(part.table, BATCH_ROWS, ["id", "outcome", "is_whole"]):
            is_whole = pc.fill_null(batch["is_whole"], False)
            has_page = pc.and_(pc.equal(batch["outcome"], CAPTURED), is_whole)
            is_denied = pc.is_in(batch["outcome"], value_set=pa.array(_FORBIDDEN))
            found.append(batch.filter(pc.or_(has_page, is_denied))["id"])
    return IdSet.of(pa.chunked_array(found, pa.string()))


def _chunks(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(each.num_rows for each in waiting) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _driven(build: Build, work: Coroutine[Any, Any, Collected]) -> Collected:
    """What `work` gives. It runs in a thread of its own, so that the main thread hears signals."""
    results: list[Collected] = []
    failures: list[BaseException] = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)

    def drive() -> None:
        try:
            results.append(loop.run_until_complete(task))
        except BaseException as error:  # noqa: BLE001 (raised in the main thread)
            failures.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=drive, name="source")
    thread.start()
    asked_to_stop = False
    while thread.is_alive():
        thread.join(0.1)
        if build.signal_received is not None and not asked_to_stop:
            asked_to_stop = True
            loop.call_soon_threadsafe(task.cancel)
    build.check_signals()
    if failures:
        raise failures[0]
    return results[0]
