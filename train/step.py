"""One optimizer step, from tokens to moved weights. The loop says when, and what comes after."""

import hashlib
from collections.abc import Callable

import torch
from torch import nn

from train.config import Recipe
from train.data import Tokens
from train.distributed import World
from train.errors import Stopped
from train.hardware import Choices
from train.host_copies import on_host, sent
from train.optimizer import update
from train.schedule import learning_rate
from train.settings import TrainSettings
from train.stop import StopSignals


def training_step(
    objective: nn.Module, optimizer: torch.optim.AdamW, tokens_BT: Tokens, step: int, *,
    recipe: Recipe, settings: TrainSettings, choices: Choices, world: World, signals: StopSignals,
) -> Callable[[], list[float]]:  # fmt: skip
    """Step number `step` (from 0) over this rank's sequences, a micro-batch at a time.

    What comes back gives, when it is called, the mean loss of the global batch in nats a token, the
    gradient's norm before clipping, and 1.0 if both were finite, else 0.0: then no weight moved.
    Raises Stopped between two passes of a process that trains alone, which leaves the step undone,
    and torch.OutOfMemoryError.
    """
    if recipe.config.dropout:
        torch.manual_seed(_seed(settings.seed, step, world.rank))
    ids_BT = sent(torch.from_numpy(tokens_BT), choices.device).long()
    parts = torch.split(ids_BT, choices.micro_batch)
    loss = torch.zeros((), device=ids_BT.device)
    for number, micro_BT in enumerate(parts, 1):
        with world.synchronized(objective, number == len(parts)):
            with choices.autocast():
                part = objective(micro_BT) / recipe.batch_tokens
            # The ranks' gradients are averaged: each counts as many times as there are ranks.
            torch.autograd.backward(part * world.ranks)
        loss += part.detach()
        # The ranks would have to agree: they stop between steps only.
        if signals.received and world.ranks == 1 and number < len(parts):
            raise Stopped(step, signals.received)
    loss = world.sum(loss)
    rate = learning_rate(recipe, settings, step)
    norm, finite = update(optimizer, loss, rate, settings.clip)
    return on_host(torch.stack((loss, norm, finite.float())))


def _seed(seed: int, step: int, rank: int) -> int:
    """The seed of a step's dropout: no generator's state needs to be kept."""
    return int.from_bytes(
        hashlib.blake2b(repr((seed, step, rank)).encode(), digest_size=7).digest()
    )
