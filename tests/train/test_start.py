import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from train import choices, start
from train.__main__ import main
from train.choices import Choices
from train.config import PRESETS, GPTConfig, Recipe
from train.cost import CONVENTION, memory
from train.errors import SettingsError
from train.header import about_first_loss
from train.loss import LanguageModelLoss
from train.model import GPT
from train.resume import choose_again
from train.runs import Run, keep_tokenizer, tokenizer_for
from train.settings import TrainSettings

WIDE = GPTConfig(n_layer=2, n_head=8, n_embd=1280, n_ctx=64, vocab_size=997)


@pytest.mark.parametrize(
    "config", [WIDE, replace(PRESETS["demo"].config, vocab_size=4096), GPTConfig(1, 2, 16, 32, 97)]
)
def test_weights_at_random_have_a_first_loss_that_is_called_normal(config):
    model = GPT(config)
    model.reset_parameters(1)
    ids = torch.randint(
        config.vocab_size, (2, config.n_ctx + 1), generator=torch.Generator().manual_seed(1)
    )
    with torch.no_grad():
        loss = LanguageModelLoss(model)(ids).item() / ids[:, 1:].numel()
    told = about_first_loss(loss, config, 4.0, given=False)
    assert told.startswith(f"first loss {loss:.3f}, as it should be")
    assert f"ln V is {math.log(config.vocab_size):.3f}" in told and "4.000, the entropy" in told


@pytest.mark.parametrize("loss", [math.log(997) - 0.3, math.log(997) + 0.8, math.nan])
def test_another_first_loss_is_called_not_normal(loss):
    assert "is not normal: weights at random" in about_first_loss(loss, WIDE, 4.0, given=False)


def test_given_weights_must_be_better_than_counting_tokens():
    assert "as it should be of trained" in about_first_loss(3.9, WIDE, 4.0, given=True)
    assert "is not normal for trained" in about_first_loss(4.1, WIDE, 4.0, given=True)


def test_a_run_tells_it_once_and_not_when_it_goes_on(shards_folder, tiny, tmp_path, capsys):
    command = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny]
    assert main([*command, "--steps", "3"]) == 0
    told = capsys.readouterr().err
    first = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[2])["loss"]
    assert told.count(f"first loss {first:.3f}, as it should be") == 1
    assert main([*command, "--steps", "5", "--resume"]) == 0
    assert "first loss" not in capsys.readouterr().err


def test_weights_of_another_run_are_judged_as_trained_ones(shards_folder, tiny, tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([str(shards_folder), "--out", str(one), *tiny]) == 0
    assert main([str(shards_folder), "--out", str(two), *tiny, "--init", str(one)]) == 0
    assert "as it should be of trained weights" in capsys.readouterr().err


@pytest.fixture
def again(monkeypatch):
    """What a run chooses when it goes on: `again(before, given, ranks=1, **settings)`."""
    recipe = Recipe(GPTConfig(2, 2, 32, 32, 97), 40, 256, 3e-3, 4)
    for module in ("choices", "resume"):
        monkeypatch.setattr(f"train.{module}.cores", lambda: 2)

    def make(before, given=None, ranks=1, **settings):
        first = TrainSettings(**settings)
        old = {"device": "cpu", "dtype": "float32", "compile": False, "micro_batch": 4}
        old |= {"threads": 1, **before}
        given = given or {}
        old = Choices(**old, reasons={})
        run = Run(Path(), first, recipe.config, old, "", "", 96, {}, ranks=1)
        wanted = replace(first, **given)
        return choose_again(wanted, recipe, run, given, ranks)

    return make


def test_a_run_goes_on_as_it_began_and_says_so(again):
    choices, notes = again({"dtype": "bfloat16", "micro_batch": 2})
    assert (choices.dtype, choices.micro_batch, choices.threads) == ("bfloat16", 2, 1)
    assert notes == []
    assert set(choices.reasons.values()) - {choices.reasons["device"]} == {"as the run began"}


def test_the_command_of_before_changes_nothing_and_another_option_does(again):
    # The micro-batch was halved while the run ran, and its command is given once more.
    choices, notes = again({"micro_batch": 4}, {"micro_batch": 8}, micro_batch=8)
    assert (choices.micro_batch, notes) == (4, [])
    choices, notes = again({"dtype": "bfloat16"}, {"dtype": "float32", "threads": 5})
    assert (choices.dtype, choices.threads, notes) == ("float32", 5, [])
    assert choices.reasons["dtype"] == "as set"


@pytest.mark.parametrize("settings", [{}, {"dtype": "bfloat16-master"}])
def test_bf16_masters_are_left_where_they_cannot_be_had(again, settings):
    choices, notes = again({"dtype": "bfloat16-master"}, ranks=2, **settings)
    assert choices.dtype in ("float32", "bfloat16")
    assert any(f"dtype bfloat16-master -> {choices.dtype} (" in note for note in notes)
    with pytest.raises(SettingsError, match="is for one process on a CPU"):
        again({"dtype": "float32"}, {"dtype": "bfloat16-master"}, ranks=2)


def test_another_device_chooses_anew(again):
    before = {"device": "cuda", "dtype": "bfloat16", "compile": True, "micro_batch": 1}
    choices, notes = again(before)
    assert (choices.device, choices.dtype, choices.compile) == ("cpu", "float32", False)
    assert choices.micro_batch == 8
    assert [note.split()[0] for note in notes] == ["device", "dtype", "compile", "micro-batch"]


def test_more_threads_than_cores_are_not_taken_up_again_unless_they_were_set(again):
    choices, notes = again({"threads": 64})
    assert choices.threads == 2 and "threads 64 -> 2" in notes[0]
    assert again({"threads": 64}, threads=64)[0].threads == 64


def test_a_machine_without_a_compiler_goes_on_eagerly(again, monkeypatch):
    for module in ("choices", "resume"):
        monkeypatch.setattr(f"train.{module}.has_compiler", lambda _: False)
    choices, notes = again({"compile": True}, compile="on")
    assert not choices.compile and "no C++ compiler here" in notes[0]


@pytest.mark.parametrize(("compiler", "header"), [(True, False), (False, True), (True, True)])
def test_a_gpu_run_is_compiled_where_triton_finds_what_it_builds_with(
    monkeypatch, tmp_path, compiler, header
):
    if header:
        (tmp_path / "Python.h").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if compiler else None)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("train.choices.device_of", lambda _: "cuda")
    monkeypatch.setattr("train.choices.free_memory", lambda _: 80 << 30)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    found = choices.choose(TrainSettings(dtype="bfloat16"), PRESETS["gpt2"])
    assert found.compile == (compiler and header)
    assert ("which Triton needs" in found.reasons["compile"]) != found.compile
    assert found.micro_batch == 64  # 65,536 tokens of a pass


def test_a_micro_batch_that_more_ranks_cannot_take_is_chosen_anew(again):
    choices, notes = again({"micro_batch": 8}, ranks=2, micro_batch=8)
    assert choices.micro_batch == 4 and "micro-batch 8 -> 4" in notes[0]


def test_the_header_tells_what_memory_holds_the_rate_and_how_flops_are_counted(
    shards_folder, tiny, tmp_path, capsys
):
    assert main([str(shards_folder), "--out", str(tmp_path / "run"), *tiny, "--steps", "5"]) == 0
    told = capsys.readouterr().err
    needs = memory(GPTConfig(2, 2, 32, 32, 97), 8, 4)
    assert f"memory: about {needs.total / 1e6:,.0f} MB: weights" in told
    assert all(f"{part} {size / 1e6:,.0f}" in told for part, size in vars(needs).items())
    assert "rate: 0.003 after 4 steps of warm-up, then cosine to 0.0003" in told
    assert f"({CONVENTION})" in told


def test_a_shape_that_is_not_the_presets_is_told_as_one(shards_folder, tiny, tmp_path, capsys):
    run = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny, "--steps", "1"]
    assert main([*run, "--preset", "gpt2"]) == 0
    told = capsys.readouterr().err
    assert "model: gpt2 in another shape, 2 layers x 32" in told and "paper" not in told


def test_a_shape_that_cannot_be_exported_is_told_before_it_is_trained(
    shards_folder, tiny, tmp_path, capsys
):
    run = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny, "--steps", "1"]
    assert main([*run, "--attention", "banded", "--band", "8"]) == 0
    assert "no export: transformers' GPT-Neo has no biases" in capsys.readouterr().err


def test_a_tokenizer_that_is_not_there_is_refused(shards_folder, tiny, tmp_path, capsys):
    run = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny]
    assert main([*run, "--tokenizer", str(tmp_path / "none.json")]) == 2
    assert "--tokenizer: no file at" in capsys.readouterr().err


def test_other_weights_cannot_be_given_to_a_run_that_goes_on(shards_folder, tiny, tmp_path, capsys):
    run, again = tmp_path / "run", ["--out", str(tmp_path / "run"), "--resume", "--steps", "2"]
    assert main([str(shards_folder), "--out", str(run), *tiny, "--steps", "1"]) == 0
    assert main([*again, "--init", str(run)]) == 2
    assert "--init is" in capsys.readouterr().err


def test_weights_stay_split_on_resume_unless_told_otherwise(
    shards_folder, tiny, tmp_path, monkeypatch
):
    assert main([str(shards_folder), "--out", str(tmp_path), *tiny, "--steps", "1"]) == 0
    run = json.loads((tmp_path / "run.json").read_text())
    run["settings"]["shard"] = True
    (tmp_path / "run.json").write_text(json.dumps(run))
    wanted = TrainSettings(resume=True)
    assert start._needed_to_join(tmp_path, wanted, {}) == ("cpu", False)
    monkeypatch.setattr(start, "ranks_started", lambda: 2)
    assert start._needed_to_join(tmp_path, wanted, {}) == ("cpu", True)
    assert start._needed_to_join(tmp_path, wanted, {"shard": False}) == ("cpu", False)


def test_ranks_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert choices.cores() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert choices.cores() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert choices.cores() == 1


def test_a_run_that_goes_on_keeps_its_tokenizer_unless_another_is_given(tmp_path):
    data, run, other = tmp_path / "data", tmp_path / "run", tmp_path / "other.json"
    data.mkdir(), run.mkdir()

    def kept(given, *, own):
        keep_tokenizer(tokenizer_for(run, data, given, own=own), run)
        return (run / "tokenizer.json").read_text()

    (data / "tokenizer.json").write_text("first")
    assert kept("", own=False) == "first"
    (data / "tokenizer.json").write_text("second")
    assert kept("", own=True) == "first"
    other.write_text("third")
    assert kept(str(other), own=False) == "third"
    (run / "tokenizer.json").unlink()  # a kill came before it was copied
    assert kept(str(other), own=True) == "third"
