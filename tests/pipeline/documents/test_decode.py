import gzip
import zlib
from functools import partial

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents import decode as decode_module
from pipeline.documents.decode import (
    ENCODINGS_MAX,
    Beginning,
    beginning,
    decode_body,
    file_kind,
)
from pipeline.reasons import Reason

PAGE = b"<!DOCTYPE html><title>A river</title>" + b"<p>The quick brown fox jumped.</p>" * 400
CAP = 1 << 20


def chunked(body, size=1000):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    lines = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces]
    return b"".join(lines) + b"0\r\n\r\n"


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKERS = {
    "chunked": chunked,
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "x-gzip": lambda body: gzip.compress(body, mtime=0),
    "deflate": zlib.compress,
    "br": partial(brotli.compress, quality=4),
    "zstd": zstandard.compress,
}


def decode(body, content="", transfer="", bytes_max=CAP):
    return decode_body(
        body, transfer_encoding=transfer, content_encoding=content, bytes_max=bytes_max
    )


def begins(body, content="", count=1 << 20):
    return beginning(body, transfer_encoding="", content_encoding=content, count=count)


@pytest.mark.parametrize("label", PACKERS)
def test_each_encoding_is_undone(label):
    assert decode(PACKERS[label](PAGE), label) == PAGE


@given(st.lists(st.sampled_from(sorted(PACKERS)), max_size=ENCODINGS_MAX), st.binary(min_size=1))
def test_encodings_in_a_row_are_undone_from_the_last(labels, content):
    body = wanted = PAGE + content
    for label in labels:
        body = PACKERS[label](body)
    assert decode(body, ", ".join(labels)) == wanted


def test_transfer_encoding_is_undone_before_content_encoding():
    body = chunked(PACKERS["br"](PAGE))
    assert decode(body, content="br", transfer="chunked") == PAGE


def test_deflate_may_lack_the_header_of_zlib():
    assert decode(raw_deflate(PAGE), "deflate") == PAGE


def test_members_of_gzip_follow_each_other_and_padding_is_no_member():
    body = gzip.compress(PAGE) + gzip.compress(b"<p>more") + b"\0" * 20
    assert decode(body, "gzip") == PAGE + b"<p>more"


@pytest.mark.parametrize("label", [*PACKERS, "utf-8", "aws-chunked"])
def test_a_page_that_is_plain_is_taken_as_it_is_whatever_the_header_says(label):
    assert decode(PAGE, label) == PAGE


def test_an_archive_may_undo_the_chunks_and_keep_both_headers():
    assert decode(gzip.compress(PAGE), content="gzip", transfer="chunked") == PAGE


@pytest.mark.parametrize("label", ["gzip", "deflate", "br", "zstd", "chunked"])
def test_a_torn_body_gives_what_came_before_its_end(label):
    varied = b"<html>" + b"".join(b"<p>%d %d</p>" % (n, n * n) for n in range(30_000))
    packed = PACKERS[label](varied)
    found = decode(packed[: len(packed) * 2 // 3], label)
    assert varied.startswith(found)
    assert len(found) > len(varied) // 3


def test_damage_in_the_middle_gives_what_came_before():
    varied = b"<html>" + b"".join(b"<p>%d %d</p>" % (n, n * n) for n in range(30_000))
    packed = bytearray(gzip.compress(varied))
    packed[len(packed) // 2 :] = b"\xff" * (len(packed) // 2)
    assert varied.startswith(decode(bytes(packed), "gzip")[: len(varied) // 4])


@pytest.mark.parametrize("label", ["gzip", "br", "zstd", "deflate", "compress"])
def test_bytes_that_do_not_decode_and_are_no_markup_are_dropped(label):
    drop = decode(b"\x00\x9c\xff\x13" * 50, label)
    assert drop.reason is Reason.BODY_UNDECODABLE
    assert label in drop.detail


@pytest.mark.parametrize("label", ["gzip", "br", "zstd", "deflate"])
def test_a_bomb_is_stopped_at_the_cap(label):
    bomb = PACKERS[label](b"<p>" + b"\0" * (8 << 20))
    assert len(bomb) < CAP
    assert decode(bomb, label).reason is Reason.BODY_TOO_LARGE


def test_a_bomb_of_many_members_is_stopped_too():
    bomb = gzip.compress(b" " * 10_000) * 200
    assert decode(bomb, "gzip").reason is Reason.BODY_TOO_LARGE


def test_a_bomb_in_a_bomb_is_stopped_at_the_outer_one():
    bomb = gzip.compress(gzip.compress(b"\0" * (8 << 20)))
    assert decode(bomb, "gzip, gzip").reason is Reason.BODY_TOO_LARGE


@pytest.mark.parametrize("said", ["gzip, gzip", ""])
def test_an_inner_page_is_not_cut_where_the_outer_encoding_passes_the_cap(said):
    numbers = b"".join(b"<p>%d</p>" % (n * n) for n in range(20_000))
    twice = gzip.compress(gzip.compress(numbers, 0))
    assert decode(twice, said, bytes_max=len(numbers) * 2) == numbers
    assert len(twice) < len(numbers) - 100
    assert decode(twice, said, bytes_max=len(numbers) - 100).reason is Reason.BODY_TOO_LARGE


def test_a_body_above_the_cap_is_dropped_and_one_of_just_the_cap_is_not():
    assert decode(PAGE, bytes_max=len(PAGE)) == PAGE
    assert decode(PAGE, bytes_max=len(PAGE) - 1).reason is Reason.BODY_TOO_LARGE


def test_more_encodings_than_any_client_allows_are_refused():
    labels = ["gzip"] * (ENCODINGS_MAX + 1)
    assert decode(PAGE, ", ".join(labels)).reason is Reason.BODY_UNDECODABLE


@pytest.mark.parametrize(
    "said", ["", "gzip", "x-gzip", "deflate", "br", "zstd", "utf-8", "compress"]
)
@pytest.mark.parametrize("packed", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("before", [b"", b"\r\n"])
def test_the_bytes_say_their_encoding_where_the_header_names_another_or_none(said, packed, before):
    assert decode(before + PACKERS[packed](PAGE), said) == PAGE


@pytest.mark.parametrize("said", ["gzip", "br", "zstd", "x-deflate"])
def test_raw_deflate_of_markup_is_read_under_any_name(said):
    assert decode(raw_deflate(PAGE), said) == PAGE


def test_packed_twice_and_said_once_or_never_is_unpacked_twice():
    twice = gzip.compress(gzip.compress(PAGE))
    assert decode(twice, "gzip") == decode(twice) == PAGE


@pytest.mark.parametrize("text", [b"no tag in this text " * 9, "<p>wide".encode("utf-16")])
def test_what_is_no_markup_is_unpacked_by_its_magic(text):
    for said in ("", "gzip", "br", "gzip; q=1", '"gzip"'):
        assert decode(gzip.compress(text), said) == text


@pytest.mark.parametrize("size", [1000, 1 << 20])
@pytest.mark.parametrize("before", [b"", b"\r\n", b"00"])
def test_chunks_that_are_not_said_are_joined_where_their_sizes_fit(size, before):
    for content in ("", "gzip", "br"):
        body = PACKERS[content](PAGE) if content else PAGE
        assert decode(before + chunked(body, size), content) == PAGE


def test_a_text_that_begins_like_a_chunk_is_left_as_it_is():
    for text in (b"5\r\n<p>five and more</p>", b"abc\n<p>letters", b"0\r\n\r\n<p>zero"):
        assert decode(text) == text


@given(st.sampled_from(sorted(PACKERS)), st.integers(1, 400), st.sampled_from(["", "twice"]))
def test_the_first_bytes_are_those_of_the_whole_page(label, count, more):
    labels = f"{label}, {label}" if more else label
    body = PACKERS[label](PACKERS[label](PAGE) if more else PAGE)
    found = begins(body, labels, count)
    assert (found.head, found.is_cut) == (PAGE[:count], False)


def test_the_beginning_of_a_bomb_is_unpacked_to_the_cap_alone(monkeypatch):
    monkeypatch.setattr(decode_module, "WHOLE_BYTES_MAX", 1 << 20)
    bomb = gzip.compress(b"<p>" + bytes(8 << 20))
    assert begins(bomb, "gzip", 10) == Beginning(b"<p>" + bytes(7), is_cut=False, is_unpacked=False)


@pytest.mark.parametrize("label", PACKERS)
@pytest.mark.parametrize("inner", [None, "gzip", "br"])
def test_a_body_that_ends_before_its_encoding_is_cut_wherever_it_ends(label, inner):
    page = b"<html>" + b"".join(b"<p>%d %d</p>" % (n, n * n) for n in range(20_000))
    body = PACKERS[label](PACKERS[inner](page) if inner else page)
    labels = f"{inner}, {label}" if inner else label
    assert not begins(body, labels).is_cut
    for lost in (1, 3, 9, 500, len(body) // 2):
        if label == "chunked" and lost < 4:
            continue  # the last chunk's size is there, its line ends are not
        found = begins(body[:-lost], labels)
        assert found.is_cut
        assert page.startswith(found.head)


@pytest.mark.parametrize("label", ["gzip", "zstd"])
def test_padding_and_members_that_follow_each_other_are_whole_and_a_torn_last_one_is_cut(label):
    one = PACKERS[label](PAGE)
    assert not begins(one + one + b"\0" * 20, label).is_cut
    assert begins(one + one[:-9], label).is_cut
    assert begins(one + one[:12], label).is_cut


def test_frames_of_zstd_may_be_skippable_hold_a_checksum_or_one_byte_many_times():
    skippable = b"\x53\x2a\x4d\x18\x05\0\0\0hello"
    packer = zstandard.ZstdCompressor(write_checksum=True, write_content_size=False)
    for page in (PAGE, b"<p>" + b"a" * 400_000):
        body = skippable + packer.compress(page) + skippable
        assert decode(body, "zstd") == decode(body) == page
        assert not begins(body, "zstd").is_cut
        assert begins(body[: -len(skippable) - 1], "zstd").is_cut


def test_what_the_archive_has_unpacked_is_told():
    for body, said, is_unpacked in ((PAGE, "gzip", True), (PAGE, "", False), (PAGE, "none", False)):
        assert begins(body, said).is_unpacked == is_unpacked
    assert not begins(PACKERS["br"](PAGE), "gzip").is_unpacked


PROSE = (b"The council has decided to mend the old bridge over the river. " * 40)[:2000]
PLAIN = {
    "prose": PROSE,
    "short": b"No tag in this text",
    "utf-16": "<p>wide</p> and 遠い".encode("utf-16"),
    "utf-16 unmarked": "<html><body><p>wide</p>".encode("utf-16-le"),
    "utf-16be": b"\xfe\xff" + "中文".encode("utf-16-be") * 400,
    "iso-2022-jp": "<p>日本語の文章です。</p>".encode("iso2022_jp") * 40,
    "iso-2022-jp prose": "日本語の文章です。".encode("iso2022_jp") * 140,
    "a control character": b"<p>A page of an old editor \0 and \x1a</p>" + PROSE,
    "latin-1": "Der Fluß führt über die Brücke. ".encode("latin-1") * 60,
}


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("said", ["gzip", "deflate", "br", "zstd", "compress", "gzip, br"])
def test_text_of_any_kind_is_taken_as_it_is_under_a_stale_header(kind, said):
    assert decode(PLAIN[kind], said) == PLAIN[kind]
    assert not begins(PLAIN[kind], said).is_cut


@pytest.mark.parametrize("kind", PLAIN)
@pytest.mark.parametrize("packed", ["gzip", "deflate", "zstd", "br"])
@pytest.mark.parametrize("said", ["", "gzip", "br", "utf-8"])
def test_text_of_any_kind_is_unpacked_whatever_the_header_says(kind, packed, said):
    if packed == "br" and kind == "short" and said != "br":
        pytest.skip("twenty bytes of brotli look like anything")
    assert decode(PACKERS[packed](PLAIN[kind]), said) == PLAIN[kind]


def test_encodings_may_be_said_in_the_wrong_order():
    assert decode(PACKERS["br"](gzip.compress(PAGE)), "br, gzip") == PAGE


def test_stored_blocks_are_no_text():
    stored = zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS)
    raw = stored.compress(PROSE) + stored.flush()
    for body, said in (
        (gzip.compress(PROSE, 0), ""),
        (zlib.compress(PROSE, 0), ""),
        (raw, "deflate"),
    ):
        assert decode(body, said) == PROSE


def test_a_file_of_another_kind_stays_one_under_a_stale_header():
    picture = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1" + bytes(range(256)) * 8
    for said in ("gzip", "br", "deflate", "zstd"):
        assert file_kind(decode(picture, said)) == "JPEG"
    assert file_kind(decode(gzip.compress(picture))) == "gzip"  # a file that is offered packed


@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"\0\0"])
def test_a_body_without_content_is_empty(body):
    assert decode(body).reason is Reason.PAGE_EMPTY


@given(st.binary(max_size=300), st.sampled_from([*PACKERS, "unknown"]))
def test_no_bytes_make_a_decoder_raise(body, label):
    decode(body, label)
    decode(PACKERS.get(label, bytes)(body)[:-3], label)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"%PDF-1.4\n", "PDF"),
        (b"\r\n %PDF-1.7", "PDF"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a\1\0", "GIF"),
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"PK\3\4\x14\0", "zip"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"ID3\3\0", "MP3"),
        (b"\0\0\0\x18ftypmp42", "MP4"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "RIFF"),
        (b"\0\0\1\0\1\0", "icon"),
        (b"BM\x36\0\0\0\0\0\0\0", "bitmap"),
        (b"x" * 257 + b"ustar\x0000", "tar"),
    ],
)
def test_other_kinds_of_files_are_known_by_their_first_bytes(start, kind):
    assert file_kind(start + b"\0" * 100) == kind


@pytest.mark.parametrize(
    "start", [b"<html>", b"BMW is a car", b"MZ Wallace", b"Rare", b"\xef\xbb\xbf<p>", b"RIFF raff"]
)
def test_pages_are_no_other_kind_of_file(start):
    assert file_kind(start + b" and so on" * 40) == ""
