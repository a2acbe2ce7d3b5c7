import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus import loss
from pipeline.corpus.loss import KEPT, LEFT_OUT, LOST, gram_sets, loss_of
from pipeline.corpus.shingles import ShingleSets

ALPHABET = "aB1_ .\n\u0301\u0e31漢д²"


def grams(text: str) -> set[tuple[str, ...]]:
    """The 8-grams of a text, as they are defined."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + 8]) for i in range(len(words) - 7)}


@given(st.lists(st.text(ALPHABET, max_size=60), max_size=4))
def test_grams_are_those_of_the_definition(texts: list[str]) -> None:
    sets = gram_sets(texts, 1)
    assert len(sets) == len(texts)
    assert [len(set(sets.of(i).tolist())) for i in range(len(texts))] == [
        *map(len, map(grams, texts))
    ]
    everything = set().union(*map(grams, texts))
    assert len(set(sets.hashes.tolist())) == len(everything)


def test_one_in_sixteen_is_the_same_in_every_text() -> None:
    text = " ".join(f"w{i}" for i in range(20_000))
    whole, some, again = (
        gram_sets([t], n) for t, n in ((text, 1), (text, 16), (f"x y {text}", 16))
    )
    assert len(some.hashes) == pytest.approx(len(whole.hashes) / 16, rel=0.1)
    assert set(some.hashes.tolist()) <= set(whole.hashes.tolist())
    assert set(some.hashes.tolist()) <= set(again.hashes.tolist())


def test_the_loss_is_the_share_of_grams_in_no_kept_text(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = np.arange(0, 16 * 400, 16, dtype=np.uint64)
    parts = [hashes[:200], hashes[100:300], hashes[:10], hashes[300:]]
    ends = np.cumsum([0, *map(len, parts)])
    sets = [
        ShingleSets(np.concatenate(parts), ends[:3]),
        ShingleSets(np.concatenate(parts), ends[2:]),
    ]
    fates = np.array([KEPT, LOST, LOST, LEFT_OUT], np.int8)
    assert loss_of(lambda: sets, fates) == (300, 100, 16)
    monkeypatch.setattr(loss, "GRAMS_MAX", 300)
    assert loss_of(lambda: sets, fates) == (150, 50, 32)
    assert loss_of(lambda: [], fates).share == 0
