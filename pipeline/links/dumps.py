"""What a file that is given as a dump holds, told by its bytes, and its rows as lines.

JSON lines are read as they stand. Parquet, a JSON array and a table with a header are what people
publish dumps as: their rows become lines of JSON, for the one parser (`submission.py`). All else is
an InputError that says what the file is and what to do, before any other dump is read.
"""

import csv
import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from pipeline.bucket_file import InputFile
from pipeline.errors import InputError
from pipeline.formats import ARRAY, FOREIGN, MEND_LINES, starts_as_parquet, wide_codec
from pipeline.lines import LINE_BYTES_MAX, Lines, told
from pipeline.links.submission import FIELDS
from pipeline.reasons import Drop
from pipeline.rows import Rows, array_rows, parquet_rows

Form = Literal["lines", "parquet", "array", "table"]

HEAD_BYTES = 1 << 16
LINES_TRIED = 20
_MEND = "Take the month's RS_* file, or write one submission a line, as JSON"
_SPREAD = re.compile(r'\{\s*\n\s*"')  # one object on several lines
_LISTING = re.compile(r'\{\s*"kind"\s*:\s*"Listing"')
_PACKED = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_SQL = re.compile(r"\s*(?:--|/\*|INSERT INTO\b|CREATE TABLE\b|COPY \w)", re.IGNORECASE)
_NEEDED = ("url", "created_utc", "score")

# Fields of submissions, and of comments, which are told where they are read.
_SUBMISSION_SIGNS = frozenset(FIELDS) - {"id", "url", "title"} | {"body", "permalink", "name"}

_Row = msgspec.defstruct(
    "_Row",
    [(f"f{number}", Any, None) for number in range(len(FIELDS))],
    rename={f"f{number}": name for number, name in enumerate(FIELDS)},
    omit_defaults=True,
)


def form_of(path: InputFile, *, accept_torn: bool = False) -> Form:
    """What the dump holds. InputError for what is none of the forms, and as Lines does.

    An empty file is one of no lines.
    """
    if starts_as_parquet(path):
        next(parquet_rows(path, _Row, ("url",)), None)  # says what its columns lack
        return "parquet"
    with Lines(path, accept_torn=accept_torn) as lines:
        head = next(lines.chunks(HEAD_BYTES), b"")
    _refuse_foreign(path, head)
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    if not text:
        return "lines"
    if ARRAY.match(text):
        return "array"
    if text[0] == "{" or "\n{" in text:
        _refuse_other_json(path, text)
        return "lines"
    return _table_or_text(path, text)


def rows_as_lines(path: InputFile, form: Form, lines: Lines) -> Iterator[bytes]:
    """Each row of the dump as a line of JSON; `lines` are the file's own."""
    match form:
        case "lines":
            return iter(lines)
        case "parquet":
            return _encoded(parquet_rows(path, _Row, ("url",)))
        case "array":
            return _encoded(array_rows(path, _Row))
        case "table":
            return _table_lines(path, lines)


def _encoded(rows: Rows[Any]) -> Iterator[bytes]:
    for _, row in rows:
        try:
            yield b"[]" if isinstance(row, Drop) else msgspec.json.encode(row, enc_hook=str)
        except UnicodeEncodeError:  # half a surrogate pair deep in `_meta`, as an escape
            yield json.dumps(msgspec.to_builtins(row)).encode()


def _table_lines(path: InputFile, lines: Lines) -> Iterator[bytes]:
    """The rows of a table of separated values; the first names its columns."""
    csv.field_size_limit(LINE_BYTES_MAX)
    texts = (line.decode("utf-8", "surrogateescape") for line in lines)
    header = next(texts).lstrip("\ufeff")
    columns = _columns(header)
    reader = csv.reader(texts, delimiter=_separator(header))
    try:
        for row in reader:
            if row:
                whole = len(row) == len(columns)
                yield json.dumps(dict(zip(columns, row, strict=True)) if whole else row).encode()
    except csv.Error as error:
        mend = "Write it as Parquet or JSON lines."
        raise InputError(path, f"line {reader.line_num + 1}", str(error), mend) from None


def _refuse_foreign(path: InputFile, head: bytes) -> None:
    what = told(head) or next((w for at, magic, w, _ in FOREIGN if head.startswith(magic, at)), "")
    if packed := next((name for magic, name in _PACKED.items() if head.startswith(magic)), ""):
        raise InputError(
            path, "", f"it is compressed twice, by {packed} within", "Decompress it once."
        )
    if what:
        raise InputError(path, "", f"it is {what}", f"{_MEND}.")
    if codec := wide_codec(head):
        mend = f"`iconv -f {codec.upper()} -t UTF-8 FILE > NEW` makes it so."
        raise InputError(path, "", f"it is in {codec.upper()}, and must be in UTF-8", mend)
    if b"\r{" in head and b"\n" not in head:
        mend = "`tr '\\r' '\\n' < FILE > NEW` makes it so."
        raise InputError(path, "", "its lines end with CR, and must end with LF", mend)


def _refuse_other_json(path: InputFile, text: str) -> None:
    """Refuse objects on several lines, and lines that hold no submissions at all."""
    if _LISTING.match(text):
        mend = "`jq -c '.data.children[].data' FILE > NEW.jsonl` writes one submission a line."
        raise InputError(path, "line 1", "it is a listing of Reddit's API", mend)
    if _SPREAD.match(text):
        raise InputError(path, "line 1", "its objects are not one a line", f"{MEND_LINES}.")
    rows = [row for line in text.split("\n")[:LINES_TRIED] if (row := _object(line))]
    named = {name for row in rows for name in row}
    if rows and not named.intersection(_SUBMISSION_SIGNS):
        problem = (
            f"its objects are no submissions: their fields are {', '.join(sorted(named))[:200]}"
        )
        raise InputError(path, "line 1", problem, f"{_MEND} ({', '.join(_NEEDED)}).")


def _object(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _table_or_text(path: InputFile, text: str) -> Form:
    """ "table" for a header that names a URL's column and a time's; InputError for the rest."""
    if "\n" not in text:
        return "lines"  # one long line, or a broken one: it is judged as such
    header = text.partition("\n")[0]
    columns = _columns(header)
    if set(_NEEDED) <= set(columns):
        return "table"
    if _SQL.match(text):
        what, mend = "it is SQL", "Load it, and export its submissions as Parquet or JSON lines."
    elif text.startswith(("http://", "https://")):
        what, mend = "it is a list of URLs, without the scores that choose links", f"{_MEND}."
    elif len(columns) > 1 and "url" in columns:
        missing = " and ".join(f"`{name}`" for name in _NEEDED if name not in columns)
        what, mend = (
            f"it is a table of {header.strip()[:100]}",
            f"It needs {missing}.",
        )
    else:
        return "lines"
    raise InputError(path, "line 1", what, mend)


def _columns(header: str) -> list[str]:
    separator = _separator(header)
    return next(csv.reader([header.strip()], delimiter=separator), [])


def _separator(header: str) -> str:
    return max(",\t;|", key=header.count)
