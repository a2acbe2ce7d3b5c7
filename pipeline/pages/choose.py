"""Which capture answers for a link, among all captures of one URL: the rules, and nothing else.

A whole page is better than one that was cut, that than a redirect, a redirect better than a page
without content, and that than an error. Of several that are equally good the one nearest after the
post is taken, else the nearest before it: what the poster saw may have been gone a year later. A
link that named a capture of web.archive.org gets the nearest to that one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pipeline.pages.capture import ALL, CUT, NONE, PAGE_STATUSES, PARTIAL, Capture
from pipeline.reasons import Reason

# How good a capture is. A redirect to the same key (http to https, a slash more) leads to another
# of these captures, or to none.
_WHOLE, _CUT, _ELSEWHERE, _EMPTY, _NOTHING, _BACK_HERE = range(6)
_PAGES = {"": _WHOLE, ALL: _WHOLE, CUT: _CUT, NONE: _EMPTY}
_Groups = dict[tuple[str, str], list[Capture]]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for among the captures of one URL.

    `time_s` is that of the first post, or, if `exact`, of the very capture that was linked.
    `record_id` and `digest` (of a payload) ask for the original of a revisit, the first one before.
    """

    time_s: int | None
    exact: bool = False
    digest: str = ""
    record_id: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A page: the capture that was chosen, and the one that holds its bytes (of a revisit)."""

    capture: Capture
    page: Capture


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The answer lies at another URL: a redirect, or a revisit whose original is there."""

    capture: Capture


@dataclass(frozen=True, slots=True)
class Nothing:
    """No page: why, in detail, and the capture that says so (None: there is no capture)."""

    reason: Reason
    detail: str
    capture: Capture | None


Answer = Found | Elsewhere | Nothing


def choose(captures: Sequence[Capture], search: Search) -> Answer:
    """The one answer of the captures of a URL; it does not depend on their order."""
    pages = _groups(filter(is_page, captures))
    captures = _through_revisits(captures)
    if search.digest or search.record_id:
        captures = _originals(captures, search)
        if not captures:
            told = f"no capture with payload {search.digest or 'unknown'}"
            return Nothing(Reason.REVISIT_LOST, told, None)
    if not captures:
        return Nothing(Reason.NOT_CAPTURED, "", None)
    side: Literal["either", "after"] = "either" if search.exact else "after"
    goodness, chosen = min(
        ((_goodness(capture, pages), capture) for capture in captures),
        key=lambda one: (one[0], *_distance(one[1], search.time_s, side)),
    )
    if goodness in _PAGES.values():
        return Found(chosen, chosen if is_page(chosen) else _original(chosen, pages))
    if goodness == _ELSEWHERE:
        return Elsewhere(chosen)
    return Nothing(*_why_nothing(chosen), chosen)


def is_page(capture: Capture) -> bool:
    """Whether the record itself holds a page."""
    return (
        capture.kind == "response"
        and not capture.fault
        and (capture.status in PAGE_STATUSES or (capture.status == PARTIAL and capture.body == ALL))
    )


def _through_revisits(captures: Sequence[Capture]) -> list[Capture]:
    """The captures; a revisit that names another one of them repeats what that one repeats."""
    by_place = sorted(captures, key=lambda capture: capture.place, reverse=True)
    revisits = {c.record_id: c for c in by_place if c.kind == "revisit" and c.record_id}
    through = []
    for capture in captures:
        seen = {capture.record_id}
        while (named := revisits.get(capture.refers_to)) and named.record_id not in seen:
            seen.add(named.record_id)
            capture = replace(
                capture,
                refers_to=named.refers_to,
                target_key=named.target_key,
                target_url=named.target_url,
                payload_digest=capture.payload_digest or named.payload_digest,
            )
        through.append(capture)
    return through


def _originals(captures: Sequence[Capture], search: Search) -> list[Capture]:
    """What is looked for: pages, or pages that lead elsewhere; else the revisit that was named."""
    may_be = [c for c in captures if is_page(c) or _leads_by_itself(c)]
    found = _repeated(_groups(may_be), search.record_id, search.digest)
    if found and (search.digest or found[0].record_id == search.record_id):
        return found
    revisits = [c for c in captures if c.kind == "revisit"]
    named = [c for c in revisits if search.record_id and c.record_id == search.record_id]
    alike = [c for c in revisits if search.digest and c.payload_digest == search.digest]
    return named or alike or found


def _leads_by_itself(capture: Capture) -> bool:
    """Whether this is a page that leads to another URL by a refresh."""
    return capture.kind == "redirect" and capture.status in PAGE_STATUSES


def _goodness(capture: Capture, pages: _Groups) -> int:
    """`pages` are those among the captures."""
    if is_page(capture):
        return _PAGES[capture.body]
    there = capture.target_key not in ("", capture.key)
    if _may_be_page(capture):
        # One that names a record at another URL, and no payload, repeats none of this URL.
        named_there = there and capture.refers_to and not capture.payload_digest
        found = _repeated(pages, capture.refers_to, capture.payload_digest)
        if found and not (named_there and found[0].record_id != capture.refers_to):
            return _PAGES[found[0].body]
        return _ELSEWHERE if there else _NOTHING
    if capture.kind == "redirect":
        return _ELSEWHERE if there else _BACK_HERE if capture.target_key else _NOTHING
    return _NOTHING


def _may_be_page(capture: Capture) -> bool:
    """Whether this is a revisit that may repeat a page: status 0 is one that was not told."""
    return (
        capture.kind == "revisit"
        and not capture.fault
        and (capture.status == 0 or capture.status in PAGE_STATUSES)
    )


def _groups(pages: Iterable[Capture]) -> _Groups:
    """Pages by record id, by payload, and all of them under ("", ""); whole ones first."""
    groups: _Groups = {}
    for page in sorted(pages, key=lambda page: _PAGES[page.body]):
        for key in {("id", page.record_id), ("payload", page.payload_digest), ("", "")}:
            groups.setdefault(key, []).append(page)
    return groups


def _repeated(pages: _Groups, record_id: str, digest: str) -> list[Capture]:
    """What a revisit may repeat: the record that it names, else those with its payload.

    One that does not tell its payload repeats what its URL gave before.
    """
    named = pages.get(("id", record_id), []) if record_id else []
    return named or pages.get(("payload", digest) if digest else ("", ""), [])


def _original(revisit: Capture, pages: _Groups) -> Capture:
    """The page that a revisit repeats: a whole one if there is, the last before it."""
    return min(
        _repeated(pages, revisit.refers_to, revisit.payload_digest),
        key=lambda page: (_PAGES[page.body], *_distance(page, revisit.captured_s, "before")),
    )


def _distance(
    capture: Capture, time_s: int | None, first: Literal["after", "before", "either"]
) -> tuple[int, int, str, str, int]:
    """Sorts captures: the side of `time_s` that comes first, then the other, nearest first.

    Undated ones come last; ties by record id, then by place. Without a time the earliest is first.
    """
    tie = (capture.record_id, *capture.place)
    if capture.captured_s is None:
        return (2, 0, *tie)
    later_s = capture.captured_s - (time_s or 0)
    other_side = first != "either" and later_s != 0 and (later_s > 0) != (first == "after")
    return (int(other_side), abs(later_s), *tie)


def _why_nothing(capture: Capture) -> tuple[Reason, str]:
    if capture.fault:
        return Reason(capture.fault), capture.detail
    if capture.kind == "redirect":
        return Reason.REDIRECT_LOST, f"to {capture.target_url}"
    if _may_be_page(capture):
        return Reason.REVISIT_LOST, capture.payload_digest
    return Reason.STATUS_ERROR, f"status {capture.status}"
