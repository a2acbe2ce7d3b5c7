"""A server that answers ranges as a place of an index and of WARC files."""

import re
import ssl
from urllib.parse import quote, urlsplit

import aiohttp

from pipeline.errors import SettingsError
from pipeline.pages.commoncrawl.places import NotThere, ReadFailed, Tail, Throttled

# "Please slow down" as S3 and its servers say it; Common Crawl says 403 to whom it has banned.
_SLOW_DOWN = frozenset({403, 429, 503})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_BITE_BYTES = 64 << 10
_RETRY_AFTER_MAX_S = 24 * 3600.0


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
