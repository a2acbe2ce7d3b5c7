from dataclasses import replace

import pytest
import torch

from train.config import PRESETS, GPTConfig, strided_pays
from train.cost import attended, cost, flops_per_token, memory, sustained_flops
from train.errors import SettingsError
from train.hardware import choose, needs
from train.loss import next_token_loss
from train.model import GPT, allowed
from train.options import from_options
from train.settings import TrainSettings, recipe_for

TINY = GPTConfig(n_layer=2, n_head=2, n_embd=64, n_ctx=96, vocab_size=512)


@pytest.mark.parametrize(("n_ctx", "band"), [(128, 8), (151, 7), (4096, 128), (96, 200)])
@pytest.mark.parametrize("attention", ["dense", "banded", "strided"])
def test_positions_attended_are_those_of_the_mask(attention, n_ctx, band):
    config = replace(TINY, attention=attention, band=band, n_ctx=n_ctx)
    at = torch.arange(n_ctx)
    seen = allowed(at[:, None], at[None], attention, band).sum().item()
    assert attended(config, 1) == pytest.approx(seen / n_ctx, rel=1e-9)


def test_a_strided_layer_that_is_computed_densely_promises_no_saving():
    config = replace(TINY, attention="strided", band=16)
    assert not strided_pays(config.n_ctx, 16)
    assert flops_per_token(config) == flops_per_token(TINY)


def test_flops_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    model = GPT(TINY)
    model.reset_parameters(1)
    ids = torch.randint(512, (2, 97))
    with FlopCounterMode(display=False) as counter:
        h_NC = model.hidden(ids[:, :-1]).flatten(0, 1)
        loss = next_token_loss(h_NC, model.head_weight, ids[:, 1:].flatten(), 512, chunked=False)
        loss.backward()
    # torch's counter does not see into fused attention on a CPU: the products are compared.
    products = 6 * (2 * 12 * 64 * 64 + 64 * 512)
    pairs = 12 * 64 * sum(attended(TINY, layer) for layer in range(2))
    assert flops_per_token(TINY) == products + pairs
    assert counter.get_total_flops() / 192 == products


def test_weights_that_are_split_leave_room_for_more_sequences(monkeypatch):
    config = PRESETS["gpt2-xl"].config
    whole, eighth = memory(config, 1, 2), memory(config, 1, 2, split=8)
    assert eighth.moments == whole.moments // 8
    assert whole.weights // 8 < eighth.weights < whole.weights // 4
    # The default recipe on eight GPUs of 40 GB: 25 GB of weights, gradients, moments do not leave
    # much, a split run has 12 GB more.
    monkeypatch.setattr("train.hardware.free_memory", lambda _: 40 << 30)
    monkeypatch.setattr("train.hardware.device_of", lambda _: "cuda")
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "A100")
    settings = TrainSettings(dtype="bfloat16", fsdp=True)
    found = [
        choose(replace(settings, fsdp=fsdp), PRESETS["gpt2-xl"], 8).micro_batch
        for fsdp in (False, True)
    ]
    assert found[0] < found[1]


def test_gradients_of_several_passes_stand_beside_the_buckets_that_ranks_sum():
    config, settings = PRESETS["gpt2-xl"].config, TrainSettings()
    one, several = (needs(settings, config, "bfloat16", 1, rows, 2) for rows in (1, 8))
    assert several.gradients == 2 * one.gradients == 2 * one.weights
    assert needs(settings, config, "bfloat16", 1, 8, 1) == one


def test_gpt2_small_costs_what_is_known():
    recipe = PRESETS["gpt2"]
    assert flops_per_token(recipe.config) == pytest.approx(7.98e8, rel=0.01)
    # llm.c: 475 thousand tokens a second on an H100 are 38 % of its peak.
    assert 475e3 * flops_per_token(recipe.config) / 989e12 == pytest.approx(0.38, abs=0.01)
    hours = cost(recipe, sustained_flops("NVIDIA H100 80GB HBM3", 1)).hours
    assert 5 < hours < 7
    for unknown in ("a device of another world", "NVIDIA RTX A1000"):
        assert sustained_flops(unknown, 1) is None


def test_memory_of_weights_gradients_and_moments_is_that_of_the_tensors():
    config = PRESETS["gpt2"].config
    with torch.device("meta"):
        held = sum(p.numel() for p in GPT(config).parameters())
    found = memory(config, 8, 2)
    assert found.weights == found.gradients == 4 * held and found.moments == 8 * held
    assert memory(config, 8, 2, recompute=True).total < found.total < memory(config, 16, 2).total


@pytest.mark.parametrize("attention", ["dense", "banded", "strided"])
def test_saved_activations_are_about_those_that_are_estimated(attention):
    config = replace(TINY, n_layer=4, attention=attention, band=8, n_ctx=128)
    assert strided_pays(128, 8)
    model = GPT(config).train()
    model.reset_parameters(1)
    seen = {}

    def keep(tensor):
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept = model.hidden(torch.randint(512, (4, 128)))
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    found = sum(size for place, size in seen.items() if place not in weights)
    assert kept.shape == (4, 128, 64)
    assert memory(config, 4, 4).activations == pytest.approx(found, rel=0.35)


def test_the_choices_of_this_machine_have_reasons_and_options_are_obeyed():
    settings = from_options(TrainSettings, {"n_ctx": 64, "batch_tokens": 1024, "device": "cpu"})
    _, recipe = recipe_for(settings, 500, has_gpu=False)
    chosen = choose(settings, recipe)
    assert (chosen.device, chosen.dtype, chosen.compile) == ("cpu", "float32", False)
    assert chosen.micro_batch == 16
    assert set(chosen.reasons) == {"device", "dtype", "compile", "micro_batch"}
    told = replace(settings, dtype="bfloat16", compile="on", micro_batch=4, threads=1)
    chosen = choose(told, recipe)
    assert (chosen.dtype, chosen.compile, chosen.micro_batch, chosen.threads) == (
        "bfloat16", True, 4, 1,
    )  # fmt: skip
    with pytest.raises(SettingsError, match="must divide the 16 of a step"):
        choose(replace(settings, micro_batch=5), recipe)


def test_less_memory_makes_smaller_passes(monkeypatch):
    _, recipe = recipe_for(TrainSettings(preset="gpt2"), 50_257, has_gpu=True)
    monkeypatch.setattr("train.hardware.PASS_TOKENS", {"cpu": 10**9})
    sizes = []
    for free in (400 << 30, 40 << 30, 8 << 30, 1 << 30):
        monkeypatch.setattr("train.hardware.free_memory", lambda _, free=free: free)
        sizes.append(choose(TrainSettings(device="cpu"), recipe).micro_batch)
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] == 1 < sizes[0]
    assert all(512 % size == 0 for size in sizes)
