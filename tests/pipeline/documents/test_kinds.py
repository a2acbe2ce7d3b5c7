"""A file is known by what it holds, and a whole file is a page."""

import bz2
import gzip
import lzma
import os

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.kinds import files_of, html_pages, kind_of, unpacked
from pipeline.errors import InputError
from pipeline.pages.warc import Response

PACKERS = [bytes, gzip.compress, zstandard.compress, bz2.compress, lzma.compress]
ROW = b'{"id": 1, "html": "<p>a"}\n'


@pytest.mark.parametrize("name", ["x", "x.php", "x.htm.gz", "x.xhtml", "x.json", "-"])
@pytest.mark.parametrize("pack", PACKERS)
@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("html", b"<!doctype html><p>a"),
        ("html", b"\xef\xbb\xbf\r\n <p>a"),
        ("html", b"words without a tag"),
        ("html", b'{\n "html": "<p>over several lines"\n}'),
        ("html", b'{"text": "no page"}\n'),
        ("html", b"%PDF-1.4"),
        ("html", b"PK\3\4"),
        ("html", b""),
        ("lines", ROW * 3),
        ("lines", b'{"html":"<p>a"}'),
        ("lines", b"\n\n" + ROW),
        ("lines", b'{"url": "u", "html" : "<p>' + b"x" * 99_000),
        ("warc", b"WARC/1.0\r\n"),
        ("warc", b"filedesc://x 0"),
    ],
)
def test_a_file_is_known_by_its_bytes_whatever_its_name_and_packing(
    tmp_path, name, pack, kind, start
):
    (tmp_path / name).write_bytes(pack(start))
    assert kind_of(tmp_path / name) == kind


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("x.jsonl", b"no json\n" + ROW, "lines"),
        ("x.jsonl.gz", ROW, "lines"),
        ("X.NDJSON", b'{"text": "a"}', "lines"),
        ("x.jsonl", b"<p>a page that was misnamed", "html"),
        ("x.jsonl.html", b"words", "html"),
        ("x.warc.gz", b"this is no gzip", "warc"),
        ("x.wacz", b"PK\3\4", "warc"),
        ("x.html", b"PK\3\4", "html"),
    ],
)
def test_the_name_decides_where_the_bytes_leave_a_choice(tmp_path, name, data, kind):
    (tmp_path / name).write_bytes(data)
    assert kind_of(tmp_path / name) == kind


def test_a_folder_gives_its_files_in_order_without_hidden_ones_and_those_left_out(tmp_path):
    for name in ("b/2.html", "b/1", "b/.git/x.html", "a.php", ".hidden", "c/out.jsonl", "z"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("<p>")
    os.mkfifo(tmp_path / "pipe")
    found = files_of(tmp_path, but=(tmp_path / "c" / "out.jsonl",))
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a.php", "z", "b/1", "b/2.html"]
    assert files_of(tmp_path / ".hidden") == [tmp_path / ".hidden"]
    with pytest.raises(InputError, match=r"gone: there is no such file or folder\. Check the name"):
        files_of(tmp_path / "gone")


def test_an_html_file_is_read_only_as_far_as_the_limit_needs(tmp_path):
    (tmp_path / "large.html").write_bytes(b"<p>" + b"x" * 1000)
    ((name, found),) = (
        (page.id, page.found) for page in html_pages([("as given", tmp_path / "large.html")], 10)
    )
    assert name == "as given"
    assert isinstance(found, Response)
    assert found.body == b"<p>" + b"x" * 8


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_a_packed_file_is_unpacked_to_the_limit_and_one_byte_more(tmp_path, pack):
    (tmp_path / "bomb").write_bytes(pack(bytes(50_000_000)))
    (page,) = html_pages([("bomb", tmp_path / "bomb")], 1_000_000)
    assert isinstance(page.found, Response)
    assert len(page.found.body) == 1_000_001


@given(pieces=st.lists(st.binary(min_size=1), min_size=1), pad=st.integers(0, 3000))
@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_all_streams_of_a_packed_file_are_unpacked(pack, pieces, pad):
    pieces = [piece + os.urandom(pad) for piece in pieces]
    assert unpacked(b"".join(map(pack, pieces)), 1 << 20) == b"".join(pieces)


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_a_torn_packed_file_gives_what_comes_before_and_as_it_is_where_nothing_does(pack):
    text = os.urandom(20_000)
    whole = pack(text)
    assert unpacked(whole + whole[:-1000], 1 << 20)[:20_000] == text
    assert unpacked(whole[:20], 1 << 20) == whole[:20]
