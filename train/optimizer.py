"""AdamW, and the step that a bad gradient cannot poison."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from train.distributed import whole
from train.settings import TrainSettings


def adamw(model: nn.Module, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW over all parameters of a model."""
    groups = decay_groups(model, settings)
    return torch.optim.AdamW(groups, lr=0.0, betas=(settings.beta1, settings.beta2), fused=True)


def decay_groups(model: nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """AdamW's groups: only matrices decay; biases and norms have no scale to shrink."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]


@torch.no_grad()
def update(
    optimizer: torch.optim.AdamW, loss: Tensor, rate: float, clip: float
) -> tuple[Tensor, Tensor]:
    """One step with the gradient clipped to norm `clip`; (norm, was it finite), on the device.

    Where loss or norm is not finite nothing changes: the fused kernel divides by `grad_scale` and
    leaves the step out by `found_inf`, so the host need not wait for the norm.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    gradients = [p.grad for p in parameters if p.grad is not None]
    # As get_total_norm does it, but in fp32 where gradients are bf16.
    norms = torch._foreach_norm(gradients, 2, dtype=torch.float32)
    norm = whole(torch.linalg.vector_norm(torch.stack(norms)))
    finite = torch.isfinite(norm) & torch.isfinite(loss)
    scale = ((norm + 1e-6) / clip).clamp(min=1.0)
    for group in optimizer.param_groups:
        group["lr"] = rate
    if isinstance(parameters[0], DTensor):
        # The fused kernel takes no plain scale for tensors that are split: the host decides.
        for gradient in gradients:
            gradient.to_local().div_(scale)
        if finite:
            optimizer.step()
    else:
        optimizer.grad_scale, optimizer.found_inf = scale, (~finite).float()  # type: ignore[attr-defined]
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm, finite
