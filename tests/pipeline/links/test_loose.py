"""Words, numbers as text and times from databases and spreadsheets: their meaning, or none."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.links import loose

NULLS = [None, float("nan"), "", " ", "null", "NULL", "None", "NaN", "nan", "NaT", "<NA>", r"\N"]


@pytest.mark.parametrize(
    "value",
    [True, 1, 1.0, "True", "true", "TRUE", "t", "yes", "Y", "1", " on ", "1.0", "\x01"],
)
def test_every_word_for_true_is_true(value: Any) -> None:
    assert loose.flag(value) is True


@pytest.mark.parametrize(
    "value",
    [False, 0, 0.0, "False", "false", "F", "no", "n", "0", "off", "0.0", "\x00"],
)
def test_every_word_for_false_is_false(value: Any) -> None:
    assert loose.flag(value) is False


@pytest.mark.parametrize("value", NULLS)
def test_every_word_for_null_says_nothing(value: Any) -> None:
    assert loose.flag(value) is None
    assert loose.whole(value, 100) is None
    assert loose.seconds(value) is None


@pytest.mark.parametrize("value", ["maybe", 2, -1, 0.5, "WAHR", "truefalse", [], {}, [True]])
def test_a_flag_without_a_meaning_is_no_flag(value: Any) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        loose.flag(value)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("10", 10), (" 10 ", 10), ("10.0", 10), ("+3", 3), ("-3", -3), ("\u22123", -3),
        ("1e3", 1000), ("1.2E+03", 1200), ("1,234", 1234), ("-1,234,567", -1234567), ("7.", 7),
        (10, 10), (10.0, 10), ("0", 0), ("007", 7),
        ("1.234", None), ("1.000", None), ("12,34", None), ("1 234", None), ("10.5", None),
        (3.7, None), ("ten", None), ("0x10", None), ("1_000", None), ("\u0663", None), (True, None),
        ("True", None), ([3], None), ("9" * 30, None), (10**30, None), (float("inf"), None),
        ("Infinity", None), ("1e99", None), ("5 points", None),
    ],
)  # fmt: skip
def test_a_number_as_text_is_read_or_is_none(value: Any, meant: int | None) -> None:
    assert loose.whole(value, 2**31) == meant


@given(st.integers(-(2**31) + 1, 2**31 - 1))
def test_any_score_is_the_same_in_all_its_spellings(score: int) -> None:
    spellings = [
        score,
        float(score),
        str(score),
        f" {score} ",
        f"{score}.0",
        f"{score:,}",
        f"{score:+}",
    ]
    assert {loose.whole(value, 2**31) for value in spellings} == {score}


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (1398902400, 1398902400), (1398902400.7, 1398902400), ("1398902400", 1398902400),
        ("1398902400.000", 1398902400), ("1398902400.7", 1398902400),
        ("1.398902400E9", 1398902400),
        ("2014-05-01", 1398902400), ("2014-05-01 00:00:00", 1398902400),
        ("2014-05-01T00:00:00Z", 1398902400), ("2014-05-01 00:00:00 UTC", 1398902400),
        ("2014-05-01 00:00:00.000000 UTC", 1398902400), ("2014-05-01 02:00:00+02:00", 1398902400),
        ("2014-05-01 02:00:00+02", 1398902400), ("2014-05-01T00:00:00+0000", 1398902400),
        ("2014-05-01 00:00", 1398902400),
        ("1.4E+09", None), ("1.3989E+09", None), ("05/01/2014", None), ("2014-05", None),
        ("2014-13-01", None), ("2014-05-01 25:00:00", None), ("May 1, 2014", None),
        ("2014-05-01 00:00:00 CEST", None), (True, None), ([1], None), (1e300, None),
        ("soon", None),
    ],
)  # fmt: skip
def test_a_time_is_read_where_it_has_one_meaning(value: Any, meant: int | None) -> None:
    assert loose.seconds(value) == meant


def test_a_text_that_cannot_be_written_is_no_text() -> None:
    assert loose.text("a\ud83d") == ""
    assert loose.text(87) == "87"
    assert loose.text(None) == loose.text(True) == loose.text(1.5) == ""
    assert loose.joined("\ud83d\ude00") == "\U0001f600"
    assert loose.printable("a\ud83d") == r"a\ud83d"


@pytest.mark.parametrize(
    "value",
    [
        *({"a": True}, '{"a": true}', "{'a': True}", ' {"a": true} '),
        *([{"a": True}], [None, {"a": False}, {"a": True}], '[{"a": true}]', "[{'a': True}]"),
        *([["a", True]], [("a", True)], [{"key": "a", "value": True}]),
    ],
)
def test_an_object_is_read_from_its_text_a_list_or_pairs_too(value: Any) -> None:
    assert loose.mapping(value) == {"a": True}


@pytest.mark.parametrize("value", [None, "", "None", "x", 3, float("nan"), "[]", [], [None], [{}]])
def test_what_is_no_object_is_an_empty_one(value: Any) -> None:
    assert loose.mapping(value) == {}


@pytest.mark.parametrize("value", ['{"a": tr', "[object Object]", "{" * 50_000, '{"removal_type"'])
def test_an_object_that_was_cut_is_an_error(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        loose.mapping(value)
