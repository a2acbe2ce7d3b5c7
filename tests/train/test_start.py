import json
import math
from dataclasses import replace

import pytest
import torch

from train.__main__ import main
from train.config import PRESETS, GPTConfig
from train.loss import LanguageModelLoss
from train.model import GPT
from train.start import about_first_loss

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
