import hashlib
import json
import statistics
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from train import bf16, hardware
from train.__main__ import main
from train.bf16 import MasterAdamW
from train.config import PRESETS, GPTConfig
from train.errors import SettingsError
from train.hardware import BF16_MASTER, choose
from train.model import GPT
from train.optimizer import adamw, update
from train.settings import TrainSettings

TINY = GPTConfig(n_layer=1, n_head=2, n_embd=32, n_ctx=32, vocab_size=97)


def made(accumulates=False):
    model = GPT(TINY)
    model.reset_parameters(1)
    return model, MasterAdamW(model, TrainSettings(), accumulates=accumulates)


def with_gradients(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator).bfloat16().to(p.dtype)


@pytest.mark.parametrize("chunk", [1 << 18, 100])
def test_masters_move_as_adamw_moves_fp32_weights_and_parameters_are_their_roundings(
    monkeypatch, chunk
):
    monkeypatch.setattr(bf16, "CHUNK", chunk)
    reference = GPT(TINY)
    reference.reset_parameters(1)
    theirs = adamw(reference, TrainSettings())
    model, ours = made()
    for seed in range(3):
        norms = []
        for one, optimizer in ((model, ours), (reference, theirs)):
            with_gradients(one, seed)
            norms.append(update(optimizer, torch.tensor(1.0), 1e-2, 1.0)[0].item())
        assert norms[0] == pytest.approx(norms[1], rel=1e-5)
    for p, wanted in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours.masters[p], wanted, atol=1e-6)
        assert torch.equal(p, ours.masters[p].bfloat16())


def test_a_step_too_small_for_bf16_is_not_lost():
    model, optimizer = made()
    before = {p: p.clone() for p in model.parameters()}
    masters = {p: m.clone() for p, m in optimizer.masters.items()}
    with_gradients(model)
    update(optimizer, torch.tensor(1.0), 1e-6, 1.0)
    weight = model.blocks[0].mlp.c_fc.weight
    assert (weight == before[weight]).float().mean() > 0.9
    assert (optimizer.masters[weight] != masters[weight]).float().mean() > 0.9


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing(where):
    model, optimizer = made()
    with_gradients(model)
    update(optimizer, torch.tensor(1.0), 1e-2, 1.0)
    tensors = [*model.parameters(), *optimizer.masters.values()]
    tensors += [t for state in optimizer.state.values() for t in state.values()]
    before = [t.clone() for t in tensors]
    with_gradients(model)
    if where == "gradient":
        next(model.parameters()).grad[0, 0] = float("inf")
    loss = torch.tensor(float("nan") if where == "loss" else 1.0)
    assert not update(optimizer, loss, 1e-2, 1.0)[1]
    assert all(torch.equal(a, b) for a, b in zip(before, tensors, strict=True))


def test_gradients_of_many_passes_are_summed_in_fp32():
    model, _ = made(accumulates=True)
    weight = model.blocks[0].attn.c_attn.bias
    for _ in range(600):  # in bf16 a sum of ones stops at 256
        weight.sum().backward()
    assert weight.grad.dtype == torch.float32 and weight.grad[0] == 600


def run(shards, out, *options):
    return main([str(shards), "--out", str(out), *options])


def log(out, kind):
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [entry for entry in entries if entry["kind"] == kind]


def files(out):
    newest = max((out / "checkpoints").glob("step-*"))
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in newest.glob("*.saf*")}


@pytest.fixture(scope="module")
def whole_run(shards_folder, tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("bf16") / "run"
    options = ["--dtype", BF16_MASTER, "--micro-batch", "4", "--dropout", "0.1"]
    assert run(shards_folder, out, *tiny, *options) == 0
    return out


def test_a_run_that_stopped_goes_on_bit_for_bit(shards_folder, tiny, tmp_path, whole_run):
    options = ["--dtype", BF16_MASTER, "--micro-batch", "4", "--dropout", "0.1"]
    cut = tmp_path / "cut"
    assert run(shards_folder, cut, *tiny, *options, "--stop-after", "0s") == 75
    assert main(["--out", str(cut), "--resume", "--stop-after", "1h"]) == 0
    assert log(cut, "step")[-1]["loss"] == log(whole_run, "step")[-1]["loss"]
    assert files(cut) == files(whole_run)


def test_checkpoints_hold_fp32_weights_that_every_command_reads(whole_run, tmp_path, capsys):
    newest = max((whole_run / "checkpoints").glob("step-*"))
    weights = load_file(newest / "model.safetensors")
    assert {t.dtype for t in weights.values()} == {torch.float32}
    matrix = weights["transformer.h.0.mlp.c_fc.weight"]
    assert not torch.equal(matrix, matrix.bfloat16().float())
    assert main(["evaluate", str(whole_run), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["loss"]
    assert found == pytest.approx(log(whole_run, "eval")[-1]["val_loss"], abs=0.02)
    assert main(["export", str(whole_run), "--out", str(tmp_path / "hf")]) == 0
    exported = load_file(tmp_path / "hf" / "model.safetensors")
    theirs = exported["transformer.h.0.mlp.c_fc.weight"]
    assert torch.equal(theirs.T, matrix)


def test_such_a_run_may_go_on_in_fp32(shards_folder, tiny, tmp_path, capsys):
    out = tmp_path / "run"
    assert run(shards_folder, out, *tiny, "--dtype", BF16_MASTER, "--stop-after", "0s") == 75
    more = ["--resume", "--dtype", "float32", "--stop-after", "1h"]
    assert main(["--out", str(out), *more]) == 0
    assert f"--dtype {BF16_MASTER} -> float32" in capsys.readouterr().err
    assert log(out, "eval")[-1]["val_loss"] < 3.5


@pytest.mark.parametrize("dtype", ["bfloat16", BF16_MASTER])
def test_bf16_loses_as_fp32_does(shards_folder, tiny, tmp_path, dtype):
    ends = {}
    for name in ("float32", dtype):
        assert run(shards_folder, tmp_path / name, *tiny, "--dtype", name) == 0
        ends[name] = [entry["loss"] for entry in log(tmp_path / name, "step")]
    gaps = [abs(a - b) for a, b in zip(ends["float32"], ends[dtype], strict=True)]
    assert 0 < statistics.mean(gaps) < 0.01  # they are other numbers, and hardly other


def test_large_models_take_it_on_a_cpu_that_multiplies_bf16(monkeypatch):
    settings = TrainSettings(device="cpu", compile="off")
    recipe = replace(PRESETS["gpt2"], batch_tokens=4096)
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: True)
    chosen = choose(settings, recipe)
    assert chosen.dtype == BF16_MASTER and "bf16" in chosen.reasons["dtype"]
    assert choose(settings, recipe, ranks=2).dtype == "bfloat16"
    assert choose(settings, replace(recipe, config=GPTConfig(6, 6, 384))).dtype == "bfloat16"
    monkeypatch.setattr(hardware, "cpu_has_bf16", lambda: False)
    assert choose(settings, recipe).dtype == "float32"


def test_it_is_refused_where_it_does_not_work():
    settings = TrainSettings(device="cpu", dtype=BF16_MASTER)
    with pytest.raises(SettingsError, match="one process on a CPU"):
        choose(settings, PRESETS["demo"], ranks=2)
