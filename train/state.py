"""What a run keeps of itself in a checkpoint: counts, weights, AdamW's moments."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from train.bf16 import MasterAdamW
from train.checkpoint import Checkpoint
from train.distributed import World, like
from train.errors import CheckpointError

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what AdamW keeps of a parameter


@dataclass
class Progress:
    """What a run counts; kept in every checkpoint."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of training, over all resumptions
    left_out: int = 0  # steps that were not finite
    faults_in_a_row: int = 0  # of them, the last ones
    first_val_loss: float | None = None
    best_val_loss: float | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended. Losses are means in nats a token; those held out None without such files."""

    step: int
    tokens: int
    seconds: float
    loss: float
    val_loss: float | None
    first_val_loss: float | None
    best_val_loss: float | None
    left_out: int


def weights_of(
    names: Mapping[Tensor, str], optimizer: torch.optim.AdamW, world: World
) -> dict[str, Tensor]:
    """The weights by name, whole on rank 0; of bf16 parameters their fp32 masters."""
    masters = optimizer.masters if isinstance(optimizer, MasterAdamW) else {}
    return {name: world.gathered(masters.get(p, p).detach()) for p, name in names.items()}


def moments_of(
    names: Mapping[Tensor, str], optimizer: torch.optim.AdamW, world: World
) -> dict[str, Tensor]:
    """AdamW's moments and step counts as "exp_avg/NAME" and so on, whole on rank 0."""
    return {
        f"{kind}/{names[p]}": world.gathered(value)
        for p, moments in optimizer.state.items()
        for kind, value in moments.items()
    }


def restore_moments(
    names: Mapping[Tensor, str], optimizer: torch.optim.AdamW, checkpoint: Checkpoint
) -> None:
    """Give an optimizer what `moments_of` took; CheckpointError where some are missing."""
    # Without any moments no step was finite until then.
    for p, name in names.items() if checkpoint.optimizer else ():
        keys = {kind: f"{kind}/{name}" for kind in MOMENTS}
        if not checkpoint.optimizer.keys() >= set(keys.values()):
            raise CheckpointError(f"{checkpoint.path}: no optimizer state for {name}")
        optimizer.state[p] = {k: like(checkpoint.optimizer[key], p) for k, key in keys.items()}


def progress_of(checkpoint: Checkpoint) -> Progress:
    """The counts of a checkpoint; those that an older version did not keep are 0."""
    known = Progress.__dataclass_fields__
    return Progress(**{k: v for k, v in checkpoint.state.items() if k in known})
