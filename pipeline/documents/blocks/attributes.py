"""What the attributes of an element say: the groups and signs of its names, and marks.

names.c does the same where segment.c walks over the page.
"""

from lxml.html import HtmlElement

from pipeline.documents.blocks.names import CONSENT, NAMES, READ_ALOUD

# It has such an attribute; a name is for screen readers, or that of a dialog that asks for consent.
HREF, STYLE, HIDES, OPEN, ROLE, SPOKEN, CONSENTS, CONSENTS_BY_ID = (1 << bit for bit in range(8))
_NAMED = frozenset(("class", "id", "role", "itemprop"))
_MARKS = {"href": HREF, "style": STYLE, "hidden": HIDES, "open": OPEN, "role": ROLE}
_OF_READABILITY = 15  # signs


def read_attributes(element: HtmlElement) -> tuple[int, str, int, int]:
    """Give back the mask of all names, the kind of the class, signs of it and of the id, and marks.

    The signs of the id are 16 times what they are in names.py.
    """
    mask, kind, signs, marks = 0, "", 0, 0
    for name, value in element.items():
        marks |= _MARKS.get(name, 0)
        if name not in _NAMED:
            continue
        own, words, said = NAMES[value]
        mask |= own
        marks |= SPOKEN if said & READ_ALOUD else 0
        if name == "class":
            kind = words
            signs |= said & _OF_READABILITY
            marks |= CONSENTS if said & CONSENT else 0
        elif name == "id":
            signs |= (said & _OF_READABILITY) << 4
            marks |= CONSENTS_BY_ID if said & CONSENT else 0
    return mask, kind, signs, marks
