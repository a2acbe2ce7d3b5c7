"""What `webtext clean` removes from a build folder, what it keeps, and why.

Scratch goes: what a build discarded or replaced, and work that was begun under other settings for a
stage that stands published. Kept is what saves the next build work: the parts of a stage that is
not published, those that the last build was stopped at, and the rows of costly steps, from which a
changed rule is applied anew. `everything` gives these up too; a build then makes them again.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.table import Table

from pipeline.engine.control import locked
from pipeline.engine.files import discard, remove_tree
from pipeline.engine.manifest import read_manifest
from pipeline.errors import SettingsError
from tools.flow import ENGINE_STAGES
from tools.status import builds_below, console_for_tables

WORKING = (*ENGINE_STAGES, "model")  # stages that work in folders of .work


@dataclass(frozen=True)
class Entry:
    """One thing in a build folder. `size_bytes` is what would be free without it."""

    path: Path
    size_bytes: int
    kept: bool
    why: str


def clean(folder: Path, *, everything: bool = False, dry_run: bool = False) -> list[Entry]:
    """Remove the scratch; each thing that was there, and what became of it.

    Raises SettingsError for a folder that is no build, BusyError while one is made in it.
    """
    if not (folder / ".work").is_dir():
        mend = builds_below(folder) or "; name the --out folder of a build or of a stage"
        raise SettingsError(f"{folder} is not a build folder{mend}")
    with locked(folder):
        found = list(_survey(folder, everything))
        for entry in found:
            if not entry.kept and not dry_run:
                _remove(entry.path)
    return found


def show(folder: Path, found: list[Entry], *, dry_run: bool) -> None:
    """Print what was kept and what was removed, with sizes and reasons."""
    gone = "would go" if dry_run else "removed"
    table = Table("", "what", "why")
    table.add_column("on disk", justify="right", no_wrap=True)
    for entry in found:
        verdict = "kept" if entry.kept else gone
        name = str(entry.path.relative_to(folder))
        table.add_row(verdict, name, entry.why, decimal(entry.size_bytes))
    console = console_for_tables()
    console.print(table)
    kept = sum(entry.size_bytes for entry in found if entry.kept)
    scratch = sum(entry.size_bytes for entry in found if not entry.kept)
    console.print(f"{decimal(scratch)} {gone}, {decimal(kept)} kept")


def _remove(path: Path) -> None:
    if path.name.startswith(".gone-"):
        remove_tree(path)
    else:
        discard(path)


def _survey(folder: Path, everything: bool) -> Iterator[Entry]:
    counted: set[tuple[int, int]] = set()
    for path in sorted(folder.iterdir()):
        if path.name != ".work" and not path.name.startswith(".gone-"):
            yield Entry(path, _size(path, counted), True, _purpose(path))
    last_run = _last_run(folder / "log.jsonl")
    for path in (*sorted(folder.glob(".gone-*")), *sorted((folder / ".work").iterdir())):
        kept, why = _verdict(path, folder, last_run)
        if kept and everything and path.is_dir():
            kept, why = False, f"{why}; a build makes it again"
        yield Entry(path, _size(path, counted), kept, why)


def _purpose(path: Path) -> str:
    if (path / "manifest.json").exists() or (path / "webtext.json").exists():
        return "a published stage"
    known = {
        "lock": "the build's lock",
        "log.jsonl": "the build's log",
        "report.html": "the report",
        "webtext.toml": "the settings it was made with",
        "input": "the demo's web and submissions",
    }
    return known.get(path.name, "not made by a build")


def _verdict(path: Path, folder: Path, last_run: float) -> tuple[bool, str]:
    """Whether a thing in .work is kept, and why."""
    if not path.is_dir():
        return True, "the settings that this build keeps, and digests of its inputs"
    if path.name.startswith(".gone-"):
        return False, "discarded by a build that was killed"
    stage = path.name.removeprefix("old-").split("-")[0]
    if stage not in WORKING:
        return True, "not known to this version"
    published = folder / stage
    if not published.is_dir():
        return True, f"{stage} is not published: the next build goes on from it"
    if path.name.startswith("old-"):
        return False, f"an earlier {stage}; the present one is published"
    if (path / "step.json").exists() and path.name in _finished_steps(published):
        return True, "rows of a finished step: a changed rule starts from them"
    if _changed(path) >= last_run:
        return True, f"the last build was stopped at {stage}: the next goes on from it"
    return False, f"begun with other settings; {stage} is published"


def _finished_steps(published: Path) -> set[str]:
    """The names of the work folders of a published stage's steps."""
    manifest = read_manifest(published) if (published / "manifest.json").exists() else None
    steps = manifest.steps if manifest else []
    return {f"{published.name}-{step.name}-{step.fingerprint[:16]}" for step in steps}


def _last_run(log: Path) -> float:
    """When the last build in this folder began; 0 where the log does not say."""
    if not log.is_file():
        return 0.0
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
    return max((event["time"] for event in events if event["event"] == "run"), default=0.0)


def _changed(path: Path) -> float:
    return max(found.lstat().st_mtime for found in (path, *path.rglob("*")))


def _size(path: Path, counted: set[tuple[int, int]]) -> int:
    """Bytes on disk of files not counted yet: a file with several names counts at the first."""
    size = 0
    for found in (path, *path.rglob("*")) if path.is_dir() else (path,):
        stat = os.lstat(found)
        if (stat.st_dev, stat.st_ino) not in counted:
            counted.add((stat.st_dev, stat.st_ino))
            size += stat.st_blocks * 512
    return size
