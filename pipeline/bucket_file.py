"""Inputs in a bucket: dumps, WARC files and texts that are read where they lie, over pyarrow.

A `BucketFile` offers what readers ask of a `Path` (`open`, `name`, `suffix` …), so no reader knows
which of the two it reads: an `InputFile` is either. It is known by its place, size and ETag, as
they were when it was found. What is read of it comes in ranges: 64 kB at a place that was jumped
to, then four times as many bytes each, up to 8 MiB, and one range ahead of the reader.

No request says which version it wants. So who reads a file to its end asks `unchanged`, which looks
at the ETag after the last range: all that was read then is of the file that was found.
"""

import fnmatch
import io
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, cast
from urllib.parse import unquote

from pipeline.errors import InputError
from pipeline.s3 import connected, parsed, unreadable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.fs

FIRST_BYTES = 64 << 10
RANGE_BYTES = 8 << 20  # takes as long as four requests at 100 MB/s
GROWTH = 4
THREADS = 16  # requests at once, where many files are looked at
AHEAD = 8  # of all files that a process reads
FIRST_MAX = 64  # files whose first bytes a process keeps
_OPENED = "opened"  # of a file in this process: how Arrow reads it
_MAGIC = re.compile(r"[*\[]")
_NO_MAGIC = re.compile("%(2A|3F|5B)", re.IGNORECASE)  # how a key's own *, ? and [ are written


@dataclass(frozen=True)
class BucketFile:
    """An object of a store as it was found; `uri` is how to come to it, ?options included."""

    uri: str
    size: int
    etag: str

    def __str__(self) -> str:
        return self.place

    def __reduce__(self) -> tuple[Any, ...]:
        return BucketFile, (self.uri, self.size, self.etag)

    @cached_property
    def place(self) -> str:
        """What people call it: the URI without how to come to it."""
        bucket, path, _ = parsed(self.uri, "an input")
        return f"s3://{bucket}/{unquote(path)}"

    @property
    def identity(self) -> tuple[str, int, str]:
        """What tells it from all others, and from itself after a change."""
        return self.place, self.size, self.etag

    @property
    def name(self) -> str:
        """The last part of its place."""
        return self.place.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of its name, as a Path has it."""
        return PurePosixPath(self.name).suffix

    @property
    def suffixes(self) -> list[str]:
        """All endings of its name, as a Path has them."""
        return PurePosixPath(self.name).suffixes

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of its place, as a Path has them."""
        return tuple(self.place.split("/"))

    def resolve(self) -> Self:
        """Itself: a place in a bucket has no other name."""
        return self

    def absolute(self) -> Self:
        """Itself."""
        return self

    def open(self, mode: Literal["rb"] = "rb", buffering: int = -1) -> BinaryIO:
        """Its bytes to read, at any place; as `Path.open`. InputError where it is not as found."""
        raw = _Ranges(self)
        if buffering == 0:
            return cast(BinaryIO, raw)
        return io.BufferedReader(raw, max(buffering, FIRST_BYTES))

    def check(self) -> None:
        """Raise InputError unless the store still has what was found, now."""
        self._compare(*_asked(self.uri)[1:])

    def first_bytes(self) -> bytes:
        """The first FIRST_BYTES, which many ask for: a process keeps those of some files."""
        return _first_bytes(self, os.getpid())

    def read_range(self, start: int, length: int) -> bytes:
        """These bytes, fewer at its end; one request. InputError says why there are none."""
        length = min(length, self.size - start)
        try:
            data: bytes = self._opened().read_at(length, start)
        except OSError as error:
            self.check()
            raise unreadable(self.place, error, f"byte {start}") from None
        if len(data) != length:
            self.check()
            problem = f"{len(data)} of {length} bytes came"
            raise InputError(self.place, f"byte {start}", problem, "Run the same command again.")
        return data

    def _opened(self) -> "pa.NativeFile":
        pid, file = self.__dict__.get(_OPENED, (0, None))
        if pid != os.getpid():  # a connection does not outlive a fork
            file, size, etag = _asked(self.uri)
            self._compare(size, etag)
            self.__dict__[_OPENED] = os.getpid(), file
        return file

    def _compare(self, size: int, etag: str) -> None:
        if (size, etag) != (self.size, self.etag):
            told = f"ETag {self.etag}, {self.size:,} bytes; now {etag}, {size:,} bytes"
            raise InputError(
                self.place,
                "",
                f"it was changed while it was read ({told})",
                "Run the same command again: it reads the file as it is now",
            )


InputFile = Path | BucketFile


def is_uri(text: str) -> bool:
    """Whether this is a URI rather than a path."""
    return "://" in text


def bucket_file(uri: str) -> BucketFile:
    """The object at a URI, InputError where it is not there; one request."""
    file, size, etag = _asked(uri)
    found = BucketFile(uri, size, etag)
    found.__dict__[_OPENED] = os.getpid(), file
    return found


def bucket_files(uri: str) -> list[BucketFile]:
    """The objects that a URI names, by place: itself, all below `…/`, or those of a glob pattern.

    `*` and `[…]` stay within a part of a place, `**` stands for any number of parts; `?` begins the
    options. A listing is one request for 1,000 objects, and each one found another. Hidden ones
    (.name) are named by no pattern. InputError where the store gives none.
    """
    bucket, path, options = parsed(uri, "an input")
    if path and not path.endswith("/") and not _MAGIC.search(path):
        return [bucket_file(uri)]
    query = uri.partition("?")[1] + uri.partition("?")[2]
    uris = [f"s3://{bucket}/{_quoted(key)}{query}" for key in _listed(bucket, path, options)]
    with ThreadPoolExecutor(max(1, min(THREADS, len(uris)))) as threads:
        return list(threads.map(bucket_file, uris))


def _listed(bucket: str, path: str, options: dict[str, str]) -> list[str]:
    """The keys that a prefix or pattern names, sorted."""
    import pyarrow.fs

    fixed, pattern = _cut(path)
    deep = not pattern or "/" in pattern or "**" in pattern
    base = f"{bucket}/{unquote(fixed)}".rstrip("/")
    selector = pyarrow.fs.FileSelector(base, recursive=deep, allow_not_found=True)
    try:
        found = connected(options).get_file_info(selector)
    except OSError as error:
        raise unreadable(f"s3://{base}/", error) from None
    keys = sorted(
        info.path.removeprefix(f"{bucket}/")
        for info in found
        if info.type == pyarrow.fs.FileType.File and not info.path.endswith("/")
    )
    if pattern:
        wanted = _NO_MAGIC.sub(lambda m: f"[{chr(int(m[1], 16))}]", path)
        literal = unquote(path)
        parts = unquote(wanted).split("/")
        # A name that is there is no pattern.
        keys = [key for key in keys if key == literal] or [
            key for key in keys if _matches(key.split("/"), parts)
        ]
    else:
        keys = [key for key in keys if not _is_hidden(key.removeprefix(unquote(fixed)))]
    return keys


def _cut(path: str) -> tuple[str, str]:
    """The folder before the first part with magic, and what follows it; all of a prefix."""
    found = _MAGIC.search(path)
    if not found:
        return path, ""
    end = path.rfind("/", 0, found.start()) + 1
    return path[:end], path[end:]


def _matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a key are those of a pattern, as glob has it."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    if parts[0].startswith(".") and not pattern[0].startswith("."):
        return False
    if pattern[0] == "**":
        return _matches(parts[1:], pattern) or _matches(parts, pattern[1:])
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _is_hidden(below: str) -> bool:
    return any(part.startswith(".") for part in below.split("/"))


def _quoted(key: str) -> str:
    """A key as it stands in a URI, so that no part of it is taken for a pattern or for options."""
    return re.sub(r"[%*?#\[]", lambda found: f"%{ord(found[0]):02X}", key)


def bytes_of(file: InputFile) -> int:
    """The bytes of an input."""
    return file.stat().st_size if isinstance(file, Path) else file.size


def for_arrow(file: InputFile) -> Path | BinaryIO:
    """What Arrow's readers take."""
    return file if isinstance(file, Path) else file.open()


@contextmanager
def unchanged(file: InputFile) -> Iterator[None]:
    """What is read to its end here, or breaks, is of the file that was found, or InputError."""
    try:
        yield
    except (InputError, OSError):
        if isinstance(file, BucketFile):
            file.check()
        raise
    if isinstance(file, BucketFile):
        file.check()


class _Ranges(io.RawIOBase):
    """A file as a raw stream; the last two ranges are kept, since readers step back a little."""

    def __init__(self, file: BucketFile) -> None:
        self._file = file
        self._at = 0
        self._step = FIRST_BYTES
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=2)
        self._coming: tuple[int, Future[bytes]] | None = None

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; nothing is asked of the store."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}
        self._at = base[whence] + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer only at the end."""
        left = max(0, self._file.size - self._at)
        data = bytearray(left if size < 0 else min(size, left))
        view = memoryview(data)
        while view and (got := self.readinto(view)):
            view = view[got:]
        return bytes(data)

    def readinto(self, buffer: Any) -> int:
        """Bytes of one range; 0 at the end."""
        if self._at >= self._file.size:
            return 0
        start, data = self._range(len(buffer))
        piece = memoryview(data)[self._at - start :][: len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _range(self, wanted: int) -> tuple[int, bytes]:
        """The range that holds the next byte."""
        for start, data in self._kept:
            if start <= self._at < start + len(data):
                return start, data
        newest, data = self._kept[-1] if self._kept else (-1, b"")
        goes_on = self._at == newest + len(data)
        self._step = min(GROWTH * self._step, RANGE_BYTES) if goes_on else FIRST_BYTES
        if self._coming and self._coming[0] == self._at:
            data = self._coming[1].result()
        elif self._at == 0:
            data = self._file.first_bytes()
        else:
            data = self._file.read_range(self._at, max(self._step, wanted))
        self._kept.append((self._at, data))
        self._coming = self._ahead(self._at + len(data)) if goes_on else None
        return self._kept[-1]

    def _ahead(self, start: int) -> tuple[int, "Future[bytes]"] | None:
        if start >= self._file.size:
            return None
        size = min(GROWTH * self._step, RANGE_BYTES)
        return start, _threads(os.getpid()).submit(self._file.read_range, start, size)


def _asked(uri: str) -> tuple["pa.NativeFile", int, str]:
    """What the store says of an object now: a way to read it, its size and its ETag."""
    bucket, path, options = parsed(uri, "an input")
    key = f"{bucket}/{unquote(path)}"
    try:
        file = _store(tuple(options.items()), os.getpid()).open_input_file(key)
        told = {name.lower(): value for name, value in file.metadata().items()}
        etag = told.get("etag") or told.get("last-modified", b"")
        return file, file.size(), etag.decode().strip('"')
    except OSError as error:
        raise unreadable(f"s3://{key}", error) from None


@lru_cache(maxsize=8)
def _store(options: tuple[tuple[str, str], ...], pid: int) -> "pyarrow.fs.S3FileSystem":
    return connected(dict(options))


@lru_cache(maxsize=FIRST_MAX)
def _first_bytes(file: BucketFile, pid: int) -> bytes:
    return file.read_range(0, FIRST_BYTES)


@lru_cache(maxsize=1)
def _threads(pid: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AHEAD, thread_name_prefix="read ahead")
