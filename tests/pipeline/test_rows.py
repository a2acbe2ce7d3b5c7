import decimal
import gzip
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.errors import InputError
from pipeline.lines import Lines
from pipeline.reasons import Drop, Reason
from pipeline.rows import HALF_PAIRS, array_rows, json_rows, parquet_rows, without_surrogates


class Row(msgspec.Struct):
    id: str | int
    text: str
    note: Any = None


ROWS = [Row("a", "one"), Row(17, "two\n", "x"), Row(str(2**70), "three é 中")]
PACKS = [bytes, gzip.compress, lzma.compress, zstandard.ZstdCompressor().compress]
Pack = Callable[[bytes], bytes]


def lines(rows: list[Row]) -> bytes:
    return b"".join(msgspec.json.encode(row) + b"\n" for row in rows)


def read_lines(path: Path) -> Iterator[tuple[str, Row | Drop]]:
    with Lines(path) as every:
        yield from json_rows(enumerate(every, 1), Row)


def found(path: Path) -> list[Row | Drop]:
    return [row for _, row in read_lines(path)]


def of_parquet(path: Path) -> list[tuple[str, Row | Drop]]:
    return list(parquet_rows(path, Row, ("id", "text")))


def of_array(path: Path, data: bytes) -> list[tuple[str, Row | Drop]]:
    path.write_bytes(data)
    return list(array_rows(path, Row))


@pytest.mark.parametrize("pack", PACKS)
def test_json_lines_are_read_however_they_are_packed(tmp_path: Path, pack: Pack) -> None:
    path = tmp_path / "rows"
    path.write_bytes(pack(lines(ROWS[:2]) + b"\r\n \n") + pack(lines(ROWS[2:])))
    assert list(read_lines(path)) == list(zip(["line 1", "line 2", "line 5"], ROWS, strict=True))


def test_parquet_is_read_by_its_columns(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", None, "c"], "text": ["one", "two", None], "more": [1, 2, 3]})
    pq.write_table(table, tmp_path / "rows")
    (first, row), (second, no_id), (third, no_text) = of_parquet(tmp_path / "rows")
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
    (_, first), (place, drop), *rest = read_lines(path)
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
    with pytest.raises(InputError, match=r"columns are id, content\. It needs `text`"):
        of_parquet(tmp_path / "t.parquet")


def test_damaged_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": ["x"], "text": ["x" * 1000]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"t\.parquet: damaged"):
        of_parquet(path)


STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
BINARIES = [pa.binary(), pa.large_binary(), pa.binary_view()]


@pytest.mark.parametrize(
    "column",
    [
        *(pa.array(["one é 中", "two"], kind) for kind in STRINGS),
        *(pa.array(["one é 中".encode(), b"two"], kind) for kind in BINARIES),
        pa.array(["one é 中", "two"]).dictionary_encode(),
        pa.array(["one é 中".encode(), b"two"]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_every_kind_of_string_in_parquet_is_text(tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(pa.table({"id": column, "text": column}), tmp_path / "t")
    texts = ["one é 中", "two"]
    assert of_parquet(tmp_path / "t") == [
        (f"row {number}", Row(text, text)) for number, text in enumerate(texts, 1)
    ]


def broken_strings() -> pa.Array:
    """A column that calls itself text and is none: what some writers leave in Parquet."""
    data = pa.array([b"good", b"b\xe9d"], pa.binary())
    return pa.Array.from_buffers(pa.string(), 2, data.buffers())


@pytest.mark.parametrize(
    "column",
    [pa.array([b"good", b"b\xe9d"], pa.binary()), broken_strings()],
    ids=["binary", "string"],
)
def test_bytes_that_are_no_utf_8_stay_bytes_and_the_other_rows_are_text(
    tmp_path: Path, column: pa.Array
) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["x", "y"], "note": column}), tmp_path / "t")
    (_, good), (_, bad) = of_parquet(tmp_path / "t")
    assert isinstance(good, Row)
    assert isinstance(bad, Row)
    assert (good.note, bad.note) == ("good", b"b\xe9d")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2]),
        pa.array([["a"], ["b"]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([decimal.Decimal("1.5"), decimal.Decimal("2.5")]),
        pa.array([b"abcd", b"efgh"], pa.binary(4)),
    ],
    ids=lambda column: str(column.type),
)
def test_a_column_of_texts_that_holds_none_is_refused_by_its_type(
    tmp_path: Path, column: pa.Array
) -> None:
    pq.write_table(pa.table({"id": ["a", "b"], "text": column}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"t\.parquet: its column `text` is .*column of strings"):
        of_parquet(tmp_path / "t.parquet")


ARRAY = [
    {"id": f"d{n}", "text": 'a ] [ { , "' * (n % 7), "note": [n, {"x": None}]} for n in range(9)
]
EACH = [json.dumps(row) for row in ARRAY]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ARRAY),
        json.dumps(ARRAY, indent=2),
        "[\n" + ",\n".join(EACH) + "\n]\n",
        "[\n" + ",\n".join(EACH) + ",\n]",
        "[\n  " + "\n, ".join(EACH) + "\n]",
        "\ufeff[\r\n" + ",\r\n".join(EACH) + "]\r\n\r\n",
    ],
    ids=["one line", "indented", "a line each", "trailing comma", "leading comma", "Windows"],
)
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_an_array_gives_its_objects_however_its_lines_are_broken(
    tmp_path: Path, text: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Lines.chunks
    monkeypatch.setattr(Lines, "chunks", lambda lines: whole(lines, chunk))
    rows = of_array(tmp_path / "t.json", text.encode())
    assert rows == [
        (f"element {number}", Row(row["id"], row["text"], row["note"]))
        for number, row in enumerate(ARRAY, 1)
    ]


def test_an_element_that_is_no_row_is_a_drop_and_the_others_stay(tmp_path: Path) -> None:
    rows = of_array(tmp_path / "t", b'[{"id": 1, "text": "a"}, 12, null, ["b"], {"id": 2}, "c"]')
    assert [row.reason if isinstance(row, Drop) else row.id for _, row in rows] == [
        1,
        *[Reason.LINE_NOT_OBJECT] * 3,
        Reason.TEXT_MISSING,
        Reason.LINE_NOT_OBJECT,
    ]
    assert of_array(tmp_path / "t", b"[]") == of_array(tmp_path / "t", b"[ ,\n]\n") == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (json.dumps(ARRAY).encode()[:-1], "element 9: .* no end"),
        (json.dumps(ARRAY).encode()[:-40], "element 9: .* no end"),
        (b'[{"id": 1}, {"id": 2} oops, {"id": 3}]', "element 3: this element is no JSON"),
        (b'[{"id": 1}] [{"id": 2}]', r"element 1: more follows .* `jq -c '\.\[\]'"),
        (b'[{"id": 1}, {"text": "\xe9"}]', "after element 0: it is not UTF-8"),
        (b"[" * 100_000, "element 1: this element is no JSON"),
    ],
)
def test_a_broken_array_is_an_input_error_with_the_element(
    tmp_path: Path, data: bytes, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        of_array(tmp_path / "t.json", data)


def test_half_a_surrogate_pair_in_what_is_read_is_counted(tmp_path: Path) -> None:
    odd: Counter[str] = Counter()
    rows = [{"id": 1, "text": "a\ud800"}, {"id": 2, "text": "b", "other": "\ud800"}]
    numbered = enumerate((json.dumps(row).encode() for row in rows), 1)
    assert [row for _, row in json_rows(numbered, Row, odd)] == [Row(1, "a\ufffd"), Row(2, "b")]
    assert odd == {HALF_PAIRS: 1}


def test_half_a_surrogate_pair_in_a_name_that_is_not_read_is_no_fault(tmp_path: Path) -> None:
    row = b'{"id": 1, "text": "a", "\\ud800": 2}'
    assert [found for _, found in json_rows([(1, row)], Row)] == [Row(1, "a")]
    assert of_array(tmp_path / "t.json", b"[" + row + b"]") == [("element 1", Row(1, "a"))]


def test_a_lone_surrogate_is_u_fffd_and_a_pair_is_its_character() -> None:
    assert without_surrogates("a\ud800b") == "a\ufffdb"
    assert without_surrogates("\ud83d\ude00") == "😀"
