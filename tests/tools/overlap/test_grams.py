import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.overlap.grams import Kept, grams_of, in_batches, mark_all, words_of

EIGHT = "one two three four five six seven eight"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The CITY's sea-side, 1984!", ["the", "city", "s", "sea", "side", "1984"]),
        ("snake_case x2", ["snake", "case", "x2"]),
        ("Café Cafe\u0301", ["café", "café"]),
        ("Ελλάδα – 日本", ["ελλάδα", "日本"]),
        ("... !\n", []),
        ("", []),
    ],
)
def test_words_are_runs_of_letters_and_digits_in_lower_case(text, words):
    assert words_of(text) == words


def plainly(text):
    words = words_of(text)
    return [tuple(words[i : i + 8]) for i in range(len(words) - 7)]


texts = st.lists(st.text("ab. ", max_size=40), max_size=6)


@given(texts, texts)
def test_what_is_found_is_what_plain_sets_of_eight_words_find(tests, corpus):
    grams = grams_of(tests)
    kept = Kept(grams.hashes)
    whole = {gram for text in corpus for gram in plainly(text)}
    assert mark_all(kept, corpus) == sum(len(plainly(text)) for text in corpus)
    seen = kept.seen(grams.hashes)
    for i, text in enumerate(tests):
        own = seen[grams.offsets[i] : grams.offsets[i + 1]]
        assert own.tolist() == [gram in whole for gram in plainly(text)]


def test_no_eight_words_reach_from_one_text_into_the_next():
    kept = Kept(grams_of([EIGHT]).hashes)
    mark_all(kept, ["one two three four", "five six seven eight"])
    assert not kept.seen(grams_of([EIGHT]).hashes).any()
    mark_all(kept, ["x", f"ZERO {EIGHT.upper()}. nine"])
    assert kept.seen(grams_of([EIGHT]).hashes).all()


@pytest.mark.parametrize(("text", "count"), [("a b c d e f g", 0), (EIGHT, 1), (f"{EIGHT} 9", 2)])
def test_a_text_of_fewer_than_eight_words_has_none(text, count):
    assert len(grams_of([text]).hashes) == count


def test_the_order_of_words_counts():
    words = EIGHT.split()
    made = {int(grams_of([" ".join(words[i:] + words[:i])]).hashes[0]) for i in range(8)}
    assert len(made) == 8


def test_batches_change_nothing(monkeypatch):
    many = [f"{EIGHT} {n} and more words" for n in range(50)]
    whole = grams_of(many).hashes
    monkeypatch.setattr("tools.overlap.grams.BATCH_CHARS", 100)
    assert np.array_equal(np.concatenate([one.hashes for one in in_batches(many)]), whole)


def test_hashes_of_words_are_forgotten_before_they_fill_memory(monkeypatch):
    monkeypatch.setattr("tools.overlap.grams._WORDS_HELD", 3)
    assert np.array_equal(grams_of([EIGHT]).hashes, grams_of([EIGHT]).hashes)
