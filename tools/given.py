"""The texts that a stage command is given: files, folders, patterns, stdin, a data set.

What is no file becomes one in a folder of scratch: texts are read more than once.
"""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from rich.filesize import decimal

from pipeline.bucket_file import RANGE_BYTES, BucketFile, InputFile, unchanged
from pipeline.errors import InputError, SettingsError, printable
from pipeline.inputs import STDIN, text_files
from pipeline.row_files import LINES, TABLE, TableWriter, check_name, check_place
from pipeline.scratch import scratch_in
from pipeline.settings import OTHER_FIELDS, TextsSettings
from tools.places import Place

BATCH_ROWS = 256
LEFT_OUT_TOLD = 5
MEND = (
    "Offline, name a folder that `datasets` saved (save_to_disk), or the data set's files. A gated "
    "data set needs `hf auth login`; of one with several parts name the part, as NAME:PART"
)


@dataclass(frozen=True)
class GivenTexts:
    """What the command line names."""

    words: Sequence[Place]
    dataset: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if self.split and not self.dataset:
            raise SettingsError(
                "--split names a part of a data set; name the data set by --dataset"
            )
        if not self.words and not self.dataset:
            raise SettingsError("name at least one file or folder, - for stdin, or a --dataset")

    @contextmanager
    def files(
        self,
        out: Path,
        rules: TextsSettings,
        *,
        whole: bool = False,
        results: Mapping[str, Path] = MappingProxyType({}),
        check: Callable[[str, Path], None] = check_place,
    ) -> Iterator[list[Path]]:
        """The files to read, in the order of the words, the data set last.

        stdin, pipes, what lies in a bucket and the data set are files beside `out` as long as the
        context holds: with `whole` all columns of the data set, else those that are read. stderr
        tells what of a folder is left out: all below `out` is, and so are the files to write, which
        `results` names by their options, and `check` looks at. Raises InputError for what is not
        there or cannot be read, SettingsError for a result that is an input.
        """
        found, left_out = text_files(self.words, but=[out, *results.values()])
        check_results(results, found, check)
        if left_out:
            names = ", ".join(printable(path) for path in left_out[:LEFT_OUT_TOLD])
            others = len(left_out) - LEFT_OUT_TOLD
            more = f" and {others:,} more" if others > 0 else ""
            _say(f"left out of the folders that were named: {names}{more}")
        parent = out.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        with scratch_in(parent) as scratch:
            files = [_here(path, scratch) for path in found]
            if self.dataset:
                wanted = None if whole else {rules.text_field, rules.id_field, *OTHER_FIELDS}
                _say(f"{self.dataset}: streaming the data set into a file")
                files.append(_spooled_data_set(self.dataset, self.split, scratch, rules, wanted))
            yield files


def check_rows(option: str, path: Path) -> None:
    """Refuse a file of rows whose name does not say its form; signatures are a table."""
    check_name(option, path, (TABLE,) if option == "--signatures" else (*LINES, TABLE))


def check_results(
    results: Mapping[str, Path],
    inputs: Sequence[InputFile],
    check: Callable[[str, Path], None] = check_place,
) -> None:
    """Refuse a file to write, by its option, that is an input, or that another option names too.

    The folders that they want are made.
    """
    taken: dict[InputFile, str] = {path.resolve(): "an input" for path in inputs}
    for option, path in results.items():
        if what := taken.get(path.resolve()):
            raise SettingsError(f"{option} {printable(path)} is {what} too; give it another name")
        check(option, path)
        taken[path.resolve()] = option
        path.absolute().parent.mkdir(parents=True, exist_ok=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _here(path: InputFile, scratch: Path) -> Path:
    """A file that can be read more than once, here: the path, or a copy of what it is not."""
    if isinstance(path, BucketFile):
        _say(f"{path}: fetching {decimal(path.size)}")
        return copied(path, scratch)
    return path if path.is_file() else _spooled(path, scratch)


def copied(file: BucketFile, scratch: Path) -> Path:
    """A copy of a file, under its own name in a folder of its own below `scratch`."""
    path = Path(mkdtemp(dir=scratch), file.name)
    with unchanged(file), file.open() as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, RANGE_BYTES)
    return path


def _spooled(path: Path, scratch: Path) -> Path:
    """A file of what stdin, or another pipe, holds: it can be read once."""
    target = scratch / ("stdin" if path == STDIN else path.name)
    given = nullcontext(sys.stdin.buffer) if path == STDIN else path.open("rb")
    with given as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    return target


def _spooled_data_set(
    name: str, split: str | None, scratch: Path, rules: TextsSettings, wanted: set[str] | None
) -> Path:
    """A Parquet file of the data set's rows; not all of them are in memory at any time."""
    with _telling(name):
        rows = _opened(name, split)
        columns = list(rows.features or {})
        if columns and rules.text_field not in columns:
            problem = f"the columns of this data set are {', '.join(columns)}"
            mend = "Name the one that holds the text by --text-field."
            raise InputError(name, "", problem, mend)
        if wanted is not None and columns:
            rows = rows.select_columns([column for column in columns if column in wanted])
        leaf = printable(Path(name).name or name).replace(":", "-")
        path = scratch / f"{leaf}-{split}" if split else scratch / leaf
        schema = rows.features.arrow_schema if rows.features else None
        _write(path, rows.with_format("arrow").iter(batch_size=BATCH_ROWS), schema)
    return path


def _opened(name: str, split: str | None) -> Any:
    """The data set, saved or streamed; InputError where it has not this split."""
    import datasets

    if not Path(name).exists():
        where, _, part = name.partition(":")
        return datasets.load_dataset(where, part or None, split=split or "train", streaming=True)
    if not any((Path(name) / each).is_file() for each in ("state.json", "dataset_dict.json")):
        return datasets.load_dataset(name, split=split or "train", streaming=True)
    found = datasets.load_from_disk(name)
    if isinstance(found, datasets.DatasetDict):
        wanted = split or "train"
        if wanted not in found:
            mend = f"Its splits are {', '.join(found)}: name one by --split."
            raise InputError(name, "", f"it has no split {wanted!r}", mend)
        return found[wanted]
    if split and str(found.split) != split:
        mend = "It holds one data set: leave --split out."
        raise InputError(name, "", f"it has no split {split!r}", mend)
    return found


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """What goes wrong with a data set is one InputError; the library's own lines are held back."""
    import datasets
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import logging

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    logging.set_verbosity_error()
    # Its bases are the error of the HTTP client, which was another in each large version.
    unable = (OSError, ValueError, datasets.exceptions.DatasetsError, *HfHubHTTPError.__bases__)
    try:
        yield
    except unable as error:
        told = " ".join(str(error).split())[:400]
        problem = f"cannot be read as a data set ({type(error).__name__}: {told})"
        raise InputError(f"--dataset {name}", "", problem, MEND + ".") from None


def _write(path: Path, tables: Iterator[pa.Table], schema: pa.Schema | None) -> None:
    """Rows as Parquet; without a schema, that of the first."""
    if schema is None:
        first = next(tables, pa.table({}))
        schema, tables = first.schema, chain([first], tables)
    with TableWriter(path, schema) as writer:
        for table in tables:
            writer.write(table.cast(schema))
