import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tools.demo import stored

DECODERS = {
    "gzip": (stored.gzip_stored, gzip.decompress),
    "deflate": (stored.zlib_stored, zlib.decompress),
    "br": (stored.brotli_stored, brotli.decompress),
    "zstd": (stored.zstd_stored, lambda data: zstandard.ZstdDecompressor().decompress(data)),
}


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(min_size=1, max_size=400))
def test_what_was_stored_decodes_to_itself(name, data):
    encode, decode = DECODERS[name]
    assert decode(encode(data)) == data


@pytest.mark.parametrize("name", DECODERS)
@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 131_071, 131_072, 131_073])
def test_blocks_join_at_their_borders(name, size):
    encode, decode = DECODERS[name]
    data = bytes(range(251)) * (size // 251 + 1)
    assert decode(encode(data[:size])) == data[:size]


@pytest.mark.parametrize("repeats", [1, 2, 50])
def test_a_bomb_is_small_and_becomes_spaces(repeats):
    packed = stored.bomb(repeats)
    assert gzip.decompress(packed) == b" " * (repeats * 8 * 258 + 1)
    assert len(packed) < 13 * repeats + 40


def test_chunks_carry_the_body():
    assert stored.chunked(b"abcde", 2) == b"2\r\nab\r\n2\r\ncd\r\n1\r\ne\r\n0\r\n\r\n"
