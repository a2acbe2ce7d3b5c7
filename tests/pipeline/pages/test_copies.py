"""Records of a WARC file in a bucket: the same as in a file, fetched in few ranges."""

import itertools

import pytest
import s3
from hypothesis import given
from hypothesis import strategies as st

from pipeline.bucket_file import RANGE_BYTES, bucket_file
from pipeline.errors import InputError, printable
from pipeline.pages.copies import GAP_BYTES, near_copies, near_copy, ranges_of
from pipeline.pages.frames import frames, ranges, ranges_of_all, read_frame
from pipeline.pages.warc import checked, read_page, records

FORMS = ("plain", "gz", "zst", "dictionary")
_numbers = itertools.count()


@pytest.fixture
def twice(server, maker):
    """A WARC file of this form here and in the bucket."""

    def make(form, bodies):
        path = maker.write(
            [maker.record(f"http://a.org/{n}", b) for n, b in enumerate(bodies)], form
        )
        key = f"warcs/{next(_numbers)}/{path.name}"
        server.put(key, path.read_bytes())
        return path, bucket_file(server.uri(key))

    return make


def bodies(count=12):
    return [bytes([65 + n]) * (n * 9_970) for n in range(count)]


@pytest.mark.parametrize("form", FORMS)
def test_a_file_in_a_bucket_has_the_frames_and_ranges_of_one_here(twice, form):
    path, file = twice(form, bodies())
    assert list(frames(file)) == list(frames(path))
    cuts = ranges(path, 20_000 if form == "plain" else 60)
    assert ranges(file, 20_000 if form == "plain" else 60) == cuts
    assert len(cuts) > 2
    assert list(frames(file, cuts[1])) == list(frames(path, cuts[1]))
    assert ranges_of_all([file, file], 1 << 20) == [ranges(path, 1 << 20)] * 2
    assert list(checked(records(file), file)) == list(records(path))


@pytest.mark.parametrize("form", FORMS)
def test_records_are_read_from_a_copy_with_holes_by_their_own_offsets(twice, form, tmp_path):
    path, file = twice(form, bodies())
    some = list(frames(path))[2::3]
    with near_copy(file, [(frame.offset, frame.length) for frame in some], tmp_path / "s") as copy:
        assert copy.name == path.name
        assert copy.stat().st_size == path.stat().st_size
        for frame in some:
            assert read_frame(copy, frame.offset, frame.length, 1 << 20) == frame.head
    assert not list((tmp_path / "s").iterdir())


def test_a_file_of_this_machine_is_its_own_copy(maker, tmp_path):
    path = maker.write([maker.record("http://a.org/", b"x")], "gz")
    with near_copy(path, [], tmp_path / "scratch") as copy:
        assert copy is path
    assert not (tmp_path / "scratch").exists()


def test_neighbours_come_in_one_range(server, maker, tmp_path):
    made = [maker.record(f"http://a.org/{n}", bytes([n]) * 90_000) for n in range(100)]
    path = maker.write(made, "plain")
    server.put("warcs/neighbours", path.read_bytes())
    places = [("a", frame.offset, frame.length) for frame in frames(path)]
    with s3.Proxy(server.port) as proxy:
        file = bucket_file(server.uri("warcs/neighbours", proxy.port))
        proxy.count()
        with near_copies({"a": file}, places, tmp_path) as copies:
            # How it begins, 100 pages of 9 MB in two ranges; then whether it is still the same.
            assert proxy.count() == {"GET": 3, "HEAD": 1}
            assert copies["a"].read_bytes() == path.read_bytes()


stretches = st.lists(st.tuples(st.integers(0, 60 << 20), st.integers(1, 20 << 20)), max_size=12)


@given(stretches)
def test_ranges_hold_every_stretch_and_little_else(wanted):
    found = ranges_of(wanted)
    assert all(start < stop <= start + RANGE_BYTES for start, stop in found)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))
    for offset, length in wanted:
        assert covered(found, offset, offset + length) == length
    needed = covered(merged(wanted), 0, 1 << 40)
    assert covered(found, 0, 1 << 40) <= needed + GAP_BYTES * len(wanted)


def covered(spans, start, stop):
    return sum(max(0, min(stop, end) - max(start, at)) for at, end in spans)


def merged(wanted):
    found = []
    for offset, length in sorted(wanted):
        if found and offset <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], offset + length))
        else:
            found.append((offset, offset + length))
    return found


def test_a_file_that_was_changed_is_named_before_any_page_of_it_is_read(server, twice, tmp_path):
    _, file = twice("gz", bodies())
    server.put(file.place.removeprefix("s3://webtext/"), b"another file")
    with (
        pytest.raises(InputError, match="it was changed while it was read") as told,
        near_copy(file, [(0, 5)], tmp_path / "s"),
    ):
        pass
    assert told.value.path == file.place
    assert not list((tmp_path / "s").iterdir())


def test_what_is_wrong_with_a_copy_is_told_of_the_object(twice, tmp_path):
    _, file = twice("gz", bodies())
    with (
        pytest.raises(InputError, match="could be read before, and cannot now") as told,
        near_copy(file, [(1, 50)], tmp_path) as copy,
    ):
        read_page(copy, 1, 50, 100)
    assert told.value.path == printable(file)


def test_a_torn_file_in_a_bucket_is_named_with_the_byte(server, twice):
    path, _ = twice("gz", bodies())
    server.put("warcs/torn.warc.gz", path.read_bytes()[:-20])
    file = bucket_file(server.uri("warcs/torn.warc.gz"))
    told = r"s3://webtext/warcs/torn\.warc\.gz, byte \d+: the file ends within the record"
    with pytest.raises(InputError, match=told):
        list(frames(file))
    assert list(frames(file, accept_torn=True))[-1].torn
