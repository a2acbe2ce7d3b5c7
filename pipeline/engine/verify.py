"""Reads every file of a published stage again: a disk that turned bits is found, and named."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.engine.digest import file_digest
from pipeline.engine.parts import read_sidecars


def damaged_files(stage: Path) -> Iterator[str]:
    """A line for each file that is not as its part's sidecar says: missing, cut or changed."""
    for info in read_sidecars(stage):
        for name, facts in info.files.items():
            path = stage / name
            if not path.exists():
                yield f"{path} is missing"
            elif path.stat().st_size != facts["bytes"]:
                yield f"{path} has {path.stat().st_size} bytes, not {facts['bytes']}"
            elif file_digest(path) != facts["xxh3_128"]:
                yield f"{path} has other bytes than were written"
