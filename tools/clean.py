"""`webtext clean`: removes what a build no longer needs, and tells what is kept and why.

Files that nothing names are what attempts left that were killed; young ones may be of an attempt
that is still at work on another machine. `everything` removes too what a build would make again.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.filesize import decimal
from rich.table import Table

from pipeline.engine import leftovers, names
from pipeline.engine.control import locked
from pipeline.engine.manifest import Manifest
from pipeline.engine.store import Disk
from pipeline.errors import SettingsError
from tools.status import builds_below, console_for_tables

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
    folder: Path, *, now: bool = False, everything: bool = False, dry_run: bool = False
) -> list[Entry]:
    """Remove what is not needed; each thing that was there, and what became of it.

    `now` removes unnamed files whatever their age. Raises SettingsError for a folder that is no
    build, BusyError while one is made in it.
    """
    store = Disk(folder)
    if not store.stat(names.FIXED):
        mend = builds_below(folder) or "; name the --out folder of a build or of a stage"
        raise SettingsError(f"{folder} is not a build folder{mend}")
    with locked(folder):
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


def _survey(store: Disk, *, now: bool, everything: bool) -> Iterator[Entry]:
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


def _unnamed(store: Disk, *, now: bool) -> Iterator[Entry]:
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


def _of_stage(store: Disk, manifest: Manifest, everything: bool) -> Iterator[Entry]:
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


def _others(store: Disk, published: set[str]) -> Iterator[Entry]:
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
    for path in sorted(store.folder.iterdir()):
        if path.name not in ours:
            yield Entry(path.name, _size(path), True, _purpose(path))


def _purpose(path: Path) -> str:
    known = {
        names.FIXED: "what the build is fixed to",
        names.INPUTS: "digests of inputs",
        "lock": "the build's lock",
        "log.jsonl": "the build's log",
        "model": "the trained model",
        "work": "a model at work",
        "report.html": "the report",
        "webtext.toml": "the settings it was made with",
        "input": "the demo's web and submissions",
    }
    return known.get(path.name, "not made by a build")


def _verdict(
    parts: leftovers.Parts, published: list[Manifest], last_run: float
) -> tuple[bool, str]:
    """Whether parts that no manifest names are kept, and why."""
    if parts.stage not in {manifest.stage for manifest in published}:
        return True, f"{parts.stage} is not published: the next build goes on from it"
    if parts.time_s >= last_run:
        return True, f"the last build was stopped at {parts.stage}: the next goes on from it"
    return False, f"begun with other settings; {parts.stage} is published"


def _last_run(store: Disk) -> float:
    """When the last build in this folder began; 0 where the log does not say."""
    log = store.folder / "log.jsonl"
    if not log.is_file():
        return 0.0
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
    return max((event["time"] for event in events if event["event"] == "run"), default=0.0)


def _size(path: Path) -> int:
    """Bytes on disk."""
    found = (path, *path.rglob("*")) if path.is_dir() else (path,)
    return sum(os.lstat(each).st_blocks * 512 for each in found)
