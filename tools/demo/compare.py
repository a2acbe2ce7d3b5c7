"""Holds a build of the demo against its truth: did every planted page meet its end?"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.parts import DROPS
from pipeline.engine.store import Disk, Store
from pipeline.errors import StageError
from pipeline.links.canonical import Canonical, canonical, link_id
from pipeline.reasons import Reason

STAGES = ("links", "pages", "documents", "corpus")


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
    store = Disk(build)
    manifests = _manifests(store)
    counts = _submissions(manifests["links"])
    found = [
        Difference(
            f"submissions: {name}", str(truth["submissions"].get(name, 0)), str(counts[name])
        )
        for name in sorted({*counts, *truth["submissions"]})
        if truth["submissions"].get(name, 0) != counts[name]
    ]
    end_of = ends(build)
    records = manifests["pages"].ledgers["records"].rows_in
    if truth["records"] is not None and records != truth["records"]:
        found.append(Difference("WARC records", str(truth["records"]), str(records)))
    for url, expected in truth["links"].items():
        if (end := end_of(url)) not in expected.split("|"):
            found.append(Difference(url, expected, end or "not in the build"))
    return found


def ends(build: Path) -> Callable[[str], str]:
    """Tells of a URL what became of it: "kept", a reason, or "" if the build does not know it."""
    store = Disk(build)
    by_id = _ends(store, _manifests(store))

    def end_of(url: str) -> str:
        page = canonical(url)
        return by_id.get(link_id(page.key), "") if isinstance(page, Canonical) else ""

    return end_of


def _manifests(store: Store) -> dict[str, Manifest]:
    return {stage: _manifest(store, stage) for stage in STAGES}


def _manifest(store: Store, stage: str) -> Manifest:
    manifest = read_manifest(store, stage)
    if manifest is None:
        raise StageError(f"{store.place}/{stage} is missing: build the demo up to the corpus first")
    return manifest


def _submissions(links: Manifest) -> Counter[str]:
    """What became of the lines of the dumps."""
    ledger = links.ledgers["submissions"]
    return Counter({"kept": ledger.rows_out, "merged": ledger.merged, **ledger.drops})


def _ends(store: Store, manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """By link id: the reason for which a link left, or "kept" where its text is in the corpus."""
    ends = dict(_rows(store, manifests["links"], "verdict"))
    for id, reason in _drops(store, manifests["links"]):
        if reason == Reason.WIKIPEDIA:  # of all reasons for posts, the one that links share
            ends.setdefault(id, reason)
    ends.update(_rows(store, manifests["pages"], "outcome"))
    for stage in ("documents", "corpus"):
        ends.update(_drops(store, manifests[stage]))
    ends.update((id, "kept") for id, _ in _rows(store, manifests["corpus"], "url"))
    return ends


def _rows(store: Store, manifest: Manifest, column: str) -> Iterator[tuple[str, str]]:
    """The ids of a stage's rows, with a column."""
    for part in manifest.parts:
        yield from _pairs(store, part.table, column)


def _drops(store: Store, manifest: Manifest) -> Iterator[tuple[str, str]]:
    for part in manifest.all_parts:
        yield from _pairs(store, part.file(DROPS), "reason")


def _pairs(store: Store, table: str, column: str) -> Iterator[tuple[str, str]]:
    rows = store.table(table, ["id", column])
    return zip(rows["id"].to_pylist(), rows[column].to_pylist(), strict=True)
