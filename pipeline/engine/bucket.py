"""A build in a bucket of an object store that speaks S3, over pyarrow.

An object is there whole or not at all, and a name's newest object is what everybody reads at once.
A closed stream completes its object, also where an exception closes it; so files are made in
`scratch`, put in the store under names that nothing names yet, and looked at there. Every call is
one or more requests, which cost some 20 ms each; a test holds how many (test_stores.py).
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import xxhash

from pipeline.bucket_file import InputFile, bucket_file
from pipeline.engine import names
from pipeline.engine.cache import Cache
from pipeline.engine.claim import claimed
from pipeline.engine.files import remove_tree
from pipeline.engine.log import Log
from pipeline.engine.store import Entry, Store
from pipeline.errors import SettingsError
from pipeline.s3 import ATTEMPTS, connected, mended, parsed

ATTEMPTS_AT_OPENING = 3
READS = 20  # of a file that is written anew again and again
COPY_BYTES = 8 << 20
THREADS = 16


class Bucket(Store):
    """Objects below a prefix. It travels to other processes and machines by its URI alone."""

    patience_s = first_heartbeat_s = 10.0

    def __init__(self, uri: str, scratch: Path | None = None) -> None:
        self._uri, self._folder = uri, scratch
        self.bucket, path, self._options = parsed(uri, "a build")
        self._root = f"{self.bucket}/{unquote(path)}".rstrip("/")
        self.place = f"s3://{self._root}"
        here = _folder_here(scratch) / xxhash.xxh3_64_hexdigest(uri.encode())
        self.scratch = here / "scratch"
        self._cache = Cache(here / "cache")

    def __reduce__(self) -> tuple[Any, ...]:
        return Bucket, (self._uri, self._folder)

    @cached_property
    def _objects(self) -> pyarrow.fs.S3FileSystem:
        return self._connected(ATTEMPTS)

    @cached_property
    def _uploads(self) -> pyarrow.fs.S3FileSystem:
        """For large files: an upload in the background would hold all of it in memory."""
        return self._connected(ATTEMPTS, background_writes=False)

    def _connected(self, attempts: int, **more: Any) -> pyarrow.fs.S3FileSystem:
        # Delayed: a small file is one request.
        return connected(self._options, attempts, allow_delayed_open=True, **more)

    def check(self) -> None:
        """SettingsError if the bucket cannot be used: it is not there, or not for us."""
        try:
            info = self._connected(ATTEMPTS_AT_OPENING).get_file_info(self.bucket)
        except OSError as error:
            raise SettingsError(f"{self.place} cannot be used: {mended(str(error))}") from None
        if info.type == pyarrow.fs.FileType.NotFound:
            where = self._options.get("endpoint_override", "AWS")
            raise SettingsError(
                f"{self.place}: there is no bucket {self.bucket} at {where}; make it first, "
                "or check the name and endpoint_override"
            )

    def write(  # noqa: D102
        self, name: str, data: bytes, *, durably: bool = True, new: bool = False
    ) -> None:
        # Arrow has no conditional PUT: the 20 ms between these two requests are open.
        if new and self.stat(name):
            raise FileExistsError(errno.EEXIST, "it is there already", name)
        stream = self._objects.open_output_stream(self._key(name))
        stream.write(data)
        stream.close()

    def add(self, path: Path, name: str) -> None:  # noqa: D102
        try:
            with (
                self._uploads.open_output_stream(self._key(name)) as stream,
                path.open("rb") as file,
            ):
                while piece := file.read(COPY_BYTES):
                    stream.write(piece)
        except BaseException:
            with suppress(OSError):
                self._remove(name)  # the stream was closed, and may be an object now
            raise

    def read(self, name: str) -> bytes | None:  # noqa: D102
        try:
            with self._objects.open_input_stream(self._key(name)) as stream:
                data: bytes = stream.readall()
                return data
        except FileNotFoundError:
            return None
        except OSError:
            if self.stat(name) is None:  # removed since its size was read
                return None
            raise

    def read_at_rest(self, name: str) -> bytes | None:
        """Arrow asks for the size first: of a file that is written anew just then, the end is lost.

        So the bytes are those of one object where its tag is the same before and after.
        """
        for _ in range(READS):
            before, data, after = self._tag(name), self.read(name), self._tag(name)
            if before == after:
                break
        return data

    def _tag(self, name: str) -> bytes:
        with suppress(FileNotFoundError), self._objects.open_input_file(self._key(name)) as file:
            tag: bytes = {key.lower(): value for key, value in file.metadata().items()}["etag"]
            return tag
        return b""

    def open(self, name: str) -> pa.NativeFile:  # noqa: D102
        return self._objects.open_input_file(self._key(name))

    def map(self, name: str) -> pa.NativeFile:
        """From a copy of the file; read by ranges where the cache has no room for it.

        A map part of an exchange is read once for each bucket, mostly by processes of one machine.
        """
        copy = self._cache.find(name)
        if copy is None:
            source = self.open(name)
            if not self._cache.has_room(source.size()):
                return source
            copy = self._cache.get(name, source.size(), _download_of(source))
        return pa.memory_map(str(copy))

    def local(self, name: str) -> Path:
        """A copy of the file. It stays for `cache.KEEP_S`, and then until others need its room."""
        copy = self._cache.find(name)
        if copy is None:
            source = self.open(name)
            copy = self._cache.get(name, source.size(), _download_of(source))
        return copy

    def input_file(self, name: str) -> InputFile:  # noqa: D102
        place, mark, options = self._uri.partition("?")
        return bucket_file(f"{place.rstrip('/')}/{quote(name)}{mark}{options}")

    def stat(self, name: str) -> Entry | None:  # noqa: D102
        try:
            with self._objects.open_input_file(self._key(name)) as file:
                # Not get_file_info, which also lists what may lie below a name that is not there.
                told = {k.lower(): v for k, v in file.metadata().items()}
                written = datetime.fromisoformat(told["last-modified"].decode())
                return Entry(name, file.size(), written.timestamp())
        except FileNotFoundError:
            return None

    def entries(self, folder: str, *, below: bool = False) -> list[Entry]:  # noqa: D102
        found = self._listed(folder, below=below)
        return [
            Entry(self._name(info.path), info.size, info.mtime_ns / 1e9)
            for info in found
            if info.type == pyarrow.fs.FileType.File
        ]

    def folders(self, folder: str) -> list[str]:  # noqa: D102
        found = self._listed(folder)
        kind = pyarrow.fs.FileType.Directory
        return [self._name(info.path) for info in found if info.type == kind]

    def _listed(self, folder: str, *, below: bool = False) -> list[pyarrow.fs.FileInfo]:
        where = self._key(folder).rstrip("/")
        selector = pyarrow.fs.FileSelector(where, recursive=below, allow_not_found=True)
        found: list[pyarrow.fs.FileInfo] = self._objects.get_file_info(selector)
        return sorted(found, key=lambda info: info.path)

    def remove(self, names: Iterable[str]) -> None:  # noqa: D102
        names = list(names)
        with ThreadPoolExecutor(max(1, min(THREADS, len(names)))) as threads:
            list(threads.map(self._remove, names))

    def _remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._objects.delete_file(self._key(name))

    def remove_folder(self, folder: str) -> None:  # noqa: D102
        with suppress(FileNotFoundError):
            self._objects.delete_dir(self._key(folder))

    def show(self, files: Mapping[str, str]) -> None:
        """Nothing: in a bucket a further name would be a copy. The manifest names the files."""

    def parquet(self, name: str) -> pq.ParquetFile:  # noqa: D102
        return pq.ParquetFile(
            self.open(name),
            page_checksum_verification=True,
            pre_buffer=True,  # fewer and longer ranges
        )

    def did_not_answer(self, error: Exception) -> bool:  # noqa: D102
        return "AWS Error" in str(error)

    @contextmanager
    def locked(self) -> Iterator[None]:  # noqa: D102
        with claimed(self):
            yield

    def log(self, run: str) -> Log:  # noqa: D102
        return _RunLog(self, names.log(run))

    def sweep(self) -> None:
        """Remove what killed runs left on this machine, and the copies."""
        remove_tree(self.scratch.parent)

    def _key(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _name(self, key: str) -> str:
        return key.removeprefix(f"{self._root}/")


class _RunLog(Log):
    """The log of one run: an object that each event writes anew, since none can be appended to."""

    def __init__(self, store: Bucket, name: str) -> None:
        super().__init__(Path(name))
        self.place = f"{store.place}/{name}"
        self._store, self._name, self._text = store, name, ""

    def _append(self, line: str) -> None:
        self._text += line
        self._store.write(self._name, self._text.encode())


def _folder_here(scratch: Path | None) -> Path:
    """Where this machine keeps unfinished files and copies: for ourselves alone."""
    folder = (scratch or Path(tempfile.gettempdir()) / f"webtext-{os.getuid()}").absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if scratch is None and folder.lstat().st_uid != os.getuid():
        raise SettingsError(f"{folder} is of another user; name a folder of yours: engine.scratch")
    return folder


def _download_of(source: pa.NativeFile) -> Callable[[Path], None]:
    def download(path: Path) -> None:
        with source, path.open("wb") as file:
            shutil.copyfileobj(source, file, COPY_BYTES)

    return download
