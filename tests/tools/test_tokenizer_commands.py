import json
import os
import random

import pytest

from pipeline.tokens.export import export
from pipeline.tokens.tokenizer import END_OF_TEXT, train
from tools.cli import main

TEXT = f"The city {END_OF_TEXT} na\u00efve \u4e2d\u6587 it's \r\n\n  end  "


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bpe")
    export(train(["the city in the end is the city, it's naive"] * 5, 300, 2), folder, ["openai"])
    return folder


@pytest.fixture
def run(capfdbinary):
    def call(*words, code=0):
        assert main(["tokenizer", *map(str, words)]) == code
        captured = capfdbinary.readouterr()
        return captured.out, captured.err.decode()

    return call


def test_decoding_what_was_encoded_gives_the_file_to_its_last_byte(bpe, run, tmp_path):
    (tmp_path / "a.txt").write_bytes(TEXT.encode())
    ids, _ = run("encode", bpe, tmp_path / "a.txt")
    (tmp_path / "a.ids").write_bytes(ids)
    assert run("decode", bpe, tmp_path / "a.ids")[0] == TEXT.encode()
    run("decode", bpe, tmp_path / "a.ids", "--out", tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_bytes() == TEXT.encode()
    assert (
        len(ids.split())
        == json.loads(run("count-tokens", bpe, tmp_path / "a.txt", "--json")[0])[
            str(tmp_path / "a.txt")
        ]["tokens"]
    )


@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize(
    ("out", "told"),
    [("a.txt", "is an input too"), ("folder", "is a folder"), ("pipe", "is no regular file")],
)
def test_nothing_that_is_read_is_written_over(bpe, run, tmp_path, command, out, told):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.txt").write_text("12 13")
    _, err = run(command, bpe, tmp_path / "a.txt", "--out", tmp_path / out, code=2)
    assert f"--out {tmp_path / out} {told}; " in err
    assert (tmp_path / "a.txt").read_text() == "12 13" and (tmp_path / "pipe").is_fifo()
    run(command, bpe, tmp_path / "a.txt", "--out", tmp_path / "new" / "folder" / "b")


def test_a_long_file_is_encoded_as_the_whole_of_it(bpe, run, tmp_path):
    rng = random.Random(3)
    text = "".join(
        rng.choice(["the ", "city", "\n", " ", "\u00ef", "'s", "1"]) for _ in range(900_000)
    )
    (tmp_path / "long.txt").write_text(text, newline="")
    run("encode", bpe, tmp_path / "long.txt", "--out", tmp_path / "ids")
    from pipeline.tokens.encode import Encoder
    from pipeline.tokens.tokenizer_files import load

    whole = Encoder(load(bpe)).encode(text).tolist()
    assert list(map(int, (tmp_path / "ids").read_text().split())) == whole


def test_pieces_are_shown_one_a_line(bpe, run, tmp_path):
    (tmp_path / "a.txt").write_text("the \u4e2d\n")
    lines = run("encode", bpe, tmp_path / "a.txt", "--pieces")[0].decode().splitlines()
    assert [line.split("\t")[1] for line in lines] == [
        "'the'", "' '", r"'\xe4'", r"'\xb8'", r"'\xad'", r"'\n'"
    ]  # fmt: skip


def test_ids_that_end_amid_a_character_are_told_and_shown(bpe, run, tmp_path):
    vocab = json.loads((bpe / "encoder.json").read_text())
    first = next(i for token, i in vocab.items() if token == "\u00e4")  # the byte e4
    (tmp_path / "ids").write_text(f"[{vocab['t']}, {first}]")
    out, told = run("decode", bpe, tmp_path / "ids")
    assert out == rb"t\xe4"
    assert r"the ids end amid a character: '\xe4' begins one" in told


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ("1 2 277", "word 3: 277 is no id of the tokenizer, whose 277 end with 276"),
        ("1 -2", "word 2: '-2' is no id"),
        ("one", "word 1: 'one' is no id"),
        ("9" * 5000, "is no id of the tokenizer"),
        ("1 \u0663", "is no id"),
    ],
)
def test_what_is_no_id_is_named(bpe, run, tmp_path, ids, said):
    (tmp_path / "ids").write_text(ids)
    out, told = run("decode", bpe, tmp_path / "ids", code=2)
    assert out == b"" and said in told and str(tmp_path / "ids") in told


def test_the_id_of_end_of_text_is_shown_as_its_text(bpe, run, tmp_path):
    (tmp_path / "ids").write_text("276")
    assert run("decode", bpe, tmp_path / "ids")[0] == END_OF_TEXT.encode()


@pytest.mark.parametrize("content", [b"ab\xff", b"x" * (1 << 20) + b"\xc3", b"\xe4\xb8"])
def test_a_file_that_is_not_utf8_is_named_with_the_byte(bpe, run, tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    at = len(content.decode("utf-8", "ignore"))
    _, told = run("encode", bpe, tmp_path / "a.txt", code=2)
    assert f"a.txt, byte {at}: is not UTF-8" in told


def test_a_file_stands_as_it_was_until_its_successor_is_whole(bpe, run, tmp_path):
    (tmp_path / "good.txt").write_text("the city")
    (tmp_path / "bad.txt").write_bytes(b"the city\xff")
    run("encode", bpe, tmp_path / "good.txt", "--out", tmp_path / "ids")
    before = (tmp_path / "ids").read_bytes()
    run("encode", bpe, tmp_path / "bad.txt", "--out", tmp_path / "ids", code=2)
    assert (tmp_path / "ids").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"good.txt", "bad.txt", "ids"}


def test_nothing_gives_no_token(bpe, run, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"")
    assert run("encode", bpe, tmp_path / "a.txt")[0] == b"\n"
    assert b" 0 tokens" in run("count-tokens", bpe, tmp_path / "a.txt")[0]
    assert run("decode", bpe, tmp_path / "a.txt")[0] == b""


def test_tokens_of_rows_are_those_of_their_texts(bpe, run, tmp_path):
    rows = [{"text": "the city"}, {"text": "in the end"}, {"other": 1}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "b.txt").write_text("the city")
    out = run("count-tokens", bpe, tmp_path / "a.jsonl", tmp_path / "b.txt", "--json")[0]
    counts = json.loads(out)
    assert [each["texts"] for each in counts.values()] == [2, 1]
    assert counts[str(tmp_path / "a.jsonl")]["text_bytes"] == 18


def test_eval_tells_tokenizers_side_by_side(bpe, run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    export(train(["nothing of it"], 270, 1), other, ["tiktoken"])
    (tmp_path / "t.jsonl").write_text(json.dumps({"text": "the city in the end " * 20}) + "\n")
    table = run("eval", bpe, other, "--text", tmp_path / "t.jsonl")[0].decode()
    assert "entries of the vocabulary" in table and "characters that are lost" in table
    out = run("eval", bpe, other, "--text", tmp_path / "t.jsonl", "--json")[0]
    first, second = json.loads(out)
    assert first["bytes_per_token"] > second["bytes_per_token"] > 0
    assert first["broken_bytes"] == first["broken_characters"] == first["made_by_nothing"] == []
    assert first["texts"] == 1 and first["by_kind"].keys() == {"prose"}


def test_eval_counts_tokens_that_nothing_makes_where_shards_would_refuse_them(bpe, run, tmp_path):
    vocab = json.loads((bpe / "encoder.json").read_text())
    vocab |= {"zzz": vocab[END_OF_TEXT], END_OF_TEXT: vocab[END_OF_TEXT] + 1}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_bytes((bpe / "vocab.bpe").read_bytes())
    (tmp_path / "t.txt").write_text("the city zzz")
    out = run("eval", tmp_path / "vocab.json", "--text", tmp_path / "t.txt", "--json")[0]
    (found,) = json.loads(out)
    assert [each["token"] for each in found["made_by_nothing_first"]] == ["'zzz'"]
    assert found["problem"].startswith("1 of its tokens are made by no merge")
    table = run("eval", tmp_path, "--text", tmp_path / "t.txt")[0].decode()
    assert "no shards can be written with it" in table


def test_eval_without_text_says_so(bpe, run, tmp_path):
    (tmp_path / "t.txt").write_text("\n")
    assert "no text to try" in run("eval", bpe, "--text", tmp_path / "t.txt", code=2)[1]


def test_export_writes_all_forms_or_those_that_are_named(bpe, run, tmp_path):
    out = run("export", bpe, "--out", tmp_path / "all")[0].decode()
    assert len(out.splitlines()) == len(list((tmp_path / "all").iterdir())) == 8
    run("export", tmp_path / "all", "--out", tmp_path / "two", "--form", "llm.c", "tiktoken")
    names = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert names == ["tokenizer.bin", "webtext.tiktoken"]
    _, told = run("export", tmp_path / "two" / "nowhere", "--out", tmp_path / "x", code=2)
    assert "no such file" in told and not (tmp_path / "x").exists()


def test_counts_that_are_named_twice_count_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    texts = "".join(json.dumps({"text": f"the cat and the hat {n}"}) + "\n" for n in range(50))
    (tmp_path / "t.jsonl").write_text(texts)
    assert main(["tokenizer", "count", "t.jsonl", "--out", "a", "--workers", "1"]) == 0
    merges = []
    for out, counts in (("once", ["a"]), ("twice", ["a", str(tmp_path / "a")])):
        named = [word for folder in counts for word in ("--counts", folder)]
        words = [*named, "--out", out, "--vocab-size", "260", "--min-frequency", "60"]
        assert main(["tokenizer", "train", *words, "--workers", "1"]) == 0
        found = json.loads((tmp_path / out / "tokenizer" / "tokenizer.json").read_text())
        merges.append(found["model"]["merges"])
    assert merges[0] == merges[1] != []
