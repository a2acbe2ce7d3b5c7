"""What the value of a class or an id says, and how much of it is remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.blocks import names
from pipeline.documents.blocks.names import BAD, GOOD, MAYBE, NAME_GROUPS, NAMES, UNLIKELY


def groups(value):
    mask = NAMES[value][0]
    return [one.split()[0] for bit, one in enumerate(NAME_GROUPS) if mask >> bit & 1]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("post-body", ["post", "body"]),
        ("postBody", ["post", "body"]),
        ("side-bar2", ["sidebar"]),
        ("SideBar", ["sidebar"]),
        ("xpost", []),
        ("", []),
    ],
)
def test_words_end_at_what_is_no_letter_and_before_a_capital(value, found):
    assert sorted(groups(value)) == sorted(
        one.split()[0] for one in NAME_GROUPS if {*one.split()} & {*found}
    )


@pytest.mark.parametrize(
    ("value", "signs"),
    [
        ("entry-content", GOOD | MAYBE),
        ("Sidebar", BAD | UNLIKELY),
        ("com-x", BAD),
        ("ad-break", UNLIKELY),
        ("swiper-pagination", GOOD | UNLIKELY),
        ("row", 0),
    ],
)
def test_signs_stand_anywhere_in_a_name(value, signs):
    assert NAMES[value][2] == signs


def test_a_kind_has_no_digits():
    assert NAMES["post-12 row3"][1] == "post- row"


def test_names_are_remembered_however_many_came_before_and_no_more_than_so_many(monkeypatch):
    monkeypatch.setattr(names, "_REMEMBERED_MAX", 3)
    NAMES.clear()
    for number in range(8):
        NAMES[f"a{number}"]
    assert "a7" in NAMES
    assert len(NAMES) <= 3


@given(st.one_of(*(st.from_regex(one) for one in (names._CONSENT, names._READ_ALOUD))))
def test_one_of_the_stems_is_in_each_name_that_a_pattern_finds(name):
    assert any(stem in name for stem in names._STEMS)
