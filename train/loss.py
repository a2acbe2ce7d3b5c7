"""Cross-entropy of the tied head, as a sum over tokens, without ever keeping all logits.

For GPT-2's vocabulary the logits of one sequence of 1,024 tokens take 206 MB in fp32; the whole
model's activations are smaller. `chunked` computes loss and gradient ROWS tokens at a time in the
forward pass, so that only (N, C) and (V, C) are kept. The plain way is for small vocabularies, and
the reference of the tests. Axes: N tokens, C channels, V padded vocabulary.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (its usual name)

ROWS = 1024  # tokens of one chunk: 206 MB of fp32 logits at GPT-2's vocabulary
IGNORED = -100  # a target that counts for nothing, as in torch


def next_token_loss(
    h_NC: Tensor, head_VC: Tensor, targets_N: Tensor, vocab_size: int, *, chunked: bool
) -> Tensor:
    """Sum over tokens of -ln p(target) in nats, fp32; rows past the vocabulary have p = 0."""
    if not chunked:
        return _chunk_loss(F.linear(h_NC, head_VC), targets_N, vocab_size)
    if torch.is_grad_enabled():
        return _ChunkedLoss.apply(h_NC, head_VC, targets_N, vocab_size)  # type: ignore[no-untyped-call]
    total = h_NC.new_zeros((), dtype=torch.float32)
    for start in range(0, h_NC.shape[0], ROWS):
        rows = slice(start, start + ROWS)
        total += _chunk_loss(F.linear(h_NC[rows], head_VC), targets_N[rows], vocab_size)
    return total


def _chunk_loss(logits_NV: Tensor, targets_N: Tensor, vocab_size: int) -> Tensor:
    return F.cross_entropy(
        _masked(logits_NV, vocab_size), targets_N, ignore_index=IGNORED, reduction="sum"
    )


def _masked(logits_NV: Tensor, vocab_size: int) -> Tensor:
    """fp32 logits in which the padding of the vocabulary can have no probability."""
    logits_NV = logits_NV.float()
    padded = logits_NV.shape[1]
    if padded == vocab_size:
        return logits_NV
    return logits_NV.masked_fill(
        torch.arange(padded, device=logits_NV.device) >= vocab_size, float("-inf")
    )


def _loss_and_gradient(
    logits_NV: Tensor, targets_N: Tensor, vocab_size: int
) -> tuple[Tensor, Tensor]:
    """The sum of the losses and d sum / d logits, in the type of the logits."""
    masked_NV = _masked(logits_NV, vocab_size)
    log_p_NV = masked_NV.log_softmax(-1)
    counts_N = targets_N != IGNORED
    index_N1 = targets_N.clamp(min=0)[:, None]
    loss = -(log_p_NV.gather(1, index_N1)[:, 0] * counts_N).sum()
    is_target_NV = torch.arange(logits_NV.shape[1], device=logits_NV.device)[None] == index_N1
    d_NV = (log_p_NV.exp() - is_target_NV.float()) * counts_N[:, None]
    return loss, d_NV.to(logits_NV.dtype)


class _ChunkedLoss(torch.autograd.Function):
    """The gradient is made in the forward pass, while a chunk's logits are there."""

    @staticmethod
    def forward(
        ctx: Any, h_NC: Tensor, head_VC: Tensor, targets_N: Tensor, vocab_size: int
    ) -> Tensor:
        device = h_NC.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else h_NC.dtype
        ctx.kinds = h_NC.dtype, head_VC.dtype
        h_NC, head_VC = h_NC.to(kind), head_VC.to(kind)
        dh_NC = torch.empty_like(h_NC)
        dhead_VC = torch.zeros_like(head_VC, dtype=torch.float32)
        total = torch.zeros((), dtype=torch.float32, device=h_NC.device)
        with torch.autocast(device, enabled=False):
            for start in range(0, h_NC.shape[0], ROWS):
                rows = slice(start, start + ROWS)
                logits_NV = h_NC[rows] @ head_VC.t()
                loss, d_NV = _loss_and_gradient(logits_NV, targets_N[rows], vocab_size)
                total += loss
                torch.mm(d_NV, head_VC, out=dh_NC[rows])
                dhead_VC += d_NV.t() @ h_NC[rows]
        ctx.save_for_backward(dh_NC, dhead_VC)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        dh_NC, dhead_VC = ctx.saved_tensors
        h_kind, head_kind = ctx.kinds
        scale = grads[0]
        return (dh_NC * scale).to(h_kind), (dhead_VC * scale).to(head_kind), None, None
