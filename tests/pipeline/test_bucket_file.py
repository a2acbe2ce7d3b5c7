"""Inputs in a bucket are read by ranges, and are known from what was found."""

import io
import itertools
import pickle
import random

import pytest
import s3
from hypothesis import given
from hypothesis import strategies as st

from pipeline import bucket_file
from pipeline.bucket_file import (
    FIRST_BYTES,
    RANGE_BYTES,
    BucketFile,
    bucket_files,
    bytes_of,
    unchanged,
)
from pipeline.bucket_file import bucket_file as found_at
from pipeline.errors import InputError, SettingsError

_numbers = itertools.count()


class Place:
    """Objects below a prefix of their own."""

    def __init__(self, server: s3.Server, port: int | None = None) -> None:
        self.server, self.port, self.prefix = server, port, f"files/{next(_numbers)}"

    def put(self, name: str, data: bytes = b"x") -> str:
        """Write an object; its URI."""
        self.server.put(f"{self.prefix}/{name}", data)
        return self.uri(name)

    def key(self, name: str) -> str:
        return f"{self.server.bucket}/{self.prefix}/{name}"

    def uri(self, name: str) -> str:
        return self.server.uri(f"{self.prefix}/{name}", self.port)

    def names(self, uri: str) -> list[str]:
        """What a URI finds, below the prefix."""
        return [file.place.partition(f"{self.prefix}/")[2] for file in bucket_files(uri)]


@pytest.fixture
def place(server) -> Place:
    return Place(server)


@pytest.fixture
def counted(server):
    """The store behind a proxy that counts requests."""
    with s3.Proxy(server.port) as proxy:
        yield Place(server, proxy.port), proxy


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def test_a_file_has_what_readers_ask_of_a_path(place):
    place.put("RS 2012.jsonl.GZ")
    file = found_at(place.uri("RS%202012.jsonl.GZ"))
    assert file.name == "RS 2012.jsonl.GZ"
    assert (file.suffix, file.suffixes) == (".GZ", [".jsonl", ".GZ"])
    assert file.parts[-2:] == (file.place.split("/")[-2], file.name)
    assert (bytes_of(file), file.resolve(), file.absolute()) == (1, file, file)


def test_a_file_travels_without_its_connection(place):
    file = found_at(place.put("a", b"hello"))
    other = pickle.loads(pickle.dumps(file))
    assert other == file and hash(other) == hash(file)
    assert other.open().read() == b"hello"


def test_a_place_is_told_without_how_to_come_to_it(place):
    file = found_at(place.put("a"))
    assert str(file) == file.place == f"s3://webtext/{place.prefix}/a"
    assert "endpoint" not in repr(file.identity)


@given(data=st.data(), size=st.integers(0, 9_000))
def test_any_read_gives_the_bytes_of_a_local_file(data, size):
    content = noise(size)

    class Here(BucketFile):
        def read_range(self, start: int, length: int) -> bytes:
            assert length > 0 and start < size
            return content[start : start + length]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bucket_file, "FIRST_BYTES", 64)
        patch.setattr(bucket_file, "RANGE_BYTES", 1000)
        file = Here("s3://b/a", size, str(next(_numbers)))
        here, there = io.BytesIO(content), file.open(buffering=data.draw(st.sampled_from([0, 700])))
        for _ in range(data.draw(st.integers(1, 8))):
            if data.draw(st.booleans()):
                at = data.draw(st.integers(0, size + 10))
                assert here.seek(at) == there.seek(at)
            wanted = data.draw(st.integers(-1, 3000))
            assert here.read(wanted) == there.read(wanted)
            assert here.tell() == there.tell()


def test_a_file_read_from_end_to_end_takes_few_and_growing_ranges(counted):
    place, proxy = counted
    content = noise(3 * RANGE_BYTES)
    uri = place.put("a", content)
    proxy.count()
    file = found_at(uri)
    with unchanged(file), file.open("rb", buffering=1 << 20) as reader:
        assert reader.read() == content
    # 64 kB, 256 kB, 1, 4, 8 and 8 MiB, and the rest.
    assert proxy.count() == {"HEAD": 2, "GET": 7}


def test_how_a_file_begins_is_asked_for_once(counted):
    place, proxy = counted
    file = found_at(place.put("a", noise(2 * FIRST_BYTES)))
    proxy.count()
    for _ in range(5):
        with file.open() as reader:
            reader.read(512)
    assert proxy.count() == {"GET": 1}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.gz", ["a.gz", "b.gz"]),
        ("[b-z].gz", ["b.gz"]),
        ("*/*.gz", ["d/c.gz"]),
        ("**/*.gz", ["a.gz", "b.gz", "d/c.gz", "d/e/f.gz"]),
        ("d/**", ["d/c.gz", "d/e/f.gz"]),
        ("d/", ["d/c.gz", "d/e/f.gz"]),
        ("", ["a.gz", "b.gz", "d/c.gz", "d/e/f.gz", "x.txt"]),
        ("a.gz", ["a.gz"]),
        ("*.zip", []),
    ],
)
def test_a_uri_names_a_file_a_pattern_or_all_below(place, pattern, names):
    for name in ("a.gz", "b.gz", "d/c.gz", "d/e/f.gz", "x.txt", ".hidden.gz", ".h/g.gz"):
        place.put(name)
    assert place.names(place.uri(pattern)) == names


def test_a_name_that_is_there_is_no_pattern(place):
    place.put("a[1].gz")
    place.put("a1.gz")
    assert place.names(place.uri("a[1].gz")) == ["a[1].gz"]
    assert place.names(place.uri("a%5B1].*")) == ["a[1].gz"]


@pytest.mark.parametrize("name", ["50%.gz", "a#b.gz", "what?.gz", "a*b.gz", "é ü.gz"])
def test_a_found_file_with_odd_signs_can_be_read(place, name):
    place.put(name, b"odd")
    (file,) = bucket_files(place.uri("*"))
    assert (file.name, file.open().read()) == (name, b"odd")
    assert found_at(file.uri) == file


def test_a_missing_object_is_named(place):
    with pytest.raises(InputError, match=r"s3://webtext/.*/none: there is no such object") as told:
        bucket_files(place.uri("none"))
    assert told.value.exit_code == 2


def test_a_forbidden_object_is_named_with_what_to_check(server):
    place = Place(server)
    place.put("a")
    with s3.Proxy(server.port, all_with="403") as proxy:
        place.port = proxy.port
        for name in ("a", "*"):
            with pytest.raises(InputError, match=r"does not give it.*AWS_ACCESS_KEY_ID") as told:
                bucket_files(place.uri(name))
            assert told.value.path.startswith(f"s3://webtext/{place.prefix}/")


def test_user_info_in_a_uri_is_refused_and_not_told():
    with pytest.raises(SettingsError, match="credentials are not taken") as told:
        bucket_files("s3://me:secret@bucket/a.gz")
    assert "secret" not in str(told.value)


def test_other_schemes_are_refused():
    with pytest.raises(SettingsError, match="gs: is not known"):
        bucket_files("gs://bucket/a.gz")


@pytest.mark.parametrize("data", [b"HELLO", b"longer than before", b""])
def test_an_object_that_was_changed_before_it_is_opened_is_named(place, data):
    file = pickle.loads(pickle.dumps(found_at(place.put("a", b"hello"))))
    place.put("a", data)
    with pytest.raises(InputError, match=r"/a: it was changed while it was read \(ETag"):
        file.open().read()


@pytest.mark.parametrize("data", [b"other", noise(4 * RANGE_BYTES, 1)])
def test_an_object_that_is_changed_between_two_ranges_is_named(place, data):
    file = found_at(place.put("a", noise(4 * RANGE_BYTES)))
    with pytest.raises(InputError, match="it was changed while it was read"):  # noqa: SIM117
        with unchanged(file), file.open() as reader:
            reader.read(10)
            place.put("a", data)
            while reader.read(1 << 20):
                pass


def test_what_breaks_because_of_a_change_is_told_as_a_change(place):
    file = found_at(place.put("a", b"hello"))
    place.put("a", b"hallo")
    with pytest.raises(InputError, match="changed"), unchanged(file):
        raise InputError(file, "byte 1", "it is damaged", "Get it again.")


def test_an_object_that_is_removed_is_named(place):
    file = found_at(place.put("a", noise(4 * FIRST_BYTES)))
    with file.open() as reader:
        place.server.files().delete_file(place.key("a"))
        with pytest.raises(InputError, match="there is no such object"):
            reader.read()


@pytest.mark.slow
def test_a_store_that_fails_now_and_then_gives_the_same_bytes(server):
    content = noise(4 * RANGE_BYTES)
    place = Place(server)
    place.put("a", content)
    with s3.Proxy(server.port, share=0.2, seed=3) as proxy:
        place.port = proxy.port
        for _ in range(4):
            file = found_at(place.uri("a"))
            with unchanged(file), file.open() as reader:
                assert reader.read() == content
        assert sum(proxy.faults.values()) - proxy.faults[""] > 0


def test_a_file_is_known_by_place_size_and_etag():
    one = BucketFile("s3://b/a?scheme=http", 3, "e")
    assert one.identity == BucketFile("s3://b/a", 3, "e").identity
    others = [("s3://b/c", 3, "e"), ("s3://b/a", 4, "e"), ("s3://b/a", 3, "f")]
    assert all(BucketFile(*each).identity != one.identity for each in others)
