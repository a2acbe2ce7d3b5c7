"""The kept texts with all that their rows hold, as they came: `webtext dedup --kept`.

Lines of JSON are copied as they are; what our readers mended in them (another charset, NaN, half of
a surrogate pair) is written mended. Parquet keeps its types where Parquet is written. Where rows of
several schemas, or of JSON, become Parquet, they are read once more for the columns that hold all.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.charsets import FileDecoder
from pipeline.errors import InputError, StageError
from pipeline.formats import Format, format_of
from pipeline.lines import Lines
from pipeline.loose_json import line_value
from pipeline.row_files import TableWriter, is_parquet, packed
from pipeline.rows import elements, values_of, without_surrogates
from pipeline.settings import TextsSettings
from pipeline.tables import table_rows
from pipeline.texts import documents_in

BATCH_ROWS = 256
# What pyarrow raises where values are of no common type.
_NO_TYPE = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


@dataclass(frozen=True)
class KeptRows:
    """A file, and the numbers of its rows that are kept: of lines, elements, rows or documents."""

    path: Path
    name: str  # what its rows are named by
    numbers: NDArray[np.int64]  # ascending, from 1


def write_kept(aside: Path, target: Path, files: Sequence[KeptRows], rules: TextsSettings) -> None:
    """Write the kept rows in their order to `aside`, in the form that `target` ends in.

    InputError where rows fit no one table; StageError for a file that changed since it was read.
    """
    if is_parquet(target):
        _write_parquet(aside, files, rules)
        return
    with packed(aside, target.name) as out:
        for file in files:
            rows = 0
            for row in _as_lines(file, rules):
                rows += 1
                out.write(row + b"\n")
            _check_count(file, rows)


def _check_count(file: KeptRows, rows: int) -> None:
    if rows != len(file.numbers):
        raise StageError(f"{file.path} changed while it was read; run the same command again")


def _as_lines(file: KeptRows, rules: TextsSettings) -> Iterator[bytes]:
    form = format_of(file.path, rules.text_field)
    if form == "JSON lines":
        yield from (row if isinstance(row, bytes) else _encoded(row) for row in _lines(file))
    elif form == "parquet":
        for table in _tables(file):
            names = table.schema.names
            if len(set(names)) < len(names):
                mend = "Give one another name, or --kept an ending of .parquet."
                raise InputError(file.path, "", "it has two columns of one name", mend)
            columns = [values_of(column.combine_chunks()) for column in table.columns]
            for values in zip(*columns, strict=True):
                row = dict(zip(names, values, strict=True))
                yield msgspec.json.encode(row, enc_hook=str)
    else:
        yield from map(_encoded, _objects(file, form, rules))


def _encoded(row: dict[str, Any]) -> bytes:
    return json.dumps(_finite(row), ensure_ascii=False).encode()


def _finite(value: Any) -> Any:
    """A JSON value, with null for NaN and the infinities, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return value


def _objects(file: KeptRows, form: Format, rules: TextsSettings) -> Iterator[dict[str, Any]]:
    """The kept rows of a file that is not Parquet, as Python has them."""
    if form == "JSON lines":
        for line in _lines(file):
            yield msgspec.json.decode(line) if isinstance(line, bytes) else line
    elif form == "JSON array":
        yield from map(_mended, _chosen(file, enumerate(elements(file.path), 1)))
    elif form == "table":
        yield from _chosen(file, table_rows(file.path, rules.text_field, Counter()))
    elif form == "text":
        documents = documents_in(file.path, Counter())
        numbered = ((int(place.split()[1]), (place, row)) for place, row in documents)
        for place, row in _chosen(file, numbered):
            id = f"{file.name}:{place.split()[1]}"
            yield {rules.id_field: id, rules.text_field: row.text}


def _lines(file: KeptRows) -> Iterator[bytes | dict[str, Any]]:
    """The kept lines: as they are where they are JSON, else what was read of them."""
    decode = FileDecoder(file.path, Counter())
    with Lines(file.path) as lines:
        for line in _chosen(file, enumerate(lines, 1)):
            try:
                msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                text = decode(line)
                assert isinstance(text, str), "a kept line was read"
                yield _mended(line_value(text))
            else:
                yield line.strip()


def _mended(value: Any) -> Any:
    """A JSON value whose strings are text, as they are read."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, list):
        return [_mended(each) for each in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(each) for name, each in value.items()}
    return value


def _chosen(file: KeptRows, numbered: Iterable[tuple[int, Any]]) -> Iterator[Any]:
    wanted = iter(file.numbers.tolist())
    following = next(wanted, None)
    for number, row in numbered:
        if following is None:
            return
        if number == following:
            yield row
            following = next(wanted, None)


def _tables(file: KeptRows) -> Iterator[pa.Table]:
    """The kept rows of a Parquet file, all columns."""
    start = 0
    with pq.ParquetFile(file.path) as source:
        for batch in source.iter_batches(BATCH_ROWS):
            ends = np.searchsorted(file.numbers, [start + 1, start + 1 + batch.num_rows])
            if ends[0] < ends[1]:
                rows = pa.array(file.numbers[ends[0] : ends[1]] - 1 - start)
                yield pa.Table.from_batches([batch]).take(rows)
            start += batch.num_rows


def _write_parquet(aside: Path, files: Sequence[KeptRows], rules: TextsSettings) -> None:
    schema = _schema_of(files, rules)
    with TableWriter(aside, schema) as writer:
        for file in files:
            rows = 0
            for table in _as_tables(file, schema, rules):
                rows += table.num_rows
                writer.write(table)
            _check_count(file, rows)


def _schema_of(files: Sequence[KeptRows], rules: TextsSettings) -> pa.Schema:
    """The columns that hold the rows of all files: their own where they are the same."""
    found = pa.schema([])
    for file in files:
        for schema in _schemas(file, rules):
            if not found.names:
                found = schema
            elif not found.equals(schema):
                with _Fitting(file):
                    found = pa.unify_schemas([found, schema], promote_options="permissive")
    return found if found.names else pa.schema([(rules.text_field, pa.string())])


def _schemas(file: KeptRows, rules: TextsSettings) -> Iterator[pa.Schema]:
    form = format_of(file.path, rules.text_field)
    if form == "parquet":
        with pq.ParquetFile(file.path) as source:
            yield source.schema_arrow
        return
    for rows in _batches(_objects(file, form, rules)):
        with _Fitting(file):
            names = dict.fromkeys(name for row in rows for name in row)
            types = {name: pa.infer_type([row.get(name) for row in rows]) for name in names}
            yield pa.schema(list(types.items()))


def _as_tables(file: KeptRows, schema: pa.Schema, rules: TextsSettings) -> Iterator[pa.Table]:
    form = format_of(file.path, rules.text_field)
    if form == "parquet":
        for table in _tables(file):
            yield table if table.schema.equals(schema) else _widened(file, table, schema)
        return
    for rows in _batches(_objects(file, form, rules)):
        with _Fitting(file):
            columns = [
                pa.array([row.get(field.name) for row in rows], field.type) for field in schema
            ]
            yield pa.table(columns, schema=schema)


def _widened(file: KeptRows, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with all columns of the schema, null where it has none."""
    with _Fitting(file):
        columns = [
            table[field.name].cast(field.type)
            if field.name in table.schema.names
            else pa.nulls(len(table), field.type)
            for field in schema
        ]
        return pa.table(columns, schema=schema)


def _batches(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


class _Fitting:
    """Turns what pyarrow says of values without a common type into an InputError."""

    def __init__(self, file: KeptRows) -> None:
        self._file = file

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _NO_TYPE):
            told = " ".join(str(error).split())[:200]
            problem = f"its rows do not fit into one table ({told})"
            mend = "The decisions are written; --kept FILE.jsonl keeps rows of any fields."
            raise InputError(self._file.path, "", problem, mend) from None
