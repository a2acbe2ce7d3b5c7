import json

import pytest

from train.errors import DataError
from train.evaluate.choices import CBT_CN, HELLASWAG, clean, natural, score
from train.evaluate.task import read_file

STORY = [f"The captain knows sea {n} ." for n in range(1, 21)]
WORDS = "sea|city|harbour|captain|wall|ship|boat|wind|sail|mast"
QUESTION = f"He saw the XXXXX , and did n't stop .\tcity\t\t{WORDS}"


def cbt(folder, lines):
    (folder / "cbtest_CN_valid_2000ex.txt").write_text("\n".join(lines) + "\n")
    return CBT_CN.read([read_file(folder, CBT_CN.files[0])])


def numbered(lines):
    return [f"{number} {line}" for number, line in enumerate(lines, 1)]


def test_a_question_has_a_story_a_blank_and_ten_words(tmp_path):
    item, again = cbt(tmp_path, [*numbered([*STORY, QUESTION]), "", *numbered([*STORY, QUESTION])])
    assert item.context.startswith("The captain knows sea 1. The captain knows sea 2.")
    assert item.context.endswith("sea 20. He saw the")
    assert item.endings[item.answer] == " city, and didn't stop."
    assert len(item.endings) == 10 and item.words[0] == "sea"
    assert (item.id, again.id) == ("1", "2") and item.endings == again.endings


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (numbered([*STORY[:19], QUESTION]), None),
        (numbered(STORY)[1:], "line 1: a line 1 of a question is missing"),
        (numbered([*STORY, "He saw ."]), "line 21: not a sentence with one XXXXX"),
        (numbered([*STORY, QUESTION.replace("\tcity\t", "\tmoon\t")]), "line 21: not a sentence"),
        (numbered([*STORY, QUESTION.replace("XXXXX", "it")]), "line 21: not a sentence"),
    ],
)
def test_a_question_of_another_form_is_named(tmp_path, lines, told):
    if told is None:
        with pytest.raises(DataError, match="ends within a question"):
            cbt(tmp_path, lines)
        return
    with pytest.raises(DataError, match=told):
        cbt(tmp_path, lines)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("`` No , '' he said .", '"No," he said.'),
        ("-LRB- it -RRB- is", "(it) is"),
        ("they 've n't", "they'ven't"),
        ("the captain 's ship !", "the captain's ship!"),
    ],
)
def test_penn_treebank_marks_become_natural(text, wanted):
    assert natural(text) == wanted


def hellaswag(folder, **changes):
    one = {
        "activity_label": "Sailing", "ctx_a": "A captain stands there.", "ctx_b": "he",
        "endings": ["sings.", "sinks.", "sails [step] away.", "knows."], "label": 2,
    } | changes  # fmt: skip
    (folder / "hellaswag_val.jsonl").write_text(json.dumps(one) + "\n")
    return HELLASWAG.read([read_file(folder, HELLASWAG.files[0])])


def test_hellaswag_has_an_activity_two_contexts_and_four_endings(tmp_path):
    (item,) = hellaswag(tmp_path)
    assert item.context == "Sailing: A captain stands there. He"
    assert item.endings[item.answer] == " sails away."


@pytest.mark.parametrize(
    "changes",
    [{"label": 4}, {"label": "x"}, {"endings": "a"}, {"ctx_a": None}, {"endings": [1, 2]}],
)
def test_an_item_of_hellaswag_of_another_form_is_named(tmp_path, changes):
    with pytest.raises(DataError, match="line 1: not ctx_a"):
        hellaswag(tmp_path, **changes)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("How to sail [title] Take a boat.", "How to sail. Take a boat."),
        ("[header] Go [step] on", "Go on"),
        (" {never} %s a format ", "{never} %s a format"),
    ],
)
def test_marks_of_wikihow_go(text, wanted):
    assert clean(text) == wanted


def test_the_likeliest_ending_is_chosen_as_a_whole_and_by_byte(subject, by_hand, tmp_path):
    (item,) = hellaswag(tmp_path)
    (found,) = score(subject, [item])
    first = len(subject.begin(item.context))
    wanted = [sum(by_hand(subject.begin(item.context + end), first)) for end in item.endings]
    assert found["log_probabilities"] == pytest.approx(wanted, abs=1e-4)
    assert found["correct"] == (wanted.index(max(wanted)) == 2)
    shares = [p / len(end.encode()) for p, end in zip(wanted, item.endings, strict=True)]
    assert found["correct_by_byte"] == (shares.index(max(shares)) == 2)
