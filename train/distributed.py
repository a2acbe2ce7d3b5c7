"""Many processes, one run: under torchrun each rank takes its slice of every global batch.

Rank 0 alone reads and writes the run's folder. Gradients are averaged by DistributedDataParallel,
or, with `--shard`, weights and moments are split over the ranks by FSDP2.
Without torchrun there is one rank and nothing here does anything.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from train.errors import SettingsError, TrainError
from train.model import GPT

T = TypeVar("T")
TIMEOUT = timedelta(minutes=10)  # a checkpoint of GPT-2 XL is gathered and copied well within


@dataclass(frozen=True)
class World:
    """The processes of a run: this one's number, how many there are, are weights split."""

    rank: int = 0
    ranks: int = 1
    sharded: bool = False

    @property
    def first(self) -> bool:
        """Whether this rank reads and writes the run's folder and talks to people."""
        return self.rank == 0

    def share(self, make: Callable[[], T]) -> T:
        """What rank 0 makes, on every rank; a TrainError there is raised everywhere."""
        if self.ranks == 1:
            return make()
        box: list[Any] = [None, None]
        if self.first:
            try:
                box[0] = make()
            except TrainError as error:
                box[1] = error
        dist.broadcast_object_list(box)
        if box[1]:
            raise box[1]
        made: T = box[0]
        return made

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, in place."""
        if self.ranks > 1:
            dist.all_reduce(tensor)
        return tensor

    def wrapped(self, model: GPT, objective: nn.Module) -> nn.Module:
        """The objective (which holds the model) with its gradients averaged over the ranks."""
        if self.ranks == 1:
            return objective
        if not self.sharded:
            ids = [torch.cuda.current_device()] if torch.cuda.is_available() else None
            return DistributedDataParallel(
                objective, device_ids=ids, gradient_as_bucket_view=True, static_graph=False
            )
        for block in model.blocks:
            fully_shard(block)
        fully_shard(objective)
        return objective

    @contextmanager
    def synchronized(self, objective: nn.Module, last: bool) -> Iterator[None]:
        """Gradients cross the network after the last micro-batch of a step only."""
        if isinstance(objective, FSDPModule):
            objective.set_requires_gradient_sync(last)
        wait = isinstance(objective, DistributedDataParallel) and not last
        with objective.no_sync() if wait else nullcontext():  # type: ignore[operator]
            yield


@contextmanager
def joined(device: str, *, sharded: bool) -> Iterator[World]:
    """This process's place among those that torchrun started, after a test that all can be reached.

    RANK, WORLD_SIZE and LOCAL_RANK are torchrun's, the only environment that is read.
    """
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks == 1:
        if sharded:
            raise SettingsError("--shard needs several processes: start it by torchrun")
        yield World()
        return
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        _test_collectives(device, ranks)
        yield World(dist.get_rank(), ranks, sharded)
    finally:
        dist.destroy_process_group()


def _test_collectives(device: str, ranks: int) -> None:
    """A sum and a broadcast before the model is built: a broken network fails here, readably."""
    rank = dist.get_rank()
    numbers = torch.tensor([1.0, float(rank)], device=device)
    try:
        dist.all_reduce(numbers)
        word = torch.full((1,), float(rank), device=device)
        dist.broadcast(word, 0)
    except RuntimeError as error:
        raise TrainError(f"rank {rank} of {ranks} cannot reach the others: {error}") from None
    if numbers.tolist() != [ranks, ranks * (ranks - 1) / 2] or word.item() != 0:
        raise TrainError(
            f"rank {rank} of {ranks}: a test sum over the ranks gave {numbers.tolist()}; "
            "the network or its library is broken"
        )


def whole(tensor: Tensor) -> Tensor:
    """A tensor that was split over the ranks, in one piece (all ranks must call it)."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, example: Tensor) -> Tensor:
    """A whole tensor in the form of `example`: on its device, and split as it is."""
    tensor = tensor.to(example.device)
    if isinstance(example, DTensor) and tensor.dim():
        return distribute_tensor(tensor, example.device_mesh, example.placements)
    return tensor
