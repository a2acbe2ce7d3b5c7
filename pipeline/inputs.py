"""The names of input files: what rows are known by, wherever the files lie."""

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import printable


def input_names(paths: Iterable[Path]) -> dict[str, Path]:
    """The name by which rows know each file: its last part, or more where two share that.

    A name, not a path, so that the rows of a build are the same wherever its inputs lie. The same
    file given twice counts once.
    """
    by_name: dict[str, list[Path]] = {}
    once = {path.resolve(): path.absolute() for path in sorted(paths, reverse=True)}
    for path in sorted(once.values()):
        by_name.setdefault(path.name, []).append(path)
    return {_name_among(path, rivals): path for rivals in by_name.values() for path in rivals}


def _name_among(path: Path, rivals: list[Path]) -> str:
    count = 1
    while sum(rival.parts[-count:] == path.parts[-count:] for rival in rivals) > 1:
        count += 1
    return printable("/".join(path.parts[-count:]))
