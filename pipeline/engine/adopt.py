"""Takes over parts that are there already: from an interrupted run, or a stage's earlier results.

A part is known by its fingerprint, not by its number: where a dump was added before the others,
each of their parts gets another number and keeps its rows.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeline.engine.files import write_durably
from pipeline.engine.parts import Part, PartInfo, engine_files, read_sidecars, sidecar_path


def forget_strangers(folder: Path, fingerprints: Mapping[int, str]) -> None:
    """Remove from a step's folder the sidecars that are not of its present plan.

    They come from an interrupted run whose parts were numbered otherwise.
    """
    for info in read_sidecars(folder):
        if fingerprints.get(info.number) != info.fingerprint:
            sidecar_path(folder, info.number).unlink()
    for aside in (folder / ".meta").glob(".*.aside"):  # of a process killed as it wrote
        aside.unlink()


def adopt(
    parts: Iterable[Part], fingerprints: Mapping[int, str], folder: Path, found: Iterable[PartInfo]
) -> None:
    """Link into a step's folder those of its parts that were `found` committed elsewhere."""
    by_fingerprint = {info.fingerprint: info for info in found}
    here = {info.number for info in read_sidecars(folder)}
    for part in parts:
        info = by_fingerprint.get(fingerprints[part.number])
        if info is not None and part.number not in here and _movable(info, part):
            _link_part(info, part, folder)


def _movable(info: PartInfo, part: Part) -> bool:
    # Files that a stage named itself stay as they are, so they cannot follow another number.
    own = set(info.files) - set(engine_files(info.number))
    return not own or info.number == part.number


def _link_part(info: PartInfo, part: Part, folder: Path) -> None:
    """Hard links to the part's files under its present number, and its sidecar last."""
    names = dict(zip(engine_files(info.number), engine_files(part.number), strict=True))
    files = {}
    for name, facts in info.files.items():
        link(info.folder / name, folder / names.get(name, name))
        files[names.get(name, name)] = facts
    sidecar = {**info.to_json(), "number": part.number, "label": part.label, "files": files}
    write_durably(sidecar_path(folder, part.number), json.dumps(sidecar))


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where there can be none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another device, or no hard links here
        shutil.copy2(source, target)
