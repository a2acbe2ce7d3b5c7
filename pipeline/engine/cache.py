"""Copies of a bucket's files on this machine, shared by its processes and bounded in bytes.

A name stands for the same bytes for ever, so a copy is never out of date. A copy that was asked for
within `KEEP_S` stays, so that a path is good until its reader opens it, even where the cache then
outgrows its bound.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

KEEP_S = 600.0
WAIT_S = 0.05  # between two looks whether another process has the copy


class Cache:
    """Copies in a folder; they take at most half of the space that they and nothing else take."""

    def __init__(self, folder: Path, bytes_max: int | None = None) -> None:
        self.folder = folder
        self._bytes_max = bytes_max

    def find(self, name: str) -> Path | None:
        """The copy, if it is there."""
        path = self._path(name)
        try:
            os.utime(path)  # the oldest go first
        except FileNotFoundError:
            return None
        return path

    def get(self, name: str, size: int, fetch: Callable[[Path], None]) -> Path:
        """The copy, which `fetch` writes first where it is not there. It comes by a rename."""
        path = self._path(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        while self.find(name) is None:
            # The lock goes with its process, so a killed one leaves a file that the next takes.
            aside = os.open(f"{path}.aside", os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(aside, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_at(aside, f"{path}.aside"):
                    continue
                self._make_room(size)
                fetch(Path(f"{path}.aside"))
                Path(f"{path}.aside").replace(path)
            except BlockingIOError:
                time.sleep(WAIT_S)
            finally:
                os.close(aside)
        return path

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more are within the bound."""
        return sum(stat.st_size for _, stat in self._copies()) + size <= self._bound()

    def _path(self, name: str) -> Path:
        return self.folder / quote(name, safe="")

    def _make_room(self, size: int) -> None:
        copies = sorted(self._copies(), key=lambda copy: copy[1].st_mtime)
        over = sum(stat.st_size for _, stat in copies) + size - self._bound()
        old = time.time() - KEEP_S
        for path, stat in copies:
            if over <= 0 or stat.st_mtime > old:
                return
            path.unlink(missing_ok=True)
            over -= stat.st_size

    def _bound(self) -> int:
        if self._bytes_max is not None:
            return self._bytes_max
        held = sum(stat.st_size for _, stat in self._copies())
        there = next(folder for folder in (self.folder, *self.folder.parents) if folder.exists())
        return (held + shutil.disk_usage(there).free) // 2

    def _copies(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # another process made room
                    found.append((Path(entry.path), entry.stat()))
        return found


def _is_at(descriptor: int, path: str) -> bool:
    """Whether an open file still has this name: it may have been renamed before it was locked."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116
    return False
