r"""Loss parity of bf16 with fp32: the same run in each precision, for some seeds.

    python -m train.benchmarks.parity SHARDS --out DIR --steps 2000 --seeds 1,2,3
    python -m train.benchmarks.parity SHARDS --out DIR --steps 200 --n-layer 12 --n-head 12 \
        --n-embd 768

Each is an ordinary run of `python -m train` under DIR, about 10 M parameters unless other options
say more; the runs of one seed start from the same weights and see the same batches. A run that is
there is gone on with. The last weights of each are scored in fp32 over the same held-out tokens,
and the losses of the same training batches are compared step by step over the last tenth. How far
the fp32 runs of different seeds lie apart says what difference would be noise.

A CPU without bf16 instructions takes ten times as long for bf16 products. There they are made in
fp32 from the bf16 values and rounded to bf16, which is what such instructions with their fp32 sums
give but for the order of the sum; `--products native` leaves torch its own way.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from train.benchmarks.real_run import environment
from train.data import open_shards
from train.errors import TrainError
from train.evaluate.held_out import score_split
from train.hardware import BF16_MASTER, cpu_has_bf16
from train.log import read_log
from train.runs import load_model, read_run

DTYPES = ("float32", "bfloat16", BF16_MASTER)
SHAPE = (
    "--preset cpu --n-layer 6 --n-head 5 --n-embd 320 --n-ctx 128 --batch-tokens 128 --lr 6e-4 "
    "--eval-every 0 --compile off --device cpu"
)
aten = torch.ops.aten
PRODUCTS = {aten.mm.default, aten.addmm.default, aten.bmm.default, aten.mm.out}


class WideProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Products of bf16 matrices, forward and backward, are made in fp32 and rounded to bf16."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """One operation of torch."""
        kwargs = kwargs or {}
        if func not in PRODUCTS or args[0].dtype != torch.bfloat16:
            return func(*args, **kwargs)
        wide = [a.float() if isinstance(a, Tensor) else a for a in args]
        if func is aten.mm.out:
            return kwargs["out"].copy_(aten.mm.default(*wide))
        return func(*wide, **kwargs).bfloat16()


@dataclass(frozen=True)
class Trained:
    """A finished run. Losses are means in nats a token; `step_losses` those of the last tenth."""

    dtype: str
    seed: int
    parameters: int
    steps: int
    tokens: int
    val_loss: float
    step_losses: tuple[float, ...]


@dataclass(frozen=True)
class Parity:
    """A precision beside fp32: differences of held-out and of training loss, seed by seed."""

    dtype: str
    seeds: tuple[int, ...]
    val_loss: float  # mean over the seeds
    val_differences: tuple[float, ...]
    step_difference: float  # mean over seeds and the last tenth of steps
    step_distance: float  # the same of absolute differences
    seeds_apart: float  # of fp32: highest less lowest held-out loss
    seeds_deviation: float | None  # of fp32: the standard deviation of a run's held-out loss
    val_error: float | None  # the standard error of the mean of `val_differences`


def train(
    shards: Path, out: Path, words: Sequence[str], products: str, run: tuple[str, int]
) -> None:
    """One run in a process of its own, with one thread; raises TrainError if it fails."""
    dtype, seed = run
    code = (
        "import sys; from train.benchmarks.parity import trainer; sys.exit(trainer(sys.argv[1:]))"
    )
    folder = out / f"{dtype}-{seed}"
    command = [sys.executable, "-P", "-c", code, products, str(shards), "--out", str(folder)]
    options = [*words, "--dtype", dtype, "--seed", str(seed), "--threads", "1", "--resume"]
    done = subprocess.run(
        [*command, *options],
        env=environment(threads=1),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise TrainError(f"{folder}: the trainer ended with {done.returncode}: {done.stderr}")
    _note(f"{folder.name} is trained")


def trainer(argv: Sequence[str]) -> int:
    """`python -m train`, its bf16 products as the first word says: "wide" or "native"."""
    from train.__main__ import main as train_main

    with WideProducts() if argv[0] == "wide" else nullcontext():  # type: ignore[no-untyped-call]
        return train_main(argv[1:])


def trained(out: Path, tokens: int, dtype: str, seed: int) -> Trained:
    """What became of a finished run, scored on so many held-out tokens, evenly spread."""
    folder = out / f"{dtype}-{seed}"
    run = read_run(folder)
    model, checkpoint = load_model(folder, run, best=False, device="cpu", note=_note)
    found, _ = score_split(model, open_shards(Path(run.data)), "val", tokens)
    entries = read_log(folder)
    losses = [entry["loss"] for entry in entries if entry["kind"] == "step"]
    state = checkpoint.state
    return Trained(
        dtype, seed, run.config.parameters(), state["step"], state["tokens"], found.loss,
        tuple(losses[-max(1, len(losses) // 10) :]),
    )  # fmt: skip


def compare(runs: Sequence[Trained]) -> list[Parity]:
    """Each precision beside fp32 of the same seed; fp32 itself first, its differences 0."""
    found = {(run.dtype, run.seed): run for run in runs}
    seeds = tuple(sorted({run.seed for run in runs}))
    plain = [found["float32", seed] for seed in seeds]
    heldout = [run.val_loss for run in plain]
    rows = []
    for dtype in DTYPES:
        mine = [found[dtype, seed] for seed in seeds]
        steps = [
            ours - theirs
            for run, other in zip(mine, plain, strict=True)
            for ours, theirs in zip(run.step_losses, other.step_losses, strict=True)
        ]
        gaps = tuple(a.val_loss - b for a, b in zip(mine, heldout, strict=True))
        spread = deviation(gaps)
        rows.append(
            Parity(
                dtype, seeds, statistics.mean(run.val_loss for run in mine), gaps,
                statistics.mean(steps), statistics.mean(map(abs, steps)),
                max(heldout) - min(heldout), deviation(heldout),
                None if spread is None else spread / math.sqrt(len(gaps)),
            )
        )  # fmt: skip
    return rows


def deviation(values: Sequence[float]) -> float | None:
    """Their standard deviation, as that of a sample; None of one value."""
    return statistics.stdev(values) if len(values) > 1 else None


def table(rows: Sequence[Parity]) -> list[str]:
    """One line a precision."""
    head = f"{'dtype':<18}{'held-out':>10}{'difference by seed':>30}"
    lines = [f"{head}{'of steps':>11}{'in absolute':>13}"]
    for row in rows:
        by_seed = " ".join(f"{d:+.4f}" for d in row.val_differences)
        lines.append(
            f"{row.dtype:<18}{row.val_loss:>10.4f}{by_seed:>30}"
            f"{row.step_difference:>+11.5f}{row.step_distance:>13.5f}"
        )
    last = f"held-out losses of fp32, seed by seed, lie {rows[0].seeds_apart:.4f} apart"
    if rows[0].seeds_deviation is not None:
        last += f", their standard deviation is {rows[0].seeds_deviation:.4f}"
        last += "; a mean difference has a standard error of "
        last += " and ".join(f"{row.val_error:.4f} ({row.dtype})" for row in rows[1:])
    return [*lines, last]


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (progress)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is not trained yet, then print the table, or all as JSON."""
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m train.benchmarks.parity", description=__doc__, formatter_class=about
    )
    parser.add_argument("shards", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="where the runs lie")
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--held-out-tokens", type=int, default=32_768, help="for the losses")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once, of one thread each")
    default = "native" if cpu_has_bf16() else "wide"
    parser.add_argument("--products", choices=["native", "wide"], default=default)
    parser.add_argument("--json", action="store_true")
    options, rest = parser.parse_known_args(argv)
    torch.set_num_threads(options.jobs)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    wanted = [(dtype, seed) for seed in seeds for dtype in DTYPES]
    shards, out, words = options.shards.resolve(), options.out.resolve(), [*SHAPE.split(), *rest]
    try:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(partial(train, shards, out, words, options.products), wanted))
        runs = [trained(out, options.held_out_tokens, *run) for run in wanted]
    except TrainError as error:
        parser.error(str(error))
    rows = compare(runs)
    if options.json:
        facts = {"products": options.products, "parameters": runs[0].parameters}
        facts |= {"steps": runs[0].steps, "tokens": runs[0].tokens}
        print(json.dumps({**facts, "rows": [asdict(row) for row in rows]}))  # noqa: T201 (the result)
        return 0
    for line in (f"{runs[0].parameters:,} parameters, {runs[0].steps:,} steps", *table(rows)):
        print(line)  # noqa: T201 (the result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
