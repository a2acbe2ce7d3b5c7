import random

import pytest

from pipeline.documents.plain import has_controls, is_markup, is_text, utf_16

PAGE = "<html><body><p>The old bridge</p>"
NOISE = random.Random(1).randbytes(2000)


@pytest.mark.parametrize(
    ("body", "controls", "text", "markup"),
    [
        (b"", False, True, False),
        (PAGE.encode(), False, True, True),
        (b"The old bridge", False, True, False),
        (b"The old\t\r\n\f bridge", False, True, False),
        (PAGE.encode() + b"\0", True, False, False),  # one in thirty is no accident
        (PAGE.encode() * 3 + b"\0", True, True, True),
        (b"\x1a" + PAGE.encode() * 9, True, False, False),
        (PAGE.encode("utf-16"), False, True, True),
        (PAGE.encode("utf-16-le"), True, True, True),
        ("河川".encode("utf-16"), False, True, False),
        ("<p>河川".encode("iso2022_jp"), False, True, True),
        (b"<p>\x1b[1mbold", True, False, False),  # an escape of terminals
        (NOISE, True, False, False),
        (b"<p>" + NOISE, True, False, False),
    ],
)
def test_text_is_told_from_what_is_packed_by_its_beginning(body, controls, text, markup):
    assert (has_controls(body), is_text(body), is_markup(body)) == (controls, text, markup)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (PAGE.encode("utf-16-le"), "utf-16le"),
        (PAGE.encode("utf-16-be"), "utf-16be"),
        (b"\xff\xfe" + "河川".encode("utf-16-le"), "utf-16le"),
        (b"\xfe\xff" + "河川".encode("utf-16-be"), "utf-16be"),
        (PAGE.encode(), ""),
        (b"", ""),
        (b"\0" * 99, ""),
    ],
)
def test_utf_16_is_known_by_its_mark_or_its_zeros(body, name):
    assert utf_16(body) == name
