"""Reads every file of a published stage again: a disk that turned bits is found, and named."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.digest import file_digest
from pipeline.engine.manifest import Manifest
from pipeline.engine.store import Store


@dataclass(frozen=True)
class Written:
    """A file as it was written: its size, its digest, and how that is taken."""

    path: Path
    size_bytes: int
    digest: str
    digest_of: Callable[[Path], str] = file_digest


def stage_files(store: Store, manifest: Manifest, *, alone: bool = False) -> Iterator[Written]:
    """The files that a publication names, those that people see under the names they see.

    `alone`: the store is a stage's folder that was copied out of its build, where only these are.
    Else, where such a name is a file of its own (a copied build has no hard links), both are given.
    """
    seen = {source: name for name, source in manifest.view().items()}
    if alone:
        seen = {source: name.removeprefix(f"{manifest.stage}/") for source, name in seen.items()}
    for file in manifest.all_files():
        if alone and file.name not in seen:
            continue
        path = store.local(file.name)
        shown = store.local(seen.get(file.name, file.name))
        yield Written(shown, file.bytes, file.xxh3_128)
        if not alone and shown != path and not _are_one(shown, path):
            yield Written(path, file.bytes, file.xxh3_128)


def _are_one(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def damaged(files: Iterable[Written]) -> Iterator[str]:
    """A line for each file that is not as it was written: missing, cut or changed."""
    for file in files:
        path = file.path
        if not path.exists():
            yield f"{path} is missing"
        elif (size := path.stat().st_size) != file.size_bytes:
            yield f"{path} has {size} bytes, not {file.size_bytes}"
        elif file.digest_of(path) != file.digest:
            yield f"{path} has other bytes than were written"
