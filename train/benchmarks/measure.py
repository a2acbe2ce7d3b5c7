"""Small figures around the training step, each beside its peer where it has one.

    python -m train.benchmarks.measure [loader] [checkpoint] [resume] [sampling] [--json]

- loader: tokens per CPU-second of our batches beside nanoGPT's way (a memory map, random places,
  torch.stack), in turns on one file at 12 x 1,024; and its share of a step of the recipe `cpu`
- checkpoint: how long the loop waits for a save of 30 M parameters, as a share of the ten minutes
  between two
- resume: the recipe `cpu` at a vocabulary of 8,192, from the start of the process until its first
  step is done and logged
- sampling: greedy tokens per CPU-second of GPT-2 small (random weights, the same in both) beside
  `generate` of transformers where that can be imported, batches of 1 and 8, one thread; both must
  choose the same tokens
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.batches import Batches
from train.benchmarks.benchmark import show_rows
from train.checkpoint import Checkpointer
from train.config import PRESETS, GPTConfig
from train.data import open_shards
from train.errors import TrainError
from train.hugging_face import to_their_config, to_theirs
from train.loss import LanguageModelLoss
from train.model import GPT
from train.optimizer import adamw, update
from train.sample import generate
from train.settings import TrainSettings

ROOT = Path(__file__).resolve().parents[2]
ROWS, TIME = 12, 1024  # nanoGPT's own batch
FILE_TOKENS, VOCAB = 20_000_000, 8192
SAVED = GPTConfig(6, 6, 384, 1024)  # 30 M parameters
RECIPE = "cpu"
PROMPT, NEW_TOKENS = 16, 48
Row = dict[str, Any]


def loader(folder: Path, seconds: float) -> list[Row]:
    """Both loaders in turns on the same file, as int64 inputs and targets; our share of a step."""
    data = write_tokens(folder, FILE_TOKENS)
    batches = Batches(open_shards(data).split("train"), TIME, ROWS, seed=1)
    raw = data / "train.bin"
    steps = iter(range(1 << 30))

    def ours() -> tuple[Tensor, Tensor]:
        ids_BT = torch.from_numpy(batches.batch(next(steps))).long()
        return ids_BT[:, :-1], ids_BT[:, 1:]

    def theirs() -> tuple[Tensor, Tensor]:
        tokens = np.memmap(raw, np.uint16, "r")
        places = torch.randint(len(tokens) - TIME, (ROWS,)).tolist()
        pairs = [(tokens[p : p + TIME], tokens[p + 1 : p + 1 + TIME]) for p in places]
        x_BT, y_BT = (
            torch.stack([torch.from_numpy(row.astype(np.int64)) for row in side])
            for side in zip(*pairs, strict=True)
        )
        return x_BT, y_BT

    mine, peer = in_turns(ours, theirs, seconds, repeat=20)
    batches.close()
    tokens = ROWS * TIME
    row = {
        "figure": f"loader, {ROWS} x {TIME}",
        "tokens_per_cpu_s": round(tokens / mine),
        "nanogpt_way_tokens_per_cpu_s": round(tokens / peer),
        "ratio": round(peer / mine, 2),
    }
    return [row, _share_of_a_step(data, seconds)]


def _share_of_a_step(data: Path, seconds: float) -> Row:
    recipe = PRESETS[RECIPE]
    config = replace(recipe.config, vocab_size=VOCAB)
    rows = recipe.batch_tokens // config.n_ctx
    batches = Batches(open_shards(data).split("train"), config.n_ctx, rows, seed=1)
    model = GPT(config)
    model.reset_parameters(1)
    objective, optimizer = LanguageModelLoss(model), adamw(model, TrainSettings())
    numbers = iter(range(1 << 30))
    ids_BT = torch.from_numpy(batches.batch(0)).long()

    def step() -> None:
        loss = objective(ids_BT) / recipe.batch_tokens
        loss.backward()
        update(optimizer, loss.detach(), recipe.lr, TrainSettings().clip)

    load, train = in_turns(
        lambda: torch.from_numpy(batches.batch(next(numbers))).long(),
        step, seconds, rounds_min=3,
    )  # fmt: skip
    batches.close()
    share = load / (load + train)
    return {"figure": f"loader's share of a step of the recipe {RECIPE}", "share": round(share, 6)}


def checkpoint(folder: Path, saves: int = 4) -> list[Row]:
    """What the loop waits for, and how long the thread behind it writes; the first save apart."""
    model = GPT(SAVED)
    model.reset_parameters(1)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    moments = {f"{kind}/{n}": p.clone() for kind in ("exp_avg", "exp_avg_sq")
               for n, p in weights.items()}  # fmt: skip
    saver, waits, writes = Checkpointer(folder / "checkpoints", keep=2, note=warnings.warn), [], []
    for step in range(saves):
        started = time.monotonic()
        saver.save(weights, moments, {"step": step, "val_loss": None})
        waits.append(time.monotonic() - started)
        saver.wait()
        writes.append(time.monotonic() - started - waits[-1])
    every_s = TrainSettings().save_every_s
    wait_s, write_s = statistics.median(waits[1:]), statistics.median(writes)
    row = {
        "figure": f"checkpoint of {SAVED.parameters():,} parameters",
        "bytes": sum(4 * t.numel() for t in (*weights.values(), *moments.values())),
        "first_wait_s": round(waits[0], 3),
        "wait_s": round(wait_s, 3),
        "share": round(wait_s / every_s, 6),
        "background_write_s": round(write_s, 3),
        "share_if_training_stood_still": round((wait_s + write_s) / every_s, 6),
    }
    return [row]


def resume(folder: Path) -> list[Row]:
    """Seconds from the start of a process to the first step that it logs, on `--resume`."""
    data, run = write_tokens(folder, 1_000_000), folder / "run"
    words = [sys.executable, "-m", "train", str(data), "--out", str(run), "--preset", RECIPE]
    words += ["--device", "cpu", "--eval-tokens", "256"]
    log, times = run / "log.jsonl", []
    for count in range(4):
        lines = _steps_logged(log)
        started = time.monotonic()
        options = ["--resume"] if count else []
        with subprocess.Popen(
            [*words, *options], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as child:
            while _steps_logged(log) == lines:
                if child.poll() is not None:
                    raise TrainError(f"{' '.join(words)}: ended with {child.returncode}")
                time.sleep(0.02)
            times.append(time.monotonic() - started)
            child.send_signal(signal.SIGTERM)  # it saves and leaves
    row: Row = {"figure": f"resume of the recipe {RECIPE}, to its first step"}
    return [{**row, "seconds": round(statistics.median(times[1:]), 2), "runs": len(times) - 1}]


def _steps_logged(log: Path) -> int:
    return log.read_text().count('"kind": "step"') if log.exists() else 0


def sampling(folder: Path, seconds: float, config: GPTConfig | None = None) -> list[Row]:
    """Our sampling beside transformers', greedy, both from the same prompts."""
    config = config or GPTConfig()
    torch.set_num_threads(1)
    model = GPT(config)
    model.reset_parameters(1)
    model.eval()
    theirs, rows = _their_generate(model), []
    for batch in (1, 8):
        generator = torch.Generator().manual_seed(batch)
        prompts = torch.randint(config.vocab_size, (batch, PROMPT), generator=generator)
        row: Row = {"figure": f"sampling, batch {batch}"}
        if theirs is None:
            row["problem"] = "not measured: transformers cannot be imported"
            rows.append(row)
            continue

        def ours(prompts: Tensor = prompts) -> list[list[int | None]]:
            seeds = range(len(prompts))
            drawn = generate(model, prompts.tolist(), NEW_TOKENS, seeds=seeds, temperature=0)
            return [list(tokens) for tokens in zip(*drawn, strict=True)]

        wanted = theirs(prompts)[:, PROMPT:].tolist()
        if ours() != wanted:
            raise TrainError("ours and transformers chose other tokens from the same weights")
        mine, peer = in_turns(ours, lambda p=prompts: theirs(p), seconds, rounds_min=3)  # type: ignore[misc]
        tokens = batch * NEW_TOKENS
        row["tokens_per_cpu_s"] = round(tokens / mine, 1)
        row["transformers_tokens_per_cpu_s"] = round(tokens / peer, 1)
        rows.append({**row, "ratio": round(peer / mine, 2)})
    return rows


def _their_generate(model: GPT) -> Callable[[Tensor], Tensor] | None:
    """transformers' generate with the weights of `model`; None where it cannot be imported."""
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError:
        return None
    config = model.config
    theirs = GPT2LMHeadModel(GPT2Config(**to_their_config(config, 0, torch.float32))).eval()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    theirs.load_state_dict(to_theirs(config, weights), strict=False)
    theirs.tie_weights()

    def run(prompts: Tensor) -> Tensor:
        found: Tensor = theirs.generate(
            prompts, attention_mask=torch.ones_like(prompts), do_sample=False, pad_token_id=0,
            max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, eos_token_id=None,
        )  # fmt: skip
        return found

    return run


def in_turns(
    ours: Callable[[], Any], theirs: Callable[[], Any], seconds: float,
    *, repeat: int = 1, rounds_min: int = 5,
) -> tuple[float, float]:  # fmt: skip
    """Median CPU seconds of one call of each, taken in turns, so that both meet the same noise."""
    ours(), theirs()
    times: list[tuple[float, float]] = []
    end = time.monotonic() + seconds
    while len(times) < rounds_min or time.monotonic() < end:
        marks = [time.process_time()]
        for call in (ours, theirs):
            for _ in range(repeat):
                call()
            marks.append(time.process_time())
        times.append(((marks[1] - marks[0]) / repeat, (marks[2] - marks[1]) / repeat))
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)


def write_tokens(folder: Path, count: int) -> Path:
    """A folder of random tokens, to train on and held out, without headers as nanoGPT has them."""
    data = folder / "tokens"
    data.mkdir(exist_ok=True)
    random, files = np.random.default_rng(1), []
    for split, tokens in (("train", count), ("val", 10_000)):
        random.integers(0, VOCAB, tokens, np.uint16).tofile(data / f"{split}.bin")
        files.append({"name": f"{split}.bin", "split": split, "tokens": tokens, "xxh3_128": ""})
    splits = {split: {"text_bytes": 0} for split in ("train", "val")}
    about = {"vocab_size": VOCAB, "eot_id": VOCAB - 1, "splits": splits, "files": files}
    (data / "shards.json").write_text(json.dumps(about))
    return data


def main(argv: Sequence[str] | None = None) -> int:
    """Print the chosen figures."""
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m train.benchmarks.measure", description=__doc__, formatter_class=about
    )
    names = ("loader", "checkpoint", "resume", "sampling")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"{', '.join(names)}; all")
    parser.add_argument("--seconds", type=float, default=10, help="of each pair of rates")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    if unknown := set(options.figures) - set(names):
        parser.error(f"{', '.join(unknown)}: not one of {', '.join(names)}")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    rows = []
    for name in options.figures or names:
        with TemporaryDirectory() as folder:
            place = Path(folder)
            if name == "loader":
                torch.set_num_threads(1)
                rows += loader(place, options.seconds)
            elif name == "sampling":
                rows += sampling(place, options.seconds)
            else:
                rows += {"checkpoint": checkpoint, "resume": resume}[name](place)
        print(f"{name} is measured", file=sys.stderr, flush=True)  # noqa: T201 (progress)
    show_rows(rows, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
