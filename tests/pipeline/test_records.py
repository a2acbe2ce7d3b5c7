"""Rows that are declared once, by their class."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pytest

from pipeline.records import content_of, schema_of


@dataclass
class Row:
    id: str
    split: Literal["train", "val"]
    rows: int
    seen_s: int | None
    share: float
    kept: bool = True


def test_a_class_gives_its_columns_in_order():
    assert schema_of(Row) == pa.schema(
        [
            ("id", pa.string()),
            ("split", pa.string()),
            ("rows", pa.int64()),
            ("seen_s", pa.int64()),
            ("share", pa.float64()),
            ("kept", pa.bool_()),
        ]
    )


def test_a_type_that_is_no_column_is_refused():
    @dataclass
    class Odd:
        names: tuple[str, ...]

    with pytest.raises(KeyError, match="tuple"):
        schema_of(Odd)


def test_content_is_what_does_not_tell_where_a_page_lies():
    assert content_of(pa.schema([("id", pa.string()), ("warc", pa.string())])) == ("id",)
