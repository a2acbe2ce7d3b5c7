import bz2
import gzip
import lzma
import random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tools.doctor.ends import End, end_of

TEXT = random.Random(1).randbytes(40_000) + b"plain " * 40_000


def zstd(text, **parameters):
    made = zstandard.ZstdCompressionParameters(**{"compression_level": 3, **parameters})
    return zstandard.ZstdCompressor(compression_params=made).compress(text)


SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
FILES = {
    "zstd": ("zstd", zstd(TEXT)),
    "with checksum": ("zstd", zstd(TEXT, write_checksum=True)),
    "streamed": ("zstd", zstandard.ZstdCompressor().compressobj().compress(TEXT)),
    "of zeros": ("zstd", zstd(bytes(400_000))),  # blocks of one byte, many times
    "two frames": ("zstd", zstd(TEXT) + SKIPPABLE + zstd(b"more")),
    "xz": ("xz", lzma.compress(TEXT)),
    "padded": ("xz", lzma.compress(TEXT) + bytes(8)),
    "bzip2": ("bzip2", bz2.compress(TEXT)),
    "of two streams": ("bzip2", bz2.compress(TEXT) + bz2.compress(b"more")),
}
packer = zstandard.ZstdCompressor().compressobj()
FILES["streamed"] = ("zstd", packer.compress(TEXT) + packer.flush())


@pytest.mark.parametrize("name", FILES)
def test_a_whole_file_is_whole(tmp_path, name):
    container, data = FILES[name]
    path = tmp_path / "file"
    path.write_bytes(data)
    assert end_of(path, container).torn == ""


@given(st.sampled_from(sorted(FILES)), st.floats(0.01, 0.999))
def test_a_file_that_was_cut_is_torn_wherever_it_was_cut(tmp_path_factory, name, share):
    container, data = FILES[name]
    length = max(1, int(share * len(data)))
    path = tmp_path_factory.mktemp("cut") / "file"
    path.write_bytes(data[:length])
    cut_between = {  # where another stream or padding begins nothing is missing
        "two frames": {len(zstd(TEXT)), len(zstd(TEXT)) + len(SKIPPABLE)},
        "padded": range(len(data) - 8, len(data)),
        "of two streams": {len(bz2.compress(TEXT))},
    }
    torn = end_of(path, container).torn
    assert bool(torn) is (length not in cut_between.get(name, ()))
    assert not torn or f"{length:,}" in torn or "breaks off at byte" in torn


@pytest.mark.parametrize("log", [20, 27, 31])
def test_the_window_that_a_dump_was_packed_with_is_told(tmp_path, log):
    path = tmp_path / "file.zst"
    made = zstandard.ZstdCompressionParameters(
        compression_level=1, window_log=log, write_content_size=False
    )
    pack = zstandard.ZstdCompressor(compression_params=made).compressobj()
    path.write_bytes(pack.compress(b"a few bytes") + pack.flush())
    assert end_of(path, "zstd") == End("", 1 << log)


def test_a_damaged_block_is_told_by_its_place(tmp_path):
    path = tmp_path / "file.zst"
    data = bytearray(zstd(TEXT))
    at = zstandard.frame_header_size(bytes(data))
    data[at] |= 0b110
    path.write_bytes(data)
    assert end_of(path, "zstd").torn == f"it is damaged at byte {at}"
    path.write_bytes(zstd(TEXT) + b"no frame at all, and more than a header")
    assert "no frame starts at byte" in end_of(path, "zstd").torn


def test_an_xz_file_that_ends_like_one_by_chance_is_torn(tmp_path):
    path = tmp_path / "file.xz"
    path.write_bytes(lzma.compress(TEXT)[:-40] + b"YZ")
    assert end_of(path, "xz").torn


def test_of_gzip_and_of_plain_text_it_cannot_be_told(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(TEXT)[:-100])
    assert end_of(path, "gzip") == end_of(path, "plain") == End(None)
