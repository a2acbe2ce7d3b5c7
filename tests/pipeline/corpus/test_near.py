import math
import random
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.corpus import asking, judging
from pipeline.corpus.asking import I32
from pipeline.corpus.judging import Alone, in_common
from pipeline.corpus.near import Copies, find_copies
from pipeline.corpus.shingles import I64, U64, shingle_sets
from pipeline.corpus.sketches import SketchWriter
from pipeline.errors import StageError, Stopped
from pipeline.settings import CorpusSettings

RULES = CorpusSettings()
MEASURES = ["jaccard", "containment", "coverage"]
# One folder for all examples is fine: what lies in it is written anew by each.
PROPERTY = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
WORDS = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]


def quiet(_: str) -> None:
    """Hears the heartbeat and says nothing."""


@pytest.fixture
def thorough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each text asks with all of its shingles: what is left is the greedy rule itself."""
    monkeypatch.setattr(asking, "SAMPLE", 1000)


def shingled(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


def jaccard(one: str, other: str) -> float:
    a, b = shingled(one), shingled(other)
    return len(a & b) / len(a | b)


def containment(one: str, other: str) -> float:
    a, b = shingled(one), shingled(other)
    return len(a & b) / len(a)


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


def greedy(texts: list[str], threshold: float, measure: str = "jaccard") -> list[int]:
    """The rule, plainly: the first kept text that is alike enough is the keeper."""
    alike = jaccard if measure == "jaccard" else containment
    keepers: list[int] = []
    for i, text in enumerate(texts):
        kept = (k for k in range(i) if keepers[k] < 0)
        keepers.append(next((k for k in kept if alike(text, texts[k]) >= threshold), -1))
    return keepers


def together(texts: list[str], threshold: float) -> list[bool]:
    """Which texts are kept by coverage: those that no kept texts have, one of them half."""
    keep: list[bool] = []
    for i, text in enumerate(texts):
        kept = [k for k in range(i) if keep[k]]
        union = set().union(*(shingled(texts[k]) for k in kept))
        most = max((containment(text, texts[k]) for k in kept), default=0)
        mine = shingled(text)
        keep.append(len(mine & union) / len(mine) < threshold or most < 0.5)
    return keep


@pytest.mark.usefixtures("thorough")
@pytest.mark.parametrize("crowd", [2, 4, 128])
@pytest.mark.parametrize("measure", ["jaccard", "containment"])
@PROPERTY
@given(seed=st.integers(0, 10**6))
def test_decisions_are_those_of_the_plain_greedy_rule(
    seed: int, crowd: int, measure: Literal["jaccard", "containment"], tmp_path: Path
) -> None:
    texts = family(seed)
    rules = CorpusSettings(near_measure=measure, near_threshold=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging, "CROWD", crowd)
        found = copies_of(tmp_path, texts, rules).keeper.tolist()
    assert found == greedy(texts, 0.5, measure)


@pytest.mark.usefixtures("thorough")
@PROPERTY
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.5, 0.7, 0.9, 1.0]))
def test_by_coverage_what_kept_texts_have_together_is_dropped(
    seed: int, threshold: float, tmp_path: Path
) -> None:
    texts = family(seed)
    rules = CorpusSettings(near_measure="coverage", near_threshold=threshold)
    keep = (copies_of(tmp_path, texts, rules).keeper < 0).tolist()
    assert keep == together(texts, threshold)


@PROPERTY
@given(
    seed=st.integers(0, 10**6),
    threshold=st.sampled_from([0.3, 0.5, 0.7, 0.9]),
    measure=st.sampled_from(MEASURES),
)
def test_no_text_is_dropped_without_kept_texts_that_have_what_is_told(
    seed: int, threshold: float, measure: Any, tmp_path: Path
) -> None:
    texts = family(seed)
    rules = CorpusSettings(near_threshold=threshold, near_measure=measure)
    copies = copies_of(tmp_path, texts, rules)
    for text, keeper in enumerate(copies.keeper.tolist()):
        if keeper >= 0:
            named = [keeper, *copies.others.get(text, [])]
            assert max(named) < text
            assert copies.keeper[named].tolist() == [-1] * len(named)
            assert copies.jaccard[text] == jaccard(texts[keeper], texts[text])
            assert copies.containment[text] == containment(texts[text], texts[keeper])
            if measure == "coverage":
                union = set().union(*(shingled(texts[k]) for k in named))
                mine = shingled(texts[text])
                assert copies.coverage[text] == len(mine & union) / len(mine)
                assert copies.containment[text] >= 0.5
            assert getattr(copies, measure)[text] >= threshold


@pytest.mark.parametrize("measure", MEASURES)
@PROPERTY
@given(seed=st.integers(0, 10**6), cuts=st.sets(st.integers(1, 29), max_size=6))
def test_order_and_parts_of_the_sketches_change_nothing(
    seed: int, cuts: set[int], measure: Any, tmp_path: Path
) -> None:
    texts = family(seed)
    rules = CorpusSettings(near_measure=measure)
    once = copies_of(tmp_path, texts, rules)
    again = copies_of(tmp_path, texts, rules, cuts=tuple(sorted(cuts)), shuffle=seed + 1)
    for column, same in zip(once[:4], again[:4], strict=True):
        np.testing.assert_array_equal(column, same)
    assert again.others == once.others


def test_a_chain_of_likenesses_does_not_lose_its_end(tmp_path: Path) -> None:
    words = random.Random(1).choices(WORDS, k=160)
    chain = [" ".join(words[i : i + 80]) for i in (0, 20, 40)]
    assert jaccard(chain[0], chain[1]) >= 0.5
    assert jaccard(chain[1], chain[2]) >= 0.5
    assert jaccard(chain[0], chain[2]) < 0.5
    assert copies_of(tmp_path, chain).keeper.tolist() == [-1, 0, -1]


def test_the_best_of_several_alike_keepers_is_named(tmp_path: Path) -> None:
    words = random.Random(2).choices(WORDS, k=80)
    first, second = " ".join(words[:62]), " ".join(words[18:])
    whole = " ".join(words)
    assert jaccard(first, second) < 0.7 <= min(jaccard(first, whole), jaccard(second, whole))
    rules = CorpusSettings(near_threshold=0.7)
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


def test_a_short_text_inside_a_long_one_is_found_by_containment(tmp_path: Path) -> None:
    long = random.Random(7).choices(WORDS, k=3000)
    texts = [" ".join(long), *(" ".join(long[at : at + 60]) for at in range(0, 2900, 100))]
    rules = CorpusSettings(near_measure="containment", near_threshold=0.9)
    assert copies_of(tmp_path, texts, rules).keeper.tolist() == [-1] + [0] * 29


def test_a_text_of_several_names_all_whose_parts_it_has(tmp_path: Path) -> None:
    rng = random.Random(8)
    one, two = rng.choices(WORDS, k=300), rng.choices(WORDS, k=300)
    texts = [
        " ".join(words) for words in (one, two, one[:120] + two[:80], one[200:250] + two[200:260])
    ]
    rules = CorpusSettings(near_measure="coverage", near_threshold=0.9)
    copies = copies_of(tmp_path, texts, rules)
    assert copies.keeper.tolist() == [-1, -1, 0, 1]
    assert copies.others == {2: [1], 3: [0]}
    apart = CorpusSettings(near_measure="containment", near_threshold=0.9)
    assert copies_of(tmp_path, texts, apart).keeper.tolist() == [-1] * 4


def at_the_threshold(rng: random.Random, size: int, measure: str, threshold: float) -> list[str]:
    """A text, and one just alike enough, that are like no others; of words of their own."""
    words = [f"w{rng.getrandbits(60)}" for _ in range(4 * size + 9)]
    tokens = size + 4  # so many have `size` shingles
    if measure == "jaccard":  # the same beginning, other ends
        shared = math.ceil(2 * size * threshold / (1 + threshold))
        first = words[:tokens]
    else:  # some of a text three times as long
        shared = math.ceil(size * threshold)
        first = words[: 3 * size]
    return [
        " ".join(first),
        " ".join(words[: shared + 4] + words[-(size - shared) :][: size - shared]),
    ]


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("threshold", [0.2, 0.35, 0.5, 0.7, 0.88])
def test_of_pairs_at_the_threshold_98_percent_are_found(
    measure: Any, threshold: float, tmp_path: Path
) -> None:
    if measure == "coverage" and threshold < 0.5:
        pytest.skip("a keeper has half of the shingles")
    rng = random.Random(9)
    pairs = [at_the_threshold(rng, rng.randrange(40, 300), measure, threshold) for _ in range(300)]
    alike = jaccard if measure == "jaccard" else containment
    assert all(threshold <= alike(b, a) < threshold + 0.06 for a, b in pairs)
    texts = [text for pair in zip(*pairs, strict=True) for text in pair]
    rules = CorpusSettings(near_measure=measure, near_threshold=threshold)
    found = copies_of(tmp_path, texts, rules).keeper
    assert (found[:300] == -1).all()
    assert (found[300:] == np.arange(300)).sum() >= 0.98 * 300


@pytest.mark.parametrize("threshold", [0.01, 0.05, 0.35, 0.5, 0.88, 0.999, 1.0])
def test_the_scheme_follows_the_threshold(threshold: float) -> None:
    scheme = asking.scheme_for(threshold)
    assert 1 <= scheme.hits <= scheme.sample
    rng = np.random.default_rng(1)
    met = rng.binomial(scheme.sample, threshold, 100_000) >= scheme.hits
    assert abs(met.mean() - scheme.recall) < 0.002
    assert scheme.recall >= 0.99


@PROPERTY
@given(seed=st.integers(0, 10**6))
def test_shingles_that_another_text_has_are_counted_never_too_few(seed: int) -> None:
    sets = shingle_sets(family(seed))
    counts = Counter(sets.hashes.tolist())
    exact = [sum(counts[h] > 1 for h in sets.of(text).tolist()) for text in range(len(sets))]
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
    shared = Alone._shared

    def counted(self: Alone, mine: U64, others: I32) -> I64:
        compared.extend(others.tolist())
        return shared(self, mine, others)

    monkeypatch.setattr(Alone, "_shared", counted)
    monkeypatch.setattr(judging, "CROWD", 5)
    assert copies_of(tmp_path, pages).keeper.tolist() == [-1] * 60
    assert len(compared) < 60


@pytest.mark.usefixtures("thorough")
def test_blocks_of_candidates_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One frame with other values: all share shingles, few are alike enough.
    frame = random.Random(6).choices(WORDS, k=60)
    texts = []
    for i in range(60):
        words = list(frame)
        for place in random.Random(i).sample(range(60), 6 if i < 40 else 1):
            words[place] = f"value{i}"
        texts.append(" ".join(words))
    whole = copies_of(tmp_path, texts)
    assert 0 < (whole.keeper < 0).sum() < 60
    monkeypatch.setattr(judging, "VERIFY_BLOCK", 2)
    monkeypatch.setattr(asking, "BLOCK_TEXTS", 7)
    monkeypatch.setattr(asking, "CHUNK", 11)
    assert copies_of(tmp_path, texts).keeper.tolist() == whole.keeper.tolist()
    assert whole.keeper.tolist() == greedy(texts, 0.5)


@pytest.mark.parametrize("texts", [[], ["one text alone in the world"]])
def test_few_texts_are_kept(texts: list[str], tmp_path: Path) -> None:
    assert copies_of(tmp_path, texts).keeper.tolist() == [-1] * len(texts)


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
