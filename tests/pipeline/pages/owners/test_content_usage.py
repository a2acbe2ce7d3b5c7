import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.owners.content_usage import usage_of


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("train-ai=n", {"train-ai": False}),
        ("train-ai=y, search=n", {"train-ai": True, "search": False}),
        (" train-ai=n\t,\tsearch=y ", {"train-ai": False, "search": True}),
        ("", {}),
        ("train-ai", {}),  # true, which is no token
        ('train-ai="n"', {}),
        ("train-ai=?0", {}),
        ("train-ai=no", {}),
        ("train-ai=N", {}),
        ("train-ai=y, train-ai, search=n, search=\"n\"", {}),  # the last of a key holds
        ("train-ai=y, train-ai=n", {"train-ai": False}),
        ("train-ai;allow=n, train-ai=y", {"train-ai": True}),
        ('train-ai;has;parameters="?"', {}),
        ("train-ai=n;why=(1 2)", {}),  # a parameter is no list: nothing can be parsed
        ('train-ai=n; why="a\\"b" ;x', {}),
        ('train-ai=n; why="a\\"b";x', {"train-ai": False}),
        ("a=1, b=-2.5, c=:aGk=:, d=(1 a \"b\");q=1, e=@1, f=%\"%c3%a4\", train-ai=n",
         {"train-ai": False}),
        ("a=(), train-ai=n", {"train-ai": False}),
        ("unknown=y, train-ai=n", {"unknown": True, "train-ai": False}),
        ("Train-AI=n", {}),
        ("train-ai=n,", {}),
        (",train-ai=n", {}),
        ("train-ai=n search=y", {}),
        ("train-ai = n", {}),
        ("train-ai=n, b=1.2345", {}),
        ("train-ai=n, b=1234567890123456", {}),
        ("train-ai=n, b=\"open", {}),
        ("train-ai=n, b=\"é\"", {}),
        ("train-ai=n;;", {}),
    ],
)  # fmt: skip
def test_a_dictionary_is_read_as_rfc_9651_says(value, said):
    assert usage_of(value) == said


@given(st.text('ab=yn,;"(\\) :?1.@%', max_size=40))
def test_no_value_makes_the_parser_raise_and_what_is_appended_holds(value):
    said = usage_of(value)
    assert set(said.values()) <= {True, False}
    if said:
        assert usage_of(value + ", train-ai=n")["train-ai"] is False


def test_a_long_value_takes_no_long_time():
    assert usage_of("a=(" + "1 " * 50_000) == {}
    assert usage_of("a;" * 50_000) == {}
    assert usage_of('a="' + "\\" * 50_001) == {}
