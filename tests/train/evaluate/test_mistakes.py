import json

import pytest

from train.__main__ import main
from train.evaluate.mistakes import first_word, kind_of, nouns_of, words_of

NOUNS = nouns_of(["He saw the robot, and a ship of old.", "My little hat is here.", "by the end"])


def test_nouns_end_what_a_determiner_begins():
    assert {"robot", "ship", "end"} == NOUNS


@pytest.mark.parametrize(
    ("word", "context", "kind"),
    [
        ("the", "he saw", "stop word"),
        ("The", "He saw.", "stop word"),
        (",", "he saw", "no word"),
        ("Shane", "he saw", "name"),
        ("Shane", "He saw.", "other word"),
        ("Robot", "He said: “No.”", "noun"),
        ("robot", "he saw a", "noun"),
        ("sings", "he", "other word"),
    ],
)
def test_a_word_is_of_a_kind_by_its_signs(word, context, kind):
    assert kind_of(word, context, NOUNS) == kind


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (" the city", "the"),
        (" don't know", "don't"),
        ("s'", "s"),
        (', and "so', ","),
        ("—he", "—he"),
        ("", ""),
        ("\n\nNow", "Now"),
    ],
)
def test_the_first_word_is_cut_from_what_the_model_goes_on_with(text, word):
    assert first_word(text) == word


def test_the_models_word_is_what_greedy_decoding_gives(subject):
    contexts = ["the city", "nobody knows which harbour a foreign captain prefers " * 9]
    alone = [words_of(subject, [text])[0] for text in contexts]
    assert words_of(subject, contexts) == alone


def test_errors_show_both_words_and_count_kinds(exported, tmp_path, capsys):
    lines = [json.dumps({"text": f"the city and the sea{n} captain"}) for n in range(3)]
    (tmp_path / "lambada_test.jsonl").write_text("\n".join(lines) + "\n")
    command = ["evaluate", str(exported), "--errors", "lambada", "--data", str(tmp_path)]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["mistakes"]["lambada"]
    assert [one["right"] for one in found] == 3 * ["captain"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "lambada: 3 of 3 items are wrong" in told and f"[{found[0]['model']} | captain]" in told


def test_errors_of_schemas_name_what_was_chosen(exported, tmp_path, capsys):
    item = "the sea, the city, because [MASK] sinks.\n[MASK]\nthe sea, the city\n{}\n\n"
    (tmp_path / "wsc273.txt").write_text(item.format("the sea") + item.format("the city"))
    command = ["evaluate", str(exported), "--errors", "winograd", "--data", str(tmp_path)]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "winograd: 1 of 2 items are wrong" in told and "right is 'the " in told
