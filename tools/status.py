"""What a build holds, for people and for programs.

The JSON form is a promise that tests and scripts rely on:

    {"stages": {NAME: {"state", "rows_in", "rows_out", "merged", "drops": {REASON: n}, "parts",
                       "digest"}}, "digest"}

`state` is "done", "partial" (parts are committed, the stage is not published) or "out of date" (a
stage before it was made anew since, with other rows). While a build is at work there is "at_work"
too: its stage and step, parts done of all, rows, rate, seconds left, faults, pid and host, when it
last gave a sign of life (`heard_s`), and the parts at work. A digest depends
on the stage's content alone; that of the build leaves out the model, whose sums may differ in their
last bits between machines. Of a folder that `webtext train` made, runs.py tells another object.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.engine import names
from pipeline.engine.control import run_at_work
from pipeline.engine.digest import digest_of
from pipeline.engine.ledger import Ledger
from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.progress import Standing, told_s
from pipeline.engine.store import Disk, Store
from pipeline.engine.verify import damaged, stage_files
from pipeline.errors import SettingsError
from tools.flow import ENGINE_STAGES
from tools.model import COMMIT, model_status
from tools.runs import checkpoint_files, is_run, run_status
from tools.sealed import sealed

WATCH_EVERY_S = 2.0
SILENT_S = 60.0  # a build at work gives a sign of life every five seconds, in a bucket every ten
PARTS_SHOWN = 8
DIGEST_DIGITS = 8  # shown in the table, which then fits a terminal
PLAIN_WIDTH = 120  # of the table where there is no terminal


def status(folder: Path) -> dict[str, Any]:
    """The state of every stage that the folder knows of, in the order of the flow; or of a run."""
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such build folder")
    if is_run(folder):
        return run_status(folder)
    store = Disk(folder)
    manifests = {name: read_manifest(store, name) for name in ENGINE_STAGES}
    stages = {
        n: found for n, manifest in manifests.items() if (found := _stage(store, n, manifest))
    }
    for name in _out_of_date(manifests):
        stages[name]["state"] = "out of date"
    if found := model_status(folder):
        stages["model"] = found
    if not stages and not run_at_work(store):
        raise SettingsError(f"{folder} holds no stage of a build, and no training run")
    content = [[name, stages[name]["digest"]] for name in ENGINE_STAGES if name in stages]
    at_work = run_at_work(store)
    told = {"at_work": at_work} if at_work else {}
    return {"stages": stages, "digest": digest_of(content), **told}


@dataclass(frozen=True)
class Verified:
    """How many files were read again, of how many bytes, and a line for each damaged one."""

    files: int
    bytes: int
    damaged: list[str]


def verify(folder: Path) -> Verified:
    """Read again all files of published stages, the checkpoints of a run or the model, the report.

    Of the model's folder its commit is read too; the trainer's log and settings have no digest.
    """
    store = Disk(folder)
    manifests = [found for name in ENGINE_STAGES if (found := read_manifest(store, name))]
    runs = [run for run in (folder, folder / "model") if is_run(run)]
    files = [file for manifest in manifests for file in stage_files(store, manifest)]
    files += [file for run in runs for file in checkpoint_files(run)]
    sealed_ones = (folder / "report.html", folder / "model" / COMMIT)
    files += [sealed(path) for path in sealed_ones if path.exists()]
    return Verified(len(files), sum(file.size_bytes for file in files), list(damaged(files)))


def show(folder: Path) -> None:
    """Print the state as a table."""
    found = status(folder)
    console = console_for_tables()
    if "run" in found:
        console.print(_run_table(found["run"]))
        return
    console.print(_stages_table(found["stages"]))
    console.print(f"digest {found['digest']}")
    if at_work := found.get("at_work"):
        for line in at_work_lines(at_work, time.time()):
            console.print(line, highlight=False, markup=False)


def watch(folder: Path) -> None:
    """Print the state again and again, until no build is at work or a Ctrl-C."""
    while True:
        console_for_tables().clear()
        show(folder)
        if "at_work" not in status(folder):
            return
        time.sleep(WATCH_EVERY_S)


def at_work_lines(at_work: Mapping[str, Any], now_s: float) -> Iterator[str]:
    """How far a build at work is, in words."""
    where = f"process {at_work['pid']} on {at_work['host']}"
    silent_s = max(0.0, now_s - at_work["heard_s"])
    if "stage" not in at_work:
        yield f"at work: {where}"
    else:
        known = {field.name: at_work[field.name] for field in fields(Standing)}
        standing = Standing(**known)
        faults = f", {standing.faults:,} faults" if standing.faults else ""
        yield f"{standing.line()}{faults}, by {where}"
    for part in at_work["at_work"][:PARTS_SHOWN]:
        yield f"  {part['part']} at {part['item'] or 'its start'}, {part['rows']:,} rows"
    if silent_s > SILENT_S:
        yield (
            f"No sign of life for {told_s(silent_s).removeprefix('about ')}: if the process is "
            "gone, run the same build command to go on"
        )


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


def _out_of_date(manifests: Mapping[str, Manifest | None]) -> list[str]:
    """The stages of which another was made anew since, and those after them."""
    found: list[str] = []
    for name, manifest in manifests.items():
        for before, digest in manifest.inputs.items() if manifest else ():
            source = manifests.get(before)
            if before in found or source is None or source.digest != digest:
                found.append(name)
                break
    return found


def _stage(store: Store, name: str, manifest: Manifest | None) -> dict[str, Any] | None:
    if manifest is None:
        folders = (folder for folder in store.folders(names.RECORDS) if names.is_of(name, folder))
        at_work = sum(len(store.entries(folder)) for folder in folders)
        return _row("partial", Ledger(), at_work, "") if at_work else None
    ledger = manifest.ledgers.get(manifest.unit, Ledger())
    return _row("done", ledger, len(manifest.parts), manifest.digest)


def _row(state: str, ledger: Ledger, parts: int, digest: str) -> dict[str, Any]:
    return {"state": state, **ledger.to_json(), "parts": parts, "digest": digest}
