import json
from dataclasses import replace

import pytest
import torch

from train.__main__ import main
from train.config import GPTConfig
from train.errors import CheckpointError, SettingsError
from train.export import export_folder, read_folder
from train.model import GPT
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
    transformers = pytest.importorskip("transformers")
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
    transformers = pytest.importorskip("transformers")
    model = drawn(replace(TINY, vocab_size=300))
    export_folder(model, tmp_path, eot_id=299, tokenizer=tokenizer_path, dtype=torch.float32)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "the sea – 日本"
    assert theirs.encode(text) == Text(tokenizer_path).encode(text)
    assert theirs.decode(theirs.encode(text)) == text
    assert theirs.eos_token == "<|endoftext|>"


def test_transformers_own_gpt2_is_imported(tmp_path):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_layer=2, n_head=2, n_embd=32, n_positions=64, vocab_size=97)
    ).eval()
    theirs.save_pretrained(tmp_path)
    config, weights = read_folder(tmp_path)
    model = GPT(config)
    model.load_state_dict(weights)
    ids = torch.randint(97, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, wanted = model.eval()(ids), theirs(ids).logits
    assert (ours - wanted).abs().max() < 1e-5 * wanted.abs().max()


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
    monkeypatch.setattr("train.export.IN_OUT", ("mlp.c_fc.weight",))
    real = read_folder

    def wrong(folder):
        config, weights = real(folder)
        weights["transformer.h.0.attn.c_attn.weight"][0] += 1
        return config, weights

    monkeypatch.setattr("train.export.read_folder", wrong)
    with pytest.raises(CheckpointError, match="logits differ"):
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
    with pytest.raises(CheckpointError, match=r"transformer\.h\.3"):
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


def test_given_weights_of_another_tokenizer_are_refused(drawn, make_shards, tmp_path, capsys):
    shards = make_shards(tmp_path / "shards", vocab=50)
    folder = exported(drawn(TINY), tmp_path / "folder")
    assert main([str(shards), "--out", str(tmp_path / "run"), "--init", str(folder)]) == 2
    assert "has vocab_size 97, the data's tokenizer has 50" in capsys.readouterr().err
