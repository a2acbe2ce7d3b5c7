"""Reads every file of a published stage again: a disk that turned bits is found, and named."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import xxhash

from pipeline.engine.manifest import Manifest
from pipeline.engine.store import Disk, Store

PIECE_BYTES = 8 << 20


def xxh3_128(file: pa.NativeFile) -> str:
    """The digest of an open file's bytes, as manifests hold it."""
    hasher = xxhash.xxh3_128()
    while piece := file.read(PIECE_BYTES):
        hasher.update(piece)
    return hasher.hexdigest()


@dataclass(frozen=True)
class Written:
    """A file of a store as it was written: its size, its digest, and how that is taken."""

    store: Store
    name: str
    size_bytes: int
    digest: str
    digest_of: Callable[[pa.NativeFile], str] = xxh3_128

    @property
    def place(self) -> str:
        """The file as people are told of it."""
        return f"{self.store.place}/{self.name}"


def stage_files(store: Store, manifest: Manifest, *, alone: bool = False) -> Iterator[Written]:
    """The files that a publication names, on a disk those that people see by the names they see.

    `alone`: the store is a stage's folder that was copied out of its build, where only these are.
    Else, where such a name is a file of its own (a copied build has no hard links), both are given.
    """
    shows = isinstance(store, Disk)
    seen = {source: name for name, source in manifest.view().items()} if shows else {}
    if alone:
        seen = {source: name.removeprefix(f"{manifest.stage}/") for source, name in seen.items()}
    for file in manifest.all_files():
        if alone and file.name not in seen:
            continue
        shown = seen.get(file.name, file.name)
        yield Written(store, shown, file.bytes, file.xxh3_128)
        if not alone and shown != file.name and not _are_one(store, shown, file.name):
            yield Written(store, file.name, file.bytes, file.xxh3_128)


def _are_one(store: Store, name: str, other: str) -> bool:
    paths = store.local(name), store.local(other)
    return all(path.exists() for path in paths) and paths[0].samefile(paths[1])


def damaged(files: Iterable[Written]) -> Iterator[str]:
    """A line for each file that is not as it was written: missing, cut or changed."""
    for file in files:
        found = file.store.stat(file.name)
        if found is None:
            yield f"{file.place} is missing"
        elif found.bytes != file.size_bytes:
            yield f"{file.place} has {found.bytes} bytes, not {file.size_bytes}"
        else:
            with file.store.open(file.name) as opened:
                if file.digest_of(opened) != file.digest:
                    yield f"{file.place} has other bytes than were written"
