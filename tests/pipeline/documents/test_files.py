import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents import files_stage
from pipeline.documents.extract import PageAt
from pipeline.documents.files import json_pages, warc_pages
from pipeline.engine.digest import file_digest
from pipeline.errors import InputError
from pipeline.pages.frames import Range
from pipeline.pages.warc import Response, read_page
from pipeline.reasons import Drop, Reason
from pipeline.settings import DocumentsSettings, PagesSettings


def plan(*paths: Path):
    stage = files_stage.files_stage(
        paths, DocumentsSettings(), PagesSettings(), file_digest, lambda: None
    )
    return stage.steps[0].plan()


def test_an_archive_of_another_kind_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "x.wacz").write_bytes(b"PK\3\4 and more")
    with pytest.raises(InputError, match=r"a zip file.*unzip it"):
        plan(tmp_path / "x.wacz")
    (tmp_path / "x.arc").write_bytes(b"filedesc://x and more")
    with pytest.raises(InputError, match=r"an ARC file.*recompress"):
        plan(tmp_path / "x.arc")


@given(lines=st.integers(1, 400), limit=st.integers(1, 50), most=st.integers(1, 20))
def test_the_parts_of_a_file_hold_each_line_once_in_order(tmp_path_factory, lines, limit, most):
    path = tmp_path_factory.mktemp("lines") / "pages.jsonl.gz"
    rows = (json.dumps({"id": n, "html": "<p>"}) for n in range(lines))
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files_stage, "PAGES_PER_PART", limit)
        patch.setattr(files_stage, "LINE_PARTS_MAX", most)
        parts = plan(path)
    assert len(parts) <= most
    assert len({part.digest for part in parts}) == len(parts)
    pieces = [(part.source.start, part.source.stop) for part in parts]
    assert all(stop - start <= max(limit, -(-lines // most)) for start, stop in pieces)
    ids = [page.id for start, stop in pieces for page in json_pages(path, start, stop)]
    assert ids == [str(n) for n in range(lines)]


def test_html_files_that_follow_each_other_share_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(files_stage, "PAGES_PER_PART", 2)
    paths = [tmp_path / name for name in ("1.html", "2.html", "3.htm", "x.jsonl", "4.html")]
    for path in paths:
        path.write_text("<p>a page")
    paths[3].write_text('{"html": "<p>a page"}')
    labels = [part.label for part in plan(*paths)]
    assert labels == [
        f"{tmp_path}/1.html and on",
        f"{tmp_path}/3.htm and on",
        "x.jsonl, lines 0",
        f"{tmp_path}/4.html and on",
    ]


def test_a_part_is_known_by_what_its_rows_come_from(tmp_path):
    page, lines = tmp_path / "page.html", tmp_path / "pages.jsonl"
    page.write_text("<p>a page")
    lines.write_text('{"html": "<p>a page"}')
    before = [part.digest for part in plan(page, lines)]
    assert [part.digest for part in plan(page, lines)] == before
    page.write_text("<p>another page")
    lines.write_text('{"html": "<p>another page"}')
    assert {part.digest for part in plan(page, lines)}.isdisjoint(before)


def test_a_torn_file_is_found_before_any_page_is_extracted(tmp_path):
    path = tmp_path / "pages.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"html": "<p>a"}\n' * 99)[:-9])
    with pytest.raises(InputError, match="torn"):
        plan(path)


def test_a_line_is_known_by_its_id_or_by_file_and_line(tmp_path):
    path = tmp_path / "pages.jsonl"
    rows = [{"id": 7, "html": "<p>"}, {"url": "http://a.example", "html": "\ud800"}, {"html": ""}]
    path.write_text("\n".join([*map(json.dumps, rows), "", '{"url": "u"}', "[]"]))
    pages = list(json_pages(path, 0, 9))
    assert [page.id for page in pages] == ["7", *(f"pages.jsonl:{n}" for n in (2, 3, 5, 6))]
    *_, without_html, no_object = (page.found for page in pages)
    assert without_html == Drop(Reason.TEXT_MISSING, 'pages.jsonl, line 5: it needs "html"')
    assert no_object == Drop(Reason.LINE_NOT_OBJECT, "pages.jsonl, line 6: it is a list")


@pytest.mark.parametrize("nothing", [None, "", " ", float("nan"), True, ["a"], {"a": 1}])
def test_what_is_no_id_loses_no_page(tmp_path, nothing):
    path = tmp_path / "pages.jsonl"
    path.write_text(json.dumps({"id": nothing, "html": "<p>"}))
    (page,) = json_pages(path, 0, 9)
    assert page.id == "pages.jsonl:1"
    assert isinstance(page.found, Response)


def test_a_large_packed_206_of_everything_is_a_page_of_a_warc_file(tmp_path):
    body = gzip.compress(b"<p>" + random.Random(1).randbytes(300_000).hex().encode(), mtime=0)
    block = (
        b"HTTP/1.1 206 Partial\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
        b"Content-Range: bytes 0-%d/%d\r\n\r\n" % (len(body) - 1, len(body))
    ) + body
    head = "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.org/\r\n"
    path = tmp_path / "made.warc"
    path.write_bytes(head.encode() + b"Content-Length: %d\r\n\r\n" % len(block) + block)
    (page,) = warc_pages(path, Range(0, path.stat().st_size), accept_torn=False)
    assert isinstance(page.found, PageAt)


@pytest.mark.parametrize(
    ("chars", "bodies_max", "is_given"),
    [
        (9_000, 10_000, True),
        (9_000, 9_000, False),  # with its header it is longer
        (9_000, 0, False),
        (200_000, 1 << 20, False),  # the beginning alone was read
    ],
)
def test_a_page_that_was_read_as_a_whole_is_given_where_it_is_asked_for(
    tmp_path, chars, bodies_max, is_given
):
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>" + b"a" * chars
    head = "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.org/\r\n"
    path = tmp_path / "made.warc"
    path.write_bytes(
        head.encode() + b"Content-Length: %d\r\n\r\n" % len(block) + block + b"\r\n\r\n"
    )
    span = Range(0, path.stat().st_size)
    (given,) = warc_pages(path, span, accept_torn=False, bodies_max=bodies_max)
    (placed,) = warc_pages(path, span, accept_torn=False)
    assert isinstance(placed.found, PageAt)
    page = read_page(path, placed.found.offset, placed.found.length, 1 << 20)
    assert given.found == (page if is_given else placed.found)
