"""What attributes say is the same, compiled and not."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import html as lxml_html

from pipeline.documents.blocks import attributes, names
from pipeline.documents.blocks.attributes import (
    CONSENTS,
    CONSENTS_BY_ID,
    HIDES,
    HREF,
    OPEN,
    ROLE,
    SPOKEN,
    STYLE,
    read_attributes,
)
from pipeline.documents.blocks.names import BAD, GOOD, MAYBE, UNLIKELY

WORDS = [*names.bits_of(names.NAME_GROUPS), *(part for part, _ in names._parts())]
PIECE = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(WORDS).map(str.title),
    st.sampled_from([*"-_ \t1Ax", "  ", "HTML", "É", "\u2003", "\u212a"]),
    st.text(
        st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"),
        max_size=3,
    ),
)
VALUE = st.lists(PIECE, max_size=8).map("".join)
NAME = st.sampled_from("class id role itemprop href style hidden open title".split())


def element_of(given_attributes):
    element = lxml_html.Element("div")
    for name, value in given_attributes.items():
        element.set(name, value)
    return element


@pytest.mark.skipif(not names.compiled, reason="no compiler was at hand at the installation")
@given(st.dictionaries(NAME, VALUE))
@example({"class": "x" * 499 + " post"})
@example({"class": "APost HTMLText newsURL"})
@example({"id": "post-12 34 É", "class": "12 a 3"})
def test_compiled_attributes_are_read_as_those_of_python(given_attributes):
    element = element_of(given_attributes)
    assert names.compiled.read_attributes(element) == attributes._read_attributes(element)


@pytest.mark.parametrize(
    ("given_attributes", "kind", "signs", "marks"),
    [
        ({}, "", 0, 0),
        ({"class": "post-12 row3", "href": ""}, "post- row", GOOD, HREF),
        ({"id": "sidebar", "role": "note"}, "", 16 * (BAD | UNLIKELY), ROLE),
        ({"id": "didomi-host", "open": ""}, "", 0, OPEN | CONSENTS_BY_ID),
        ({"class": "osano-cm", "style": ""}, "osano-cm", 0, STYLE | CONSENTS),
        ({"class": "sr-only", "hidden": ""}, "sr-only", 0, SPOKEN | HIDES),
        ({"class": "Hauptüberschrift main"}, "Hauptüberschrift main", GOOD | MAYBE, 0),
    ],
)
def test_attributes_say_names_signs_and_marks(given_attributes, kind, signs, marks):
    assert read_attributes(element_of(given_attributes))[1:] == (kind, signs, marks)
