import pytest

from pipeline.limits import Bound, read_limit


def test_a_limit_is_one_bound_or_several_of_which_one_is_enough():
    assert read_limit("words >= 50") == [Bound("words", True, 50.0)]
    assert read_limit(" word_chars<=10.5 or braces <= 0") == [
        Bound("word_chars", False, 10.5),
        Bound("braces", False, 0.0),
    ]


@pytest.mark.parametrize(
    "text",
    ["", "words", "words > 50", "wrds >= 5", "words >= many", "words >= -1"],
)
def test_what_is_no_limit_is_none(text):
    assert read_limit(text) is None
