"""Anyone's texts: what each row's text, id and address is, and what is said of odd files."""

import gzip
import json
import math
import uuid
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline import texts
from pipeline.errors import InputError
from pipeline.reasons import Drop, Reason
from pipeline.settings import TextsSettings
from pipeline.texts import (
    Found,
    Odd,
    Row,
    fallen,
    given_id,
    read_texts,
    told,
    whole_number,
)

TEXT = "Ein Text über Käse, Öl und süße Äpfel, für alle, die das mögen.\n"


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def read(path: Path, ids: Any = "given") -> tuple[list[Found], list[str]]:
    odd = Odd()
    return list(read_texts(path, path.name, TextsSettings(ids=ids), odd)), told(odd)


def one_of(folder: Path, name: str, data: bytes) -> tuple[list[Found], list[str]]:
    (folder / name).write_bytes(data)
    return read(folder / name)


def the_texts(found: list[Found]) -> list[str]:
    return [each.row.text for each in found if isinstance(each.row, Row)]


def reasons(found: list[Found]) -> list[Reason | None]:
    return [each.row.reason if isinstance(each.row, Drop) else None for each in found]


def test_every_format_gives_the_same_rows_with_their_places(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "one", "url": "https://a.example/x", "host": "given.example"},
        {"id": 17, "text": "two\n\n", "url": "https://b.example/"},
        {"text": "three é 中"},
    ]
    strings = [{**row, "id": str(row["id"]) if "id" in row else None} for row in rows]
    pq.write_table(pa.Table.from_pylist(strings), tmp_path / "p")
    as_lines, _ = one_of(tmp_path, "l", lines(rows))
    as_array, _ = one_of(tmp_path, "a", json.dumps(rows, indent=1).encode())
    as_table, _ = read(tmp_path / "p")
    assert [found.row for found in as_lines] == [found.row for found in as_array]
    for name, found in (("line", as_lines), ("element", as_array), ("row", as_table)):
        assert [each.place for each in found] == [f"{name} {number}" for number in (1, 2, 3)]
    assert [found.id for found in as_lines] == ["a", 17, "l:3"]
    assert [found.id for found in as_array] == ["a", 17, "a:3"]
    assert [found.id for found in as_table] == ["a", "17", "p:3"]
    assert the_texts(as_table) == the_texts(as_lines) == [row["text"] for row in rows]
    addresses = [(each.row.url, each.row.host) for each in as_table if isinstance(each.row, Row)]
    assert addresses == [
        ("https://a.example/x", "given.example"),
        ("https://b.example/", ""),
        ("", ""),
    ]


@pytest.mark.parametrize(
    ("given_as", "id"),
    [
        ("a", "a"),
        (" a b ", " a b "),
        (0, 0),
        (17, 17),
        (17.0, 17),
        (1.5, "1.5"),
        (2**70, 2**70),
        (Decimal("17.00"), 17),
        (b"\x00\xff", "00ff"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        *((nothing, None) for nothing in (None, "", " \t\n", b"", math.nan, math.inf)),
        *((nothing, None) for nothing in (True, False, ["a"], {"a": 1}, Decimal("nan"))),
    ],
)
def test_an_id_is_what_it_means_and_never_how_python_shows_it(given_as: Any, id: Any) -> None:
    assert given_id(given_as) == id


@given(st.from_type(object) | st.lists(st.integers()) | st.floats() | st.binary() | st.text())
def test_an_id_is_none_or_a_name(value: Any) -> None:
    found = given_id(value)
    assert found is None or isinstance(found, int) or found.strip()
    assert not isinstance(found, bool)


def test_rows_without_an_id_are_named_by_file_and_line_and_that_is_said_once(
    tmp_path: Path,
) -> None:
    ids = [None, "", " ", True, ["a"], {"a": "b"}, "given", 5]
    rows = [{"text": f"text {number}", "id": id} for number, id in enumerate(ids)]
    data = lines(rows) + b'\n{"text": "a last one", "id": NaN}\n'
    found, said = one_of(tmp_path, "t.jsonl", data)
    named = [f"t.jsonl:{number}" for number in range(1, 7)]
    assert [each.id for each in found] == [*named, "given", 5, "t.jsonl:10"]
    assert said == ["t.jsonl: rows without an id of their own are named by file and line (7)"]
    found, said = read(tmp_path / "t.jsonl", ids="place")
    assert [each.id for each in found] == [f"t.jsonl:{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 10)]
    assert said == []


def test_ids_of_parquet_are_what_they_mean(tmp_path: Path) -> None:
    columns = {
        "float": pa.array([17.0, math.nan, None]),
        "binary": pa.array([b"abc", b"\xff\x00", b""], pa.binary()),
        "digest": pa.array([b"abcd", b"\xff\0\0\0", None], pa.binary(4)),
        "decimal": pa.array([Decimal("1.0"), Decimal("2.5"), None]),
        "list": pa.array([["a"], [], None]),
        "bool": pa.array([True, False, None]),
    }
    for name, column in columns.items():
        pq.write_table(pa.table({"id": column, "text": ["a", "b", "c"]}), tmp_path / name)
    ids = {name: [each.id for each in read(tmp_path / name)[0]] for name in columns}
    assert ids == {
        "float": [17, "float:2", "float:3"],
        "binary": ["abc", "ff00", "binary:3"],
        "digest": ["61626364", "ff000000", "digest:3"],
        "decimal": [1, "2.5", "decimal:3"],
        "list": ["list:1", "list:2", "list:3"],
        "bool": ["bool:1", "bool:2", "bool:3"],
    }


@pytest.mark.parametrize("odd", [5, 1.5, True, ["a"], {"a": "b"}])
def test_an_odd_address_loses_no_text_and_is_left_out_with_a_word(tmp_path: Path, odd: Any) -> None:
    rows = [
        {"id": 1, "text": "a text", "url": odd, "host": odd},
        {"id": 2, "text": "b", "url": math.nan, "host": None},
    ]
    found, said = one_of(tmp_path, "t.jsonl", lines(rows))
    assert [each.row for each in found] == [
        Row("a text", 1, "", ""),
        Row("b", 2, "", ""),
    ]
    assert said == ["t.jsonl: a `url` or `host` that is no text is left out (2)"]


def test_binary_columns_are_text_where_they_are_utf_8(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": pa.array(["é".encode(), b"\xe9", None], pa.binary()),
            "url": pa.array([b"https://a.example/", b"b", b"\xff"], pa.binary()),
            "id": pa.array([b"1", b"2", b"3"], pa.binary()),
        }
    )
    pq.write_table(table, tmp_path / "t")
    found, _ = read(tmp_path / "t")
    assert reasons(found) == [None, Reason.CHARSET_UNKNOWN, Reason.TEXT_MISSING]
    assert found[0].row == Row("é", "1", "https://a.example/", "")
    assert [each.id for each in found] == ["1", "2", "3"]


@pytest.mark.parametrize("text", [None, 5, True, ["a"], {"a": "b"}])
def test_a_row_whose_text_is_none_is_a_drop_that_keeps_its_id(tmp_path: Path, text: Any) -> None:
    found, _ = one_of(tmp_path, "t.jsonl", lines([{"id": "b", "text": text}, {"id": "c"}]))
    assert reasons(found) == [Reason.TEXT_MISSING] * 2
    assert [each.id for each in found] == ["b", "c"]


@pytest.mark.parametrize("name", ["part-00001.jsonl", "part.gz", "_SUCCESS", "a.txt"])
def test_an_empty_file_has_no_row_and_that_is_said(tmp_path: Path, name: str) -> None:
    said = [f"{name}: an empty file, which gives no row (1)"]
    assert one_of(tmp_path, name, b"") == ([], said)


def test_json_lines_called_text_are_read_as_json_lines_and_that_is_said(tmp_path: Path) -> None:
    found, said = one_of(tmp_path, "t.txt", lines([{"id": 1, "text": "a"}, {"id": 2, "text": "b"}]))
    assert the_texts(found) == ["a", "b"]
    assert said == ["t.txt: JSON by its content, whatever its name says; it is read so (1)"]


# Text files


def test_a_text_file_is_one_document_or_many_between_end_of_text(tmp_path: Path) -> None:
    found, said = one_of(tmp_path, "book.txt.gz", gzip.compress(b"one <\n\nbook\r\n"))
    assert the_texts(found) == ["one <\n\nbook"]
    assert said == []
    data = b"one\n<|endoftext|>\ntwo\n<|endoftext|><|endoftext|>\n<|endof<|endoftext|>"
    found, said = one_of(tmp_path, "book.zst", zstandard.compress(data))
    assert [(each.id, each.place) for each in found] == [
        (f"book.zst:{n}", f"document {n}") for n in (1, 2, 4)
    ]
    assert the_texts(found) == ["one", "two", "<|endof"]


@given(pieces=st.lists(st.text("ab<|endoftx>", max_size=20)), chunk=st.integers(1, 30))
def test_documents_do_not_depend_on_how_their_bytes_come(pieces: list[str], chunk: int) -> None:
    data = "<|endoftext|>".join(pieces).encode()
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    assert list(texts._between(chunks, "<|endoftext|>")) == data.split(b"<|endoftext|>")


def test_a_line_of_text_has_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.lines.LINE_BYTES_MAX", 1000)
    for name, pack in (("t8", bytes), ("t8.gz", gzip.compress), ("t8.zst", zstandard.compress)):
        found, _ = one_of(tmp_path, name, pack(b"anarchism " * 500_000))
        assert the_texts(found) == ["anarchism " * 500_000]


def test_a_document_has_a_limit_and_a_text_file_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "DOCUMENT_BYTES_MAX", 3 << 20)
    piece = b"anarchism " * 200_000
    found, _ = one_of(tmp_path, "t.txt", b"<|endoftext|>".join([piece] * 4))
    assert len(found) == 4
    with pytest.raises(InputError, match=r"t\.txt, document 3: .*more than 3 MiB.*Separate its"):
        one_of(tmp_path, "t.txt", b"<|endoftext|>".join([piece, piece, piece * 2, piece]))


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_is_no_text_and_utf_16_is_read(
    tmp_path: Path, codec: str, mark: bool
) -> None:
    data = (TEXT + "<|endoftext|>" + TEXT).encode(codec)
    found, said = one_of(tmp_path, "t.txt", "\ufeff".encode(codec) * mark + data)
    assert the_texts(found) == [TEXT.strip()] * 2
    name = {"utf-16-le": "utf-16le", "utf-16-be": "utf-16be"}.get(codec)
    assert said == ([f"t.txt: not UTF-8; read as {name} (2)"] if name else [])


def test_text_that_is_not_utf_8_is_decoded_as_a_page_is_and_that_is_said(tmp_path: Path) -> None:
    data = (TEXT * 9).encode("cp1252") + b"<|endoftext|>plain<|endoftext|>" + "größer".encode()
    found, said = one_of(tmp_path, "t.txt", data)
    assert the_texts(found) == [(TEXT * 9).strip(), "plain", "größer"]
    assert said == [
        "t.txt: not UTF-8; read as windows-1252 (1)",
        "t.txt: lines in UTF-8 beside others; each is read as what it is (1)",
    ]


@pytest.mark.parametrize("charset", ["windows-1252", "windows-1251"])
def test_json_lines_that_are_not_utf_8_are_decoded_as_pages_are_and_that_is_said(
    tmp_path: Path, charset: str
) -> None:
    text = TEXT if charset == "windows-1252" else "Это длинный русский текст о погоде и людях. "
    rows = [{"id": "a", "text": text * 9}, {"id": "b", "text": "plain"}]
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(charset)
    found, said = one_of(tmp_path, "t.jsonl", data)
    assert the_texts(found) == [text * 9, "plain"]
    assert said == [f"t.jsonl: not UTF-8; read as {charset} (1)"]


def test_bytes_that_mean_nothing_are_never_replaced_in_silence(tmp_path: Path) -> None:
    data = (TEXT * 20).encode() + b"\xe4\xbd\n" + TEXT.encode()
    found, said = one_of(tmp_path, "t.txt", data)
    assert the_texts(found)[0].count("\ufffd") == 1
    assert said[1] == "t.txt: bytes that mean nothing have become U+FFFD (1)"


def test_bytes_of_no_encoding_are_a_drop(tmp_path: Path) -> None:
    data = b"a text<|endoftext|>" + bytes(range(1, 256)) * 3
    found, _ = one_of(tmp_path, "t", b"a text\n" * 20_000 + data)
    assert reasons(found) == [None, Reason.CHARSET_UNKNOWN]


@pytest.mark.parametrize("blank", ["", " \n\u3000", "\u200b\u200d\u00ad", "\ufeff \u2060"])
def test_a_text_in_which_nothing_is_seen_is_a_drop(tmp_path: Path, blank: str) -> None:
    found, _ = one_of(tmp_path, "t.jsonl", lines([{"text": "a"}, {"id": "b", "text": blank}]))
    assert reasons(found) == [None, Reason.EMPTY_TEXT]
    assert found[1].id == "b"
    found, _ = one_of(tmp_path, "t.txt", f"a<|endoftext|>{blank}b<|endoftext|> {blank} ".encode())
    assert reasons(found) == [None, None, Reason.EMPTY_TEXT]


@pytest.mark.parametrize("start", ["\n<!DOCTYPE html>", "<html lang=en>", "<?xml version='1.0'?>"])
def test_markup_that_is_taken_for_text_is_said(tmp_path: Path, start: str) -> None:
    found, said = one_of(tmp_path, "a.html", f"{start}\n<p>A page".encode())
    assert the_texts(found) == [f"{start}\n<p>A page".strip()]
    assert said == [
        "a.html: HTML or XML, whose tags are taken for text; `webtext extract` makes texts of HTML "
        "(1)"
    ]


# Numbers, gates, sentences


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *((nothing, 0) for nothing in (None, "", " ", math.nan, "NaN", "null", "None", "\\N")),
        ("1,234", 1234),
        (Decimal("NaN"), 0),
        *((whole, 12) for whole in (12, 12.0, "12", " 12 ", "12.0", "1.2e1", Decimal("12.00"))),
        (-3, -3),
        ("-3", -3),
        (2**63 - 1, 2**63 - 1),
        *((odd, None) for odd in (2**63, 1e19, "1e19", -(10**19), math.inf, "-inf", "sNaN x")),
        *(
            (odd, None)
            for odd in (
                0.5,
                "0.5",
                "1,23",
                Decimal("Infinity"),
                True,
                False,
                [1],
                {"a": 1},
                "many",
                "1e999999999",
            )
        ),
    ],
)
def test_a_whole_number_is_read_as_what_it_means(value: Any, number: int | None) -> None:
    assert whole_number(value) == number


def test_a_file_most_of_whose_rows_fall_is_told_with_the_commonest_reason() -> None:
    drops: Counter[str] = Counter({Reason.LINE_INVALID: 39, Reason.EMPTY_TEXT: 1})
    message = fallen("t.jsonl", 79, drops, "line 3, why")
    assert message.startswith("t.jsonl: 40 of 79 rows were dropped, 39 of them as line_invalid")
    assert message.endswith("The first: line 3, why")
    assert fallen("t.jsonl", 80, drops, "") == ""
    assert fallen("t.jsonl", 0, Counter(), "") == ""


def test_what_is_odd_in_many_files_is_one_sentence() -> None:
    odd = Odd({("no id", f"t{number}.jsonl"): 10 for number in range(400)})
    assert told(odd) == [
        "t0.jsonl and 399 more: rows without an id of their own are named by file and line (4,000)"
    ]


@pytest.mark.parametrize("as_array", [False, True])
def test_a_row_without_text_is_told_with_its_fields_once(tmp_path: Path, as_array: bool) -> None:
    rows = [{"id": f"d{n}", "content": "Some text.", "n": n} for n in range(3)]
    data = json.dumps(rows).encode() if as_array else b"\n" + lines(rows)
    found, _ = one_of(tmp_path, "t.jsonl", data)
    details = [each.row.detail for each in found if isinstance(each.row, Drop)]
    assert details == [
        "it has no `text`; its fields are id, content, n; --text-field content takes that one",
        "it has no `text`",
        "it has no `text`",
    ]
    found, _ = one_of(tmp_path, "t.jsonl", b'{"text": null, "id": "a"}\n')
    assert found[0].row == Drop(Reason.TEXT_MISSING, "its `text` is null")


def test_what_others_write_for_json_is_read(tmp_path: Path) -> None:
    data = b'{"id": "a", "text": "one\ttab\x0cfeed"},\n'
    data += b'{"id": "b", "text": "two", "hash": -' + b"9" * 5000 + b"},\r\n"
    data += b'{"id": "c", "text": "three", "loss": NaN, "size": ' + b"9" * 5000 + b"}\n"
    data += b'{"id": ' + b"9" * 5000 + b', "text": "four"}\n'
    found, _ = one_of(tmp_path, "t.jsonl", data)
    assert the_texts(found) == ["one\ttab\x0cfeed", "two", "three", "four"]
    assert [each.id for each in found] == ["a", "b", "c", "t.jsonl:4"]
    array = b"[" + data.replace(b"}\n", b"},\n") + b"]"
    assert the_texts(one_of(tmp_path, "t.json", array)[0]) == the_texts(found)


def test_text_that_looks_like_json_is_said(tmp_path: Path) -> None:
    found, said = one_of(tmp_path, "t.txt", b'{"level": "info"}\n{"level": "warn"}\n')
    assert len(found) == 1
    assert said == [
        "t.txt: it begins like JSON and is taken for text; JSON lines need `text` in each (1)"
    ]


def test_broken_rows_of_json_lines_called_text_are_drops(tmp_path: Path) -> None:
    rows = [{"id": n, "text": f"text {n}"} for n in range(30)]
    data = b'{"id": 99, "text": "cut\n' + lines(rows[:20]) + b"what?\n" + lines(rows[20:])
    found, said = one_of(tmp_path, "t.txt", data)
    assert the_texts(found) == [row["text"] for row in rows]
    assert [reason for reason in reasons(found) if reason] == [Reason.LINE_INVALID] * 2
    assert "t.txt: JSON by its content, whatever its name says; it is read so (1)" in said


@pytest.mark.parametrize(
    ("text", "is_said"),
    [
        ('id;titel;Inhalt\r\n1;"a";"b"\r\n2;"c";"d"\r\n', True),
        ("name\tvalue\nthe cat\t3\nthe dog\t4\n", True),
        ("One, two, three.\nFour, five.\nSix.\n", False),
        ("a,b,c\nd,e,f\n", False),
    ],
)
def test_a_table_that_is_taken_for_text_is_said(tmp_path: Path, text: str, is_said: bool) -> None:
    _, said = one_of(tmp_path, "t.txt", text.encode())
    assert said == is_said * [
        "t.txt: lines like a table's, taken for one text; a file named .csv gives rows (1)"
    ]


def test_pairs_of_surrogates_in_utf_8_are_their_characters(tmp_path: Path) -> None:
    cesu = b"Gr\xc3\xbc\xc3\x9fe \xed\xa0\xbd\xed\xb8\x80"
    for name, data in (("t.txt", cesu), ("t.jsonl", b'{"id": 1, "text": "' + cesu + b'"}\n')):
        assert the_texts(one_of(tmp_path, name, data)[0]) == ["Grüße \U0001f600"]


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.txt", "t.parquet", "t"])
def test_other_fields_may_hold_the_text_and_the_id(tmp_path: Path, name: str) -> None:
    rows = [{"text": 5, "content": f"text {n}", "id": "no", "key": f"k{n}"} for n in range(3)]
    rows.append({"text": 5, "content": None, "id": "no", "key": ""})
    path = tmp_path / name
    if name == "t.parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_bytes(json.dumps(rows).encode() if name == "t.json" else lines(rows))
    rules, odd = TextsSettings(text_field="content", id_field="key"), Odd()
    found = list(read_texts(path, name, rules, odd))
    assert the_texts(found) == ["text 0", "text 1", "text 2"]
    assert [each.id for each in found] == ["k0", "k1", "k2", f"{name}:4"]
    assert found[3].row == Drop(Reason.TEXT_MISSING, "its `content` is null") or (
        name == "t.parquet" and found[3].row == Drop(Reason.TEXT_MISSING, "it has no `content`")
    )


def test_the_url_may_be_the_id_and_is_the_url_too(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(lines([{"text": "a", "id": "x", "url": "http://a.example/"}]))
    (found,) = read_texts(tmp_path / "t", "t", TextsSettings(id_field="url"), Odd())
    assert found.id == found.row.url == "http://a.example/"


@pytest.mark.parametrize("text_field", ["text", "doc.text"])
def test_of_a_text_within_an_object_it_is_told_how_to_lift_it(
    tmp_path: Path, text_field: str
) -> None:
    (tmp_path / "t.jsonl").write_bytes(lines([{"id": 1, "doc": {"text": "within"}}]))
    rules = TextsSettings(text_field=text_field)
    (found,) = read_texts(tmp_path / "t.jsonl", "t", rules, Odd())
    mend = "; `jq -c '.text = .doc.text' FILE > NEW.jsonl` lifts that of `doc`"
    assert found.row.detail == f"it has no `{text_field}`; its fields are id, doc{mend}"


def test_a_missing_text_field_is_told_by_its_name(tmp_path: Path) -> None:
    rules = TextsSettings(text_field="body")
    (tmp_path / "t.jsonl").write_bytes(lines([{"text": "a"}]))
    (found,) = read_texts(tmp_path / "t.jsonl", "t", rules, Odd())
    assert (
        found.row.detail
        == "it has no `body`; its fields are text; --text-field text takes that one"
    )
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "p")
    with pytest.raises(InputError, match=r"columns are text\. It needs `body`: .* by --text-field"):
        list(read_texts(tmp_path / "p", "p", rules, Odd()))
