"""One archive, asked by one request after another, with a pause in between."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from pipeline.pages.commoncrawl.http_place import retry_after_s
from pipeline.pages.owners.agents import PRODUCT
from pipeline.pages.warc import Headers
from pipeline.reasons import Drop, Reason

_BUSY = frozenset({429, 503})
_WAIT_S, _WAIT_MAX_S = 10.0, 600.0  # after a first request for patience without Retry-After
_BITE_BYTES = 64 << 10
_HEAD_BYTES_MAX = 64 << 10


class TooBusy(Exception):  # noqa: N818 (a verdict on the archive)
    """The archive asked for patience `attempts` times in a row."""


@dataclass(frozen=True, slots=True)
class Got:
    """A response: the body as it came, without transfer coding."""

    status: int
    reason: str
    headers: Headers
    body: bytes


@dataclass
class Polite:
    """Requests to one base URL, `delay_s` from the start of one to the start of the next.

    No redirect is followed. An asynchronous context manager.
    """

    base: str
    delay_s: float
    attempts: int
    timeout_s: float
    agent: str = PRODUCT
    ca_file: str = ""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    requests: int = field(default=0, init=False)
    read_bytes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.base = self.base.rstrip("/")
        self._next_at = 0.0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        trusted = ssl.create_default_context()
        if self.ca_file:
            trusted.load_verify_locations(self.ca_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=trusted),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self.timeout_s, sock_read=self.timeout_s
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.agent, "Accept-Encoding": "identity"},
            max_field_size=_HEAD_BYTES_MAX,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        if self._session:
            await self._session.close()

    async def get(self, path: str, body_bytes_max: int) -> Got | Drop:
        """The answer to a request below the base; Drop (range_failed, body_too_large) without one.

        Waits where it is asked to; raises TooBusy if that does not help.
        """
        told = ""
        for attempt in range(1, self.attempts + 1):
            await self._turn()
            try:
                got = await self._asked(path, body_bytes_max)
            except TimeoutError:
                told = f"no answer for {self.timeout_s:.0f} s"
                continue
            except (aiohttp.ClientError, OSError) as error:
                told = f"{type(error).__name__}: {error}"
                continue
            if isinstance(got, Drop):
                return got
            if got.status not in _BUSY or _is_archived(got):
                return got
            told = f"status {got.status}"
            after = next((v for k, v in got.headers if k.lower() == "retry-after"), None)
            wait_s = min(_WAIT_S * 2.0 ** (attempt - 1), _WAIT_MAX_S)
            asked_s = retry_after_s(after)
            self._next_at = self.clock() + (wait_s if asked_s is None else asked_s)
        if told.startswith("status"):
            raise TooBusy(told)
        return Drop(Reason.RANGE_FAILED, told)

    async def _turn(self) -> None:
        while (wait_s := self._next_at - self.clock()) > 0:
            await self.sleep(wait_s)
        self._next_at = self.clock() + self.delay_s

    async def _asked(self, path: str, body_bytes_max: int) -> Got | Drop:
        assert self._session is not None, "used outside of its context"
        self.requests += 1
        url = URL(f"{self.base}/{path}", encoded=True)
        async with self._session.get(url, allow_redirects=False) as answer:
            body = bytearray()
            async for bite in answer.content.iter_chunked(_BITE_BYTES):
                body += bite
                self.read_bytes += len(bite)
                if len(body) > body_bytes_max:
                    return Drop(Reason.BODY_TOO_LARGE, f"over {body_bytes_max} bytes")
            headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in answer.raw_headers
            )
            return Got(answer.status, answer.reason or "", headers, bytes(body))


def _is_archived(got: Got) -> bool:
    return any(name.lower() == "memento-datetime" for name, _ in got.headers)
