import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import characters
from pipeline.characters import (
    CGJ,
    normal_form,
    same_shape,
    same_words,
    stream_safe,
    without_ignorable,
)

FORMS = ["NFC", "NFD", "NFKC", "NFKD"]
# Marks of several classes, marks of two non-starters or with a compatibility mapping, marks beyond
# U+FFFF, letters that end with marks, starters.
MARKS = "\u0301\u0323\u0334\u0344\u0345\u0f73\u0f75\u0f81\uff9e\u3099\u05b4\U0001e944\U0001d165"
MIXTURE = st.text(
    st.one_of(st.sampled_from(MARKS), st.sampled_from("aé\u1f82Å가\u034f\u200d😀\u00a8\u0f71"))
)
LONG = st.builds(
    lambda head, run, times, tail: head + run * times + tail,
    MIXTURE,
    st.text(st.sampled_from(MARKS), min_size=1, max_size=9),
    st.integers(0, 12),
    MIXTURE,
)


def by_the_book(text: str) -> str:
    """UAX #15's Stream-Safe Text Process, character by character."""
    count, out = 0, []
    for c in text:
        combining = [unicodedata.combining(d) for d in unicodedata.normalize("NFKD", c)]
        leading = next((i for i, ccc in enumerate(combining) if not ccc), len(combining))
        if count + leading > 30:
            out.append(CGJ)
            count = 0
        out.append(c)
        if all(combining):
            count += len(combining)
        else:
            count = next(i for i, ccc in enumerate(reversed(combining)) if not ccc)
    return "".join(out)


def longest_run(text: str) -> int:
    run = longest = 0
    for c in unicodedata.normalize("NFKD", text):
        run = run + 1 if unicodedata.combining(c) else 0
        longest = max(longest, run)
    return longest


@given(LONG)
def test_runs_of_marks_are_broken_as_uax_15_says(text):
    assert stream_safe(text) == by_the_book(text)


@given(LONG, st.sampled_from(FORMS))
def test_no_normal_form_has_a_longer_run_and_none_changes_again(text, form):
    normal = normal_form(form, text)
    assert longest_run(normal) <= 30
    assert normal_form(form, normal) == normal
    assert unicodedata.is_normalized(form, normal)


@given(LONG, st.sampled_from(FORMS))
def test_nothing_is_lost_but_for_the_breaks(text, form):
    text = text.replace(CGJ, "")
    unbroken = unicodedata.normalize(form, normal_form(form, text).replace(CGJ, ""))
    assert unbroken == unicodedata.normalize(form, text)


@given(st.text(), st.sampled_from(FORMS))
def test_a_text_without_long_runs_has_its_plain_normal_form(text, form):
    if longest_run(text) <= 30:
        assert stream_safe(text) == text
        assert normal_form(form, text) == unicodedata.normalize(form, text)


@pytest.mark.parametrize(
    ("head", "mark", "first"),
    [
        ("a", "\u0301", 30),
        ("", "\u0301", 30),
        ("\u1f82", "\u0301", 27),  # three of its own
        ("a", "\u0344", 15),  # counts as two
        ("a", "\uff9e", 30),  # a starter that is none in NFKD
        ("a", "\U0001e944", 30),
    ],
)
def test_the_first_break_stands_after_thirty_non_starters(head, mark, first):
    whole = head + mark * first
    assert stream_safe(whole) == whole
    assert stream_safe(whole + mark) == whole + CGJ + mark


def test_a_million_marks_and_a_million_emoji_are_no_work():
    # By insertion a run of so many would take hours: the test's own time limit is the assertion.
    marks = "a" + "\u0301\u0323" * 500_000
    for form in FORMS:
        assert len(normal_form(form, marks)) > 1_000_000
    assert normal_form("NFC", "😀" * 1_000_000) == "😀" * 1_000_000


def test_the_tables_reach_over_all_of_unicode():
    for character in map(chr, range(0xA0, sys.maxunicode + 1)):
        leading, trailing, whole = characters._ends(character)
        # What the length of a candidate run is reckoned from.
        assert leading <= (2 if whole else 0)
        assert trailing <= 3
        if whole:
            assert characters._candidates().fullmatch(character * characters._CANDIDATES_MIN)
        if ord(character) not in characters._MAPPED:
            assert characters._plain(character) == character


@pytest.mark.parametrize(
    "hidden",
    [
        *("\u00ad", "\u034f", "\u061c", "\u180e", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f"),
        *("\u202a", "\u202c", "\u202e", "\u2060", "\u2064", "\u2066", "\u2069", "\ufeff"),
        *("\ufe0e", "\ufe0f", "\U000e0001", "\U000e0041", "\U000e0100", "\u115f", "\u180b"),
    ],
)
def test_what_is_not_seen_does_not_count(hidden):
    assert without_ignorable(f"{hidden}wo{hidden}rd{hidden}") == "word"
    assert same_shape(f"{hidden}wo{hidden}rd{hidden}") == "word"
    assert same_words(f"{hidden}wo{hidden}rd{hidden}") == "word"


@given(st.one_of(st.text(), LONG))
def test_the_quick_way_of_ordinary_texts_gives_the_same(text):
    bare = without_ignorable(text)
    assert same_words(text) == normal_form("NFKC", bare)
    _, pattern, plain = characters._shapes()
    assert same_shape(text) == normal_form("NFC", pattern.sub(lambda m: plain[m[0]], bare))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Ａｂｃ１２３！", "Abc123!"),
        ("ｶﾞ", "ガ"),
        ("\ufb01n\ufb02ow \u017fo", "finflow so"),
        ("Ⅷ ĳ ǆ", "VIII ij d\u017e"),
        ("a\u00a0b\u2009c\u3000d", "a b c d"),
        ("non\u2011breaking", "non\u2010breaking"),
        ("ﻣﺮﺣﺒﺎ", "مرحبا"),
        ("ทำ", "ท\u0e4d\u0e32"),
        ("\ufe35x\ufe36", "(x)"),
        ("e\u0301", "é"),
    ],
)
def test_width_ligatures_and_presentation_forms_are_one_shape(text, plain):
    assert same_shape(text) == plain


@pytest.mark.parametrize(
    "sign",
    ["10⁶", "x²", "½", "¼", "1⁄2", "H₂O", "①", "㎡", "㎏", "⑴", "⒈", "1º", "™", "ℝ", "𝐇", "…", "℃"],
)
def test_a_sign_that_changes_a_meaning_stays_what_it_is(sign):
    assert same_shape(sign) == sign
