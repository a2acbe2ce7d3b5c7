"""What a build is doing, and what a reader of its stages should know besides, for `webtext status`.

Its lock tells who builds, heartbeats and sidecars how far the step at work is, the log how the last
build ended and of which inputs a stage was made.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.engine.manifest import read_manifest
from pipeline.engine.parts import read_heartbeats
from tools.flow import ENGINE_STAGES, INPUTS
from tools.runs import is_held, is_run, run_status
from train.log import duration

PARTS_NAMED = 4


def building(folder: Path) -> dict[str, Any] | None:
    """The process that builds in this folder: pid, host, command, since_s (None: not known)."""
    if not is_held(folder / "lock") or not (holder := _holder(folder)):
        return None
    runs = [event for event in _log(folder) if event["event"] == "run"]
    known = runs and runs[-1].get("pid") == holder.get("pid")
    return {**holder, "since_s": runs[-1]["time"] if known else None}


def outdated(folder: Path) -> list[str]:
    """The published stages that were made of an earlier result of the stage before, in order."""
    digests: dict[str, str] = {}
    made_of: dict[str, dict[str, str]] = {}
    for event in _log(folder):
        if event["event"] == "published":
            inputs = INPUTS.get(event["stage"], ())
            made_of[event["stage"]] = {name: digests[name] for name in inputs if name in digests}
            digests[event["stage"]] = event["digest"]
    found: list[str] = []
    for stage in ENGINE_STAGES:
        inputs_then = made_of.get(stage, {})
        changed = any(name in found or digests[name] != then for name, then in inputs_then.items())
        if changed and read_manifest(folder / stage):
            found.append(stage)
    return found


def gates(folder: Path) -> list[str]:
    """The quality gates that failed in the published stages."""
    manifests = (read_manifest(folder / name) for name in ENGINE_STAGES)
    return [message for manifest in manifests if manifest for message in manifest.gates]


def lines(folder: Path, now_s: float) -> Iterator[str]:
    """For a person: who builds and how far that is, or how the last build ended; and the rest."""
    if holder := building(folder):
        since = f" for {duration(now_s - holder['since_s'])}" if holder["since_s"] else ""
        yield f"process {holder['pid']} on {holder['host']} works here{since}: {holder['command']}"
        yield from _at_work(folder / ".work", now_s)
    elif told := _last_end(folder):
        yield told
    if names := outdated(folder):
        yield (
            f"out of date: {', '.join(names)}: what they were made of was made again since; "
            "the next `webtext build` makes them again"
        )
    for message in gates(folder):
        yield f"quality gate failed: {message}"


def _last_end(folder: Path) -> str:
    """How the last build ended, "" where it was done or nothing is known."""
    if (holder := _holder(folder)) and not is_held(folder / "lock"):
        return (
            f"nobody works here: process {holder['pid']} on {holder['host']} was killed; what is "
            "done is kept, and the same command goes on"
        )
    events = list(_log(folder))
    if events and events[-1]["event"] == "end" and "error" in events[-1]:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(events[-1]["time"]))
        return f"nobody works here: the last build ended at {moment}: {events[-1]['error']}"
    return ""


def _at_work(work: Path, now_s: float) -> Iterator[str]:
    """A line for each step at work: what is committed, and the last sign of its parts at work."""
    for folder in sorted(work.glob("*-*")):
        name = folder.name.rpartition("-")[0]  # the rest is its fingerprint
        if name == "model" and is_run(folder):
            run = run_status(folder)["run"]
            yield f"model: {run['state']}, step {run['step']:,} of {run['steps']:,}"
        elif name.split("-")[0] in ENGINE_STAGES and (folder / ".aside").is_dir():
            done = len(list((folder / ".meta").glob("part-*.json")))
            line = f"{name.replace('-', ': ', 1)}: {done:,} parts done"
            for told in read_heartbeats(folder)[:PARTS_NAMED]:
                line += f", {told['part']} at {told['item'] or 'its start'}"
            yield line + _last_sign(folder, now_s)


def _last_sign(folder: Path, now_s: float) -> str:
    signs = [
        path.lstat().st_mtime for path in (folder / ".aside", folder / ".meta") if path.exists()
    ]
    return f" (last sign of life {duration(max(0.0, now_s - max(signs)))} ago)" if signs else ""


def _holder(folder: Path) -> dict[str, Any] | None:
    """What the lock says of its holder: nothing after a build that ended by itself."""
    try:
        found = json.loads((folder / "lock").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


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
