"""Cross-entropy of the tied head, as a sum over tokens, without ever keeping all logits.

For GPT-2's vocabulary the fp32 logits of one sequence of 1,024 tokens take 206 MB, more than the
rest of the model keeps of it. `chunked` makes loss and gradient in the forward pass while a chunk's
logits are there, so that only (N, C) and (V, C) are kept. On a CPU this is also 1.1 to 2.7 times as
fast as the full way, which stays as the reference of the tests.
Axes: N tokens, C channels, V padded vocabulary.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from train.model import GPT

# Logits of one chunk. On a CPU the best of 16 to 1,024 rows at vocabularies of 4,096 and 50,257;
# larger chunks leave the cache, smaller ones waste the matrix product.
CPU_ROWS_MIN, CPU_CHUNK = 256, 1 << 21
GPU_ROWS = 2048


class LanguageModelLoss(nn.Module):
    """The objective of pre-training, around the model that it trains."""

    def __init__(self, model: GPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids_BT: Tensor) -> Tensor:
        """(B, T + 1) tokens -> the summed loss of the B x T predictions, in nats."""
        h_NC = self.model.hidden(ids_BT[:, :-1]).flatten(0, 1)
        targets_N = ids_BT[:, 1:].flatten()
        vocab_size, fused = self.model.config.vocab_size, self.model.compiled and h_NC.is_cuda
        return next_token_loss(h_NC, self.model.head_weight, targets_N, vocab_size, fused=fused)


def next_token_loss(
    h_NC: Tensor, head_VC: Tensor, targets_N: Tensor, vocab_size: int, *,
    chunked: bool = True, fused: bool = False,
) -> Tensor:  # fmt: skip
    """Sum over tokens of -ln p(target) in nats, fp32; rows past the vocabulary have p = 0.

    `fused` compiles what is done with the logits, where a gradient is wanted.
    """
    if not chunked:
        return _chunk_loss(F.linear(h_NC, head_VC), targets_N, vocab_size)
    rows = GPU_ROWS if h_NC.is_cuda else max(CPU_ROWS_MIN, CPU_CHUNK // head_VC.shape[0])
    if torch.is_grad_enabled():
        return _ChunkedLoss.apply(h_NC, head_VC, targets_N, vocab_size, rows, fused)  # type: ignore[no-untyped-call]
    total = torch.zeros((), device=h_NC.device)
    for h_RC, targets_R in zip(h_NC.split(rows), targets_N.split(rows), strict=True):  # type: ignore[no-untyped-call]
        total += _chunk_loss(F.linear(h_RC, head_VC), targets_R, vocab_size)
    return total


def _chunk_loss(logits_NV: Tensor, targets_N: Tensor, vocab_size: int) -> Tensor:
    padding = torch.arange(logits_NV.shape[1], device=logits_NV.device) >= vocab_size
    masked_NV = logits_NV.float().masked_fill(padding, float("-inf"))
    return F.cross_entropy(masked_NV, targets_N, reduction="sum")


def _loss_and_gradient(
    logits_NV: Tensor, targets_N: Tensor, vocab_size: int
) -> tuple[Tensor, Tensor]:
    """The sum of the losses, and d sum / d logits in the type of the logits, which are used up."""
    kind, logits_NV = logits_NV.dtype, logits_NV.float()
    logits_NV[:, vocab_size:] = float("-inf")
    index_N1 = targets_N[:, None]
    target_N1 = logits_NV.gather(1, index_N1)
    most_N1 = logits_NV.amax(-1, keepdim=True)
    # One exponential in place serves both the sum and the gradient.
    d_NV = logits_NV.sub_(most_N1).exp_()
    sum_N1 = d_NV.sum(-1, keepdim=True)
    loss = (sum_N1.log() + most_N1 - target_N1).sum()
    d_NV.mul_(sum_N1.reciprocal_()).scatter_add_(1, index_N1, torch.full_like(target_N1, -1.0))
    return loss, d_NV.to(kind)


def _fusible(logits_NV: Tensor, targets_N: Tensor, vocab_size: int) -> tuple[Tensor, Tensor]:
    """The same for a compiler, which makes two passes over the logits of it, not seven.

    By their bytes the seven take 0.8 us a token of GPT-2 small on an H100; llm.c needs 2.1 in all.
    """
    column_V = torch.arange(logits_NV.shape[1], device=logits_NV.device)
    index_N1 = targets_N[:, None]
    x_NV = logits_NV.float().masked_fill(column_V >= vocab_size, float("-inf"))
    most_N1 = x_NV.amax(-1, keepdim=True)
    sum_N1 = (x_NV - most_N1).exp().sum(-1, keepdim=True)
    loss = (sum_N1.log() + most_N1 - x_NV.gather(1, index_N1)).sum()
    # Written out, not scattered: atomic additions would end the fusion.
    d_NV = (x_NV - most_N1).exp() / sum_N1 - (column_V == index_N1).float()
    return loss, d_NV.to(logits_NV.dtype)


@cache
def _fused() -> Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]:
    return torch.compile(_fusible, dynamic=False)


class _ChunkedLoss(torch.autograd.Function):
    """The gradient is made in the forward pass, while a chunk's logits are there."""

    @staticmethod
    def forward(
        ctx: Any, h_NC: Tensor, head_VC: Tensor, targets_N: Tensor, vocab_size: int, size: int,
        fused: bool,
    ) -> Tensor:  # fmt: skip
        of_logits = _fused() if fused else _loss_and_gradient
        device = h_NC.device.type
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else h_NC.dtype
        ctx.kinds = h_NC.dtype, head_VC.dtype
        h_NC, head_VC = h_NC.to(kind), head_VC.to(kind)
        dh_NC = torch.empty_like(h_NC)
        # A sum over many chunks: in fp32, whatever the products are.
        dhead_VC = torch.empty_like(head_VC, dtype=torch.float32)
        chunk_RV = h_NC.new_empty(min(size, h_NC.shape[0]), head_VC.shape[0])
        total = torch.zeros((), device=h_NC.device)
        with torch.autocast(device, enabled=False):
            for start in range(0, h_NC.shape[0], size):
                rows = slice(start, start + size)
                logits_NV = chunk_RV[: h_NC[rows].shape[0]]
                torch.mm(h_NC[rows], head_VC.t(), out=logits_NV)
                loss, d_NV = of_logits(logits_NV, targets_N[rows], vocab_size)
                total += loss
                torch.mm(d_NV, head_VC, out=dh_NC[rows])
                if kind == torch.float32:
                    beta = 1 if start else 0  # 0: what the fresh memory holds does not count
                    torch.addmm(dhead_VC, d_NV.t(), h_NC[rows], beta=beta, out=dhead_VC)
                elif start:
                    dhead_VC += d_NV.t() @ h_NC[rows]
                else:
                    dhead_VC.copy_(d_NV.t() @ h_NC[rows])
        ctx.save_for_backward(dh_NC, dhead_VC)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None, None, None]:
        dh_NC, dhead_VC = ctx.saved_tensors
        h_kind, head_kind = ctx.kinds
        scale = grads[0]
        # In place: a second pass over this graph would find it scaled, and there is none.
        dh_NC.mul_(scale)
        return dh_NC.to(h_kind), dhead_VC.mul_(scale).to(head_kind), None, None, None, None
