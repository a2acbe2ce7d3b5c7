"""`webtext why URL`: what became of a page, from the posts that linked to it to its tokens.

Each stage is asked in the order of the flow, until one says that the row was dropped. The link's id
is the thread: the same 32 digits in every table. What has no URL, such as a broken line of a dump,
is asked for by its reason: `webtext why line_invalid`.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.corpus.edit import COUNTS, LINES
from pipeline.corpus.publish import read_detail
from pipeline.engine.drops import reasons_of
from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.parts import DROPS
from pipeline.engine.reading import rows_of
from pipeline.engine.stores import open_store
from pipeline.errors import SettingsError
from pipeline.links.select import Explained, ReadRules, why_url
from pipeline.reasons import Reason
from pipeline.tokens.shards import read_index
from tools.flow import ENGINE_STAGES
from tools.nearest import nearest_urls
from tools.places import Place
from tools.stores import builds_below, read_shards

EXAMPLES = 5  # of the rows that a reason dropped, or of the places of one URL
Verdict = Literal["kept", "dropped", "unknown"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Chapter:
    """What one stage says: its verdict, and a sentence for people.

    "unknown": the stage never saw the row. Of a URL that nobody posted, `row` may hold the nearest
    ones that somebody did.
    """

    stage: str
    verdict: Verdict
    text: str
    row: Row

    @property
    def kept(self) -> bool:
        """Whether the row went on to the next stage."""
        return self.verdict == "kept"


def why(build: Place, url: str) -> list[Chapter]:
    """The chapters of a URL's (or link id's) story, up to the stage where it was dropped.

    Of a reason's name: a chapter of each stage that dropped rows for it, with examples.
    """
    if isinstance(build, Path) and build.is_file():
        raise SettingsError(f"{build} is a file; --build takes the folder of a build")
    made = _Made(build)
    links = made.manifest("links")
    if links is None:
        mend = builds_below(build) or "; run webtext build first"
        raise SettingsError(f"{build} has no stage links yet{mend}")
    if url in set(Reason):
        return _of_reason(made, Reason(url))
    if not re.search(r"[./:]", url) and not _is_id(url):
        return [_of_no_url(url)]
    id, opening = _opening(made, url, links)
    chapters = [opening]
    if opening.kept:
        for tell in (_page, _document, _corpus, _shard):
            chapter = tell(made, id)
            if chapter is None:
                break
            chapters.append(chapter)
            if not chapter.kept:
                break
    return chapters


def _is_id(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{32}", text) is not None


def _of_no_url(word: str) -> Chapter:
    near = get_close_matches(word, list(Reason), n=1)
    told = f"{word} is no URL, no id of a link and no reason."
    return Chapter("links", "unknown", told + (f" Did you mean {near[0]}?" if near else ""), {})


class _Made:
    """A build's published stages; a manifest is read once."""

    def __init__(self, place: Place) -> None:
        self.store = open_store(place)
        self.manifest = cache(self._manifest)

    def _manifest(self, stage: str) -> Manifest | None:
        return read_manifest(self.store, stage)

    def row(self, stage: str, id: str) -> Row | None:
        """What a stage has of an id, but its text."""
        manifest = self.manifest(stage)
        for part in manifest.parts if manifest else ():
            for row in rows_of(self.store, part.table, [id]):
                return {name: value for name, value in row.items() if name != "text"}
        return None

    def lines_cut(self, id: str) -> list[str]:
        """The lines that a document of the corpus lost."""
        manifest = self.manifest("corpus")
        parts = manifest.all_parts if manifest else ()
        wanted = [("id", "==", id), ("unit", "==", LINES)]
        rows = (self.store.table(part.file(DROPS), filters=wanted).to_pylist() for part in parts)
        return [row["detail"] for of_part in rows for row in of_part]

    def drops(self, manifest: Manifest, wanted: Callable[[Row], bool]) -> list[Row]:
        """The first dropped rows of a stage that are wanted, with the dump that they stood in.

        Of a stage that keeps a sample of its drops, some or none of them are there.
        """
        found: list[Row] = []
        for step in manifest.steps:
            # A dump is what people know; other parts are ours.
            is_dump = (manifest.stage, step.name) == ("links", "read")
            for part in step.parts:
                rows = self.store.table(part.file(DROPS)).to_pylist()
                for row in filter(wanted, rows):
                    found.append({**row, "part": part.label if is_dump else ""})
                    if len(found) == EXAMPLES:
                        return found
        return found


def _of_reason(made: _Made, reason: Reason) -> list[Chapter]:
    chapters = []
    for stage in ENGINE_STAGES:
        manifest = made.manifest(stage)
        ledger = manifest.ledgers.get(manifest.unit) if manifest else None
        if manifest and ledger and (count := ledger.drops.get(reason, 0)):
            rows = made.drops(manifest, lambda row: row["reason"] == reason)
            places = "".join(f"\n{place}" for place in map(_place_told, rows) if place)
            told = (
                f"{_counted(count, manifest.unit.removesuffix('s'))}: {reason.sentence} [{reason}]"
            )
            such = f" Such as:{places}" if places else ""
            chapters.append(Chapter(stage, "dropped", told + such, {"rows": rows}))
    return chapters or [Chapter("links", "unknown", f"No row was dropped as [{reason}].", {})]


def _place_told(row: Row) -> str:
    """A dropped row on a line: its URL, what is known besides, and the dump that it stood in."""
    detail = row["detail"] or ""
    stood = " of ".join(part for part in (detail, row["part"]) if part)
    return ": ".join(part for part in (row["url"] or row["id"], stood) if part)


def _opening(made: _Made, url: str, links: Manifest) -> tuple[str, Chapter]:
    if _is_id(url):
        explained = Explained("", url, "", None)
    else:
        rules = msgspec.convert(links.settings["read"], ReadRules)
        explained = why_url(url, rules)
        if not explained.id and "://" not in url:  # as people type it
            explained = why_url(f"http://{url}", rules)
    id = explained.id
    row = made.row("links", id) if id else None
    if row is None:
        return id, _without_row(made, links, url, explained)
    posts = _counted(row["posts"], "submission")
    karma = (
        f"karma {row['karma_max']} at best, {row['karma_sum']} in all, {row['karma_first']} first"
    )
    if row["verdict"] != "kept":
        return id, _dropped("links", Reason.KARMA_LOW, f"{posts}: {karma}", row)
    first = f", first on {_day(row['first_post_s'])} in r/{row['subreddit']}"
    return id, Chapter("links", "kept", f"{posts}{first}: {karma}. Link {id}, {row['url']}", row)


def _without_row(made: _Made, links: Manifest, url: str, explained: Explained) -> Chapter:
    """What is said of a URL that is no link: its submissions' fates, or that there is none."""
    # What has no link (a self post) is known by its URL as it was posted.
    names = {explained.id, url} - {""}
    found = (reasons_of(made.store, links.all_parts, name) for name in names)
    if dropped := sum(found, Counter[str]()):
        fates = (f"{n} [{r}] {Reason(r).sentence}" for r, n in dropped.most_common())
        count = _counted(dropped.total(), "submission")
        rows = made.drops(links, lambda row: row["id"] in names or row["url"] in names)
        places = "; ".join(f"{row['part']} {row['detail']}" for row in rows)
        text = f"{count}, all dropped: {' '.join(fates)}{f' ({places})' if places else ''}"
        return Chapter("links", "dropped", text, {"rows": rows} if rows else {})
    text = "No submission in these dumps links to it."
    if explained.reason is not None:
        seen = "No submission in these dumps links to it, and if one did: " if explained.id else ""
        text = f"{seen}{explained.reason.sentence} [{explained.reason.value}]"
    near = nearest_urls(made.store, [part.table for part in links.parts], explained.key)
    if near:
        text += f" The nearest that one links to: {', '.join(near)}"
    return Chapter("links", "unknown", text, {"nearest": near} if near else {})


def _page(made: _Made, id: str) -> Chapter | None:
    if made.manifest("pages"):
        row = made.row("pages", id)
        if row is None:
            return Chapter(
                "pages", "unknown", "The pages were selected before this link came in.", {}
            )
        if row["outcome"] != "captured":
            return _dropped("pages", Reason(row["outcome"]), _way(row), row)
        return Chapter("pages", "kept", _captured(row), row)
    return None


def _captured(page: dict[str, Any]) -> str:
    by = "" if page["source"] == "warc" else f" by {page['source']}"
    text = f"Captured on {_day(page['captured_s'])}{by} in {page['warc']} at byte {page['offset']}"
    if page["hops"]:
        text += f", after {_counted(page['hops'], 'redirect')} to {page['final_url']}: {_way(page)}"
    return text if page["is_whole"] else f"{text}; its body was cut short or cannot be decoded"


def _way(page: dict[str, Any]) -> str:
    return " ".join(f"{hop['url']} ({hop['status']})" for hop in page["redirects"])


def _document(made: _Made, id: str) -> Chapter | None:
    def text(row: dict[str, Any]) -> str:
        return (
            f"{row['text_chars']:,} characters of {row['language'] or 'unknown language'}, by "
            f"{row['extractor']}: {row['title'] or 'no title'}"
        )

    return _kept_or_dropped(made, "documents", id, text)


def _corpus(made: _Made, id: str) -> Chapter | None:
    def text(row: dict[str, Any]) -> str:
        copies = f", stands for {row['copies']} copies" if row["copies"] else ""
        edits = "".join(
            f", {row[name]} {name.replace('_', ' ')}" for name in COUNTS if row.get(name)
        )
        cut = made.lines_cut(id) if row.get("lines_cut") else []
        return f"In the corpus{copies}{edits}" + "".join(f"\ncut: {line}" for line in cut)

    return _kept_or_dropped(made, "corpus", id, text)


def _shard(made: _Made, id: str) -> Chapter | None:
    manifest = made.manifest("shards")
    for name, file in sorted(manifest.view().items()) if manifest else ():
        if not name.endswith(".idx"):
            continue
        index, shard = read_index(made.store.local(file)), Path(name).stem
        if id in index.ids:
            number = index.ids.index(id)
            start, end = int(index.starts[number]), int(index.starts[number + 1])
            text = f"{shard}.bin, tokens {start:,} to {end:,}"
            about = read_shards(made.store, manifest)
            if about and about["split_by"] == "block":
                text += " (blocks are held out: this may be its first piece alone)"
            return Chapter("shards", "kept", text, {"file": shard, "start": start, "end": end})
    return None


def _kept_or_dropped(made: _Made, stage: str, id: str, text: Any) -> Chapter | None:
    manifest = made.manifest(stage)
    if manifest is None:
        return None
    if row := made.row(stage, id):
        return Chapter(stage, "kept", text(row), row)
    for part in manifest.all_parts:
        drops = made.store.table(part.file(DROPS), filters=[("id", "==", id)])
        for row in drops.to_pylist():
            detail = row["detail"]
            if urls := _keepers_urls(made, detail):
                url, *others = urls
                detail, row = f"{detail}, {url}", {**row, "keeper_url": url}
                if others:
                    detail += f"; the rest of it stands in {' and '.join(others)}"
            return _dropped(stage, Reason(row["reason"]), detail, row)
    return Chapter(stage, "unknown", "Not seen: this stage was made before it came in.", {})


def _keepers_urls(made: _Made, detail: str) -> list[str]:
    """The URLs of the keeper that a dropped copy names, and of the others that have part of it."""
    copy = read_detail(detail)
    named = [copy.keeper, *copy.others] if copy else []
    rows = (made.row("documents", id) for id in named)
    return [str(row["url"]) for row in rows if row]


def _dropped(stage: str, reason: Reason, detail: str, row: dict[str, Any]) -> Chapter:
    return Chapter(stage, "dropped", f"{reason.sentence} [{reason.value}] {detail}".strip(), row)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _day(seconds: int | None) -> str:
    return (
        "an unknown day" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    )
