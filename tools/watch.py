"""What a build is doing, and what a reader of its stages should know besides, for `webtext status`.

All of it is in the store: what the run at work last said, heartbeats of its parts, manifests. How
the last build ended is in its log.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.engine.control import run_at_work
from pipeline.engine.manifest import Manifest
from pipeline.engine.progress import Standing
from pipeline.engine.store import Disk, Store
from tools.model import WORK
from tools.runs import is_held, is_run, run_status
from train.log import duration

PARTS_NAMED = 8
SILENT_S = 60.0  # a build at work gives a sign of life every five seconds, in a bucket every ten
Manifests = Mapping[str, Manifest]  # of published stages, in the order of the flow


def at_work(store: Store) -> dict[str, Any] | None:
    """What the build at work last said, see `run_at_work`; None where it was killed, or none is."""
    found = run_at_work(store)
    return found if found and not _is_killed(store) else None


def _is_killed(store: Store) -> bool:
    """Whether nobody holds the lock, where this machine can tell."""
    return isinstance(store, Disk) and not is_held(store.folder / "lock")


def outdated(manifests: Manifests) -> list[str]:
    """The stages that were made of an earlier result of a stage before them, and those after."""
    found: list[str] = []
    for name, manifest in manifests.items():
        for before, digest in manifest.inputs.items():
            source = manifests.get(before)
            if before in found or (source and source.full_digest != digest):
                found.append(name)
                break
    return found


def gates(manifests: Manifests) -> list[str]:
    """The quality gates that failed in the published stages."""
    return [message for manifest in manifests.values() for message in manifest.gates]


def lines(store: Store, manifests: Manifests, now_s: float) -> Iterator[str]:
    """For a person: who builds and how far that is, or how the last build ended; and the rest."""
    if found := at_work(store):
        yield from _told(found, now_s)
        yield from _training(store)
    elif isinstance(store, Disk) and (told := _last_end(store)):
        yield told
    if names := outdated(manifests):
        yield (
            f"out of date: {', '.join(names)}: what they were made of was made again since; "
            "the next `webtext build` makes them again"
        )
    for message in gates(manifests):
        yield f"quality gate failed: {message}"


def _told(found: Mapping[str, Any], now_s: float) -> Iterator[str]:
    yield f"process {found['pid']} on {found['host']} works here: {found['command']}"
    if "stage" in found:
        standing = Standing(**{field.name: found[field.name] for field in fields(Standing)})
        faults = f", {standing.faults:,} faults" if standing.faults else ""
        yield f"{standing.line()}{faults}"
    for part in found["at_work"][:PARTS_NAMED]:
        yield f"  {part['part']} at {part['item'] or 'its start'}, {part['rows']:,} rows"
    silent_s = max(0.0, now_s - found["heard_s"])
    yield f"last sign of life {duration(silent_s)} ago" + (
        "; if that process is gone, the same command goes on" if silent_s > SILENT_S else ""
    )


def _training(store: Store) -> Iterator[str]:
    for folder in sorted((Path(store.place) / WORK).glob("model-*")):
        if is_run(folder):
            run = run_status(folder)["run"]
            yield f"model: {run['state']}, step {run['step']:,} of {run['steps']:,}"


def _last_end(store: Disk) -> str:
    """How the last build ended, "" where it was done or nothing is known."""
    if (said := run_at_work(store)) and _is_killed(store):
        return (
            f"nobody works here: process {said['pid']} on {said['host']} was killed; what is done "
            "is kept, and the same command goes on"
        )
    events = list(_log(store.folder))
    if events and events[-1]["event"] == "end" and "error" in events[-1]:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(events[-1]["time"]))
        return f"nobody works here: the last build ended at {moment}: {events[-1]['error']}"
    return ""


def _log(folder: Path) -> Iterator[dict[str, Any]]:
    """The events of a build's log; a line that was cut by a kill is none."""
    try:
        text = (folder / "log.jsonl").read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue
