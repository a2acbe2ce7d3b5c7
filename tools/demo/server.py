"""A web server for the demo's web: all hosts behind one port of loopback, told apart by `Host`.

It logs each request, and has a trap: a port that no crawler may connect to.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
# Other addresses of loopback for the trap, the first that this machine has; macOS lacks the first.
TRAP_ADDRESSES = ("127.0.0.2", "::1")
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """Bytes in pieces, with a pause of `pause_s` before each; of no pieces the pause alone."""

    pieces: tuple[bytes, ...]
    pause_s: float = 0.0


@dataclass(frozen=True)
class Request:
    """What was asked, and when, by the monotonic clock.

    `answered_s` is just before the first byte of the answer; without an answer it is `asked_s`.
    """

    host: str
    path: str
    asked_s: float
    answered_s: float


class Server:
    """Serves while it is entered, from a thread of its own.

    `answers` by host and path, such as `a.example/story?n=1`: the first request gets the first of
    them, the last is given again and again. All others get 404.
    """

    def __init__(self, answers: Mapping[str, Sequence[Answer]]) -> None:
        self._answers, self._asked = dict(answers), Counter[str]()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo web", daemon=True)
        self.port = 0
        self.trap = ("", 0)  # address and port; "" where loopback has no second address
        self.log: list[Request] = []
        self.trapped = 0  # connections to the trap

    def __enter__(self) -> Self:
        """Begin to serve; the ports are known then."""
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._start())
        self._started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(_end_others())
        self._loop.close()

    async def _start(self) -> None:
        web = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = web.sockets[0].getsockname()[1]
        for address in TRAP_ADDRESSES:
            try:
                trap = await asyncio.start_server(self._spring, address, 0)
            except OSError:
                continue
            self.trap = (address, trap.sockets[0].getsockname()[1])
            return

    async def _spring(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.trapped += 1
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the client has gone, or sends no HTTP
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether another may come on this connection."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        asked_s = time.monotonic()
        words = lines[0].split()
        if len(words) != 3:
            return False
        fields = (line.partition(":") for line in lines[1:])
        host = next((value for name, _, value in fields if name.lower() == "host"), "").strip()
        host, path = host.partition(":")[0].lower(), words[1]
        answer = self._next(host + path)
        await asyncio.sleep(answer.pause_s)
        answered_s = time.monotonic() if answer.pieces else asked_s
        self.log.append(Request(host, path, asked_s, answered_s))
        for number, piece in enumerate(answer.pieces):
            if number:
                await asyncio.sleep(answer.pause_s)
            writer.write(piece)
            await writer.drain()
        return bool(answer.pieces)

    def _next(self, url: str) -> Answer:
        found = self._answers.get(url)
        if not found:
            return Answer((NOT_FOUND,))
        self._asked[url] += 1
        return found[min(self._asked[url], len(found)) - 1]


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
