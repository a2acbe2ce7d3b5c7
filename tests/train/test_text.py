import json

import pytest
from tokenizers import Tokenizer, models

from train.__main__ import main
from train.errors import SettingsError
from train.runs import TokenizerFile
from train.text import Text, check_size, check_tokenizer, for_text, text_for, tokens_of

WORDS = {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "[UNK]": 2}, "unk_token": "[UNK]"}


def held(path, value):
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return TokenizerFile(path / "tokenizer.json", content)


def test_pieces_of_unigram_have_the_ids_of_their_order(tmp_path):
    path = tmp_path / "tokenizer.json"
    Tokenizer(models.Unigram([("x", -1.0), ("yz", -2.0), ("y", -3.0)], 0, False)).save(str(path))
    file = TokenizerFile(path, path.read_bytes())
    assert tokens_of(file) == {"x": 0, "yz": 1, "y": 2}
    assert text_for(file, 3).encode("yzx") == [1, 0]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"\xef\xbb\xbf{}", "byte order mark"), (b"[" * 90_000, "nested too deeply"),
        (b'{"model":' * 90_000, "nested too deeply"), (b"\xff", "decode"), (b"[]", "no object"),
        ({"model": {"type": "Unigram", "vocab": 3}}, "of its model, Unigram, no list of tokens"),
        ({"model": {"type": "BPE", "vocab": {"a": "x"}}}, "of its model, BPE, no list of tokens"),
        ({"model": {**WORDS, "type": "Other"}}, r"not a tokenizer\.json of the tokenizers library"),
    ],
)  # fmt: skip
def test_what_is_no_tokenizer_is_refused_by_what_it_is(tmp_path, value, message):
    with pytest.raises(SettingsError, match=rf"tokenizer\.json: .*{message}"):
        check_tokenizer(held(tmp_path, value), 3)


def test_ids_with_a_gap_are_counted_to_their_last_by_every_check(tmp_path):
    file = held(tmp_path, {"model": {**WORDS, "vocab": {"a": 0, "[UNK]": 4}}})
    for check in (check_size, check_tokenizer, text_for):
        check(file, 5)
        with pytest.raises(SettingsError, match="has 5 ids, the model 2"):
            check(file, 2)


@pytest.mark.parametrize(
    "model",
    [
        {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "[UNK]"},
        {"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "[UNK]",
         "continuing_subword_prefix": "##", "max_input_chars_per_word": 9},
        {"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": None, "byte_fallback": False},
    ],
)  # fmt: skip
def test_text_without_tokens_is_an_error_with_the_path(tmp_path, model):
    text = text_for(held(tmp_path, {"model": model}), 1)
    with pytest.raises(SettingsError, match=r"tokenizer\.json: has no tokens for the text 'q'"):
        text.encode("q")


def test_what_is_for_batches_and_training_is_taken_out(tokenizer_path):
    whole = TokenizerFile(tokenizer_path, tokenizer_path.read_bytes())
    assert for_text(whole) == whole.content
    about = json.loads(whole.content)
    about["model"]["dropout"] = 0.5
    cut = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    changed = TokenizerFile(tokenizer_path, json.dumps({**about, "truncation": cut}).encode())
    assert json.loads(for_text(changed)) == json.loads(whole.content)
    text = "the city and the sea"
    assert text_for(changed, 300).encode(text) == Text(tokenizer_path).encode(text)


def test_an_export_has_no_dropout_of_its_tokenizer(make_shards, tiny, tokenizer_path, tmp_path):
    about = json.loads(tokenizer_path.read_text())
    about["added_tokens"][0]["id"] = 0
    (tmp_path / "t.json").write_text(
        json.dumps({**about, "model": {**about["model"], "dropout": 0.5}})
    )
    data, run = make_shards(tmp_path / "shards", vocab=300), str(tmp_path / "run")
    words = [str(data), "--out", run, *tiny, "--steps", "1"]
    assert main([*words, "--tokenizer", str(tmp_path / "t.json")]) == 0
    kept = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**kept, "eot_id": 0}))
    assert main(["export", run, "--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "tokenizer.json").read_text()) == about


@pytest.mark.parametrize("way", ["given", "beside", "resumed"])
@pytest.mark.parametrize("content", ["{}", '{"model": {"type": "BPE", "vocab": {}}}'])
def test_a_tokenizer_of_no_use_is_refused_before_anything_is_written(
    make_shards, tiny, tmp_path, way, content, capsys
):
    data, run = make_shards(tmp_path / "shards"), tmp_path / "run"
    words = [str(data), "--out", str(run), *tiny, "--steps", "1"]
    path = {"given": tmp_path, "beside": data, "resumed": run}[way] / "tokenizer.json"
    if way == "resumed":
        assert main(words) == 0
    path.write_text(content)
    before = sorted(run.rglob("*"))
    more = {"given": ["--tokenizer", str(path)], "resumed": ["--resume"]}.get(way, [])
    capsys.readouterr()
    assert main([*words, *more]) == 2
    assert f"{path}" in capsys.readouterr().err
    assert set(run.rglob("*")) - {run / "lock"} == set(before) - {run / "lock"}
