"""What a build may do without: files that nothing names, and what only makes a next build faster.

Unnamed are files in data/ that no manifest, record or journal names: killed attempts left them.
Open are records of a stage that is not published, or that was begun anew since. Kept are the rows
of a published stage's steps from which a changed rule starts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pipeline.engine import names
from pipeline.engine.manifest import Manifest, read_journal, read_manifest, write_manifest
from pipeline.engine.parts import Record, read_record
from pipeline.engine.publish import forget, list_stale, with_files
from pipeline.engine.store import Entry, Store
from pipeline.errors import StageError


@dataclass(frozen=True)
class Parts:
    """Parts of one step: the names of their records, their bytes, and when the last was written."""

    stage: str
    step: str
    records: list[str]
    bytes: int
    time_s: float


def manifests(store: Store) -> list[Manifest]:
    """All published stages."""
    found = (read_manifest(store, folder) for folder in store.folders(""))
    return [manifest for manifest in found if manifest]


def unnamed_files(store: Store) -> list[Entry]:
    """The files of data/ that nothing names, of our own pattern alone."""
    named = {file.name for manifest in manifests(store) for file in manifest.all_files()}
    for _, record in _records(store):
        named.update(file.name for file in record.files.values())
    for entry in store.entries(names.JOURNALS):
        journal = read_journal(store, entry.name)
        for record in journal.parts if journal else ():
            named.update(file.name for file in record.files.values())
    return [
        entry for entry in store.entries(names.DATA) if is_ours(entry) and entry.name not in named
    ]


def is_ours(entry: Entry) -> bool:
    """Whether a file of data/ has a name such as an attempt gives."""
    return bool(names.OWN.match(entry.name.rpartition("/")[2]))


def open_parts(store: Store) -> list[Parts]:
    """Parts that no manifest names, by step: a build goes on from them."""
    published = {
        names.record(manifest.stage, step.name, part.fingerprint)
        for manifest in manifests(store)
        for step in manifest.steps
        for part in step.parts
    }
    by_step: dict[str, Parts] = {}
    for entry, record in _records(store):
        if entry.name in published:
            continue
        folder = entry.name.split("/")[1]
        stage, _, step = folder.partition("-")
        before = by_step.get(folder, Parts(stage, step, [], 0, 0.0))
        by_step[folder] = replace(
            before,
            records=[*before.records, entry.name],
            bytes=before.bytes + sum(file.bytes for file in record.files.values()),
            time_s=max(before.time_s, entry.time_s),
        )
    return list(by_step.values())


def kept_parts(manifest: Manifest) -> Iterator[Parts]:
    """The steps of a published stage, but its last, whose rows are kept; `bytes` are of those."""
    for step in manifest.steps[:-1]:
        kept = [part for part in step.parts if part.has_rows]
        if kept:
            records = [names.record(manifest.stage, step.name, p.fingerprint) for p in kept]
            size = _bytes(step.parts) - _bytes(step.drops_alone().parts)
            yield Parts(manifest.stage, step.name, records, size, 0.0)


def remove_open(store: Store, parts: Parts) -> None:
    """Remove parts that no manifest names, and the journal of their step."""
    journals = f"{names.JOURNALS}/{parts.stage}-{parts.step}-"
    stale = [e.name for e in store.entries(names.JOURNALS) if e.name.startswith(journals)]
    list_stale(store, parts.stage, [*stale, *with_files(store, parts.records)])
    forget(store, parts.stage)


def remove_kept(store: Store, manifest: Manifest, step: str) -> Manifest:
    """Remove the kept rows of a published stage's step; its manifest then names the drops alone."""
    steps = [s.drops_alone() if s.name == step else s for s in manifest.steps]
    without = replace(manifest, steps=steps)
    before = manifest.record_of(step)
    assert before is not None
    journal = names.journal(manifest.stage, step, before.fingerprint)
    records = [names.record(manifest.stage, step, part.fingerprint) for part in before.parts]
    list_stale(store, manifest.stage, [journal, *with_files(store, records)])
    write_manifest(store, without)
    forget(store, manifest.stage)
    return without


def damaged_records(store: Store) -> Iterator[str]:
    """A line for each record and journal that cannot be read, with its mend."""
    records = [e.name for folder in store.folders(names.RECORDS) for e in store.entries(folder)]
    journals = [entry.name for entry in store.entries(names.JOURNALS)]
    for name in (*records, *journals):
        try:
            (read_journal if name in journals else read_record)(store, name)
        except StageError as error:
            yield str(error)


def _bytes(parts: list[Record]) -> int:
    return sum(file.bytes for part in parts for file in part.files.values())


def _records(store: Store) -> Iterator[tuple[Entry, Record]]:
    for folder in store.folders(names.RECORDS):
        for entry in store.entries(folder):
            if record := read_record(store, entry.name):
                yield entry, record
