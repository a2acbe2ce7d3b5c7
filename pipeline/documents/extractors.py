"""Extractors: a page's markup in, its main text out.

An extractor is a function of the page alone: no network, no clock, no state from page to page. What
it raises travels up: the pool makes it a named drop.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pipeline.documents.engines import by_resiliparse, by_trafilatura
from pipeline.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Extracted:
    """A page's main text, "" where there is none, and the extractor that gave it."""

    text: str
    extractor: str


Extractor = Callable[[str], Extracted]


def extract_by_trafilatura(html: str) -> Extracted:
    """Extract by trafilatura alone, through our rendering."""
    return Extracted(by_trafilatura(html), "trafilatura")


def extract_by_resiliparse(html: str) -> Extracted:
    """Extract by resiliparse alone: the fastest, and the one that keeps the least of lines."""
    return Extracted(by_resiliparse(html), "resiliparse")


def extract_combined(html: str) -> Extracted:
    """Extract block by block (combined.py), with other engines' opinion where that is not sure."""
    from pipeline.documents.combined import THOROUGH, combine

    found = combine(html, THOROUGH)
    return Extracted(found.text, found.spoke)


def extract_fast(html: str) -> Extracted:
    """Extract block by block, with the opinion of resiliparse where that is not sure."""
    from pipeline.documents.combined import FAST, combine

    found = combine(html, FAST)
    return Extracted(found.text, found.spoke)


# Besides those of every build.
LIBRARIES_OF = {
    "combined": ("resiliparse", "readability-lxml"),
    "combined-fast": ("resiliparse",),
    "resiliparse": ("resiliparse",),
}


def versions_for(extractor: str) -> dict[str, str]:
    """The versions of what an extractor asks besides; SettingsError names what is not installed."""
    try:
        return {library: version(library) for library in LIBRARIES_OF.get(extractor, ())}
    except PackageNotFoundError as error:
        raise SettingsError(
            f"documents.extractor = {extractor} wants {error.name}: pip install '.[extraction]' "
            "from a checkout, with pip 24 or newer"
        ) from None


EXTRACTORS: dict[str, Extractor] = {
    "trafilatura": extract_by_trafilatura,
    "combined": extract_combined,
    "combined-fast": extract_fast,
    "resiliparse": extract_by_resiliparse,
}
