import gzip
import json
import math

import pytest

from train.__main__ import main
from train.errors import DataError
from train.evaluate import scoring
from train.evaluate.lambada import LAMBADA, passage, score, stop_tokens
from train.evaluate.stop_words import STOP_WORDS
from train.evaluate.task import read_file

TEXTS = [
    "the city and the sea, where nobody knows\n\nwhich harbour a captain prefers",
    "nobody knows the sea",
    "“where the city knows,” the captain",
]


def folder_with(folder, lines, name="lambada_test.jsonl"):
    folder.mkdir(exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


@pytest.fixture
def data(tmp_path):
    return folder_with(tmp_path / "data", [json.dumps({"text": text}) for text in TEXTS])


@pytest.mark.parametrize(
    ("text", "context", "word"),
    [
        ("a b c", "a b", "c"),
        ("said Shane", "said", "Shane"),
        ("a line\n\nand an end ", "a line\n\nand an", "end"),
        ("a  b", "a ", "b"),
        ("don't", None, None),
        (" word", None, None),
        ("", None, None),
    ],
)
def test_the_last_word_stands_after_the_last_space(text, context, word):
    found = passage("1", text)
    assert (found and (found.context, found.word)) == (context and (context, word))


@pytest.mark.parametrize("name", ["lambada_test.jsonl", "lambada_test.jsonl.gz"])
def test_passages_are_read_packed_or_not(tmp_path, name):
    lines = [json.dumps({"text": text}, ensure_ascii=False) for text in TEXTS]
    folder = folder_with(tmp_path, lines, name)
    items = LAMBADA.read([read_file(folder, LAMBADA.files[0])])
    assert [item.word for item in items] == ["prefers", "sea", "captain"]
    assert [item.id for item in items] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
        ('{"txt": "a b"}', 'line 2: no "text"'),
        ('{"text": 3}', 'line 2: no "text"'),
        ('{"text": "word"}', 'line 2: no "text"'),
    ],
)
def test_a_line_of_another_form_is_named(tmp_path, line, told):
    folder = folder_with(tmp_path, [json.dumps({"text": "a b"}), line])
    with pytest.raises(DataError, match=told):
        LAMBADA.read([read_file(folder, LAMBADA.files[0])])


def test_a_file_that_is_not_there_or_not_whole_is_named(tmp_path):
    with pytest.raises(DataError, match=r"no lambada_test.jsonl there, nor one with .gz"):
        read_file(tmp_path, LAMBADA.files[0])
    (tmp_path / "lambada_test.jsonl.gz").write_bytes(gzip.compress(b"x" * 99)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_file(tmp_path, LAMBADA.files[0])


def test_the_last_word_is_scored_as_by_hand(subject, by_hand):
    items = [passage(str(at), text) for at, text in enumerate(TEXTS)]
    for item, found in zip(items, score(subject, items), strict=True):
        ids = subject.begin(f"{item.context} {item.word}")
        first = len(subject.begin(item.context))
        assert found["nats"] == pytest.approx(-sum(by_hand(ids, first)), abs=1e-4)
        assert found["tokens"] == len(ids) - first


def test_greedy_decoding_must_give_the_whole_word(subject, monkeypatch):
    item = passage("1", "the city knows")
    request = subject.request("the city", " knows")
    target = tuple(request.ids[request.first :])

    def scored(likeliest, allowed):
        one = scoring.Scored((-1.0,) * len(target), likeliest, allowed)
        monkeypatch.setattr(scoring, "score", lambda *_, **__: [one])
        found = next(score(subject, [item]))
        return found["correct"], found["correct_filtered"]

    other = (target[0] + 1, *target[1:])
    assert scored(target, target) == (True, True)
    assert scored(other, target) == (False, True)
    assert scored(other, other) == (False, False)


def test_stop_tokens_are_whole_words_after_a_space(subject):
    told = {subject.text.decode([token]) for token in stop_tokens(subject)}
    assert " the" in told and " and" in told
    assert all(text.startswith(" ") and text[1:] in STOP_WORDS for text in told)
    assert "the" not in told and " captain" not in told


def test_a_run_of_a_hugging_face_folder_gives_the_table_and_a_line_an_item(
    exported, data, tmp_path, capsys
):
    items = tmp_path / "items.jsonl"
    words = ["evaluate", str(exported), "--suite", "lambada", "--data", str(data)]
    assert main([*words, "--items", str(items), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    lines = [json.loads(line) for line in items.read_text().splitlines()]
    assert [line["word"] for line in lines] == ["prefers", "sea", "captain"]
    assert {line["protocol"] for line in lines} == {LAMBADA.digest()} == {rows[0]["protocol"]}
    mean = sum(line["nats"] for line in lines) / 3
    assert rows[0]["value"] == pytest.approx(math.exp(mean))
    assert rows[0]["paper"] == [35.13, 15.6, 10.87, 8.63] and not rows[0]["files_known"]
    assert main([*words, "--limit", "2"]) == 0
    told = capsys.readouterr().out
    assert "2 of 3" in told and "45.99" in told and LAMBADA.digest() in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--suite", "lambda", "--data", "."], "no suite and no task is called 'lambda'"),
        (["--suite", "paper"], "--data is missing"),
        (["--suite", "lambada", "--data", "/nowhere"], "no lambada_test.jsonl there"),
        (["--errors", "lambda", "--data", "."], "--errors: no suite and no task is called"),
        (["--suite", "lambada", "--data", ".", "--items", "/nowhere/x"], "there is no folder /now"),
        (["--suite", "lambada", "--data", ".", "--items", "/"], "--items / is a folder"),
        (["--items", "x"], "--items does nothing for a held-out loss; it goes with --suite"),
        (["--limit", "2"], "it goes with --beside or --errors or --suite"),
        (["--errors", "lambada", "--data", ".", "--items", "x"], "nothing with --errors"),
        (["--suite", "lambada", "--errors", "lambada"], "--suite does nothing with --errors"),
        (["--suite", "lambada", "--data", ".", "--tokens", "9"], "nothing with --suite; leave it"),
    ],
)
def test_what_is_missing_is_said(exported, capsys, words, told):
    assert main(["evaluate", str(exported), *words]) == 2
    assert told in capsys.readouterr().err


def test_the_real_file_is_the_known_one(shared_data):
    found = read_file(shared_data / "eval", LAMBADA.files[0])
    assert found.sha256 == LAMBADA.files[0].sha256
    items = LAMBADA.read([found])
    assert len(items) == 5153 and items[0].word == "signs"


def test_the_list_names_files_and_digests_without_a_run(capsys):
    assert main(["evaluate", "--list"]) == 0
    told = capsys.readouterr().out
    assert LAMBADA.files[0].sha256 in told and LAMBADA.digest() in told


def test_a_model_that_diverged_ends_with_an_error(exported, data, capsys, monkeypatch):
    monkeypatch.setattr(
        scoring, "of_places",
        lambda _, h, at, targets, *__: (at * math.nan, targets, targets),
    )  # fmt: skip
    words = ["evaluate", str(exported), "--suite", "lambada", "--data", str(data), "--json"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["rows"][0]["value"] is None
    assert "a result is no number" in captured.err
