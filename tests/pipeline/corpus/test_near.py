import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.corpus import near
from pipeline.corpus.minhash import N_PERM, U64, ShingleSets, shingle_sets, signatures
from pipeline.corpus.near import (
    I32,
    Copies,
    _Likeness,
    find_copies,
    in_common,
    shared_buckets,
    walk,
)
from pipeline.corpus.sketches import SketchWriter
from pipeline.errors import StageError, Stopped
from pipeline.settings import CorpusSettings

RULES = CorpusSettings()
# Every pair with one equal signature value is a candidate and every candidate is verified: what is
# left is the greedy rule itself (a pair with J >= 0.3 is missed with a chance of 0.7^128).
THOROUGH = CorpusSettings(near_threshold=0.5, near_slack=1.0, bands=128, rows=1)
# One folder for all examples is fine: what lies in it is written anew by each.
PROPERTY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WORDS = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]


def quiet(_: str) -> None:
    """Hears the heartbeat and says nothing."""


def jaccard(one: str, other: str) -> float:
    a, b = (
        {tuple(words[i : i + 5]) for i in range(len(words) - 4)}
        for words in (one.split(), other.split())
    )
    return len(a & b) / len(a | b)


def family(seed: int, size: int = 30) -> list[str]:
    """Texts of which some are copies of one another, alike to all degrees."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(size):
        if texts and rng.random() < 0.7:
            words = rng.choice(texts).split()
            for _ in range(rng.randrange(1, 12)):
                words[rng.randrange(len(words))] = rng.choice(WORDS)
            if rng.random() < 0.4:
                words = words[: rng.randrange(20, len(words) + 1)]
        else:
            words = rng.choices(WORDS, k=rng.randrange(30, 90))
        texts.append(" ".join(words))
    return texts


def copies_of(
    folder: Path,
    texts: list[str],
    rules: CorpusSettings = RULES,
    shadows: list[int] | None = None,
    cuts: tuple[int, ...] = (),
    shuffle: int = 0,
) -> Copies:
    """Decisions on texts in the walk's order, from sketch files in any order and number."""
    order = list(range(len(texts)))
    random.Random(shuffle).shuffle(order)
    paths = []
    for low, high in zip((0, *cuts), (*cuts, len(texts)), strict=True):
        paths.append(folder / f"{low}-{high}-{len(cuts)}-{shuffle}.arrow")
        rows = order[low:high]
        with SketchWriter(paths[-1]) as writer:
            for i in range(0, len(rows), 7):
                chosen = rows[i : i + 7]
                writer.write([str(row) for row in chosen], [texts[row] for row in chosen])
    is_shadow = np.zeros(len(texts), bool)
    is_shadow[shadows or []] = True
    return find_copies(paths, np.array(order, np.int64), is_shadow, rules, folder, quiet)


def greedy(texts: list[str], threshold: float) -> list[int]:
    """The rule, plainly: the first kept text that is alike enough is the keeper."""
    keepers: list[int] = []
    for i, text in enumerate(texts):
        kept = (k for k in range(i) if keepers[k] < 0)
        keepers.append(next((k for k in kept if jaccard(texts[k], text) >= threshold), -1))
    return keepers


@pytest.mark.parametrize("crowd", [2, 4, 128])
@PROPERTY
@given(seed=st.integers(0, 10**6))
def test_decisions_are_those_of_the_plain_greedy_rule(
    seed: int, crowd: int, tmp_path: Path
) -> None:
    texts = family(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "CROWD", crowd)
        assert copies_of(tmp_path, texts, THOROUGH).keeper.tolist() == greedy(texts, 0.5)


@PROPERTY
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_no_text_is_dropped_without_a_kept_keeper_that_is_alike(
    seed: int, threshold: float, tmp_path: Path
) -> None:
    texts = family(seed)
    copies = copies_of(tmp_path, texts, CorpusSettings(near_threshold=threshold))
    for text, keeper in enumerate(copies.keeper.tolist()):
        if keeper >= 0:
            assert keeper < text
            assert copies.keeper[keeper] == -1
            assert copies.jaccard[text] == jaccard(texts[keeper], texts[text]) >= threshold


@PROPERTY
@given(seed=st.integers(0, 10**6), cuts=st.sets(st.integers(1, 29), max_size=6))
def test_order_and_parts_of_the_sketches_change_nothing(
    seed: int, cuts: set[int], tmp_path: Path
) -> None:
    texts = family(seed)
    once = copies_of(tmp_path, texts)
    again = copies_of(tmp_path, texts, cuts=tuple(sorted(cuts)), shuffle=seed + 1)
    assert again.keeper.tolist() == once.keeper.tolist()
    assert again.jaccard.tolist() == once.jaccard.tolist()


def test_a_chain_of_likenesses_does_not_lose_its_end(tmp_path: Path) -> None:
    words = random.Random(1).choices(WORDS, k=160)
    chain = [" ".join(words[i : i + 80]) for i in (0, 20, 40)]
    assert jaccard(chain[0], chain[1]) >= 0.5
    assert jaccard(chain[1], chain[2]) >= 0.5
    assert jaccard(chain[0], chain[2]) < 0.5
    assert copies_of(tmp_path, chain, THOROUGH).keeper.tolist() == [-1, 0, -1]


def test_the_best_of_several_alike_keepers_is_named(tmp_path: Path) -> None:
    words = random.Random(2).choices(WORDS, k=80)
    first, second = " ".join(words[:62]), " ".join(words[18:])
    whole = " ".join(words)
    assert jaccard(first, second) < 0.7 <= min(jaccard(first, whole), jaccard(second, whole))
    rules = CorpusSettings(near_threshold=0.7, near_slack=1.0, bands=128, rows=1)
    assert copies_of(tmp_path, [first, second, whole], rules).keeper.tolist() == [-1, -1, 0]


def test_a_shadow_is_never_a_copy_and_removes_its_own(tmp_path: Path) -> None:
    text = " ".join(random.Random(3).choices(WORDS, k=60))
    other = " ".join(random.Random(4).choices(WORDS, k=60))
    copies = copies_of(tmp_path, [text, text, other, text + " bam", other], shadows=[0, 1])
    assert copies.keeper.tolist() == [-1, -1, -1, 0, 2]


def test_a_text_that_takes_no_part_is_neither_copy_nor_keeper(tmp_path: Path) -> None:
    text = " ".join(random.Random(5).choices(WORDS, k=60))
    with SketchWriter(tmp_path / "sketches") as writer:
        writer.write(["a", "b", "c"], [text, text, text])
    places = np.array([-1, 1, 0], np.int64)
    copies = find_copies([tmp_path / "sketches"], places, np.zeros(2, bool), RULES, tmp_path, quiet)
    assert copies.keeper.tolist() == [-1, 0]


def test_a_candidate_below_the_estimate_is_not_verified() -> None:
    sets = shingle_sets(["one two three four five six seven"] * 2)
    signed = signatures(sets)
    signed[1, 44:] += 1  # 44 of 128 equal: an estimate of 0.344
    buckets = near.Buckets(np.array([0, 1, 2]), np.zeros(2, np.int32), np.array([2]))
    alike = np.zeros(2, bool)
    at_half = CorpusSettings(near_threshold=0.5, near_slack=0.15)
    assert walk(buckets, signed, sets, alike, at_half, quiet).keeper.tolist() == [-1, -1]
    signed[1, 44] -= 1  # 45: 0.352
    assert walk(buckets, signed, sets, alike, at_half, quiet).keeper.tolist() == [-1, 0]


@PROPERTY
@given(seed=st.integers(0, 10**6))
def test_shingles_that_another_text_has_are_counted_never_too_few(seed: int) -> None:
    sets = shingle_sets(family(seed))
    counts = Counter(sets.hashes.tolist())
    exact = [sum(counts[h] > 1 for h in sets[text].tolist()) for text in range(len(sets))]
    found = in_common(sets, np.arange(len(sets)), quiet)
    assert (found >= exact).all() and (found <= np.diff(sets.offsets)).all()
    assert int(found.sum()) <= sum(exact) + 0.2 * len(sets.hashes)


def test_pages_of_a_template_are_told_apart_without_comparing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(5)
    words = [f"w{n}" for n in range(9000)]
    template = rng.choices(words, k=38)
    pages = [" ".join(template + rng.choices(words, k=22)) for _ in range(60)]
    assert 0.35 < jaccard(pages[0], pages[1]) < 0.5
    compared: list[int] = []
    jaccards = _Likeness._jaccards

    def counted(self: _Likeness, mine: U64, others: I32) -> NDArray[np.float64]:
        compared.extend(others.tolist())
        return jaccards(self, mine, others)

    monkeypatch.setattr(_Likeness, "_jaccards", counted)
    monkeypatch.setattr(near, "CROWD", 5)
    assert copies_of(tmp_path, pages).keeper.tolist() == [-1] * 60
    assert len(compared) < 60


def test_blocks_of_candidates_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One frame with other values: all share buckets, few are alike enough.
    frame = random.Random(6).choices(WORDS, k=60)
    texts = []
    for i in range(60):
        words = list(frame)
        for place in random.Random(i).sample(range(60), 6 if i < 40 else 1):
            words[place] = f"value{i}"
        texts.append(" ".join(words))
    whole = copies_of(tmp_path, texts, THOROUGH)
    assert 0 < (whole.keeper < 0).sum() < 60
    monkeypatch.setattr(near, "ESTIMATE_BLOCK", 3)
    monkeypatch.setattr(near, "VERIFY_BLOCK", 2)
    assert copies_of(tmp_path, texts, THOROUGH).keeper.tolist() == whole.keeper.tolist()
    assert whole.keeper.tolist() == greedy(texts, 0.5)


@pytest.mark.parametrize("texts", [[], ["one text alone in the world"]])
def test_few_texts_are_kept(texts: list[str], tmp_path: Path) -> None:
    assert copies_of(tmp_path, texts).keeper.tolist() == [-1] * len(texts)


def test_buckets_hold_the_texts_whose_keys_are_equal() -> None:
    keys = np.array([[5, 7, 5, 9], [1, 1, 2, 1]], np.uint64)
    buckets = shared_buckets(keys)
    members: dict[int, list[int]] = {}
    for text in range(4):
        for number in buckets.numbers[buckets.offsets[text] : buckets.offsets[text + 1]].tolist():
            members.setdefault(number, []).append(text)
    assert sorted(members.values()) == [[0, 1, 3], [0, 2]]
    assert [len(members[number]) for number in sorted(members)] == buckets.sizes.tolist()


def test_a_lost_sketch_is_an_error(tmp_path: Path) -> None:
    with SketchWriter(tmp_path / "sketches") as writer:
        writer.write(["a"], ["some words"])
    with pytest.raises(StageError, match="1 sketches for 2 texts"):
        find_copies(
            [tmp_path / "sketches"], np.array([0, 1]), np.zeros(2, bool), RULES, tmp_path, quiet
        )


def test_the_walk_stops_when_it_is_asked_to_and_leaves_no_scratch(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    with SketchWriter(tmp_path / "sketches") as writer:
        writer.write(["a", "b"], ["some words"] * 2)

    def stop(_: str) -> None:
        raise Stopped(2)

    with pytest.raises(Stopped):
        find_copies(
            [tmp_path / "sketches"], np.array([0, 1]), np.zeros(2, bool), RULES, folder, stop
        )
    assert not list(folder.iterdir())


def test_sets_with_repeated_words_are_compared_as_sets() -> None:
    sets = shingle_sets(["la la la la la la la la", "la la la la la"])
    assert isinstance(sets, ShingleSets)
    assert sets[0].tolist() == sets[1].tolist()
    assert signatures(sets).shape == (2, N_PERM)
