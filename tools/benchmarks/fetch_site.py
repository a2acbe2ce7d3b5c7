"""A clean web on loopback for fetch.py: many addresses, pages of 8 to 100 kB, answers in 20-400 ms.

python -m tools.benchmarks.fetch_site PORT SITES
"""

import asyncio
import gzip
import random
import sys

PAGES = 40
SIZES = (8_000, 20_000, 40_000, 60_000, 100_000)
LATENCIES_S = (0.02, 0.05, 0.1, 0.2, 0.4)


def addresses(sites: int) -> list[str]:
    """So many addresses of this machine; each is a site."""
    return [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(sites)]


def pages() -> list[tuple[bytes, bytes]]:
    """Answers, packed and plain, each with its headers."""
    chance = random.Random(3)
    words = [
        "".join(chance.choices("etaoinshrdlucmfw", k=chance.randint(2, 9))) for _ in range(3_000)
    ]
    made = []
    for number in range(PAGES):
        text: list[str] = []
        while sum(map(len, text)) < SIZES[number % len(SIZES)]:
            text.append(f"<p>{' '.join(chance.choices(words, k=60))}</p>")
        body = f"<html><head><title>t</title></head><body>{''.join(text)}</body></html>".encode()
        made.append((_answer(gzip.compress(body, 6), "Content-Encoding: gzip\r\n"), _answer(body)))
    return made


def _answer(body: bytes, more: str = "", status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n{more}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def serve(port: int, sites: int) -> None:
    """Serve until killed; says "up" on stdout."""
    made, gone = pages(), _answer(b"", status="404 Not Found")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split(b" ", 2)[1]
                number = path.rpartition(b"/")[2]
                if not number.isdigit():
                    writer.write(gone)
                    continue
                await asyncio.sleep(LATENCIES_S[int(number) % len(LATENCIES_S)])
                packed, plain = made[int(number) % PAGES]
                writer.write(packed if b"gzip" in request else plain)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    for address in addresses(sites):
        await asyncio.start_server(handle, address, port, backlog=512)
    print("up", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
