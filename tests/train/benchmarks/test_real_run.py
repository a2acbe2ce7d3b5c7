import json
import math
from dataclasses import replace

import pytest

from train.benchmarks import real_run
from train.benchmarks.benchmark import nanogpt_module
from train.benchmarks.real_run import Comparison, Point, main, table
from train.data import held_out, open_shards
from train.errors import SettingsError
from train.options import parse
from train.settings import TrainSettings, recipe_for

# A program with nanoGPT's command line, files and model interface, whose
# model only counts the training tokens.
CONFIGURATOR = """
import sys
for word in sys.argv[1:]:
    name, value = word[2:].split("=")
    assert name in globals(), name
    globals()[name] = type(globals()[name])(eval(value) if value[0] in "0123456789TF" else value)
"""
MODEL = """
from dataclasses import dataclass
import torch
from torch import nn
from torch.nn import functional as F

@dataclass
class GPTConfig:
    vocab_size: int = 1
    n_layer: int = 1

class GPT(nn.Module):
    def __init__(self, config):
        super().__init__()
        print("number of parameters:", config.vocab_size)
        self.seen = nn.Parameter(torch.zeros(config.vocab_size))
    def forward(self, x, y):
        logits = self.seen.expand(*x.shape, -1)
        return logits, F.cross_entropy(logits.flatten(0, 1), y.flatten())
"""
TRAIN = """
import os, pickle, time
import numpy as np
import torch
from model import GPT, GPTConfig
dataset = device = dtype = ""
eval_interval = eval_iters = log_interval = gradient_accumulation_steps = batch_size = 0
block_size = n_layer = n_head = n_embd = max_iters = lr_decay_iters = warmup_iters = 0
learning_rate = min_lr = dropout = weight_decay = beta1 = beta2 = grad_clip = 0.0
bias = compile = True
exec(open("configurator.py").read())
data = np.memmap(os.path.join("data", dataset, "train.bin"), dtype=np.uint16, mode="r")
vocab_size = pickle.load(open(os.path.join("data", dataset, "meta.pkl"), "rb"))["vocab_size"]
args = dict(vocab_size=vocab_size, n_layer=n_layer)
model = GPT(GPTConfig(**args))
counts = torch.from_numpy(np.bincount(data, minlength=vocab_size) + 1e-3)
model.seen.data = (counts / counts.sum()).log().float()
time.sleep(0.5)
began = time.monotonic()
tokens = torch.zeros(1, 2, dtype=torch.long)
model(tokens, tokens)
for step in range(max_iters + 1):
    if step and step % eval_interval == 0:
        kept = {"model": model.state_dict(), "model_args": args, "iter_num": step, "optimizer": 0}
        torch.save(kept, os.path.join("out", "ckpt.pt"))
open("seconds", "w").write(str(time.monotonic() - began))
"""


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name, text in (("configurator", CONFIGURATOR), ("model", MODEL), ("train", TRAIN)):
        (folder / f"{name}.py").write_text(text)
    return folder


def run(capsys, *words):
    assert main([str(word) for word in words]) == 0
    told = capsys.readouterr()
    return [Point(**json.loads(line)) for line in told.out.splitlines()], told.err


@pytest.mark.slow
def test_both_are_scored_at_each_tenth_over_the_same_held_out_windows(
    shards_folder, tiny, checkout, tmp_path, capsys
):
    words = [w for w in tiny if w not in ("--steps", "40")]
    words += ["--nanogpt", checkout, "--out", tmp_path / "out", "--steps", "20", "--threads", "1"]
    words += ["--save-every", "0s"]  # makes no points of its own
    points, told = run(capsys, shards_folder, *words)
    ours, theirs = ([p for p in points if p.program == n] for n in ("webtext", "nanoGPT"))
    assert [p.step for p in ours] == [p.step for p in theirs] == list(range(2, 21, 2))
    assert all(p.tokens == 256 * p.step for p in points)
    assert all(line in told for line in table(points))
    # Their clock starts when the model is built.
    assert theirs[-1].seconds <= float((tmp_path / "out/nanogpt/seconds").read_text()) + 0.1
    entries = map(json.loads, (tmp_path / "out/ours-1/log.jsonl").read_text().splitlines())
    logged = {e["step"]: e["val_loss"] for e in entries if e["kind"] == "eval"}
    assert ours[-1].val_loss < ours[0].val_loss == pytest.approx(logged[2], abs=0.1)
    # Theirs saw exactly our training tokens, and loses over exactly our held-out ones.
    shards = open_shards(shards_folder)
    windows = list(held_out(shards.split("val"), 32))
    counts = dict.fromkeys(range(128), 1e-3)
    for file in shards.split("train"):
        for token in file.read(0, file.tokens).tolist():
            counts[token] += 1
    whole = sum(counts.values())
    targets = [token for window in windows for token in window[1:].tolist()]
    wanted = -sum(math.log(counts[token] / whole) for token in targets) / len(targets)
    assert theirs[-1].val_loss == pytest.approx(wanted, rel=1e-4)


@pytest.mark.slow
def test_minutes_give_each_program_the_steps_that_it_makes_in_them(
    shards_folder, tiny, checkout, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(real_run, "PROBE_S", 1)
    monkeypatch.setattr(real_run, "their_steps", lambda on, minutes: 30)
    words = [w for w in tiny if w not in ("--steps", "40")]
    words += ["--nanogpt", checkout, "--out", tmp_path / "out", "--minutes", "0.02"]
    points, _ = run(capsys, shards_folder, *words, "--threads", "1")
    ours, theirs = ([p for p in points if p.program == n] for n in ("webtext", "nanoGPT"))
    assert len(ours) == 10 and ours[-1].step % 10 == 0
    assert [p.step for p in theirs] == list(range(3, 31, 3))


def comparison(shards_folder, tmp_path, *words):
    settings, _, _ = parse(TrainSettings, ["--preset", "cpu", *words], "")
    shards = open_shards(shards_folder)
    _, recipe = recipe_for(settings, shards.vocab_size, has_gpu=False)
    return Comparison(shards, recipe, settings, tuple(words), tmp_path, tmp_path, 1)


@pytest.mark.parametrize("words", [[], ["--warmup-steps", "90"]])
def test_both_warm_up_for_as_many_steps(shards_folder, tmp_path, words):
    on = comparison(shards_folder, tmp_path, *words)
    for steps in (200, 10**6):
        settings = replace(on.settings, steps=steps)
        ours = recipe_for(settings, on.shards.vocab_size, has_gpu=False)[1].warmup_steps
        assert real_run._their_options(on, steps, 20)["warmup_iters"] == ours


@pytest.mark.parametrize("words", [["--schedule", "linear"], ["--attention", "banded"]])
def test_a_recipe_that_nanogpt_cannot_follow_is_refused(shards_folder, tmp_path, words):
    with pytest.raises(SettingsError, match="nanoGPT has"):
        real_run.compare(comparison(shards_folder, tmp_path, *words), [1], 10, 0)


def test_a_checkout_that_is_none_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"model\.py: no such file"):
        nanogpt_module(tmp_path)
