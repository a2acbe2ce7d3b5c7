"""A hostile web on loopback: each site does one wrong thing, and says what should be made of it.

A site is a host name; what it answers is a script of steps: bytes are sent, a number of seconds is
slept, ABORT resets the connection. `log` holds each request as the server saw it.
"""

import asyncio
import gzip
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import brotli

ABORT = "abort"
Step = bytes | float | str
Script = Sequence[Step] | Callable[["Request"], Sequence[Step]]
HTML = "text/html; charset=utf-8"
PAGE = b"<html><head><title>t</title></head><body><p>Hello, web.</p></body></html>"


@dataclass(frozen=True)
class Request:
    """A request as the server saw it."""

    host: str
    path: str
    headers: Mapping[str, str]
    began: float
    port: int
    ended: list[float] = field(default_factory=list)


def answer(
    body: bytes = PAGE, status: str = "200 OK", *more: tuple[str, str], mime: str = HTML
) -> bytes:
    """A whole answer."""
    headers = [*([("Content-Type", mime)] if mime else []), *more]
    if not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        headers.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", status, ("Location", location))


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"<p>" + b"a" * ((1 << 20) - 3)
    return b"".join([*(packer.compress(zeros) for _ in range(size >> 20)), packer.flush()])


def robots(text: str) -> Callable[[Request], Sequence[Step]]:
    """A site whose robots.txt is this, and whose pages are pages."""

    def script(request: Request) -> Sequence[Step]:
        is_robots = request.path == "/robots.txt"
        return [answer(text.encode(), mime="text/plain") if is_robots else answer()]

    return script


def on_page(steps: Sequence[Step]) -> Callable[[Request], Sequence[Step]]:
    """A site without robots.txt and tdmrep.json, whose pages do this."""

    def script(request: Request) -> Sequence[Step]:
        if request.path in ("/robots.txt", "/.well-known/tdmrep.json"):
            return [answer(b"", "404 Not Found")]
        return steps

    return script


class Web:
    """Serves sites by their Host header over http and, with a context, over https.

    `trap_port` counts connections that must never be made.
    """

    def __init__(
        self, sites: Mapping[str, Script], tls: ssl.SSLContext | None = None, address="127.0.0.1"
    ) -> None:
        self.sites, self.log, self.trapped, self._tls = dict(sites), [], [], tls
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Web":
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def start() -> None:
            plain = await asyncio.start_server(self._serve, self._address, 0, backlog=1024)
            self.port = plain.sockets[0].getsockname()[1]
            if self._tls:
                secure = await asyncio.start_server(self._serve, self._address, 0, ssl=self._tls)
                self.tls_port = secure.sockets[0].getsockname()[1]
            trap = await asyncio.start_server(self._trap, self._address, 0)
            self.trap_port = trap.sockets[0].getsockname()[1]
            raw = await asyncio.start_server(self._no_tls, self._address, 0)
            self.no_tls_port = raw.sockets[0].getsockname()[1]
            self._started.set()

        self._loop.set_exception_handler(lambda *_: None)  # clients break off
        self._loop.run_until_complete(start())
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _trap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trapped.append(await reader.read(1000))
        writer.close()

    async def _no_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays open."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:])}
        host, path = headers.get("host", "").partition(":")[0], lines[0].split()[1]
        port = writer.get_extra_info("sockname")[1]
        request = Request(host, path, headers, time.monotonic(), port)
        self.log.append(request)
        script = self.sites.get(host, [answer(b"", "404 Not Found")])
        try:
            steps = script(request) if callable(script) else script
            for step in steps:
                if step == ABORT:
                    writer.transport.abort()
                    return False
                if isinstance(step, bytes):
                    writer.write(step)
                    await writer.drain()
                elif isinstance(step, int | float):
                    await asyncio.sleep(step)
            # After one whole answer another request may come.
            is_one = len(steps) == 1 and isinstance(steps[0], bytes)
            return is_one and b"\r\n\r\n" in steps[0]
        finally:
            request.ended.append(time.monotonic())


def packed(body: bytes, encoding: str) -> bytes:
    return {
        "gzip": gzip.compress(body),
        "deflate": zlib.compress(body),
        "raw": zlib.compress(body)[2:-4],
        "br": brotli.compress(body),
    }[encoding]
