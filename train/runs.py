"""The folder of a run: run.json, log.jsonl, tokenizer.json, checkpoints/, lock."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from train.checkpoint import Checkpoint, load, synced
from train.config import GPTConfig
from train.errors import BusyError, CheckpointError, SettingsError
from train.model import GPT
from train.plain import characters

TOKENIZER = "tokenizer.json"
FORMAT = "webtext-run/1"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder: the system lets go of it when the process ends, however it ends.

    Raises BusyError with the process id of the holder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise BusyError(
                f"{folder}: process {file.read().strip()} trains in this folder; wait for it, "
                "end it (it saves and leaves on SIGTERM), or give another --out"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of a run, or of the run that a checkpoint folder belongs to."""
    for place in (folder, folder.parent.parent):
        path = place / "run.json"
        if path.exists():
            try:
                run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise CheckpointError(f"{path}: not valid JSON ({error})") from None
            if run.get("format") != FORMAT:
                raise CheckpointError(
                    f"{path}: format {run.get('format')!r}; this version reads {FORMAT!r}"
                )
            return {**run, "folder": str(place)}
    raise CheckpointError(f"{folder}: no run.json there; give the --out folder of a training run")


def write_run(folder: Path, run: dict[str, Any]) -> None:
    """Write run.json, whole or not at all, even if the machine goes down."""
    aside = folder / "run.json.tmp"
    aside.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    synced(aside)
    aside.replace(folder / "run.json")
    synced(folder)


def keep_micro_batch(folder: Path, micro_batch: int) -> None:
    """Note a micro-batch that was found while running, so that a resumed run takes it again."""
    run = read_run(folder)
    run["choices"]["micro_batch"] = micro_batch
    write_run(folder, {key: value for key, value in run.items() if key != "folder"})


def load_model(
    folder: Path, run: dict[str, Any], *, best: bool, device: str, note: Callable[[str], None]
) -> tuple[GPT, Checkpoint]:
    """The model of a run's newest (or best) whole checkpoint, ready to evaluate."""
    checkpoint = load(folder, best=best, weights_only=True, note=note)
    if checkpoint is None:
        raise CheckpointError(f"{folder}: no checkpoint there yet")
    model = GPT(GPTConfig(**run["config"]))
    load_weights(model, checkpoint.model)
    return model.to(device).eval(), checkpoint


def load_weights(model: GPT, weights: dict[str, Tensor]) -> None:
    """Put weights into a model; CheckpointError names what does not fit."""
    own = {name: tuple(p.shape) for name, p in model.named_parameters()}
    found = {name: tuple(t.shape) for name, t in weights.items()}
    wrong = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
    if wrong:
        raise CheckpointError(
            f"the weights do not fit the model: {wrong[0]} is {found.get(wrong[0])}, "
            f"wanted {own.get(wrong[0])} ({len(wrong)} such)"
        )
    model.load_state_dict(weights)


def keep_tokenizer(run: Path, data: Path, given: str, *, again: bool) -> None:
    """Copy tokenizer.json into the run, so that sampling needs nothing else.

    It is where it is `given`, beside the shards, or in the build that these belong to; of nanoGPT's
    characters (meta.pkl) one is made. Raises
    SettingsError if none is where it is given; without any the run has none. A run that goes on
    (`again`) keeps its own, unless another is given.
    """
    if again and not given and (run / TOKENIZER).exists():
        return
    places = [Path(given)] if given else [data / TOKENIZER, data.parent / "tokenizer" / TOKENIZER]
    source = next((p for p in places if p.is_file()), None)
    if given and not source:
        raise SettingsError(f"--tokenizer: no file at {given}")
    listed = None if source else characters(data)
    made = listed.tokenizer_json() if listed else None
    content = source.read_bytes() if source else made.encode() if made else b""
    if content:
        aside = run / f"{TOKENIZER}.tmp"  # a kill must not leave half of it
        aside.write_bytes(content)
        aside.replace(run / TOKENIZER)
