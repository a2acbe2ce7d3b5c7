"""Reads every file of a published stage again: a disk that turned bits is found, and named."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.digest import file_digest
from pipeline.engine.parts import engine_files, read_sidecars
from pipeline.engine.publish import rows_are_gone


@dataclass(frozen=True)
class Written:
    """A file as it was written: its size, its digest, and how that is taken."""

    path: Path
    size_bytes: int
    digest: str
    digest_of: Callable[[Path], str] = file_digest


def stage_files(stage: Path) -> Iterator[Written]:
    """The files of a published stage, by its parts' sidecars; not tables that went on purpose."""
    gone = rows_are_gone(stage)
    for info in read_sidecars(stage):
        tables = engine_files(info.number)[:2] if gone else ()
        for name, facts in info.files.items():
            if name not in tables:
                yield Written(stage / name, facts["bytes"], facts["xxh3_128"])


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
