"""Holds a build of the demo against its truth: did every planted page meet its end?"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.engine.manifest import read_manifest
from pipeline.engine.parts import read_sidecars
from pipeline.errors import StageError
from pipeline.links.canonical import Canonical, canonical, link_id
from pipeline.reasons import Reason


@dataclass(frozen=True)
class Difference:
    """Something that became other than it should: a link's URL, or a kind of submissions."""

    what: str
    expected: str
    found: str


def differences(build: Path, expected_path: Path) -> list[Difference]:
    """All differences; none where the build is as it should be.

    `build` must hold the stages links to corpus, `expected_path` is the expected.json that was
    written with its input. Raises StageError where a stage is missing.
    """
    truth = json.loads(expected_path.read_text(encoding="utf-8"))
    counts = _submissions(build)
    found = [
        Difference(
            f"submissions: {name}", str(truth["submissions"].get(name, 0)), str(counts[name])
        )
        for name in sorted({*counts, *truth["submissions"]})
        if truth["submissions"].get(name, 0) != counts[name]
    ]
    ends = _ends(build)
    pages = read_manifest(build / "pages")
    records = pages.ledgers["records"].rows_in if pages else 0
    if records != truth["records"]:
        found.append(Difference("WARC records", str(truth["records"]), str(records)))
    for url, expected in truth["links"].items():
        page = canonical(url)
        end = ends.get(link_id(page.key), "") if isinstance(page, Canonical) else ""
        if end not in expected.split("|"):
            found.append(Difference(url, expected, end or "not in the build"))
    return found


def _submissions(build: Path) -> Counter[str]:
    """What became of the lines of the dumps."""
    manifest = read_manifest(build / "links")
    if manifest is None:
        raise StageError(f"{build} has no stage links yet")
    ledger = manifest.ledgers["submissions"]
    return Counter({"kept": ledger.rows_out, "merged": ledger.merged, **ledger.drops})


def _ends(build: Path) -> dict[str, str]:
    """By link id: the reason for which a link left, or "kept" where its text is in the corpus."""
    ends: dict[str, str] = {}
    for id, verdict in _rows(build / "links", "verdict"):
        ends[id] = verdict
    for path in _drops(build / "links"):
        for id, reason in _pairs(path, "reason"):
            if reason == Reason.WIKIPEDIA:  # of all reasons for posts, the one that links share
                ends.setdefault(id, reason)
    for id, outcome in _rows(build / "pages", "outcome"):
        ends[id] = outcome
    for stage in ("documents", "corpus"):
        for path in _drops(build / stage):
            ends.update(_pairs(path, "reason"))
    ends.update((id, "kept") for id, _ in _rows(build / "corpus", "url"))
    return ends


def _rows(folder: Path, column: str) -> list[tuple[str, str]]:
    """The ids of a stage's rows, with a column."""
    if read_manifest(folder) is None:
        raise StageError(f"{folder} is missing: build the demo up to the corpus first")
    return [pair for info in read_sidecars(folder) for pair in _pairs(info.path, column)]


def _pairs(path: Path, column: str) -> list[tuple[str, str]]:
    table = pq.read_table(path, columns=["id", column])
    return list(zip(table["id"].to_pylist(), table[column].to_pylist(), strict=True))


def _drops(folder: Path) -> list[Path]:
    return sorted((folder / ".meta").rglob("drops-*.parquet"))
