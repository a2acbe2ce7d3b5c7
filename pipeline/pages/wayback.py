"""The Wayback Machine as a source, for small sets: one request every six seconds.

The CDX API (internetarchive/wayback, wayback-cdx-server) tells the captures of a URL nearest to the
post, `web/TIMEid_/URL` gives one as it was received. Choice and redirects are those of
`commoncrawl/choice.py`. An answer with `Memento-Datetime` is an archived one, whatever its status;
without, it is the archive's own word about itself.

Digests are not held against the index: playback undoes the encodings of some captures.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from pipeline.errors import SettingsError, StageError
from pipeline.links.canonical import Canonical, canonical
from pipeline.pages.archive.outcomes import Outcome, Source
from pipeline.pages.archive.segments import Archive
from pipeline.pages.archive.warc_records import WarcRecord, response_record
from pipeline.pages.capture import REDIRECT_STATUSES, Capture, time_of
from pipeline.pages.captured import preferences_of
from pipeline.pages.commoncrawl.choice import UNKNOWN_KEY, Choice, Ended, Fetch, Moved, Walk
from pipeline.pages.commoncrawl.records import Verified
from pipeline.pages.polite import Got, Polite, TooBusy
from pipeline.pages.sources import Collected, as_links, user_agent
from pipeline.pages.warc import Headers, Record, first_header
from pipeline.reasons import Drop, Reason
from pipeline.settings import Settings, WaybackSettings

_FIELDS = ("timestamp", "original", "mimetype", "statuscode", "digest")
_TIMESTAMP = re.compile(r"\d{14}")
_PLAYED = re.compile(r"/web/(\d{14})id_/(.+)")
_PREFIX = "x-archive-orig-"
_CDX_BYTES_MAX = 1 << 20
_HOPS_OF_PLAYBACK = 3  # from a time that has no capture to one that has
_NOT_OF_THE_BODY = frozenset({"transfer-encoding", "connection", "keep-alive"})
_DAY_S = 86_400
_TELL_EVERY_S = 30.0


async def collect(
    links: pa.Table,
    archive: Archive,
    settings: Settings,
    *,
    scratch: Path,
    tell: Callable[[str], None],
) -> Collected:
    """Ask the Wayback Machine for these links, one after another; see sources.Collect.

    How many they may be is `check_count`'s business. Raises StageError where the archive has asked
    for patience too often in a row.
    """
    rules, links = settings.wayback, as_links(links)
    settled = archive.settled(Source.WAYBACK)
    rows = links.filter(pa.array(~settled.holds(links["id"]))).to_pylist()
    made = Collected(known=links.num_rows - len(rows))
    polite = Polite(
        rules.url,
        rules.delay_s,
        rules.attempts,
        rules.timeout_s,
        user_agent(settings),
        rules.ca_file,
    )
    told_s = time.monotonic()
    async with polite:
        wayback = _Wayback(polite, rules, settings, archive)
        for row in rows:
            try:
                outcome = await wayback.answer(row)
            except TooBusy as error:
                archive.flush()
                raise StageError(
                    f"{rules.url} asks for patience ({error}). Nothing is lost: run the same "
                    "command later, with a longer wayback.delay_s"
                ) from None
            finally:
                made.requests, made.read_bytes = polite.requests, polite.read_bytes
            made.outcomes[outcome] += 1
            if time.monotonic() - told_s >= _TELL_EVERY_S:
                told_s = time.monotonic()
                left_s = (len(rows) - made.outcomes.total()) * 2 * rules.delay_s
                tell(f"{made.outcomes.total():,} links asked for; {left_s / 3600:.1f} h to go")
    archive.flush()
    return made


def check_count(links: int, rules: WaybackSettings) -> None:
    """Raise SettingsError for more links than wayback.links_max, before anything is asked."""
    if links > rules.links_max:
        days = 2 * links * rules.delay_s / _DAY_S
        raise SettingsError(
            f"{links:,} links for the Wayback Machine, which takes a request every "
            f"{rules.delay_s:g} s: about {days:.1f} days. It is for small sets: nothing is asked "
            f"above wayback.links_max = {rules.links_max:,}; raise that if you mean it"
        )


@dataclass
class _Wayback:
    """The archive, asked for one link at a time."""

    polite: Polite
    rules: WaybackSettings
    settings: Settings
    archive: Archive

    async def answer(self, row: dict[str, Any]) -> str:
        """Ask for a link, and add its answer; its outcome. Raises TooBusy."""
        walk = Walk(row["id"], row["key"], row["url"], row["first_post_s"], row["capture_hint_s"])
        redirects: list[WarcRecord] = []
        while True:
            step = await self._at(walk)
            if isinstance(step, Ended):
                break
            redirects.append(step.redirect.written)
            walk = step.walk
        capture, page = step.capture, step.page
        told = preferences_of(page.record.block, capture.url, None) if capture and page else ""
        answer = step.answer(walk, Source.WAYBACK, told, step.detail)
        self.archive.add(answer, [*redirects, *([page.written] if page else [])])
        return step.outcome.value

    async def _at(self, walk: Walk) -> Ended | Moved:
        """How the link ends at the URL where it is, or where it is led from there."""
        choice = Choice(walk, {}, {}, self.settings.pages.hops_max)
        sides = _sides(walk.search.time_s, self.rules.candidates)
        while True:
            step = choice.next()
            if sides and not choice.has_failed and not _is_best(step, walk):
                self._offer(choice, await self._captures(walk, sides.pop(0)))
            elif isinstance(step, Fetch):
                choice.take(step.capture, await self._read(step.capture))
            else:
                return step

    def _offer(self, choice: Choice, found: Iterable[Capture] | Drop) -> None:
        if isinstance(found, Drop):
            choice.fail(found)
            return
        days = self.settings.pages.max_distance_days
        for capture in found:
            choice.offer(capture, "", days * _DAY_S if days else None)

    async def _captures(self, walk: Walk, side: str) -> list[Capture] | Drop:
        """The captures that the index has on one side of the time, redirects and pages alone."""
        query = (
            f"cdx/search/cdx?url={quote(walk.at_url, safe='')}&output=json&gzip=false"
            f"&fl={','.join(_FIELDS)}&filter=!statuscode:[45]..&{side}"
        )
        got = await self.polite.get(query, _CDX_BYTES_MAX)
        if isinstance(got, Drop):
            return got
        if got.status != 200:
            return _own_word(got)
        rows = _rows(got.body)
        if isinstance(rows, Drop):
            return rows
        found = (_capture(walk.at_key, row) for row in rows)
        return [capture for capture in found if capture]

    async def _read(self, capture: Capture) -> Verified | Drop:
        """The archived response, as a record of ours."""
        moment, url = f"{capture.offset:014d}", capture.url
        for _ in range(_HOPS_OF_PLAYBACK):
            got = await self.polite.get(
                f"web/{moment}id_/{_quoted(url)}", self.rules.body_bytes_max
            )
            if isinstance(got, Drop):
                return got
            if first_header(got.headers, "Memento-Datetime"):
                return _record(url, moment, got, capture.offset)
            played = _PLAYED.search(first_header(got.headers, "Location"))
            page = canonical(played[2]) if played else None
            if got.status not in REDIRECT_STATUSES or not played or not isinstance(page, Canonical):
                return _own_word(got)
            if page.key != capture.key:
                return Drop(Reason.INDEX_WRONG, f"the archive leads from here to {page.url}")
            moment, url = played[1], played[2]
        return Drop(Reason.INDEX_WRONG, "the archive leads from one time to another")


def _is_best(step: Fetch | Moved | Ended, walk: Walk) -> bool:
    """Whether no capture on the other side of the time can be better than this one."""
    if isinstance(step, Fetch):
        is_exact = step.capture.captured_s == walk.search.time_s
        return step.capture.kind == "response" and (is_exact or not walk.search.exact)
    return isinstance(step, Ended) and step.outcome is Outcome.CAPTURED


def _sides(time_s: int | None, count: int) -> list[str]:
    """What to ask the index for, in order: after the time, then before it."""
    if time_s is None:
        return [f"limit={count}"]
    moment = f"{datetime.fromtimestamp(time_s, UTC):%Y%m%d%H%M%S}"
    return [f"from={moment}&limit={count}", f"to={moment}&limit=-{count}"]


def _rows(body: bytes) -> list[dict[str, str]] | Drop:
    """The rows of an answer in JSON: a list of lists, of which the first names the fields."""
    try:
        lines = json.loads(body) if body.strip() else []
    except ValueError:
        return Drop(Reason.RANGE_FAILED, "the index answers with what is no JSON")
    if not isinstance(lines, list) or not all(isinstance(line, list) for line in lines):
        return Drop(Reason.RANGE_FAILED, "the index answers with what is no table")
    if not lines:
        return []
    names = [str(name) for name in lines[0]]
    return [dict(zip(names, map(str, line), strict=False)) for line in lines[1:] if line]


def _capture(key: str, row: dict[str, str]) -> Capture | None:
    """What a row of the index claims; None if it is of another URL, or cannot be asked for."""
    moment, url = row.get("timestamp", ""), row.get("original", "")
    page = canonical(url)
    if not isinstance(page, Canonical) or page.key != key or not _TIMESTAMP.fullmatch(moment):
        return None
    if (seen_s := time_of(moment)) is None:
        return None
    told = row.get("statuscode", "")
    status = int(told) if told.isascii() and told.isdigit() and len(told) == 3 else 200  # a revisit
    is_redirect = status in REDIRECT_STATUSES
    return Capture(
        record_id="",
        key=key,
        url=url,
        kind="redirect" if is_redirect else "response",
        warc="",
        offset=int(moment),
        length=0,
        status=status,
        mime="",
        captured_s=seen_s,
        payload_digest=row.get("digest", ""),
        target_key=UNKNOWN_KEY if is_redirect else "",
        target_url="",
        fault="",
        detail="",
    )


def _record(url: str, moment: str, got: Got, offset: int) -> Verified:
    """The archived response in a record as a crawler would have written it.

    `offset` is that of the capture that was asked for, which it stands for.
    """
    headers = _original_headers(got.headers)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {got.status} {got.reason}\r\n{lines}\r\n".encode("latin-1", "replace")
    written = response_record(url, float(time_of(moment) or 0), head, got.body)
    fields = {name.lower(): value for name, value in written.fields}
    record = Record(offset, 0, fields, written.block, block_bytes=len(written.block))
    return Verified(written, record)


def _original_headers(headers: Headers) -> Headers:
    """The headers that the site had sent; of the archive's those that describe the body."""
    original = [
        (name[len(_PREFIX) :], value)
        for name, value in headers
        if name.lower().startswith(_PREFIX) and name[len(_PREFIX) :].lower() not in _NOT_OF_THE_BODY
    ]
    names = {name.lower() for name, _ in original}
    for name in ("Content-Type", "Content-Encoding", "Location"):
        value = first_header(headers, name)
        if value and name.lower() not in names:
            played = _PLAYED.search(value) if name == "Location" else None
            original.append((name, played[2] if played else value))
    return tuple(original)


def _own_word(got: Got) -> Drop:
    """What an answer of the archive about itself means."""
    error = first_header(got.headers, "X-Archive-Wayback-Runtime-Error")
    told = f"the archive answers with status {got.status}{': ' + error if error else ''}"
    is_final = got.status in (403, 404, 410)
    return Drop(Reason.INDEX_WRONG if is_final else Reason.RANGE_FAILED, told)


def _quoted(url: str) -> str:
    """The URL as part of a path: as it is, but for what no URL may hold."""
    return quote(url, safe="%:/?#[]@!$&'()*+,;=~-._").replace("#", "%23")
