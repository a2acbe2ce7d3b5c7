import gzip
import json
import os
from types import SimpleNamespace

import pytest

from tools.cli import main
from tools.overlap.command import by_set, cleaned, find_overlap
from tools.overlap.items import Item

PASSAGES = [
    "the captain of the old ship prefers a quiet harbour near the city",
    "nobody knows which road the carts of the valley take in the winter",
    "a letter that was never sent lay under the floor of the mill",
]


@pytest.fixture
def data(tmp_path):
    """Tasks' files, and a corpus that has the first passage and the beginning of the second."""
    (tmp_path / "eval").mkdir()
    lines = [json.dumps({"text": text}) for text in PASSAGES]
    (tmp_path / "eval" / "lambada_test.jsonl").write_text("\n".join(lines) + "\n")
    corpus = [f"Once, {PASSAGES[0].upper()}!", "more: nobody knows which road the carts of the, x"]
    (tmp_path / "corpus.jsonl").write_text(
        "".join(json.dumps({"text": text}) + "\n" for text in corpus)
    )
    return tmp_path


def overlap(capsys, *words):
    capsys.readouterr()
    code = main(["overlap", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_each_item_has_its_share_and_each_set_its_sums(data, capsys):
    words = [data / "corpus.jsonl", "--data", data / "eval", "--suite", "lambada"]
    code, out, _ = overlap(capsys, *words, "--out", data / "o.jsonl", "--json")
    assert code == 0
    lines = [json.loads(line) for line in (data / "o.jsonl").read_text().splitlines()]
    assert lines == [
        {"task": "lambada", "id": "1", "grams": 6, "found": 6, "share": 1.0},
        {"task": "lambada", "id": "2", "grams": 6, "found": 1, "share": pytest.approx(1 / 6)},
        {"task": "lambada", "id": "3", "grams": 6, "found": 0, "share": 0.0},
    ]
    assert json.loads(out) == {
        "corpus_grams": 10,
        "sets": [{"task": "lambada", "items": 3, "grams": 18, "found": 7, "items_with_any": 2,
                  "items_without_grams": 0, "share": pytest.approx(7 / 18)}],
        "scores": [],
    }  # fmt: skip


def test_scores_are_told_without_the_items_that_overlap(data, capsys):
    outcomes = [
        {"task": "lambada", "id": f"{n}", "nats": n, "tokens": 1, "correct": n > 2,
         "correct_last": True, "correct_filtered": n != 2}
        for n in (1, 2, 3)
    ]  # fmt: skip
    (data / "items.jsonl").write_text("".join(json.dumps(one) + "\n" for one in outcomes))
    words = [data / "corpus.jsonl", "--data", data / "eval", "--suite", "lambada"]
    words += ["--scores", data / "items.jsonl", "--out", data / "o.jsonl"]
    _, out, _ = overlap(capsys, *words, "--json")
    rows = {row["metric"]: row for row in json.loads(out)["scores"]}
    accuracy = rows["accuracy"]
    assert (accuracy["items"], accuracy["clean_items"]) == (3, 1)
    assert accuracy["value"] == pytest.approx(1 / 3) and accuracy["clean_value"] == 1
    _, out, _ = overlap(capsys, *words)
    assert "without overlap" in out and "66.67" in out


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (b'{"task": "lambada", "id": "1"}\n', "lambada: "),
        (b'{"task": "lambada", "id": "1"}\n\xff\n', "line 2: "),
        (b"[" * 100_000, "line 1: "),
    ],
)
def test_scores_that_evaluate_did_not_write_are_named(data, capsys, scores, told):
    (data / "items").write_bytes(scores)
    words = [data / "corpus.jsonl", "--data", data / "eval", "--suite", "lambada"]
    code, out, err = overlap(capsys, *words, "--scores", data / "items", "--out", data / "o.jsonl")
    assert (code, out) == (2, "")
    assert told in err and "Give what `webtext evaluate --items` wrote" in err


@pytest.mark.parametrize(
    ("out", "told"),
    [("corpus.jsonl", "is an input too"), ("eval", "is a folder"), ("pipe", "is no regular file")],
)
def test_overlap_writes_over_nothing_that_it_reads(data, capsys, out, told):
    os.mkfifo(data / "pipe")
    before = (data / "corpus.jsonl").read_bytes()
    words = [data / "corpus.jsonl", "--data", data / "eval", "--suite", "lambada"]
    code, _, err = overlap(capsys, *words, "--out", data / out)
    assert code == 2 and f"--out {data / out} {told}" in err
    assert (data / "corpus.jsonl").read_bytes() == before and (data / "pipe").is_fifo()


def test_the_folder_of_the_result_is_made(data, capsys):
    words = [data / "corpus.jsonl", "--data", data / "eval", "--suite", "lambada"]
    assert overlap(capsys, *words, "--out", data / "new" / "o.jsonl")[0] == 0
    assert (data / "new" / "o.jsonl").exists()


def test_items_that_were_not_looked_for_are_in_neither_score():
    overlaps, _ = find_overlap([Item("lambada", "1", PASSAGES[0])], PASSAGES[:1])
    outcome = {"nats": 1.0, "tokens": 1, "correct": 1, "correct_last": 1, "correct_filtered": 1}
    scores = [outcome | {"task": "lambada", "id": id} for id in ("1", "2")]
    rows = cleaned(scores, overlaps)
    assert {(row["items"], row["clean_items"], row["clean_value"]) for row in rows} == {
        (1, 0, None)
    }
    assert cleaned([outcome | {"task": "lambada", "id": "9"}], overlaps) == []


def test_windows_of_a_document_overlap_as_it_does():
    items = [Item("wikitext2_articles", str(n), text) for n, text in enumerate(PASSAGES, 1)]
    overlaps, _ = find_overlap(items, PASSAGES[:1])
    scores = [
        {"task": "wikitext2_articles", "id": id, "nats": nats, "tokens": 1, "words": 1.0}
        for id, nats in (("1:1", 9.0), ("2:1", 1.0), ("2:33", 1.0), ("3:1", 1.0), ("4:1", 5.0))
    ]
    (row,) = cleaned(scores, overlaps)
    assert (row["items"], row["clean_items"]) == (4, 3)
    assert row["clean_value"] == pytest.approx(2.71828, rel=1e-4) and row["value"] > 10


def test_an_item_of_few_words_says_so_instead_of_having_no_overlap(data, capsys):
    overlaps, _ = find_overlap([Item("a", "1", "one two"), Item("b", "1", PASSAGES[0])], PASSAGES)
    assert [one.share for one in overlaps] == [None, 1.0]
    assert [(one.items_without_grams, one.share) for one in by_set(overlaps)] == [(1, None), (0, 1)]
    (data / "eval" / "lambada_test.jsonl").write_text('{"text": "so few words"}\n')
    words = [data / "corpus.jsonl", "--data", data / "eval", "--suite", "lambada"]
    _, out, _ = overlap(capsys, *words, "--out", data / "o.jsonl")
    assert "of 1 items 1 with fewer than eight words, which have no 8-gram" in " ".join(out.split())


def test_held_out_texts_are_looked_for_in_their_own_train_split(tmp_path, capsys):
    shared = "this sentence of exactly nine words stands in all"
    texts = [f"{n} begins it: {shared} and then {n} ends it" for n in range(60)]
    rows = [{"id": f"{n}", "text": text} for n, text in enumerate(texts)]
    rows.append({"id": "alone", "text": " ".join(f"w{n}" for n in range(20))})
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = str(tmp_path / "bpe")
    assert main(["tokenizer", "train", str(tmp_path / "texts.jsonl"), "--out", made,
                 "--vocab-size", "300"]) == 0  # fmt: skip
    assert main(["shards", str(tmp_path / "texts.jsonl"), "--tokenizer", made, "--val-share", "0.3",
                 "--out", str(tmp_path / "tokens")]) == 0  # fmt: skip
    about = json.loads((tmp_path / "tokens" / "shards" / "shards.json").read_text())
    held = about["splits"]["val"]["documents"]
    code, out, _ = overlap(
        capsys, "--held-out", tmp_path / "tokens", "--out", tmp_path / "o.jsonl", "--json"
    )
    (found,) = json.loads(out)["sets"]
    assert code == 0 and found["task"] == "held-out" and found["items"] == held
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    for line in lines:
        assert line["found"] == (0 if line["grams"] == 13 else 6), "thirteen words are the same"
    (tmp_path / "lambada_test.jsonl").write_text(json.dumps({"text": f"0 begins it: {shared}"}))
    _, out, _ = overlap(capsys, "--held-out", tmp_path / "tokens", "--limit", "2", "--data",
                        tmp_path, "--out", tmp_path / "o.jsonl", "--json")  # fmt: skip
    task, own = json.loads(out)["sets"]
    assert (task["task"], task["found"] >= 2, own["items"]) == ("lambada", True, 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{corpus}", "--out", "{out}"], "name the test sets: --data FOLDER"),
        (["--data", "{eval}", "--out", "{out}"], "name at least one file or folder"),
        (["{corpus}", "--held-out", "{eval}", "--out", "{out}"], "give no corpus"),
        (["--held-out", "{eval}", "--out", "{out}"], "no shards are there"),
        (["{corpus}", "--data", "{eval}", "--suite", "none", "--out", "{out}"], "no suite and no"),
        (["{corpus}", "--data", "{none}", "--out", "{out}"], "no file of a task there"),
        (["{corpus}", "--data", "{eval}", "--limit=-1", "--out", "{out}"], "--limit is -1; it"),
        (["{corpus}", "--data", "{eval}", "--scores", "{corpus}", "--out", "{out}"], "line 1"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(data, capsys, words, message):
    names = SimpleNamespace(corpus=data / "corpus.jsonl", eval=data / "eval", out=data / "o.jsonl",
                            none=data / "none")  # fmt: skip
    code, out, err = overlap(capsys, *(word.format(**vars(names)) for word in words))
    assert code == 2 and message in err and out == ""
    assert not names.out.exists()


def test_real_passages_are_all_found_in_their_own_file_and_hardly_in_other_texts(
    shared_data, tmp_path, capsys
):
    with gzip.open(shared_data / "eval" / "lambada_test.jsonl.gz", "rt") as file:
        lines = file.readlines()
    (tmp_path / "own.jsonl").write_text("".join(lines[:2000]))
    words = ["--data", shared_data / "eval", "--suite", "lambada", "--out", tmp_path / "o.jsonl"]
    _, out, _ = overlap(capsys, tmp_path / "own.jsonl", *words, "--json")
    (found,) = json.loads(out)["sets"]
    assert found["items"] == 5153 and 2000 <= found["items_with_any"] < 2100
    whole = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert all(one["share"] == 1 for one in whole[:2000])
    articles = shared_data / "wikipedia" / "xquad_articles.jsonl.gz"
    _, out, _ = overlap(capsys, articles, *words, "--json")
    assert json.loads(out)["sets"][0]["share"] < 1e-3
