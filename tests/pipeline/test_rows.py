import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.errors import InputError
from pipeline.reasons import Reason
from pipeline.records import Drop
from pipeline.rows import read_rows, without_surrogates


class Row(msgspec.Struct):
    id: str | int
    text: str
    note: Any = None


ROWS = [Row("a", "one"), Row(17, "two\n", "x"), Row(str(2**70), "three é 中")]
PACKS = [bytes, gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress]
Pack = Callable[[bytes], bytes]


def lines(rows: list[Row]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def found(path: Path) -> list[Row | Drop]:
    return [row for _, row in read_rows(path, Row)]


@pytest.mark.parametrize("pack", PACKS)
def test_json_lines_are_read_however_they_are_packed(tmp_path: Path, pack: Pack) -> None:
    path = tmp_path / "rows"
    path.write_bytes(pack(lines(ROWS[:2]) + b"\r\n \n") + pack(lines(ROWS[2:])))
    assert list(read_rows(path, Row)) == list(
        zip(["line 1", "line 2", "line 5"], ROWS, strict=True)
    )


def test_parquet_is_read_by_its_columns(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", None, "c"], "text": ["one", "two", None], "more": [1, 2, 3]})
    pq.write_table(table, tmp_path / "rows")
    (first, row), (second, no_id), (third, no_text) = read_rows(tmp_path / "rows", Row)
    assert (first, second, third) == ("row 1", "row 2", "row 3")
    assert row == Row("a", "one")
    for drop, name in ((no_id, "id"), (no_text, "text")):
        assert isinstance(drop, Drop)
        assert drop.reason is Reason.TEXT_MISSING
        assert drop.detail.endswith(f"at `$.{name}`")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "cut', Reason.LINE_INVALID),
        (b"\xff\xfe", Reason.LINE_INVALID),
        (b'{"id": 1, "text": "\xff"}', Reason.LINE_INVALID),
        (b"[" * 100_000, Reason.LINE_INVALID),
        (b'{"id": 1, "text": "a", "note": ' + b"[" * 100_000, Reason.LINE_INVALID),
        (b"null", Reason.LINE_NOT_OBJECT),
        (b'["text"]', Reason.LINE_NOT_OBJECT),
        (b'{"id": 1}', Reason.TEXT_MISSING),
        (b'{"id": 1, "text": 5}', Reason.TEXT_MISSING),
        (b'{"id": 1, "text": null}', Reason.TEXT_MISSING),
        (b'{"id": true, "text": "a"}', Reason.TEXT_MISSING),
    ],
)
def test_a_row_that_does_not_fit_is_a_drop_and_the_others_stay(
    tmp_path: Path, line: bytes, reason: Reason
) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(lines(ROWS[:1]) + line + b"\n\n" + lines(ROWS[1:]))
    (_, first), (place, drop), *rest = read_rows(path, Row)
    assert [first, *(row for _, row in rest)] == ROWS
    assert place == "line 2"
    assert isinstance(drop, Drop)
    assert drop.reason is reason
    assert 0 < len(drop.detail) <= 200


@pytest.mark.parametrize(
    "line",
    [
        json.dumps({"id": "a\ud800", "text": "b\udfff", "note": float("nan")}).encode(),
        b'\xef\xbb\xbf{"id": "a\xef\xbf\xbd", "text": "b\xef\xbf\xbd", "note": NaN}',
    ],
    ids=["half pairs and NaN", "byte order mark"],
)
def test_a_row_as_python_and_windows_write_it_is_a_row(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "t.jsonl").write_bytes(line + b"\n")
    (row,) = found(tmp_path / "t.jsonl")
    assert isinstance(row, Row)
    assert (row.id, row.text, str(row.note)) == ("a\ufffd", "b\ufffd", "nan")


@pytest.mark.parametrize("pack", PACKS[1:])
def test_torn_and_damaged_files_are_input_errors_with_the_byte(tmp_path: Path, pack: Pack) -> None:
    path = tmp_path / "t.jsonl"
    packed = pack(lines(ROWS * 500))
    path.write_bytes(packed[:-9])
    with pytest.raises(InputError, match=rf"t\.jsonl, byte {len(packed) - 9}: (torn|damaged)"):
        found(path)
    middle = len(packed) // 2
    path.write_bytes(packed[:middle] + b"\0\xff" * 50 + packed[middle + 100 :])
    with pytest.raises(InputError, match=r"t\.jsonl, .*byte \d+"):
        found(path)


def test_parquet_without_a_column_that_is_needed_is_refused_naming_what_it_has(
    tmp_path: Path,
) -> None:
    pq.write_table(pa.table({"id": ["x"], "content": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"columns are id, content\. It needs `id` and `text`"):
        found(tmp_path / "t.parquet")


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["x"], "text": ["x" * 1000]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"t\.parquet: damaged"):
        found(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: cannot be read: No such file"):
        found(tmp_path / "nowhere")


def test_a_lone_surrogate_is_u_fffd_and_a_pair_is_its_character() -> None:
    assert without_surrogates("a\ud800b") == "a\ufffdb"
    assert without_surrogates("\ud83d\ude00") == "😀"
