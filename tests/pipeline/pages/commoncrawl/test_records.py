"""A record is taken only if it is whole, of the URL, and of the digest that it should have."""

import gzip

import pytest

from pipeline.pages.archive.warc_records import digest_of
from pipeline.pages.commoncrawl.records import Verified, verified
from pipeline.reasons import Drop

PAGE = b"<p>Hello</p>"
CHUNKED = b"c\r\n<p>Hello</p>\r\n0\r\n\r\n"


def gzipped(content):
    """The same bytes at any hour: they name tests, which each process of a run collects."""
    return gzip.compress(content, mtime=0)


def judged(content, key="example.com/", digest="", limit=1 << 16):
    return verified(
        gzip.compress(content), offset=7, url_key=key, digest=digest, block_bytes_max=limit
    )


@pytest.mark.parametrize("digest", ["", digest_of(PAGE), digest_of(PAGE).removeprefix("sha1:")])
def test_a_whole_record_keeps_its_fields_and_block(maker, digest):
    block = maker.http(200, PAGE)
    found = judged(
        maker.record("http://www.example.com/", block, WARC_Payload_Digest=digest_of(PAGE)),
        digest=digest,
    )
    assert isinstance(found, Verified)
    assert found.written.block == block and found.record.offset == 7
    assert found.written.field("warc-target-uri") == "http://www.example.com/"
    assert found.written.field("Content-Length") == "", "it is written anew"
    again = judged(gzip.decompress(found.written.packed()))
    assert isinstance(again, Verified) and again.written == found.written


@pytest.mark.parametrize("payload", [PAGE, CHUNKED], ids=["without chunks", "with chunks"])
def test_the_digest_of_a_chunked_body_may_be_with_or_without_its_chunks(maker, payload):
    block = maker.http(200, CHUNKED, transfer_encoding="chunked")
    assert isinstance(judged(maker.record(block=block), digest=digest_of(payload)), Verified)
    assert judged(maker.record(block=block), digest=digest_of(b"other")).reason == "digest_mismatch"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"WARC_Payload_Digest": digest_of(b"x")}, "digest_mismatch"),
        ({"WARC_Block_Digest": digest_of(b"x")}, "digest_mismatch"),
        ({"Content_Length": "5"}, "unreadable"),
        ({"Content_Length": "500"}, "unreadable"),
        ({"Content_Length": "-1"}, "unreadable"),
        ({"Content_Length": "9" * 5000}, "unreadable"),
    ],
)
def test_what_is_wrong_within_a_record_is_named(maker, wrong, reason):
    found = judged(maker.record(block=maker.http(200, PAGE), **wrong))
    assert isinstance(found, Drop) and found.reason == reason and found.detail


def test_digests_of_other_algorithms_are_left_alone(maker):
    record = maker.record(block=maker.http(200, PAGE), WARC_Payload_Digest="sha256:ABC")
    assert isinstance(judged(record), Verified)


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "index_wrong"),
        (b"WARC/1.0\r\n", "index_wrong"),
        (gzipped(b"no record"), "unreadable"),
        (gzipped(b"WARC/1.0\r\nwithout an end"), "unreadable"),
        (gzipped(b"x" * 500)[:-6], "index_wrong"),
        (gzipped(b"x") + b"more", "index_wrong"),
        (gzipped(b"x" * 5)[:-8] + b"\0" * 8, "unreadable"),
        (gzipped(b"WARC/1.0\r\n\r\n" + b"\0" * (1 << 20)), "body_too_large"),
    ],
)
def test_bytes_that_hold_no_record_are_named(packed, reason):
    found = verified(packed, offset=0, url_key="a/", digest="", block_bytes_max=1 << 16)
    assert isinstance(found, Drop) and found.reason == reason


def test_a_record_of_another_url_or_of_none_is_refused(maker):
    block = maker.http(200, PAGE)
    for record in (maker.record("http://other.com/", block), maker.record("", block)):
        assert judged(record).reason == "index_wrong"
