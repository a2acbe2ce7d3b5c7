"""What a page says about itself in its head: title and date of publication.

Read from the markup by patterns, not from a tree: an extractor parses the page once more anyway,
and a date guessed from text and links (htmldate) costs two thirds of a whole extraction.
"""

import html as html_entities
import re
from datetime import date

from pipeline.documents.clean import clean_line

TITLE_CHARS_MAX = 500
_MARKUP_CHARS_MAX = 20 * TITLE_CHARS_MAX  # of a title; cleaning costs more than searching
# No character; html.unescape raises where Python reads no number of so many digits.
_NO_CHARACTER = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9a-fA-F]{8,}+);?")
_META = re.compile(
    r"<meta\s([^>\"']*+(?:\"[^\"]*+\"[^>\"']*+|'[^']*+'[^>\"']*+|[\"'])*+)", re.IGNORECASE
)
_ATTRIBUTE = re.compile(
    r"(?<![^\s\"'/])([^\s\"'/=]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++))"
)
_TITLE = re.compile(r"<title\b[^<>]*+>([^<]*+)", re.IGNORECASE)
_JSON_DATE = re.compile(r"\"datePublished\"\s*+:\s*+\"([^\"]{8,40})\"")
# Any other <time> may be that of a comment, or of a thread in a list.
_TIME = re.compile(
    r"<time\b(?=[^<>]{0,300}?\b(?:pubdate|datepublished)\b)"
    r"[^<>]{0,300}?\bdatetime\s*+=\s*+[\"']([^\"'>]{8,40})[\"']",
    re.IGNORECASE,
)
_DAY = re.compile(r"\s*(\d{4})[-/.]?(\d{2})[-/.]?(\d{2})(?!\d)")
_TITLE_NAMES = ("og:title", "twitter:title", "dc.title", "headline")
# By how surely they mean the day of publication.
_DATE_NAMES = (
    "article:published_time",
    "datepublished",
    "og:published_time",
    "parsely-pub-date",
    "sailthru.date",
    "dc.date.issued",
    "dcterms.issued",
    "dcterms.created",
    "dc.date.created",
    "dc.date",
    "dcterms.date",
    "pubdate",
    "publishdate",
    "publish-date",
    "publication_date",
    "citation_publication_date",
    "date",
)


def page_title(html: str, meta: dict[str, str]) -> str:
    """Give back the title that the page gives itself: for sharing, else of its window, else ""."""
    for name in _TITLE_NAMES:
        if title := _as_line(meta.get(name, "")):
            return title
    found = _TITLE.search(html)
    return _as_line(found[1]) if found else ""


def page_date(html: str, meta: dict[str, str]) -> str:
    """Give back the day of publication (ISO 8601) as the page states it, else ""."""
    for name in _DATE_NAMES:
        if day := _day(meta.get(name, "")):
            return day
    for pattern in (_JSON_DATE, _TIME):
        if (found := pattern.search(html)) and (day := _day(found[1])):
            return day
    return ""


def read_meta(html: str) -> dict[str, str]:
    """Give back the content of each `<meta>` by its lower-case name; the first of a name counts."""
    contents: dict[str, str] = {}
    for found in _META.finditer(html):
        attributes = {
            name.lower(): double or single or bare
            for name, double, single, bare in _ATTRIBUTE.findall(found[1])
        }
        name = attributes.get("property") or attributes.get("name") or attributes.get("itemprop")
        if name and attributes.get("content"):
            contents.setdefault(name.lower(), attributes["content"])
    return contents


def _as_line(markup: str) -> str:
    markup = _NO_CHARACTER.sub("\ufffd", markup.strip()[:_MARKUP_CHARS_MAX])
    return clean_line(html_entities.unescape(markup))[:TITLE_CHARS_MAX].rstrip()


def _day(text: str) -> str:
    found = _DAY.match(text)
    if not found:
        return ""
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return ""
    return day.isoformat() if day.year >= 1990 else ""  # earlier than the web: a placeholder
