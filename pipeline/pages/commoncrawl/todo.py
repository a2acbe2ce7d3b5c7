"""Which links are asked for in which crawls: never twice in one that had no page of a link.

An answer without a page ends with the crawls that were asked (`[asked: 2013: 20 48; 2014: 10]`),
so that a crawl that comes later is asked for what is missing, and for nothing else.
"""

import re
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.pages.archive.outcomes import Outcome, Source
from pipeline.pages.commoncrawl.crawls import in_full, short

COLUMNS = ("id", "source", "outcome", "is_final", "detail")
# Before the names of crawls, which must not be cut off with the rest: who has more of them than fit
# is asked again.
DETAIL_CHARS = 200
_ASKED = re.compile(r"\[asked: ([^\]]*)\]$")


def with_asked(detail: str, crawls: Sequence[str]) -> str:
    """A detail, and the crawls that gave no page."""
    return f"{detail[:DETAIL_CHARS]} [asked: {short(list(crawls))}]".lstrip()


def asked_in(detail: str) -> set[str]:
    """The crawls that a detail names as asked."""
    found = _ASKED.search(detail)
    return in_full(found[1]) if found else set()


def to_ask(
    links: pa.Table, answers: pa.Table, crawls: Sequence[str]
) -> Iterator[tuple[list[str], pa.Table]]:
    """The links that are to be asked for, by the crawls to ask: each link once.

    `answers` are the archive's (COLUMNS). Links that have a page, from any source, are left out.
    """
    captured = answers.filter(pc.equal(answers["outcome"], Outcome.CAPTURED.value))["id"]
    ours = answers.filter(
        pc.and_(pc.equal(answers["source"], Source.COMMON_CRAWL.value), answers["is_final"])
    )
    links = links.filter(pc.invert(pc.is_in(links["id"], value_set=captured.combine_chunks())))
    known = pc.index_in(links["id"], value_set=ours["id"].combine_chunks())
    asked = pc.extract_regex(ours["detail"], r"\[asked: (?P<crawls>[^\]]*)\]$")
    texts = pc.fill_null(pc.struct_field(asked, "crawls"), "").combine_chunks()
    told = pc.fill_null(texts.take(known.combine_chunks()), "")
    for text in pc.unique(told).to_pylist():
        before = in_full(text)
        missing = [crawl for crawl in crawls if crawl not in before]
        if missing:
            yield missing, links.filter(pc.equal(told, text))
