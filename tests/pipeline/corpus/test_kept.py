"""What `--kept` writes: the kept rows, in their order, with all that they hold."""

import gzip
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.dedup import Results, dedup
from pipeline.errors import InputError
from pipeline.settings import CorpusSettings, TextsSettings

A, B = "The ferry left at nine and nobody saw it go.", "A bell rang twice behind the old mill."


def run(
    *sources: Path, kept: str = "kept.jsonl", texts: TextsSettings = TextsSettings()
) -> tuple[list[dict[str, Any]], Path]:
    """The decisions, and the file of kept rows, beside the first source."""
    folder = sources[0].parent
    results = Results(folder / "decisions.jsonl", folder / kept)
    dedup(sources, results, CorpusSettings(), lambda _: None, texts=texts)
    decisions = [json.loads(line) for line in results.decisions.read_text().splitlines()]
    assert not list(folder.glob(".*"))
    return decisions, folder / kept


def read(path: Path) -> list[Any]:
    if path.suffix == ".parquet":
        rows: list[Any] = pq.read_table(path).to_pylist()
        return rows
    opened: Any = {".gz": gzip.open, ".zst": zstandard.open}.get(path.suffix, open)
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write(path: Path, rows: list[Any]) -> Path:
    if path.suffix == ".parquet":
        names = dict.fromkeys(name for row in rows for name in row)
        rows = [{name: row.get(name) for name in names} for row in rows]
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


PLAIN = st.fixed_dictionaries(
    {"text": st.sampled_from([A, B, A + " " + B, A.upper(), B + " Then it rained.", "", None])},
    optional={
        "n": st.integers(-5, 5),
        "tags": st.lists(st.text("ab", max_size=3), max_size=3),
        "more": st.fixed_dictionaries({"deep": st.text(max_size=5)}),
    },
)


@given(st.lists(st.lists(PLAIN, max_size=8), min_size=1, max_size=3), st.data())
def test_kept_rows_are_those_whose_decision_is_keep_in_their_order(
    files: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    endings = st.sampled_from([".jsonl", ".json", ".parquet"])
    kept_as = data.draw(st.sampled_from(["k.jsonl", "k.jsonl.gz", "k.jsonl.zst", "k.parquet"]))
    with TemporaryDirectory() as folder:
        paths, everything = [], []
        for number, rows in enumerate(files):
            ending = data.draw(endings)
            # Parquet from no rows, or without the column, is not texts; an empty array is one.
            ending = ending if rows else ".jsonl"
            paths.append(write(Path(folder) / f"f{number}{ending}", rows))
            everything += rows
        try:
            decisions, kept = run(*paths, kept=kept_as)
        except InputError as error:
            assert "its column `text` is" in str(error)
            return
        wanted = [row for row, one in zip(everything, decisions, strict=True) if one["keep"]]
        assert [_without_nulls(row) for row in read(kept)] == [
            _without_nulls(row) for row in wanted
        ]


def _without_nulls(row: Any) -> Any:
    """A table's rows have all columns."""
    return {name: value for name, value in row.items() if value is not None}


@pytest.mark.parametrize("kept", ["k.jsonl", "k.parquet"])
def test_kept_rows_of_a_table_have_all_its_columns_as_text(tmp_path: Path, kept: str) -> None:
    (tmp_path / "t.csv").write_text(f"id,text,n\n007,{A},1.50\n8,short\n9,{A.upper()},2\n10,{B},\n")
    decisions, path = run(tmp_path / "t.csv", kept=kept)
    assert [(one["id"], one["reason"]) for one in decisions] == [
        ("007", None), ("t.csv:2", "line_invalid"), ("9", "exact_copy"), ("10", None),
    ]  # fmt: skip
    assert read(path) == [{"id": "007", "text": A, "n": "1.50"}, {"id": "10", "text": B, "n": ""}]


def test_a_line_is_kept_as_it_came(tmp_path: Path) -> None:
    lines = [
        '{"text": "TEXT",   "n": 1.50, "big": 123456789012345678901234567890, "u": "\\u00e9"}',
        '{"id": "b", "text": "TEXT"}',
        '{"zone": null, "text": "B text", "list": [1, {"a": []}]}',
    ]
    (tmp_path / "t.jsonl").write_text("\n" + "\r\n".join(lines) + "\n\n")
    decisions, kept = run(tmp_path / "t.jsonl")
    wanted = [line for line, one in zip(lines, decisions, strict=True) if one["keep"]]
    assert kept.read_text() == "".join(line + "\n" for line in wanted)
    assert len(wanted) == 2


def test_what_was_mended_in_a_line_is_kept_mended(tmp_path: Path) -> None:
    latin = '{"text": "Das Fahrzeug fuhr über die Brücke, später.", "n": [NaN, -Infinity, 1.5]},\n'
    half = '{"text": "A text \\ud800", "inner": ["\\ud83d\\ude00 \\udc00"]}\n'
    (tmp_path / "t.jsonl").write_bytes(b"\xef\xbb\xbf" + half.encode() + latin.encode("latin-1"))
    _, kept = run(tmp_path / "t.jsonl")
    first, second = read(kept)
    assert first == {"text": "A text \ufffd", "inner": ["\U0001f600 \ufffd"]}
    assert second["text"] == "Das Fahrzeug fuhr über die Brücke, später."
    assert second["n"] == [None, None, 1.5]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    schema = pa.schema(
        [
            pa.field("text", pa.large_string()),
            pa.field("when", pa.timestamp("ns", "UTC")),
            pa.field("label", pa.dictionary(pa.int8(), pa.string())),
            pa.field("score", pa.float32(), metadata={"unit": "points"}),
            pa.field("price", pa.decimal128(9, 2)),
            pa.field("raw", pa.binary(2)),
            pa.field("pairs", pa.map_(pa.string(), pa.int16())),
        ],
        {"made": "by hand"},
    )
    moment = datetime(2020, 1, 2, tzinfo=UTC)
    row = [moment, "x", 0.5, Decimal("1.50"), b"\xff\0", [("a", 1)]]
    columns = [[A, None, A, B], *([value, value, value, None] for value in row)]
    table = pa.table(
        [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema=schema
    )
    pq.write_table(table, tmp_path / "t.parquet")
    decisions, kept = run(tmp_path / "t.parquet", kept="k.parquet")
    assert [one["keep"] for one in decisions] == [True, False, False, True]
    theirs = pq.read_table(tmp_path / "t.parquet").take([0, 3])
    assert pq.read_table(kept).equals(theirs, check_metadata=True)
    before = pq.read_schema(tmp_path / "t.parquet")
    assert pq.read_schema(kept).equals(before, check_metadata=True)
    _, kept = run(tmp_path / "t.parquet")
    first, second = read(kept)
    assert first["when"].startswith("2020-01-02") and first["price"] == "1.50"
    assert (first["label"], first["score"]) == ("x", 0.5)
    assert second == {**dict.fromkeys(schema.names), "text": B}


def test_files_of_several_forms_make_one_table_with_all_columns(tmp_path: Path) -> None:
    one = write(tmp_path / "a.parquet", [{"text": A, "n": 1}])
    two = write(tmp_path / "b.jsonl", [{"text": B, "n": 2.5, "url": "http://b.example/"}])
    _, kept = run(one, two, kept="k.parquet")
    assert read(kept) == [
        {"text": A, "n": 1.0, "url": None},
        {"text": B, "n": 2.5, "url": "http://b.example/"},
    ]


def test_rows_that_fit_no_table_are_refused_and_the_decisions_stand(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", [{"text": A, "n": 1}, {"text": B, "n": "one"}])
    with pytest.raises(InputError, match=r"a\.jsonl: its rows do not fit into one table") as info:
        run(path, kept="k.parquet")
    assert "--kept FILE.jsonl" in info.value.mend
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.jsonl", "decisions.jsonl"]


def test_a_text_file_gives_rows_with_the_ids_of_the_decisions(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(f"{A}<|endoftext|>{A}<|endoftext|>\n{B}\n")
    texts = TextsSettings(text_field="content")
    decisions, kept = run(tmp_path / "t.txt", texts=texts)
    assert [one["id"] for one in decisions if one["keep"]] == ["t.txt:1", "t.txt:3"]
    assert read(kept) == [{"id": "t.txt:1", "content": A}, {"id": "t.txt:3", "content": B}]


@pytest.mark.parametrize("kept", ["k.jsonl", "k.parquet"])
def test_where_nothing_is_kept_the_file_is_there_and_empty(tmp_path: Path, kept: str) -> None:
    _, path = run(write(tmp_path / "t.jsonl", [{"text": None}]), kept=kept)
    assert read(path) == []


def test_kept_rows_are_inputs_again_under_the_same_fields(tmp_path: Path) -> None:
    texts = TextsSettings(text_field="body", id_field="key")
    rows = [{"body": A, "key": "a"}, {"body": A, "key": "b"}, {"body": B, "key": "c"}]
    _, kept = run(write(tmp_path / "t.jsonl", rows), texts=texts)
    again, _ = run(kept, kept="again.jsonl", texts=texts)
    assert [(one["id"], one["keep"]) for one in again] == [("a", True), ("c", True)]
