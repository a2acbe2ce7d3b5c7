"""A link among the captures that an index has of its URL: which to fetch next, and how it ends.

The index is a claim. So a link chooses by the house's rule (`pages/choose.py`), its capture is
fetched and read, what was read takes the place of what the index said, and it chooses again: until
it chooses what it has seen. A record that is not right, or turns out to be cut, loses its place by
the same rule. Redirects are read too, so the archive holds the whole way.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

from pipeline.links.canonical import canonical
from pipeline.pages.archive.outcomes import Answer, Hop, Outcome, Source
from pipeline.pages.capture import (
    CUT,
    NONE,
    PAGE_STATUSES,
    PAGE_TYPES,
    REDIRECT_STATUSES,
    Capture,
    capture_of,
)
from pipeline.pages.choose import Elsewhere, Found, Nothing, Search, choose
from pipeline.pages.commoncrawl.places import safe_name
from pipeline.pages.commoncrawl.records import Verified
from pipeline.pages.media import media_type
from pipeline.reasons import Drop, Reason

DAY_S = 86_400
FETCHES_MAX = 5  # of one link at one URL; then the best of what was read is taken
UNKNOWN_KEY = "?"  # of a redirect whose target the index does not tell; no key is like it
_Place = tuple[str, int]


@dataclass(slots=True)
class Walk:
    """A link on its way: where it stands, and how it came there."""

    id: str
    key: str  # of the link
    url: str
    first_post_s: int | None
    hint_s: int | None
    at_key: str = ""  # where it is looked for now
    at_url: str = ""
    hops: tuple[Hop, ...] = ()
    trail: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.at_key = self.at_key or self.key
        self.at_url = self.at_url or self.url

    @property
    def search(self) -> Search:
        """What is looked for: the nearest to the hint, else the nearest after the post."""
        if self.hint_s is not None:
            return Search(self.hint_s, exact=True)
        return Search(self.first_post_s)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A capture that must be read before more can be said."""

    capture: Capture
    digest: str  # of its payload, as the index has it


@dataclass(frozen=True, slots=True)
class Moved:
    """The link leads to another URL, by this record."""

    walk: Walk
    redirect: Verified


@dataclass(frozen=True, slots=True)
class Ended:
    """The link's outcome; with a page its capture and record."""

    outcome: Outcome
    detail: str = ""
    capture: Capture | None = None
    page: Verified | None = None

    def answer(self, walk: Walk, source: Source, preferences: str, detail: str) -> Answer:
        """What the source gave for the link."""
        seen, page = self.capture, self.page
        return Answer(
            walk.id,
            walk.key,
            walk.url,
            source,
            self.outcome,
            answered_s=int(time.time()),
            first_post_s=walk.first_post_s,
            captured_s=seen.captured_s if seen else None,
            status=seen.status if seen else 0,
            final_url=walk.at_url if walk.hops else "",
            redirects=walk.hops,
            record_id=page.written.id if page else "",
            payload_digest=seen.payload_digest if seen and page else "",
            preferences=preferences,
            detail=detail,
        )


Step = Fetch | Moved | Ended


@dataclass(slots=True)
class Choice:
    """A walk at one URL, with the captures that there are."""

    walk: Walk
    captures: dict[_Place, Capture]
    digests: dict[_Place, str]
    hops_max: int
    too_far: int = 0  # captures that are farther from the post than the limit
    read: dict[_Place, Verified | None] = field(default_factory=dict)  # None: not right

    def next(self) -> Step:
        """What is to be done."""
        if self.has_failed:
            # Another capture would do, and tomorrow this one: what is kept hangs on no failure.
            failed = next(c for c in self.captures.values() if c.fault == Reason.RANGE_FAILED)
            return Ended(Outcome.RANGE_FAILED, failed.detail, failed)
        captures: Iterable[Capture] = self.captures.values()
        if len(self.read) >= FETCHES_MAX:
            captures = [self.captures[place] for place in self.read]
        answer = choose(list(captures), self.walk.search)
        match answer:
            case Found(page=page):
                found = self.read.get(page.place)
                return self._ended_on(page, found) if found else self._fetch(page)
            case Elsewhere(capture):
                found = self.read.get(capture.place)
                return self._moved(capture, found) if found else self._fetch(capture)
            case Nothing():
                return self._ended_without(answer)

    @property
    def first(self) -> Capture | None:
        """The capture that is to be read next, if there is one."""
        step = self.next()
        return step.capture if isinstance(step, Fetch) else None

    @property
    def has_failed(self) -> bool:
        """Whether a capture could not be read, which another try may change."""
        return any(c.fault == Reason.RANGE_FAILED for c in self.captures.values())

    def offer(self, capture: Capture, digest: str, distance_max_s: int | None) -> None:
        """One more capture; it is counted only where it is too far from the link's time."""
        time_s, seen_s = self.walk.search.time_s, capture.captured_s
        distance_s = None if time_s is None or seen_s is None else abs(seen_s - time_s)
        if distance_s is not None and distance_max_s is not None and distance_s > distance_max_s:
            self.too_far += 1
            return
        self.captures.setdefault(capture.place, capture)
        self.digests.setdefault(capture.place, digest)

    def fail(self, why: Drop) -> None:
        """The captures could not be asked for."""
        nowhere = Capture(
            *("", self.walk.at_key, self.walk.at_url, "response", "", -1, 0, 0, "", None, ""),
            *("", "", why.reason.value, why.detail),
        )
        self.captures[nowhere.place] = nowhere

    def take(self, capture: Capture, got: Verified | Drop) -> None:
        """The record of a capture was read, or is not right."""
        found: Capture | Drop = (
            got if isinstance(got, Drop) else capture_of(got.record, capture.warc)
        )
        if isinstance(found, Drop):
            faulty = replace(
                capture, kind="response", fault=found.reason.value, detail=found.detail
            )
            self.captures[capture.place], self.read[capture.place] = faulty, None
            return
        self.captures[capture.place] = found
        self.read[capture.place] = got if isinstance(got, Verified) else None

    def _fetch(self, capture: Capture) -> Fetch:
        return Fetch(capture, self.digests[capture.place])

    def _ended_on(self, page: Capture, found: Verified) -> Ended:
        if page.body == CUT:
            told = found.record.headers.get("warc-truncated", "")
            return Ended(Outcome.TRUNCATED, told and f"truncated: {told}", page, found)
        if page.body == NONE:
            told = "the body is empty, or cannot be decoded"
            return Ended(Outcome.PAGE_EMPTY, told, page, found)
        return Ended(Outcome.CAPTURED, "", page, found)

    def _moved(self, capture: Capture, found: Verified) -> Step:
        walk, there = self.walk, f"to {capture.target_url}"
        trail = (*walk.trail, walk.at_key)
        if capture.target_key in trail:
            return Ended(Outcome.REDIRECT_LOOP, f"back {there}", capture)
        if len(walk.hops) >= self.hops_max:
            told = f"more than {self.hops_max} redirects, the next one {there}"
            return Ended(Outcome.REDIRECT_LOOP, told, capture)
        hops = (*walk.hops, Hop(capture.url, capture.status))
        target = capture.target_key, capture.target_url
        return Moved(
            replace(walk, at_key=target[0], at_url=target[1], hops=hops, trail=trail), found
        )

    def _ended_without(self, answer: Nothing) -> Ended:
        if answer.capture is not None:
            at = f", at {answer.capture.url}" if self.walk.hops else ""
            return Ended(Outcome(answer.reason.value), f"{answer.detail}{at}", answer.capture)
        if self.too_far:
            return Ended(Outcome.TOO_FAR, f"{self.too_far} captures, all farther from the post")
        if self.walk.hops:
            return Ended(Outcome.REDIRECT_LOST, f"to {self.walk.at_url}")
        return Ended(Outcome.NOT_IN_INDEX)


def choice_of(
    walk: Walk,
    rows: Iterable[Mapping[str, Any]],
    *,
    hops_max: int,
    distance_max_s: int | None,
    record_bytes_max: int,
) -> Choice:
    """The choice of a walk among these rows of the index (index.ROW), all of its present URL."""
    made = Choice(walk, {}, {}, hops_max)
    for row in rows:
        capture = capture_of_row(row, record_bytes_max)
        made.offer(capture, row["content_digest"] or "", distance_max_s)
    return made


def capture_of_row(row: Mapping[str, Any], record_bytes_max: int) -> Capture:
    """What a row of the index claims, as a capture; with a fault where it cannot be fetched."""
    status = row["fetch_status"] or 0
    mime = media_type((("content-type", row["content_mime_type"] or ""),))[0]
    target_key = target_url = ""
    is_redirect = status in REDIRECT_STATUSES
    if is_redirect:
        target_key, target_url = _target(row["url"], row["fetch_redirect"] or "")
    fault, detail = _fault(row, record_bytes_max)
    if not fault and status in PAGE_STATUSES and mime not in PAGE_TYPES:
        fault, detail = Reason.NOT_A_PAGE.value, mime
    return Capture(
        record_id="",
        key=row["key"],
        url=row["url"],
        kind="redirect" if is_redirect and not fault else "response",
        warc=row["warc_filename"] or "",
        offset=-1 if row["warc_record_offset"] is None else row["warc_record_offset"],
        length=row["warc_record_length"] or 0,
        status=status,
        mime=mime,
        captured_s=row["fetch_time"],
        payload_digest=row["content_digest"] or "",
        target_key=target_key,
        target_url=target_url,
        fault=fault,
        detail=detail,
        body=CUT if row["content_truncated"] and status in PAGE_STATUSES else "",
    )


def _fault(row: Mapping[str, Any], record_bytes_max: int) -> tuple[str, str]:
    """Why the place that a row names cannot be asked for; ("", "") if it can."""
    name, offset, length = (
        row["warc_filename"] or "",
        row["warc_record_offset"],
        row["warc_record_length"] or 0,
    )
    if safe_name(name) is None:
        return Reason.INDEX_WRONG.value, f"the index names the file {name[:200]!r}"
    if offset is None or offset < 0 or length <= 0:
        return Reason.INDEX_WRONG.value, f"the index has {length} bytes at {offset} of {name}"
    if length > record_bytes_max:
        told = f"{length} bytes, more than commoncrawl.record_bytes_max"
        return Reason.BODY_TOO_LARGE.value, told
    return "", ""


def _target(base: str, address: str) -> tuple[str, str]:
    """Key and URL to which a redirect leads as the index tells it; else it must be read."""
    if address:
        try:
            page = canonical(urljoin(base, address))
        except ValueError:  # an unmatched bracket in the host
            return UNKNOWN_KEY, ""
        if not isinstance(page, Drop):
            return page.key, page.url
    return UNKNOWN_KEY, ""
