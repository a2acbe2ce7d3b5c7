"""Ranges: names that are safe, near ones read as one, patience with a server that has none."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.pages.commoncrawl.http_place import retry_after_s
from pipeline.pages.commoncrawl.open_place import open_place
from pipeline.pages.commoncrawl.places import (
    NotThere,
    ReadFailed,
    Refused,
    safe_name,
)
from pipeline.pages.commoncrawl.ranges import Patience, Ranges, Span, merged


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../secret", "a/../b", "a/./b", "a//b", "a/", "//host/a", "a\\b"),
        *("http://host/a", "s3://bucket/a", "a?b", "a#b", "a b", "a%2e%2e/b", "a\0b", "~/a", "@a"),
        *("a\n", "..", "a/..", "x" * 1025, "ä"),
    ],
)
def test_a_name_that_leads_out_of_its_place_is_refused(name):
    assert safe_name(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "crawl-data/CC-MAIN-2013-20/segments/1368696381249/warc/"
        "CC-MAIN-20130516092621-00000-ip-10-60-113-184.ec2.internal.warc.gz",
        "cc-index/table/cc-main/warc/crawl=CC-MAIN-2018-05/subset=warc/part-0.c000.gz.parquet",
        "my.warcs/..a/b+c_d",
    ],
)
def test_real_names_are_safe(name):
    assert safe_name(name) == name


SPANS = st.lists(st.tuples(st.integers(0, 500), st.integers(1, 90)), max_size=12)


@given(SPANS, st.integers(0, 60), st.integers(1, 300))
def test_merged_spans_keep_each_span_once_and_the_limits(spans, gap, most):
    given_spans = [Span(start, length, at) for at, (start, length) in enumerate(spans)]
    groups = merged(given_spans, gap, most)
    assert sorted(span.item for group in groups for span in group) == list(range(len(spans)))
    for group in groups:
        end = group[0].end
        for span in group[1:]:
            assert group[0].start <= span.start <= end + gap
            end = max(end, span.end)
        assert len(group) == 1 or end - group[0].start <= most


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ftp://host/", "ftp: is not known"),
        ("s3://user:secret@bucket/", "credentials are not taken from a URI"),
        ("s3:///prefix", "no place in a bucket"),
        ("s3://bucket/?nonsense=1", "nonsense is not known"),
        ("https://user:secret@host/", "without user name"),
        ("https://host/?q", "without user name, query and fragment"),
        ("/nowhere/at/all", "there is no such folder"),
    ],
)
def test_what_is_no_place_is_refused_with_the_reason_and_without_the_secret(text, told):
    with pytest.raises(SettingsError, match=told) as refused:
        open_place(text, 1, timeout_s=1)
    assert "secret" not in str(refused.value)


def test_seconds_of_retry_after_are_read_and_bounded():
    values = ["7", " 0 ", "99999999", "Wed, 21 Oct 2015 07:28:00 GMT", "-1", "1.5", None, "9" * 50]
    assert [retry_after_s(v) for v in values] == [7, 0, 86400, None, None, None, None, None]


class Waits:
    """A clock that runs only while somebody waits."""

    def __init__(self):
        self.now, self.waits = 0.0, []

    async def sleep(self, seconds):
        self.waits.append(round(seconds, 3))
        self.now += seconds
        await asyncio.sleep(0)

    def __call__(self):
        return self.now


def read(server, name, start=0, length=4, *, attempts=4, waits=None, reads=1, connections=2):
    waits = waits or Waits()

    async def run():
        place = open_place(server.url, connections, timeout_s=5, ca_file=server.ca_file)
        patience = Patience(attempts, wait_s=10)
        ranges = Ranges(place, connections, patience, sleep=waits.sleep, clock=waits)
        try:
            got = await asyncio.gather(
                *(ranges.read(name, start, length) for _ in range(reads)), return_exceptions=True
            )
        finally:
            await place.close()
        return got, ranges.traffic

    return asyncio.run(run())


@pytest.fixture
def file(https):
    (https.folder / "file").write_bytes(bytes(range(200)))
    return https


def test_a_range_is_read(file):
    (data,), traffic = read(file, "file", 3, 5)
    assert data == bytes([3, 4, 5, 6, 7])
    assert file.requests == [("/file", "bytes=3-7")] and traffic.read_bytes == 5


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_refusal_is_waited_out_with_doubled_waits(file, status):
    file.faults = lambda path, wanted, count: status if count < 4 else None
    waits = Waits()
    (data,), traffic = read(file, "file", waits=waits)
    assert data == bytes(range(4)) and traffic.throttled == 3
    assert len(waits.waits) == 3
    assert all(10 * 2**n <= wait <= 15 * 2**n for n, wait in enumerate(waits.waits))


def test_retry_after_is_obeyed(file):
    file.headers = {"Retry-After": "77"}
    file.faults = lambda path, wanted, count: 503 if count == 1 else None
    waits = Waits()
    read(file, "file", waits=waits)
    assert waits.waits == [77]


def test_all_reads_hold_back_while_the_place_asks_for_patience(file):
    file.faults = lambda path, wanted, count: 429 if count <= 2 else None
    waits = Waits()
    got, traffic = read(file, "file", reads=8, waits=waits)
    assert all(data == bytes(range(4)) for data in got)
    assert traffic.throttled == 2 and len(file.requests) == 10


def test_a_place_that_refuses_everything_ends_the_work(file):
    file.faults = lambda path, wanted, count: 403
    (error,), traffic = read(file, "file", attempts=3)
    assert isinstance(error, Refused) and traffic.requests == 3


def test_a_refused_file_of_a_place_that_gives_others_is_a_failure_of_that_file(file):
    async def run():
        place = open_place(file.url, 1, timeout_s=5, ca_file=file.ca_file)
        waits = Waits()
        ranges = Ranges(place, 1, Patience(2), sleep=waits.sleep, clock=waits)
        await ranges.read("file", 0, 4)
        file.faults = lambda path, wanted, count: 403 if "hidden" in path else None
        with pytest.raises(ReadFailed) as failed:
            await ranges.read("hidden", 0, 4)
        await place.close()
        return failed.value

    assert not isinstance(asyncio.run(run()), Refused)


@pytest.mark.parametrize("fault", ["short", "endless", 500, "elsewhere"])
def test_a_failed_read_is_tried_again_and_no_longer(file, fault):
    file.faults = lambda path, wanted, count: fault if count < 3 and path == "/file" else None
    assert read(file, "file")[0] == [bytes(range(4))]
    file.requests.clear()
    (file.folder / "elsewhere").write_bytes(bytes(range(200)))
    file.faults = lambda path, wanted, count: fault if path == "/file" else None
    (error,), _ = read(file, "file", attempts=3)
    assert type(error) is ReadFailed and len(file.requests) == 3


@pytest.mark.parametrize(
    ("fault", "start", "length", "told"),
    [
        (404, 0, 4, "404"),
        (None, 500, 4, "416"),
        (None, 198, 4, "asked for 4 bytes at 198, got 2"),
        ("whole", 0, 4, "whole files and no ranges"),
        ("shifted", 5, 4, "asked for 4 bytes at 5, got 4 at 4"),
    ],
)
def test_what_no_other_try_can_give_is_asked_for_once(file, fault, start, length, told):
    file.faults = lambda path, wanted, count: fault
    (error,), _ = read(file, "file", start, length)
    assert isinstance(error, NotThere) and told in str(error)
    assert len(file.requests) == 1


def test_no_more_than_so_many_requests_are_under_way_at_once(file):
    import time

    file.faults = lambda path, wanted, count: time.sleep(0.01)
    read(file, "file", reads=20, connections=3)
    assert 1 < file.at_once_max <= 3


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(file):
    file.ca_file = ""
    (error,), _ = read(file, "file", attempts=1)
    assert "CERTIFICATE_VERIFY_FAILED" in str(error) and file.requests == []


def test_a_folder_gives_what_it_has_and_says_what_it_has_not(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"0123456789")
    place = open_place(str(tmp_path), 1, timeout_s=1)

    async def run():
        assert await place.read("a/file", 2, 3) == b"234"
        assert await place.tail("a/file", 3) == (b"789", 10)
        assert await place.tail("a/file", 30) == (b"0123456789", 10)
        assert await place.names("a") == ["a/file"] and await place.folders("") == ["a"]
        assert await place.names("b") == [] == await place.folders("b")
        for name, start in (("a/none", 0), ("a", 0), ("a/file/x", 0), ("a/file", 8)):
            with pytest.raises(NotThere):
                await place.read(name, start, 3)

    asyncio.run(run())
