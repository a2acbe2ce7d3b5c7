"""Dumps: what people publish them as gives the same rows, and what is no dump says what it is."""

import bz2
import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.errors import InputError
from pipeline.lines import Lines
from pipeline.links.dumps import form_of, rows_as_lines
from pipeline.links.select import Dropped, Post, ReadRules, Selector
from pipeline.settings import LinksSettings

RULES = ReadRules.of(LinksSettings())
ROWS: list[dict[str, Any]] = [
    {
        "id": f"p{number}",
        "url": f"http://site{number}.example.com/ä?a=1,2",
        "score": number - 2,
        "created_utc": 1400000000 + number,
        "retrieved_on": 1500000000,
        "title": 'a "title", with\ntwo lines',
        "subreddit": "news",
        "is_self": number == 3,
        "over_18": number == 4,
        "_meta.removal_type": "deleted" if number == 5 else None,
        "num_comments": 7,
    }
    for number in range(30)
]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def table(separator: str) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, list(ROWS[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(ROWS)
    return file.getvalue().encode()


def parquet(rows: list[dict[str, Any]] = ROWS) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file)
    return file.getvalue()


def judged(path: Path) -> list[Post | Dropped]:
    selector = Selector(RULES)
    with Lines(path) as lines:
        return [selector.judge(line) for line in rows_as_lines(path, form_of(path), lines)]


def put(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "form"),
    [
        ("RC_2014-05", LINES, "lines"),
        ("RS.jsonl", b"\xef\xbb\xbf" + LINES, "lines"),
        ("RS.parquet", parquet(), "parquet"),
        ("RS_2014-05", parquet(), "parquet"),
        ("RS.json", json.dumps(ROWS).encode(), "array"),
        ("RS.json.gz", gzip.compress(json.dumps(ROWS, indent=1).encode(), mtime=0), "array"),
        ("RS.csv", table(","), "table"),
        ("RS.tsv.bz2", bz2.compress(table("\t")), "table"),
        ("RS_2014-05.zst", zstandard.compress(b"\xef\xbb\xbf" + table(";")), "table"),
    ],
)
def test_submissions_are_read_from_every_form_that_they_are_published_in(
    tmp_path: Path, name: str, data: bytes, form: str
) -> None:
    path = put(tmp_path, name, data)
    assert form_of(path) == form
    verdicts = judged(path)
    assert verdicts == judged(put(tmp_path, "plain", LINES))
    dropped = {v.reason.value for v in verdicts if isinstance(v, Dropped)}
    assert (len(verdicts), dropped) == (30, {"self_post", "removed"})


def test_a_row_that_does_not_fit_its_table_is_a_drop(tmp_path: Path) -> None:
    lines = table(",").splitlines(keepends=True)
    verdicts = judged(put(tmp_path, "RS.csv", b"".join([*lines, b"one,cell,more\n", b"\n"])))
    assert len(verdicts) == 31
    assert isinstance(verdicts[-1], Dropped)
    assert verdicts[-1].reason == "line_not_object"


@pytest.mark.parametrize(
    "odd", [{"_meta": {"\ud83d": 1}}, {"banned_by": ["\ud83d"]}, {"\ud83d": 1}]
)
def test_half_a_surrogate_pair_deep_in_an_array_is_read_as_on_a_line(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    row = json.dumps(ROWS[6] | odd).encode()
    verdicts = judged(put(tmp_path, "RS.json", b"[" + row + b"]"))
    assert verdicts == judged(put(tmp_path, "plain", row))


@pytest.mark.parametrize("name", ["RS_2014-05", "RS_2014-05.zst", "RS.parquet", "RS.json"])
def test_an_empty_file_is_a_dump_of_no_lines(tmp_path: Path, name: str) -> None:
    assert judged(put(tmp_path, name, b"")) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        (
            "RS_2014-05.torrent",
            b"d8:announce20:udp://example.org:80/4:infod4:name1:aee",
            "a torrent",
        ),
        ("RS_2014-05", b"\n<!DOCTYPE html>\n<html>not found</html>", "an HTML page"),
        (
            "RS_2014-05.zst",
            b"<html><title>404</title></html>",
            "a zstd file, but it is an HTML page",
        ),
        ("RS_2014-05.gz", gzip.compress(b"<?xml version='1.0'?><Error/>", mtime=0), "it is XML"),
        ("RS_2014-05.zst", b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        ("RS_2014-05", bytes(4096), "all zero bytes"),
        ("RS_2014-05", LINES.decode().encode("utf-16"), r"UTF-16.*iconv -f UTF-16-LE"),
        ("RS_2014-05", LINES.decode().encode("utf-16-be"), r"UTF-16.*iconv -f UTF-16-BE"),
        ("RS_2014-05", LINES.replace(b"\n", b"\r"), r"end with CR.*tr "),
        (
            "RS_2014-05.gz",
            gzip.compress(gzip.compress(LINES, mtime=0), mtime=0),
            "compressed twice, by gzip",
        ),
        ("RS_2014-05.zip", b"PK\x03\x04" + bytes(60), "a zip archive"),
        ("RS.db", b"SQLite format 3\0" + bytes(60), "a database"),
        ("RS.sql", b"INSERT INTO posts VALUES (1);\n" * 9, "it is SQL"),
        ("urls.txt", b"http://example.com/\nhttp://example.org/\n", "a list of URLs"),
        ("RS.csv", b"id,url,title\n1,http://example.com/,t\n", "`created_utc` and `score`"),
        ("RS.parquet", parquet([{"id": "a", "title": "t"}]), "columns are id, title"),
        ("RS.json", b'{"kind": "Listing", "data": {"children": []}}', r"jq -c '\.data\.children"),
        ("RS.json", json.dumps(ROWS[0], indent=2).encode(), r"not one a line.*jq -c \."),
        ("RS.json", b'{"data": [{"id": "a"}]}\n', "fields are data"),
        ("texts.jsonl", b'{"id": "1", "text": "t", "url": "http://a.org/"}\n', "are id, text, url"),
    ],
)
def test_what_is_no_dump_is_refused_by_what_it_is(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        form_of(put(tmp_path, name, data))


@pytest.mark.parametrize(
    "data",
    [
        b'{"id": "broken\n' + LINES,
        b"\0" * 10 + b"\n" + LINES,
        b"[1, 2]\n" + LINES,
        b"null\n\n" + LINES,
        b'{"body": "words", "link_id": "t3_a"}\n',
        b"words\nand words\n",
        b"x" * 100_000,
        LINES[:50],
    ],
)
def test_what_may_be_a_dump_with_broken_lines_is_read_line_by_line(
    tmp_path: Path, data: bytes
) -> None:
    path = put(tmp_path, "RS_2014-05", data)
    assert form_of(path) == "lines"
    assert len(judged(path)) == len(data.splitlines())


def test_a_torn_dump_is_refused_where_its_form_is_told_unless_that_is_accepted(
    tmp_path: Path,
) -> None:
    path = put(tmp_path, "RS_2014-05.zst", zstandard.compress(LINES)[:-9])
    with pytest.raises(InputError, match="torn"):
        form_of(path)
    assert form_of(path, accept_torn=True) == "lines"
