import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.evaluate.answers import exact, f1, f1_among, normalised
from train.evaluate.rouge import rouge_l, rouge_n, words_of


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("The Cat!", "cat"),
        ("  a  lion's  den ", "lions den"),
        ("An apple, the pear", "apple pear"),
        ("theatre", "theatre"),
        ("U.S.A.", "usa"),
        ("A", ""),
        ("…", "…"),
        ("", ""),
    ],
)
def test_answers_are_normalised_as_the_official_scripts_do(answer, wanted):
    assert normalised(answer) == wanted


@pytest.mark.parametrize(
    ("answer", "right", "score"),
    [
        ("the red house", "red house", 1.0),
        ("red", "red house", 2 / 3),
        ("red red", "red house", 0.5),
        ("blue", "red house", 0.0),
        ("", "a", 1.0),
        ("", "red", 0.0),
        ("no", "No.", 1.0),
    ],
)
def test_f1_counts_words_as_often_as_they_stand_in_both(answer, right, score):
    assert f1(answer, right) == pytest.approx(score)


@pytest.mark.parametrize(
    ("answer", "people", "score"),
    [
        ("red", ["red"], 1.0),
        ("red", ["red", "blue"], 0.5),  # left out red: blue alone is there, and the other way round
        ("red", ["red", "red", "blue"], 1.0),
        ("red", ["blue", "green"], 0.0),
        ("red", [], 0.0),
    ],
)
def test_each_person_is_left_out_in_turn(answer, people, score):
    assert f1_among(answer, people) == pytest.approx(score)


def test_an_exact_match_is_with_any_right_answer():
    assert exact("The Sea.", ["a lake", "sea"]) and not exact("seas", ["a lake", "sea"])


SUMMARIES = [
    (["the cat sat on the mat."], ["the cat was on the mat."]),
    (["police killed the gunman"], ["police kill the gunman", "the gunman was killed by police"]),
    (["a b c d", "e f a b"], ["a b", "c d e f", "a"]),
    (["don't stop", "U.S. 1,000"], ["do not stop in the US", "1 000"]),
    ([""], ["a"]),
    (["a"], [""]),
    ([], ["a"]),
    (["été"], ["été"]),
]
words = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "d", "the"]), max_size=9).map(" ".join), max_size=4
)


def theirs(summary, reference):
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(
        ["rouge1", "rouge2", "rougeLsum"], use_stemmer=False
    )
    found = scorer.score("\n".join(reference), "\n".join(summary))
    return [found[name].fmeasure for name in ("rouge1", "rouge2", "rougeLsum")]


def ours(summary, reference):
    texts = "\n".join(summary), "\n".join(reference)
    return [rouge_n(*texts, 1), rouge_n(*texts, 2), rouge_l(summary, reference)]


@pytest.mark.parametrize(("summary", "reference"), SUMMARIES)
def test_rouge_is_that_of_googles_library(summary, reference):
    assert ours(summary, reference) == pytest.approx(theirs(summary, reference), abs=1e-12)


@given(words, words)
def test_rouge_is_that_of_googles_library_for_any_sentences(summary, reference):
    assert ours(summary, reference) == pytest.approx(theirs(summary, reference), abs=1e-12)


def test_rouge_without_the_library():
    assert words_of("U.S. 1,000 été") == ["u", "s", "1", "000", "t"]
    assert rouge_n("the cat sat", "the cat ran", 1) == pytest.approx(2 / 3)
    assert rouge_n("the cat sat", "the cat ran", 2) == pytest.approx(1 / 2)
    assert rouge_l(["a b c d"], ["a c", "d b"]) == pytest.approx(3 / 4)
    assert rouge_l([], ["a"]) == rouge_n("", "", 1) == 0
