"""What attributes say: names, signs and marks; test_compiled_walk.py says the same of names.c."""

import pytest
from lxml import html as lxml_html

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


def element_of(given_attributes):
    element = lxml_html.Element("div")
    for name, value in given_attributes.items():
        element.set(name, value)
    return element


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
