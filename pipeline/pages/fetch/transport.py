"""One request and what came back, over aiohttp: bytes as they were sent, under limits.

Nothing is decompressed, no redirect is followed, no cookie kept, no environment variable read.
Every socket is made by the guard. Names are looked up once for all, in a bounded cache.
"""

import asyncio
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.pages.archive.outcomes import Outcome
from pipeline.pages.fetch.domains import host_of, origin_of, path_of
from pipeline.pages.fetch.guard import AddressRefused, Guard
from pipeline.pages.media import media_type
from pipeline.pages.warc import Headers

LOOKUPS = 64  # at once, each in a thread: getaddrinfo blocks
ADDRESSES_KEPT = 100_000
ADDRESS_KEPT_S = 600.0
KEEP_ALIVE_S = 4.0  # a polite crawler comes back after a second or so
# More lines than any honest answer has; aiohttp's own limit of 128 is too low for some.
HEADER_LINES_MAX = 256
# What a header line may have; the sum of all is limited by a setting.
HEADER_LINE_BYTES_MAX = 16 << 10
# So much of all bodies lies in memory while they come. Above it only the largest is read on.
BODIES_BYTES_MAX = 512 << 20
WAIT_S = 0.1
_GONE = {
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)
}
# What aiohttp's parser says of headers above the limits; it has no error of their own for all.
_TOO_LARGE = ("Got more than", "Too many headers")
DETAIL_CHARS_MAX = 200
Cap = Callable[["Received"], int]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that one request may take."""

    dns_s: float
    connect_s: float
    idle_s: float
    total_s: float
    header_bytes_max: int


@dataclass(slots=True)
class Received:
    """What came of one request; with a `fault` it is not all, or nothing.

    `head` is status line and headers as they came, but that Transfer-Encoding, which the body has
    no more, is called X-Crawl-Transfer-Encoding, as in Common Crawl's files. `began_s` is by the
    monotonic clock: when the headers were there, or the request had failed.
    """

    url: str
    time_s: float
    request: bytes = b""
    status: int = 0
    headers: Headers = ()
    type: tuple[str, str] = ("", "")  # the media type and its charset
    head: bytes = b""
    body: bytes = b""
    address: str = ""
    began_s: float = 0.0
    truncated: str = ""
    fault: Outcome | None = None
    detail: str = ""


class Transport(Protocol):
    """What the program needs of a network."""

    async def address_of(self, url: str) -> str:
        """The address that will be asked; raises NoAddress."""

    async def get(self, url: str, cap: Cap) -> Received:
        """Ask; `cap` says how many bytes of a body are wanted, when all but the body is there."""


class NoAddress(Exception):  # noqa: N818 (a verdict)
    """A host has no address that may be asked."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(outcome, detail)
        self.outcome, self.detail = outcome, detail


class Resolver(AbstractResolver):
    """Looks up the public addresses of hosts, and keeps them for a while.

    `places` says where hosts are instead, see `places_of`.
    """

    def __init__(self, guard: Guard, timeout_s: float, places: "Places") -> None:
        self._guard, self._timeout_s, self._places = guard, timeout_s, places
        self.has_places = bool(places)
        self._kept: OrderedDict[str, tuple[float, tuple[str, ...]]] = OrderedDict()
        self._threads = ThreadPoolExecutor(LOOKUPS, "dns")

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a host that may be asked, at least one; raises NoAddress."""
        now = time.monotonic()
        if (kept := self._kept.get(host)) and kept[0] > now:
            return kept[1]
        found = await self._look_up(host)
        allowed = tuple(address for address in found if self._guard.allows(address))
        if not allowed:
            raise NoAddress(Outcome.HOST_PRIVATE, f"{host} has the address {found[0]}")
        self._kept[host] = now + ADDRESS_KEPT_S, allowed
        self._kept.move_to_end(host)
        if len(self._kept) > ADDRESSES_KEPT:
            self._kept.popitem(last=False)
        return allowed

    def place(self, host: str, port: int) -> tuple[str, int] | None:
        """Where the settings say that a host is; None: they do not. Raises NoAddress."""
        for name in (f"{host}:{port}", f"*:{port}"):
            if name in self._places:
                if found := self._places[name]:
                    return found
                raise NoAddress(Outcome.HOST_NOT_FOUND, "fetch.resolve says that it is nowhere")
        return None

    async def _look_up(self, host: str) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await loop.run_in_executor(
                    self._threads, lambda: socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
                )
        except TimeoutError:
            raise NoAddress(Outcome.DNS_FAILED, f"no answer in {self._timeout_s:g} s") from None
        except UnicodeError as error:  # a label that is too long for DNS
            raise NoAddress(Outcome.HOST_INVALID, str(error)) from None
        except socket.gaierror as error:
            gone = error.errno in _GONE
            outcome = Outcome.HOST_NOT_FOUND if gone else Outcome.DNS_FAILED
            raise NoAddress(outcome, error.strerror or str(error)) from None
        except OSError as error:
            raise NoAddress(Outcome.DNS_FAILED, str(error)) from None
        return [str(each[4][0]) for each in found]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As aiohttp asks for them."""
        addresses: tuple[str, ...]
        try:
            if place := self.place(host, port):
                addresses, port = (place[0],), place[1]
            else:
                addresses = await self.addresses(host)
        except NoAddress as error:
            raise OSError(None, error.detail) from error
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=socket.AF_UNSPEC, proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]  # fmt: skip

    async def close(self) -> None:
        """Wait for no look-up that goes on."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Http:
    """A Transport over the network; an asynchronous context manager."""

    def __init__(
        self,
        guard: Guard,
        limits: Limits,
        headers: Mapping[str, str],
        *,
        places: "Places | None" = None,
        proxy: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard, self._limits, self._proxy = guard, limits, proxy or None
        self._headers, self._tls = dict(headers), tls or ssl.create_default_context()
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._resolver = Resolver(guard, limits.dns_s, places or {})
        self._coming: dict[int, int] = {}  # bytes of the bodies that are being read
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        """Open the session. Behind a proxy its sockets lead to the proxy alone."""
        connector = aiohttp.TCPConnector(
            resolver=None if self._proxy else self._resolver,
            use_dns_cache=bool(self._proxy),
            socket_factory=None if self._proxy else self._guard.socket,
            limit=0,
            limit_per_host=0,
            keepalive_timeout=KEEP_ALIVE_S,
            ssl=self._tls,
        )
        limits = self._limits
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_s, sock_read=limits.idle_s
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            max_line_size=HEADER_LINE_BYTES_MAX,
            max_field_size=HEADER_LINE_BYTES_MAX,
            max_headers=HEADER_LINES_MAX,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._resolver.close()

    async def address_of(self, url: str) -> str:
        """The first address of the URL's host; behind a proxy the host itself."""
        host = host_of(url).strip("[]")
        if self._resolver.has_places:
            parsed = URL(url, encoded=True)
            if place := self._resolver.place(parsed.raw_host or "", parsed.port or 0):
                return place[0]
        if self._proxy or ":" in host or host.rpartition(".")[2].isdigit():
            return host
        return (await self._resolver.addresses(host))[0]

    async def get(self, url: str, cap: Cap) -> Received:
        """Ask once. Everything that can go wrong is a fault of what is received."""
        got = Received(url, time.time(), request=self._request(url))
        try:
            async with asyncio.timeout(self._limits.total_s):
                await self._get(url, cap, got)
        except (aiohttp.ClientError, OSError, ValueError, UnicodeError) as error:
            got.fault, got.detail = fault_of(error)
            if got.status and not got.truncated:
                is_slow = got.fault is Outcome.ANSWER_TIMED_OUT
                got.truncated = "time" if is_slow else "disconnect"
        got.began_s = got.began_s or time.monotonic()
        return got

    async def _get(self, url: str, cap: Cap, got: Received) -> None:
        async with self._session.get(
            URL(url, encoded=True), allow_redirects=False, proxy=self._proxy
        ) as response:
            got.began_s = time.monotonic()
            transport = response.connection.transport if response.connection else None
            peer = transport.get_extra_info("peername") if transport else None
            got.address = str(peer[0]) if peer and not self._proxy else ""
            lines = [b"%s: %s\r\n" % (_stored(name), value) for name, value in response.raw_headers]
            version = response.version
            number = f"{version.major}.{version.minor}" if version else "1.1"
            status = f"HTTP/{number} {response.status} {response.reason or ''}\r\n"
            got.status = response.status
            got.headers = tuple(
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in response.raw_headers
            )
            got.head = b"".join([status.encode("utf-8", "replace"), *lines, b"\r\n"])
            if len(got.head) > self._limits.header_bytes_max:
                got.fault, got.detail = Outcome.HEADER_TOO_LARGE, f"{len(got.head):,} bytes"
                got.head, got.truncated = got.head[: self._limits.header_bytes_max], "length"
                response.close()
                return
            got.type = media_type(got.headers)
            await self._read(response, cap(got), got)

    async def _read(self, response: aiohttp.ClientResponse, most: int, got: Received) -> None:
        pieces: list[bytes] = []
        size, me = 0, id(got)
        try:
            async for piece in response.content.iter_any():
                pieces.append(piece)
                size += len(piece)
                if size > most:
                    got.truncated = "length"
                    response.close()
                    break
                self._coming[me] = size
                while self._is_too_much(me):
                    await asyncio.sleep(WAIT_S)
        finally:
            self._coming.pop(me, None)
            got.body = b"".join(pieces)[:most]

    def _is_too_much(self, me: int) -> bool:
        coming = self._coming
        if len(coming) * coming[me] < BODIES_BYTES_MAX:  # most are small: no need to add up
            return False
        return sum(coming.values()) > BODIES_BYTES_MAX and max(coming, key=coming.__getitem__) != me

    def _request(self, url: str) -> bytes:
        netloc, path = origin_of(url).partition("://")[2], path_of(url)
        return f"GET {path} HTTP/1.1\r\nHost: {netloc}\r\n{self._lines}\r\n".encode()


def fault_of(error: Exception) -> tuple[Outcome, str]:
    """The outcome that an error of the network is, and what it says."""
    told = (" ".join(str(error).split()) or type(error).__name__)[:DETAIL_CHARS_MAX]
    if AddressRefused.TEXT in told:
        return Outcome.HOST_PRIVATE, told[told.index(AddressRefused.TEXT) :]
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        cause = error.os_error.__cause__
        if isinstance(cause, NoAddress):
            return cause.outcome, cause.detail
        return Outcome.DNS_FAILED, told
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return Outcome.TLS_FAILED, told
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Outcome.CONNECT_FAILED, "no connection in time"
    if isinstance(error, TimeoutError):
        return Outcome.ANSWER_TIMED_OUT, told
    if isinstance(error, aiohttp.ClientConnectorError):
        return Outcome.CONNECT_FAILED, told
    if isinstance(error, aiohttp.ClientResponseError):
        is_larger = any(sign in told for sign in _TOO_LARGE)
        return (Outcome.HEADER_TOO_LARGE if is_larger else Outcome.HTTP_INVALID), told
    if isinstance(error, aiohttp.ClientPayloadError):
        return Outcome.CONNECTION_LOST, told
    if isinstance(error, aiohttp.ClientConnectionError | ConnectionError):
        return Outcome.CONNECTION_LOST, told
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return Outcome.URL_INVALID, told
    return Outcome.CONNECTION_LOST, told


def _stored(name: bytes) -> bytes:
    return b"X-Crawl-" + name if name.lower() == b"transfer-encoding" else name


Places = Mapping[str, tuple[str, int] | None]
NOWHERE = "nowhere"


def places_of(told: Sequence[str]) -> dict[str, tuple[str, int] | None]:
    """`HOST:PORT=ADDRESS:PORT` as a table; None for a host that is said to be `nowhere`.

    The host `*` stands for all that are not named. Raises ValueError for what is written otherwise.
    """
    places: dict[str, tuple[str, int] | None] = {}
    for each in told:
        host, equals, place = each.partition("=")
        address, colon, port = place.rpartition(":")
        is_place = place == NOWHERE or (colon and port.isdigit())
        if not (equals and is_place and host.rpartition(":")[2].isdigit()):
            raise ValueError(each)
        places[host] = None if place == NOWHERE else (address.strip("[]"), int(port))
    return places
