"""What the value of a class or an id says, and how much of it is remembered."""

import pytest
from hypothesis import example, given
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


WORDS = [*names.bits_of(NAME_GROUPS), *(part for part, _ in names._parts())]
PIECE = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS).map(str.title),
    st.sampled_from(
        ["-", "_", " ", "  ", "\t", "\x1c", "1", "A", "HTML", "x", "É", "\u212a", "\ud800"]
    ),
    st.text(max_size=3),
)


@pytest.mark.skipif(not names.compiled, reason="no compiler was at hand at the installation")
@given(st.lists(PIECE, max_size=8).map("".join))
@example("x" * 499 + " post")
@example("APost HTMLText newsURL")
def test_compiled_names_are_read_as_those_of_python(name):
    found = names._read_name_here(name)
    assert names.compiled.read_name(name) in (None, found)
    assert names._read_name(name) == found


@pytest.mark.skipif(not names.compiled, reason="no compiler was at hand at the installation")
def test_most_names_are_read_by_the_compiled_module():
    assert names.compiled.read_name("Post-body2 nav") == names._read_name_here("Post-body2 nav")


@given(st.one_of(*(st.from_regex(one) for one in (names._CONSENT, names._READ_ALOUD))))
def test_one_of_the_stems_is_in_each_name_that_a_pattern_finds(name):
    assert any(stem in name for stem in names._STEMS)
