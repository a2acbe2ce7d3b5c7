"""Where an index and its WARC files lie: a folder, a bucket on S3, or a server that knows ranges.

All three are read in the same way: a name below the place, a start, a length. Names come from the
index, which is not trusted: `safe_name` lets none out of the place. A place tells how a read failed
by one of the three exceptions here, and tries nothing again: `ranges.py` does.
"""

import asyncio
import os
import re
from pathlib import Path
from typing import NamedTuple, Protocol

_NAME = re.compile(r"[A-Za-z0-9=._+-]+(?:/[A-Za-z0-9=._+-]+)*")
_NAME_CHARS_MAX = 1024  # a key of S3 has no more


class ReadFailed(Exception):  # noqa: N818 (a verdict on one read)
    """A read that failed; another try may give the bytes."""


class Throttled(ReadFailed):
    """The place asks for patience: for `after_s` seconds, or it does not say."""

    def __init__(self, told: str, after_s: float | None = None) -> None:
        super().__init__(told)
        self.after_s = after_s


class Refused(ReadFailed):
    """The place gives nothing any more, also of what it gave before."""


class NotThere(ReadFailed):
    """The place has no such file, or no such bytes: no other try will give them."""


class Tail(NamedTuple):
    """The last bytes of a file, and the size of all of it."""

    data: bytes
    size: int


class Place(Protocol):
    """A place that is read from; `where` names it to people."""

    where: str

    async def read(self, name: str, start: int, length: int) -> bytes:
        """Exactly these bytes of a file; raises ReadFailed."""

    async def tail(self, name: str, length: int) -> Tail:
        """The last `length` bytes of a file, or all of it if it has fewer; raises ReadFailed."""

    async def names(self, folder: str) -> list[str] | None:
        """The files of a folder below the place, sorted; None: this place lists nothing."""

    async def folders(self, folder: str) -> list[str] | None:
        """The names of the folders in a folder, sorted; None: this place lists nothing."""

    async def close(self) -> None:
        """Let go of connections."""


def safe_name(name: str) -> str | None:
    """The name if it is one of a file below a place: no `..`, no host, no absolute path."""
    if len(name) > _NAME_CHARS_MAX or not _NAME.fullmatch(name):
        return None
    return None if any(part.strip(".") == "" for part in name.split("/")) else name


class FolderPlace:
    """A folder of this machine, or one that it shares."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self.where = str(folder)

    async def read(self, name: str, start: int, length: int) -> bytes:  # noqa: D102
        return await asyncio.to_thread(self._read, name, start, length)

    async def tail(self, name: str, length: int) -> Tail:  # noqa: D102
        return await asyncio.to_thread(self._tail, name, length)

    def _read(self, name: str, start: int, length: int) -> bytes:
        try:
            file = os.open(self._path(name), os.O_RDONLY)
            try:
                data = os.pread(file, length, start)
            finally:
                os.close(file)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotThere(f"{name} is not there") from None
        except OSError as error:
            raise ReadFailed(str(error)) from None
        if len(data) != length:
            raise NotThere(f"{name} ends before byte {start + length}")
        return data

    def _tail(self, name: str, length: int) -> Tail:
        try:
            size = self._path(name).stat().st_size
        except OSError:
            raise NotThere(f"{name} is not there") from None
        taken = min(size, length)
        return Tail(self._read(name, size - taken, taken), size)

    def _path(self, name: str) -> Path:
        """The file's path. A link within the folder that leads out of it is the user's own word."""
        return self._folder / name

    async def names(self, folder: str) -> list[str] | None:  # noqa: D102
        found = self._path(folder)
        files = (
            sorted(path.name for path in found.iterdir() if path.is_file())
            if found.is_dir()
            else []
        )
        return [f"{folder}/{name}" for name in files]

    async def folders(self, folder: str) -> list[str] | None:  # noqa: D102
        found = self._path(folder)
        return (
            sorted(path.name for path in found.iterdir() if path.is_dir()) if found.is_dir() else []
        )

    async def close(self) -> None:  # noqa: D102
        return
