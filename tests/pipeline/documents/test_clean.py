import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.clean import clean_line, clean_text

ODD = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from(
            list("ab \n\t\r\u00a0\u00ad\u200b\u200c\u200d\u2028\ufeff\ud800e\u0301ب👩")
            + list(
                "\u200e\u202e\u2066\ufe0f\U000e0100\U000e0041🏴\u180e\u1820\u0323\u0591\u212b\ufdd0"
            )
        ),
    )
)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("co\u00adop\u200ber\ufeffate", "cooperate"),
        ("a\u00a0b\u2009c\u3000d", "a b c d"),
        ("\ufeff one\n\u200b two", "one\ntwo"),
        ("\ufeff    indented", "    indented"),
        ("bell\x07 and \x1b[31mred", "bell and [31mred"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("one  \n\n\n\n two\t\n", "one\n\n two"),
        ("cafe\u0301", "café"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("    def f():\n        return  1", "    def f():\n        return  1"),
        ("\n\n title", " title"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d👧", "👩\u200d👧"),
        ("word\u200c\u200d", "word"),
        ("e\u200d\u0301", "é"),
        ("\u212b\u200d", "\u00c5"),
        ("left\u200e to \u202aright\u202c \u2066x\u2069", "left to right x"),
        ("a \u05d0\u200e!", "a \u05d0\u200e!"),
        ("a \u202eb\u202c", "a \u202eb\u202c"),
        ("hid\U000e0068\U000e0069den", "hidden"),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f", "\U0001f3f4\U000e0067\U000e0062\U000e007f"),
        ("\u2764\ufe0f", "\u2764\ufe0f"),
        ("\U0001f600\U000e0100\U000e0155\ufe0f", "\U0001f600\U000e0100"),
        ("\u1820\u180e\u1820 x\u180e", "\u1820\u180e\u1820 x"),
        ("a\ufdd0b", "ab"),
        ("a" + "\u0301" * 31, "\u00e1" + "\u0301" * 29 + "\u034f\u0301"),
        ("", ""),
    ],
)
def test_what_cannot_be_seen_goes_and_what_can_stays(text, clean):
    assert clean_text(text) == clean


@given(ODD)
def test_a_clean_text_stays_as_it_is(text):
    assert clean_text(clean_text(text)) == clean_text(text)


@given(ODD)
def test_nothing_that_can_be_seen_is_taken_away(text):
    def seen(characters):
        composed = unicodedata.normalize("NFC", characters)
        return [c for c in composed if unicodedata.category(c)[0] in "LNPS"]

    without_marks = "".join(c for c in text if unicodedata.category(c)[0] != "M")
    kept = seen(clean_text(without_marks))
    assert [c for c in seen(without_marks) if c != "\ufffc"] == kept


@given(ODD)
def test_a_clean_text_can_be_encoded_and_holds_one_kind_of_space(text):
    clean = clean_text(text)
    clean.encode("utf-8")
    assert not {c for c in clean if c.isspace()} - {" ", "\n", "\t"}
    assert "\n\n\n" not in clean


def test_a_line_has_single_spaces():
    assert clean_line(" A\n title\u00a0\u00a0here ") == "A title here"


@pytest.mark.parametrize(
    "piece", [" ", "\t ", "\u200d", "\n ", "\u00ad", "\r", "\u0301\u0323", "\ufe0f", "\U000e0041"]
)
def test_time_is_linear_in_the_text(piece):
    started_s = time.process_time()
    clean_text(f"a{piece * 1_000_000}b")
    assert time.process_time() - started_s < 5


def test_a_control_character_is_cleaned_though_nothing_else_is_to_be():
    invisible = {*range(0x09), *range(0x0E, 0x20), 0x7F}
    breaks = {0x0B, 0x0C, 0x0D}
    for code in range(0x80):
        between = "" if code in invisible else "\n" if code in breaks else chr(code)
        assert clean_text(f"a{chr(code)}b") == f"a{between}b"
