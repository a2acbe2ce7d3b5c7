import math
import shutil
from dataclasses import replace

import pytest
import torch

from train.config import PRESETS, GPTConfig, strided_keys, strided_pays
from train.cost import cost
from train.loss import next_token_loss
from train.model import GPT, LayerCache, allowed, attend

TINY = GPTConfig(n_layer=2, n_head=2, n_embd=32, n_ctx=32, vocab_size=97)


def made(config: GPTConfig, seed: int = 1) -> GPT:
    model = GPT(config)
    model.reset_parameters(seed)
    return model


@pytest.mark.parametrize(
    ("preset", "count"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("gpt1", 116_534_784),
        ("gpt3-small", 125_226_240),
        ("gpt3-medium", 355_871_744),
        ("gpt3-large", 760_300_032),
        ("gpt3-xl", 1_315_723_264),
        ("gpt3-2.7b", 2_651_553_280),
        ("gpt3-6.7b", 6_658_404_352),
        ("gpt3-13b", 12_853_386_240),
        ("gpt3-175b", 174_604_259_328),
    ],
)
def test_presets_have_the_published_sizes(preset, count):
    assert PRESETS[preset].config.parameters() == count


# Brown et al. 2020, tables 2.1 and D.1: parameters in millions, and training FLOPs, which leave out
# the pairs of attention.
GPT3 = {
    "gpt3-small": (125, 2.25e20), "gpt3-medium": (356, 6.41e20), "gpt3-large": (760, 1.37e21),
    "gpt3-xl": (1_320, 2.38e21), "gpt3-2.7b": (2_650, 4.77e21), "gpt3-6.7b": (6_660, 1.20e22),
    "gpt3-13b": (12_850, 2.31e22), "gpt3-175b": (174_600, 3.14e23),
}  # fmt: skip


@pytest.mark.parametrize("preset", GPT3)
def test_gpt3s_sizes_have_the_papers_parameters_flops_and_tokens(preset):
    millions, flops = GPT3[preset]
    recipe = PRESETS[preset]
    assert recipe.config.parameters() / 1e6 == pytest.approx(millions, rel=5e-3)
    needs = cost(recipe, None)
    assert needs.flops == pytest.approx(flops, rel=0.1)
    assert needs.tokens == pytest.approx(300e9, rel=1e-4)
    assert recipe.warmup_steps * recipe.batch_tokens == pytest.approx(375e6, rel=1e-2)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_the_counted_parameters_are_those_of_the_model(norm, qkv_bias):
    config = replace(TINY, norm=norm, qkv_bias=qkv_bias)
    held = sum(p.numel() for p in GPT(config).parameters())
    padding = (config.padded_vocab - config.vocab_size) * config.n_embd
    assert held - padding == config.parameters()


def test_names_are_those_of_gpt2():
    names = [name for name, _ in GPT(replace(TINY, n_layer=1)).named_parameters()]
    block = [
        f"transformer.h.0.{part}.{kind}"
        for part in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
        for kind in ("weight", "bias")
    ]
    tables = ["transformer.wte.weight", "transformer.wpe.weight"]
    assert names == [*tables, *block, "transformer.ln_f.weight", "transformer.ln_f.bias"]


def test_initial_weights_are_gpt2s_and_depend_on_the_seed_alone():
    config = replace(TINY, n_layer=8, n_embd=256, n_head=4, n_ctx=256, vocab_size=1000)
    parts = made(config).requires_grad_(False).transformer
    assert parts["wte"].weight[:1000].std() == pytest.approx(0.02, rel=0.03)
    assert parts["wpe"].weight.std() == pytest.approx(0.01, rel=0.03)
    block = parts["h"][3]
    assert block.mlp.c_fc.weight.std() == pytest.approx(0.02, rel=0.03)
    assert block.mlp.c_proj.weight.std() == pytest.approx(0.02 / math.sqrt(16), rel=0.03)
    assert block.mlp.c_fc.bias.abs().max() == 0
    assert torch.equal(made(TINY, 3).head_weight, made(TINY, 3).head_weight)
    assert not torch.equal(made(TINY, 3).head_weight, made(TINY, 4).head_weight)


def test_the_loss_at_the_start_is_that_of_guessing():
    ids = torch.randint(97, (16, 33), generator=torch.Generator().manual_seed(0))
    model = made(TINY)
    h_NC = model.hidden(ids[:, :-1]).flatten(0, 1)
    loss = next_token_loss(h_NC, model.head_weight, ids[:, 1:].flatten(), 97, chunked=False)
    assert loss.item() / (16 * 32) == pytest.approx(math.log(97), abs=0.05)


def test_a_position_sees_nothing_that_comes_after_it():
    model = made(TINY).eval()
    ids = torch.randint(97, (1, 32), generator=torch.Generator().manual_seed(0))
    other = ids.clone()
    other[0, 20:] = (other[0, 20:] + 1) % 97
    assert torch.equal(model(ids)[0, :20], model(other)[0, :20])
    assert not torch.equal(model(ids)[0, 20:], model(other)[0, 20:])


def under_its_mask(q, k, v, pattern, band):
    """The definition: dense attention, and what is not `allowed` taken out of it."""
    at = torch.arange(q.shape[2])
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[3])
    scores = scores.masked_fill(~allowed(at[:, None], at[None], pattern, band), -torch.inf)
    return scores.softmax(-1) @ v


@pytest.mark.parametrize("T", [1, 2, 7, 8, 16, 17, 31, 32, 150, 256, 263])
@pytest.mark.parametrize("band", [1, 2, 7, 8])
@pytest.mark.parametrize("pattern", ["banded", "strided"])
@pytest.mark.parametrize("way", ["as chosen", "always sparse"])
def test_sparse_attention_and_its_gradients_are_those_under_its_mask(
    pattern, T, band, way, monkeypatch
):
    if way == "always sparse":
        monkeypatch.setattr("train.model.strided_pays", lambda *_: True)
    qkv = torch.randn(3, 2, 2, T, 16, generator=torch.Generator().manual_seed(T)) * 3
    toward = torch.randn(2, 2, T, 16, generator=torch.Generator().manual_seed(T + 1))
    found, wanted = qkv.clone().requires_grad_(), qkv.clone().requires_grad_()
    y, y_wanted = attend(*found, pattern, band, 0.0), under_its_mask(*wanted, pattern, band)
    assert torch.allclose(y, y_wanted, atol=1e-5)
    (y * toward).sum().backward()
    (y_wanted * toward).sum().backward()
    assert torch.allclose(found.grad, wanted.grad, atol=1e-4)


def largest_tensor(compute):
    """Numbers in the largest tensor that any operation makes."""

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        most = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            made = function(*args, **(kwargs or {}))
            for tensor in made if isinstance(made, tuple | list) else [made]:
                if isinstance(tensor, torch.Tensor):
                    self.most = max(self.most, tensor.numel())
            return made

    with Watch() as watch:
        compute()
    return watch.most


@pytest.mark.parametrize("band", [32, 33])
def test_strided_attention_makes_nothing_of_the_square_of_the_length(band):
    T = 1024
    q, k, v = torch.randn(3, 1, 1, T, 8).requires_grad_()
    assert strided_pays(T, band)
    most = largest_tensor(lambda: attend(q, k, v, "strided", band, 0.0).sum().backward())
    assert most <= (T + band) * strided_keys(T, band) < T * T / 8


def test_strided_attention_is_dense_where_that_is_less_work():
    assert strided_pays(2048, 256) and not strided_pays(1024, 256)
    assert not strided_pays(96, 16) and not strided_pays(64, 64) and not strided_pays(64, 100)


def test_dropout_of_strided_attention_takes_out_its_share_of_the_pairs():
    q, k, v = torch.randn(3, 1, 4, 300, 8, generator=torch.Generator().manual_seed(0))
    assert strided_pays(300, 16)
    torch.manual_seed(0)
    plain = attend(q, k, v, "strided", 16, 0.0)
    drawn = torch.stack([attend(q, k, v, "strided", 16, 0.25) for _ in range(400)])
    assert torch.allclose(drawn.mean(0), plain, atol=0.25)
    assert not torch.equal(drawn[0], drawn[1])
    # The first position sees itself alone: it is kept, at 1 / (1 - 0.25), or it is nothing.
    first = (drawn[:, 0, :, 0, 0] / plain[0, :, 0, 0]).flatten()
    assert {round(share, 3) for share in first.tolist()} == {0.0, 1.333}
    assert (first == 0).float().mean() == pytest.approx(0.25, abs=0.05)


def test_strided_attention_under_autocast_is_close_and_finite():
    q, k, v = 4 * torch.randn(3, 2, 2, 300, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        found = attend(*(x.bfloat16() for x in (q, k, v)), "strided", 16, 0.0)
    assert found.dtype == torch.bfloat16 and found.isfinite().all()
    wanted = under_its_mask(*(x.bfloat16().float() for x in (q, k, v)), "strided", 16)
    assert (found.float() - wanted).abs().mean() < 0.01 * wanted.abs().mean()


@pytest.mark.parametrize("attention", ["dense", "banded", "strided"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_cached_steps_give_the_hidden_states_of_the_whole_sequence(attention, norm):
    config = replace(TINY, attention=attention, band=8, norm=norm, n_ctx=130)
    model = made(config).eval()
    ids = torch.randint(97, (2, 130), generator=torch.Generator().manual_seed(0))
    assert strided_pays(130, 8) and strided_pays(128, 8)
    for pieces in ([7, 1, 1, 5, 16, 100], [128, 1, 1]):
        caches = [LayerCache(config, 2, 130, model.head_weight) for _ in range(config.n_layer)]
        found = [model.hidden(part, caches) for part in ids.split(pieces, dim=1)]
        assert torch.allclose(torch.cat(found, 1), model.hidden(ids), atol=1e-5)


needs_a_compiler = pytest.mark.skipif(
    not shutil.which("c++"), reason="compiling on a CPU needs a C++ compiler"
)


def gradients(model, ids, targets, chunked, fused=False):
    model.zero_grad()
    h_NC = model.hidden(ids).flatten(0, 1)
    way = {"chunked": chunked, "fused": fused}
    loss = next_token_loss(h_NC, model.head_weight, targets, 97, **way) / 7
    loss.backward()
    return loss.item(), [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_a_compiler)])
def test_the_chunked_loss_and_its_gradients_equal_the_full_ones(monkeypatch, fused):
    monkeypatch.setattr("train.loss.CPU_CHUNK", 0)
    monkeypatch.setattr("train.loss.CPU_ROWS_MIN", 50)
    model = made(TINY)
    ids = torch.randint(97, (4, 33), generator=torch.Generator().manual_seed(0))
    targets = ids[:, 1:].flatten()
    full, full_gradients = gradients(model, ids[:, :-1], targets, False)
    chunked, chunked_gradients = gradients(model, ids[:, :-1], targets, True, fused)
    assert chunked == pytest.approx(full, rel=1e-5)
    for a, b in zip(full_gradients, chunked_gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("chunked", [False, True])
def test_padding_of_the_vocabulary_has_no_probability_and_no_gradient(chunked):
    model = made(TINY)
    assert model.head_weight.shape[0] == 128
    with torch.no_grad():
        model.head_weight[97:] = 5.0  # would swallow all probability were it not masked
    ids = torch.randint(97, (4, 33), generator=torch.Generator().manual_seed(0))
    loss, _ = gradients(model, ids[:, :-1], ids[:, 1:].flatten(), chunked)
    assert loss * 7 / 128 == pytest.approx(math.log(97), abs=0.1)
    assert model.head_weight.grad[97:].abs().max() == 0
    assert model(ids[:, :-1]).shape == (4, 32, 97)


def test_activation_checkpointing_changes_no_gradient():
    ids = torch.randint(97, (4, 33), generator=torch.Generator().manual_seed(0))
    model = made(TINY).train()
    _, plain = gradients(model, ids[:, :-1], ids[:, 1:].flatten(), False)
    model.recompute_blocks()
    _, again = gradients(model, ids[:, :-1], ids[:, 1:].flatten(), False)
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))


def test_compiled_blocks_serve_training_alone():
    def refuse(*_):
        raise AssertionError("compiled")

    ids = torch.randint(97, (2, 8), generator=torch.Generator().manual_seed(0))
    model = made(TINY).eval()
    wanted = model(ids)
    model.compile_blocks()
    for block in model.blocks:
        block.compile(backend=refuse)
    assert torch.equal(model(ids), wanted)
    with pytest.raises(Exception, match="compiled"):
        model.train()(ids)
    torch.compiler.reset()


@needs_a_compiler
def test_a_compiled_strided_block_computes_what_the_plain_one_does():
    config = replace(TINY, attention="strided", band=8, n_ctx=130)
    ids = torch.randint(97, (2, 131), generator=torch.Generator().manual_seed(0))
    model = made(config).train()
    assert strided_pays(130, 8)
    wanted, gradients_wanted = gradients(model, ids[:, :-1], ids[:, 1:].flatten(), False)
    model.compile_blocks()
    found, gradients_found = gradients(model, ids[:, :-1], ids[:, 1:].flatten(), False)
    assert found == pytest.approx(wanted, rel=1e-5)
    for a, b in zip(gradients_wanted, gradients_found, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    torch.compiler.reset()
