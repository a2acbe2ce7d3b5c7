"""Publishing a stage: its refusal to keep nothing, its manifest, its view, and what may go then.

In this order, so that a kill at any instant leaves a stage that the next run can finish:

    what will be stale is listed; files of the view that the new publication has not go; the
    manifest is written; the view is made; records, journals and data that nothing needs go
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace

import xxhash

from pipeline.engine import names
from pipeline.engine.drops import read_drops
from pipeline.engine.manifest import Manifest, StepRecord, read_manifest, write_manifest
from pipeline.engine.parts import TABLE, File, read_records
from pipeline.engine.stage import Output, Stage, stage_ledger
from pipeline.engine.store import Store
from pipeline.errors import StageError
from pipeline.reasons import Reason

EXAMPLES = 5


def refuse_empty(stage: Stage, manifest: Manifest, outputs: Sequence[Output]) -> None:
    """Raise StageError if the stage kept nothing, with its commonest reasons and some rows.

    Where it was given no row, the first of its parts is named.
    """
    ledger = stage_ledger(stage, manifest.ledgers)
    if ledger.rows_out or stage.empty_is_fine:
        return
    labels = [record.label for output in outputs for record in output.parts]
    others = f" and {len(labels) - 1:,} more parts" if len(labels) > 1 else ""
    none = f"no row in {labels[0]}{others}" if labels else "no input"
    reasons = ", ".join(f"{r} {n:,}" for r, n in ledger.drops.most_common(5)) or none
    commonest = {reason for reason, _ in ledger.drops.most_common(1)}
    examples = [
        f"  {row['url'] or row['id'] or 'a row'}: {Reason(row['reason']).sentence} {row['detail']}"
        for output in outputs
        for row in read_drops(output.store, output.parts).to_pylist()
        if row["reason"] in commonest
    ]
    raise StageError(
        "\n".join(
            [
                f"{stage.name} kept nothing of {ledger.rows_in:,} {stage.unit} "
                f"({reasons}); nothing was published",
                *examples[:EXAMPLES],
            ]
        )
    )


def publish(
    store: Store, manifest: Manifest, old: Manifest | None, files: Mapping[str, bytes]
) -> Manifest:
    """Write a stage's further files, its manifest and its view; the manifest as it was written.

    What a kill on the way would leave to nobody is listed first: see `forget`.
    """
    attempt = names.new_attempt()
    placed = {name: _file(manifest.fingerprint, attempt, name, files[name]) for name in files}
    manifest = replace(manifest, files={**manifest.files, **placed})
    before = old.all_files() if old else []
    list_stale(store, manifest.stage, [file.name for file in (*placed.values(), *before)])
    for name, file in placed.items():
        store.write(file.name, files[name])
    hide(store, old, manifest)
    write_manifest(store, manifest)
    store.show(manifest.view())
    return manifest


def add_file(store: Store, manifest: Manifest, name: str, content: bytes) -> None:
    """Publish a further file of a stage, over one of that name with another content."""
    before = manifest.files.get(name)
    if before is None or before.xxh3_128 != xxhash.xxh3_128_hexdigest(content):
        publish(store, manifest, manifest, {name: content})
        forget(store, manifest.stage)


def _file(fingerprint: str, attempt: str, name: str, data: bytes) -> File:
    place = names.data(fingerprint, attempt, name)
    return File(place, len(data), xxhash.xxh3_128_hexdigest(data))


def hide(store: Store, old: Manifest | None, new: Manifest | None = None) -> None:
    """Remove an earlier publication's view, but what a new one shows too."""
    if old is None:
        return
    shown = new.view() if new else {}
    store.remove(name for name, file in old.view().items() if shown.get(name) != file)


def remove_rows(store: Store, manifest: Manifest) -> None:
    """Remove a published stage's tables; its manifest, counts and drops stay."""
    last = manifest.steps[-1]
    records = [names.record(manifest.stage, last.name, p.fingerprint) for p in last.parts]
    tables = [part.table for part in last.parts if part.has_rows]
    list_stale(store, manifest.stage, [*records, *tables])
    bare = replace(manifest, rows_gone=True, steps=_without_tables(manifest.steps))
    hide(store, manifest, bare)
    write_manifest(store, bare)
    forget(store, manifest.stage)


def _without_tables(steps: list[StepRecord]) -> list[StepRecord]:
    parts = [
        replace(part, files={role: file for role, file in part.files.items() if role != TABLE})
        for part in steps[-1].parts
    ]
    return [*steps[:-1], replace(steps[-1], parts=parts)]


def tidy(store: Store, stage: Stage, manifest: Manifest) -> None:
    """Remove the records, journals and data of a published stage that nothing needs any more.

    Needed are what the manifest names, and all of the steps that are to be kept. Journals go first
    and records before their files, so that none ever names a file that is not there.
    """
    kept = {step.name for step in stage.steps if step.keep}
    needed = set()
    for record in manifest.steps:
        if record.name in kept:
            needed.add(names.journal(stage.name, record.name, record.fingerprint))
        if record.name in kept or record is manifest.steps[-1]:
            for part in record.parts:
                needed.add(names.record(stage.name, record.name, part.fingerprint))
    stale = [name for name in _journals(store, stage.name) if name not in needed]
    stale += with_files(store, [n for n in _records(store, stage.name) if n not in needed])
    listed = list_stale(store, stage.name, stale)
    _remove(store, stage.name, listed, {file.name for file in manifest.all_files()})


def take_back(store: Store, manifest: Manifest, records: list[str] | None = None) -> None:
    """Make a published stage one that was interrupted, without these records; None: without all."""
    stage = manifest.stage
    stale = _records(store, stage) if records is None else records
    files = [file.name for file in manifest.all_files()]
    stale = [*_journals(store, stage), *with_files(store, stale), *files]
    list_stale(store, stage, [names.manifest(stage), *stale])
    forget(store, stage)


def with_faults(manifest: Manifest) -> list[str]:
    """The records of the parts that dropped rows by the limits on an item."""
    return [
        names.record(manifest.stage, step.name, part.fingerprint)
        for step in manifest.steps
        for part in step.parts
        if part.faults
    ]


def forget(store: Store, stage: str) -> None:
    """Remove what is listed as stale, if no manifest and no other record names it.

    So a list may be written before the manifest that makes it true, and a kill on the way loses
    and leaves nothing. Where the manifest itself is listed, it goes first, with the view.
    """
    listed = store.read_json(names.forget(stage))
    if listed is None:
        return
    manifest = read_manifest(store, stage)
    if manifest and names.manifest(stage) in listed:
        hide(store, manifest)
        store.remove([names.manifest(stage)])
        manifest = None
    needed = {file.name for file in manifest.all_files()} if manifest else set()
    stay = {*_records(store, stage)}.difference(listed)
    _remove(store, stage, listed, needed.union(with_files(store, sorted(stay))))


def list_stale(store: Store, stage: str, stale: list[str]) -> list[str]:
    """Write down what is to be removed, before what a killed run wrote down; all of it."""
    listed = store.read_json(names.forget(stage)) or []
    if stale:
        listed = [*stale, *listed]
        store.write_json(names.forget(stage), listed)
    return listed


def _remove(store: Store, stage: str, listed: list[str], needed: Container[str]) -> None:
    if listed:
        store.remove(name for name in listed if name not in needed)
        store.remove([names.forget(stage)])


def with_files(store: Store, records: list[str]) -> list[str]:
    """Records, and after all of them their files."""
    found = read_records(store, records)
    return [*records, *(file.name for record in found for file in record.files.values())]


def _journals(store: Store, stage: str) -> list[str]:
    found = store.entries(names.JOURNALS)
    return [entry.name for entry in found if names.is_of(stage, entry.name)]


def _records(store: Store, stage: str) -> list[str]:
    folders = [f for f in store.folders(names.RECORDS) if names.is_of(stage, f)]
    return [entry.name for folder in folders for entry in store.entries(folder)]
