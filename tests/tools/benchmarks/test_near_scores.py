import random

import pytest

from pipeline.settings import CorpusSettings
from tools.benchmarks.near_scores import Texts, score

RNG = random.Random(1)
ONE, TWO, THREE = ([f"w{RNG.getrandbits(50)}" for _ in range(104)] for _ in range(3))
TEXTS = Texts.of(
    [
        ("whole", " ".join(ONE), 3),
        ("part", " ".join(ONE[:54]), 2),  # 50 of its 50 shingles, of 100: a Jaccard of 0.5
        ("other", " ".join(TWO), 3),
        ("both", " ".join(ONE[:60] + TWO[:40]), 1),  # 56 and 36 of 96
        ("own", " ".join(THREE), 0),
    ]
)
BY = {
    measure: CorpusSettings(near_measure=measure, near_threshold=threshold)
    for measure, threshold in (("jaccard", 0.5), ("containment", 0.9), ("coverage", 0.9))
}


def decided(**keepers: list[str]) -> list[dict[str, object]]:
    return [
        {
            "id": id,
            "keep": id not in keepers,
            "keeper": keepers.get(id, [None])[0],
            "others": keepers.get(id, [])[1:],
        }
        for id in TEXTS.ids
    ]


@pytest.mark.parametrize(
    ("measure", "keepers", "removed", "wrong", "missed"),
    [
        ("jaccard", {}, 0, 0, 2),  # 50 of the 96 of "both" are those of "part"
        ("jaccard", {"part": ["whole"]}, 1, 0, 0),
        ("jaccard", {"part": ["other"]}, 1, 1, 0),
        ("jaccard", {"part": ["whole"], "whole": ["own"]}, 2, 2, 0),
        ("containment", {"part": ["whole"], "both": ["whole"]}, 2, 1, 0),
        ("containment", {}, 0, 0, 1),
        ("coverage", {}, 0, 0, 2),
        ("coverage", {"part": ["whole"], "both": ["whole"]}, 2, 1, 0),
        ("coverage", {"part": ["whole"], "both": ["whole", "other"]}, 2, 0, 0),
        ("coverage", {"part": ["whole"], "both": ["other", "whole"]}, 2, 1, 0),
    ],
)
def test_wrong_and_missed_removals_are_counted_by_the_rule_s_own_measure(
    measure, keepers, removed, wrong, missed
):
    found = score(TEXTS, decided(**keepers), BY[measure])
    assert (found["removed"], found["wrong"], found["missed"]) == (removed, wrong, missed)


def test_the_loss_is_of_all_texts():
    # 97 8-grams in each of three texts; those of "both" but for 7 + 0 are among them.
    found = score(TEXTS, decided(own=["whole"]), BY["jaccard"])
    assert found["lost"] == pytest.approx(97 / (3 * 97 + 7), abs=1e-4)
