"""Rows of anyone's files: JSON lines, a JSON array, or Parquet.

What a row needs is said by a `msgspec.Struct`: its fields without a default. What else a row holds
is not read. A row that does not fit is a Drop; what that means for the file is the caller's rule.
"""

import codecs
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.bucket_file import InputFile, for_arrow, unchanged
from pipeline.errors import InputError
from pipeline.lines import LINE_BYTES_MAX, Lines
from pipeline.loose_json import DECODER, line_value
from pipeline.reasons import Drop, Reason

BATCH_ROWS = 256
MEND_COLUMN = "rename the column that holds it"
HALF_PAIRS = "half of a surrogate pair"  # counted in `odd`: rows whose text has become U+FFFD there
_GAP = re.compile(r"[\s,]*")
Row = TypeVar("Row", bound=msgspec.Struct)
Rows = Iterator[tuple[str, Row | Drop]]  # each with its place: "line 3", "element 3", "row 3"


def json_rows(
    numbered: Iterable[tuple[int, bytes]],
    kind: type[Row],
    odd: Counter[str] | None = None,
    decode: Callable[[bytes], str | Drop] | None = None,
) -> Rows[Row]:
    """The rows of numbered lines; blank lines are none.

    `odd` counts what was mended; `decode` reads a line that is no plain JSON, else UTF-8 is tried.
    """
    decoder = msgspec.json.Decoder(kind)
    for number, line in numbered:
        try:
            yield f"line {number}", decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            if line.strip():
                yield f"line {number}", _slowly(line, kind, odd, decode)


def _slowly(
    line: bytes,
    kind: type[Row],
    odd: Counter[str] | None,
    decode: Callable[[bytes], str | Drop] | None,
) -> Row | Drop:
    """What msgspec refuses: a line that is no row, or one with what others write besides JSON.

    That is what `loose_json` reads, and half of a surrogate pair.
    """
    try:
        text: str | Drop = decode(line) if decode else line.decode()
    except UnicodeDecodeError as error:
        return Drop(Reason.LINE_INVALID, str(error)[:200])
    if isinstance(text, Drop):
        return text
    try:
        row = line_value(text)
    except (ValueError, RecursionError) as error:
        return Drop(Reason.LINE_INVALID, str(error)[:200])
    return _row(row, kind, odd)


def _row(row: Any, kind: type[Row], odd: Counter[str] | None) -> Row | Drop:
    """A row of what Python's JSON reader gives, whose strings may hold half a surrogate pair."""
    if not isinstance(row, dict):
        return Drop(Reason.LINE_NOT_OBJECT, f"it is a {type(row).__name__}")
    clean = {name: row[name] for name in kind.__struct_encode_fields__ if name in row}
    texts = {name: value for name, value in clean.items() if isinstance(value, str)}
    joined = {name: without_surrogates(text) for name, text in texts.items()}
    if odd is not None and any(
        "\ufffd" in joined[name] and joined[name] != text for name, text in texts.items()
    ):
        odd[HALF_PAIRS] += 1
    return _converted(clean | joined, kind)


def _converted(row: dict[str, Any], kind: type[Row]) -> Row | Drop:
    try:
        return msgspec.convert(row, kind)
    except msgspec.ValidationError as error:
        return Drop(Reason.TEXT_MISSING, str(error))


def array_rows(path: InputFile, kind: type[Row], odd: Counter[str] | None = None) -> Rows[Row]:
    """The elements of one JSON array, however they are broken into lines.

    A comma too many is no fault. InputError where an element is no JSON, for what follows it cannot
    be told, where the array has no end, and because of a UnicodeDecodeError.
    """
    number = 0
    try:
        for number, element in enumerate(elements(path), 1):
            yield f"element {number}", _row(element, kind, odd)
    except UnicodeDecodeError as error:
        place, mend = f"after element {number}", "Write it in UTF-8 (iconv does)."
        raise InputError(path, place, f"it is not UTF-8: {error.reason}", mend) from error


def elements(path: InputFile) -> Iterator[Any]:
    """The values in a JSON array, as Python has them; strings may hold half a surrogate pair."""
    with Lines(path) as file:
        yield from _elements(path, codecs.iterdecode(file.chunks(), "utf-8-sig"))


def fields_at(path: InputFile, place: str) -> dict[str, Any]:
    """The fields of the row at this place of JSON lines or of an array, read anew; {} if none."""
    kind, number = place.split()
    if kind == "element":
        row = next(islice(elements(path), int(number) - 1, None))
    else:
        with Lines(path) as file:
            line = next(islice(file, int(number) - 1, None))
        try:
            row = line_value(line.decode("utf-8", "replace"))
        except ValueError:
            return {}  # not in UTF-8, and with quotation marks within characters
    return row if isinstance(row, dict) else {}


def _elements(path: InputFile, texts: Iterator[str]) -> Iterator[Any]:
    read = DECODER.raw_decode
    text, number = next(texts), 0
    at = text.index("[") + 1
    while not text.startswith("]", at := _after_gap(text, at)):
        try:
            element, end = read(text, at)
        except (ValueError, RecursionError):
            end = len(text)
        if end < len(text):  # whole, since something follows it
            yield element
            number, at = number + 1, end
            continue
        text, at = text[at:], 0
        more = _at_least(len(text), texts) if len(text) < LINE_BYTES_MAX else ""
        if not more:
            problem = "this element is no JSON, or the array has no end"
            raise InputError(path, f"element {number + 1}", problem, "Get the file again.")
        text += more
    if text[at + 1 :].strip() or any(map(str.strip, texts)):
        problem = "more follows the array's end"
        mend = "`jq -c '.[]' FILE > NEW.jsonl` writes one object a line."
        raise InputError(path, f"element {number}", problem, mend)


def _after_gap(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _at_least(chars: int, texts: Iterator[str]) -> str:
    """The next pieces, so many that a long element is tried at most twice its length in all."""
    pieces: list[str] = []
    while (not pieces or sum(map(len, pieces)) < chars) and (piece := next(texts, "")):
        pieces.append(piece)
    return "".join(pieces)


def parquet_rows(
    path: InputFile, kind: type[Row], needed: Sequence[str], mend: str = MEND_COLUMN
) -> Rows[Row]:
    """The rows of Parquet. Binary columns hold text where they are UTF-8, else they stay bytes.

    InputError for a damaged file, and for one where a `needed` column is missing (`mend` says what
    to do) or no text.
    """
    try:
        with unchanged(path), pq.ParquetFile(for_arrow(path)) as file:
            names = _columns(path, file.schema_arrow, kind, needed, mend)
            number = 0
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                columns = [values_of(column) for column in batch.columns]
                for values in zip(*columns, strict=True):
                    number += 1
                    row = dict(zip(batch.schema.names, values, strict=True))
                    yield f"row {number}", _converted(row, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise InputError(path, "", f"damaged Parquet ({error})", "Get it again.") from None


def _columns(
    path: InputFile, schema: pa.Schema, kind: type[Row], needed: Sequence[str], mend: str
) -> list[str]:
    """The columns that are read; InputError if one that is needed is missing or holds no text."""
    if missing := [name for name in needed if name not in schema.names]:
        problem = f"its columns are {', '.join(schema.names)}"
        needed = " and ".join(f"`{name}`" for name in missing)
        raise InputError(path, "", problem, f"It needs {needed}: {mend}.")
    for name in kind.__struct_encode_fields__:
        if schema.names.count(name) > 1:
            raise InputError(path, "", f"it has two columns `{name}`", "Give one another name.")
    for name in needed:
        found = schema.field(name).type
        if not (_is_text(found) or pa.types.is_null(found)):
            mend = "It must be a column of strings, or of bytes in UTF-8."
            raise InputError(path, "", f"its column `{name}` is {found}", mend)
    return [name for name in kind.__struct_encode_fields__ if name in schema.names]


def _is_text(found: pa.DataType) -> bool:
    is_a = pa.types
    if is_a.is_dictionary(found):
        return _is_text(found.value_type)
    kinds = (is_a.is_string, is_a.is_large_string, is_a.is_string_view)
    return any(holds(found) for holds in kinds) or _is_bytes(found)


def _is_bytes(found: pa.DataType) -> bool:
    is_a = pa.types
    return any(
        holds(found) for holds in (is_a.is_binary, is_a.is_large_binary, is_a.is_binary_view)
    )


def values_of(column: pa.Array) -> list[Any]:
    """A column's values; what Parquet calls text may be none, and what it calls binary may be."""
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        values = column.cast(pa.large_binary()).to_pylist()
    if not values or not any(isinstance(value, bytes) for value in values):
        return values
    if pa.types.is_fixed_size_binary(column.type):
        return values  # a digest or a UUID, which may be UTF-8 by chance
    return [_text_or_bytes(value) for value in values]


def _text_or_bytes(value: Any) -> Any:
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value


def without_surrogates(text: str) -> str:
    """The text as UTF-8 can hold it: surrogate pairs joined, lone surrogates as U+FFFD."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
