"""The stage `model`: the trainer as a process of its own, under the build's lock and signals.

The run is made in `work/model-<fingerprint>/`, where the trainer's own checkpoints resume it, and
renamed to `model/` when it is trained, evaluated and sampled. `webtext.json` in it is the commit.
With `train.eval_suite` the trained model runs these tasks once more, and their texts and the
held-out ones are looked for in what it was trained on.
Of a build in a bucket it is made in scratch, and kept there by model_store.py; a manifest is the
commit.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pipeline.engine import names
from pipeline.engine.build import Build
from pipeline.engine.digest import digest_of, file_digest
from pipeline.engine.files import remove_tree, write_durably
from pipeline.engine.manifest import COSTLY_S, read_manifest
from pipeline.engine.store import Store
from pipeline.errors import SettingsError, StageError, Stopped
from tools.fetch import fetch_published
from tools.model_store import COMMIT, ITEMS, OVERLAPS, STAGE, RunStore
from tools.sealed import BLANK, KEY, seal
from tools.stores import folder_of
from tools.trainer_tokenizer import with_tokenizer_json
from train.errors import TrainError
from train.log import read_log
from train.options import from_options, refuse_senseless
from train.packages import require_packages
from train.settings import STEPS, TrainSettings

WORK = "work"  # below the build: models at work
VERSION = 3  # of what is done here with a trained model: evaluation, prompts, samples
# Prompts of the samples shown in the report: the start of a document, and plain openings.
PROMPTS = ("", "The ", "In the beginning ", "How to ")
SAMPLE_TOKENS = 120


def check_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The `[train]` table, checked by the trainer's own parser before any work starts."""
    for name in ("data", "out", "resume"):
        if name in options:
            raise SettingsError(f"train.{name} is set by the build; leave it out")
    try:
        settings = from_options(TrainSettings, options)
        refuse_senseless(settings)
    except TrainError as error:
        # The trainer names its options as it spells them itself.
        told = re.sub(
            r"--([a-z][a-z0-9-]+)", lambda m: f"train.{m[1].replace('-', '_')}", str(error)
        )
        raise SettingsError(told) from None
    if settings.fsdp:
        mend = "end the build by --to shards, and train on them by torchrun -m train --fsdp"
        raise SettingsError(f"train.fsdp needs several processes, a build trains in one; {mend}")
    return dict(options)


PATHS = ("init", "tokenizer", "eval_suite_data")


def with_places(options: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The `[train]` table with its paths, which are relative to `base`, in full."""
    named = {name: options[name] for name in PATHS if options.get(name)}
    return {**options, **{name: str(base.absolute() / path) for name, path in named.items()}}


def is_made(store: Store) -> bool:
    """Whether the build has a model, be it up to date or not."""
    name = f"{STAGE}/{COMMIT}" if folder_of(store) else names.manifest(STAGE)
    return store.stat(name) is not None


def check_packages() -> None:
    """SettingsError before any work where the trainer's packages are not installed."""
    try:
        require_packages()
    except TrainError as error:
        raise SettingsError(f"{error}; or end the build before the model: --to shards") from None


def make(build: Build, options: Mapping[str, Any], base: Path) -> None:
    """Train, evaluate and sample, unless the model is up to date; paths are relative to `base`.

    A corpus too small to hold documents out gives a model without an evaluation (None).
    """
    fingerprint = digest_of([VERSION, build.output("shards").digest, _shaping(options)])
    if folder_of(build.store):
        _make_in_folder(build, options, base, fingerprint)
    else:
        _make_in_bucket(build, options, base, fingerprint)


def _make_in_folder(build: Build, options: Mapping[str, Any], base: Path, fingerprint: str) -> None:
    folder = build.folder / STAGE
    old = _read_commit(folder)
    if old and old["fingerprint"] == fingerprint:
        _sweep(build)
        return
    if old is None and folder.exists():
        raise StageError(
            f"{folder} is not a model of this build, but stands in its place; move it elsewhere"
        )
    if old:
        _refuse_costly(build, old["wall_s"])
    work = build.folder / WORK / f"model-{fingerprint[:16]}"
    started, data = time.monotonic(), build.folder / "shards"
    placed = with_places(options, base)
    _train(build, data, work, _flags(placed))
    commit: dict[str, Any] = {"fingerprint": fingerprint, "settings": dict(options)}
    commit |= _told(build, data, work, placed)
    commit |= {"wall_s": round(time.monotonic() - started, 1), KEY: BLANK}
    write_durably(work / COMMIT, seal(json.dumps(commit, indent=1, ensure_ascii=False)))
    if folder.exists():
        folder.rename(build.folder / WORK / f"old-model-{time.time_ns()}")
    work.rename(folder)
    _sweep(build)
    _say_made(build, commit)


def _make_in_bucket(build: Build, options: Mapping[str, Any], base: Path, fingerprint: str) -> None:
    store, shards = build.store, build.manifest("shards")
    old = read_manifest(store, STAGE)
    if old and old.fingerprint == fingerprint:
        return
    if old:
        _refuse_costly(build, old.wall_s)
    started, here = time.monotonic(), store.scratch.parent / f"model-{fingerprint[:16]}"
    data = fetch_published(store, shards, here)
    work = here / "run"
    run = RunStore(store, fingerprint, work)
    if newest := run.restore():
        build.progress.say(f"model: goes on from {newest}, which is in the bucket")
    placed = with_places(options, base)
    with run.sending(build.progress.say):
        _train(build, data, work, _flags(placed))
    commit: dict[str, Any] = {"fingerprint": fingerprint, "settings": dict(options)}
    commit |= _told(build, data, work, placed)
    commit |= {"wall_s": round(time.monotonic() - started, 1)}
    run.publish(commit, shards.full_digest, old)
    _say_made(build, commit)


def _refuse_costly(build: Build, wall_s: float) -> None:
    if "model" in build.redo:
        return
    build.progress.say("model: its settings or shards changed; it is trained again")
    if wall_s > COSTLY_S:
        raise StageError(
            f"model took {wall_s / 60:.0f} minutes to train, and its settings or shards "
            "changed since; --redo model trains it again"
        )


def _train(build: Build, data: Path, work: Path, flags: Sequence[str]) -> None:
    build.progress.say("model: training")
    with with_tokenizer_json(flags) as flags_here:
        _trainer(build, [str(data), "--out", str(work), "--resume", *flags_here])


def _told(build: Build, data: Path, work: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the trained model says of itself; of tasks and overlap None without a suite."""
    build.progress.say("model: evaluating and sampling")
    held_out = json.loads((data / "shards.json").read_text())["splits"]["val"]["documents"]
    evaluate = [["evaluate", str(work), "--data", str(data), "--json"]] if held_out else []
    tasks = _suite_words(data, work, options) if held_out else []
    samples = [_sample_words(work, seed, prompt) for seed, prompt in enumerate(PROMPTS, 1)]
    found = iter(_json_lines(_trainer(build, *evaluate, *tasks, *samples)))
    evaluation = next(found) if evaluate else None
    suite, overlap = (next(found), next(found)) if tasks else (None, None)
    weights = sorted((work / "checkpoints").glob(f"{STEPS}/model.safetensors"))[-1]
    return {
        "digest": file_digest(weights),
        "evaluation": evaluation,
        "suite": suite,
        "overlap": overlap,
        "samples": list(found),
    }


def _say_made(build: Build, commit: Mapping[str, Any]) -> None:
    evaluation = commit["evaluation"]
    loss = f"held-out loss {evaluation['loss']:.3f}" if evaluation else "no document is held out"
    build.progress.say(f"model: {loss} ({commit['wall_s']:.0f} s)")


def model_status(folder: Path) -> dict[str, Any] | None:
    """The model's row in `webtext status`; its unit is optimizer steps."""
    commit = _read_commit(folder / "model")
    if commit is None:
        at_work = len(list((folder / WORK).glob(f"model-*/checkpoints/{STEPS}")))
        return _row("partial", 0, at_work, "") if at_work else None
    steps = [entry for entry in read_log(folder / "model") if entry["kind"] == "step"]
    return _row("done", steps[-1]["step"] if steps else 0, 1, commit["digest"])


def _json_lines(text: str) -> list[dict[str, Any]]:
    # Not splitlines(): a sample may hold U+2028 and its like.
    return [json.loads(line) for line in text.split("\n") if line]


def _sweep(build: Build) -> None:
    for left in (build.folder / WORK).glob("*model-*"):
        remove_tree(left)


def _shaping(options: Mapping[str, Any]) -> dict[str, Any]:
    """What of the settings makes another model; the rest may change on resume."""
    settings = from_options(TrainSettings, options)
    return {
        about.name: getattr(settings, about.name)
        for about in fields(TrainSettings)
        if about.metadata["change"] == "locked" or about.name == "steps"
    }


def _row(state: str, steps: int, parts: int, digest: str) -> dict[str, Any]:
    return {
        "state": state,
        "rows_in": steps,
        "rows_out": steps,
        "merged": 0,
        "drops": {},
        "parts": parts,
        "digest": digest,
    }


def _read_commit(model: Path) -> dict[str, Any] | None:
    try:
        commit: dict[str, Any] = json.loads((model / COMMIT).read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StageError(
            f"{model / COMMIT} is damaged ({error}); move {model} elsewhere, "
            "and the next build trains it again"
        ) from None
    return commit


def _flags(options: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not False:
            words += [flag, str(value)]
        elif getattr(TrainSettings, name.replace("-", "_")) is None:
            words.append(flag.replace("--", "--no-", 1))  # otherwise the preset decides
    return words


def _sample_words(work: Path, seed: int, prompt: str) -> list[str]:
    # A seed each: of one seed, the samples of a model that knows little are all alike.
    return [
        *("sample", str(work), "--prompt", prompt, "--tokens", str(SAMPLE_TOKENS)),
        *("--seed", str(seed), "--json"),
    ]


def _suite_words(data: Path, work: Path, options: Mapping[str, Any]) -> list[list[str]]:
    """The tasks of `train.eval_suite`, and which of their texts stand in the train split."""
    settings = from_options(TrainSettings, options)
    if not settings.eval_suite:
        return []
    chosen = ["--suite", settings.eval_suite, "--data", settings.eval_suite_data]
    chosen += ["--limit", str(settings.eval_suite_limit), "--json"]
    items, grams = str(work / ITEMS), str(work / OVERLAPS)
    return [
        ["evaluate", str(work), *chosen, "--items", items],
        ["overlap", "--held-out", str(data), *chosen, "--scores", items, "--out", grams],
    ]


def _trainer(build: Build, *commands: Sequence[str]) -> str:
    """Run commands of the trainer; their stdout. Hands on signals, so that it saves and leaves."""
    read_end, leash = os.pipe()  # see trainer.py
    # A session of its own: a Ctrl-C reaches it once, through us.
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "tools.trainer", json.dumps(commands)],
        stdin=read_end,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    os.close(read_end)
    try:
        output = _wait(build, child)
    finally:
        os.close(leash)
    build.check_signals()
    if child.returncode in (75, 130):  # [train] stop_after, or a signal sent to the child alone
        raise Stopped(signal.SIGTERM if child.returncode == 75 else signal.SIGINT)
    if child.returncode:
        what = (
            signal.Signals(-child.returncode).name
            if child.returncode < 0
            else f"exit code {child.returncode}"
        )
        tried = "; ".join(f"python -m train {' '.join(words)}" for words in commands)
        raise StageError(f"model: the trainer ended with {what}: {tried}")
    return output


def _wait(build: Build, child: "subprocess.Popen[str]") -> str:
    """The child's stdout when it has ended; what signals come are handed on."""
    told = 0
    while True:
        try:
            output, _ = child.communicate(timeout=0.2)
            return output
        except subprocess.TimeoutExpired:
            received = build.signal_received
            if received and received != told:
                told = received
                child.send_signal(received)
