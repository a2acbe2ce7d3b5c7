"""What a file is, by its bytes; the name only where these leave a choice."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.errors import InputError
from pipeline.formats import HEAD_BYTES, format_of, named_as, wide_codec

ROWS = [{"id": f"d{n}", "text": f"Text number {n}."} for n in range(5)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
PROSE = b"It was a dark and stormy night.\nThe rain fell in torrents.\n"
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}


def form(folder: Path, name: str, data: bytes) -> str:
    path = folder / name
    path.write_bytes(data)
    return format_of(path)


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize(
    "ending", ["", ".jsonl", ".jl", ".NDJSON", ".ndjson", ".json", ".JSON", ".txt", ".dat", ".log"]
)
def test_the_content_decides_whatever_the_name_says(
    packed: str, ending: str, tmp_path: Path
) -> None:
    pack = PACKERS[packed]
    assert form(tmp_path, f"a{ending}{packed}", pack(LINES)) == "JSON lines"
    assert form(tmp_path, f"b{ending}{packed}", pack(json.dumps(ROWS).encode())) == "JSON array"
    text = "JSON lines" if named_as(tmp_path / f"c{ending}{packed}") == "JSON" else "text"
    assert form(tmp_path, f"c{ending}{packed}", pack(PROSE)) == text
    assert form(tmp_path, f"d{ending}{packed}", pack(b"\xef\xbb\xbf" + LINES)) == "JSON lines"
    assert form(tmp_path, f"e{ending}{packed}", pack(b"\n \n")) == "empty"
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / f"f{ending}")
    assert format_of(tmp_path / f"f{ending}") == "parquet"


@pytest.mark.parametrize("name", ["a.jsonl", "a.txt", "a.gz", "a.zst", "_SUCCESS", "a.parquet"])
def test_no_byte_is_an_empty_file(name: str, tmp_path: Path) -> None:
    assert form(tmp_path, name, b"") == "empty"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("long", b'{"text": "' + b"a" * 3 * HEAD_BYTES + b'"}\n{}\n', "JSON lines"),
        ("one", b'{"text": "a"}', "JSON lines"),
        ("torn", b'{"text": "cut\n' + LINES, "JSON lines"),
        ("nan", b'{"text": "a", "karma": NaN}\n', "JSON lines"),
        ("t.jsonl", b'{"text": "cut\n{"text": "too\n', "JSON lines"),
        ("t.jsonl", b"no JSON at all\n", "JSON lines"),
        ("t.json", b"[]", "JSON array"),
        ("t.json", b'["a", "b"]', "JSON array"),
        ("array", b"[\n  " + b",\n  ".join(LINES.split(b"\n")[:-1]) + b",\n]\n", "JSON array"),
        ("array", b"[\n" + b"\n, ".join(LINES.split(b"\n")[:-1]) + b"]", "JSON array"),
        ("notes.txt", b"[Music]\nHello.\n", "text"),
        ("notes", b"[] buy milk\n[x] sing\n", "text"),
        ("code", b"{% extends 'a' %}\n{}\n", "text"),
        ("code.txt", b'{\n  "text": "a listing"\n}\n', "text"),
        ("code.txt", b'{"text": "a"}\nand then prose\n', "text"),
        ("log.txt", b'{"level": "info"}\n{"level": "warn"}\n', "text"),
        ("book", b"a" * (1 << 20), "text"),
        ("odd", PROSE * 9 + b"one stray \0 and no more", "text"),
        ("page.html", b"<!DOCTYPE html><p>A page", "text"),
        ("list", b"milk, eggs, text\n", "text"),
        ("wide.txt", "A line.\nAnother".encode("utf-16"), "text"),
        ("wide.txt", "A line.\nAnother".encode("utf-16-be"), "text"),
        ("blank", b" " * HEAD_BYTES + b"a", "text"),
        ("mark", b"\xff\xfe", "empty"),
        ("odd.txt", b'{"text": "cut\n' + LINES, "JSON lines"),
        ("odd.txt", b"# made by a program\n" + LINES, "JSON lines"),
        ("odd", b"null\n" + LINES, "JSON lines"),
        ("odd.txt", b'{"version": 1}\n' + LINES, "JSON lines"),
        ("odd.txt", LINES[:60] + b"{broken\n" + LINES + b"not JSON\n", "JSON lines"),
        ("odd", b'{"text": "cut' + b"a" * 2 * HEAD_BYTES + b"\n" + LINES, "JSON lines"),
        ("commas.jsonl", LINES.replace(b"}\n", b"},\n"), "JSON lines"),
        ("commas", LINES.replace(b"}\n", b"},\n"), "JSON lines"),
        ("tab.txt", LINES.replace(b"Text", b"Te\txt"), "JSON lines"),
        ("long.txt", b'{"text": "a", "hash": ' + b"1" * 5000 + b"}\n", "JSON lines"),
        ("prose.txt", PROSE + LINES[:90], "text"),
        ("sevens", "Ça coûte + 7 ou +49-30- ; +ab-, +cd-, +ef-, +gh-\n".encode(), "text"),
        ("sums", b"+1234-5 +555-1 +7777-2 +800-3 +900-4 +123456-7\n", "text"),
        ("japanese", "毎日、本を読みます。\n".encode("iso2022_jp"), "text"),
        ("japanese.jsonl", '{"text": "毎日"}\n'.encode("iso2022_jp"), "JSON lines"),
    ],
)
def test_what_looks_like_another_thing_is_told_apart(
    name: str, data: bytes, expected: str, tmp_path: Path
) -> None:
    assert form(tmp_path, name, data) == expected


def tar(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        about = tarfile.TarInfo(name)
        about.size = len(data)
        archive.addfile(about, io.BytesIO(data))
    return file.getvalue()


def zipped(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"]}), file)
    return file.getvalue()


PRETTY = json.dumps(ROWS[0], indent=1).encode()
DATA = {"version": 1, "data": ROWS}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.json", PRETTY, "not one a line.*jq -c"),
        ("a.jl", PRETTY + b"\n" + PRETTY, "not one a line.*jq -c"),
        ("a", PRETTY, "not one a line.*jq -c.*name it .txt"),
        ("a.json", LINES.replace(b"\n", b""), "not one a line.*jq -c"),
        ("a.jsonl", LINES.replace(b"\n", b" ") + b"\n" + LINES.replace(b"\n", b""), "not one a"),
        ("a.json", json.dumps(DATA).encode(), r"in a list, 'data'.*jq -c '.\[\"data\"\]\[\]'"),
        ("a.json", json.dumps({"data": ROWS}, indent=1).encode(), "in a list, 'data'"),
        ("a.json", b'{"data": [\n' + LINES.replace(b"}\n{", b"},\n{") + b"]}", "in a list, 'data'"),
        ("a.json", b'{\n"data": [\n' + LINES.replace(b"}\n{", b"},\n{") + b"]\n}", "in a list"),
        ("a.jl", b'{"data": [\n' + LINES.replace(b"}\n{", b"}\n,{") + b"]}", "in a list, 'data'"),
        ("a", json.dumps({"data": ROWS * 2000}).encode(), "in a list, 'data'"),
        ("a.jsonl", LINES.decode().encode("utf-16"), "JSON in UTF-16.*iconv -f UTF-16-LE"),
        ("a", LINES.decode().encode("utf-16-be"), "JSON in UTF-16.*iconv -f UTF-16-BE"),
        ("a.json", json.dumps(ROWS).encode("utf-16-le"), "JSON in UTF-16"),
        ("a", json.dumps({"text": "a" * 99_999}).encode("utf-16"), "JSON in UTF-16"),
        (
            "a.txt",
            PROSE.decode().encode("utf-32"),
            "it is in UTF-32-LE.*iconv -f UTF-32-LE -t UTF-8",
        ),
        ("a", PROSE.decode().encode("utf-32-be"), "it is in UTF-32-BE.*iconv"),
        ("a.jsonl", LINES.decode().encode("utf-32-le"), "it is in UTF-32-LE.*iconv"),
        ("a", "Größe, Käse, süß, schön, für, Tür".encode("utf-7"), "UTF-7.*iconv -f UTF-7"),
        ("a.jsonl", b"\x1b$)C" + LINES, "ISO-2022-KR.*iconv -f ISO-2022-KR"),
        ("a.txt", b"{\\rtf1\\ansi Text\\par}", "rich text .RTF.. Save it as plain text"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(900), "Word 97"),
        (
            "a.txt.zst",
            zstandard.compress(gzip.compress(PROSE, mtime=0)),
            "compressed twice .gzip within.",
        ),
        (
            "a.gz",
            gzip.compress(zstandard.compress(PROSE), mtime=0),
            "compressed twice .zstd within.",
        ),
        ("a.csv", "id,text\n1,a\n".encode("utf-16"), "table in UTF-16-LE.*iconv -f UTF-16-LE"),
        ("a.zip", zipped("a.jsonl", LINES), "a zip archive. Unpack it"),
        ("a.tar.gz", gzip.compress(tar("a.jsonl", LINES), mtime=0), "a tar archive. Unpack it"),
        ("a.parquet.gz", gzip.compress(parquet(), mtime=0), "Parquet file within"),
        ("a.arrow", b"ARROW1\0\0" + bytes(90), "an Arrow file. Write it as Parquet"),
        ("a.pdf", b"%PDF-1.4\n" + bytes(90), "a PDF"),
        ("a.warc", b"WARC/1.0\r\nWARC-Type: warcinfo\r\n", "webtext extract"),
        ("a.bin", bytes(range(256)) * 9, "a binary file"),
    ],
)
def test_what_is_no_file_of_texts_is_refused_with_what_to_do(
    name: str, data: bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said) as info:
        form(tmp_path, name, data)
    assert info.value.path == str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b"x,y\n1,2\n"),
        ("a.TSV.gz", gzip.compress(b"text\nabc\n", mtime=0)),
        ("a.txt", b"id,text\n1,a\n"),
        ("a", b'"",Text,label\n0,a,1\n'),
        ("a", b"text\tlabel\na\t1\n"),
    ],
)
def test_a_table_is_known_by_its_name_or_by_a_header_with_the_texts_column(
    name: str, data: bytes, tmp_path: Path
) -> None:
    assert form(tmp_path, name, data) == "table"


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: cannot be read: No such file"):
        format_of(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        format_of(tmp_path)


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (b"abc", ""),
        (b"", ""),
        ("ab".encode("utf-16-le"), "utf-16-le"),
        ("ab".encode("utf-16-be"), "utf-16-be"),
        ("中文".encode("utf-16"), "utf-16-le"),
        ("ab".encode("utf-32"), "utf-32-le"),
        (b"\0\0\xfe\xff\0\0\0a", "utf-32-be"),
        ("abcd".encode("utf-32-be"), "utf-32-be"),
        (b'{"text": "a"}' + bytes(999), ""),
        (bytes(100), ""),
    ],
)
def test_utf_16_is_known_by_its_mark_or_its_zeros(data: Any, codec: str) -> None:
    assert wide_codec(data) == codec
