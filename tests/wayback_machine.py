"""The Wayback Machine in small: a server on loopback that answers as its API does."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from warcio.archiveiterator import ArchiveIterator

from pipeline.links.canonical import canonical

PAGE = b"<html><body>An old page</body></html>"


class Machine:
    """Captures by URL and time; what was asked, in order."""

    def __init__(self) -> None:
        self.captures: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.faults: Any = lambda path, count: None
        handler = type("Handler", (_Handler,), {"machine": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(
        self, url: str, day: str, status: int = 200, body: bytes = PAGE, **headers: str
    ) -> None:
        """A capture at noon of a day, or at a moment of 14 digits."""
        moment = day if len(day) == 14 else day.replace("-", "") + "120000"
        given = {
            "Content-Type": "text/html",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        self.captures.append(
            {
                "original": url,
                "timestamp": moment,
                "statuscode": str(status),
                "mimetype": "text/html",
                "digest": "X" * 32,
                "body": body,
                "headers": given,
            }
        )

    def add_all(self, warc: Path) -> None:
        """The responses of a WARC file, without the transfer coding of their bodies."""
        with warc.open("rb") as file:
            for record in ArchiveIterator(file):
                if record.rec_type == "response":
                    moment = re.sub(r"\D", "", record.rec_headers["WARC-Date"])[:14]
                    status = int(record.http_headers.get_statuscode())
                    body = record.raw_stream.read()
                    self.add(record.rec_headers["WARC-Target-URI"], moment, status, body)
                    self.captures[-1]["headers"] = dict(record.http_headers.headers)

    def cdx(self, query: dict[str, list[str]]) -> list[list[str]]:
        """As the README of wayback-cdx-server says."""
        wanted = canonical(query["url"][0]).key
        found = [c for c in self.captures if canonical(c["original"]).key == wanted]
        for rule in query.get("filter", []):
            name, pattern = rule.lstrip("!").split(":", 1)
            is_not = rule.startswith("!")
            found = [c for c in found if bool(re.fullmatch(pattern, c[name])) != is_not]
        low, high = query.get("from", ["0"])[0], query.get("to", ["9"])[0]
        found = sorted(
            (c for c in found if low <= c["timestamp"] <= high), key=lambda c: c["timestamp"]
        )
        limit = int(query.get("limit", ["150000"])[0])
        found = found[:limit] if limit >= 0 else found[limit:]
        names = query["fl"][0].split(",")
        return [names, *([c[name] for name in names] for c in found)] if found else []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    machine: Machine

    def do_GET(self) -> None:
        self.machine.requests.append(self.path)
        fault = self.machine.faults(self.path, len(self.machine.requests))
        if fault:
            status, headers, body = fault
            return self._answer(status, headers, body)
        if self.path.startswith("/cdx/search/cdx?"):
            rows = self.machine.cdx(parse_qs(urlsplit(self.path).query))
            return self._answer(
                200, {"Content-Type": "application/json"}, json.dumps(rows).encode()
            )
        moment, url = re.fullmatch(r"/web/(\d{14})id_/(.*)", self.path).groups()
        here = [c for c in self.machine.captures if c["original"] == url]
        exact = [c for c in here if c["timestamp"] == moment]
        if not here:
            return self._answer(404, {}, b"not archived")
        if not exact:
            near = min(here, key=lambda c: abs(int(c["timestamp"]) - int(moment)))
            there = f"/web/{near['timestamp']}id_/{url}"
            return self._answer(302, {"Location": there}, b"")
        capture = exact[0]
        told = {f"X-Archive-Orig-{name}": value for name, value in capture["headers"].items()}
        told["Memento-Datetime"] = "Sun, 01 Aug 2010 12:00:00 GMT"
        if "Location" in capture["headers"]:
            told["Location"] = f"/web/{moment}id_/{capture['headers']['Location']}"
        told["Content-Type"] = capture["headers"].get("Content-Type", "")
        status = capture["statuscode"]
        return self._answer(200 if status == "-" else int(status), told, capture["body"])

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
