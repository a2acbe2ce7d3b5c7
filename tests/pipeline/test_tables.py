import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.reasons import Drop, Reason
from pipeline.settings import TextsSettings
from pipeline.tables import table_rows
from pipeline.texts import Odd, Row, read_texts, told

# What a file in UTF-8 holds, but for NUL, which the reader of Python 3.11 takes and 3.10 did not.
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def rows_of(path: Path, data: str | bytes, needed: str = "text") -> list[dict[str, str] | Drop]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [values for _, values in table_rows(path, needed, Counter())]


@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=5), separator=st.sampled_from(",;\t|")
)
def test_what_pythons_writer_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]], separator: str
) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator)
    writer.writerows([("id", "text", "n"), *rows])
    found = rows_of(tmp_path_factory.mktemp("t") / "t.csv", file.getvalue())
    assert found == [dict(zip(("id", "text", "n"), row, strict=True)) for row in rows]


def test_a_value_stays_the_text_that_it_is(tmp_path: Path) -> None:
    data = '\ufeff\r\nid,text\r\n007,"two\r\nlines, and ""marks"""\r\n\r\nNA,null\r\n'
    assert rows_of(tmp_path / "t.csv", data) == [
        {"id": "007", "text": 'two\r\nlines, and "marks"'},
        {"id": "NA", "text": "null"},
    ]


def test_a_row_of_too_many_or_few_values_is_a_drop_and_the_others_stay(tmp_path: Path) -> None:
    few, many, good = rows_of(tmp_path / "t.csv", "id,text\n1\n2,a,b\n3,c\n")
    assert isinstance(few, Drop) and isinstance(many, Drop)
    assert (few.reason, few.detail) == (Reason.LINE_INVALID, "it has 1 values, the header 2")
    assert many.detail == "it has 3 values, the header 2"
    assert good == {"id": "3", "text": "c"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "id,body\n1,a\n",
            r"line 1: .* columns are id, body\. It needs `text`: .* by --text-field",
        ),
        ("text,n,n\na,1,2\n", "line 1: it has two columns of one name"),
        ('id,text\n1,"a\n2,b\n', "line 3: unexpected end of data. Mend its quotation marks"),
    ],
    ids=["no column of texts", "two of one name", "a mark without an end"],
)
def test_a_table_that_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, data: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        rows_of(tmp_path / "t.csv", data)


def test_rows_are_texts_with_their_ids_and_another_charset_is_said(tmp_path: Path) -> None:
    rows = "key;body;karma\nk1;Süße Grüße aus Köln;3\n;Schöne Wörter überall;\n"
    (tmp_path / "t.csv").write_bytes(rows.encode("latin-1"))
    odd, rules = Odd(), TextsSettings(text_field="body", id_field="key")
    found = list(read_texts(tmp_path / "t.csv", "t.csv", rules, odd))
    assert [(each.place, each.id) for each in found] == [("row 1", "k1"), ("row 2", "t.csv:2")]
    assert [each.row.text for each in found if isinstance(each.row, Row)] == [
        "Süße Grüße aus Köln",
        "Schöne Wörter überall",
    ]
    assert any("not UTF-8" in sentence for sentence in told(odd))
