"""Writes files of rows: Parquet in row groups of some size, or lines, packed by the name's ending.

A file is put in its place when it is whole; an earlier one stays until then.
"""

import gzip
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from pipeline.errors import SettingsError, printable

LINES, TABLE = (".jsonl", ".jsonl.gz", ".jsonl.zst"), ".parquet"
GROUP_BYTES = 16 << 20  # of a row group, before it is packed


def is_parquet(path: Path) -> bool:
    """Whether a file of this name is to be Parquet."""
    return path.suffix.lower() == TABLE


def check_name(option: str, path: Path, endings: Sequence[str] = (*LINES, TABLE)) -> None:
    """Refuse a file to write whose name does not say its form, or whose place is no file's."""
    check_place(option, path)
    if not path.name.lower().endswith(tuple(endings)):
        *others, last = endings
        use = f"{', '.join(others)} or {last}" if others else last
        raise SettingsError(f"{option} {printable(path)}: its name must end in {use}")


def check_place(option: str, path: Path) -> None:
    """Refuse a file to write where something else stands.

    A device or a pipe (/dev/null, /dev/stdout) would be replaced by the file, so it is refused.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise SettingsError(f"{option} {printable(path)} is {what}; name a file")


@contextmanager
def put_in_place(target: Path) -> Iterator[Path]:
    """A name beside `target` to write to; the file gets its place when all went well."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.aside")
    try:
        yield aside
        os.replace(aside, target)  # noqa: PTH105 (over an earlier result, on every system)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def packed(path: Path, name: str) -> Iterator[Any]:
    """A file to write bytes to, packed as `name` ends: .gz, .zst, else plain.

    The same bytes give the same file at any time.
    """
    with path.open("wb") as file:
        packer: Any = nullcontext(file)
        if name.lower().endswith(".gz"):
            packer = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
        elif name.lower().endswith(".zst"):
            packer = zstandard.ZstdCompressor().stream_writer(file, closefd=False)
        with packer as stream:
            yield stream


class TableWriter:
    """Writes tables of one schema to a Parquet file; a context manager."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[pa.Table] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._write_group()
        self._writer.close()

    def write(self, table: pa.Table) -> None:
        """Append rows; they are written when they make a row group."""
        self._waiting.append(table)
        if sum(each.nbytes for each in self._waiting) >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting = []
