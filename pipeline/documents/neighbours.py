"""justext's second look at short paragraphs, in time linear in their number.

trafilatura asks justext where it finds little itself. justext walks from every short paragraph to
the next good or bad one, and where there is none to the page's ends: 20,000 cells of one letter
hold it for 17 s. Here each page is walked five times, and the verdicts are the same. When justext
does so itself, delete this file, its test and its line in extractors.py.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

_SURE = ("good", "bad")


class Paragraph(Protocol):
    """A paragraph of justext: its class as judged alone, and as revised."""

    cf_class: str
    class_type: str


def revise_paragraphs(paragraphs: Sequence[Paragraph], max_heading_distance: int = 0) -> None:
    """Set each paragraph's `class_type`: "short" and "neargood" become "good" or "bad".

    As justext.core.revise_paragraph_classification does where no paragraph is a heading, which is
    how trafilatura calls it; so `max_heading_distance` has no meaning.
    """
    classes = [paragraph.cf_class for paragraph in paragraphs]
    classes = _revise_short(classes)
    classes = _revise_near(classes)
    for paragraph, revised in zip(paragraphs, classes, strict=True):
        paragraph.class_type = revised


def _revise_short(classes: list[str]) -> list[str]:
    around = zip(
        classes,
        _last(classes, _SURE),
        _next(classes, _SURE),
        _last(classes, (*_SURE, "neargood")),
        _next(classes, (*_SURE, "neargood")),
        strict=True,
    )
    revised = []
    for own, before, after, nearer_before, nearer_after in around:
        if own != "short":
            revised.append(own)
        elif before == after:
            revised.append(before)
        else:
            bad_side = nearer_before if before == "bad" else nearer_after
            revised.append("good" if bad_side == "neargood" else "bad")
    return revised


def _revise_near(classes: list[str]) -> list[str]:
    revised, before = [], "bad"
    for own, after in zip(classes, _next(classes, _SURE), strict=True):
        if own == "neargood":
            own = "good" if "good" in (before, after) else "bad"
        revised.append(own)
        before = own
    return revised


def _last(classes: Iterable[str], wanted: tuple[str, ...]) -> list[str]:
    """The nearest of the wanted classes before each place, "bad" where there is none."""
    found, last = [], "bad"
    for own in classes:
        found.append(last)
        if own in wanted:
            last = own
    return found


def _next(classes: list[str], wanted: tuple[str, ...]) -> list[str]:
    return _last(reversed(classes), wanted)[::-1]
