"""Shards and models of builds in a bucket, fetched for the trainer, which needs files."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.filesize import decimal

from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.store import Store
from pipeline.engine.stores import open_store
from pipeline.errors import SettingsError
from tools.model_store import STAGE, fetch
from tools.places import Place, Uri, above, place_of, require_here
from tools.stores import published_file
from train.errors import TrainError
from train.options import parse
from train.settings import TrainSettings

LEFT_OUT = (".parquet",)  # of the shards' files: the trainer reads none of them


def with_fetched(words: Sequence[str], prog: str) -> list[str]:
    """The trainer's words, for shards in a bucket the folder to which they were fetched."""
    try:
        wanted, _, _ = parse(TrainSettings, words, prog)
    except TrainError:  # the trainer itself tells of it
        return list(words)
    for name in ("out", "init", "tokenizer"):
        require_here(Path(getattr(wanted, name)), f"--{name}")
    place = place_of(str(wanted.data or ""))
    if isinstance(place, Path) or not wanted.out:
        return list(words)
    folder = fetch_shards(place, Path(wanted.out))
    return [str(folder) if word == wanted.data else word for word in words]


def fetch_shards(place: Uri, run: Path) -> Path:
    """A folder below a run with the shards of a build in a bucket and their tokenizer."""
    above_it, stage = above(place)
    build: Place = above_it if stage == "shards" else place
    store = open_store(build)
    manifest = read_manifest(store, "shards")
    if manifest is None:
        raise SettingsError(
            f"{place}: no shards are there; name s3://BUCKET/NAME/shards of a build"
        )
    return fetch_published(store, manifest, run)


def fetch_published(store: Store, manifest: Manifest, run: Path) -> Path:
    """A folder below a run with these shards and their tokenizer.

    It is named by their publication, and a file that is there already is not fetched again.
    """
    folder = run / f"shards-{manifest.publication[:8]}"
    _fetch_missing(store, _files(store, manifest, folder), folder)
    return folder


def fetch_model(place: Uri) -> Path:
    """The run of a build's model, copied to where this machine keeps copies of that bucket."""
    above_it, stage = above(place)
    store = open_store(above_it if stage == STAGE else place)
    manifest = read_manifest(store, STAGE)
    if manifest is None:
        raise SettingsError(f"{place}: no finished model is there; `webtext build` makes it")
    folder = store.scratch.parent / f"model-{manifest.publication[:8]}"
    files = {folder / name: (file.name, file.bytes) for name, file in manifest.files.items()}
    _fetch_missing(store, files, folder)
    return folder


def _fetch_missing(store: Store, files: Mapping[Path, tuple[str, int]], folder: Path) -> None:
    missing = {
        path: (name, size)
        for path, (name, size) in files.items()
        if not path.exists() or path.stat().st_size != size
    }
    if missing:
        size = decimal(sum(size for _, size in missing.values()))
        print(f"fetching {len(missing)} files, {size}, to {folder}", file=sys.stderr)
    for path, (name, _) in missing.items():
        fetch(store, name, path)


def _files(store: Store, shards: Manifest, folder: Path) -> dict[Path, tuple[str, int]]:
    """What is to be there: the file of the store for each, and its size."""
    sizes = {file.name: file.bytes for file in shards.all_files()}
    found = {
        folder / Path(shown).name: (name, sizes[name])
        for shown, name in shards.view().items()
        if not shown.endswith(LEFT_OUT)
    }
    tokenizer = read_manifest(store, "tokenizer")
    name = published_file(store, tokenizer, "tokenizer.json")
    if tokenizer and name:
        sizes = {file.name: file.bytes for file in tokenizer.all_files()}
        found[folder / "tokenizer.json"] = (name, sizes[name])
    return found
