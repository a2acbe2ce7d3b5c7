"""Files that are there whole or not at all, and folders that go without a trace."""

import os
import time
from pathlib import Path


def write_durably(path: Path, text: str) -> None:
    """Write a small file so that after a crash it is there whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        # Paths that are not UTF-8 are written as the bytes that they are.
        aside.write_text(text, encoding="utf-8", errors="surrogateescape")
        rename_durably(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def rename_durably(source: Path, target: Path) -> None:
    """Put a written file in its place so that after a crash it is there whole, or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for path, action in ((source, None), (target.parent, source.replace)):
        if action:
            action(target)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def discard(folder: Path) -> None:
    """Remove a folder so that a kill on the way leaves nothing that looks like one.

    Whole, it goes by one rename; what a kill leaves of it then is `sweep`'s.
    """
    if not folder.exists():
        return
    gone = folder.with_name(f".gone-{time.time_ns()}")
    folder.rename(gone)
    remove_tree(gone)


def sweep(place: Path) -> None:
    """Remove what killed runs left of folders here that they discarded."""
    for gone in place.glob(".gone-*"):
        remove_tree(gone)


def remove_tree(folder: Path) -> None:
    """Remove a folder; one that is gone already is fine."""
    if not folder.exists():
        return
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    folder.rmdir()
