"""An object store on loopback: moto's server, and a proxy before it that counts and fails.

The proxy passes requests on to the server. By a seed it answers some with 500 or 503, lets some
hang, and cuts the connection of others: before the server saw them, or before its answer is read.
The tests use both, and tools/benchmarks/faults.py.
"""

import http.client
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow.fs

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
INTERNAL = b"<Error><Code>InternalError</Code><Message>Try again.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
FAULTS = ("500", "503", "hang", "cut before", "cut after", "torn answer")
SLOW = "slow"  # an answer that comes late, and is no fault
METHODS = ("GET", "PUT", "POST", "HEAD", "DELETE")
HANG_S = 4.0
SLOW_S = 0.5
HOP_BY_HOP = ("transfer-encoding", "connection", "expect", "content-length")


# What moto takes; nothing else is asked for.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Server:
    """moto's server in a process of its own, with one bucket."""

    bucket = "webtext"

    def __init__(self) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not _answers(self.port):
            assert self._process.poll() is None and time.monotonic() < deadline, "no moto server"
            time.sleep(0.05)
        self.files().create_dir(self.bucket)

    def files(self) -> pyarrow.fs.S3FileSystem:
        """All that is stored, past webtext's own code."""
        return pyarrow.fs.S3FileSystem(
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def put(self, key: str, data: bytes) -> None:
        """Write an object, past webtext's own code."""
        with self.files().open_output_stream(f"{self.bucket}/{key}", compression=None) as stream:
            stream.write(data)

    def uri(self, prefix: str, port: int | None = None) -> str:
        """A place in the bucket, perhaps through a proxy."""
        return f"s3://{self.bucket}/{prefix}?{query(port or self.port)}"

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


def query(port: int) -> str:
    """What a URI says of a store on loopback."""
    return f"endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Proxy:
    """Before a server: counts requests; of each, with a chance of `share`, something fails.

    Use as a context manager. `all_with` fails every request in one way; `kinds` and `methods` say
    what else may happen, and to which requests. All may be set at any time.
    """

    def __init__(
        self,
        server_port: int,
        *,
        share: float = 0,
        seed: int = 0,
        all_with: str = "",
    ) -> None:
        self.requests: list[str] = []  # "GET /webtext/build/…"
        self.faults: Counter[str] = Counter()
        self.share, self.all_with = share, all_with
        self.kinds: Sequence[str] = FAULTS
        self.methods: Sequence[str] = METHODS
        self._random, self._lock = random.Random(seed), threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self, "server_port": server_port})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def count(self) -> Counter[str]:
        """The requests since the last call, by method."""
        with self._lock:
            found, self.requests = self.requests, []
        return Counter(request.split()[0] for request in found)

    def fault_of(self, request: str) -> str:
        """How this request fails, "" if it does not."""
        with self._lock:
            self.requests.append(request)
            fault = self.all_with
            meant = request.split()[0] in self.methods
            if not fault and meant and self._random.random() < self.share:
                fault = self._random.choice(self.kinds)
            self.faults[fault] += 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    server_port: int

    def handle(self) -> None:
        """Serve a connection until it is closed, or cut by the client."""
        with suppress(ConnectionError):
            super().handle()

    def _pass_on(self) -> None:
        fault = self.proxy.fault_of(f"{self.command} {self.path}")
        try:
            self._served(fault, self._body())
        except ConnectionError:  # the client gave up
            self.close_connection = True

    def _served(self, fault: str, body: bytes) -> None:
        if fault in ("hang", SLOW):
            time.sleep(HANG_S if fault == "hang" else SLOW_S)
        if fault in ("hang", "cut before"):
            self._cut()
        elif fault in ("500", "503", "403"):
            text = {"500": INTERNAL, "503": SLOW_DOWN, "403": DENIED}[fault]
            self._answer(int(fault), [("Content-Type", "application/xml")], text)
        else:
            status, headers, answer = self._ask(body)
            if fault == "cut after":
                self._cut()
            else:
                self._answer(status, headers, answer, torn=fault == "torn answer")

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(chunks)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=60)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP_BY_HOP}
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(
        self, status: int, headers: list[tuple[str, str]], body: bytes, *, torn: bool = False
    ) -> None:
        self.send_response_only(status)
        dropped: tuple[str, ...] = ("transfer-encoding", "connection")
        if self.command != "HEAD":
            dropped = (*dropped, "content-length")
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            if name.lower() not in dropped:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if torn else body)
        if torn:
            self._cut()

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
