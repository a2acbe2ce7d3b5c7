from datetime import UTC, datetime

from warcio.archiveiterator import ArchiveIterator

from tools.demo.captures import Capture, record_bytes, write_warc

WHEN = datetime(2020, 7, 3, 4, 5, 6, tzinfo=UTC)
PAGE = Capture("https://example.org/a", WHEN, b"<p>Hello</p>")
CAPTURES = [
    Capture("demo.warc.gz", WHEN, kind="warcinfo", block=b"software: test\r\n"),
    PAGE,
    Capture("https://example.org/b", WHEN, b"", 301, (("Location", "/a"),)),
    Capture("https://example.org/a", WHEN, b"<p>Hello</p>", kind="revisit", refers_to=PAGE.url),
    Capture("https://example.org/a", WHEN, kind="request", block=b"GET /a HTTP/1.1\r\n\r\n"),
]


def test_another_reader_finds_every_record_and_its_digests_hold(tmp_path):
    for stored in (True, False):
        path = tmp_path / f"{stored}.warc.gz"
        write_warc(path, CAPTURES, stored=stored)
        with path.open("rb") as file:
            seen = []
            for record in ArchiveIterator(file, check_digests="raise"):
                status = record.http_headers.get_statuscode() if record.http_headers else None
                seen.append((record.rec_type, status, record.content_stream().read()))
        assert [kind for kind, _, _ in seen] == [capture.kind for capture in CAPTURES]
        assert seen[1] == ("response", "200", b"<p>Hello</p>")
        assert seen[2][1] == "301"
        assert seen[3][2] == b""


def test_both_ways_to_pack_hold_the_same_records(tmp_path):
    import gzip

    for stored in (True, False):
        write_warc(tmp_path / str(stored), CAPTURES, stored=stored)
    packed = [gzip.decompress((tmp_path / name).read_bytes()) for name in ("True", "False")]
    assert packed[0] == packed[1] == b"".join(map(record_bytes, CAPTURES))


def test_record_ids_differ_by_url_kind_and_time():
    ids = {capture.record_id for capture in CAPTURES}
    assert len(ids) == len(CAPTURES)
    assert PAGE.record_id == Capture(PAGE.url, WHEN, b"another body").record_id
