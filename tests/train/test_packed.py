from types import SimpleNamespace

import pytest
import torch
from torch import nn

from train import packed
from train.config import GPTConfig
from train.packed import PackedGPT, PackedLinear, for_sampling
from train.sample import generate

SHAPE = {"n_layer": 2, "n_head": 2, "n_embd": 64, "n_ctx": 64, "vocab_size": 97}
KINDS = [
    {},
    {"norm": "post"},
    {"attention": "banded", "band": 5},
    {"qkv_bias": False},
]
# Not by can_pack(): a fault in our own call of the ops would hide behind it.
needs_ops = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN"
)


@pytest.fixture
def draw(drawn):
    return lambda **kind: drawn(GPTConfig(**SHAPE, **kind))


@pytest.fixture(autouse=True)
def all_weights_are_large(monkeypatch):
    monkeypatch.setattr(packed, "NUMBERS_MIN", 1)


@needs_ops
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_packed_logits_are_the_plain_ones(draw, kind):
    model = draw(**kind)
    twin = PackedGPT(model, 8)
    assert not any(isinstance(module, nn.Linear) for module in twin.modules())
    ids_BT = torch.randint(97, (8, 50), generator=torch.Generator().manual_seed(3))
    wanted, found = model(ids_BT), twin(ids_BT)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


@needs_ops
@pytest.mark.parametrize("kind", KINDS)
def test_uneven_prompts_go_through_the_packed_twin_as_each_goes_alone(draw, kind, monkeypatch):
    model, passes = draw(**kind), []
    plain = PackedGPT.logits
    monkeypatch.setattr(PackedGPT, "logits", lambda *args: passes.append(1) or plain(*args))
    prompts = [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10], [11]]
    steps = list(generate(model, prompts, 30, seeds=[1, 2, 3], temperature=0))
    assert len(passes) == 30
    for row, prompt in enumerate(prompts):
        alone = list(generate(model, [prompt], 30, seeds=[1], temperature=0))
        assert [step[row] for step in steps] == [token for (token,) in alone]
    assert len(passes) == 30, "one row is as fast without"


@needs_ops
def test_the_twin_holds_the_parameters_themselves_and_packs_large_weights_only(draw, monkeypatch):
    monkeypatch.setattr(packed, "NUMBERS_MIN", 4 * 64 * 64)
    model = draw().train()
    for block in model.blocks:
        block.compile(backend="eager")
    twin = PackedGPT(model, 8)
    assert twin.training and not any(block._compiled_call_impl for block in twin.blocks)
    theirs = dict(model.named_parameters())
    ours = dict(twin.named_parameters())
    gone = {name for name in theirs if ".mlp." in name and name.endswith("weight")}
    assert ours.keys() == theirs.keys() - gone
    assert all(p.data_ptr() == theirs[name].data_ptr() for name, p in ours.items())
    assert sum(isinstance(module, PackedLinear) for module in twin.modules()) == 2 * 2
    assert all(isinstance(block.mlp.c_fc, nn.Linear) for block in model.blocks)
    assert not hasattr(model, "head"), "the model itself stays as it was"


@needs_ops
@pytest.mark.parametrize(
    ("rows", "steps", "pays"),
    [(1, 99, False), (2, 24, True), (64, 24, True), (65, 99, False), (8, 23, False)],
)
def test_packing_is_for_several_rows_and_several_steps(draw, rows, steps, pays):
    model = draw()
    twin = for_sampling(model, rows, steps)
    assert isinstance(twin, PackedGPT) if pays else twin is model


@needs_ops
def test_other_types_and_small_models_stay_plain(draw, monkeypatch):
    for model in (draw().double(), draw().to(torch.bfloat16)):
        assert for_sampling(model, 8, 99) is model
    monkeypatch.setattr(packed, "NUMBERS_MIN", 1 << 19)
    model = draw()
    assert for_sampling(model, 8, 99) is model


def raises(*args):
    raise RuntimeError("wrong number of arguments")


@pytest.mark.parametrize(
    "ops",
    [
        SimpleNamespace(),
        SimpleNamespace(_reorder_linear_weight=raises),
        SimpleNamespace(
            _reorder_linear_weight=lambda weight, rows: weight,
            _linear_pointwise=lambda x, weight, *rest: x @ weight.t(),  # without the bias
        ),
    ],
    ids=["missing", "other arguments", "other numbers"],
)
def test_where_the_ops_are_not_as_known_the_plain_model_serves(draw, ops, monkeypatch):
    monkeypatch.setattr(torch.ops, "mkldnn", ops)
    model = draw()
    assert for_sampling(model, 8, 99) is model
    assert len(list(generate(model, [[1], [2]], 30, seeds=[1, 2]))) == 30
