import gzip
import itertools

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.pages.frames import (
    HEAD_BYTES,
    PROBE_BYTES,
    ZSTD_DICTIONARY_BYTES_MAX,
    Range,
    _gzip_start,
    _zstd_dictionary,
    _zstd_start,
    frames,
    ranges,
    read_frame,
    whole_number,
)
from pipeline.pages.warc import records

FORMS = ("plain", "gz", "zst", "dictionary")
NESTED = [b"a\r\n\r\nWARC/x", b"\x1f\x8b\x08 and \x28\xb5\x2f\xfd", b"\r\n" * 9, b""]
files = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def blocks(count=12):
    return [bytes([65 + n]) * (n * 997) for n in range(count)]


def written(maker, form, bodies):
    made = [maker.record(f"http://a.org/{n}", body) for n, body in enumerate(bodies)]
    return maker.write(made, form), made


@pytest.mark.parametrize("form", FORMS)
def test_frames_tile_the_file_and_hold_its_records(maker, form):
    path, made = written(maker, form, blocks())
    found = list(frames(path))
    assert [frame.head for frame in found] == made
    assert [frame.size for frame in found] == [len(one) for one in made]
    start = found[0].offset
    for frame in found:
        assert frame.offset == start
        assert read_frame(path, frame.offset, frame.length, 1 << 20) == frame.head
        assert read_frame(path, frame.offset, frame.length, 20)[:20] == frame.head[:20]
        start += frame.length
    assert start == path.stat().st_size


@pytest.mark.parametrize("form", FORMS)
@files
@given(
    bodies=st.lists(st.binary(max_size=300) | st.sampled_from(NESTED), min_size=1, max_size=12),
    size=st.integers(1, 2_000),
)
def test_ranges_of_any_size_give_the_same_frames(maker, form, bodies, size):
    path, _ = written(maker, form, bodies)
    whole = list(frames(path))
    parts = ranges(path, size)
    assert parts[-1].end == path.stat().st_size
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert list(itertools.chain(*(frames(path, part) for part in parts))) == whole


@pytest.mark.parametrize("form", FORMS)
def test_only_the_head_of_a_large_record_is_kept(maker, form):
    path, made = written(maker, form, [b"x" * (3 * HEAD_BYTES), b"next"])
    large, small = frames(path)
    assert large.head == made[0][:HEAD_BYTES]
    assert large.size == len(made[0])
    assert small.head == made[1]


@pytest.mark.parametrize(
    ("form", "victim"), [("gz", 0), ("gz", 5), ("gz", 11), ("zst", 1), ("zst", 11)]
)
def test_a_damaged_record_is_one_fault_and_the_others_are_read(maker, form, victim):
    path, made = written(maker, form, [block + b"%05d" % n for n, block in enumerate(blocks())])
    place = list(frames(path))[victim]
    data = bytearray(path.read_bytes())
    # In the middle of the packed record; in zstd, which has no checksum here, in its header.
    at = place.offset + (place.length // 2 if form == "gz" else 5)
    data[at : at + 8] = b"\xff" * 8
    path.write_bytes(data)
    found = list(frames(path))
    assert [bool(frame.fault) for frame in found] == [n == victim for n in range(len(made))]
    assert (found[victim].offset, found[victim].length) == (place.offset, place.length)


def test_a_wrong_length_in_a_plain_file_is_one_fault(maker):
    made = [maker.record(f"http://a.org/{n}", b"body %d" % n) for n in range(5)]
    made[2] = made[2].replace(b"Content-Length: 6", b"Content-Length: 4")
    found = list(frames(maker.write(made, "plain")))
    assert [bool(frame.fault) for frame in found] == [False, False, True, False, False]
    assert b"".join(made)[found[2].offset :].startswith(made[2])


@pytest.mark.parametrize("form", FORMS)
def test_a_file_cut_within_a_record_names_the_byte_where_that_record_starts(maker, form):
    path, made = written(maker, form, blocks(6))
    whole, places = path.read_bytes(), list(frames(path))
    cut = places[4].offset + places[4].length // 2
    path.write_bytes(whole[:cut])
    with pytest.raises(InputError, match=f"{path.name}, byte {places[4].offset}: .*accept_torn"):
        list(frames(path))
    found = list(frames(path, accept_torn=True))
    assert [frame.head for frame in found[:4]] == made[:4]
    assert (len(found), found[4].fault != "", found[4].length) == (5, True, cut - found[4].offset)


@pytest.mark.parametrize("form", FORMS)
def test_a_cut_file_is_never_taken_for_a_whole_one(maker, form):
    path, _ = written(maker, form, [b"one" * 50, b"two" * 50])
    whole, last = path.read_bytes(), list(frames(path))[-1]
    # The two line ends after the last record may be missing: some writers leave them out.
    for cut in range(last.offset + 1, len(whole) - (4 if form == "plain" else 0)):
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=f"byte {last.offset}"):
            list(frames(path))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"filedesc://x.arc 0.0.0.0 2005 text/plain 77", "an ARC file, no WARC file.*recompress"),
        (gzip.compress(b"filedesc://x.arc 0.0.0.0 2005", mtime=0), "ARC.*recompress"),
        (zstandard.compress(b"filedesc://x.arc 0.0.0.0 2005 text/plain 77"), "ARC.*recompress"),
        (b"PK\3\4 and so on", "a zip file.*WACZ, unzip it.*archive/"),
        (b"BZh9", "compressed with bzip2.*recompress"),
        (b"\xfd7zXZ\0", "compressed with xz.*recompress"),
        (b"<html>", "this is no WARC file: it starts with b'<html>'"),
        (gzip.compress(b"<html>", mtime=0), "this is no WARC file: it starts with b'<html>'"),
    ],
)
def test_what_is_no_warc_is_refused(tmp_path, content, problem):
    path = tmp_path / "x.warc.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=problem):
        list(frames(path))
    with pytest.raises(InputError, match=problem):
        ranges(path, 10)


def test_the_form_is_known_by_the_bytes_not_by_the_name(maker):
    made = [maker.record("http://a.org/", b"body")]
    assert len(list(frames(maker.write(made, "plain", name="x.warc.gz")))) == 1
    assert len(list(frames(maker.write(made, "gz", name="x.warc")))) == 1


def test_a_range_that_starts_inside_a_record_is_noticed(maker):
    # A crawled .warc.gz is stored unpacked within its record, magic bytes and all.
    inner = gzip.compress(maker.record("http://inner.org/", b"inner"), mtime=0)
    first = gzip.compress(maker.record("http://a.org/1", b"x" * 500 + inner), 0, mtime=0)
    second = gzip.compress(maker.record("http://a.org/2", b"y"), mtime=0)
    path = maker.folder / "nested.warc.gz"
    path.write_bytes(first + second)
    assert len(list(frames(path))) == 2
    parts = ranges(path, 300)
    assert parts[1].start < len(first)
    with pytest.raises(InputError, match=r"pages\.range_bytes"):
        list(frames(path, Range(parts[0].start, parts[0].end)))


def test_bytes_between_records_are_one_fault(maker):
    made = maker.packed([maker.record(f"http://a.org/{n}", b"b") for n in range(3)], "gz")
    path = maker.folder / "x.warc.gz"
    path.write_bytes(made[0] + b"\x00" * 77 + made[1] + made[2] + b"end")
    found = [(frame.length, bool(frame.fault)) for frame in frames(path)]
    sizes = [len(one) for one in made]
    assert found == [
        (sizes[0], False),
        (77, True),
        (sizes[1], False),
        (sizes[2], False),
        (3, True),
    ]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("digits", ["9" * 5_000, "9" * 19, "-1", "²", "1e3"])
def test_a_length_that_is_no_size_is_the_fault_of_one_record(maker, form, digits):
    good = [maker.record(f"http://a.org/{n}", maker.http()) for n in range(2)]
    length = b"Content-Length: %d" % len(maker.http())
    bad = good[0].replace(length, f"Content-Length: {digits}".encode())
    for made in ([good[0], bad, good[1]], [good[0], good[1], bad]):
        found = list(records(maker.write(made, form)))
        assert [bool(record.fault) for record in found] == [one is bad for one in made]


@given(st.text("0123456789", max_size=25))
def test_digits_are_read_as_the_number_that_they_write_where_it_fits_64_bits(digits):
    fits = 0 < len(digits) <= 18
    assert whole_number(digits) == whole_number(digits.encode()) == (int(digits) if fits else None)


def with_dictionary(maker, data):
    """A WARC file of one record behind this dictionary, which is as it lies in the file."""
    skippable = b"\x5d\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data
    path = maker.folder / "x.warc.zst"
    path.write_bytes(skippable + zstandard.compress(maker.record("http://a.org/", b"body")))
    return path


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (zstandard.compress(bytes(ZSTD_DICTIONARY_BYTES_MAX + 1)), "16 MiB"),
        (bytes(ZSTD_DICTIONARY_BYTES_MAX + 1), "16 MiB"),
        (b"", "damaged"),
        (b"\x28\xb5\x2f\xfd torn", "damaged"),
        (b"\x37\xa4\x30\xec" + b"\1" * 50, "damaged"),
    ],
)
def test_a_dictionary_above_the_cap_or_a_damaged_one_is_refused_by_name(maker, data, problem):
    path = with_dictionary(maker, data)
    told = rf"x\.warc\.zst, byte 0: its zstd dictionary .*{problem}"
    for read in (lambda: list(frames(path)), lambda: ranges(path, 10)):
        with pytest.raises(InputError, match=told):
            read()


def test_a_dictionary_is_unpacked_no_further_than_its_cap(maker, monkeypatch):
    unpacker, readers = zstandard.ZstdDecompressor(), []

    class Counting:
        def stream_reader(self, source):
            readers.append(unpacker.stream_reader(source))
            return readers[-1]

    path = with_dictionary(maker, zstandard.compress(bytes(64 << 20)))
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.pages.frames.zstandard.ZstdDecompressor", Counting)
        with pytest.raises(InputError):
            list(frames(path))
    assert [reader.tell() for reader in readers] == [ZSTD_DICTIONARY_BYTES_MAX + 1]


def test_a_dictionary_is_unpacked_once_for_all_records_and_anew_for_another_file(maker):
    path, _ = written(maker, "dictionary", blocks())
    found = list(frames(path))
    before = _zstd_dictionary.cache_info().misses
    for frame in found:
        read_frame(path, frame.offset, frame.length, 100)
    assert _zstd_dictionary.cache_info().misses == before
    path.write_bytes(with_dictionary(maker, b"another dictionary").read_bytes())
    assert [frame.fault for frame in frames(path)] == [""]


def test_the_start_of_a_record_is_looked_for_without_unpacking_a_bomb():
    zeros = bytes(8 << 20)
    assert _gzip_start(gzip.compress(zeros)) == bytes(PROBE_BYTES)
    unpacker = zstandard.ZstdDecompressor()
    assert _zstd_start(unpacker, zstandard.compress(zeros)) == bytes(PROBE_BYTES)
