"""The captures that links choose, by ranges of WARC files; and the robots.txt of their time."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.pages.archive.segments import Archive
from pipeline.pages.captured import preferences_of, robots_of
from pipeline.pages.commoncrawl.choice import Choice, Ended, Fetch, Moved, capture_of_row
from pipeline.pages.commoncrawl.places import NotThere, ReadFailed, Refused
from pipeline.pages.commoncrawl.ranges import Ranges, Span, merged
from pipeline.pages.commoncrawl.records import Verified, verified
from pipeline.pages.commoncrawl.search import all_of
from pipeline.pages.owners.robots import RobotsTxt
from pipeline.reasons import Drop, Reason
from pipeline.settings import CommonCrawlSettings

_ROBOTS_KEPT = 4096  # sites whose robots.txt is kept parsed
_OK, _CLIENT_ERRORS = 200, range(400, 500)
_Got = Verified | Drop


@dataclass(frozen=True)
class Captures:
    """Reads captures, and lets links choose until each has its end."""

    ranges: Ranges
    rules: CommonCrawlSettings

    async def decided(
        self, choices: Sequence[Choice]
    ) -> tuple[list[tuple[Choice, Ended]], list[Moved]]:
        """How each choice ended, or where it was led. Raises Refused."""
        ended: list[tuple[Choice, Ended]] = []
        moved: list[Moved] = []
        open_ones = list(choices)
        while open_ones:
            wanted: list[tuple[Choice, Fetch]] = []
            for choice in open_ones:
                match choice.next():
                    case Fetch() as step:
                        wanted.append((choice, step))
                    case Moved() as step:
                        moved.append(step)
                    case Ended() as step:
                        ended.append((choice, step))
            got = await self.read([step for _, step in wanted])
            for (choice, step), record in zip(wanted, got, strict=True):
                choice.take(step.capture, record)
            open_ones = [choice for choice, _ in wanted]
        return ended, moved

    async def read(self, wanted: Sequence[Fetch]) -> list[_Got]:
        """The records of these captures, verified, or why there are none. Raises Refused."""
        by_file: dict[str, list[Span[int]]] = {}
        for number, step in enumerate(wanted):
            capture = step.capture
            span = Span(capture.offset, capture.length, number)
            by_file.setdefault(capture.warc, []).append(span)
        rules = self.rules
        reads = [
            self._read_group(name, group, wanted)
            for name, spans in by_file.items()
            for group in merged(spans, rules.gap_bytes, rules.read_bytes_max)
        ]
        got: dict[int, _Got] = {}
        for found in await all_of(reads):
            got.update(found)
        return [got[number] for number in range(len(wanted))]

    async def _read_group(
        self, name: str, group: list[Span[int]], wanted: Sequence[Fetch]
    ) -> dict[int, _Got]:
        """The records of one request, by their numbers in `wanted`."""
        start, end = group[0].start, max(span.end for span in group)
        try:
            data = await self.ranges.read(name, start, end - start)
        except Refused:
            raise
        except ReadFailed as error:
            if isinstance(error, NotThere) and len(group) > 1:  # which of them is not there?
                alone = [await self._read_group(name, [span], wanted) for span in group]
                return {number: got for found in alone for number, got in found.items()}
            reason = Reason.INDEX_WRONG if isinstance(error, NotThere) else Reason.RANGE_FAILED
            return {span.item: Drop(reason, str(error)) for span in group}
        return {
            span.item: self._verified(
                data[span.start - start : span.end - start], wanted[span.item]
            )
            for span in group
        }

    def _verified(self, packed: bytes, step: Fetch) -> _Got:
        return verified(
            packed,
            offset=step.capture.offset,
            url_key=step.capture.key,
            digest=step.digest,
            block_bytes_max=self.rules.record_bytes_max,
        )


@dataclass
class Robots:
    """The robots.txt of a site as it was captured nearest to a page, each read and stored once."""

    captures: Ranges
    archive: Archive
    rules: CommonCrawlSettings
    rows_of: Callable[[str], list[dict[str, Any]]]  # of the index, by key
    _known: OrderedDict[tuple[str, int], RobotsTxt | None] = field(default_factory=OrderedDict)

    async def of_pages(self, ended: Sequence[tuple[Choice, Ended]]) -> list[str]:
        """The preferences that each end's page, and the robots.txt of its time, tell, as text."""
        nearest = [self._nearest(choice, end) for choice, end in ended]
        await self._read(step for step in nearest if step)
        told = []
        for (_, end), step in zip(ended, nearest, strict=True):
            if end.page is None or end.capture is None:
                told.append("")
                continue
            robots = self._known.get(step.capture.place) if step else None
            told.append(preferences_of(end.page.record.block, end.capture.url, robots))
        while len(self._known) > _ROBOTS_KEPT:
            self._known.popitem(last=False)
        return told

    def _nearest(self, choice: Choice, end: Ended) -> Fetch | None:
        """The capture of the site's robots.txt nearest to that of the page, on either side."""
        if not self.rules.robots or end.page is None or end.capture is None:
            return None
        seen_s = end.capture.captured_s
        site = choice.walk.at_key.partition("/")[0]
        found = [
            (capture_of_row(row, self.rules.record_bytes_max), row["content_digest"] or "")
            for row in self.rows_of(f"{site}/robots.txt")
        ]
        # A robots.txt is no page, which is a fault of captures of pages alone.
        usable = [
            (abs((capture.captured_s or 0) - (seen_s or 0)), capture.place, capture, digest)
            for capture, digest in found
            if capture.fault in ("", Reason.NOT_A_PAGE)
            and (capture.status == _OK or capture.status in _CLIENT_ERRORS)
        ]
        if not usable:
            return None
        _, _, capture, digest = min(usable, key=lambda one: one[:2])
        return Fetch(capture, digest)

    async def _read(self, steps: Iterable[Fetch]) -> None:
        wanted = {step.capture.place: step for step in steps}
        unread = [step for place, step in wanted.items() if place not in self._known]
        got = await Captures(self.captures, self.rules).read(unread)
        for step, record in zip(unread, got, strict=True):
            if isinstance(record, Verified):
                self._known[step.capture.place] = robots_of(record.written.block)
                self.archive.store([record.written])
            else:
                self._known[step.capture.place] = None
