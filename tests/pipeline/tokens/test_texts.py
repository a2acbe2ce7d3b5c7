import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

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


def test_json_lines_become_documents_with_ids_and_hosts(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_bytes(lines(ROWS))
    assert found(path) == TEXTS


def test_parquet_is_known_by_its_bytes_and_read_with_what_columns_it_has(tmp_path):
    for name in ("texts.txt", "texts.parquet", "texts.jsonl"):
        pq.write_table(pa.table({"text": ["three é 中"], "other": [1]}), tmp_path / name)
        assert found(tmp_path / name) == [TEXTS[2]]


def test_a_plain_file_is_one_document_or_many_between_end_of_text(tmp_path):
    path = tmp_path / "book.txt.gz"
    path.write_bytes(gzip.compress(b"one <\n\nbook\n"))
    assert [text.text for text in found(path)] == ["one <\n\nbook"]
    path.write_bytes(gzip.compress(b"one\n<|endoftext|>\ntwo\n<|endoftext|>\n"))
    assert [text.text for text in found(path)] == ["one", "two"]


def test_a_text_without_a_word_is_a_drop_and_so_is_a_row_without_text(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"text": " \\n"}\n{"id": 1}\n')
    assert [drop.reason for drop in found(path)] == [Reason.EMPTY_TEXT, Reason.TEXT_MISSING]


@pytest.mark.parametrize("odd", [5, 1.5, True, ["a"], {"a": "b"}, "\ud800"])
def test_an_odd_id_or_address_loses_no_text(tmp_path, odd):
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"text": "a text", "id": odd, "url": odd, "host": odd}))
    name = "\ufffd" if odd == "\ud800" else str(odd)
    assert found(path) == [Text(digest(name), "a text", name, name)]


def test_a_broken_address_has_no_host(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"text": "a", "url": "http://[x"}')
    assert found(path) == [Text(digest("a"), "a", "http://[x", "")]
