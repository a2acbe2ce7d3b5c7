import pytest

from tools.report.texts import (
    EXCERPT_CHARS,
    differing,
    excerpt,
    marked,
    shared_starts,
    word_count,
)

LONG = "the same words again and again " * 60


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("one two three", "one two three", "one two three"),
        ("one two three", "one three", "one <mark>two</mark> three"),
        ("a b c d", "a d", "a <mark>b c</mark> d"),
        ("a\nb\nc", "a c", "a\n<mark>b</mark>\nc"),
        ("", "a", ""),
        ("a <b> c", "a c", "a <mark>&lt;b&gt;</mark> c"),
        ("a & c", "a & c", "a &amp; c"),
    ],
)
def test_words_of_one_text_alone_are_marked(text, other, expected):
    assert marked(text, other) == expected


def test_where_a_text_is_cut_nothing_is_marked():
    assert "<mark>" not in marked(LONG, LONG)
    assert marked(LONG, LONG).endswith(" …")


def test_two_texts_are_shown_from_shortly_before_their_first_difference():
    equal_chars, text, other = differing(LONG + "red end", LONG + "blue end")
    assert equal_chars == len(LONG + "red end") - len(text) == len(LONG + "blue end") - len(other)
    assert not text[0].isspace() and LONG[equal_chars - 1] == " "
    assert len(text) < EXCERPT_CHARS
    assert "<mark>red</mark> end" in marked(text, other)


def test_texts_that_differ_early_are_shown_from_their_beginnings():
    assert differing("red " + LONG, "blue " + LONG) == (0, "red " + LONG, "blue " + LONG)


def test_texts_of_which_one_begins_the_other_are_cut_before_its_end():
    equal_chars, text, other = differing(LONG, LONG + "end")
    assert 0 < equal_chars < len(LONG)
    assert text and other.endswith("end")


def test_a_text_without_a_space_is_shown_from_its_beginning():
    assert differing("a" * 2000 + "b", "a" * 2000 + "c")[0] == 0


def test_a_short_text_is_shown_whole():
    assert excerpt("a short text") == "a short text"


def test_a_text_inside_another_is_shown_beside_what_it_shares():
    whole = " ".join(f"w{n}" for n in range(2000))
    part = "A lead of its own. " + whole[whole.index("w900 ") : whole.index("w990 ")]
    start, other = shared_starts(whole, part)
    assert other == 0
    assert 0 < whole.index("w900 ") - start <= len("A lead of its own. ") + 6
    assert whole[start - 1] == " "
    assert "w900" not in marked(part, whole[start:]).split("</mark>")[0]


def test_texts_that_share_no_five_words_are_shown_from_their_beginnings():
    assert shared_starts("a b c d e f", "g h i j k l") == (0, 0)


@pytest.mark.parametrize(
    ("texts", "count"),
    [
        ([], 0), ([""], 0), (["  \n"], 0), (["one"], 1), (["one", "two"], 2),
        (["The city's sea-side,\n in\t1984 ..."], 6), ([" à côté ", "日本 語", ""], 4),
        (["half \ud800 pair"], 3),
    ],
)  # fmt: skip
def test_words_stand_between_white_space_and_no_text_joins_the_next(texts, count):
    assert word_count(texts) == count == sum(len(text.split()) for text in texts)
