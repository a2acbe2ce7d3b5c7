import json
import textwrap
import weakref
from functools import partial

import pytest
import torch

from train.benchmarks import benchmark
from train.benchmarks.benchmark import Shape, compare, nanogpt_step, our_step
from train.config import GPTConfig
from train.errors import SettingsError, TrainError
from train.hardware import BF16_MASTER

SHAPE = Shape(GPTConfig(1, 1, 16, 8, 65, vocab_multiple=1), 4, 8)

# The interface of a checkout that the benchmark uses, with no model behind it.
CHECKOUT = """
    from dataclasses import dataclass
    import torch

    @dataclass
    class GPTConfig:
        block_size: int
        vocab_size: int
        n_layer: int
        n_head: int
        n_embd: int
        dropout: float
        bias: bool

    class GPT(torch.nn.Module):
        def __init__(self, config):
            super().__init__()
            print("this must not reach stdout")
            self.head = torch.nn.Linear(1, config.vocab_size)
            torch.nn.init.zeros_(self.head.weight)
            torch.nn.init.constant_(self.head.bias, BIAS)

        def configure_optimizers(self, decay, rate, betas, device):
            return torch.optim.AdamW(self.parameters(), rate, betas, weight_decay=decay)

        def forward(self, ids, targets):
            logits = self.head(torch.zeros(targets.numel(), 1))
            logits = logits - torch.arange(logits.shape[1]) * BIAS
            return logits, torch.nn.functional.cross_entropy(logits, targets.flatten())
"""


def checkout(folder, bias=0.0):
    text = textwrap.dedent(CHECKOUT).replace("BIAS", str(bias))
    (folder / "model.py").write_text(text)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", BF16_MASTER])
def test_a_step_of_ours_trains_in_every_type(dtype):
    step = our_step(SHAPE, "cpu", compiled="no", dtype=dtype)
    ids = benchmark.batches(SHAPE, 1)[0]
    first, *_, last = (step(ids) for _ in range(30))
    assert last < first - 0.1


@pytest.mark.slow
def test_both_sides_are_timed_and_their_memory_counted(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "CPU_SHAPES", {"tiny": SHAPE})
    words = ["--nanogpt", str(checkout(tmp_path)), "--seconds", "0", "--json"]
    assert benchmark.main([*words, "--only", "tiny eager"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["pairs"] == 3 and row["cpu_ratio"] > 0 and row["wall_ratio"] > 0
    assert all(50 < mb < 5000 for mb in row["peak_mb"])
    assert row["first_losses"][0] == pytest.approx(row["first_losses"][1], abs=0.02)


@pytest.mark.slow
def test_models_of_other_losses_are_not_compared(tmp_path):
    ours = partial(our_step, SHAPE, "cpu", compiled="no", dtype="float32")
    theirs = partial(nanogpt_step, SHAPE, checkout(tmp_path, bias=1.0))
    with pytest.raises(TrainError, match="step 1: not the same model by its losses"):
        compare(ours, theirs, SHAPE, 1, 0)


def test_a_folder_that_is_no_checkout_is_a_usage_error(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        nanogpt_step(SHAPE, tmp_path)


@pytest.mark.parametrize("late", [False, True])
def test_rows_of_a_gpu_that_are_asked_for_and_in_time_are_made(monkeypatch, late, capsys):
    def fake(*_):
        return {"tokens_per_s": 1.0}

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr("train.hardware.device_of", lambda _: "cuda")
    monkeypatch.setattr("train.hardware.free_memory", lambda _: 80 << 30)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(benchmark, "_cuda_size", fake)
    monkeypatch.setattr(benchmark, "CUDA_START_S", -1.0 if late else 60.0)
    rows = benchmark.on_cuda("gpt2-")
    sizes = [(row["model"], row["compiled"]) for row in rows]
    assert sizes == [*((f"gpt2-{s}", "block") for s in ("medium", "large", "xl")),
                     ("gpt2-medium", "whole")]  # fmt: skip
    assert {row["tokens_per_s"] for row in rows} == {None if late else 1.0}
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_what_ran_out_of_memory_is_let_go_before_the_next_try(monkeypatch):
    alive, sizes = [], []

    def small(shape, device, *, compiled, dtype, rows):
        sizes.append((rows, [model() is not None for model in alive]))
        assert shape.rows == 8 * rows
        step = our_step(shape, "cpu", compiled="no", dtype=dtype)

        def broken(ids):
            assert step  # it holds the model, as a step does
            raise torch.OutOfMemoryError("CUDA out of memory")

        alive.append(weakref.ref(step))
        return step if rows == 1 else broken

    for name in ("reset_peak_memory_stats", "synchronize", "empty_cache"):
        monkeypatch.setattr(torch.cuda, name, lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 10**9)
    monkeypatch.setattr(torch.Tensor, "cuda", lambda tensor: tensor)
    monkeypatch.setattr(benchmark, "our_step", small)
    row = benchmark._cuda_size(SHAPE.config, 4, "block", 2)
    assert sizes == [(4, []), (2, [False]), (1, [False, False])]
    assert row["micro_batch"] == 1 and row["tokens_per_s"] > 0 and row["mfu"] is not None
