import gzip
import io
import random

import pytest

from pipeline.errors import InputError
from pipeline.pages.frames import HEAD_BYTES
from pipeline.pages.warc import (
    DERIVED_RECORDS,
    NotHttp,
    checked,
    parse_response,
    read_page,
    records,
    response_of,
)

FORMS = ("plain", "gz", "zst", "dictionary")


@pytest.mark.parametrize("form", FORMS)
def test_a_page_is_read_back_as_it_was_received(maker, form):
    body = gzip.compress(b"<p>packed</p>", mtime=0)
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    block = maker.http(body=chunked, content_encoding="gzip", transfer_encoding="chunked")
    path = maker.write([maker.record(kind="warcinfo", url=""), maker.record(block=block)], form)
    *_, page = records(path)
    response = read_page(path, page.offset, page.length, 1 << 20)
    assert (response.status, response.body) == (200, chunked)
    assert response.header("CONTENT-encoding") == "gzip"
    assert response.header("x-none") == ""


@pytest.mark.parametrize("form", FORMS)
def test_a_body_above_the_limit_is_cut_one_byte_after_it(maker, form):
    path = maker.write([maker.record(block=maker.http(body=b"x" * (1 << 20)))], form)
    (page,) = records(path)
    for limit in (0, 10, 900_000):
        assert len(read_page(path, page.offset, page.length, limit).body) == limit + 1
    assert len(read_page(path, page.offset, page.length, 1 << 20).body) == 1 << 20


def test_a_resource_record_is_a_response_of_its_content(maker):
    made = maker.record(kind="resource", block=b"<p>x</p>", Content_Type="text/html")
    path = maker.write([made])
    (page,) = records(path)
    response = read_page(path, page.offset, page.length, 100)
    assert (response.status, response.body) == (200, b"<p>x</p>")
    assert response.header("content-type") == "text/html"


@pytest.mark.parametrize(
    ("block", "status", "headers", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n\r\nbody", 200, (("A", "1"),), b"body"),
        (b"HTTP/1.0 404\nA: 1\nB:2\n\nbody", 404, (("A", "1"), ("B", "2")), b"body"),
        (b"HTTP/2 200\r\n\r\n\r\nx", 200, (), b"\r\nx"),
        (b"HTTPX/1.1 200 OK\r\n\r\n", 200, (), b""),
        (b"HTTP/1.1 301 Moved\r\nLocation: /a:b", 301, (("Location", "/a:b"),), b""),
        (b"HTTP/1.1 200 OK\r\nA: 1,\r\n  2\r\nno colon\r\n\r\nx", 200, (("A", "1, 2"),), b"x"),
        (b"HTTP/1.1 200 OK\r\nA: \xe9\r\n\r\n", 200, (("A", "é"),), b""),
        (b"HTTP 200 OK\r\nA: 1\r\n\r\nx", 200, (("A", "1"),), b"x"),
        (b"HTTP/1.1200 OK\r\nA: 1\r\n\r\nx", 200, (("A", "1"),), b"x"),
        (b"HTTP/1.1 200OK\r\nA: 1\r\n\r\nx", 200, (("A", "1"),), b"x"),
        (b"http/1.0 200 ok\r\nA: 1\r\n\r\nx", 200, (("A", "1"),), b"x"),
        (b"HTTP/1. 200 OK\r\nA: 1\r\n\r\nx", 200, (("A", "1"),), b"x"),
        (b"\r\n\r\nHTTP/1.1 200 OK\r\nA: 1\r\n\r\nx", 200, (("A", "1"),), b"x"),
        (b"\n HTTP/1.1 404\nA: 1\n\n\nx", 404, (("A", "1"),), b"\nx"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nA: 1\r\n\r\nx", 200, (("A", "1"),), b"x"),
        (b"HTTP/1.1 103 Hints\nB: 2\n\nHTTP/1.1 301\nA: 1\n\n", 301, (("A", "1"),), b""),
        (b"HTTP/1.0 200 Established\r\n\r\nHTTP/1.1 404\r\nA: 1\r\n\r\n", 404, (("A", "1"),), b""),
        (b"HTTP/1.1 200 OK\r\nA: 1\r\n\r\nHTTP/1.1 500", 200, (("A", "1"),), b"HTTP/1.1 500"),
    ],
)
def test_an_http_head_is_read_as_browsers_do(block, status, headers, body):
    response = parse_response(block)
    assert (response.status, response.headers, response.body) == (status, headers, body)


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"<html>",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 000 x",
        b"HTTPS page 200 x",
        b"HTTP/1.1 2000 x",
        b"HTTP/1.1 200 OK\r\nA" * 50_000,
    ],
)
def test_what_is_no_http_response_is_told(block):
    with pytest.raises(NotHttp):
        parse_response(block)


def test_a_header_may_end_its_lines_with_cr_alone():
    head = b"HTTP/1.1 200 OK\rContent-Type: text/html\rX: a\r b\r\r"
    for body in (b"<p>\r\r<p>\n\n", b"", b"<p>"):
        found = parse_response(head + body)
        assert found.headers == (("Content-Type", "text/html"), ("X", "a b"))
        assert (found.status, found.body) == (200, body)
    assert parse_response(b"HTTP/1.1 200 OK\r\nX: a\r\rb\r\n\r\n<p>").body == b"<p>"


@pytest.mark.parametrize("padding", [b"\r\n" * 40, b"\0" * 500, b"\n" * 17])
def test_blank_padding_of_any_length_is_no_damage(maker, padding):
    path = maker.write([maker.record("http://a.org/", maker.http()) + padding])
    assert [found.fault for found in records(path)] == [""]


def test_a_header_without_end_is_a_fault_only_where_the_block_was_cut():
    with pytest.raises(NotHttp, match="no end"):
        parse_response(b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * HEAD_BYTES)
    assert parse_response(b"HTTP/1.1 200 OK\r\nA: 1\r\n").header("a") == "1"


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda r: r.replace(b"Content-Length: 7", b"Content-Length: 90"), "it lacks 79"),
        (lambda r: r.replace(b"Content-Length: 7", b"Content-Length: x"), "no Content-Length"),
        (lambda r: r.replace(b"Content-Length: 7", b"X: 7"), "no Content-Length"),
        (lambda r: r.replace(b"\r\n\r\n", b"\r\n"), "no WARC header"),
        (lambda r: r.replace(b"WARC/1.1", b"JUNK/1.1"), "no WARC header"),
        (lambda r: r + b"more" * 20, "84 bytes more"),
    ],
)
def test_a_damaged_record_has_a_fault_and_the_next_one_is_read(maker, damage, fault):
    good = maker.record("http://a.org/", b"<p>x</p>")
    bad = damage(maker.record("http://b.org/", b"x content"[:7]))
    found = list(records(maker.write([good, bad, good])))
    assert [bool(record.fault) for record in found] == [False, True, False]
    assert fault in found[1].fault


def wet(maker, count):
    return [maker.record("http://a.org/", b"text", kind="conversion")] * count


def wat(maker, count):
    return [maker.record("http://a.org/", b'{"Container":{}}', kind="metadata")] * count


@pytest.mark.parametrize("kind", [wet, wat])
@pytest.mark.parametrize("count", [1, DERIVED_RECORDS, 99])
def test_a_file_of_texts_or_data_about_pages_is_refused_with_what_to_do(maker, kind, count):
    info = maker.record("", b"software: x", kind="warcinfo")
    path = maker.write([info, *kind(maker, count)])
    name = kind.__name__.upper()
    read = checked(records(path), path)
    with pytest.raises(InputError, match=f"made.warc.gz, byte 0: this is a {name} file.*WARC file"):
        [next(read) for _ in range(count + 2)]
    assert len(list(records(path))) == 1 + count


def test_such_records_beside_pages_are_no_reason_to_refuse_the_file(maker):
    page = maker.record("http://a.org/", maker.http())
    for made in (
        [page, *wet(maker, 99)],
        [*wet(maker, 3), page, *wat(maker, 99)],
        [maker.record("http://a.org/", b"fetchTimeMs: 7", kind="metadata")] * 20,
    ):
        path = maker.write(made)
        assert len(list(checked(records(path), path))) == len(made)


def test_several_records_in_one_member_are_refused_with_advice(maker):
    both = maker.record("http://a.org/", b"1") + maker.record("http://b.org/", b"2")
    with pytest.raises(InputError, match=r"byte 0: .*several records.*recompress"):
        list(records(maker.write([both], "gz")))
    assert len(list(records(maker.write([both], "plain")))) == 2


def test_another_file_in_the_place_of_the_indexed_one_is_an_error(maker):
    path = maker.write([maker.record(block=maker.http(body=b"x" * 99))])
    (page,) = records(path)
    path.write_bytes(maker.write([maker.record("http://b.org/", b"no http")]).read_bytes())
    with pytest.raises(InputError, match=r"byte 0: no page lies here .* index it anew"):
        read_page(path, 0, page.length, 100)
    with pytest.raises(InputError, match="byte 5: this record could be read before"):
        read_page(path, 5, page.length, 100)


@pytest.mark.real
def test_real_bodies_are_those_that_warcio_reads(shared_data):
    from warcio.archiveiterator import ArchiveIterator

    chance = random.Random(1)
    for path in sorted((shared_data / "pages").glob("*.warc.gz")):
        wanted = {}
        with path.open("rb") as file:
            # Not parsed as HTTP: warcio 1.8 raises on brotli, and on HTTPX in a status line.
            archive = ArchiveIterator(file, no_record_parse=True)
            for record in archive:
                block = record.content_stream().read()
                if record.rec_type == "response":
                    wanted[archive.get_record_offset()] = block
        ours = [record for record in records(path) if record.kind == "response"]
        assert {record.offset for record in ours} == set(wanted)
        for record in chance.sample(ours, 60) if len(ours) > 461 else ours:
            page = read_page(path, record.offset, record.length, 64 << 20)
            head, _, body = wanted[record.offset].partition(b"\r\n\r\n")
            assert page.body == body
            assert f" {page.status} ".encode() in io.BytesIO(head + b" ").readline() + b" "
            assert response_of(record).headers == page.headers
