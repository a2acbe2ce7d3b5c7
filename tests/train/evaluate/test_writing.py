import pytest
import torch

from train.evaluate.writing import (
    confidence,
    cut_beginning,
    fill,
    line_end,
    never,
    sentence_end,
    sentences,
    write,
)


@pytest.mark.parametrize(
    ("template", "fields", "wanted"),
    [
        ("Q: {q}\nA:", {"q": "who"}, "Q: who\nA:"),
        ("{a} = {b}", {"a": "{b}", "b": "x"}, "{b} = x"),
        ("{a}", {"a": "{0.__class__} %s {{"}, "{0.__class__} %s {{"),
        ("{a}{a}", {"a": "\\1 \\g<0>"}, "\\1 \\g<0>\\1 \\g<0>"),
        ("no field {", {}, "no field {"),
    ],
)
def test_a_prompt_is_filled_once_and_runs_nothing_of_its_fields(template, fields, wanted):
    assert fill(template, fields) == wanted


def test_a_field_that_is_missing_is_an_error():
    with pytest.raises(KeyError):
        fill("{a}", {})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "no." Then (he left.) And', ['He said "no."', "Then (he left.)", "And"]),
        ("3.14 is pi. a.b", ["3.14 is pi.", "a.b"]),
        ("a title\n\nA line. Another", ["a title", "A line.", "Another"]),
        ("Wait… what", ["Wait…", "what"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_by_their_marks_or_their_line(text, found):
    assert sentences(text) == found


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (" yes\nQ: next", " yes", " yes"),
        ("\n yes", None, None),
        ("\nyes\nno", "\nyes", "\nyes"),
        (" Il dort. Puis", None, " Il dort."),
        (" Il dort.", None, None),
        (" Il dort\nPuis.", " Il dort", " Il dort"),
        ("", None, None),
    ],
)
def test_an_answer_ends_with_its_line_or_its_sentence(text, line, sentence):
    for ends, wanted in ((line_end, line), (sentence_end, sentence)):
        at = ends(text)
        assert (None if at is None else text[:at]) == wanted


def greedy(subject, prompt, tokens):
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(tokens):
            ids.append(int(subject.model(torch.tensor([ids]))[0, -1].argmax()))
            if ids[-1] == subject.eot_id:
                break
    return ids[len(prompt) :]


def test_what_is_written_in_batches_is_what_each_prompt_gives_alone(subject, monkeypatch):
    monkeypatch.setattr("train.evaluate.writing.CPU_ROWS", 3)
    prompts = [subject.begin("the city " * n)[:40] for n in (3, 1, 2, 5, 1)]
    found = write(subject, prompts, 8, never)
    for prompt, one in zip(prompts, found, strict=True):
        wanted = [token for token in greedy(subject, prompt, 8) if token != subject.eot_id]
        assert list(one.ids) == wanted
        assert one.text == subject.text.decode(wanted).strip()


def test_an_answer_stops_at_its_end_and_others_go_on(subject):
    prompts = [subject.begin("the sea"), subject.begin("a captain of the")]
    whole = [one.ids for one in write(subject, prompts, 10, never)]
    letter = subject.text.decode(whole[0][:4])[-1]

    def ends(text):
        at = text.find(letter)
        return at if at >= 0 else None

    first, second = write(subject, prompts, 10, ends)
    assert letter not in first.text and len(first.ids) <= 4
    assert first.ids == whole[0][: len(first.ids)] and second.ids == whole[1][: len(second.ids)]


def test_the_seed_of_a_prompt_depends_on_its_number_alone(subject, monkeypatch):
    prompts = [subject.begin("the " * n) for n in (2, 1, 2)]
    options = {"top_k": 5, "seed": 3}
    together = write(subject, prompts, 6, never, **options)
    monkeypatch.setattr("train.evaluate.writing.CPU_ROWS", 1)
    assert write(subject, prompts, 6, never, **options) == together
    assert together[0] != together[2], "the same prompt, another number"


def test_confidence_is_ln_p_of_all_that_was_written(subject, by_hand):
    prompts = [subject.begin("the sea"), subject.begin("a city")]
    written = write(subject, prompts, 5, never)
    found = confidence(subject, prompts, written)
    for prompt, one, ln_p in zip(prompts, written, found, strict=True):
        assert ln_p == pytest.approx(sum(by_hand([*prompt, *one.ids], len(prompt))), abs=1e-4)
    nothing = [type(written[0])("", ())] * 2
    assert confidence(subject, prompts, nothing) == [0.0, 0.0]


def test_a_prompt_that_is_too_long_loses_its_beginning(subject):
    ids, cut = cut_beginning(subject, "the city", 8)
    assert ids == subject.begin("the city") and not cut
    long = subject.begin("the city and the sea " * 20)
    ids, cut = cut_beginning(subject, "the city and the sea " * 20, 8)
    assert cut and ids == long[-40:], "the context is 48"
