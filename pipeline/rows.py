"""Rows of anyone's files: JSON lines, packed or not, or Parquet.

What a row needs is said by a `msgspec.Struct`: its fields without a default. What else a row holds
is not read. A row that does not fit is a Drop; what that means for the file is the caller's rule.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.lines import Lines, is_parquet
from pipeline.reasons import Reason
from pipeline.records import Drop

BATCH_ROWS = 256
Row = TypeVar("Row", bound=msgspec.Struct)


def read_rows(path: Path, kind: type[Row]) -> Iterator[tuple[str, Row | Drop]]:
    """The file's rows in order, each with its place: "line 3", "row 3".

    Raises InputError for a file that is missing, torn or damaged, with the byte, and for Parquet
    without a column that every row needs.
    """
    with Lines(path) as lines:
        if is_parquet(path):
            yield from _parquet_rows(path, kind)
        else:
            yield from json_rows(enumerate(lines, 1), kind)


def json_rows(
    numbered: Iterable[tuple[int, bytes]], kind: type[Row]
) -> Iterator[tuple[str, Row | Drop]]:
    """The rows of numbered lines, each with its place; blank lines are none."""
    decoder = msgspec.json.Decoder(kind)
    for number, line in numbered:
        try:
            yield f"line {number}", decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if line.strip():
                yield f"line {number}", _slowly(line, kind)


def _slowly(line: bytes, kind: type[Row]) -> Row | Drop:
    """What msgspec refuses: a line that is no row, or one with what Python writes besides JSON.

    That is NaN, and half of a surrogate pair.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # bytes that are no UTF-8 are a ValueError too
        return Drop(Reason.LINE_INVALID, str(error)[:200])
    if not isinstance(row, dict):
        return Drop(Reason.LINE_NOT_OBJECT, f"it is a {type(row).__name__}")
    return _converted(
        {
            name: without_surrogates(value) if isinstance(value, str) else value
            for name, value in row.items()
        },
        kind,
    )


def _converted(row: dict[str, Any], kind: type[Row]) -> Row | Drop:
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        return Drop(Reason.TEXT_MISSING, str(error))


def _parquet_rows(path: Path, kind: type[Row]) -> Iterator[tuple[str, Row | Drop]]:
    try:
        with pq.ParquetFile(path) as file:
            names = _columns(path, file.schema_arrow.names, kind)
            number = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", _converted(row, kind)
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError) as error:
        raise InputError(path, "", f"damaged Parquet ({error})", "Get it again.") from None


def _columns(path: Path, found: list[str], kind: type[Row]) -> list[str]:
    """The columns of Parquet that are read; InputError if one is missing that is needed."""
    wanted = msgspec.structs.fields(kind)
    needed = [field.name for field in wanted if field.required]
    if not set(needed) <= set(found):
        problem = f"its columns are {', '.join(found)}"
        mend = f"It needs {' and '.join(f'`{name}`' for name in needed)}."
        raise InputError(path, "", problem, mend)
    return [field.name for field in wanted if field.name in found]


def without_surrogates(text: str) -> str:
    """The text as UTF-8 can hold it: surrogate pairs joined, lone surrogates as U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
