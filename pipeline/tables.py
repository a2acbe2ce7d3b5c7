"""Rows of a table of separated values (CSV, TSV), packed or not: the first row names the columns.

The separator is the one of `, ; tab |` that the first line has most of. A value may hold line ends
and separators within quotation marks, which are doubled where they are meant (RFC 4180). Every
value is text, as it stands: an id of 007 stays one.
"""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pipeline.charsets import REPLACED, FileDecoder
from pipeline.errors import InputError
from pipeline.lines import LINE_BYTES_MAX, Lines
from pipeline.reasons import Drop, Reason

SEPARATORS = ",\t;|"


class TableRow(NamedTuple):
    """A row with its number, from 1 below the header; a Drop where its values are too many or few.

    A value for each column, by name.
    """

    number: int
    values: dict[str, str] | Drop


def table_rows(path: Path, needed: str, mended: Counter[str]) -> Iterator[TableRow]:
    """The rows in their order; `mended` counts lines in another charset than UTF-8.

    Raises InputError where no column is called `needed`, for columns of one name, for quotation
    marks without an end, and as Lines does.
    """
    csv.field_size_limit(LINE_BYTES_MAX)
    with Lines(path) as lines:
        texts = _decoded(lines, FileDecoder(path, mended), mended)
        # format_of has seen that not all lines are blank.
        header = next(line for line in texts if line.strip("\ufeff \t\r\n")).lstrip("\ufeff")
        separator = max(SEPARATORS, key=header.count)
        reader = csv.reader(chain([header], texts), delimiter=separator, strict=True)
        try:
            columns = [name.strip() for name in next(reader)]
            _check(path, columns, needed)
            for number, row in enumerate(filter(None, reader), 1):
                yield TableRow(number, _values(columns, row))
        except csv.Error as error:
            mend = "Mend its quotation marks, or write it as Parquet or JSON lines."
            raise InputError(path, f"line {reader.line_num}", str(error), mend) from None


def _check(path: Path, columns: list[str], needed: str) -> None:
    if needed not in columns:
        problem = f"it is a table, whose columns are {', '.join(columns)[:200]}"
        mend = f"It needs `{needed}`: name the column that holds it by --text-field."
        raise InputError(path, "line 1", problem, mend)
    if len({*columns}) < len(columns):
        raise InputError(path, "line 1", "it has two columns of one name", "Give one another name.")


def _values(columns: list[str], row: list[str]) -> dict[str, str] | Drop:
    if len(row) != len(columns):
        return Drop(Reason.LINE_INVALID, f"it has {len(row)} values, the header {len(columns)}")
    return dict(zip(columns, row, strict=True))


def _decoded(lines: Iterable[bytes], decode: FileDecoder, mended: Counter[str]) -> Iterator[str]:
    """Lines as text. One that means nothing is no drop here: a row may go over several lines."""
    for line in lines:
        try:
            yield line.decode()
            continue
        except UnicodeDecodeError:
            found = decode(line)
        if isinstance(found, Drop):
            mended[REPLACED] += 1
            found = line.decode("utf-8", "replace")
        yield found
