"""A real run beside nanoGPT's: held-out loss over tokens and over time, on the same shards.

    python -m train.benchmarks.real_run SHARDS --nanogpt CHECKOUT --out DIR --minutes 20
    python -m train.benchmarks.real_run SHARDS --nanogpt CHECKOUT --out DIR --steps 500 --seeds 1,2

With --minutes each program gets the steps that it makes in that time, by a short run before; with
--steps both see the same number of tokens. nanoGPT's own train.py runs as it is, by path, with its
own random batches over the same training tokens in its format, the recipe's shape, rates and batch,
biases on, fp32 and eager as its README says for a CPU; only what it saves is caught. Ours runs as
`python -m train` does. Both save at every tenth of their steps, and when all are trained each save
is scored in fp32 by one function over the same held-out windows. Other options go to our trainer,
and what they say of the recipe to both. Points are printed as JSON lines, the table to stderr.
"""

import argparse
import contextlib
import json
import os
import pickle
import runpy
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from train.benchmarks.benchmark import nanogpt_module
from train.config import Recipe
from train.data import Shards, Tokens, held_out, open_shards
from train.errors import SettingsError, TrainError
from train.evaluate.held_out import score
from train.log import read_log
from train.loss import LanguageModelLoss
from train.options import parse
from train.runs import load_model, read_run
from train.settings import STEPS, TrainSettings, recipe_for

ROOT = Path(__file__).resolve().parents[2]
POINTS = 10  # of each curve
PROBE_S, PROBE_STEPS = 40, 20  # of ours, of theirs: enough to know tokens per second
COPY_TOKENS = 1 << 22
Note = Callable[[str], None]


@dataclass(frozen=True)
class Point:
    """A save of a run: `seconds` of its loop until then, and its loss over all held-out windows."""

    program: str
    seed: int
    step: int
    tokens: int
    seconds: float
    val_loss: float


@dataclass(frozen=True)
class Comparison:
    """What both programs train, and where their runs lie."""

    shards: Shards
    recipe: Recipe
    settings: TrainSettings
    words: tuple[str, ...]  # for our trainer, besides its data, folder, seed and steps
    nanogpt: Path
    out: Path
    threads: int

    @property
    def windows(self) -> list[Tokens]:
        """The held-out windows that every save is scored on."""
        tokens = self.settings.eval_tokens or 0
        return list(held_out(self.shards.split("val"), self.recipe.config.n_ctx, tokens))


def train_ours(on: Comparison, folder: Path, *words: str, code: int = 0) -> None:
    """Our trainer in a process of its own, which is expected to end with `code`."""
    command = [sys.executable, "-m", "train", str(on.shards.folder), "--out", str(folder)]
    run = subprocess.run(
        [*command, "--threads", str(on.threads), *on.words, *words],
        env=environment(on.threads),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if run.returncode != code:
        raise TrainError(f"{folder}: our trainer ended with {run.returncode}, not {code}")


def our_points(on: Comparison, folder: Path, seed: int) -> Iterator[Point]:
    """The points of a finished run of ours."""
    for path in sorted((folder / "checkpoints").glob(STEPS)):
        model, checkpoint = load_model(path, read_run(path), best=False, device="cpu", note=_note)
        found, state = score(LanguageModelLoss(model), on.windows), checkpoint.state
        yield Point(
            "webtext", seed, state["step"], state["tokens"], round(state["seconds"], 1), found.loss
        )


def train_theirs(on: Comparison, folder: Path, steps: int, every: int) -> None:
    """nanoGPT's train.py in a process and a folder of its own; its saves go to `folder`."""
    configurator = on.nanogpt / "configurator.py"
    if not configurator.is_file():
        raise SettingsError(f"{configurator}: not there; --nanogpt is a checkout of nanoGPT")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.pt"):
        old.unlink()
    _write_raw(on, folder / "data" / "same")
    here = folder / "configurator.py"  # which train.py looks for in the current folder
    here.unlink(missing_ok=True)
    here.symlink_to(configurator.resolve())
    code = "import sys; from train.benchmarks.real_run import their_loop; their_loop(*sys.argv[1:])"
    words = [f"--{name}={value}" for name, value in _their_options(on, steps, every).items()]
    subprocess.run(
        [sys.executable, "-P", "-c", code, str(on.nanogpt.resolve()), *words],
        env=environment(on.threads),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )


def their_loop(checkout: str, *words: str) -> None:
    """nanoGPT's train.py, unmodified, in this process and folder; each save becomes STEP.pt.

    As in ours, the clock starts at the first pass of the model, which looks at the held-out loss.
    """
    began: list[float] = []

    def first_pass(*_: object) -> None:
        began.append(time.monotonic())
        hook.remove()

    hook = register_module_forward_pre_hook(first_pass)
    save = torch.save

    def caught(checkpoint: dict[str, Any], _: object) -> None:
        seconds = time.monotonic() - began[0]
        kept = {key: checkpoint[key] for key in ("model", "model_args", "iter_num")}
        save({**kept, "seconds": seconds}, f"{checkpoint['iter_num']:09}.pt")

    torch.save = caught  # type: ignore[assignment]
    sys.argv = ["train.py", *words]
    sys.path.insert(0, checkout)
    runpy.run_path(f"{checkout}/train.py", run_name="__main__")


def their_points(on: Comparison, folder: Path) -> Iterator[Point]:
    """The points of a finished run of theirs."""
    theirs = nanogpt_module(on.nanogpt)
    for path in sorted(folder.glob("*.pt")):
        saved = torch.load(path, weights_only=True)
        with contextlib.redirect_stdout(sys.stderr):  # nanoGPT prints
            model = theirs.GPT(theirs.GPTConfig(**saved["model_args"]))
        model.load_state_dict(saved["model"])
        step, found = saved["iter_num"], score(_TheirLoss(model), on.windows)
        tokens = step * on.recipe.batch_tokens
        yield Point("nanoGPT", 1337, step, tokens, round(saved["seconds"], 1), found.loss)


class _TheirLoss(nn.Module):
    """Their model with the interface of our objective: the summed loss of (B, T + 1) tokens."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids_BT: Tensor) -> Tensor:
        targets_BT = ids_BT[:, 1:].contiguous()
        _, mean = self.model(ids_BT[:, :-1].contiguous(), targets_BT)
        return mean * targets_BT.numel()


def _their_options(on: Comparison, steps: int, every: int) -> dict[str, Any]:
    settings = on.settings
    # Of so many steps, as our trainer is told: how long the warm-up is may depend on them.
    _, recipe = recipe_for(replace(settings, steps=steps), on.shards.vocab_size, has_gpu=False)
    config = recipe.config
    return {
        "dataset": "same", "eval_interval": every, "eval_iters": 1, "log_interval": 100,
        "gradient_accumulation_steps": 1, "batch_size": recipe.batch_tokens // config.n_ctx,
        "block_size": config.n_ctx, "n_layer": config.n_layer, "n_head": config.n_head,
        "n_embd": config.n_embd, "dropout": float(config.dropout), "bias": True,
        "learning_rate": recipe.lr, "min_lr": recipe.lr * settings.lr_min_share,
        "max_iters": steps, "lr_decay_iters": steps, "warmup_iters": recipe.warmup_steps,
        "weight_decay": settings.weight_decay, "beta1": settings.beta1, "beta2": settings.beta2,
        "grad_clip": settings.clip, "device": "cpu", "dtype": "float32", "compile": False,
    }  # fmt: skip


def _write_raw(on: Comparison, folder: Path) -> None:
    """The tokens as nanoGPT wants them: uint16 without a header, all files of a split in one."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val"):
        with (folder / f"{split}.bin").open("wb") as raw:
            for file in on.shards.split(split):
                for start in range(0, file.tokens, COPY_TOKENS):
                    tokens = file.read(start, min(COPY_TOKENS, file.tokens - start))
                    raw.write(tokens.tobytes())
    vocab_size = on.recipe.config.padded_vocab
    (folder / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": vocab_size}))


def environment(threads: int) -> dict[str, str]:
    """What a training process of a comparison is started with."""
    # Threads that wait without spinning, for both: ours would choose it by itself.
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    return {**os.environ, **own}


def our_steps(on: Comparison, minutes: float) -> tuple[int, list[str]]:
    """The steps that ours makes in so many minutes, and the choices that go with that speed."""
    folder = on.out / "probe-ours"
    train_ours(on, folder, "--stop-after", str(PROBE_S), "--eval-every", "0", code=75)
    entries = read_log(folder)
    rates = [e["tokens_per_s"] for e in entries if e["kind"] == "step"]
    rate = statistics.median(rates[len(rates) // 2 :])
    compiled = "on" if read_run(folder).choices.compile else "off"
    return _steps(rate, minutes, on), ["--compile", compiled]


def their_steps(on: Comparison, minutes: float) -> int:
    """The steps that theirs makes in so many minutes."""
    folder = on.out / "probe-nanogpt"
    train_theirs(on, folder, PROBE_STEPS, PROBE_STEPS // 2)
    times = [torch.load(p, weights_only=True)["seconds"] for p in sorted(folder.glob("*.pt"))]
    rate = PROBE_STEPS // 2 * on.recipe.batch_tokens / (times[-1] - times[0])
    return _steps(rate, minutes, on)


def _steps(tokens_per_s: float, minutes: float, on: Comparison) -> int:
    """Rounded down to whole tenths."""
    steps = int(tokens_per_s * minutes * 60 / on.recipe.batch_tokens)
    return max(POINTS, steps - steps % POINTS)


def compare(on: Comparison, seeds: Sequence[int], steps: int, minutes: float) -> list[Point]:
    """Train ours with each seed and theirs once, one after the other, then score all saves.

    Raises SettingsError for a recipe that nanoGPT cannot follow.
    """
    config, settings = on.recipe.config, on.settings
    wanted = config.norm, config.attention, config.qkv_bias, settings.schedule, settings.init
    if wanted != ("pre", "dense", True, "cosine", ""):
        raise SettingsError("nanoGPT has GPT-2's dense blocks, new weights and a cosine only")
    choices: list[str] = []
    our_count = their_count = steps
    if not steps:
        our_count, choices = our_steps(on, minutes)
        their_count = their_steps(on, minutes)
    _note(
        f"steps of {on.recipe.batch_tokens:,} tokens: ours {our_count:,}, nanoGPT {their_count:,}"
    )
    for seed in seeds:
        every = str(max(1, our_count // POINTS))
        words = ["--seed", str(seed), "--steps", str(our_count), "--save-steps", every]
        words += ["--eval-every", every, "--keep", str(our_count), "--resume", *choices]
        # Saves by time would be points between the tenths.
        train_ours(on, on.out / f"ours-{seed}", *words, "--save-every", "365d")
    train_theirs(on, on.out / "nanogpt", their_count, max(1, their_count // POINTS))
    points = [p for seed in seeds for p in our_points(on, on.out / f"ours-{seed}", seed)]
    return [*points, *their_points(on, on.out / "nanogpt")]


def table(points: Sequence[Point]) -> list[str]:
    """One line a point, the last of each run with its speed."""
    lines = [f"{'run':<16}{'step':>8}{'tokens':>14}{'minutes':>9}{'tokens/s':>10}{'held-out':>10}"]
    for p in points:
        rate = p.tokens / max(0.1, p.seconds)
        lines.append(
            f"{p.program + ' ' + str(p.seed):<16}{p.step:>8,}{p.tokens:>14,}{p.seconds / 60:>9.1f}"
            f"{rate:>10,.0f}{p.val_loss:>10.4f}"
        )
    return lines


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 (progress)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison; a usage error or a run that failed ends with its reason."""
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m train.benchmarks.real_run", description=__doc__, formatter_class=about
    )
    parser.add_argument("shards", type=Path)
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout of nanoGPT")
    parser.add_argument("--out", type=Path, required=True, help="where the runs lie")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each run")
    parser.add_argument("--steps", type=int, default=0, help="the same for both, instead")
    parser.add_argument("--seeds", default="1", help="of our runs, such as 1,2")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options, rest = parser.parse_known_args(argv)
    words = ("--preset", "cpu", "--device", "cpu", *rest)
    settings, _, _ = parse(TrainSettings, words, "python -m train")
    try:
        shards = open_shards(options.shards.resolve())
        _, recipe = recipe_for(settings, shards.vocab_size, has_gpu=False)
        on = Comparison(
            shards, recipe, settings, words, options.nanogpt, options.out.resolve(), options.threads
        )
        seeds = [int(seed) for seed in options.seeds.split(",")]
        points = compare(on, seeds, options.steps, options.minutes)
    except (TrainError, subprocess.CalledProcessError) as error:
        parser.error(str(error))
    for point in points:
        print(json.dumps(asdict(point)))  # noqa: T201 (the result)
    for line in table(points):
        _note(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
