"""Tokens per second of a training step, beside nanoGPT's unmodified model on a CPU.

    python -m train.benchmarks.benchmark --device cpu --nanogpt PATH_TO_ITS_CHECKOUT
    python -m train.benchmarks.benchmark --device cuda

On a CPU ours and nanoGPT's, each in a process of its own, take turns, step by step, on the same
tokens, so that both meet the same neighbours; the figures are medians of paired ratios of CPU time
and of wall time, and the largest memory of each process. nanoGPT's model.py is loaded from its own
checkout; its loop's step is fp32, AdamW and clipping, as its train.py does on a CPU. It begins with
our weights, and the losses of the first steps must agree, or nothing is compared.
On a GPU the four sizes are timed with compiled blocks, the smaller two also with the whole model
compiled, in steps of several passes as the trainer makes them; no row begins after eight minutes.
"""

import argparse
import contextlib
import gc
import importlib.util
import json
import math
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.allocator import keep_freed_memory
from train.bf16 import MasterAdamW
from train.config import PRESETS, GPTConfig
from train.cost import CONVENTION, flops_per_token, peak_flops
from train.errors import SettingsError, TrainError
from train.hardware import BF16_MASTER, PASS_TOKENS, choose, cpu_has_bf16
from train.loss import LanguageModelLoss
from train.model import GPT
from train.optimizer import adamw, update
from train.settings import TrainSettings

RATE, CLIP = 6e-4, 1.0
SEED = 1
# Of the first steps. In fp32 0.001 was seen: GELU in its other form, and ln(50,304 / 50,257), since
# nanoGPT gives the padding of the vocabulary its share. The rest is for bf16.
LOSS_GAP_MAX, LOSS_STEPS = 0.02, 4


@dataclass(frozen=True)
class Shape:
    """A model, and the sequences of one pass of `time` tokens each."""

    config: GPTConfig
    rows: int
    time: int


# The shapes of nanoGPT's own recipes on a CPU and of GPT-2 small, short enough for a CPU.
CPU_SHAPES = {
    "4 x 128, 12 x 64": Shape(GPTConfig(4, 4, 128, 64, 65, vocab_multiple=1), 12, 64),
    "6 x 384, 64 x 256": Shape(GPTConfig(6, 6, 384, 256, 65, vocab_multiple=1), 64, 256),
    "GPT-2 small, 4 x 256": Shape(GPTConfig(), 4, 256),
}
# Compiling the whole of the larger two takes minutes: it makes one graph of 36 and 48 layers.
CUDA_ROWS = [
    *((size, "block") for size in ("gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl")),
    *((size, "whole") for size in ("gpt2", "gpt2-medium")),
]
PASSES = 8  # of a step on a GPU: the update is paid by all of them, as in training
CUDA_START_S = 480.0  # no row begins later
Step = Callable[[Tensor], Tensor | float]


def our_step(shape: Shape, device: str, *, compiled: str, dtype: str, rows: int = 0) -> Step:
    """A step of ours, `rows` sequences a pass; `compiled` is "no", "block" or "whole"."""
    model = GPT(shape.config)
    model.reset_parameters(SEED)
    model.to(device).train()
    if compiled == "block":
        model.compile_blocks()
    objective: Any = LanguageModelLoss(model)
    if compiled == "whole":
        objective.compile()
    rows = rows or min(shape.rows, PASS_TOKENS[device] // shape.time)
    optimizer = (
        MasterAdamW(model, TrainSettings(), accumulates=rows < shape.rows)
        if dtype == BF16_MASTER else adamw(model, TrainSettings())
    )  # fmt: skip

    def step(ids_BT: Tensor) -> Tensor:
        loss = torch.zeros((), device=device)
        for part_BT in torch.split(ids_BT, rows):
            with torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16"):
                part = objective(part_BT) / ids_BT[:, 1:].numel()
            part.backward()
            loss += part.detach()
        update(optimizer, loss, RATE, CLIP)
        return loss

    return step


def nanogpt_module(checkout: Path) -> Any:
    """nanoGPT's own model.py as a module; SettingsError where the checkout has none."""
    path = checkout / "model.py"
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise SettingsError(f"{path}: no such file; --nanogpt is a checkout of karpathy/nanoGPT")
    theirs = importlib.util.module_from_spec(spec)
    sys.modules["nanogpt_model"] = theirs  # its dataclass asks for it
    spec.loader.exec_module(theirs)
    return theirs


def nanogpt_step(shape: Shape, checkout: Path) -> Step:
    """The step of nanoGPT's train.py around its own model, with biases, so that both are equal."""
    theirs, config = nanogpt_module(checkout), shape.config
    model = theirs.GPT(
        theirs.GPTConfig(
            block_size=config.n_ctx, vocab_size=config.padded_vocab, n_layer=config.n_layer,
            n_head=config.n_head, n_embd=config.n_embd, dropout=0.0, bias=True,
        )
    )  # fmt: skip
    ours = GPT(config)
    ours.reset_parameters(SEED)
    model.load_state_dict(ours.state_dict(), strict=False)  # its tied head has a second name
    optimizer = model.configure_optimizers(0.1, RATE, (0.9, 0.95), "cpu")

    def step(ids_BT: Tensor) -> float:
        _, loss = model(ids_BT[:, :-1].contiguous(), ids_BT[:, 1:].contiguous())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step


def batches(shape: Shape, count: int = 4) -> list[Tensor]:
    """A few fixed batches of random tokens."""
    generator = torch.Generator().manual_seed(1)
    size = (shape.rows, shape.time + 1)
    return [torch.randint(shape.config.vocab_size, size, generator=generator) for _ in range(count)]


class Side:
    """A step in a process of its own: its time and its memory are nobody else's."""

    def __init__(self, make: Callable[[], Step], shape: Shape, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(other, make, shape, threads), daemon=True
        )
        self._process.start()
        other.close()

    def step(self, number: int) -> tuple[float, float, float]:
        """Loss, CPU seconds and wall seconds of a step on batch `number`."""
        return self._ask(number)

    def close(self) -> int:
        """End the process; the most bytes that it held."""
        peak: int = self._ask(None)
        self._process.join()
        return peak

    def _ask(self, what: int | None) -> Any:
        try:
            self._pipe.send(what)
            answer = self._pipe.recv()
        except (EOFError, BrokenPipeError):
            raise TrainError("a process of the benchmark ended; see its message above") from None
        if isinstance(answer, TrainError):
            raise answer
        return answer


def _serve(pipe: Any, make: Callable[[], Step], shape: Shape, threads: int) -> None:
    torch.set_num_threads(threads)
    data = batches(shape)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # nanoGPT prints
            step = make()
    except TrainError as error:
        pipe.send(error)
        return
    while (number := pipe.recv()) is not None:
        cpu, wall = time.process_time(), time.monotonic()
        loss = float(step(data[number % len(data)]))
        pipe.send((loss, time.process_time() - cpu, time.monotonic() - wall))
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)


def compare(
    ours: Callable[[], Step], theirs: Callable[[], Step], shape: Shape, threads: int, seconds: float
) -> dict[str, Any]:
    """Medians of alternating steps for about `seconds`, at least three, after one to warm up.

    Raises TrainError where the losses of the first steps differ.
    """
    sides = Side(ours, shape, threads), Side(theirs, shape, threads)
    pairs: list[tuple[Any, Any]] = []
    end = math.inf
    while len(pairs) < LOSS_STEPS or time.monotonic() < end:
        pairs.append((sides[0].step(len(pairs)), sides[1].step(len(pairs))))
        losses = [side[0] for side in pairs[-1]]
        if len(pairs) <= LOSS_STEPS and abs(losses[0] - losses[1]) > LOSS_GAP_MAX:
            raise TrainError(f"step {len(pairs)}: not the same model by its losses, {losses}")
        if len(pairs) == 1:
            end = time.monotonic() + seconds
    first, *pairs = pairs
    peaks = [side.close() for side in sides]
    tokens = shape.rows * shape.time
    return {
        "pairs": len(pairs),
        "ours_tokens_per_cpu_s": round(tokens / statistics.median(a[1] for a, _ in pairs)),
        "nanogpt_tokens_per_cpu_s": round(tokens / statistics.median(b[1] for _, b in pairs)),
        "cpu_ratio": round(statistics.median(b[1] / a[1] for a, b in pairs), 3),
        "wall_ratio": round(statistics.median(b[2] / a[2] for a, b in pairs), 3),
        "peak_mb": [peak >> 20 for peak in peaks],
        "first_losses": [round(loss, 4) for loss, *_ in first],
        "last_losses": [round(loss, 4) for loss, *_ in pairs[-1]],
    }


def on_cpu(
    checkout: Path, threads: int, seconds: float, only: str, *, bf16: bool
) -> list[dict[str, Any]]:
    """Every shape by every way; those of bf16 where the CPU multiplies it, or if wanted."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # of both; as `python -m train` sets it
    ways = [("eager fp32", "no", "float32"), ("blocks fp32", "block", "float32")]
    if cpu_has_bf16() or bf16:
        ways += [("blocks bf16 autocast", "block", "bfloat16")]
        ways += [("blocks bf16 master", "block", BF16_MASTER)]
    rows = []
    for name, shape in CPU_SHAPES.items():
        for way, compiled, dtype in ways:
            if only in f"{name} {way}":
                ours = partial(_our_cpu_step, shape, compiled=compiled, dtype=dtype)
                theirs = partial(nanogpt_step, shape, checkout)
                found = compare(ours, theirs, shape, threads, seconds)
                rows.append({"shape": name, "way": way, "threads": threads, **found})
                print(rows[-1], file=sys.stderr)  # noqa: T201 (progress)
    return rows


def _our_cpu_step(shape: Shape, *, compiled: str, dtype: str) -> Step:
    keep_freed_memory()  # as `python -m train` does
    return our_step(shape, "cpu", compiled=compiled, dtype=dtype)


def on_cuda(only: str, steps: int = 5) -> list[dict[str, Any]]:
    """The sizes at context 1,024, each row told when it is there."""
    rows, started = [], time.monotonic()
    for name, compiled in CUDA_ROWS:
        if only not in f"{name} {compiled}":
            continue
        row = {"model": name, "compiled": compiled, "device": torch.cuda.get_device_name()}
        if time.monotonic() - started > CUDA_START_S:
            found: dict[str, Any] = {"tokens_per_s": None, "problem": "no time was left"}
        else:
            recipe, settings = PRESETS[name], TrainSettings(preset=name, device="cuda")
            micro = choose(settings, recipe).micro_batch
            found = _cuda_size(recipe.config, micro, compiled, steps)
        rows.append({**row, **found})
        print(rows[-1], file=sys.stderr, flush=True)  # noqa: T201 (progress)
    return rows


def _cuda_size(config: GPTConfig, rows: int, compiled: str, steps: int) -> dict[str, Any]:
    """One row, at `rows` sequences a pass or as many halvings fewer as fit."""
    # What was compiled for other shapes would make this one's compiled with variable sizes; and
    # compiled blocks hold themselves, so that only a collection lets go of their weights.
    torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()
    try:
        rate, warm_s = _cuda_rate(Shape(config, PASSES * rows, config.n_ctx), rows, compiled, steps)
    except torch.OutOfMemoryError:
        rate = warm_s = 0.0
    if not rate:  # out of the handler: the error holds on to the model and all it allocated
        if rows == 1:
            return {"micro_batch": 1, "tokens_per_s": None, "problem": "out of memory"}
        return _cuda_size(config, rows // 2, compiled, steps)
    peak, flops = peak_flops(torch.cuda.get_device_name()), rate * flops_per_token(config)
    # nanoGPT's and PaLM's way: 6 N with the position table left out, all pairs of positions.
    weights = config.parameters() - config.n_ctx * config.n_embd
    palm = rate * (6 * weights + 12 * config.n_layer * config.n_embd * config.n_ctx)
    return {
        "micro_batch": rows,
        "tokens_per_s": round(rate),
        "tflops": round(flops / 1e12, 1),
        "mfu": round(flops / peak, 4) if peak else None,
        "mfu_palm_convention": round(palm / peak, 4) if peak else None,
        "warm_up_s": round(warm_s, 1),
        "memory_gb": round(torch.cuda.max_memory_allocated() / 1e9, 1),
    }


def _cuda_rate(shape: Shape, rows: int, compiled: str, steps: int) -> tuple[float, float]:
    """Tokens a second, and the seconds of two steps before that."""
    step = our_step(shape, "cuda", compiled=compiled, dtype="bfloat16", rows=rows)
    ids = batches(shape, 1)[0].cuda()
    started = time.monotonic()
    for _ in range(2):
        step(ids)
    torch.cuda.synchronize()
    warm_s = time.monotonic() - started
    torch.cuda.reset_peak_memory_stats()
    started = time.monotonic()
    for _ in range(steps):
        step(ids)
    torch.cuda.synchronize()
    return steps * shape.rows * shape.time / (time.monotonic() - started), warm_s


def main(argv: Sequence[str] | None = None) -> int:
    """Print one table of this device."""
    parser = argparse.ArgumentParser(
        prog="python -m train.benchmarks.benchmark", description=__doc__
    )
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20, help="of each row on a CPU")
    parser.add_argument("--only", default="", help="rows whose name holds this text")
    parser.add_argument("--bf16", action="store_true", help="also on a CPU that lacks it: slow")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if options.device == "cpu" and not options.nanogpt:
        parser.error("--device cpu needs --nanogpt PATH")
    try:
        rows = (
            on_cuda(options.only) if options.device == "cuda"
            else on_cpu(
                options.nanogpt, options.threads, options.seconds, options.only, bf16=options.bf16
            )
        )  # fmt: skip
    except TrainError as error:
        parser.error(str(error))
    show_rows(rows, as_json=options.json, convention=CONVENTION)
    return 0


def show_rows(rows: Sequence[dict[str, Any]], *, as_json: bool, **facts: Any) -> None:
    """Print what was measured: a line a row, or one JSON object with further `facts`."""
    if as_json:
        print(json.dumps({**facts, "torch": torch.__version__, "rows": rows}))  # noqa: T201
        return
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
