"""A bucket on S3 as a place of an index and of WARC files."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.fs

from pipeline.pages.commoncrawl.places import NotThere, ReadFailed, Tail, Throttled
from pipeline.s3 import connected, parsed

_S3_SLOW_DOWN = re.compile(
    r"SLOW_DOWN|ACCESS_DENIED|THROTTLING|REQUEST_LIMIT|status (?:403|429|503)"
)
_OPEN_FILES_MAX = 256


class S3Place:
    """A bucket, by the user's credentials (environment, ~/.aws, or the machine's role).

    Common Crawl's takes no anonymous requests since 2022. A file costs one request more than its
    ranges: pyarrow asks for its size.
    """

    def __init__(self, uri: str, connections: int) -> None:
        bucket, path, options = parsed(uri, "an archive")
        self._root = f"{bucket}/{unquote(path).strip('/')}".rstrip("/")
        self.where = f"s3://{self._root}"
        options.setdefault("region", "us-east-1")  # Common Crawl's
        self._files = connected(options, 1)  # who asks repeats
        self._threads = ThreadPoolExecutor(connections, "s3")
        self._opened: dict[str, pa.NativeFile] = {}

    async def read(self, name: str, start: int, length: int) -> bytes:  # noqa: D102
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read, name, start, length)

    async def tail(self, name: str, length: int) -> Tail:  # noqa: D102
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._tail, name, length)

    def _read(self, name: str, start: int, length: int) -> bytes:
        try:
            file = self._open(name)
            if start + length > file.size():
                raise NotThere(f"{name} ends before byte {start + length}")
            data: bytes = file.read_at(length, start)
        except OSError as error:
            raise _s3_failure(name, error) from None
        if len(data) != length:
            raise ReadFailed(f"of {length} bytes of {name} {len(data)} came")
        return data

    def _tail(self, name: str, length: int) -> Tail:
        try:
            file = self._open(name)
            size: int = file.size()
            taken = min(size, length)
            return Tail(file.read_at(taken, size - taken), size)
        except OSError as error:
            raise _s3_failure(name, error) from None

    def _open(self, name: str) -> pa.NativeFile:
        """The file, whose size is asked for once; it holds no connection."""
        file = self._opened.get(name) or self._files.open_input_file(f"{self._root}/{name}")
        self._opened[name] = file
        while len(self._opened) > _OPEN_FILES_MAX:
            self._opened.pop(next(iter(self._opened)), None)
        return file

    async def names(self, folder: str) -> list[str] | None:  # noqa: D102
        kind = pyarrow.fs.FileType.File
        return [f"{folder}/{name}" for name in await self._listed(folder, kind)]

    async def folders(self, folder: str) -> list[str] | None:  # noqa: D102
        return await self._listed(folder, pyarrow.fs.FileType.Directory)

    async def _listed(self, folder: str, kind: pyarrow.fs.FileType) -> list[str]:
        where = pyarrow.fs.FileSelector(f"{self._root}/{folder}", allow_not_found=True)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._files.get_file_info, where)
        except OSError as error:
            raise _s3_failure(folder, error) from None
        return sorted(info.base_name for info in found if info.type == kind)

    async def close(self) -> None:  # noqa: D102
        self._threads.shutdown(wait=False, cancel_futures=True)


def _s3_failure(name: str, error: OSError) -> ReadFailed:
    told = str(error).partition(" Detail:")[0]
    if isinstance(error, FileNotFoundError) or "404" in told:
        return NotThere(f"{name} is not there")
    if _S3_SLOW_DOWN.search(str(error)):
        return Throttled(f"{name}: {told}")
    return ReadFailed(f"{name}: {told}")
