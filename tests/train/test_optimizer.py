import copy

import pytest
import torch

from train.optimizer import adamw, update
from train.settings import TrainSettings


def small():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8), torch.nn.Linear(8, 1))
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    return model


def test_only_matrices_decay():
    groups = adamw(small(), TrainSettings()).param_groups
    assert [(g["weight_decay"], {p.dim() for p in g["params"]}) for g in groups] == [
        (0.1, {2}),
        (0.0, {1}),
    ]


@pytest.mark.parametrize("clip", [0.5, 1000.0])
def test_a_step_equals_clipping_before_adamw(clip):
    ours, theirs = small(), small()
    optimizer = adamw(ours, TrainSettings())
    norm, finite = update(optimizer, torch.tensor(1.0), 1e-2, clip)
    reference = adamw(theirs, TrainSettings())
    wanted = torch.nn.utils.clip_grad_norm_(theirs.parameters(), clip)
    for group in reference.param_groups:
        group["lr"] = 1e-2
    reference.step()
    assert finite and norm == pytest.approx(wanted.item())
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing(where):
    model = small()
    optimizer = adamw(model, TrainSettings())
    update(optimizer, torch.tensor(1.0), 1e-2, 1.0)
    weights = [p.clone() for p in model.parameters()]
    moments = copy.deepcopy(optimizer.state_dict()["state"])
    for p in model.parameters():
        p.grad = torch.randn_like(p)
    if where == "gradient":
        next(model.parameters()).grad[0, 0] = float("inf")
    loss = torch.tensor(float("nan") if where == "loss" else 1.0)
    _, finite = update(optimizer, loss, 1e-2, 1.0)
    assert not finite
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    after = optimizer.state_dict()["state"]
    assert all(torch.equal(moments[i][k], after[i][k]) for i in moments for k in moments[i])
