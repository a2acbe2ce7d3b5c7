"""bf16 parameters with fp32 master weights (`--dtype bfloat16-master`), for one process on a CPU.

Under autocast every weight is cast anew for every product. Here the model holds bf16 parameters,
so that a product reads half the bytes and nothing is cast; AdamW moves an fp32 master of each,
beside the moments, and rounds it to the parameter (Micikevicius et al. 2018, 3.1). Per parameter
that is 2 + 4 + 8 bytes and 2 of gradient: the 16 of fp32. Checkpoints hold the masters: the format
is that of every run, and `--dtype` may change on resume.

Worth it only where the CPU multiplies bf16 (AMX, AVX512_BF16); elsewhere bf16 is many times slower
than fp32. To do without it, delete this file, its test, BF16_MASTER and its uses in choices.py,
benchmarks/, a word in settings.py, and the two uses of MasterAdamW in loop.py.
"""

from typing import Any

import torch
from torch import Tensor

from train.model import GPT
from train.optimizer import decay_groups
from train.settings import TrainSettings

# Weights of one kernel call: master, moments and gradient of so many stay in a core's cache, so
# that all is read once (BENCHMARKS.md).
CHUNK = 1 << 18


class MasterAdamW(torch.optim.AdamW):
    """AdamW over a model whose parameters it makes bf16; `masters` are the fp32 weights.

    The state is torch's (step, exp_avg, exp_avg_sq), in fp32. `accumulates` says that a step has
    more than one backward pass: the sum of their gradients is then kept in fp32, whose rounding
    does not grow with their number.
    """

    def __init__(self, model: GPT, settings: TrainSettings, *, accumulates: bool) -> None:
        groups = decay_groups(model, settings)
        super().__init__(groups, lr=0.0, betas=(settings.beta1, settings.beta2), fused=True)
        self.masters: dict[Tensor, Tensor] = {p: p.detach().clone() for p in model.parameters()}
        model.to(torch.bfloat16)  # the parameters stay the same objects
        for p, master in self.masters.items():
            if accumulates:
                p.grad_dtype = torch.float32
            self.state[p] = {
                "step": torch.zeros(()),
                "exp_avg": torch.zeros_like(master),
                "exp_avg_sq": torch.zeros_like(master),
            }

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move masters and parameters; with `found_inf` set, nothing."""
        if self.found_inf:  # type: ignore[attr-defined]
            return
        for group in self.param_groups:
            for p in group["params"]:
                self._move(p, group)

    def _move(self, p: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        state["step"] += 1
        flat = [t.view(-1) for t in (self.masters[p], state["exp_avg"], state["exp_avg_sq"])]
        low, gradient = p.detach().view(-1), p.grad.view(-1)  # type: ignore[union-attr]
        for start in range(0, p.numel(), CHUNK):
            part = slice(start, start + CHUNK)
            master, mean, square = (t[part] for t in flat)
            beta1, beta2 = group["betas"]
            torch._fused_adamw_(
                [master], [gradient[part].float()], [mean], [square], [], [state["step"]],
                lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
                eps=group["eps"], amsgrad=False, maximize=False,
                grad_scale=self.grad_scale, found_inf=None,  # type: ignore[attr-defined]
            )  # fmt: skip
            low[part].copy_(master)
