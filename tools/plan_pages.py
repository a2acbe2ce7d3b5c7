"""What a page of the WARC files takes: some of them are extracted, as a build would do it.

Pages differ tenfold in their CPU time, by the size and the kind of what people link to, so no rate
that was measured elsewhere tells it.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.documents.extract import Document, PageAt, ReadAndExtract
from pipeline.engine.task import pool_of
from pipeline.pages.copies import near_copies
from pipeline.settings import Settings
from tools.plan_inputs import CaptureAt

PAGES = 128  # their mean is within an eighth of that of all, two times of three
WORKERS_MAX = 4
WARM_UP = 4  # pages of each worker, while it loads its libraries and models


@dataclass(frozen=True)
class PageCosts:
    """Means over the pages that were extracted."""

    pages: int
    cpu_s: float
    documents: float  # share that gave one
    text_bytes: float  # of a document


def measured_pages(settings: Settings, captures: Sequence[CaptureAt]) -> PageCosts | None:
    """Extract some of these, evenly spread; None where there are too few to tell."""
    workers = min(settings.engine.workers or os.cpu_count() or 1, WORKERS_MAX)
    warm_up = WARM_UP * workers
    if len(captures) <= warm_up:
        return None
    chosen = captures[:: -(-len(captures) // (PAGES + warm_up))]
    names = {str(page.warc): page.warc for page in chosen}
    places = [(str(page.warc), page.offset, page.length) for page in chosen]
    spent: list[float] = []
    with (
        TemporaryDirectory() as scratch,
        near_copies(names, places, Path(scratch)) as paths,
        pool_of(replace(settings.engine, workers=workers)) as pool,
    ):
        pages = [PageAt(str(paths[warc]), *where) for warc, *where in places]
        extracted = pool.map(
            ReadAndExtract(settings.documents), pages, lambda cpu_s, _: spent.append(cpu_s)
        )
        found = [result for result in extracted if isinstance(result, Document)]
    counted = spent[warm_up:]
    return PageCosts(
        pages=len(counted),
        cpu_s=sum(counted) / len(counted),
        documents=len(found) / len(chosen),
        text_bytes=sum(len(page.text.encode()) for page in found) / (len(found) or 1),
    )
