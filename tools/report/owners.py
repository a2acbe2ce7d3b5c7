"""What the owners of the pages that were found ask: how many do, and of how many it is known."""

from collections import Counter
from dataclasses import dataclass

import pyarrow.compute as pc

from pipeline.engine.reading import Published
from pipeline.pages.owners.preferences import Preferences

WORDS = {
    "robots": "robots.txt does not let our crawler in",
    "ai_agents": "robots.txt does not let in crawlers that collect for training",
    "noai": "noai in a robots tag",
    "noimageai": "noimageai in a robots tag",
    "tdm": "text and data mining is reserved",
    "content_signal": "Content-Signal: ai-train",
    "content_usage": "Content-Usage: train-ai",
}


@dataclass(frozen=True)
class Asked:
    """One preference, over the pages that were found: forbidden, allowed, not said, not known."""

    words: str
    name: str
    respected: bool
    forbidden: int
    allowed: int
    unsaid: int
    unknown: int


def owners_ask(pages: Published) -> list[Asked]:
    """A row for each preference; none where the build was made before they were read."""
    settings = pages.manifest.settings.get("follow_0") or {}
    if "respect" not in settings:
        return []
    found: Counter[str] = Counter()
    for table in pages.tables(["warc", "preferences"]):
        texts = table.filter(pc.is_valid(table["warc"]))["preferences"]  # of pages that were found
        for each in pc.value_counts(texts).to_pylist():
            found[each["values"] or ""] += each["counts"]
    states: dict[str, Counter[str]] = {name: Counter() for name in WORDS}
    for text, count in found.items():
        preferences = Preferences.read(text)
        for name, counts in states.items():
            counts[preferences.state(name)] += count
    order = ("forbidden", "allowed", "unsaid", "unknown")
    return [
        Asked(WORDS[name], name, name in settings["respect"], *(counts[state] for state in order))
        for name, counts in states.items()
    ]
