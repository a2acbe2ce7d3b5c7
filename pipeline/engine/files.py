"""Files that are there whole or not at all."""

import errno
import os
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
    sync(source)
    source.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Have a file, or the names of a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(folder: Path) -> None:
    """Remove a folder (of a link to one, what is in it); what others do there meanwhile is fine."""
    for path in [*sorted(folder.rglob("*"), reverse=True), folder]:
        try:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path != folder:
                path.unlink()
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise
