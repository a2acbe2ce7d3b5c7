"""How far a training run is: what `webtext status` tells of the --out folder of `webtext train`.

    {"run": {"state", "step", "steps", "tokens", "tokens_per_s", "loss", "val_loss", "saved_step"}}

`state` is "training" (a process holds the folder), "done", or "stopped" (--resume goes on). `loss`
is the last step's, `val_loss` the last look's at held-out tokens; a number that is not there yet,
or was not finite, is null.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.engine.store import Disk
from pipeline.engine.verify import Written
from pipeline.errors import StageError
from train.log import read_log
from train.settings import STEPS


def is_run(folder: Path) -> bool:
    """Whether the folder is one that the trainer made."""
    return (folder / "run.json").is_file()


def run_status(folder: Path) -> dict[str, Any]:
    """The object above; StageError if run.json or the log is none of the trainer's."""
    try:
        steps = json.loads((folder / "run.json").read_text(encoding="utf-8"))["settings"]["steps"]
        last = {entry["kind"]: entry for entry in read_log(folder)}
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(f"{folder} is no run of this trainer: {error!r}") from None
    step = last.get("step", {})
    # Faults of steps that a kill undid stay in the log, and say nothing of how far the run is.
    at = max((entry["step"] for kind, entry in last.items() if kind != "fault"), default=0)
    saved = [int(path.name[5:]) for path in folder.glob(f"checkpoints/{STEPS}")]
    found = {
        "state": "training" if is_held(folder / "lock") else "done" if at >= steps else "stopped",
        "step": at,
        "steps": steps,
        "tokens": step.get("tokens", 0),
        "tokens_per_s": step.get("tokens_per_s"),
        "loss": step.get("loss"),
        "val_loss": last.get("eval", {}).get("val_loss"),
        "saved_step": max(saved, default=None),
    }
    return {"run": found}


def checkpoint_files(folder: Path) -> Iterator[Written]:
    """The files of a run's checkpoints, by the manifest that each has."""
    for path in sorted(folder.glob(f"checkpoints/{STEPS}/manifest.json")):
        try:
            files = json.loads(path.read_text(encoding="utf-8")).items()
            found = [
                Written(Disk(path.parent), name, facts["bytes"], facts["sha256"], _sha256)
                for name, facts in files
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError(f"{path} is damaged ({error!r}); the checkpoint is lost") from None
        yield from found


def is_held(lock: Path) -> bool:
    """Whether a process holds this lock file, as the trainer and the engine do (flock)."""
    if not lock.is_file():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _sha256(file: pa.NativeFile) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()
