"""The archive: what is committed is never lost, what a kill leaves is read back."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import BusyError
from pipeline.pages.archive.answers import IdSet
from pipeline.pages.archive.outcomes import ANSWER, Answer, Hop, Outcome, Source
from pipeline.pages.archive.segments import Archive, Folder, recovered
from pipeline.pages.archive.warc_records import request_record, response_record, surt
from pipeline.pages.warc import read_page, records
from pipeline.reasons import Reason

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


def exchange(url, body=b"<p>Hello</p>", at=1_000.0):
    response = response_record(url, at, HEAD, body, address="192.0.2.1")
    request = request_record(url, at, b"GET / HTTP/1.1\r\n\r\n", response.id)
    return request, response


def answer(number, *, outcome=Outcome.CAPTURED, source=Source.LIVE, answered_s=1_000, **more):
    url = f"http://a.org/{number}"
    return Answer(
        id=f"{number:032x}", key=f"a.org/{number}", url=url, source=source, outcome=outcome,
        answered_s=answered_s, **more,
    )  # fmt: skip


def add_page(archive, number, **more):
    found = exchange(f"http://a.org/{number}")
    more = {"record_id": found[1].id, "status": 200, "captured_s": 1_000, **more}
    archive.add(answer(number, **more), found)


@pytest.fixture
def folders(tmp_path):
    return Folder(tmp_path / "archive"), tmp_path / "scratch"


def test_an_answer_is_in_the_table_and_its_page_where_the_table_says(folders):
    files, scratch = folders
    with Archive(files, scratch) as archive:
        add_page(
            archive, 1, first_post_s=900, redirects=(Hop("http://b.org/", 301),), final_url="x"
        )
        archive.add(answer(2, outcome=Outcome.DNS_FAILED, detail="no such name"))
        archive.flush()
        page, lost = archive.answers(ANSWER.names).to_pylist()
    assert (page["outcome"], page["is_final"], page["distance_s"]) == ("captured", True, 100)
    assert (page["redirects"], page["final_url"]) == (1, "x")
    response = read_page(files.path / page["segment"], page["offset"], page["length"], 100)
    assert (response.status, response.body) == (200, b"<p>Hello</p>")
    assert (lost["outcome"], lost["is_final"], lost["segment"]) == ("dns_failed", False, "")
    assert [*scratch.iterdir()] == [scratch / "lock"]


def test_warc_files_alone_tell_all_that_the_table_does(folders):
    files, scratch = folders
    with Archive(files, scratch) as archive:
        add_page(archive, 1, preferences="header -noai@header=noai")
        archive.add(answer(2, outcome=Outcome.ROBOTS_DISALLOWED))
    (path,) = files.path.glob("*.warc.gz")
    table = pq.read_table(path.with_name(path.name.replace(".warc.gz", ".parquet")))
    assert pa.Table.from_pylist(recovered(path).rows, schema=ANSWER) == table


def test_every_outcome_without_a_page_is_a_reason():
    assert [each for each in Outcome if each.reason is None] == [Outcome.CAPTURED]
    assert all(isinstance(each.reason, Reason) for each in Outcome if each.reason)


def test_the_last_answer_of_each_source_counts(folders):
    files, scratch = folders
    with Archive(files, scratch, segment_bytes=1) as archive:
        archive.add(answer(1, outcome=Outcome.SERVER_BUSY, answered_s=10))
        archive.add(answer(1, outcome=Outcome.NOT_CAPTURED, source=Source.WAYBACK, answered_s=11))
        archive.add(answer(1, outcome=Outcome.STATUS_ERROR, answered_s=20))
        archive.add(answer(2, outcome=Outcome.SERVER_BUSY, answered_s=20))
        told = archive.answers(["id", "source", "outcome"]).to_pylist()
        settled = {source: archive.settled(source) for source in Source}
    assert len([*files.path.glob("*.parquet")]) == 4
    assert [(int(row["id"], 16), row["source"], row["outcome"]) for row in told] == [
        (1, "wayback", "not_captured"),
        (1, "live", "status_error"),
        (2, "live", "server_busy"),
    ]
    ids = pa.array([f"{number:032x}" for number in (1, 2, 3)])
    assert settled[Source.LIVE].holds(ids).tolist() == [True, False, False]
    assert settled[Source.WAYBACK].holds(ids).tolist() == [True, False, False]
    assert settled[Source.COMMON_CRAWL].holds(ids).tolist() == [False, False, False]


def test_of_links_that_may_be_tried_again_those_are_told_that_were_answered_by_then(folders):
    files, scratch = folders
    with Archive(files, scratch) as archive:
        for number, at in ((1, 10), (2, 20), (3, 21)):
            archive.add(answer(number, outcome=Outcome.DNS_FAILED, answered_s=at))
        archive.add(answer(4, outcome=Outcome.STATUS_ERROR, answered_s=10))
        archive.add(answer(5, outcome=Outcome.RANGE_FAILED, source=Source.WAYBACK, answered_s=10))
        archive.add(answer(1, outcome=Outcome.HOST_NOT_FOUND, answered_s=15))
        archive.flush()
        ids = pa.array([f"{number:032x}" for number in range(1, 6)])
        told = archive.unsettled(Source.LIVE, 20).holds(ids).tolist()
        assert told == [False, True, False, False, False]
        assert len(archive.unsettled(Source.LIVE, 0)) == 0


def test_a_page_of_one_source_ends_the_search_at_all(folders):
    files, scratch = folders
    with Archive(files, scratch) as archive:
        add_page(archive, 1, source=Source.COMMON_CRAWL)
        archive.flush()
        assert all(len(archive.settled(source)) == 1 for source in Source)


def test_ids_that_share_their_first_half_are_told_apart():
    ids = [f"{1:016x}{low:016x}" for low in (5, 1, 3)] + [f"{2:016x}{0:016x}"]
    asked = pa.array([*ids, f"{1:016x}{2:016x}", f"{3:016x}{0:016x}", f"{1:016x}{9:016x}"])
    assert IdSet.of(pa.array(ids)).holds(asked).tolist() == [True] * 4 + [False] * 3


@pytest.mark.parametrize("cut", [1, 30, 200, 100_000])
def test_a_torn_segment_is_cut_after_its_last_whole_record(folders, cut):
    files, scratch = folders
    archive = Archive(files, scratch).__enter__()
    for number in range(5):
        add_page(archive, number)
    (path,) = scratch.glob("*.warc.gz")
    os.truncate(path, max(0, path.stat().st_size - cut))
    os.close(archive._held)  # as a kill does
    with Archive(files, scratch) as after:
        assert len(after.recovered) == 1
        kept = [int(row["id"], 16) for row in after.answers().to_pylist()]
    assert kept == list(range(len(kept)))
    assert len(kept) == {1: 4, 30: 4, 200: 4, 100_000: 0}[cut]
    for segment in files.path.glob("*.warc.gz"):
        assert not [record.fault for record in records(segment) if record.fault]


def test_a_commit_that_was_begun_is_finished(folders, monkeypatch):
    files, scratch = folders
    moved = []

    def add(path, name):
        if moved:
            raise KeyboardInterrupt
        moved.append(name)
        Folder.add(files, path, name)

    archive = Archive(files, scratch).__enter__()
    add_page(archive, 1)
    monkeypatch.setattr(files, "add", add)
    with pytest.raises(KeyboardInterrupt):
        archive.flush()
    os.close(archive._held)
    monkeypatch.undo()
    with Archive(files, scratch) as after:
        assert len(after.recovered) == 1
        assert len(after.answers()) == 1
    assert sorted(path.suffix for path in files.path.iterdir()) == [".cdxj", ".gz", ".parquet"]


def test_a_full_disk_loses_no_answer_before_it(folders, monkeypatch):
    files, scratch = folders
    room = 2_000

    def write(descriptor, data):
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        count = real_write(descriptor, data[:room])
        room -= count
        return count

    real_write = os.write
    written = 0
    with (
        pytest.raises(OSError, match="No space left"),
        Archive(files, scratch) as archive,
    ):
        monkeypatch.setattr(os, "write", write)
        while True:
            add_page(archive, written)
            written += 1
    monkeypatch.undo()
    assert written > 0
    with Archive(files, scratch) as after:
        kept = [int(row["id"], 16) for row in after.answers().to_pylist()]
        add_page(after, 99)
    assert kept == list(range(written))
    assert len(after.answers()) == written + 1


def test_two_processes_do_not_share_a_scratch_folder(folders):
    files, scratch = folders
    with Archive(files, scratch), pytest.raises(BusyError, match="in use by another"):
        Archive(files, scratch).__enter__()


KILLED = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_segments import Archive, Folder, add_page
with Archive(Folder(Path(sys.argv[1])), Path(sys.argv[2]), segment_bytes=20_000,
             in_background=True) as archive:
    number = 0
    while True:
        add_page(archive, number)
        print(number, flush=True)
        number += 1
"""


def test_after_a_kill_no_answer_is_missing(folders):
    files, scratch = folders
    here = [str(Path(__file__).parent), *sys.path]
    words = [sys.executable, "-c", KILLED, str(files.path), str(scratch), *here]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline() for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    said = [int(line) for line in told if line.endswith("\n")]
    with Archive(files, scratch) as after:
        kept = sorted(int(row["id"], 16) for row in after.answers().to_pylist())
    assert kept[: len(said)] == said
    assert kept == list(range(len(kept)))
    assert len([*files.path.glob("*.parquet")]) > 1


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("http://www.Example.org:80/A/?b=2&a=1#x", "org,example)/a?a=1&b=2"),
        ("https://example.org", "org,example)/"),
        ("http://192.0.2.1:8080/x", "192.0.2.1:8080)/x"),
        ("http://192.0.2.1/", "192.0.2.1)/"),
        ("http://a.b2/?", "b2,a)/"),
        ("http://a.b:443/x/", "b,a:443)/x"),
        ("https://a.b:443/x?", "b,a)/x"),
        ("http://[bad", ""),
        ("dns:example.org", ""),
    ],
)
def test_the_key_of_an_index(url, key):
    assert surt(url) == key


def test_the_index_names_every_response_and_is_sorted(folders):
    files, scratch = folders
    with Archive(files, scratch) as archive:
        for number in (3, 1, 2):
            add_page(archive, number)
        archive.store(exchange("http://a.org/robots.txt"))
    (index,) = files.path.glob("*.cdxj")
    lines = index.read_text().splitlines()
    assert lines == sorted(lines)
    assert [line.split()[0] for line in lines] == [
        *(f"org,a)/{number}" for number in (1, 2, 3)),
        "org,a)/robots.txt",
    ]


def test_other_readers_agree_with_all_digests(folders):
    fastwarc = pytest.importorskip("fastwarc")
    from warcio.archiveiterator import ArchiveIterator

    files, scratch = folders
    with Archive(files, scratch) as archive:
        for number in range(3):
            add_page(archive, number)
        archive.add(answer(9, outcome=Outcome.HOST_NOT_FOUND))
    (path,) = files.path.glob("*.warc.gz")
    with path.open("rb") as file:
        found = list(fastwarc.ArchiveIterator(file, parse_http=False))
        assert len(found) == 1 + 3 * 3 + 1
    with path.open("rb") as file:
        for each in fastwarc.ArchiveIterator(file, parse_http=False):
            told = {name.lower(): value for name, value in each.headers}
            assert "warc-block-digest" not in told or each.verify_block_digest()
    with path.open("rb") as file:
        for each in ArchiveIterator(file, check_digests="raise"):
            each.content_stream().read()
