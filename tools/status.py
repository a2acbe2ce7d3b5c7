"""What a build holds, for people and for programs.

The JSON form is a promise that tests and scripts rely on:

    {"stages": {NAME: {"state", "rows_in", "rows_out", "merged", "drops": {REASON: n}, "parts",
                       "digest"}}, "digest"}

`state` is "done", "partial" (parts are committed, the stage is not published) or "out of date" (a
stage before it was made anew since, with other rows). A digest depends on the stage's content
alone; that of the build leaves out the model, whose sums may differ in their last bits between
machines. "gates" (quality gates that failed) and "at_work" (what the build that is at work says,
see `run_at_work`) stand there only when there are any. Of a folder that `webtext train` made,
runs.py tells another object.
"""

import sys
import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.engine import leftovers, names
from pipeline.engine.control import run_at_work
from pipeline.engine.digest import digest_of
from pipeline.engine.ledger import Ledger
from pipeline.engine.manifest import Manifest, read_manifest, read_manifest_at
from pipeline.engine.store import Store
from pipeline.engine.stores import open_store
from pipeline.engine.verify import damaged, stage_files
from pipeline.errors import SettingsError
from tools import watch
from tools.flow import SHOWN
from tools.model import model_status
from tools.model_store import COMMIT
from tools.model_store import STAGE as MODEL
from tools.places import Place, above
from tools.runs import checkpoint_files, is_run, run_status
from tools.sealed import sealed
from tools.stores import builds_below, folder_of

WATCH_EVERY_S = 2.0
DIGEST_DIGITS = 8  # shown in the table, which then fits a terminal
PLAIN_WIDTH = 120  # of the table where there is no terminal


def status(place: Place) -> dict[str, Any]:
    """The state of every stage that is known there, in the order of the flow; or of a run."""
    store = open_store(place)
    folder = folder_of(store)
    if folder and not folder.is_dir():
        raise SettingsError(f"{place}: no such build folder; name the --out folder of a build")
    if folder and is_run(folder):
        return run_status(folder)
    manifests = _manifests(store)
    stages = {name: found for name in SHOWN if (found := _stage(store, name, manifests))}
    if found := model_status(folder) if folder else _stage(store, MODEL, manifests):
        stages[MODEL] = found
    if not stages and not store.stat(names.FIXED):
        mend = builds_below(place) or "; name the --out folder of one"
        raise SettingsError(f"{place} holds no stage of a build and no training run{mend}")
    content = [[name, stages[name]["digest"]] for name in SHOWN if name in stages]
    more = {"gates": watch.gates(manifests), "at_work": watch.at_work(store)}
    told = {name: value for name, value in more.items() if value}
    return {"stages": stages, "digest": digest_of(content), **told}


def _manifests(store: Store) -> dict[str, Manifest]:
    """The manifests of a build, or of a stage's own folder, such as a copy of it."""
    if own := read_manifest_at(store, names.MANIFEST):
        return {own.stage: own}
    stages = (*SHOWN, MODEL)
    return {name: found for name in stages if (found := read_manifest(store, name))}


@dataclass(frozen=True)
class Verified:
    """How many files were read again, of how many bytes, and a line for each damaged one."""

    files: int
    bytes: int
    damaged: list[str]


def verify(place: Place) -> Verified:
    """Read again all files of published stages, the checkpoints of a run or the model, the report.

    Of the model's folder its commit is read too; the trainer's log and settings have no digest.
    """
    store = open_store(place)
    folder, manifests = folder_of(store), _manifests(store)
    is_stage = store.stat(names.MANIFEST) is not None
    if is_stage and not folder:  # in a bucket its files lie in the build's data/ alone
        store, is_stage = open_store(above(place)[0]), False
    runs = [run for run in (folder, folder / "model") if is_run(run)] if folder else []
    files = [file for run in runs for file in checkpoint_files(run)]
    files += filter(None, (sealed(store, name) for name in ("report.html", f"model/{COMMIT}")))
    lines = [*damaged(files), *leftovers.damaged_records(store)]
    for name, manifest in manifests.items():
        of_stage = list(stage_files(store, manifest, alone=is_stage))
        mend = "" if is_stage else f"; --redo {name} makes the stage again"
        lines += [line + mend for line in damaged(of_stage)]
        files += of_stage
    return Verified(len(files), sum(file.size_bytes for file in files), lines)


def show(place: Place) -> None:
    """Print the state as a table."""
    found = status(place)
    console = console_for_tables()
    if "run" in found:
        console.print(_run_table(found["run"]))
        return
    if found["stages"]:
        console.print(_stages_table(found["stages"]))
    else:
        console.print("no part of a stage is done yet")
    if any(stage["digest"] for stage in found["stages"].values()):
        console.print(f"digest {found['digest']}")
    store = open_store(place)
    for line in watch.lines(store, _manifests(store), time.time()):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def show_again(place: Place) -> None:
    """Print the state again and again, until no build is at work."""
    store = open_store(place)
    while True:
        console_for_tables().clear()
        show(place)
        if not run_at_work(store):
            return
        time.sleep(max(WATCH_EVERY_S, store.patience_s))


def console_for_tables() -> Console:
    """stdout, wide enough for a table where it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)


def _stages_table(stages: dict[str, dict[str, Any]]) -> Table:
    table = Table()
    for name in ("stage", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("rows in", "rows out", "merged", "dropped", "parts"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("digest", no_wrap=True, min_width=DIGEST_DIGITS)
    for name, stage in stages.items():
        numbers = (
            stage["rows_in"],
            stage["rows_out"],
            stage["merged"],
            sum(stage["drops"].values()),
        )
        table.add_row(
            name,
            stage["state"],
            *(f"{number:,}" for number in (*numbers, stage["parts"])),
            stage["digest"][:DIGEST_DIGITS],
        )
    return table


def _run_table(run: dict[str, Any]) -> Table:
    losses = ["" if run[name] is None else f"{run[name]:.3f}" for name in ("loss", "val_loss")]
    speed = "" if run["tokens_per_s"] is None else f"{run['tokens_per_s']:,.0f}"
    saved = "" if run["saved_step"] is None else f"{run['saved_step']:,}"
    table = Table("state")
    for name in ("step", "of", "saved", "tokens", "tokens/s", "loss", "held-out loss"):
        table.add_column(name, justify="right", no_wrap=True)
    numbers = (f"{run['step']:,}", f"{run['steps']:,}", saved, f"{run['tokens']:,}")
    table.add_row(run["state"], *numbers, speed, *losses)
    return table


def _stage(store: Store, name: str, manifests: watch.Manifests) -> dict[str, Any] | None:
    if manifest := manifests.get(name):
        ledger = manifest.ledgers.get(manifest.unit, Ledger())
        state = "out of date" if name in watch.outdated(manifests) else "done"
        return _row(state, ledger, len(manifest.parts), manifest.digest)
    folders = (folder for folder in store.folders(names.RECORDS) if names.is_of(name, folder))
    committed = sum(len(store.entries(folder)) for folder in folders)
    return _row("partial", Ledger(), committed, "") if committed else None


def _row(state: str, ledger: Ledger, parts: int, digest: str) -> dict[str, Any]:
    return {"state": state, **ledger.to_json(), "parts": parts, "digest": digest}
