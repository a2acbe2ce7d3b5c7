"""Publishing a stage: its refusal to keep nothing, its manifest, its view, and what may go then.

In this order, so that a kill at any instant leaves a stage that the next run can finish:

    files of the view that the new publication has not go; the manifest is written; the view is
    made; records, journals and data that nothing needs any more go
"""

from collections.abc import Container, Iterable
from dataclasses import replace

import xxhash

from pipeline.engine import names
from pipeline.engine.drops import read_drops
from pipeline.engine.manifest import Manifest, StepRecord, write_manifest
from pipeline.engine.parts import TABLE, File, read_record
from pipeline.engine.stage import Output, Stage, stage_ledger
from pipeline.engine.store import Store
from pipeline.errors import StageError
from pipeline.reasons import Reason

EXAMPLES = 5


def refuse_empty(stage: Stage, manifest: Manifest, outputs: Iterable[Output]) -> None:
    """Raise StageError if the stage kept nothing, with its commonest reasons and some rows.

    Where it was given no row, the first of its parts is named.
    """
    outputs = list(outputs)
    ledger = stage_ledger(stage, manifest.ledgers)
    if ledger.rows_out or stage.empty_is_fine:
        return
    labels = [record.label for output in outputs for record in output.parts]
    others = f" and {len(labels) - 1:,} more parts" if len(labels) > 1 else ""
    none = f"no row in {labels[0]}{others}" if labels else "no input"
    reasons = ", ".join(f"{r} {n}" for r, n in ledger.drops.most_common(5)) or none
    examples = [
        f"  {row['url'] or row['id']}: {Reason(row['reason']).sentence} {row['detail']}"
        for output in outputs
        for row in read_drops(output.store, output.parts).slice(0, 3).to_pylist()
    ]
    raise StageError(
        "\n".join(
            [
                f"{stage.name} kept nothing of {ledger.rows_in} {stage.unit} "
                f"({reasons}); nothing was published",
                *examples[:EXAMPLES],
            ]
        )
    )


def write_files(store: Store, fingerprint: str, files: dict[str, bytes]) -> dict[str, File]:
    """Write a publication's further files; they are there when its manifest names them."""
    attempt = names.new_attempt()
    written = {}
    for name, data in files.items():
        place = names.data(fingerprint, attempt, name)
        store.write(place, data)
        written[name] = File(place, len(data), xxhash.xxh3_128_hexdigest(data))
    return written


def add_file(store: Store, manifest: Manifest, name: str, content: bytes) -> None:
    """Publish a further file of a stage, over one of that name with another content."""
    before = manifest.files.get(name)
    if before and before.xxh3_128 == xxhash.xxh3_128_hexdigest(content):
        return
    files = {**manifest.files, **write_files(store, manifest.fingerprint, {name: content})}
    publish(store, replace(manifest, files=files), manifest)


def publish(store: Store, manifest: Manifest, old: Manifest | None) -> None:
    """Write the manifest and make the view; what the one before alone had goes."""
    hide(store, old, manifest)
    write_manifest(store, manifest)
    store.show(manifest.view())
    if old:
        needed = {file.name for file in manifest.all_files()}
        store.remove(file.name for file in old.all_files() if file.name not in needed)


def hide(store: Store, old: Manifest | None, new: Manifest | None = None) -> None:
    """Remove an earlier publication's view, but what a new one shows too."""
    if old is None:
        return
    shown = new.view() if new else {}
    store.remove(name for name, file in old.view().items() if shown.get(name) != file)


def remove_rows(store: Store, manifest: Manifest) -> None:
    """Remove a published stage's tables; its manifest, counts and drops stay."""
    last = manifest.steps[-1].name
    store.remove(names.record(manifest.stage, last, part.fingerprint) for part in manifest.parts)
    steps = _without_tables(manifest.steps)
    publish(store, replace(manifest, rows_gone=True, steps=steps), manifest)


def _without_tables(steps: list[StepRecord]) -> list[StepRecord]:
    parts = [
        replace(part, files={role: file for role, file in part.files.items() if role != TABLE})
        for part in steps[-1].parts
    ]
    return [*steps[:-1], replace(steps[-1], parts=parts)]


def tidy(store: Store, stage: Stage, manifest: Manifest) -> None:
    """Remove the records, journals and data of a published stage that nothing needs any more.

    Needed are what the manifest names, and all of the steps that are to be kept. A record goes
    before its files, so that none ever names a file that is not there.
    """
    needed = {file.name for file in manifest.all_files()}
    kept = {step.name for step in stage.steps if step.keep}
    records = set()
    for record in manifest.steps:
        if record.name in kept or record is manifest.steps[-1]:
            for part in record.parts:
                records.add(names.record(stage.name, record.name, part.fingerprint))
    for folder in store.folders(names.RECORDS):
        if names.is_of(stage.name, folder):
            stale = (e.name for e in store.entries(folder) if e.name not in records)
            remove_records(store, stale, needed)
    journals = {
        names.journal(stage.name, record.name, record.fingerprint)
        for record in manifest.steps
        if record.name in kept
    }
    store.remove(
        entry.name
        for entry in store.entries(names.JOURNALS)
        if names.is_of(stage.name, entry.name) and entry.name not in journals
    )


def remove_records(store: Store, stale: Iterable[str], needed: Container[str] = ()) -> None:
    """Remove records and their files, but those that are needed."""
    for name in stale:
        part = read_record(store, name)
        store.remove([name])
        if part:
            files = (file.name for file in part.files.values())
            store.remove(file for file in files if file not in needed)
