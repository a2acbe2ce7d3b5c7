"""What a build would find out late, asked before its first stage: a refusal says what to do.

Nothing here writes. Settings of a wrong form, languages that do not exist among them, were refused
when they were read (pipeline/settings.py).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from pipeline.engine.names import FIXED
from pipeline.engine.stores import open_store
from pipeline.errors import InputError, SettingsError
from pipeline.settings import Settings
from pipeline.tokens.encode import version_of
from pipeline.tokens.tokenizer_files import load
from tools import model
from tools.flow import STAGES, reaches
from tools.inputs import check_dumps, check_warcs, find_inputs, warc_files
from tools.places import Place
from tools.plan import free_bytes, needed_bytes
from tools.plan_inputs import size_of

# No build takes so many times the bytes of its inputs, before the model: 3 to 5 times are usual.
# With more space than that nothing is sampled.
INPUT_TIMES = 20


def check_build(settings: Settings, base: Path, place: Place, to: str, *, force: bool) -> None:
    """Raise SettingsError or InputError for what keeps a build to the stage `to` from its end.

    `base` is what paths in the settings are relative to. `force` takes the disk as it is. A build
    that was begun is not asked about the disk again: what it has written counts for it. One in a
    bucket keeps little here, and the engine watches the disk of its scratch.
    """
    model.check_settings(settings.train)
    store = open_store(place, settings.engine.scratch)
    out = place if isinstance(place, Path) else None
    if reaches(to, "model"):
        model.check_packages()
    dumps = find_inputs(settings.input.dumps, base, "input.dumps")
    warcs = warc_files(settings, base) if reaches(to, "pages") else []
    check_dumps(dumps, accept_torn=settings.links.accept_torn)
    check_warcs(warcs)
    if reaches(to, "pages") and "live" in settings.pages.sources:
        from pipeline.pages.fetch.collect import check_settings  # half a second of libraries

        check_settings(settings.fetch)
    if reaches(to, "tokenizer") and settings.tokenizer.path:
        load(base / settings.tokenizer.path)
    if reaches(to, "shards"):
        version_of(settings.shards.encoder)
    if reaches(to, "model") and not model.is_made(store):
        _check_given_model(model.with_places(settings.train, base))
    if out and not force and not store.stat(FIXED):
        _check_disk(settings, base, out, to, size_of([*dumps, *warcs]))


def known_stages(options: Mapping[str, Iterable[str]]) -> None:
    """Raise SettingsError for an option that names a stage which there is not."""
    for option, names in options.items():
        if unknown := set(names) - set(STAGES):
            told = f"--{option} {min(unknown)}: no such stage; known: {', '.join(STAGES)}"
            raise SettingsError(told)


def reached(options: Mapping[str, Iterable[str]], to: str) -> None:
    """Raise SettingsError for an option that names a stage after the last one, `to`."""
    for option, names in options.items():
        for name in names:
            if not reaches(to, name):
                raise SettingsError(
                    f"--{option} {name}: the build ends before that stage, with --to {to}; "
                    f"take --to {name}, or leave one of the two away"
                )


def _check_given_model(train: Mapping[str, Any]) -> None:
    """What [train] names: the weights to start from and a tokenizer for the samples."""
    if place := train.get("init"):
        _check_weights(Path(place))
    if place := train.get("tokenizer"):
        load(Path(place))


def _check_weights(place: Path) -> None:
    """A run's newest checkpoint or a Hugging Face folder: there, and whole by its own header."""
    from safetensors import SafetensorError, safe_open

    from train.settings import STEPS

    files = sorted(place.glob(f"checkpoints/{STEPS}/model.safetensors"))[-1:]
    files = files or sorted((*place.glob("model*.safetensors"), *place.glob("pytorch_model*.bin")))
    if not files:
        raise SettingsError(
            f"train.init: no weights in {place}; name the --out folder of a training run, or a "
            "Hugging Face folder with config.json and model.safetensors"
        )
    file = config = place / "config.json"
    try:
        if config.exists():
            json.loads(config.read_text(encoding="utf-8"))
        for file in files:
            if file.suffix == ".safetensors":  # a pickle only torch can read
                with safe_open(file, "np"):
                    pass
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(file, "", f"cannot be read ({error})", "Get or save it again.") from None


def _check_disk(settings: Settings, base: Path, out: Path, to: str, input_bytes: int) -> None:
    free = free_bytes(out)
    if not reaches(to, "model") and free > INPUT_TIMES * input_bytes:
        return
    needed = needed_bytes(settings, base, out, to) + settings.engine.free_disk_min_bytes
    if needed > free:
        raise SettingsError(
            f"the disk of {out} has {decimal(free)} free, but by `webtext plan` this build needs "
            f"about {decimal(needed)}, engine.free_disk_min_bytes included; build on another disk "
            "with --out, free some space, or start all the same with --force"
        )
