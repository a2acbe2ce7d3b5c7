"""A link's way to its page: from URL to URL, by redirects and revisits, one look-up a round.

A walk is one row that says where a link stands. In each round the open walks meet the captures of
the URL they have come to, and either end there or move on. One that has found its page goes to the
robots.txt of the page's host, and ends there: with the page, or with what its owner asks. Beside
them go visits, which say that a record was used on some link's way, so that in the end every record
has an outcome too.
"""

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.links.canonical import canonical
from pipeline.pages.capture import ANSWER, CUT, NONE, ROBOTS, Capture
from pipeline.pages.choose import Answer, Elsewhere, Found, Nothing, Search, choose
from pipeline.pages.owners.preferences import Preferences, merged, of_robots_txt, verdict
from pipeline.pages.owners.robots import ROBOTS_PATH, RobotsTxt
from pipeline.reasons import Drop, Reason
from pipeline.records import PAGE

Row = dict[str, Any]

CAPTURED = "captured"
DAY_S = 86_400
# States of a walk's row.
OPEN = "open"  # to be looked up at `key`
FOUND = "found"  # has its page; `key` is that of the robots.txt of its host
ENDED = "ended"  # has its outcome
VISIT = "visit"  # no walk: the record at (warc, offset) was used by a walk that came to `key`

WALK = pa.schema(
    [
        *PAGE,
        ("key", pa.string()),  # where the row is brought next; an ended walk stays where it was
        ("state", pa.string()),
        ("capture_hint_s", pa.int64()),
        ("trail", pa.list_(pa.string())),  # the keys that were looked up before
        ("original_digest", pa.string()),  # the payload's that a revisit asks for, if one does
        ("original_id", pa.string()),  # its record's, where told
        ("detail", pa.string()),
        ("told", pa.string()),  # an outcome without a page that a source told of the link, or ""
        ("told_detail", pa.string()),
    ]
)


def look_up(
    walk: Row,
    captures: Sequence[Capture],
    hops_max: int,
    respect: Collection[str],
    days_max: int = 0,
) -> Iterator[Row]:
    """The next row of a walk that has not ended, and a visit for each record that it used.

    `captures` are all those of the URL it has come to. The outcome is "captured", or one of the
    reasons not_captured, redirect_lost, redirect_loop, status_error, revisit_lost, not_a_page,
    unreadable, too_far (all are over `days_max` from the post; 0: no limit); what a source told of
    a link for which nothing else is there; or that of a preference in `respect` (preferences.py).
    """
    if walk["state"] == FOUND:
        yield from _judged(walk, captures, respect)
        return
    told_of = [capture for capture in captures if capture.kind == ANSWER]
    captures = [capture for capture in captures if capture.kind != ANSWER]
    answers = [one for one in told_of if one.mime != CAPTURED]
    led = [one for one in told_of if one.mime == CAPTURED and not walk["hops"]]
    last = max(answers, key=lambda one: (one.captured_s, *one.place), default=None)
    if last and not walk["hops"]:
        walk = {**walk, "told": last.mime, "told_detail": last.detail}
    digest, record_id = walk["original_digest"] or "", walk["original_id"] or ""
    hint_s = walk["capture_hint_s"]
    time_s = walk["first_post_s"] if hint_s is None else hint_s
    near = _led_on(_within(captures, time_s, days_max), {one.target_key for one in led})
    if captures and not near:
        told = f"the nearest is {_days_to_nearest(captures, time_s)} days away"
        answer: Answer = Nothing(Reason.TOO_FAR, told, None)
    else:
        answer = choose(near, Search(time_s, hint_s is not None, digest, record_id))
    used = _used(answer)
    if last and not used:
        used = [last.place]
    used += [one.place for one in led]
    # A walk that came here and used nothing was here all the same.
    for warc, offset in used or [("", -1)] * bool(captures):
        yield {"state": VISIT, "key": walk["key"], "warc": warc, "offset": offset}
    match answer:
        case Found():
            yield _found(walk, answer)
        case Elsewhere():
            yield _moved_on(walk, answer.capture, hops_max)
        case Nothing():
            yield _ended_without(walk, answer)


def _led_on(captures: Sequence[Capture], led: Collection[str]) -> Sequence[Capture]:
    """The captures, less those that would hide a redirect by which a source came to its page.

    That page is whole, so it is better than one here that is not, and than the end of another
    redirect, of which nobody knows whether it has a page.
    """
    if not any(one.kind == "redirect" and one.target_key in led for one in captures):
        return captures
    return [
        one
        for one in captures
        if one.target_key in led or not (one.kind == "redirect" or one.body in (CUT, NONE))
    ]


def _within(captures: Sequence[Capture], time_s: int | None, days_max: int) -> Sequence[Capture]:
    """The captures within so many days of a time; all where there is no limit, or no time."""
    if not days_max or time_s is None:
        return captures
    return [
        capture
        for capture in captures
        if capture.captured_s is None or abs(capture.captured_s - time_s) <= days_max * DAY_S
    ]


def _days_to_nearest(captures: Sequence[Capture], time_s: int | None) -> int:
    times = (capture.captured_s for capture in captures)
    return min(abs(then - (time_s or 0)) for then in times if then is not None) // DAY_S


def with_urls(captures: Sequence[Row]) -> Iterator[Row]:
    """The revisits among these rows as if they had told the URL of the record that they name.

    All have that id in `refers_to`, the records too. One that names no record here is left out.
    """
    # Records of one id are copies: the first stands for all.
    named = {row["refers_to"]: row for row in reversed(captures) if _is_named(row)}
    for row in captures:
        if not _is_named(row) and (record := named.get(row["refers_to"])):
            yield {**row, "target_key": record["key"], "target_url": record["url"]}


def _is_named(row: Row) -> bool:
    return bool(row["refers_to"] == row["record_id"])


def _used(answer: Answer) -> list[tuple[str, int]]:
    if isinstance(answer, Found):
        return sorted({answer.capture.place, answer.page.place})
    return [answer.capture.place] if answer.capture else []


def _found(walk: Row, found: Found) -> Row:
    page = found.page
    # The original of a revisit at another URL: what was seen, and when, is the revisit's.
    asked = walk["original_digest"] or walk["original_id"]
    seen = {} if asked else _seen(found.capture)
    walk = {**walk, **seen}
    told = (walk["preferences"] or "", page.preferences)
    return {
        **walk,
        "state": FOUND,
        "key": robots_key(walk["final_url"]),
        "outcome": CAPTURED,
        "detail": "",
        "preferences": str(merged(*map(Preferences.read, told))),
        "source": source_of(page.warc),
        "distance_s": _distance_s(walk),
        "warc": page.warc,
        "offset": page.offset,
        "length": page.length,
        "record_id": page.record_id,
        "status": page.status,
        "payload_digest": page.payload_digest,
        "is_whole": page.body not in (CUT, NONE),
    }


def source_of(warc: str) -> str:
    """Where a page comes from, by its file: a build keeps each source's in archive/SOURCE/."""
    archive, slash, rest = warc.partition("/")
    return rest.partition("/")[0] if slash and archive == "archive" else "warc"


def _distance_s(walk: Row) -> int | None:
    captured_s, posted_s = walk["captured_s"], walk["first_post_s"]
    return None if captured_s is None or posted_s is None else captured_s - posted_s


def robots_key(url: str) -> str:
    """The key of the robots.txt of the page at this URL."""
    found = canonical(f"http://{urlsplit(url).netloc}{ROBOTS_PATH}")
    return "" if isinstance(found, Drop) else found.key


def _judged(walk: Row, captures: Sequence[Capture], respect: Collection[str]) -> Iterator[Row]:
    """A walk with its page, ended by what the owner asks: the robots.txt nearest in time counts."""
    preferences = Preferences.read(walk["preferences"])
    if found := [capture for capture in captures if capture.kind == ROBOTS]:
        robots = min(found, key=lambda one: (_apart(one, walk["captured_s"]), *one.place))
        told = of_robots_txt(_read(robots.preferences), walk["final_url"])
        preferences = merged(preferences, told)
        place = {"warc": robots.warc, "offset": robots.offset}
        yield {"state": VISIT, "key": walk["key"], **place}
    ended = {**walk, "state": ENDED, "preferences": str(preferences)}
    if forbidden := verdict(preferences, respect):
        ended |= {"outcome": forbidden.reason.value, "detail": forbidden.detail}
    yield ended


def _apart(capture: Capture, time_s: int | None) -> tuple[bool, int]:
    """Sorts by the time between; what has none comes last."""
    if capture.captured_s is None:
        return True, 0
    return False, abs(capture.captured_s - (time_s or 0))


@lru_cache(maxsize=64)
def _read(text: str) -> RobotsTxt:
    """Walks come by key, so by host."""
    return RobotsTxt(text.encode())


def _moved_on(walk: Row, capture: Capture, hops_max: int) -> Row:
    trail = [*walk["trail"], walk["key"]]
    there = f"to {capture.target_url}"
    if capture.target_key in trail:
        return _ended_without(walk, Nothing(Reason.REDIRECT_LOOP, f"back {there}", capture))
    if walk["hops"] >= hops_max:
        problem = f"more than {hops_max} redirects, the next one {there}"
        return _ended_without(walk, Nothing(Reason.REDIRECT_LOOP, problem, capture))
    is_revisit = capture.kind == "revisit"
    asked = walk["original_digest"] or walk["original_id"]
    return {
        **walk,
        # Of a revisit that repeats a revisit the first is what was seen.
        **(_seen(capture) if is_revisit and not asked else {}),
        "key": capture.target_key,
        "hops": walk["hops"] + 1,
        "redirects": [*walk["redirects"], {"url": capture.url, "status": capture.status}],
        "trail": trail,
        "original_digest": capture.payload_digest if is_revisit else "",
        "original_id": capture.refers_to if is_revisit else "",
        "detail": there,
    }


def _ended_without(walk: Row, answer: Nothing) -> Row:
    reason, detail = answer.reason, answer.detail
    if reason is Reason.NOT_CAPTURED and walk["told"]:
        reason, detail = Reason(walk["told"]), walk["told_detail"]
    elif reason is Reason.NOT_CAPTURED and walk["hops"]:
        reason, detail = Reason.REDIRECT_LOST, walk["detail"]
    elif walk["hops"] and answer.capture:
        detail = f"{detail}, at {answer.capture.url}"
    return {**walk, "state": ENDED, "outcome": reason.value, "detail": detail}


def _seen(capture: Capture) -> Row:
    return {
        "final_url": capture.url,
        "captured_s": capture.captured_s,
        "preferences": capture.preferences,
    }
