"""Input files: which they are where folders and patterns are named, and what rows know them by."""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pipeline.bucket_file import BucketFile, InputFile, bucket_files
from pipeline.errors import InputError, printable
from pipeline.formats import ending_of

_File = TypeVar("_File", Path, InputFile)
STDIN = Path("-")
# The files of a folder that are taken: of the first of these kinds that it has any of.
_KINDS = (
    (".parquet", ".jsonl", ".jsonlines", ".ndjson", ".jl", ".csv", ".tsv"),
    (".json",),
    (".txt", ".text", ".md"),
)
_SAVED = ("dataset_info.json", "dataset_dict.json")


class Given(NamedTuple):
    """The files in the order in which they were named, and those of folders that are left out."""

    files: list[InputFile]
    left_out: list[Path]


def text_files(words: Iterable[Path | str], but: Sequence[Path] = ()) -> Given:
    """The files that these files, folders and glob patterns name, each once; STDIN stays as it is.

    A folder gives the files below it, by name: Parquet, JSON lines and tables where it has any,
    else .json, else text, else all; hidden ones never. A stage of ours gives its parts, and a build
    those of its corpus. Of a folder all is left out that is in `but`, or below. A URI gives what
    `bucket_files` finds. InputError for a name of nothing, and for a folder without such a file.
    """
    files: list[InputFile] = []
    left_out: list[Path] = []
    for word in words:
        if isinstance(word, str):
            files += _in_bucket(word)
            continue
        for path in [word] if word == STDIN or word.exists() else _matches(word):
            if path.is_dir():
                taken, others = _of_folder(path, {each.resolve() for each in but})
                files += taken
                left_out += others
            else:
                files.append(path)
    once: dict[InputFile, InputFile] = {}
    for file in files:
        once.setdefault(file.resolve(), file)
    return Given(list(once.values()), left_out)


def _in_bucket(uri: str) -> list[BucketFile]:
    found = bucket_files(uri)
    if not found:
        raise InputError(uri, "", "no object matches this URI", "Check the name.")
    return found


def _matches(pattern: Path) -> list[Path]:
    if not glob.has_magic(str(pattern)):
        raise InputError(pattern, "", "there is no such file or folder", "Check the name.")
    found = sorted(map(Path, glob.glob(str(pattern), recursive=True)))  # noqa: PTH207 (absolute too)
    if not found:
        raise InputError(pattern, "", "no file matches this pattern", "Check the name.")
    # Of a folder and what is in it, as ** gives them, the files alone.
    return [path for path in found if path.is_file()] or found


def _of_folder(folder: Path, but: set[Path]) -> tuple[list[Path], list[Path]]:
    """The folder's files that are texts, and those that are left out."""
    if any((folder / name).is_file() for name in _SAVED):
        mend = f"Name it by --dataset {printable(folder)}"
        raise InputError(folder, "", "it is a data set that `datasets` saved", mend + ".")
    if (folder / "corpus" / "manifest.json").is_file():
        folder = folder / "corpus"
    if (folder / "manifest.json").is_file():
        parts = sorted(folder.glob("part-*.parquet"))
        if not parts:
            mend = "Name the files that it was made of."
            raise InputError(folder, "", "the rows of this stage are gone", mend)
        return parts, []
    below = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    seen = [p for p in below if not any(n.startswith(".") for n in p.relative_to(folder).parts)]
    able = [path for path in seen if but.isdisjoint((path.resolve(), *path.resolve().parents))]
    taken = next((found for kind in _KINDS if (found := _of_kind(able, kind))), able)
    if not taken:
        raise InputError(folder, "", "no file is in this folder", "Check the name.")
    return taken, [path for path in seen if path not in set(taken)]


def _of_kind(paths: Sequence[Path], endings: tuple[str, ...]) -> list[Path]:
    return [path for path in paths if ending_of(path) in endings]


def input_names(paths: Iterable[_File]) -> dict[str, _File]:
    """The name by which rows know each file: its last part, or more where two share that.

    A name, not a path, so that the rows of a build are the same wherever its inputs lie. The same
    file given twice counts once.
    """
    by_name: dict[str, list[_File]] = {}
    once = {path.resolve(): path.absolute() for path in sorted(paths, key=_parts, reverse=True)}
    for path in sorted(once.values(), key=_parts):
        by_name.setdefault(path.name, []).append(path)
    return {_name_among(path, rivals): path for rivals in by_name.values() for path in rivals}


def _name_among(path: _File, rivals: list[_File]) -> str:
    count = 1
    while sum(rival.parts[-count:] == path.parts[-count:] for rival in rivals) > 1:
        count += 1
    return printable("/".join(path.parts[-count:]))


def _parts(path: InputFile) -> tuple[str, ...]:
    return path.parts
