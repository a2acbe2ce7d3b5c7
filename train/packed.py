"""A GPT for sampling several rows at once on a CPU: its large weights packed as oneDNN likes them.

A step of 8 rows through GPT-2 small is far from what memory gives: MKL makes its products at 18
GFLOP/s. oneDNN over weights that it packed once is 1.2 to 1.7 times as fast in the blocks and twice
in the head (one thread, AVX2); with one row both are as fast as memory, and the model stays plain.
The price is those weights a second time in memory, and once the time that ten steps save: 0.3 s,
and as much again for the system to hand out fresh memory.

The ops are private ones of torch, those to which Inductor lowers a frozen linear layer. They are
tried before use; where they are missing or give other numbers, the plain model serves.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from train.model import GPT

# Measured on one thread: plain products are as fast with one row, in the blocks from 64 on too.
ROWS_MIN, ROWS_MAX = 2, 64
STEPS_MIN = 24  # packing takes the time that 10 (8 rows of GPT-2 small) to 16 (384 x 1,536) save
# Numbers in a weight worth packing: 384 x 1,536 gains a fifth, while at 192 x 768 the call itself
# (40 us against 9) costs more than packing saves.
NUMBERS_MIN = 1 << 19


def for_sampling(model: GPT, rows: int, steps: int) -> GPT:
    """`model` itself, or its packed twin where that pays for `steps` passes over so many rows."""
    parameters = list(model.parameters())
    pays = (
        ROWS_MIN <= rows <= ROWS_MAX
        and steps >= STEPS_MIN
        and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in parameters)
        and any(p.numel() >= NUMBERS_MIN for p in parameters)
    )
    return PackedGPT(model, rows) if pays and can_pack() else model


def can_pack() -> bool:
    """Whether this torch has the ops, as this file calls them, and they compute a linear layer."""
    x_BC, weight, bias = torch.linspace(-1, 1, 3 * 64 * 64).view(3, 64, 64)
    try:
        found = PackedLinear(weight, bias[0], rows=64)(x_BC)
    except (AttributeError, RuntimeError, TypeError):  # no such op, not built in, other arguments
        return False
    return torch.allclose(found, F.linear(x_BC, weight, bias[0]), rtol=1e-4, atol=1e-4)


class PackedLinear(nn.Module):
    """A linear layer without gradient; the packing fits calls of about `rows` rows best."""

    def __init__(self, weight: Tensor, bias: Tensor | None, rows: int) -> None:
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        """(…, in) -> (…, out)."""
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, "none", [], "")


class PackedGPT(GPT):
    """The twin of a GPT: it shares all parameters, and large linear weights are packed besides.

    Of the weights as they are now: a model that is trained further needs a new twin.
    """

    def __init__(self, model: GPT, rows: int) -> None:
        # GPT's constructor would draw weights. (On torch's meta device it would not, but the first
        # use of that takes two seconds.) What is compiled is not copied.
        nn.Module.__init__(self)
        shared = {id(p): p for p in model.parameters()}
        vars(self).update(copy.deepcopy(vars(model), shared))
        self.head = _packed(self.head_weight, None, rows)
        for module in list(self.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Linear):
                    setattr(module, name, _packed(child.weight, child.bias, rows) or child)

    def logits(self, h_BTC: Tensor) -> Tensor:
        """(…, C) -> logits over the true vocabulary."""
        if self.head is None:
            return super().logits(h_BTC)
        return self.head(h_BTC)[..., : self.config.vocab_size]


def _packed(weight: Tensor, bias: Tensor | None, rows: int) -> PackedLinear | None:
    return PackedLinear(weight, bias, rows) if weight.numel() >= NUMBERS_MIN else None
