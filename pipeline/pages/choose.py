"""Which capture answers for a link, among all captures of one URL: the rules, and nothing else.

A page is better than a redirect, a redirect better than an error. Of several that are equally good
the one nearest after the post is taken, else the nearest before it: what the poster saw may have
been gone a year later. A link that named a capture of web.archive.org gets the nearest to that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.pages.capture import PAGE_STATUSES, Capture
from pipeline.reasons import Reason

# How good a capture is. A redirect to the same key (http to https, a slash more) leads to another
# of these captures, or to none.
_PAGE, _ELSEWHERE, _NOTHING, _BACK_HERE = range(4)


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for among the captures of one URL.

    `time_s` is that of the first post, or, if `exact`, of the very capture that was linked.
    `digest` (of a payload) asks for the original of a revisit.
    """

    time_s: int | None
    exact: bool = False
    digest: str = ""


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
    if search.digest:
        captures = [c for c in captures if c.payload_digest == search.digest and is_page(c)]
        if not captures:
            return Nothing(Reason.REVISIT_LOST, f"no capture with payload {search.digest}", None)
    if not captures:
        return Nothing(Reason.NOT_CAPTURED, "", None)
    pages = [capture for capture in captures if is_page(capture)]
    payloads = {page.payload_digest for page in pages}
    side: Literal["either", "after"] = "either" if search.exact else "after"
    goodness, chosen = min(
        ((_goodness(capture, payloads), capture) for capture in captures),
        key=lambda one: (one[0], *_distance(one[1], search.time_s, side)),
    )
    if goodness == _PAGE:
        return Found(chosen, chosen if is_page(chosen) else _original(chosen, pages))
    if goodness == _ELSEWHERE:
        return Elsewhere(chosen)
    return Nothing(*_why_nothing(chosen), chosen)


def is_page(capture: Capture) -> bool:
    """Whether the record itself holds a page."""
    return capture.kind == "response" and not capture.fault and capture.status in PAGE_STATUSES


def _goodness(capture: Capture, payloads: set[str]) -> int:
    """`payloads` are the digests of the pages among the captures."""
    # A revisit that does not tell its payload repeats what its URL gave before.
    told = capture.payload_digest
    if is_page(capture) or (_may_be_page(capture) and (told in payloads if told else payloads)):
        return _PAGE
    if capture.kind == "redirect" and capture.target_key == capture.key:
        return _BACK_HERE
    leads = capture.kind == "redirect" or _may_be_page(capture)
    return _ELSEWHERE if leads and capture.target_key not in ("", capture.key) else _NOTHING


def _may_be_page(capture: Capture) -> bool:
    """Whether this is a revisit that may repeat a page: status 0 is one that was not told."""
    return (
        capture.kind == "revisit"
        and not capture.fault
        and (capture.status == 0 or capture.status in PAGE_STATUSES)
    )


def _original(revisit: Capture, pages: Sequence[Capture]) -> Capture:
    """The page that a revisit repeats: the last before it with the same payload."""
    told = revisit.payload_digest
    same = [page for page in pages if not told or page.payload_digest == told]
    return min(same, key=lambda page: _distance(page, revisit.captured_s, "before"))


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
        return Reason[capture.fault.upper()], capture.detail
    if capture.kind == "redirect":
        return Reason.REDIRECT_LOST, f"to {capture.target_url}"
    if _may_be_page(capture):
        return Reason.REVISIT_LOST, capture.payload_digest
    return Reason.STATUS_ERROR, f"status {capture.status}"
