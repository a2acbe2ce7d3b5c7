"""Reads by ranges that are patient: a few at a time, near ones in one request, again after a wait.

A place that says 403, 429 or 503 is left alone by all reads at once, for as long as it says or for
a time that doubles: Common Crawl bans who hurries on. Other failures wait for themselves alone.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pipeline.pages.commoncrawl.places import (
    NotThere,
    Place,
    ReadFailed,
    Refused,
    Tail,
    Throttled,
)

_T = TypeVar("_T")
WAIT_MAX_S = 300.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a read is tried, and how it waits in between."""

    attempts: int = 6
    wait_s: float = 1.0  # after a first failure; doubled by each further one


@dataclass(slots=True)
class Traffic:
    """What was asked of a place so far."""

    requests: int = 0
    read_bytes: int = 0
    failures: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class Span(Generic[_T]):
    """Bytes of a file, and what they are for."""

    start: int
    length: int
    item: _T

    @property
    def end(self) -> int:
        """Where it ends: the first byte after it."""
        return self.start + self.length


@dataclass
class Ranges:
    """Reads of a place, `connections` at a time."""

    place: Place
    connections: int
    patience: Patience = field(default_factory=Patience)
    traffic: Traffic = field(default_factory=Traffic)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.connections)
        self._resume_at = 0.0
        self._throttled_in_row = 0
        self._readable: tuple[str, int] | None = None  # a file, and a byte of it, that was read

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly these bytes; raises ReadFailed with the last failure, NotThere at once.

        Raises Refused where the place forbids this read and all others. A store may also answer
        403 for a file that is not there: then others can be read.
        """
        try:
            given = await self._tried(lambda: self.place.read(name, start, length), len)
        except Throttled as error:
            raise await self._refusal(error) from None
        self._readable = name, start
        return given

    async def tail(self, name: str, length: int) -> Tail:
        """The last bytes of a file, and its size; raises as `read`."""
        try:
            return await self._tried(
                lambda: self.place.tail(name, length), lambda tail: len(tail.data)
            )
        except Throttled as error:
            raise await self._refusal(error) from None

    async def names(self, folder: str) -> list[str] | None:
        """The files of a folder; None: this place lists nothing. Raises as `read`."""
        return await self._listed(lambda: self.place.names(folder))

    async def folders(self, folder: str) -> list[str] | None:
        """The names of the folders in a folder; None: this place lists nothing."""
        return await self._listed(lambda: self.place.folders(folder))

    async def _listed(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await self._tried(ask, lambda _: 0)
        except Throttled as error:
            raise await self._refusal(error) from None

    async def _refusal(self, error: Throttled) -> ReadFailed:
        """What a last refusal means: that of one file, or of the place."""
        if self._readable is not None:
            name, at = self._readable
            try:
                await self.place.read(name, at, 1)
            except ReadFailed:
                pass
            else:
                return ReadFailed(str(error))
        return Refused(str(error))

    async def _tried(self, ask: Callable[[], Awaitable[_T]], size: Callable[[_T], int]) -> _T:
        for attempt in range(1, self.patience.attempts + 1):
            async with self._free:
                await self._until_allowed()
                self.traffic.requests += 1
                try:
                    given = await ask()
                except NotThere:
                    self._throttled_in_row = 0
                    raise
                except Throttled as error:
                    self.traffic.throttled += 1
                    self._hold_back(error.after_s)
                    failure: ReadFailed = error
                except ReadFailed as error:
                    failure = error
                else:
                    self._throttled_in_row = 0
                    self.traffic.read_bytes += size(given)
                    return given
            self.traffic.failures += 1
            if attempt == self.patience.attempts:
                break
            if not isinstance(failure, Throttled):
                await self.sleep(self._wait_s(attempt))
        raise failure

    async def _until_allowed(self) -> None:
        while (wait_s := self._resume_at - self.clock()) > 0:
            await self.sleep(wait_s)

    def _hold_back(self, after_s: float | None) -> None:
        """Let no read begin for a while; answers to reads that had begun before count once."""
        now = self.clock()
        if after_s is None:
            if now < self._resume_at:
                return
            self._throttled_in_row += 1
            after_s = self._wait_s(self._throttled_in_row)
        self._resume_at = max(self._resume_at, now + after_s)

    def _wait_s(self, attempt: int) -> float:
        """Doubled by each attempt, and by chance up to half as long again: not all come at once."""
        wait_s = self.patience.wait_s * 2.0 ** min(attempt - 1, 30)
        return float(min(wait_s, WAIT_MAX_S) * random.uniform(1, 1.5))


def merged(spans: Sequence[Span[_T]], gap_bytes: int, bytes_max: int) -> list[list[Span[_T]]]:
    """The spans of one file in groups to be read as one, in their order.

    Between two of a group lie at most `gap_bytes`; a group of more than one has at most `bytes_max`
    from its first byte to its last. Spans may overlap.
    """
    groups: list[list[Span[_T]]] = []
    end = start = 0
    for span in sorted(spans, key=lambda span: (span.start, span.length)):
        fits = max(end, span.end) - start <= bytes_max
        if groups and span.start - end <= gap_bytes and fits:
            groups[-1].append(span)
            end = max(end, span.end)
        else:
            groups.append([span])
            start, end = span.start, span.end
    return groups
