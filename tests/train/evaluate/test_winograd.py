import math

import pytest

from train.errors import DataError
from train.evaluate import scoring
from train.evaluate.task import DataFile, read_file
from train.evaluate.winograd import PDP, WINOGENDER, WINOGRAD, placed, read, schema, score

ITEM = [
    "The captain greeted the harbour master because [MASK]  knows the city. ",
    "[MASK]",
    "The captain ,The harbour master ",
    "The captain ",
]


@pytest.mark.parametrize(
    ("lines", "filled", "after"),
    [
        (
            ITEM,
            ["The captain greeted the harbour master because the captain",
             "The captain greeted the harbour master because the harbour master"],
            " knows the city.",
        ),
        (
            ["The sea is wide.  [MASK]  is deep. ", "[MASK]", "The sea , the city", "the city"],
            ["The sea is wide. The sea", "The sea is wide. The city"], " is deep.",
        ),
        (
            ["Ann met Sue; [MASK] 's hat fell.", "[MASK]", " Sue ,  Ann", "Sue"],
            ["Ann met Sue; Sue", "Ann met Sue; Ann"], "'s hat fell.",
        ),
        (["[MASK] sank.", "[MASK]", "the ship,a boat", "a boat"], ["The ship", "A boat"], " sank."),
        (ITEM[:3], None, None),
        ([*ITEM[:3], "The city"], None, None),
        ([ITEM[0].replace("[MASK]", "he"), *ITEM[1:]], None, None),
        ([ITEM[0] + "[MASK]", *ITEM[1:]], None, None),
        ([*ITEM[:2], "The captain", "The captain"], None, None),
        (["He greeted [MASK]", *ITEM[1:]], None, None),  # nothing would tell the candidates apart
    ],
)  # fmt: skip
def test_a_candidate_takes_the_place_of_the_pronoun(lines, filled, after):
    found = schema("1", lines)
    assert (found and found.filled()) == filled
    if found:
        assert found.after == after and found.candidates[found.answer].lower() in lines[3].lower()


@pytest.mark.parametrize(
    ("candidate", "before", "wanted"),
    [
        ("The city", "because", "the city"),
        ("Ann", "because", "Ann"),
        ("Sam's drawing", "because", "Sam's drawing"),
        ("the city", "It sank.", "The city"),
        ("the city", 'He said: "No!"', "The city"),
        ("His hat", "and", "his hat"),
        ("lemons", "", "Lemons"),
        ("Theodor", "and", "Theodor"),
    ],
)
def test_a_candidate_is_written_as_its_place_wants(candidate, before, wanted):
    assert placed(candidate, before) == wanted


def test_an_item_of_another_form_is_named_with_its_line(tmp_path):
    (tmp_path / "w.txt").write_text("\n".join([*ITEM, "", *ITEM[:3], "nobody", ""]))
    with pytest.raises(DataError, match=r"w\.txt line 6: item 2 is not a sentence with one"):
        read([read_file(tmp_path, DataFile(("w.txt",)))])


def test_partial_is_what_follows_the_candidate_and_full_has_it_too(subject, by_hand):
    items = [schema("1", ITEM), schema("2", ["Nobody knows [MASK] there.", *ITEM[1:]])]
    for item, found in zip(items, score(subject, items), strict=True):
        for at, text in enumerate(item.filled()):
            ids = subject.begin(text + item.after)
            head, tail = len(subject.begin(item.before)), len(subject.begin(text))
            assert found["full"][at] == pytest.approx(sum(by_hand(ids, head)), abs=1e-4)
            assert found["partial"][at] == pytest.approx(sum(by_hand(ids, tail)), abs=1e-4)
        best = found["partial"].index(max(found["partial"]))
        assert found["correct_partial"] == (best == item.answer)


def test_an_equal_score_takes_the_first_candidate(subject, monkeypatch):
    monkeypatch.setattr(
        scoring, "score",
        lambda _, requests, *__, **___: [
            scoring.Scored((-1.0,), (1,), (1,)) for _ in requests
        ],
    )  # fmt: skip
    (found,) = score(subject, [schema("1", ITEM)])
    assert found["full"] == [-1.0, -1.0] and found["correct_full"]
    assert not math.isnan(found["partial"][0])


@pytest.mark.parametrize(("task", "items"), [(WINOGRAD, 273), (PDP, 60), (WINOGENDER, 240)])
def test_the_real_files_are_the_known_ones_and_read_whole(shared_data, task, items):
    found = read_file(shared_data / "eval", task.files[0])
    assert found.sha256 == task.files[0].sha256
    assert len(task.read([found])) == items
