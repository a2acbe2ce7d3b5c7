"""What a run that goes on keeps, what it may change, and where it is refused."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from train.config import Recipe
from train.errors import SettingsError
from train.given import is_hugging_face
from train.hardware import BF16_MASTER, Choices, choose, cores, device_of, has_compiler
from train.log import read_log
from train.options import flag, refuse_senseless
from train.runs import Run, about_orphans, read_run
from train.schedule import learning_rate
from train.settings import TrainSettings

AS_BEFORE = "as the run began"


def check_out(folder: Path, settings: TrainSettings) -> None:
    """Refuse a folder that no run may begin in, before anything is written there."""
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"--out {folder} is a file; give a folder")
    if (folder / "checkpoints").exists() and not (folder / "checkpoints").is_dir():
        raise SettingsError(f"{folder / 'checkpoints'} is a file, where a run has a folder")
    if settings.init and not settings.resume and folder.resolve() == Path(settings.init).resolve():
        raise SettingsError(f"--out {folder} is the folder of --init; give one of its own")
    if is_hugging_face(folder):
        raise SettingsError(
            f"--out {folder} holds config.json of a Hugging Face model; give a folder of its own"
        )
    if (folder / "state.json").exists() and (folder / "manifest.json").exists():
        raise SettingsError(f"--out {folder} is a checkpoint of a run; give the folder of a run")


def run_before(folder: Path, settings: TrainSettings) -> Run | None:
    """The run that is gone on with, or None for a new one.

    Raises SettingsError where --resume is missing, run.json beside what a run left, or every
    checkpoint of a run that had some: begun anew, it would be another one under the same name.
    """
    if wrong := about_orphans(folder):
        raise SettingsError(f"{wrong}, or give another --out for a new run")
    if not (folder / "run.json").exists():
        return None
    made_steps = any(entry["step"] for entry in read_log(folder))
    if not settings.resume and (made_steps or any(folder.glob("checkpoints/*"))):
        raise SettingsError(
            f"{folder} holds a run; give --resume to go on with it, or another --out"
        )
    if not settings.resume:
        return None
    if step := _lost_step(folder):
        raise SettingsError(
            f"{folder} holds run.json and log.jsonl, which knows step {step:,}, but no checkpoint; "
            "put checkpoints/ back, or give another --out for a new run"
        )
    return read_run(folder)


def _lost_step(folder: Path) -> int:
    """The last step of which a run says that it was made, where its checkpoints are gone; else 0.

    The folder stands before the log has a line. A save waits for the one before, so of two the
    first was on the disk, unless a fault says otherwise; with one alone a kill may have come.
    """
    place, log = folder / "checkpoints", read_log(folder)
    if place.is_dir() and any(place.glob("*")):
        return 0
    saved = {entry["step"] for entry in log if entry["kind"] == "save"}
    failed = any("problem" in entry for entry in log)
    if place.is_dir() and (len(saved) < 2 or failed):
        return 0
    return max((entry["step"] for entry in log), default=0)


def resumed(old: TrainSettings, given: Mapping[str, Any]) -> tuple[TrainSettings, list[str]]:
    """The settings of a run that goes on with those `given` anew, and a note on each change.

    Raises SettingsError for a setting that would make it another run.
    """
    about = {f.name: f for f in fields(TrainSettings)}
    # A profile is asked for once: it slows the steps that it traces.
    settings = replace(old, profile=TrainSettings.profile)
    notes, new = [], {}
    for name, value in given.items():
        before = getattr(settings, name)
        if name not in ("data", "out", "resume") and value != before:
            change = about[name].metadata["change"]
            if change == "locked":
                raise SettingsError(
                    f"{flag(name)} is {value}, but the run in --out has {before or 'none'}; a "
                    "resumed run cannot change it. Leave it out, or give another --out."
                )
            bits = "; sums in another order: equal to rounding, not bit for bit"
            notes.append(f"{flag(name)} {before} -> {value}{bits if change == 'bits' else ''}")
        new[name] = value
    settings = replace(settings, **{**new, "resume": True})
    refuse_senseless(settings)
    return settings, notes


def about_new_rate(
    old: TrainSettings, settings: TrainSettings, recipe: Recipe, step: int
) -> str | None:
    """How far the rate jumps where a run of other --steps goes on after `step`; None if it stays.

    The schedule falls until the last step, so with more of them all that are to come are larger.
    """
    steps = old.steps or recipe.steps
    before = learning_rate(replace(recipe, steps=steps), old, step)
    after = learning_rate(recipe, settings, step)
    if before == after or step >= recipe.steps:
        return None
    times = f" ({after / before:.3g} times)" if before else ""
    return (
        f"the rate jumps, for the schedule ends with the last step: that of step {step + 1} is "
        f"{before:g} by --steps {steps} and {after:g} by --steps {recipe.steps}{times}"
    )


def choose_again(
    settings: TrainSettings, recipe: Recipe, before: Run, given: Mapping[str, Any],
    ranks: int,
) -> tuple[Choices, list[str]]:  # fmt: skip
    """The choices of a run that goes on, and a note on each that is not as it was.

    What it chose stays, but for what is `given` otherwise now, and for
    what this machine cannot do: unless it is given, that is chosen anew, even if it was set then.
    """
    old = asdict(before.choices)
    anew = {name for name, value in given.items() if value != getattr(before.settings, name)}
    about = _repeatable(settings, recipe, before, ranks)
    kept = {name: value for name, (value, again, _) in about.items() if again and name not in anew}
    free = {
        name: getattr(TrainSettings(), name)
        for name, (_, again, possible) in about.items()
        if not again and not possible and name not in given
    }
    choices = choose(replace(settings, **free, **kept), recipe, ranks)
    found = asdict(choices)
    notes = [
        f"{name.replace('_', '-')} {old[name]} -> {found[name]} "
        f"({choices.reasons.get(name, 'the cores here')}): equal to rounding, not bit for bit"
        for name in ("device", "dtype", "compile", "micro_batch", "threads")
        if found[name] != old[name] and name not in anew
    ]
    same = dict.fromkeys(choices.reasons.keys() & kept.keys(), AS_BEFORE)
    return replace(choices, reasons=choices.reasons | same), notes


def _repeatable(
    settings: TrainSettings, recipe: Recipe, before: Run, ranks: int
) -> dict[str, tuple[Any, bool, bool]]:
    """Of each choice: what it was, whether that can be had again, whether what is set can be."""
    old, device = before.choices, device_of(settings.device)
    same, masters = device == old.device, device == "cpu" and ranks == 1
    rows = recipe.batch_tokens // recipe.config.n_ctx // ranks
    compiles = has_compiler(device)
    return {
        "dtype": (
            old.dtype,
            same and (masters or old.dtype != BF16_MASTER),
            masters or settings.dtype != BF16_MASTER,
        ),
        "compile": (
            "on" if old.compile else "off",
            same and (compiles or not old.compile),
            compiles or settings.compile != "on",
        ),
        "micro_batch": (
            old.micro_batch,
            same and before.ranks == ranks,
            rows % (settings.micro_batch or 1) == 0,
        ),
        "threads": (old.threads, old.threads <= cores(), True),
    }
