import gzip
import json
import lzma
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
import zstandard

from pipeline.errors import InputError
from pipeline.reasons import Reason
from pipeline.records import Drop
from pipeline.tokens.texts import Text, read_texts

LINK_ID = "0123456789abcdef" * 2
ROWS = [
    {"id": LINK_ID, "text": "one", "url": "https://a.example/x", "host": "given.example"},
    {"id": 17, "text": "two\n\n", "url": "https://b.example:81/"},
    {"text": "three é 中"},
]


def digest(name: str) -> str:
    return xxhash.xxh3_128_hexdigest(name.encode())


TEXTS = [
    Text(LINK_ID, "one", "https://a.example/x", "given.example"),
    Text(digest("17"), "two\n\n", "https://b.example:81/", "b.example"),
    Text(digest("three é 中"), "three é 中", "", ""),
]


def lines(rows: list[object]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def found(path: Path) -> list[Text | Drop]:
    return [what for _, what in read_texts(path)]


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_json_lines_are_read_however_they_are_packed(tmp_path, pack):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(pack(lines(ROWS[:2])) + pack(lines(ROWS[2:])))
    assert found(path) == TEXTS


def test_parquet_is_read_with_what_columns_it_has(tmp_path):
    path = tmp_path / "texts.anything"
    pq.write_table(pa.table({"text": ["three é 中", None], "other": [1, 2]}), path)
    assert found(path) == [TEXTS[2], Drop(Reason.TEXT_MISSING, "text is NoneType")]


def test_parquet_without_text_is_refused_naming_its_columns(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"content": ["x"]}), path)
    with pytest.raises(InputError, match="columns are content"):
        found(path)


def test_damaged_parquet_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": ["x" * 1000]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"t\.parquet: damaged"):
        found(path)


def test_a_plain_file_is_one_document_or_many_between_end_of_text(tmp_path):
    path = tmp_path / "book.txt.gz"
    path.write_bytes(gzip.compress(b"one <\n\nbook\n"))
    assert [text.text for text in found(path)] == ["one <\n\nbook"]
    path.write_bytes(gzip.compress(b"one\n<|endoftext|>\ntwo\n<|endoftext|>\n"))
    assert [text.text for text in found(path)] == ["one", "two"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "cut', Reason.LINE_INVALID),
        (b"\xff\xfe", Reason.LINE_INVALID),
        (b"[" * 100_000, Reason.LINE_INVALID),
        (b"null", Reason.LINE_NOT_OBJECT),
        (b'["text"]', Reason.LINE_NOT_OBJECT),
        (b'{"id": 1}', Reason.TEXT_MISSING),
        (b'{"text": 5}', Reason.TEXT_MISSING),
        (b'{"text": " \\n"}', Reason.EMPTY_TEXT),
    ],
)
def test_a_bad_line_is_a_drop_and_the_others_stay(tmp_path, line, reason):
    path = tmp_path / "t.jsonl"
    path.write_bytes(lines(ROWS[:1]) + line + b"\n\n" + lines(ROWS[1:]))
    places = [(place, what) for place, what in read_texts(path)]
    assert places[1][0] == "line 2"
    assert isinstance(drop := places[1][1], Drop)
    assert drop.reason is reason
    assert [what for _, what in places if isinstance(what, Text)] == TEXTS


def test_lone_surrogates_become_u_fffd(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"text": "a\\ud800b", "id": "\\udfff", "url": "http://[x"}\n')
    assert found(path) == [Text(digest("\ufffd"), "a\ufffdb", "http://[x", "")]


@pytest.mark.parametrize(
    "pack", [gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress]
)
def test_torn_and_damaged_files_are_input_errors_with_the_byte(tmp_path, pack):
    path = tmp_path / "t.jsonl"
    packed = pack(lines(ROWS * 500))
    path.write_bytes(packed[:-9])
    with pytest.raises(InputError, match=rf"t\.jsonl, byte {len(packed) - 9}: (torn|damaged)"):
        found(path)
    middle = len(packed) // 2
    path.write_bytes(packed[:middle] + b"\0\xff" * 50 + packed[middle + 100 :])
    with pytest.raises(InputError, match=r"t\.jsonl, .*byte \d+"):
        found(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        found(tmp_path / "t.jsonl")
