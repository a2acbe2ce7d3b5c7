"""Time of one attention layer, forward and backward, by pattern and length.

    python -m train.benchmarks.attention --band 128
    python -m train.benchmarks.attention --lengths 1024,4096 --compile --dtype bfloat16

GPT-2 small's heads (12 x 64) over one sequence. The patterns take turns, so that all meet the same
neighbours, and each figure is the median of the rounds. "positions" are those that `cost.attended`
counts for a token; a strided layer that is computed densely is marked.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from train.config import GPTConfig, Pattern, strided_pays
from train.cost import attended
from train.model import attend

HEADS, WIDTH = 12, 64  # GPT-2 small's
LENGTHS = (512, 1024, 2048, 4096, 8192)
PATTERNS: tuple[Pattern, ...] = ("dense", "banded", "strided")
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """Medians of one pattern at one length."""

    time: int  # tokens
    pattern: Pattern
    positions: float
    sparse: bool
    forward_ms: float
    backward_ms: float


def measure(
    lengths: Sequence[int], band: int, *, rounds: int, device: str, dtype: torch.dtype,
    compiled: bool,
) -> Iterator[Row]:  # fmt: skip
    """A row for each pattern at each length, as soon as it is known."""
    for T in lengths:
        ways: dict[Pattern, Attention] = {
            pattern: partial(attend, pattern=pattern, band=band, dropout=0.0)
            for pattern in PATTERNS
        }
        if compiled:
            ways = {name: torch.compile(way, dynamic=False) for name, way in ways.items()}
        generator = torch.Generator().manual_seed(1)
        shape = (4, 1, HEADS, T, WIDTH)
        given = torch.randn(shape, generator=generator).to(device, dtype)
        for way in ways.values():
            _timed(way, given)  # warms up, and compiles
        times = {name: [] for name in ways}  # type: dict[Pattern, list[tuple[float, float]]]
        for _ in range(rounds):
            for name, way in ways.items():
                times[name].append(_timed(way, given))
        for name, taken in times.items():
            forward, backward = (1e3 * statistics.median(part) for part in zip(*taken, strict=True))
            config = GPTConfig(2, HEADS, HEADS * WIDTH, T, attention=name, band=band)
            sparse = name == "banded" or (name == "strided" and strided_pays(T, band))
            yield Row(T, name, attended(config, 1), sparse and band < T, forward, backward)


def _timed(way: Attention, given: Tensor) -> tuple[float, float]:
    """Seconds forward and backward; the result is let go of before the next one."""
    q, k, v = (part.clone().requires_grad_() for part in given[:3])
    started = _now(given.device)
    y = way(q, k, v)
    between = _now(given.device)
    torch.autograd.backward(y, given[3])
    return between - started, _now(given.device) - between


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def table(rows: Sequence[Row]) -> str:
    """Lines of Markdown: a length each; forward / backward in ms and the positions counted."""
    lines = [
        "| tokens | " + " | ".join(f"{name}: ms, positions" for name in PATTERNS) + " |",
        "|" + "---|" * (1 + len(PATTERNS)),
    ]
    by_length: dict[int, list[str]] = {}
    for row in rows:
        mark = " (dense)" if row.pattern != "dense" and not row.sparse else ""
        cell = f"{row.forward_ms:,.1f} / {row.backward_ms:,.1f}, {row.positions:,.0f}{mark}"
        by_length.setdefault(row.time, []).append(cell)
    lines += [f"| {T:,} | {' | '.join(cells)} |" for T, cells in by_length.items()]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table of this machine."""
    parser = argparse.ArgumentParser(prog="python -m train.benchmarks.attention")
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--band", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    rows = measure(
        [int(one) for one in options.lengths.split(",")], options.band, rounds=options.rounds,
        device=options.device, dtype=getattr(torch, options.dtype), compiled=options.compile,
    )  # fmt: skip
    print(table(list(rows)))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
