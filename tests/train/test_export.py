import json
import math
from dataclasses import replace

import pytest
import torch
import transformers
from tokenizers import Tokenizer, normalizers, pre_tokenizers

from train.__main__ import main
from train.config import GPTConfig
from train.errors import CheckpointError, SettingsError
from train.export import export_folder
from train.given import read_folder
from train.sample import Text, generate

TINY = GPTConfig(n_layer=3, n_head=4, n_embd=32, n_ctx=64, vocab_size=97)
KINDS = {
    "gpt2": TINY,
    "gpt1": replace(TINY, norm="post", position_std=0.02),
    "gpt3": replace(TINY, attention="banded", band=8, qkv_bias=False),
}


def exported(model, folder, dtype=torch.float32):
    export_folder(model, folder, eot_id=96, tokenizer=None, dtype=dtype)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_comes_back_as_it_was(drawn, kind, tmp_path):
    model = drawn(KINDS[kind])
    config, weights = read_folder(exported(model, tmp_path))
    assert replace(config, position_std=0.02) == replace(
        model.config, position_std=0.02, band=config.band
    )
    for name, p in model.named_parameters():
        assert torch.allclose(weights[name], p, atol=1e-6), name


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_computes_the_same_logits_and_generates_the_same_text(drawn, kind, tmp_path):
    model = drawn(KINDS[kind])
    exported(model, tmp_path)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    ids = torch.randint(97, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, wanted = model(ids), theirs(ids).logits
    assert (ours - wanted).abs().max() < 1e-5 * wanted.abs().max()
    text = theirs.generate(ids[:1, :5], max_new_tokens=20, do_sample=False, eos_token_id=None)
    steps = generate(model, [ids[0, :5].tolist()], 20, seeds=[0], temperature=0)
    greedy = [step[0] for step in steps]
    assert text[0, 5:].tolist() == greedy


def test_transformers_loads_the_tokenizer_with_the_model(drawn, tokenizer_path, tmp_path):
    model = drawn(replace(TINY, vocab_size=300))
    export_folder(model, tmp_path, eot_id=0, tokenizer=tokenizer_path, dtype=torch.float32)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "the sea – 日本"
    assert theirs.encode(text) == Text(tokenizer_path).encode(text)
    assert theirs.decode(theirs.encode(text)) == text
    assert theirs.eos_token == "<|endoftext|>"


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_uneven_length_have_the_logits_of_each_alone(
    drawn, kind, tokenizer_path, tmp_path
):
    config = replace(KINDS[kind], vocab_size=300)
    export_folder(drawn(config), tmp_path, eot_id=0, tokenizer=tokenizer_path, dtype=torch.float32)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = ["the sea", "the city and the sea and the city", "a"]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    assert set(batch) == {"input_ids", "attention_mask"}
    with torch.no_grad():
        found = model(**batch).logits
        for text, row in zip(texts, found, strict=True):
            ids = torch.tensor([Text(tokenizer_path).encode(text)])
            wanted = model(input_ids=ids).logits[0]
            assert torch.allclose(row[: len(wanted)], wanted, atol=1e-5)


def test_the_tokenizer_names_gpt2s_class_its_inputs_and_its_padding(
    drawn, tokenizer_path, tmp_path
):
    model = drawn(replace(TINY, vocab_size=300))
    export_folder(model, tmp_path, eot_id=0, tokenizer=tokenizer_path, dtype=torch.float32)
    assert json.loads((tmp_path / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "GPT2TokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 64, "add_prefix_space": False,
        "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
    }  # fmt: skip
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.pad_token_id == theirs.eos_token_id == 0 and len(theirs) == 300
    assert theirs.model_max_length == 64


def lowered(tokenizer):
    tokenizer.normalizer = normalizers.Lowercase()


def by_digits(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), tokenizer.pre_tokenizer]
    )


def spaced(tokenizer):
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)


@pytest.mark.parametrize("change", [lowered, by_digits, spaced])
def test_a_tokenizer_that_splits_otherwise_than_gpt2s_keeps_its_ids(
    drawn, change, tokenizer_path, tmp_path
):
    tokenizer = Tokenizer.from_file(str(tokenizer_path))
    change(tokenizer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    model = drawn(replace(TINY, vocab_size=300))
    export_folder(
        model, tmp_path / "out", eot_id=0, tokenizer=tmp_path / "tokenizer.json",
        dtype=torch.float32,
    )  # fmt: skip
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    text = "The City and 1234 the sea"
    batch = theirs(text)
    assert batch["input_ids"] == Text(tmp_path / "tokenizer.json").encode(text)
    assert set(batch) == {"input_ids", "attention_mask"}


def test_a_tokenizer_of_another_size_or_without_the_end_of_text_is_not_exported(
    drawn, tokenizer_path, tmp_path
):
    with pytest.raises(SettingsError, match=r"has 300 ids, the model 97: .* --tokenizer PATH"):
        export_folder(
            drawn(TINY), tmp_path / "a", eot_id=96, tokenizer=tokenizer_path, dtype=torch.float32
        )
    about = json.loads(tokenizer_path.read_text())
    about["added_tokens"][0]["id"] = 299
    del about["model"]["vocab"]["<|endoftext|>"]
    (tmp_path / "tokenizer.json").write_text(json.dumps(about))
    with pytest.raises(SettingsError, match="no token of the id 0, which ends texts"):
        export_folder(
            drawn(replace(TINY, vocab_size=300)), tmp_path / "b", eot_id=0,
            tokenizer=tmp_path / "tokenizer.json", dtype=torch.float32,
        )  # fmt: skip
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(TINY, attention="banded"), "train with --no-qkv-bias"),
        (replace(TINY, attention="strided"), "no counterpart"),
        (replace(TINY, qkv_bias=False), "biases in c_attn"),
        (replace(TINY, norm="post", attention="banded"), "dense attention"),
    ],
)
def test_what_transformers_does_not_have_is_refused_by_name(drawn, config, message, tmp_path):
    with pytest.raises(SettingsError, match=message):
        exported(drawn(config), tmp_path)


def test_an_export_that_reads_back_otherwise_is_an_error(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr("train.hugging_face.IN_OUT", ("mlp.c_fc.weight",))
    real = read_folder

    def wrong(folder):
        config, weights = real(folder)
        weights["transformer.h.0.attn.c_attn.weight"][0] += 1
        return config, weights

    monkeypatch.setattr("train.export.read_folder", wrong)
    with pytest.raises(CheckpointError, match="logits differ"):
        exported(drawn(TINY), tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_not_exported(drawn, value, tmp_path):
    model = drawn(TINY)
    with torch.no_grad():
        model.blocks[1].mlp.c_fc.weight[0, 0] = value
    with pytest.raises(CheckpointError, match=r"h\.1\.mlp\.c_fc\.weight is not finite"):
        exported(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    model.blocks[1].mlp.c_fc.weight.data[0, 0] = 0


def test_logits_that_differ_by_nan_are_an_error(drawn, tmp_path, monkeypatch):
    monkeypatch.setattr("train.export._difference", lambda *_: math.nan)
    with pytest.raises(CheckpointError, match="logits differ by nan"):
        exported(drawn(TINY), tmp_path)


def test_an_export_in_bf16_is_half_as_large_and_close(drawn, tmp_path):
    exported(drawn(TINY), tmp_path / "a")
    exported(drawn(TINY), tmp_path / "b", torch.bfloat16)
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in "ab"]
    assert sizes[1] < 0.55 * sizes[0]


def test_a_folder_without_a_weight_is_refused_by_its_name(drawn, tmp_path):
    exported(drawn(TINY), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "n_layer": 4}))
    with pytest.raises(CheckpointError, match=r"no weight there for transformer\.h\.3"):
        read_folder(tmp_path)


def test_training_goes_on_from_an_export_and_from_a_run(shards_folder, tiny, tmp_path, capsys):
    run, folder = tmp_path / "run", tmp_path / "folder"
    assert main([str(shards_folder), "--out", str(run), *tiny]) == 0
    assert main(["export", str(run), "--out", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["logits_difference"] < 1e-5
    ends = []
    for init in (run, folder):
        out = tmp_path / f"from-{init.name}"
        options = ["--steps", "5", "--batch-tokens", "256", "--lr", "1e-3", "--device", "cpu"]
        command = [str(shards_folder), "--out", str(out), "--init", str(init), *options, "--json"]
        assert main(command) == 0
        ends.append(json.loads(capsys.readouterr().out))
    assert ends[0]["first_val_loss"] < 3.5
    assert ends[0]["val_loss"] == pytest.approx(ends[1]["val_loss"], abs=1e-6)
    assert main([*command[:3], "--init", str(run), "--n-embd", "64"]) == 2


@pytest.fixture(scope="module")
def trained(shards_folder, tiny, tmp_path_factory):
    run = tmp_path_factory.mktemp("trained") / "run"
    assert main([str(shards_folder), "--out", str(run), *tiny, "--steps", "2"]) == 0
    return run


def files_of(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("place", [".", "checkpoints/step-000000002", "checkpoints", "exports/a"])
def test_an_export_into_a_run_is_refused_and_the_run_stands(trained, place, capsys):
    before = files_of(trained)
    assert main(["export", str(trained), "--out", str(trained / place)]) == 2
    error = capsys.readouterr().err
    assert "is the folder of a run" in error or f"is within the run {trained}" in error
    assert files_of(trained) == before and not (trained / "exports").exists()


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors", "config.json", "model.safetensors.index.json", "pytorch_model.bin",
        "tokenizer.json", "added_tokens.json", "special_tokens_map.json", "manifest.json",
    ],
)  # fmt: skip
def test_an_export_over_files_of_others_is_refused_and_they_stand(trained, tmp_path, name, capsys):
    (tmp_path / name).write_text("{}")
    assert main(["export", str(trained), "--out", str(tmp_path)]) == 2
    assert f"--out {tmp_path} holds {name}" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["{}"]


def test_an_export_takes_the_place_of_an_earlier_one_of_ours_alone(trained, drawn, tmp_path):
    words = ["export", str(trained), "--out", str(tmp_path)]
    (tmp_path / ".export.tmp").mkdir()  # of one that was killed
    assert main(words) == main(words) == 0
    names = {"config.json", "generation_config.json", "model.safetensors"}
    assert {path.name for path in tmp_path.iterdir()} == names
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    model.save_pretrained(tmp_path)  # changed since: no more ours
    assert main(words) == 2


def test_a_refused_export_leaves_the_one_before(drawn, tmp_path, monkeypatch):
    exported(drawn(TINY), tmp_path / "out")
    before = files_of(tmp_path)
    monkeypatch.setattr("train.export._difference", lambda *_: 0.5)
    for folder in ("out", "new"):
        with pytest.raises(CheckpointError, match=r"logits differ by 5\.0e-01"):
            exported(drawn(TINY), tmp_path / folder)
    assert files_of(tmp_path) == before and not (tmp_path / "new").exists()


@pytest.mark.parametrize("init", [True, False])
def test_no_run_begins_in_a_folder_of_hugging_face(
    shards_folder, tiny, drawn, tmp_path, init, capsys
):
    folder = str(exported(drawn(replace(TINY, n_ctx=32)), tmp_path))
    before = files_of(tmp_path)
    more = ["--init", folder] if init else []
    assert main([str(shards_folder), "--out", folder, *tiny, *more]) == 2
    assert ("the folder of --init" if init else "holds config.json") in capsys.readouterr().err
    assert files_of(tmp_path) == before
