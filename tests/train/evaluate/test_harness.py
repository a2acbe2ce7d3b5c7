"""Beside lm-eval, where it is installed: `pip install lm-eval` gives the reference."""

import pytest

from train.benchmarks import harness
from train.evaluate.scoring import Subject

WORDS = "the city and the sea where nobody knows which harbour a foreign captain prefers".split()
PAIRS = [(" ".join(WORDS[:n]), " " + " ".join(WORDS[n : n + m])) for n in (1, 4, 8) for m in (1, 3)]
TEXTS = [" ".join(WORDS), " ".join(WORDS * 9), "the"]


@pytest.fixture(scope="module")
def theirs(exported):
    pytest.importorskip("lm_eval.models.huggingface")
    return harness.harness(exported, 48, 4)


def test_continuations_have_lm_evals_log_probabilities(subject, theirs):
    alone = Subject(subject.model, subject.text, None)
    wanted = harness.theirs(theirs, PAIRS)
    assert harness.ours(alone, PAIRS) == pytest.approx(wanted, rel=1e-5)
    assert harness.ours(alone, PAIRS, shared=True) == pytest.approx(wanted, rel=1e-5)


def test_texts_longer_than_the_context_have_lm_evals_log_probabilities(subject, theirs):
    wanted = harness.theirs_of_texts(theirs, TEXTS)
    assert harness.ours_of_texts(subject, TEXTS) == pytest.approx(wanted, rel=1e-5)


def test_the_bounds_are_of_tokens_and_of_places_that_a_tree_saves(subject):
    alone = Subject(subject.model, subject.text, None)
    twice = harness.sharing_bounds(alone, [("the sea", " and"), ("the sea", " and")])
    assert twice == {"tokens": 2, "products": 2}
    assert harness.sharing_bounds(alone, [("the sea", " and")]) == {"tokens": 1, "products": 1}
    # One beginning, other ends: the head has nearly as much work as without the tree.
    found = harness.sharing_bounds(alone, [("the sea", " andx"), ("the sea", " orz")])
    assert 1 < found["products"] < found["tokens"]
