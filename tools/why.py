"""`webtext why URL`: what became of a page, from the posts that linked to it to its tokens.

Each stage is asked in the order of the flow, until one says that the row left. The link's id is the
thread: the same 32 digits in every table.
"""

import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from pipeline.corpus.publish import read_detail
from pipeline.engine.drops import reasons_of
from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.parts import read_sidecars
from pipeline.errors import StageError
from pipeline.links.select import ReadRules, why_url
from pipeline.reasons import Reason
from pipeline.tokens.shards import read_index


@dataclass(frozen=True)
class Chapter:
    """What one stage says: `kept`, and a sentence for people."""

    stage: str
    kept: bool
    text: str
    row: dict[str, Any]


def why(build: Path, url: str) -> list[Chapter]:
    """The chapters of a URL's (or link id's) story, up to the stage where it left."""
    links = read_manifest(build / "links")
    if links is None:
        raise StageError(f"{build} has no stage links yet; run webtext build first")
    id, opening = _opening(build, url, links)
    chapters = [opening]
    if opening.kept:
        for tell in (_page, _document, _corpus, _shard):
            chapter = tell(build, id)
            if chapter is None:
                break
            chapters.append(chapter)
            if not chapter.kept:
                break
    return chapters


def _opening(build: Path, url: str, links: Manifest) -> tuple[str, Chapter]:
    if len(url) == 32 and all(digit in "0123456789abcdef" for digit in url):
        id, reason = url, None
    else:
        explained = why_url(url, msgspec.convert(links.settings["read"], ReadRules))
        id, reason = explained.id, explained.reason
    folder = build / "links"
    row = _row(folder, id) if id else None
    if row is None:
        return id, _without_row(folder, id, url, reason)
    posts = _counted(row["posts"], "submission")
    karma = (
        f"karma {row['karma_max']} at best, {row['karma_sum']} in all, {row['karma_first']} first"
    )
    if row["verdict"] != "kept":
        return id, _left("links", Reason.KARMA_LOW, f"{posts}: {karma}", row)
    first = f", first on {_day(row['first_post_s'])} in r/{row['subreddit']}"
    return id, Chapter("links", True, f"{posts}{first}: {karma}. Link {id}, {row['url']}", row)


def _without_row(folder: Path, id: str, url: str, reason: Reason | None) -> Chapter:
    """What is said of a URL that is no link: its submissions' fates, or that there is none."""
    # What has no link (a self post) is known by its URL as it was posted.
    names = {id, url} - {""}
    if dropped := sum((reasons_of(folder, name) for name in names), Counter[str]()):
        fates = (f"{n} [{r}] {Reason[r.upper()].sentence}" for r, n in dropped.most_common())
        count = _counted(dropped.total(), "submission")
        return Chapter("links", False, f"{count}, all dropped: {' '.join(fates)}", {})
    if reason is None:
        return Chapter("links", False, "No submission in these dumps links to it.", {})
    seen = "No submission in these dumps links to it, and if one did: " if id else ""
    return Chapter("links", False, f"{seen}{reason.sentence} [{reason.value}]", {})


def _page(build: Path, id: str) -> Chapter | None:
    if (build / "pages" / "manifest.json").exists():
        row = _row(build / "pages", id)
        if row is None:
            return Chapter("pages", False, "The pages were selected before this link came in.", {})
        if row["outcome"] != "captured":
            return _left("pages", Reason[row["outcome"].upper()], "", row)
        hops = (
            f", after {_counted(row['hops'], 'redirect')} to {row['final_url']}"
            if row["hops"]
            else ""
        )
        text = (
            f"Captured on {_day(row['captured_s'])} in {row['warc']} at byte {row['offset']}{hops}"
        )
        return Chapter("pages", True, text, row)
    return None


def _document(build: Path, id: str) -> Chapter | None:
    def text(row: dict[str, Any]) -> str:
        return (
            f"{row['text_chars']:,} characters of {row['language'] or 'unknown language'}, by "
            f"{row['engine']}: {row['title'] or 'no title'}"
        )

    return _kept_or_dropped(build / "documents", id, text)


def _corpus(build: Path, id: str) -> Chapter | None:
    def text(row: dict[str, Any]) -> str:
        copies = f", stands for {row['copies']} copies" if row["copies"] else ""
        return f"In the corpus{copies}"

    return _kept_or_dropped(build / "corpus", id, text)


def _shard(build: Path, id: str) -> Chapter | None:
    for path in sorted((build / "shards").glob("*.idx")):
        index = read_index(path)
        if id in index.ids:
            number = index.ids.index(id)
            start, end = int(index.starts[number]), int(index.starts[number + 1])
            text = f"{path.with_suffix('.bin').name}, tokens {start:,} to {end:,}"
            if json.loads((path.parent / "shards.json").read_text())["split_by"] == "block":
                text += " (blocks are held out: this may be its first piece alone)"
            return Chapter("shards", True, text, {"file": path.stem, "start": start, "end": end})
    return None


def _kept_or_dropped(folder: Path, id: str, text: Any) -> Chapter | None:
    if not (folder / "manifest.json").exists():
        return None
    if row := _row(folder, id):
        return Chapter(folder.name, True, text(row), row)
    for path in sorted((folder / ".meta").rglob("drops-*.parquet")):
        for row in pq.read_table(path, filters=[("id", "==", id)]).to_pylist():
            detail = row["detail"] + _keepers_url(folder.parent, row["detail"])
            return _left(folder.name, Reason[row["reason"].upper()], detail, row)
    return Chapter(folder.name, False, "Not seen: this stage was made before it came in.", {})


def _keepers_url(build: Path, detail: str) -> str:
    """Where the keeper that a dropped copy names came from."""
    copy = read_detail(detail)
    keeper = _row(build / "documents", copy.keeper) if copy else None
    return f", {keeper['url']}" if keeper else ""


def _row(folder: Path, id: str) -> dict[str, Any] | None:
    for info in read_sidecars(folder):
        rows: list[dict[str, Any]] = pq.read_table(
            info.path, filters=[("id", "==", id)]
        ).to_pylist()
        if rows:
            return {name: value for name, value in rows[0].items() if name != "text"}
    return None


def _left(stage: str, reason: Reason, detail: str, row: dict[str, Any]) -> Chapter:
    return Chapter(stage, False, f"{reason.sentence} [{reason.value}] {detail}".strip(), row)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _day(seconds: int | None) -> str:
    return (
        "an unknown day" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    )
