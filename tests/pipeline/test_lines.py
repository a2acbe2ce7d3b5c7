"""Dumps: every container gives the same lines, and a broken file says where."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard

from pipeline import lines as dumps
from pipeline.errors import InputError
from pipeline.lines import Lines, container

LINES = [b'{"id":"%d","title":"%s"}\n' % (n, bytes([97 + n % 26]) * (n % 300)) for n in range(3000)]
DATA = b"".join(LINES)
# Bytes that do not compress, so that a cut leaves much of the file readable.
NOISE = [b"%064x\n" % pow(3, n, 2**256 - 189) for n in range(20_000)]


def zstd(data: bytes, window_log: int = 31) -> bytes:
    params = zstandard.ZstdCompressionParameters(
        window_log=window_log, hash_log=10, chain_log=10, write_content_size=False
    )
    packer = zstandard.ZstdCompressor(compression_params=params)
    stream = packer.compressobj()
    return stream.compress(data) + stream.flush()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "RS_2005-06": lambda data: data,
    "RS_2019-06.zst": zstd,
    "RS_2017-06.xz": partial(lzma.compress, preset=0),
    "RS_2012-06.bz2": bz2.compress,
    "RS_2024-01.jsonl.gz": gzip.compress,
}
PACKED = [name for name in PACKERS if "." in name]


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def read(path: Path, *, accept_torn: bool = False) -> tuple[list[bytes], str]:
    with Lines(path, accept_torn=accept_torn) as lines:
        return list(lines), lines.torn


@pytest.mark.parametrize("name", PACKERS)
def test_every_container_gives_the_same_lines(name: str, tmp_path: Path) -> None:
    assert read(write(tmp_path, name, PACKERS[name](DATA))) == (LINES, "")


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1000, 1 << 20])
@pytest.mark.parametrize("name", PACKERS)
def test_chunks_are_the_whole_file_whatever_its_lines(
    name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumps, "LINE_BYTES_MAX", 10)
    data = DATA[:9000].replace(b"\n", b" ")
    with Lines(write(tmp_path, name, PACKERS[name](data))) as file:
        chunks = list(file.chunks(size))
    assert b"".join(chunks) == data
    assert all(0 < len(chunk) <= size + 64 for chunk in chunks)


@pytest.mark.parametrize("name", PACKED)
def test_chunks_of_a_torn_file_end_in_an_error(name: str, tmp_path: Path) -> None:
    packed = PACKERS[name](b"".join(NOISE))
    path = write(tmp_path, name, packed[:-9])
    with pytest.raises(InputError, match="torn"), Lines(path) as file:
        list(file.chunks())


@pytest.mark.parametrize("name", PACKED)
def test_a_file_of_several_streams_is_read_to_its_end(name: str, tmp_path: Path) -> None:
    pack = PACKERS[name]
    path = write(tmp_path, name, pack(DATA[:5000]) + pack(DATA[5000:]))
    assert read(path) == (LINES, "")


def test_a_skippable_frame_before_the_data_is_passed_over(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    assert read(write(tmp_path, "a.zst", skippable + zstd(DATA)))[0] == LINES


@pytest.mark.parametrize("name", PACKERS)
def test_a_last_line_without_a_newline_is_a_line(name: str, tmp_path: Path) -> None:
    lines, _ = read(write(tmp_path, name, PACKERS[name](b"{}\n" + b"null")))
    assert lines == [b"{}\n", b"null"]


@pytest.mark.parametrize("name", PACKERS)
def test_zero_bytes_at_the_end_of_a_dump_are_kept_as_a_line(name: str, tmp_path: Path) -> None:
    lines, _ = read(write(tmp_path, name, PACKERS[name](b"{}\n" + bytes(100))))
    assert lines == [b"{}\n", bytes(100)]


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("left", [0.999, 0.5, 0.01])
def test_a_torn_file_is_an_error_that_names_the_byte(
    name: str, left: float, tmp_path: Path
) -> None:
    packed = PACKERS[name](b"".join(NOISE))
    path = write(tmp_path, name, packed[: int(len(packed) * left)])
    with pytest.raises(InputError, match=rf"{name}, byte {path.stat().st_size}: torn") as info:
        read(path)
    assert "accept_torn" in info.value.mend


@pytest.mark.parametrize("name", PACKED)
def test_a_file_cut_anywhere_near_its_end_never_passes_for_whole(name: str, tmp_path: Path) -> None:
    packed = PACKERS[name](b"".join(NOISE[:50]))
    for cut in range(1, 40):
        with pytest.raises(InputError):
            read(write(tmp_path, name, packed[:-cut]))


@pytest.mark.parametrize("name", PACKED)
def test_accept_torn_gives_the_whole_lines_before_the_end(name: str, tmp_path: Path) -> None:
    packed = PACKERS[name](b"".join(NOISE))
    lines, torn = read(write(tmp_path, name, packed[: len(packed) // 2]), accept_torn=True)
    assert len(lines) > 1000 or name.endswith("bz2")  # bzip2 has blocks of 900 kB
    assert lines == NOISE[: len(lines)]
    assert "torn" in torn


@pytest.mark.parametrize("name", PACKED)
def test_a_damaged_file_is_an_error_that_names_the_place(name: str, tmp_path: Path) -> None:
    packed = bytearray(PACKERS[name](b"".join(NOISE)))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = bytes(range(64))
    path = write(tmp_path, name, bytes(packed))
    if name.endswith(".zst"):  # without a checksum, what a raw block holds is not checked
        packed[20:60] = b"\xff" * 40
        path.write_bytes(packed)
    with pytest.raises(InputError, match="byte") as info:
        read(path)
    assert info.value.problem


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.zst", b"<!DOCTYPE html>", "named like a zstd file, but it is an HTML page"),
        ("a.zst", b"d8:announce9:udp://a/4:infodee", "named like a zstd file, but it is a torrent"),
        ("a.xz", bytes(100), "named like a xz file, but it is all zero bytes"),
        ("a.zst", b'{"id": "a"}', 'named like a zstd file, but it starts with b\'{"id": "'),
        ("a.zst", gzip.compress(b"{}", mtime=0), "named like a zstd file, but its bytes are gzip"),
        ("a.bz2", zstd(b"{}"), "named like a bzip2 file, but its bytes are zstd"),
        ("a.GZ", zstd(b"{}"), "named like a gzip file, but its bytes are zstd"),
        ("a.zst_blocks", b"\x10\0\0\0" + zstd(b"{}"), "zst_blocks"),
        ("a.zst", b"\x10\0\0\0" + zstd(b"{}"), "zst_blocks"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(
    name: str, data: bytes, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=problem) as info:
        container(write(tmp_path, name, data))
    assert info.value.mend


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.zst"):
        container(tmp_path / "nowhere.zst")


def test_the_first_bytes_decide_where_the_name_says_nothing(tmp_path: Path) -> None:
    assert read(write(tmp_path, "RS_2019-06", zstd(DATA)))[0] == LINES


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "LINE_BYTES_MAX", 1000)
    for name in PACKERS:
        with pytest.raises(InputError, match="no line ends"):
            read(write(tmp_path, name, PACKERS[name](b"a" * 5000)))


def test_leaving_early_ends_the_thread(tmp_path: Path) -> None:
    path = write(tmp_path, "a.xz", lzma.compress(DATA * 20, preset=0))
    with Lines(path) as lines:
        assert next(iter(lines)) == LINES[0]
        ahead = lines._ahead
    assert ahead is not None
    assert not ahead._thread.is_alive()
