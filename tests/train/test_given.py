import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from train.__main__ import main
from train.config import GPTConfig
from train.errors import CheckpointError, SettingsError
from train.export import export_folder
from train.given import read_folder, read_weights
from train.text import text_for, tokenizer_at

TINY = GPTConfig(n_layer=2, n_head=2, n_embd=32, n_ctx=64, vocab_size=97)
FEW = "--steps 2 --batch-tokens 128 --lr 1e-3 --device cpu --threads 1 --eval-tokens 64".split()
WEIGHT = "transformer.h.0.mlp.c_fc.weight"


@pytest.fixture
def folder(drawn, tmp_path):
    """An export of 97 tokens, without a tokenizer."""
    place = tmp_path / "folder"
    export_folder(drawn(TINY), place, eot_id=96, tokenizer=None, dtype=torch.float32)
    return place


def rewritten(folder, change):
    """The folder with weights that `change` made of its own."""
    tensors = {n: t.clone() for n, t in load_file(folder / "model.safetensors").items()}
    save_file(change(tensors), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def sharded(folder):
    """The folder as transformers shards it: at least three files and their index."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    return folder


def test_of_shards_the_index_decides_and_a_stray_file_is_not_merged(folder):
    wanted = read_folder(folder)[1]
    save_file({WEIGHT: torch.ones(32, 128)}, sharded(folder) / "model_old.safetensors")
    save_file({WEIGHT: torch.ones(32, 128)}, folder / "model-00009-of-00009.safetensors")
    found = read_folder(folder)[1]
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_single_file_beside_an_index_is_refused(folder):
    one = (folder / "model.safetensors").read_bytes()
    (sharded(folder) / "model.safetensors").write_bytes(one)
    with pytest.raises(CheckpointError, match=r"model\.safetensors and model\.safetensors\.index"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"a": "gone.safetensors"}, "gone.safetensors: cannot be read"),
        ({"a": "../folder/model-00001-of-00003.safetensors"}, "which is no file beside it"),
        ({"a": 7}, "a is in 7"),
        ({}, "has no weight_map"),
        (None, "has no weight_map"),
        ({"a": "model-00001-of-00009.safetensors"}, "no a there, which the index names"),
    ],
)
def test_an_index_that_names_what_is_not_there_is_an_error(folder, places, message):
    shutil.copy(folder / "model.safetensors", folder / "model-00001-of-00009.safetensors")
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    with pytest.raises(CheckpointError, match=message):
        read_folder(folder)


def test_shards_without_an_index_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    with pytest.raises(CheckpointError, match="no index of shards there"):
        read_folder(folder)


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("prefix", [True, False])
def test_a_file_of_torch_is_read(folder, legacy, prefix):
    wanted, tensors = read_folder(folder)[1], load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 64, 64, dtype=torch.uint8).tril()
    tensors["transformer.h.0.attn.masked_bias"] = torch.tensor(-1e4)
    if not prefix:
        tensors = {n.removeprefix("transformer."): t for n, t in tensors.items()}
    form = {"_use_new_zipfile_serialization": not legacy}
    torch.save(tensors, folder / "pytorch_model.bin", **form)
    found = read_folder(folder)[1]
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


@pytest.mark.parametrize(
    "content", [Evil(), {"a": Evil()}, {"a": 1}, [torch.ones(1)], b"no pickle", b""]
)
def test_a_pickle_with_more_than_tensors_is_refused_and_runs_nothing(folder, content, capsys):
    (folder / "model.safetensors").unlink()
    path = folder / "pytorch_model.bin"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        read_folder(folder)
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe{", b"[1]", b"7"])
def test_a_broken_config_is_an_error_with_its_path(folder, content):
    (folder / "config.json").write_bytes(content)
    with pytest.raises((CheckpointError, SettingsError), match=r"folder/config\.json"):
        read_folder(folder)


@pytest.mark.parametrize("size", [0, 5, 100, 10_000])
def test_a_cut_file_of_weights_is_an_error_with_its_path(folder, size):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        read_folder(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_every_floating_width_are_taken(folder, dtype):
    wanted = read_folder(folder)[1]
    found = read_folder(rewritten(folder, lambda w: {n: t.to(dtype) for n, t in w.items()}))[1]
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, wanted[name].to(dtype).float())


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.uint8, torch.float8_e4m3fn])
def test_weights_of_another_type_are_refused_by_name(folder, dtype):
    rewritten(folder, lambda w: w | {WEIGHT: (100 * w[WEIGHT]).to(dtype)})
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: {WEIGHT} is {name}; suppo"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (torch.float32, float("nan")), (torch.float16, float("inf")),
        (torch.bfloat16, float("-inf")), (torch.float64, 1e300),
    ],
)  # fmt: skip
def test_weights_that_are_not_finite_are_refused_by_name(folder, dtype, value):
    def spoilt(weights):
        weights[WEIGHT] = weights[WEIGHT].to(dtype)
        weights[WEIGHT][3, 5] = value
        return weights

    rewritten(folder, spoilt)
    with pytest.raises(CheckpointError, match=rf"{WEIGHT} has 1 of 4,096 numbers that are not fin"):
        read_folder(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w | {"transformer.h.0.attn.c_attn.lora_A": w[WEIGHT].clone()},
            "lora_A has no place",
        ),
        (lambda w: w | {"wte.weight": w["transformer.wte.weight"].clone()}, "there twice"),
        (lambda w: w | {WEIGHT: w[WEIGHT][:, :64].contiguous()}, r"c_fc.weight is \(64, 32\)"),
    ],
)
def test_weights_without_a_place_are_refused_by_name(folder, change, message):
    with pytest.raises(CheckpointError, match=message):
        read_folder(rewritten(folder, change))


def test_a_run_that_diverged_gives_no_weights(drawn, tmp_path, monkeypatch):
    model = drawn(TINY)
    model.blocks[1].mlp.c_fc.weight.data[0, 0] = float("nan")
    found = model, SimpleNamespace(path=tmp_path / "step-7")
    monkeypatch.setattr("train.given.load_model", lambda *_, **__: found)
    monkeypatch.setattr("train.given.read_run", lambda _: {})
    with pytest.raises(CheckpointError, match=r"step-7: .*h\.1\.mlp\.c_fc\.weight has 1 of"):
        read_weights(tmp_path, print)


def test_a_run_with_files_of_an_export_stays_a_run(folder, shards_folder, tiny, tmp_path, capsys):
    run = tmp_path / "run"
    assert main([str(shards_folder), "--out", str(run), *tiny, "--steps", "2"]) == 0
    shutil.copytree(folder, run, dirs_exist_ok=True)
    capsys.readouterr()
    assert main(["evaluate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] == "step-000000002"
    assert main(["export", str(run), "--out", str(run)]) == 2
    assert "is the folder of a run; give one of its own" in capsys.readouterr().err


def test_a_shorter_context_keeps_the_first_positions_and_says_so(
    folder, shards_folder, tmp_path, capsys
):
    words = [str(shards_folder), "--init", str(folder), *FEW]
    assert main([*words, "--out", str(tmp_path / "run"), "--n-ctx", "32", "--lr", "1e-30"]) == 0
    assert "positions: the first 32 of the 64 that were given" in capsys.readouterr().err
    found, wanted = read_weights(tmp_path / "run", print), read_folder(folder)
    assert found[0].n_ctx == 32
    for name, tensor in found[1].items():
        assert torch.allclose(tensor, wanted[1][name][: len(tensor)], atol=1e-6)
    assert main(["--out", str(tmp_path / "run"), "--resume", "--steps", "3", *words[:1]]) == 0


def test_a_longer_context_than_that_of_given_weights_is_refused(
    folder, shards_folder, tmp_path, capsys
):
    words = [str(shards_folder), "--init", str(folder), *FEW, "--out", str(tmp_path / "run")]
    assert main([*words, "--n-ctx", "128"]) == 2
    assert "64 learned positions, and no more can be made of them: give 64 or less" in (
        capsys.readouterr().err
    )


@pytest.fixture
def with_text(drawn, tokenizer_path, tmp_path):
    """An export of 300 tokens with its tokenizer, whose end of text is 0."""
    place = tmp_path / "with-text"
    export_folder(
        drawn(replace(TINY, vocab_size=300)), place, eot_id=0, tokenizer=tokenizer_path,
        dtype=torch.float32,
    )  # fmt: skip
    return place


def shards_of_300(make_shards, tmp_path):
    return make_shards(tmp_path / "data" / "shards", vocab=300)


def test_the_tokenizer_of_given_weights_is_taken_along(with_text, make_shards, tmp_path, capsys):
    data, run = shards_of_300(make_shards, tmp_path), tmp_path / "run"
    words = [str(data), "--init", str(with_text), *FEW]
    assert main([*words, "--out", str(run)]) == 0
    assert (run / "tokenizer.json").read_bytes() == (with_text / "tokenizer.json").read_bytes()
    assert main(["sample", str(run), "--prompt", "the sea", "--tokens", "3"]) == 0
    again = tmp_path / "again"
    assert main([str(data), "--init", str(run), *FEW, "--out", str(again)]) == 0
    assert (again / "tokenizer.json").exists()


def test_a_tokenizer_that_the_weights_do_not_have_is_refused(
    with_text, make_shards, tokenizer_path, tmp_path, capsys
):
    data = shards_of_300(make_shards, tmp_path)
    words = [str(data), "--init", str(with_text), *FEW, "--out", str(tmp_path / "run")]
    about = json.loads(tokenizer_path.read_text())
    ids = about["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]
    (data / "tokenizer.json").write_text(json.dumps(about))
    assert main(words) == 2
    assert "what the weights learned would be mixed up" in capsys.readouterr().err
    (data / "tokenizer.json").unlink()
    about["added_tokens"].append({**about["added_tokens"][0], "id": 300, "content": "<pad>"})
    (with_text / "tokenizer.json").write_text(json.dumps(about))
    assert main(words) == 2
    assert "has 301 ids, the model 300" in capsys.readouterr().err
    (with_text / "tokenizer.json").write_text("{}")
    assert main(words) == 2
    assert "not a tokenizer.json" in capsys.readouterr().err


def test_a_hugging_face_folder_is_evaluated_and_sampled_as_the_run_that_it_came_from(
    make_shards, tiny, tokenizer_path, tmp_path, capsys
):
    data, run, out = shards_of_300(make_shards, tmp_path), tmp_path / "run", tmp_path / "out"
    words = [str(data), "--out", str(run), *tiny, "--tokenizer", str(tokenizer_path)]
    assert main([*words, "--steps", "3"]) == 0
    about = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**about, "eot_id": 0}))
    assert main(["export", str(run), "--out", str(out)]) == 0
    told = []
    for place, more in ((run, []), (out, ["--data", str(data)])):
        capsys.readouterr()
        assert main(["evaluate", str(place), "--json", *more]) == 0
        told.append(json.loads(capsys.readouterr().out))
        assert main(["sample", str(place), "--prompt", "the", "--tokens", "5"]) == 0
        told.append(capsys.readouterr().out)
    assert told[0]["loss"] == pytest.approx(told[2]["loss"], abs=1e-6)
    assert told[1] == told[3]
    assert told[2]["checkpoint"] == "out" and told[2]["same_data_as_training"] is None


def test_what_a_hugging_face_folder_lacks_is_asked_for(
    folder, make_shards, shards_folder, tmp_path, capsys
):
    assert main(["evaluate", str(folder)]) == 2
    assert "which has no data of its own: give --data SHARDS" in capsys.readouterr().err
    data = shards_of_300(make_shards, tmp_path)
    assert main(["evaluate", str(folder), "--data", str(data)]) == 2
    assert "has a vocabulary of 300, the model one of 97" in capsys.readouterr().err
    assert main(["sample", str(folder)]) == 2
    assert "give --tokenizer PATH" in capsys.readouterr().err
    assert main(["sample", str(folder), "--best"]) == 2
    assert "is a Hugging Face folder, which has one model" in capsys.readouterr().err
    assert main(["export", str(folder), "--out", str(tmp_path / "x")]) == 2


def test_an_empty_folder_of_weights_names_what_was_looked_for(shards_folder, tmp_path, capsys):
    (tmp_path / "nix").mkdir()
    words = [str(shards_folder), "--out", str(tmp_path / "run"), "--init", str(tmp_path / "nix")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "nix: no run.json there; give" in error and "Face folder with config.json" in error


def test_data_of_another_size_than_given_weights_are_refused(folder, make_shards, tmp_path, capsys):
    shards = make_shards(tmp_path / "shards", vocab=50)
    assert main([str(shards), "--out", str(tmp_path / "run"), "--init", str(folder)]) == 2
    assert "has vocab_size 97, the data's tokenizer has 50" in capsys.readouterr().err


def pickled(folder):
    """The folder with its weights as a file of torch."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def in_two_files(folder):
    """The folder with its tokenizer as GPT-2 was given out: a vocabulary and its merges."""
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False))
    merges = "".join(f"{' '.join(pair)}\n" for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{merges}")
    path.unlink()
    return folder


@pytest.mark.parametrize(
    "changes", [(sharded,), (pickled,), (in_two_files,), (pickled, in_two_files)]
)
def test_every_form_of_a_folder_gives_the_same_scores_and_samples(
    with_text, tmp_path, capsys, changes
):
    data = tmp_path / "data"
    data.mkdir()
    (data / "lambada_test.jsonl").write_text('{"text": "the city <|endoftext|> and the sea"}')
    words = (
        ["evaluate", str(with_text), "--suite", "lambada", "--data", str(data), "--json"],
        ["sample", str(with_text), "--prompt", "the sea", "--tokens", "5", "--json"],
        ["score", str(with_text), "a <|endoftext|> and the sea", "--json"],
    )

    def told():
        capsys.readouterr()
        return [main(one) or json.loads(capsys.readouterr().out) for one in words]

    wanted = told()
    for change in changes:
        change(with_text)
    assert told() == wanted


def test_a_vocabulary_with_its_merges_is_read_as_transformers_does(with_text):
    in_two_files(with_text)
    theirs = transformers.GPT2Tokenizer.from_pretrained(with_text)
    ours = text_for(tokenizer_at(with_text), 300)
    for text in ("the sea, where\n\nnobody  knows", " é 漢字 ", "it's 2nd"):
        assert ours.encode(text) == theirs.encode(text)
        assert ours.decode(ours.encode(text)) == text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("vocab.json", "[]", "no object of tokens with their ids"),
        ("vocab.json", '{"a": "0"}', "no object of tokens with their ids"),
        ("vocab.json", '{"a": 0', "cannot be read"),
        ("vocab.json", "", "cannot be read"),
        ("vocab.json", '{"a": 0}', "has 1 ids, the model 300"),
        ("merges.txt", "no such tokens\n", "not a tokenizer.json"),
        ("merges.txt", "zz qq\n", "not a tokenizer.json"),
    ],
)
def test_a_pair_that_is_no_tokenizer_is_refused(with_text, capsys, name, content, message):
    (in_two_files(with_text) / name).write_text(content)
    assert main(["score", str(with_text), "the sea"]) == 2
    assert message in capsys.readouterr().err


def test_a_vocabulary_without_merges_is_no_tokenizer(with_text, capsys):
    (in_two_files(with_text) / "merges.txt").unlink()
    assert main(["score", str(with_text), "the sea"]) == 2
    assert "no tokenizer there" in capsys.readouterr().err
