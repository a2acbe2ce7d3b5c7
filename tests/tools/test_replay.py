"""What `webtext fetch` writes is replayed by others: by its index, without reading it through."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
from hostile_web import PAGE, Web, answer, chunked, on_page, packed, redirect
from warcio.archiveiterator import ArchiveIterator

from tools.cli import main

MOMENT_DIGITS = 14


def encoded(body, encoding):
    return on_page([answer(body, "200 OK", ("Content-Encoding", encoding))])


LARGE = PAGE + os.urandom(20_000).hex().encode()  # is not packed again
SITES = {
    "plain.test": on_page([answer()]),
    "gzip.test": encoded(packed(PAGE, "gzip"), "gzip"),
    "brotli.test": encoded(packed(PAGE, "br"), "br"),
    "large.test": encoded(packed(LARGE, "gzip"), "gzip"),
    "chunked.test": on_page(
        [answer(chunked(PAGE, b""), "200 OK", ("Transfer-Encoding", "chunked"))]
    ),
    "moved.test": on_page([redirect("http://plain.test/there?b=2&a=1")]),
    "gone.test": on_page([answer(b"gone", "404 Not Found")]),
}  # fmt: skip
URLS = [
    *(f"http://{host}/page" for host in SITES),
    "http://plain.test/Caf%C3%A9/Ünï?x=1&A=b",
    "http://plain.test/a/?q=%20z",
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A folder with a segment of these pages."""
    folder = tmp_path_factory.mktemp("replay")
    links = folder / "urls.txt"
    links.write_text("\n".join(URLS), encoding="utf-8")
    with Web(SITES) as server:
        places = ",".join(f"{host}:80=127.0.0.1:{server.port}" for host in SITES)
        words = [
            *("fetch", str(links), "--out", str(folder / "archive"), "--delay-s", "0"),
            *("--contact", "crawler@example.org", "--networks", "127.0.0.1/32"),
            *("--resolve", places),
        ]
        assert main(words) == 0
    return folder / "archive"


def index_of(archive):
    """The lines of the index: time, and what is told of a record."""
    (path,) = archive.glob("*.cdxj")
    for line in path.read_text(encoding="utf-8").splitlines():
        _, moment, told = line.split(" ", 2)
        yield moment, json.loads(told)


def test_each_line_of_the_index_leads_to_the_record_that_it_tells_of(archive):
    named = set()
    for moment, told in index_of(archive):
        with (archive / told["filename"]).open("rb") as file:
            file.seek(int(told["offset"]))
            records = ArchiveIterator(file)
            record = next(records)
            headers = record.rec_headers
            assert record.http_headers.get_statuscode() == told["status"]
            assert headers["WARC-Target-URI"] == told["url"]
            assert headers["WARC-Payload-Digest"] == told["digest"]
            assert "".join(filter(str.isdigit, headers["WARC-Date"]))[:MOMENT_DIGITS] == moment
            records.read_to_end()
            assert records.get_record_offset() == int(told["offset"])
            assert records.get_record_length() == int(told["length"])
        named.add(int(told["offset"]))
    (warc,) = archive.glob("*.warc.gz")
    with warc.open("rb") as file:
        records = ArchiveIterator(file)
        responses = {
            records.get_record_offset() for record in records if record.rec_type == "response"
        }
    assert named == responses and len(named) > len(URLS)


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


_open = urllib.request.build_opener(_Unfollowed).open


def got(url):
    try:
        answered = _open(url, timeout=60)
    except urllib.error.HTTPError as error:
        answered = error
    with answered:
        return answered.status, answered.headers, answered.read()


@contextmanager
def pywb(folder, archive):
    """pywb over this archive; its address. CONTRIBUTING.md says how to have it."""
    program = shutil.which("wayback")
    if program is None:
        pytest.skip("pywb is not on the path (CONTRIBUTING.md, Tests)")
    paths = {"index_paths": f"{archive}/", "archive_paths": f"{archive}/"}
    (folder / "config.yaml").write_text(json.dumps({"collections": {"kept": paths}}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    words = [program, "-b", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, cwd=folder, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None:
                with socket.socket() as asked:
                    if asked.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            assert process.poll() is None, "pywb did not start"
            yield f"http://127.0.0.1:{port}/kept"
        finally:
            process.kill()


def test_pywb_replays_every_response(archive, tmp_path):
    with pywb(tmp_path, archive) as address:
        for moment, told in index_of(archive):
            status, headers, body = got(f"{address}/{moment}id_/{told['url']}")
            assert (str(status), told["url"]) == (told["status"], told["url"])
            assert headers["Memento-Datetime"], told["url"]
            if told["url"].endswith("/page") and status == 200:
                assert body == (LARGE if "large" in told["url"] else PAGE), told["url"]
            if status == 302:
                assert headers["Location"] == "http://plain.test/there?b=2&a=1"
