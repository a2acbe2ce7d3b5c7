"""The sources of pages that a link can be asked for at, by the names in pages.sources.

A source is one function: it asks for the links that it has not answered, and adds one answer for
each to the archive. Nothing else is kept, so a killed run goes on where the archive ends.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pipeline.pages.archive.outcomes import Source
from pipeline.pages.archive.segments import Archive
from pipeline.pages.owners.agents import PRODUCT
from pipeline.settings import Settings

# What a source reads of a link; columns of records.LINK.
LINKS = pa.schema(
    [
        ("id", pa.string()),
        ("key", pa.string()),
        ("url", pa.string()),
        ("first_post_s", pa.int64()),
        ("capture_hint_s", pa.int64()),
    ]
)
_MODULES = {
    Source.COMMON_CRAWL: "pipeline.pages.commoncrawl.collect",
    Source.WAYBACK: "pipeline.pages.wayback",
}


@dataclass
class Collected:
    """What a source gave in one run."""

    outcomes: Counter[str] = field(default_factory=Counter)  # one for each link that was asked for
    known: int = 0  # links that had been answered before
    requests: int = 0
    read_bytes: int = 0


class Collect(Protocol):
    """How a source is asked."""

    async def __call__(
        self,
        links: pa.Table,
        archive: Archive,
        settings: Settings,
        *,
        scratch: Path,
        tell: Callable[[str], None],
    ) -> Collected:
        """Ask for the `links` (LINKS) that are not answered yet; one answer each.

        `scratch` is a folder of its own for files that may be lost; `tell` takes lines for people.
        Raises WebtextError where the source cannot be asked at all; what it has given is kept.
        """


def as_links(table: pa.Table) -> pa.Table:
    """The columns of LINKS of a table that has at least id, key and url; each link once."""
    columns = [
        table[field.name] if field.name in table.schema.names else pa.nulls(len(table), field.type)
        for field in LINKS
    ]
    links = pa.Table.from_arrays(columns, schema=LINKS)
    numbered = pa.table({"id": links["id"], "at": pa.array(range(len(links)), pa.int64())})
    first = numbered.group_by("id").aggregate([("at", "min")])["at_min"]
    return links if len(first) == len(links) else links.take(first.sort())


def user_agent(settings: Settings) -> str:
    """How requests to the archives of others name their sender."""
    contact = settings.fetch.contact.strip()
    is_sound = contact.isascii() and contact.isprintable() and contact
    return f"{PRODUCT} (+{contact})" if is_sound else PRODUCT


def source(name: Source) -> Collect:
    """The function that asks this source. KeyError for one that is not here."""
    found: Collect = import_module(_MODULES[name]).collect
    return found
