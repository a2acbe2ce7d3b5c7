"""Extractors: a page's markup in, its main text out.

An extractor is a function of the page alone: no network, no clock, no state from page to page. What
it raises travels up: the pool makes it a named drop.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.documents.engines import by_resiliparse, by_trafilatura


@dataclass(frozen=True, slots=True)
class Extracted:
    """A page's main text, "" where there is none, and the extractor that gave it.

    `score` is the page F1 that it expects, `page_type` one of blocks/page_types.py, of those that
    tell them.
    """

    text: str
    extractor: str
    score: float | None = None
    page_type: str = ""


Extractor = Callable[[str], Extracted]


def extract_by_trafilatura(html: str) -> Extracted:
    """Extract by trafilatura alone, through our rendering."""
    return Extracted(by_trafilatura(html), "trafilatura")


def extract_by_resiliparse(html: str) -> Extracted:
    """Extract by resiliparse alone: the fastest, and the one that keeps the least of lines."""
    return Extracted(by_resiliparse(html), "resiliparse")


def extract_combined(html: str) -> Extracted:
    """Extract block by block (combined.py), with other engines' opinion where that is not sure."""
    from pipeline.documents.combined import THOROUGH

    return _combined(html, THOROUGH)


def extract_fast(html: str) -> Extracted:
    """Extract block by block, and ask no engine of a page that shows a hundred words."""
    from pipeline.documents.combined import FAST

    return _combined(html, FAST)


def _combined(html: str, sure: float) -> Extracted:
    from pipeline.documents.combined import combine

    found = combine(html, sure)
    return Extracted(found.text, found.spoke, found.score, found.page_type)


EXTRACTORS: dict[str, Extractor] = {
    "trafilatura": extract_by_trafilatura,
    "combined": extract_combined,
    "combined-fast": extract_fast,
    "resiliparse": extract_by_resiliparse,
}
