import math
from dataclasses import replace

import pytest
import torch

from train.__main__ import main
from train.config import PRESETS, GPTConfig
from train.cost import CONVENTION, memory
from train.header import about_first_loss
from train.loss import LanguageModelLoss
from train.model import GPT

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
