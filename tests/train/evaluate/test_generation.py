"""Small files of our own in the form of the originals, which nobody here has seen."""

import json
import math

import pytest

from train.__main__ import main
from train.errors import DataError, SettingsError
from train.evaluate import coqa, natural_questions, summaries, translation
from train.evaluate.suite import SUITES, TASKS, texts_of
from train.evaluate.task import read_file
from train.evaluate.writing import Written

STORY = (
    "In a small harbour lived Captain Ana Brandt. Her boat was red. One day Tom Reed came to see "
    "Ana Brandt. He brought a letter, and Ana Brandt read it at once."
)


def answers(*texts):
    return [{"input_text": text, "turn_id": turn} for turn, text in enumerate(texts, 1)]


STORIES = {
    "version": "1.0",
    "data": [
        {
            "source": "ours", "id": "s1", "filename": "ours.txt", "name": "ours.txt",
            "story": STORY,
            "questions": answers("Who lived there?", "What colour was her boat?", "Who came?"),
            "answers": answers("Captain Ana Brandt", "red", "Tom Reed"),
            "additional_answers": {
                "0": answers("Ana Brandt", "Red.", "Tom"),
                "1": answers("a captain", "it was red", "Tom Reed"),
            },
        },
        {"source": "ours", "id": "s2", "story": "it rained.", "questions": answers("Did it rain?"),
         "answers": answers("yes")},
    ],
}  # fmt: skip
ARTICLES = [
    {
        "id": "a",
        "article": "The mill burned on Monday. Nobody was hurt. The owner was away. It "
        "will be built again. The mayor said so.",
        "highlights": "The mill burned on Monday .\nIt will be built again .",
    },
    {"id": "b", "article": "A short one.", "highlights": "One ."},
]
SGM = """<?xml version="1.0"?>
<{set} setid="newstest2014" srclang="any">
<doc docid="ours.1" genre="news">
<p>
<seg id="1">{one}</seg>
<seg id="2">{two}</seg>
</p>
</doc>
<doc docid="ours.2"><seg id="1">{three}</seg></doc>
</{set}>
"""
ENGLISH = ("The mill &amp; the house are old.", "It rains.", "Nobody  came.")
FRENCH = ("Le moulin &amp; la maison sont vieux.", "Il pleut.", "Personne n'est venu.")
QUESTIONS = [
    {"question": "who owns the mill", "answer": ["the mayor", "Ana Brandt"]},
    {"question": "who built the mill", "answer": ["Ana Brandt"]},
    {"question": "in which year did it burn", "answer": ["1901", "1902"]},
    {"question": "name the harbour", "answer": ["Wrenkeld"]},
]


def sgm(kind, texts):
    return SGM.format(set=kind, one=texts[0], two=texts[1], three=texts[2])


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()

    def lines(rows):
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    files = {
        "coqa-dev-v1.0.json": json.dumps(STORIES),
        "cnn_dm_test.jsonl": lines(ARTICLES),
        "newstest2014-fren-src.en.sgm": sgm("srcset", ENGLISH),
        "newstest2014-fren-ref.fr.sgm": sgm("refset", FRENCH),
        "newstest2014-fren-src.fr.sgm": sgm("srcset", FRENCH),
        "newstest2014-fren-ref.en.sgm": sgm("refset", ENGLISH),
        "NQ-open.dev.jsonl": lines(QUESTIONS),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def items_of(task, folder):
    return task.read([read_file(folder, file) for file in task.files])


def test_coqa_has_a_question_each_with_those_before_it_and_all_answers(data):
    items = items_of(coqa.COQA, data)
    assert [item.id for item in items] == ["s1/1", "s1/2", "s1/3", "s2/1"]
    assert items[0].answers == ("Captain Ana Brandt", "Ana Brandt", "a captain")
    assert items[3].answers == ("yes",)
    assert items[1].prompt() == (
        f"{STORY}\n\nQ: Who lived there?\nA: Captain Ana Brandt\nQ: What colour was her boat?\nA:"
    )
    assert items[0].prompt() == f"{STORY}\n\nQ: Who lived there?\nA:"


@pytest.mark.parametrize(
    ("story", "name"),
    [
        (STORY, "Ana Brandt"),
        ("One day Tom met Ben.", "Tom"),
        ("it rained. Then it stopped.", ""),
        ("", ""),
        ("he saw Mary-Jane O'Neill, Mary-Jane O'Neill and Tom", "Mary-Jane O'Neill"),
    ],
)
def test_the_name_of_a_story_is_what_it_has_most_often_within_sentences(story, name):
    assert coqa.name_of(story) == name


def test_who_questions_are_scored_apart_and_beside_a_name_of_the_text(data, subject, monkeypatch):
    said = ["the captain Ana Brandt", "red", "Tom Reed", "yes"]
    monkeypatch.setattr(coqa, "write", lambda *_: [Written(text, ()) for text in said])
    found = list(coqa.score(subject, items_of(coqa.COQA, data)))
    assert [one["who"] for one in found] == [True, False, True, False]
    # Three people say "captain ana brandt" (F1 1), "ana brandt" (0.8), "captain" (0.5).
    assert found[0]["f1"] == pytest.approx((0.8 + 1 + 1) / 3)
    assert found[1]["f1"] == 1 and found[3]["f1"] == 1
    values = {metric.name: metric.estimate(found).value for metric in coqa.COQA.metrics}
    assert values["F1"] == pytest.approx(sum(one["f1"] for one in found) / 4)
    assert values["F1, who questions"] == pytest.approx((found[0]["f1"] + found[2]["f1"]) / 2)
    named = values["F1 of the text's commonest name, who questions"]
    assert named == pytest.approx((found[0]["f1_name"] + found[2]["f1_name"]) / 2)
    assert found[0]["f1_name"] == pytest.approx((1 + 0.8 + 1) / 3) and found[2]["f1_name"] == 0
    none = [one | {"who": False} for one in found]
    assert math.isnan(coqa.COQA.metrics[2].estimate(none).value)


def test_an_article_is_followed_by_the_hint_whatever_its_length(data, subject):
    items = items_of(summaries.CNN_DM, data)
    assert items[0].highlights == ("The mill burned on Monday .", "It will be built again .")
    hint = subject.text.encode(summaries.HINT)
    ids, cut = summaries.prompt(subject, items[1].article)
    assert ids[-len(hint) :] == hint[-len(ids) :]
    assert cut == (len(subject.begin(items[1].article + summaries.HINT)) > 1), "of 48 no 100 fit"


def test_an_article_loses_its_end_and_not_the_hint(subject, monkeypatch):
    monkeypatch.setattr(summaries, "SUMMARY_TOKENS", 8)
    hint = subject.text.encode(summaries.HINT)
    ids, cut = summaries.prompt(subject, "the city")
    assert not cut and ids == subject.begin("the city" + summaries.HINT)
    ids, cut = summaries.prompt(subject, "the city and the sea " * 20)
    assert cut and len(ids) == 40
    assert ids[-len(hint) :] == hint
    assert ids[: 40 - len(hint)] == subject.begin("the city and the sea " * 20)[: 40 - len(hint)]


def test_three_first_and_three_random_sentences_are_the_papers_baselines(data, subject):
    found = list(summaries.score(subject, items_of(summaries.CNN_DM, data)))
    text = ["The mill burned on Monday.", "Nobody was hurt.", "The owner was away."]
    wanted = summaries.scores(text, ("The mill burned on Monday .", "It will be built again ."))
    assert found[0]["lead_average"] == wanted["average"] > 0.4
    assert found[0]["lead_rouge1"] == pytest.approx(2 * 5 / (12 + 10))
    assert found[1]["random_average"] == found[1]["lead_average"], "it has one sentence alone"
    whole = [f"{n}" for n in range(50)]
    chosen = summaries.at_random("7", whole)
    assert chosen == summaries.at_random("7", whole) != summaries.at_random("8", whole)
    assert len(chosen) == 3 and sorted(chosen, key=int) == chosen
    assert len(found[0]["summary"].split("\n")) <= 3


def test_segments_come_in_order_with_their_entities_read(data):
    items = items_of(translation.WMT14_EN_FR, data)
    assert [item.source for item in items] == [
        "The mill & the house are old.", "It rains.", "Nobody came.",
    ]  # fmt: skip
    assert items[1].reference == "Il pleut."
    back = items_of(translation.WMT14_FR_EN, data)
    assert (back[1].source, back[1].reference) == ("Il pleut.", "It rains.")


def test_a_translation_is_prompted_by_pairs_in_its_own_direction(data):
    prompt = items_of(translation.WMT14_EN_FR, data)[1].prompt()
    assert prompt.endswith("\nIt rains. =") and prompt.count(" = ") == 5
    assert "How much does this book cost? = Combien coûte ce livre ?\n" in prompt
    prompt = items_of(translation.WMT14_FR_EN, data)[1].prompt()
    assert "Combien coûte ce livre ? = How much does this book cost?\n" in prompt
    assert prompt.endswith("\nIl pleut. =")


def test_bleu_of_sums_is_that_of_the_whole_corpus():
    sacrebleu = pytest.importorskip("sacrebleu")
    pairs = [
        ("Il pleut sur la ville ce soir.", "Il pleut sur la ville ce matin."),
        ("Personne n'est venu, dit-il.", "Personne n'est venu."),
        ("", "Le chat dort."),
        ("Le chat dort sous la table.", "Le chat dort sous la table."),
    ]
    scorer = translation._sacrebleu()
    outcomes = [translation.counts_of(scorer, *pair) for pair in pairs]
    ours, theirs = zip(*pairs, strict=True)
    found = translation.bleu(outcomes)
    assert found.value == pytest.approx(sacrebleu.corpus_bleu(ours, [theirs]).score)
    left = [sacrebleu.corpus_bleu(ours[:n] + ours[n + 1 :], [theirs[:n] + theirs[n + 1 :]]).score
            for n in range(4)]  # fmt: skip
    spread = math.sqrt(3 / 4 * sum((one - sum(left) / 4) ** 2 for one in left))
    assert found.standard_error == pytest.approx(spread)
    assert translation.bleu(outcomes[:1]).standard_error is None


def test_bleu_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setattr(translation, "find_spec", lambda _: None)
    with pytest.raises(SettingsError, match=r"pip install 'webtext\[eval\]'"):
        translation._sacrebleu()


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("who wrote it", "who"), ("In which year", "which"), ("name the harbour", ""),
        ("When and where", "when"), ("", ""),
    ],
)  # fmt: skip
def test_the_kind_of_a_question_is_its_first_word_that_asks(question, kind):
    assert natural_questions.kind_of(question) == kind


def test_the_commonest_answer_of_each_kind_is_a_baseline(data, subject):
    items = items_of(natural_questions.NATURAL_QUESTIONS, data)
    usual = natural_questions.commonest(items)
    assert usual == {"who": "ana brandt", "which": "1901", "": "wrenkeld"}
    found = list(natural_questions.score(subject, items))
    assert [one["correct_commonest"] for one in found] == [True] * 4
    assert all(0 <= one["confidence"] <= 1 for one in found)
    assert items[0].prompt().endswith("\n\nQ: who owns the mill\nA:")
    assert items[0].prompt().count("Q: ") == 6


def sure(*pairs):
    return [{"confidence": confidence, "correct": correct} for confidence, correct in pairs]


@pytest.mark.parametrize(
    ("outcomes", "top", "error"),
    [
        (sure((0.9, True)), 1.0, 0.1),
        (sure((0.9, False), (0.1, True)), 0.0, 0.9),
        (sure(*[(0.5, n % 2 == 0) for n in range(20)]), 1.0, 0.0),
        (sure(*[(n / 200, n >= 150) for n in range(200)]), 1.0, 0.3125),
    ],
)
def test_confidence_is_compared_with_accuracy(outcomes, top, error):
    assert natural_questions.most_confident(outcomes).value == top
    assert natural_questions.calibration_error(outcomes).value == pytest.approx(error, abs=0.06)


@pytest.mark.parametrize(
    ("task", "name", "content", "message"),
    [
        (coqa.COQA, "coqa-dev-v1.0.json", "[]", "not a JSON object"),
        (coqa.COQA, "coqa-dev-v1.0.json", "{", "not JSON"),
        (coqa.COQA, "coqa-dev-v1.0.json", '{"data": 3}', 'no list "data" of stories'),
        (coqa.COQA, "coqa-dev-v1.0.json", '{"data": [{}]}', "story 1 is not of CoQA's form"),
        (coqa.COQA, "coqa-dev-v1.0.json", '{"data": ["x"]}', "story 1 is not of CoQA's form"),
        (coqa.COQA, "coqa-dev-v1.0.json",
         '{"data": [{"story": 3, "questions": [], "answers": []}]}',
         "story 1 is not of CoQA's form"),
        (summaries.CNN_DM, "cnn_dm_test.jsonl", '{"article": "x"}', 'no "article" with'),
        (summaries.CNN_DM, "cnn_dm_test.jsonl", '{"article": " ", "highlights": "a"}', 'no "art'),
        (natural_questions.NATURAL_QUESTIONS, "NQ-open.dev.jsonl",
         '{"question": "a", "answer": []}', 'no "question" with a list "answer"'),
        (natural_questions.NATURAL_QUESTIONS, "NQ-open.dev.jsonl",
         '{"question": "a", "answer": [1]}', 'no "question" with a list "answer"'),
        (translation.WMT14_EN_FR, "newstest2014-fren-src.en.sgm", "text", "no <seg id="),
        (translation.WMT14_EN_FR, "newstest2014-fren-ref.fr.sgm", '<seg id="1">a</seg>',
         "1 segments, and newstest2014-fren-src.en.sgm has 3"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(data, task, name, content, message):
    (data / name).write_text(content)
    with pytest.raises(DataError, match=rf"{name} line \d+: .*{message}.*put back the original"):
        items_of(task, data)


def test_every_task_tells_the_whole_text_of_its_items_with_their_answers(data):
    found = {name: texts_of(task, data, 1) for task in TASKS if (name := task.name) in
             SUITES["generation"]}  # fmt: skip
    assert found["coqa"] == [("s1/1", f"{STORY} Who lived there? Captain Ana Brandt")]
    assert found["wmt14_fr_en"][0][1].endswith("vieux. The mill & the house are old.")
    assert found["natural_questions"] == [("1", "who owns the mill the mayor")]
    assert found["cnn_dm"][0][1].endswith("again .")


def test_the_suite_gives_a_table_and_a_line_an_item(data, exported, tmp_path, capsys):
    pytest.importorskip("sacrebleu")
    words = ["evaluate", str(exported), "--suite", "generation", "--data", str(data)]
    items = tmp_path / "items.jsonl"
    assert main([*words, "--limit", "2", "--items", str(items)]) == 0
    table = capsys.readouterr().out
    for name in SUITES["generation"]:
        assert f"{name}: format unseen" in table
    assert "31.55" in table and "63.10" in table and "11.50" in table
    lines = [json.loads(line) for line in items.read_text().splitlines()]
    assert [line["task"] for line in lines] == [name for name in SUITES["generation"] for _ in "ab"]
    assert main([*words, "--limit", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["metric"] for row in rows if row["task"] == "coqa"} >= {"F1", "F1, who questions"}
