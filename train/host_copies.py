"""To a GPU and back without waiting: neither for a copy, nor for what was begun since."""

from collections.abc import Callable

import torch
from torch import Tensor


def sent(tensor: Tensor, device: str) -> Tensor:
    """A tensor of the host on the device, which the host does not wait for."""
    if device != "cuda":
        return tensor
    # Pinned memory is given out again by torch when the copy from it is done.
    return tensor.pin_memory().to(device, non_blocking=True)


def on_host(numbers: Tensor) -> Callable[[], list[float]]:
    """The values of a small tensor, for when they are asked for.

    On a GPU their copy is queued now, and asking waits for that alone. `tolist()` queues it when it
    is called, behind all that was begun until then: the GPU would run dry at every step.
    """
    if not numbers.is_cuda:
        return numbers.tolist
    host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
    host.copy_(numbers, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()

    def read() -> list[float]:
        copied.synchronize()
        values: list[float] = host.tolist()
        return values

    return read
