"""`webtext clean`: removes what a build no longer needs, and tells what is kept and why.

Files that nothing names are what attempts left that were killed; young ones may be of an attempt
that is still at work on another machine. `everything` removes too what a build would make again.
"""

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from rich.filesize import decimal
from rich.table import Table

from pipeline.engine import leftovers, names
from pipeline.engine.manifest import Manifest
from pipeline.engine.store import Store
from pipeline.engine.stores import open_store
from pipeline.errors import SettingsError
from tools.places import Place
from tools.status import console_for_tables
from tools.stores import builds_below, folder_of
from tools.watch import log_events

YOUNG_S = 24 * 3600.0


@dataclass(frozen=True)
class Entry:
    """One thing in a build. `bytes` is what would be free without it, of a stage what it has."""

    name: str
    bytes: int
    kept: bool
    why: str
    remove: Callable[[], object] = bool  # what to call to be rid of it


def clean(
    place: Place, *, now: bool = False, everything: bool = False, dry_run: bool = False
) -> list[Entry]:
    """Remove what is not needed; each thing that was there, and what became of it.

    `now` removes unnamed files whatever their age. Raises SettingsError for a place that is no
    build, BusyError while one is made in it.
    """
    store = open_store(place)
    if not store.stat(names.FIXED):
        mend = builds_below(place) or "; name the --out folder of a build or of a stage"
        raise SettingsError(f"{place} is not a build folder{mend}")
    with store.locked():
        found = list(_survey(store, now=now, everything=everything))
        for entry in found:
            if not entry.kept and not dry_run:
                entry.remove()
    return found


def show(found: list[Entry], *, dry_run: bool) -> None:
    """Print what was kept and what was removed, with sizes and reasons."""
    gone = "would go" if dry_run else "removed"
    table = Table("", "what", "why")
    table.add_column("on disk", justify="right", no_wrap=True)
    for entry in found:
        verdict = "kept" if entry.kept else gone
        table.add_row(verdict, entry.name, entry.why, decimal(entry.bytes))
    console = console_for_tables()
    console.print(table)
    kept = sum(entry.bytes for entry in found if entry.kept)
    rest = sum(entry.bytes for entry in found if not entry.kept)
    console.print(f"{decimal(rest)} {gone}, {decimal(kept)} kept")


def _survey(store: Store, *, now: bool, everything: bool) -> Iterator[Entry]:
    published = leftovers.manifests(store)
    for manifest in published:
        yield from _of_stage(store, manifest, everything)
    yield from _others(store, {manifest.stage for manifest in published})
    for folder in (names.RUNS, names.SCRATCH):
        if size := sum(entry.bytes for entry in store.entries(folder, below=True)):
            why = "a build that was killed left it"
            yield Entry(folder, size, False, why, partial(store.remove_folder, folder))
    last_run = _last_run(store)
    for parts in leftovers.open_parts(store):
        kept, why = _verdict(parts, published, last_run)
        if kept and everything:
            kept, why = False, f"{why}; a build makes it again"
        name = f"{parts.stage}: {len(parts.records):,} parts of {parts.step}"
        remove = partial(leftovers.remove_open, store, parts)
        yield Entry(name, parts.bytes, kept, why, remove)
    yield from _unnamed(store, now=now)


def _unnamed(store: Store, *, now: bool) -> Iterator[Entry]:
    """The files of killed attempts: those that go, and those that may be of one at work."""
    found = leftovers.unnamed_files(store)
    since = math.inf if now else time.time() - YOUNG_S
    why = "nothing names them: attempts were killed"
    for young in (False, True):
        files = [file for file in found if (file.time_s > since) == young]
        if files:
            told = f"{why} less than a day ago; --now removes them" if young else why
            size = sum(file.bytes for file in files)
            remove = partial(store.remove, [file.name for file in files])
            yield Entry(f"{names.DATA}: {len(files):,} files", size, young, told, remove)


def _of_stage(store: Store, manifest: Manifest, everything: bool) -> Iterator[Entry]:
    last = manifest.steps[-1].parts
    size = sum(file.bytes for part in last for file in part.files.values())
    size += sum(file.bytes for file in manifest.files.values())
    yield Entry(manifest.stage, size, True, "a published stage")
    why = "rows of a finished step: a changed rule starts from them"
    if everything:
        why += "; a build makes it again"
    for parts in leftovers.kept_parts(manifest):
        remove = partial(leftovers.remove_kept, store, manifest, parts.step)
        yield Entry(f"{manifest.stage}: {parts.step}", parts.bytes, not everything, why, remove)


def _others(store: Store, published: set[str]) -> Iterator[Entry]:
    """What lies in the folder besides the engine's own."""
    ours = {
        names.DATA,
        names.RECORDS,
        names.JOURNALS,
        names.RUNS,
        names.SCRATCH,
        names.FORGET,
        *published,
    }
    for name in sorted({*store.folders(""), *(entry.name for entry in store.entries(""))} - ours):
        yield Entry(name, _size(store, name), True, _purpose(name))


def _purpose(name: str) -> str:
    known = {
        names.FIXED: "what the build is fixed to",
        names.INPUTS: "digests of inputs",
        names.LOCK: "the build's lock",
        names.LOG: "the build's log",
        "log": "the build's log",
        names.ARCHIVE: "fetched pages, which nothing makes again",
        "model": "the trained model",
        "work": "a model at work",
        "report.html": "the report",
        "webtext.toml": "the settings it was made with",
        "input": "the demo's web and submissions",
    }
    return known.get(name, "not made by a build")


def _verdict(
    parts: leftovers.Parts, published: list[Manifest], last_run: float
) -> tuple[bool, str]:
    """Whether parts that no manifest names are kept, and why."""
    if parts.stage not in {manifest.stage for manifest in published}:
        return True, f"{parts.stage} is not published: the next build goes on from it"
    if parts.time_s >= last_run:
        return True, f"the last build was stopped at {parts.stage}: the next goes on from it"
    return False, f"begun with other settings; {parts.stage} is published"


def _last_run(store: Store) -> float:
    """When the last build in this store began; 0 where the log does not say."""
    begun = (event["time"] for event in log_events(store) if event["event"] == "run")
    return max(begun, default=0.0)


def _size(store: Store, name: str) -> int:
    """Bytes on disk, or in the bucket."""
    folder = folder_of(store)
    if folder is None:
        alone, below = store.stat(name), store.entries(name, below=True)
        return sum(entry.bytes for entry in (*below, *([alone] if alone else ())))
    path = folder / name
    found = (path, *path.rglob("*")) if path.is_dir() else (path,)
    return sum(os.lstat(each).st_blocks * 512 for each in found)
