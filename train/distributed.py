"""Many processes, one run: under torchrun each rank takes its slice of every global batch.

Rank 0 alone writes the run's folder; every rank reads run.json, the checkpoint that rank 0 found
and the data, so that several machines must share them. Gradients are averaged by
DistributedDataParallel, or, with `--fsdp`, weights and moments are split over the ranks by FSDP2.
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
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from train.errors import RankLost, SettingsError, TrainError
from train.model import GPT

T = TypeVar("T")
TIMEOUT = timedelta(minutes=10)  # a checkpoint of GPT-2 XL is gathered and copied well within
TEST_TIMEOUT = timedelta(minutes=2)  # of the first sum, which connects the ranks to each other
RENDEZVOUS = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class World:
    """The processes of a run: this one's number, how many there are, are weights split."""

    rank: int = 0
    ranks: int = 1
    sharded: bool = False

    @property
    def first(self) -> bool:
        """Whether this rank writes the run's folder and talks to people."""
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

    def on_first(self, make: Callable[[], T]) -> T | None:
        """What rank 0 makes, on rank 0 alone; a TrainError there is raised everywhere."""
        made: list[T] = []
        self.share(lambda: made.append(make()))
        return made[0] if made else None

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over ranks, in place."""
        if self.ranks > 1:
            dist.all_reduce(tensor)
        return tensor

    def gathered(self, tensor: Tensor) -> Tensor:
        """A tensor for a checkpoint, whole on rank 0 (all ranks must call it).

        One that was split comes to the host at once and is dropped elsewhere: all of them together
        may not fit on the device, which is why they were split.
        """
        if not isinstance(tensor, DTensor):
            return tensor
        full = tensor.full_tensor()
        return full.cpu() if self.first else full.new_empty(0)

    def wrapped(self, model: GPT, objective: nn.Module) -> nn.Module:
        """The objective (which holds the model) with its gradients averaged over the ranks."""
        if self.ranks == 1:
            return objective
        device = model.head_weight.device
        if not self.sharded:
            ids = [device] if device.type == "cuda" else None
            return DistributedDataParallel(objective, device_ids=ids, gradient_as_bucket_view=True)
        mesh = init_device_mesh(device.type, (self.ranks,))
        for block in model.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(objective, mesh=mesh)
        return objective

    @contextmanager
    def synchronized(self, objective: nn.Module, last: bool) -> Iterator[None]:
        """Gradients cross the network after the last micro-batch of a step only."""
        if isinstance(objective, FSDPModule):
            objective.set_requires_gradient_sync(last)
        wait = isinstance(objective, DistributedDataParallel) and not last
        with objective.no_sync() if wait else nullcontext():  # type: ignore[operator]
            yield


def ranks_started() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


@contextmanager
def joined(device: str, *, sharded: bool) -> Iterator[World]:
    """This process's place among those that torchrun started, after a test that all can be reached.

    WORLD_SIZE and the names in RENDEZVOUS are torchrun's.
    Raises TrainError where the ranks do not find each other, RankLost where they lose each other.
    """
    ranks = ranks_started()
    if ranks == 1:
        if sharded:
            raise SettingsError(
                "--fsdp splits the model over several processes: start them by torchrun"
            )
        yield World()
        return
    missing = [name for name in RENDEZVOUS if name not in os.environ]
    if missing:
        raise SettingsError(
            f"WORLD_SIZE is {ranks}, but {missing[0]} is not set; start by torchrun"
        )
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=TIMEOUT)
    except RuntimeError as error:  # torch's DistError is one
        place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrainError(
            f"rank {os.environ['RANK']} of {ranks} finds no meeting point at {place}: {error}"
        ) from None
    try:
        _test_collectives(device, ranks)
        yield World(dist.get_rank(), ranks, sharded)
    except RuntimeError as error:
        # gloo raises plain ones, which name its source file.
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise RankLost(dist.get_rank(), ranks, error) from None
    finally:
        dist.destroy_process_group()


def _test_collectives(device: str, ranks: int) -> None:
    """A sum and a broadcast before the model is built: a broken network fails here, readably."""
    rank = dist.get_rank()
    numbers = torch.tensor([1.0, float(rank)], device=device)
    word = torch.full((1,), float(rank), device=device)
    try:
        for work in (
            dist.all_reduce(numbers, async_op=True),
            dist.broadcast(word, 0, async_op=True),
        ):
            work.wait(TEST_TIMEOUT)
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
    """A copy of a whole tensor in the form of `example`: on its device, and split as it is."""
    tensor = tensor.to(example.device, copy=True)
    if isinstance(example, DTensor) and tensor.dim():
        return distribute_tensor(tensor, example.device_mesh, example.placements)
    return tensor
