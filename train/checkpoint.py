"""Checkpoints that exist only when they are complete, and are read only when they are whole.

    checkpoints/step-000000400/model.safetensors      the weights
                               optimizer.safetensors  AdamW's moments and step counts
                               state.json             step, held-out loss, what the loop counts
                               manifest.json          bytes and sha256 of the three, written last

A save copies the tensors (the only time that training waits), then a thread writes them into a
temporary folder, syncs, and renames it: a kill at any instant leaves the one before. Reading goes
from the newest back, and names each one that does not match its manifest. The random numbers of a
run are functions of (seed, step), so no generator is stored.
"""

import errno
import hashlib
import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from train.errors import CheckpointError
from train.settings import STEPS

Tensors = dict[str, Tensor]
FILES = {"model.safetensors", "optimizer.safetensors", "state.json"}
COUNTS = {"tokens", "seconds", "left_out", "faults_in_a_row"}
LOSSES = {"val_loss", "first_val_loss", "best_val_loss"}  # None where none was measured
REPLACED = ".replaced"  # ends the name of a checkpoint while another of the same step is put there


@dataclass(frozen=True)
class Checkpoint:
    """What was read from a checkpoint folder."""

    path: Path
    model: Tensors
    optimizer: Tensors
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimizer steps that were done."""
        return int(self.state["step"])


class Checkpointer:
    """Saves in the background; keeps the newest `keep` and the one with the best held-out loss.

    On a full disk those older than the newest make room. `note` is told of that by the next wait.
    """

    def __init__(self, folder: Path, keep: int, note: Callable[[str], None]) -> None:
        self.folder, self.keep, self.note = folder, keep, note
        self.folder.mkdir(parents=True, exist_ok=True)
        for torn in self.folder.glob(".tmp-*"):
            shutil.rmtree(torn, ignore_errors=True)
        for before in self.folder.glob(f"{STEPS}{REPLACED}"):
            after = before.with_suffix("")
            shutil.rmtree(before, ignore_errors=True) if after.exists() else before.rename(after)
        self._buffers: Tensors = {}
        self._writer: threading.Thread | None = None
        self._error: OSError | SafetensorError | None = None
        self._gave_way: list[str] = []

    def set_aside(self, step: int, why: Literal["damaged", "diverged"]) -> list[str]:
        """Rename the checkpoints after `step`, which the run does not go on from; their new names.

        Counted among the newest, they would have each new one removed instead.
        """
        names = []
        for path in _folders(self.folder):
            if path.name > _name(step):
                aside = self.folder / f"{why}-{path.name}"
                shutil.rmtree(aside, ignore_errors=True)
                names.append(path.rename(aside).name)
        return names

    def save(self, model: Tensors, optimizer: Tensors, state: dict[str, Any]) -> None:
        """Copy the tensors and write them in the background; waits for the save before.

        Raises CheckpointError if the save before failed (a full disk): the ones on disk stay.
        """
        self.wait()
        copies = {
            "model": self._copied("model", model),
            "optimizer": self._copied("optimizer", optimizer),
        }
        if any(tensor.is_cuda for tensor in model.values()):
            torch.cuda.synchronize()
        self._writer = threading.Thread(target=self._write, args=(copies, state), daemon=True)
        self._writer.start()

    def wait(self) -> None:
        """Wait until the last save is on disk; CheckpointError if it is not there."""
        if self._writer:
            self._writer.join()
            self._writer = None
        if self._gave_way:
            self.note(f"the disk is full: {', '.join(self._gave_way)} made room for the newest")
            self._gave_way = []
        if self._error:
            error, self._error = self._error, None
            raise CheckpointError(
                f"{self.folder}: a checkpoint could not be written: {error}. "
                f"The newest that is complete: {self.newest() or 'none'}."
            )

    def newest(self) -> str | None:
        """The name of the newest checkpoint that is complete, if there is one."""
        return max((folder.name for folder in _folders(self.folder)), default=None)

    def _copied(self, group: str, tensors: Tensors) -> Tensors:
        """Copies on the host, in buffers that are used again by the next save."""
        copies = {}
        for name, tensor in tensors.items():
            key = f"{group}/{name}"
            if key not in self._buffers:
                self._buffers[key] = torch.empty(
                    tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda
                )
            copies[name] = self._buffers[key].copy_(tensor.detach(), non_blocking=True)
        return copies

    def _write(self, copies: dict[str, Tensors], state: dict[str, Any]) -> None:
        try:
            try:
                self._write_whole(copies, state)
            except (OSError, SafetensorError) as error:
                self._gave_way = self._remove_old(keep=1) if _no_room(error) else []
                if not self._gave_way:
                    raise
                self._write_whole(copies, state)
            self._remove_old(self.keep)
        except (OSError, SafetensorError) as error:
            self._error = error

    def _write_whole(self, copies: dict[str, Tensors], state: dict[str, Any]) -> None:
        name = _name(state["step"])
        aside = self.folder / f".tmp-{name}"
        try:
            aside.mkdir(exist_ok=True)
            for group, tensors in copies.items():
                save_file(tensors, aside / f"{group}.safetensors")
            (aside / "state.json").write_text(json.dumps(state))
            manifest = {
                p.name: {"bytes": p.stat().st_size, "sha256": _sha256(p)}
                for p in sorted(aside.iterdir())
            }
            (aside / "manifest.json").write_text(json.dumps(manifest, indent=1))
            for path in (*aside.iterdir(), aside):
                synced(path)
            final, before = self.folder / name, self.folder / f"{name}{REPLACED}"
            if final.exists():  # its held-out loss was measured since; one of the two always stands
                final.rename(before)
            aside.rename(final)
            synced(self.folder)
            shutil.rmtree(before, ignore_errors=True)
        except (OSError, SafetensorError):
            shutil.rmtree(aside, ignore_errors=True)
            raise

    def _remove_old(self, keep: int) -> list[str]:
        """Remove all but the newest `keep` and the best; the names of those removed."""
        folders = _folders(self.folder)
        kept = {*folders[-keep:], _best(folders)}
        removed = [folder for folder in folders if folder not in kept]
        for folder in removed:
            shutil.rmtree(folder, ignore_errors=True)
        return [folder.name for folder in removed]


def load(
    run: Path, *, best: bool = False, weights_only: bool = False, note: Callable[[str], None]
) -> Checkpoint | None:
    """The newest (or best) checkpoint of a run that is whole; None if there is none at all.

    `run` may also be the folder of one checkpoint. Each damaged one is told to `note`; raises
    CheckpointError if all are damaged. `weights_only` leaves the moments unread, two thirds of it.
    """
    if (run / "manifest.json").exists() and (run / "state.json").exists():
        folders = [run]
    else:
        folders = _folders(run / "checkpoints")[::-1]
        known = {folder.name.removesuffix(REPLACED) for folder in folders}
        for path in sorted((run / "checkpoints").glob("step-*")):
            if path.name.removesuffix(REPLACED) not in known:
                note(f"{path} is no checkpoint by its name, and is left alone")
    chosen = _best(folders) if best else None
    for left, folder in enumerate(sorted(folders, key=lambda f: f != chosen), 1 - len(folders)):
        try:
            return _read(folder, weights_only=weights_only)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            note(f"{folder} is damaged ({error}){'; the one before it is taken' if left else ''}")
    if folders:
        raise CheckpointError(
            f"{run}: all {len(folders)} checkpoints are damaged; the run cannot go on"
        )
    return None


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or an infinity; None where all are finite."""
    for name, tensor in tensors.items():
        # A sum is quick to take and finite only of finite numbers; but it may overflow.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            return name
    return None


def _read(folder: Path, *, weights_only: bool) -> Checkpoint:
    manifest = _object(folder / "manifest.json")
    if manifest.keys() != FILES:
        raise ValueError(f"manifest.json names {', '.join(manifest) or 'no file'}")
    moments = folder / "optimizer.safetensors"
    for name, expected in manifest.items():
        if not isinstance(expected, dict):
            raise ValueError(f"manifest.json says {expected!r} of {name}")
        path = folder / name
        if weights_only and path == moments:
            continue
        if path.stat().st_size != expected["bytes"] or _sha256(path) != expected["sha256"]:
            raise ValueError(f"{name} does not match its manifest")
    state = _object(folder / "state.json")
    for name in COUNTS & state.keys() | {"step"}:
        if type(state.get(name)) not in (int, float):
            raise ValueError(f"state.json says {state.get(name)!r} of {name}")
    for name in LOSSES & state.keys():
        if state[name] is not None and type(state[name]) not in (int, float):
            raise ValueError(f"state.json says {state[name]!r} of {name}")
    model = load_file(folder / "model.safetensors")
    return Checkpoint(folder, model, {} if weights_only else load_file(moments), state)


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return found


def _best(folders: list[Path]) -> Path | None:
    """The checkpoint with the lowest held-out loss, if any was measured."""
    losses = {}
    for folder in folders:
        try:
            loss = _object(folder / "state.json").get("val_loss")
        except (OSError, ValueError):
            continue
        # Older versions kept one that was not finite.
        if isinstance(loss, int | float) and math.isfinite(loss):
            losses[folder] = loss
    return min(losses, key=losses.__getitem__, default=None)


def _no_room(error: OSError | SafetensorError) -> bool:
    """Whether a disk or a quota is full; safetensors tells the system's error only in its text."""
    full = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError):
        return error.errno in full
    return any(f"os error {number}" in str(error) for number in full)


def _name(step: int) -> str:
    return f"step-{step:09d}"


def _folders(folder: Path) -> list[Path]:
    """The checkpoints there, oldest first; of one that was being replaced, the newer."""
    replaced = [p for p in folder.glob(STEPS + REPLACED) if not p.with_suffix("").exists()]
    return sorted([*folder.glob(STEPS), *replaced])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def synced(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
