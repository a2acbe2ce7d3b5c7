"""Where a build is kept: files by name, in a folder here, in a bucket by bucket.py.

A file comes to be whole or not at all, and is never changed. Small files are written by `write`;
large ones are made in `scratch` and put in the store by `add`. Nobody else opens or names a path of
a build.
"""

import errno
import json
import os
import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.bucket_file import InputFile
from pipeline.engine import names
from pipeline.engine.files import remove_tree, sync
from pipeline.engine.lock import locked
from pipeline.engine.log import Log
from pipeline.errors import StageError

CHECKSUM = "xxh3_128"  # of all else that a JSON object of the store says
ASIDE = ".aside"  # how a file ends that is not whole yet, beside its name on another disk

READ_BYTES = 1 << 20
_checked: set[tuple[str, str]] = set()  # places and names of files that this process found sound
READABLE_BYTES = 1 << 20  # a larger JSON file is written without white space


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the store: its name, its bytes, and when the store says that it was written."""

    name: str
    bytes: int
    time_s: float


class Store(ABC):
    """Files by name; `place` is what people call the store, `scratch` a folder of this machine.

    `patience_s` is how often it may be asked for what changes as work goes on. A part that is done
    before `first_heartbeat_s` need not say that it is at work.
    """

    place: str
    scratch: Path
    patience_s: float
    first_heartbeat_s = 0.0

    @abstractmethod
    def write(self, name: str, data: bytes, *, durably: bool = True, new: bool = False) -> None:
        """Write a small file, over another of that name; it is there whole or not at all.

        `new`: FileExistsError if one of that name is there.
        """

    @abstractmethod
    def add(self, path: Path, name: str) -> None:
        """Put a finished file of `scratch` in the store; `path` may be gone after it.

        Whoever names the file then looks whether it is there as it was written.
        """

    @abstractmethod
    def read(self, name: str) -> bytes | None:
        """A small file, None if it is not there."""

    @abstractmethod
    def open(self, name: str) -> pa.NativeFile:
        """A file to read at any place. FileNotFoundError if it is not there."""

    @abstractmethod
    def map(self, name: str) -> pa.NativeFile:
        """As `open`, for what is read in place: mapped into memory where that can be."""

    @abstractmethod
    def local(self, name: str) -> Path:
        """A path at which this machine reads the file: itself, or a copy."""

    @abstractmethod
    def input_file(self, name: str) -> InputFile:
        """The file as a stage reads its inputs."""

    @abstractmethod
    def stat(self, name: str) -> Entry | None:
        """A file's size and time, None if it is not there."""

    @abstractmethod
    def entries(self, folder: str, *, below: bool = False) -> list[Entry]:
        """The files of a folder by name, with `below` also those of its folders."""

    @abstractmethod
    def folders(self, folder: str) -> list[str]:
        """The folders of a folder, by name."""

    @abstractmethod
    def remove(self, names: Iterable[str]) -> None:
        """Remove files; one that is gone already is fine."""

    @abstractmethod
    def remove_folder(self, folder: str) -> None:
        """Remove all files of a folder and below it."""

    @abstractmethod
    def show(self, files: Mapping[str, str]) -> None:
        """Give files of the store further names, for people; in a bucket nothing is done."""

    @abstractmethod
    def locked(self) -> AbstractContextManager[None]:
        """Hold the build's lock; BusyError names the holder if another process has it."""

    @abstractmethod
    def log(self, run: str) -> Log:
        """Where a run tells of itself."""

    @abstractmethod
    def sweep(self) -> None:
        """Remove what killed runs left on this machine."""

    def parquet(self, name: str) -> pq.ParquetFile:
        """A Parquet file; a context manager."""
        return pq.ParquetFile(self.open(name), page_checksum_verification=True)

    def batches(
        self, name: str, rows: int, columns: list[str] | None = None, **more: Any
    ) -> Iterator[pa.RecordBatch]:
        """A Parquet file in batches of at most so many rows; `more` may name `row_groups`."""
        with self.sound(name), self.parquet(name) as file:
            yield from file.iter_batches(rows, columns=columns, **more)

    def table(self, name: str, columns: list[str] | None = None, **more: Any) -> pa.Table:
        """The rows of a Parquet file; `more` goes to pyarrow's read_table (`filters`)."""
        with self.sound(name), self.open(name) as file:
            return pq.read_table(file, columns=columns, page_checksum_verification=True, **more)

    def checked(self, name: str, checksum: str) -> Path:
        """As `local`; StageError if its bytes are not those that were written.

        For files that have no checksums inside. Each process reads one once more for that.
        """
        path = self.local(name)
        if (self.place, name) not in _checked:
            with path.open("rb") as file:
                hasher = xxhash.xxh3_128()
                while piece := file.read(READ_BYTES):
                    hasher.update(piece)
            if hasher.hexdigest() != checksum:
                raise self.damaged(name, "")
            _checked.add((self.place, name))
        return path

    @contextmanager
    def sound(self, name: str) -> Iterator[None]:
        """Name the file whose bytes are not those that were written."""
        try:
            yield
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            if self.did_not_answer(error):
                raise OSError(str(error)) from None
            raise self.damaged(name, str(error)) from None

    def did_not_answer(self, error: Exception) -> bool:
        """Whether a read failed by the store, not by what is in the file."""
        return False

    def damaged(self, name: str, what: str) -> StageError:
        """The error for a file that was changed since it was written; a lost one is made again."""
        told = what.splitlines()[0] if what else "its bytes are not those that were written"
        return StageError(
            f"{self.place}: {name} is damaged ({told}); remove it, and run the same command"
        )

    def read_json(self, name: str) -> Any:
        """A JSON file's value, None if it is not there. ValueError if it is damaged."""
        data = self.read(name)
        try:
            return None if data is None else _parsed(data)
        except ValueError:
            data = self.read_at_rest(name)  # it may have been written anew at that moment
            return None if data is None else _parsed(data)

    def read_at_rest(self, name: str) -> bytes | None:
        """As `read`, and surely not of a file that was written anew meanwhile."""
        return self.read(name)

    def write_json(self, name: str, value: Any, *, durably: bool = True, new: bool = False) -> None:
        """Write a value as JSON, indented where a person may read it; an object with a checksum."""
        if isinstance(value, dict):
            value = {**value, CHECKSUM: _checksum(value)}
        data = _to_json(value)
        if len(data) < READABLE_BYTES:
            with suppress(msgspec.DecodeError):  # halves of surrogate pairs, see `_to_json`
                data = msgspec.json.format(data, indent=1)
        self.write(name, data, durably=durably, new=new)


def _parsed(data: bytes) -> Any:
    value = json.loads(data)
    told = value.pop(CHECKSUM, None) if isinstance(value, dict) else None
    if told and told != _checksum(value):
        raise ValueError("it has other bytes than were written")
    return value


def _checksum(value: dict[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(_to_json(value))


class Disk(Store):
    """A folder of this machine, or one that machines share."""

    patience_s = 0.2

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.place = str(self.folder)
        self.scratch = self.folder / names.SCRATCH

    def write(  # noqa: D102
        self, name: str, data: bytes, *, durably: bool = True, new: bool = False
    ) -> None:
        aside = self._aside()
        try:
            aside.write_bytes(data)
            if new:
                self._put_new(aside, name)
            elif durably:
                self.add(aside, name)
            else:
                self._put(aside, name)
        finally:
            aside.unlink(missing_ok=True)

    def add(self, path: Path, name: str) -> None:  # noqa: D102
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        sync(path)
        self._put(path, name)
        sync(target.parent)

    def _put_new(self, path: Path, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        sync(path)
        try:
            os.link(path, target)
        except FileExistsError:
            raise
        except OSError:  # no hard links here, or another disk: the instant between the two is open
            if target.exists():
                raise FileExistsError(errno.EEXIST, "it is there already", str(target)) from None
            self._put(path, name)
        sync(target.parent)

    def _put(self, path: Path, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            beside = target.with_name(f".{uuid.uuid4().hex}{ASIDE}")  # a folder of another disk
            shutil.copy2(path, beside)
            sync(beside)
            beside.replace(target)
            path.unlink()

    def _aside(self) -> Path:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch / uuid.uuid4().hex

    def read(self, name: str) -> bytes | None:  # noqa: D102
        try:
            return (self.folder / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, name: str) -> pa.NativeFile:  # noqa: D102
        return pa.OSFile(str(self.folder / name))

    def map(self, name: str) -> pa.NativeFile:  # noqa: D102
        return pa.memory_map(str(self.folder / name))

    def local(self, name: str) -> Path:  # noqa: D102
        return self.folder / name

    def input_file(self, name: str) -> InputFile:  # noqa: D102
        return (self.folder / name).absolute()

    def stat(self, name: str) -> Entry | None:  # noqa: D102
        try:
            found = (self.folder / name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Entry(name, found.st_size, found.st_mtime)

    def entries(self, folder: str, *, below: bool = False) -> list[Entry]:  # noqa: D102
        found: list[Entry] = []
        try:
            with os.scandir(self.folder / folder) as entries:
                for entry in entries:
                    name = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir():
                        found += self.entries(name, below=True) if below else []
                    elif not entry.name.endswith(ASIDE):
                        with suppress(FileNotFoundError):  # removed since it was listed
                            stat = entry.stat(follow_symlinks=False)
                            found.append(Entry(name, stat.st_size, stat.st_mtime))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=lambda entry: entry.name)

    def folders(self, folder: str) -> list[str]:  # noqa: D102
        try:
            with os.scandir(self.folder / folder) as entries:
                found = sorted(entry.name for entry in entries if entry.is_dir())
                return [f"{folder}/{name}" if folder else name for name in found]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, names: Iterable[str]) -> None:  # noqa: D102
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def remove_folder(self, folder: str) -> None:  # noqa: D102
        remove_tree(self.folder / folder)

    def show(self, files: Mapping[str, str]) -> None:  # noqa: D102
        for name, source in files.items():
            path, target = self.folder / source, self.folder / name
            if target.exists() and _alike(target.stat(), path.stat()):
                continue
            aside = self._aside()
            try:
                os.link(path, aside)
            except OSError:  # no hard links here
                shutil.copy2(path, aside)
            self._put(aside, name)

    def locked(self) -> AbstractContextManager[None]:  # noqa: D102
        return locked(self.folder)

    def log(self, run: str) -> Log:  # noqa: D102
        return Log(self.folder / names.LOG)

    def sweep(self) -> None:
        """Remove what killed runs left in scratch, and in folders that lie on another disk."""
        remove_tree(self.scratch)
        disk = self.folder.stat().st_dev
        for folder in self.folder.iterdir():
            if folder.is_dir() and folder.stat().st_dev != disk:
                for path in folder.rglob(f".*{ASIDE}"):
                    path.unlink(missing_ok=True)


def _to_json(value: Any) -> bytes:
    # A journal of 20,000 parts: json takes 190 MB on the way, msgspec 16.
    try:
        return msgspec.json.encode(value, enc_hook=str)
    except UnicodeEncodeError:  # a path that is not UTF-8 holds halves of surrogate pairs
        return json.dumps(value, default=_plain).encode()


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def _alike(one: os.stat_result, other: os.stat_result) -> bool:
    """Whether two names are of one file, or of a copy that `show` made."""
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return True
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
