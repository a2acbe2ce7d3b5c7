"""A crawl of a few pages, in a folder, in a bucket, and on a server that knows ranges."""

import asyncio
import re
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import trustme

from pipeline.links.canonical import canonical, link_id
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.archive.warc_records import digest_of
from pipeline.pages.commoncrawl.collect import collect
from pipeline.pages.sources import LINKS
from pipeline.pages.warc import read_page
from pipeline.settings import CommonCrawlSettings, PagesSettings, Settings
from tools.demo.common_crawl import Form, write_crawl

CRAWL = "CC-MAIN-2014-10"
HTML = b"<html><body><p>Hello</p></body></html>"


class Server:
    """Files of a folder over https, by ranges; `faults` says how a request goes wrong.

    A fault is a function of path, range and the number of the request that gives None, or one of
    403, 429, 503, 404, "whole" (ranges ignored), "short" (the connection ends early), "elsewhere"
    (a redirect), "shifted" (another range than was asked for), "endless".
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[tuple[str, str]] = []
        self.faults: Callable[[str, str, int], Any] = lambda path, wanted, count: None
        self.headers: dict[str, str] = {}
        self.at_once = self.at_once_max = 0
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"server_of": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.ca_file = str(folder.parent / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        )

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: Server

    def do_GET(self) -> None:
        server = self.server_of
        wanted = self.headers.get("Range", "")
        with server.lock:
            server.requests.append((self.path, wanted))
            count = len(server.requests)
            server.at_once += 1
            server.at_once_max = max(server.at_once_max, server.at_once)
        try:
            self._serve(server.faults(self.path, wanted, count), wanted)
        finally:
            with server.lock:
                server.at_once -= 1

    def _serve(self, fault: Any, wanted: str) -> None:
        path = self.server_of.folder / self.path.lstrip("/")
        if isinstance(fault, int):
            return self._answer(fault, b"no", self.server_of.headers)
        if fault == "elsewhere":
            return self._answer(302, b"", {"Location": f"{self.server_of.url}/elsewhere"})
        if not path.is_file():
            return self._answer(404, b"")
        data = path.read_bytes()
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted)
        if fault == "whole" or not found:
            return self._answer(200, data)
        size = len(data)
        first = int(found[1]) if found[1] else max(0, size - int(found[2]))
        last = min(int(found[2]), size - 1) if found[1] else size - 1
        if first >= size:
            return self._answer(416, b"")
        if fault == "shifted":
            first, last = max(0, first - 1), last - 1
        piece = data[first : last + 1]
        told = {"Content-Range": f"bytes {first}-{last}/{size}"}
        if fault == "short":
            self._answer(206, piece, told, sent=piece[: len(piece) // 2])
            self.close_connection = True
            return None
        if fault == "endless":
            return self._answer(206, piece * 3, told)
        return self._answer(206, piece, told)

    def _answer(
        self,
        status: int,
        body: bytes,
        more: dict[str, str] | None = None,
        sent: bytes | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if sent is None else sent)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class World:
    """Crawls in a folder, links to their pages, and an archive."""

    def __init__(self, folder: Path, maker: Any) -> None:
        self.folder, self.maker = folder, maker
        self.place = folder / "cc"
        self.archive_folder = folder / "archive"
        self.lines: list[str] = []
        self.place.mkdir()

    def page(self, url: str, date: str = "2014-03-01T00:00:00Z", **more: Any) -> bytes:
        """A record of a page, with its digest."""
        block = self.maker.http(**{"status": 200, "body": HTML, **more.pop("http", {})})
        payload = block.partition(b"\r\n\r\n")[2]
        return self.maker.record(
            url, block, date=date, WARC_Payload_Digest=digest_of(payload), **more
        )

    def crawl(self, records: list[bytes], name: str = CRAWL, form: Form | None = None) -> Any:
        """Write a crawl of these records; its rows."""
        warc = self.maker.write(records, name=f"{name}.warc.gz")
        return write_crawl(self.place, name, [warc], form)

    def links(self, *urls: str, post_s: int | None = None, hint_s: int | None = None) -> pa.Table:
        """Links to these URLs."""
        rows = []
        for url in urls:
            page = canonical(url)
            rows.append(
                {
                    "id": link_id(page.key),
                    "key": page.key,
                    "url": page.url,
                    "first_post_s": post_s,
                    "capture_hint_s": hint_s,
                }
            )
        return pa.Table.from_pylist(rows, schema=LINKS)

    def collect(self, links: pa.Table, max_distance_days: int = 0, **rules: Any) -> Any:
        """Ask for the links; what the source gave."""
        given = {"place": str(self.place), "wait_s": 0.001, "attempts": 3, **rules}
        settings = Settings(
            commoncrawl=CommonCrawlSettings(**given),
            pages=PagesSettings(max_distance_days=max_distance_days),
        )
        with Archive(Folder(self.archive_folder), self.folder / "scratch") as archive:
            return asyncio.run(
                collect(
                    links,
                    archive,
                    settings,
                    scratch=self.folder / "rows",
                    tell=self.lines.append,
                )
            )

    def answers(self) -> dict[str, dict[str, Any]]:
        """The last answer of each link, by URL."""
        tables = [pq.read_table(path) for path in sorted(self.archive_folder.glob("*.parquet"))]
        rows = pa.concat_tables(tables).to_pylist() if tables else []
        return {row["url"]: row for row in rows}

    def outcomes(self) -> dict[str, str]:
        """The outcome of each link, by URL."""
        return {url: row["outcome"] for url, row in self.answers().items()}

    def response(self, answer: dict[str, Any]) -> Any:
        """The stored response of an answer."""
        path = self.archive_folder / answer["segment"]
        return read_page(path, answer["offset"], answer["length"], 1 << 20)
