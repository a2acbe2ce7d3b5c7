"""Where an index and its WARC files lie: a folder, a bucket on S3, or a server that knows ranges.

All three are read in the same way: a name below the place, a start, a length. Names come from the
index, which is not trusted: `safe_name` lets none out of the place. A place tells how a read failed
by one of the three exceptions here, and tries nothing again: `ranges.py` does.
"""

import asyncio
import os
import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import aiohttp
import pyarrow as pa
import pyarrow.fs

from pipeline.errors import SettingsError
from pipeline.pages.agents import PRODUCT

_NAME = re.compile(r"[A-Za-z0-9=._+-]+(?:/[A-Za-z0-9=._+-]+)*")
_NAME_CHARS_MAX = 1024  # a key of S3 has no more
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_S3_OPTIONS = ("endpoint_override", "region", "scheme", "tls_ca_file_path")
# "Please slow down" as S3 and its servers say it; Common Crawl says 403 to whom it has banned.
_SLOW_DOWN = frozenset({403, 429, 503})
_S3_SLOW_DOWN = re.compile(
    r"SLOW_DOWN|ACCESS_DENIED|THROTTLING|REQUEST_LIMIT|status (?:403|429|503)"
)
_BITE_BYTES = 64 << 10
_OPEN_FILES_MAX = 256
_RETRY_AFTER_MAX_S = 24 * 3600.0


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


def open_place(
    text: str, connections: int, *, timeout_s: float, agent: str = PRODUCT, ca_file: str = ""
) -> Place:
    """The place that a setting names: `s3://BUCKET/PREFIX`, `https://HOST/PATH`, or a folder.

    Raises SettingsError for what is none. `ca_file` holds certificates that are trusted besides.
    """
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme == "s3":
        return S3Place(text, connections)
    if scheme in ("https", "http"):
        return HttpPlace(text, connections, timeout_s, agent, ca_file)
    if scheme:
        raise SettingsError(
            f"{text}: an index lies in a folder, at https://… or at s3://…; {scheme}: is not known"
        )
    if not Path(text).is_dir():
        raise SettingsError(
            f"{text}: there is no such folder; it should hold cc-index and crawl-data"
        )
    return FolderPlace(Path(text))


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


class S3Place:
    """A bucket, by the user's credentials (environment, ~/.aws, or the machine's role).

    Common Crawl's takes no anonymous requests since 2022. A file costs one request more than its
    ranges: pyarrow asks for its size.
    """

    def __init__(self, uri: str, connections: int) -> None:
        parts = urlsplit(uri)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if "@" in parts.netloc:
            raise SettingsError(
                "credentials are not taken from a URI, which logs show; set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or use ~/.aws/credentials"
            )
        if unknown := [name for name in options if name not in _S3_OPTIONS]:
            raise SettingsError(
                f"{uri}: {unknown[0]} is not known; known: {', '.join(_S3_OPTIONS)}"
            )
        if not parts.netloc or parts.fragment:
            raise SettingsError(f"{uri} is no place in a bucket; write s3://BUCKET/PREFIX")
        self._root = f"{parts.netloc}/{unquote(parts.path).strip('/')}".rstrip("/")
        self.where = f"s3://{self._root}"
        options.setdefault("region", "us-east-1")  # Common Crawl's
        self._files = pyarrow.fs.S3FileSystem(
            **options, retry_strategy=pyarrow.fs.AwsStandardS3RetryStrategy(max_attempts=1)
        )
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


class HttpPlace:
    """A server that answers ranges; nothing can be listed there, and no redirect is followed."""

    def __init__(
        self, url: str, connections: int, timeout_s: float, agent: str, ca_file: str
    ) -> None:
        parts = urlsplit(url)
        if "@" in parts.netloc or not parts.hostname or parts.query or parts.fragment:
            raise SettingsError(
                f"{parts.scheme}://{parts.hostname or ''}…: write https://HOST/PATH, without user "
                "name, query and fragment"
            )
        self.where = url.rstrip("/")
        self._connections, self._timeout_s = connections, timeout_s
        self._agent, self._ca_file = agent, ca_file
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        """Made within the loop that uses it."""
        if self._session is None:
            trusted = ssl.create_default_context()
            if self._ca_file:
                trusted.load_verify_locations(self._ca_file)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, ssl=trusted),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._timeout_s, sock_read=self._timeout_s
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._agent, "Accept-Encoding": "identity"},
            )
        return self._session

    async def read(self, name: str, start: int, length: int) -> bytes:  # noqa: D102
        data, first, _ = await self._ranged(name, f"bytes={start}-{start + length - 1}", length)
        if first != start or len(data) != length:
            raise NotThere(
                f"{name}: asked for {length} bytes at {start}, got {len(data)} at {first}"
            )
        return data

    async def tail(self, name: str, length: int) -> Tail:  # noqa: D102
        data, first, size = await self._ranged(name, f"bytes=-{length}", length)
        if first + len(data) != size:
            raise ReadFailed(f"{name}: asked for its end, got bytes {first} to {first + len(data)}")
        return Tail(data, size)

    async def _ranged(self, name: str, wanted: str, bytes_max: int) -> tuple[bytes, int, int]:
        """The bytes of one answer, where they begin, and the size of the file."""
        url = f"{self.where}/{quote(name, safe='/=')}"
        try:
            async with self._open().get(
                url, headers={"Range": wanted}, allow_redirects=False
            ) as answer:
                first, length, size = _told_range(name, answer, bytes_max)
                data = bytearray()
                async for bite in answer.content.iter_chunked(_BITE_BYTES):
                    data += bite
                    if len(data) > length:
                        raise ReadFailed(f"{name}: more bytes came than were promised")
        except TimeoutError:
            raise ReadFailed(f"{name}: no answer for {self._timeout_s:.0f} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise ReadFailed(f"{name}: {type(error).__name__}: {error}") from None
        if len(data) != length:
            raise ReadFailed(f"{name}: of {length} bytes {len(data)} came")
        return bytes(data), first, size

    async def names(self, folder: str) -> list[str] | None:  # noqa: D102
        return None

    async def folders(self, folder: str) -> list[str] | None:  # noqa: D102
        return None

    async def close(self) -> None:  # noqa: D102
        if self._session is not None:
            await self._session.close()


def _told_range(name: str, answer: aiohttp.ClientResponse, bytes_max: int) -> tuple[int, int, int]:
    """First byte, length and size of the file that a response to a range promises."""
    status = answer.status
    if status in _SLOW_DOWN:
        raise Throttled(
            f"{name}: status {status}", retry_after_s(answer.headers.get("Retry-After"))
        )
    if status in (404, 410, 416):
        raise NotThere(f"{name}: status {status}")
    if status == 200:
        # Small files may come whole: it is what they are asked for from their end.
        size = answer.content_length
        if size is None or size > bytes_max:
            raise NotThere(f"{name}: the server sends whole files and no ranges of them")
        return 0, size, size
    if status != 206:
        raise ReadFailed(f"{name}: status {status}")
    told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    if not told or told[3] == "*":
        raise ReadFailed(f"{name}: status 206 without a Content-Range that can be read")
    first, last, size = int(told[1]), int(told[2]), int(told[3])
    length = last - first + 1
    if not 0 < length <= bytes_max or last >= size:
        raise ReadFailed(f"{name}: a Content-Range that was not asked for: {told[0]}")
    return first, length, size


def retry_after_s(value: str | None) -> float | None:
    """The seconds of a Retry-After; None where it has none, or a date."""
    text = (value or "").strip()
    return (
        min(float(text), _RETRY_AFTER_MAX_S)
        if text.isascii() and text.isdigit() and len(text) < 9
        else None
    )
