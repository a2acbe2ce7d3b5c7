import json
import sys
from dataclasses import replace

import pytest
import torch

from train.benchmarks import measure
from train.config import PRESETS, GPTConfig
from train.errors import TrainError
from train.sample import generate

TINY = GPTConfig(n_layer=1, n_head=2, n_embd=16, n_ctx=96, vocab_size=97)


@pytest.fixture
def small(monkeypatch):
    recipe = replace(PRESETS["demo"], config=replace(TINY, vocab_size=50_257), batch_tokens=192)
    monkeypatch.setattr(measure, "PRESETS", {"cpu": recipe})
    monkeypatch.setattr(measure, "SAVED", TINY)
    monkeypatch.setattr(measure, "FILE_TOKENS", 40_000)


def test_each_figure_has_its_numbers(small, capsys):
    assert measure.main(["loader", "checkpoint", "--seconds", "0", "--json"]) == 0
    loader, share, saved = json.loads(capsys.readouterr().out)["rows"]
    rates = loader["tokens_per_cpu_s"], loader["nanogpt_way_tokens_per_cpu_s"]
    assert loader["ratio"] == pytest.approx(rates[0] / rates[1], rel=0.5)  # medians of pairs
    assert 0 < share["share"] < 1
    # The weights and two moments in fp32, with the padding of the vocabulary.
    weights = TINY.parameters() + (TINY.padded_vocab - TINY.vocab_size) * TINY.n_embd
    assert saved["bytes"] == 12 * weights
    assert saved["share"] == pytest.approx(saved["wait_s"] / 600, abs=1e-5)
    assert saved["share_if_training_stood_still"] >= saved["share"]


def test_without_transformers_the_row_says_that_it_is_not_measured(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    rows = measure.sampling(tmp_path, 0, TINY)
    assert [row["figure"] for row in rows] == ["sampling, batch 1", "sampling, batch 8"]
    assert all("not measured" in row["problem"] and "ratio" not in row for row in rows)


@pytest.mark.parametrize("wrong", [False, True])
def test_rates_are_told_only_of_the_same_tokens(tmp_path, monkeypatch, wrong):
    def their_generate(model):
        def run(prompts):
            tokens, seeds = measure.NEW_TOKENS, range(len(prompts))
            steps = generate(model, prompts.tolist(), tokens, seeds=seeds, temperature=0)
            new = torch.tensor([list(row) for row in zip(*steps, strict=True)])
            new[-1, -1] += wrong
            return torch.cat((prompts, new), 1)

        return run

    monkeypatch.setattr(measure, "_their_generate", their_generate)
    if wrong:
        with pytest.raises(TrainError, match="chose other tokens"):
            measure.sampling(tmp_path, 0, TINY)
    else:
        assert [row["ratio"] > 0 for row in measure.sampling(tmp_path, 0, TINY)] == [True, True]


@pytest.mark.slow
def test_a_resume_is_timed_to_its_first_step(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RECIPE", "demo")
    (row,) = measure.resume(tmp_path)
    assert row["runs"] == 3 and row["seconds"] > 0.5
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    began = [json.loads(line)["step"] for line in log if '"kind": "run"' in line]
    assert len(began) == 4 and began == sorted(began) and 0 == began[0] < began[1]


def test_an_unknown_figure_is_a_usage_error(capsys):
    with pytest.raises(SystemExit):
        measure.main(["loaders"])
    assert "loaders: not one of loader, checkpoint" in capsys.readouterr().err
