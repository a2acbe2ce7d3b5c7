"""Anyone's texts, one rule for all commands: what a row's text is, and its id.

JSON lines, JSON arrays, Parquet and tables (CSV, TSV) need `text`; `id`, `url`, `host` and `karma`
are optional. The settings may name other fields for the text and the id. In a text file documents
are separated by `<|endoftext|>`; without it the whole file is one. A file that is not UTF-8 is read
in one charset (charsets.py). A text in which nothing is to be seen is a drop.

A row whose id is missing, blank, NaN or no name at all is named by its file and line, as
`texts.jsonl:3`. What was mended or left out without a drop is counted in `odd`, and told once.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from pipeline.characters import without_ignorable
from pipeline.charsets import (
    CHARSET,
    GUESS,
    LONE,
    MIXED,
    MIXED_SHARE_MAX,
    REPLACED,
    FileDecoder,
    charset_of,
)
from pipeline.errors import InputError
from pipeline.formats import format_of, named_as, wide_codec
from pipeline.lines import Lines
from pipeline.links import loose
from pipeline.reasons import Drop, Reason
from pipeline.rows import HALF_PAIRS, array_rows, fields_at, json_rows, parquet_rows
from pipeline.settings import OTHER_FIELDS, TextsSettings
from pipeline.tables import table_rows
from pipeline.tokens.tokenizer import END_OF_TEXT

Odd = Counter[tuple[str, str]]  # rows (or files) by what was odd and the file's name
FALLEN_SHARE_MAX = 0.5  # of a file's rows; more, and the file is hardly what it was taken for
# A document is held in memory some five times over, and its column holds 2 GiB of UTF-8.
DOCUMENT_BYTES_MAX = 1 << 30
WHOLE_MAX = 2**63 - 1  # a column of whole numbers holds no larger one
_EMPTY, _JSON_IN_TEXT, _NO_ID = "empty", "JSON in text", "no id"
_NO_ADDRESS, _MARKUP, _JSON_AS_TEXT, _TABLE = "no address", "markup", "JSON as text", "table"
TABLE_LINES, TABLE_LINES_MIN = 20, 3  # looked at; fewer may be alike by chance
_SENTENCES = {
    _EMPTY: "an empty file, which gives no row",
    _JSON_IN_TEXT: "JSON by its content, whatever its name says; it is read so",
    _NO_ID: "rows without an id of their own are named by file and line",
    _NO_ADDRESS: "a `url` or `host` that is no text is left out",
    _MARKUP: "HTML or XML, whose tags are taken for text; `webtext extract` makes texts of HTML",
    _JSON_AS_TEXT: "it begins like JSON and is taken for text; JSON lines need `text` in each",
    _TABLE: "lines like a table's, taken for one text; a file named .csv gives rows",
    HALF_PAIRS: "half of a surrogate pair has become U+FFFD",
    CHARSET: "not UTF-8; read as",
    GUESS: "not UTF-8; little tells in what it is written, the guess is",
    LONE: "UTF-8 with wrong bytes; lone ones are read as windows-1252",
    MIXED: "lines in UTF-8 beside others; each is read as what it is",
    REPLACED: "bytes that mean nothing have become U+FFFD",
}
_TAGS = re.compile(r"\s*<(?:!doctype|html|\?xml|rss|mediawiki)\b", re.IGNORECASE)
_JSON = re.compile(r'\s*[\[{][\[{\s]*"')
_NO_TEXT = Drop(Reason.TEXT_MISSING)


class Row(msgspec.Struct):
    """What is read of a row."""

    text: Any = None
    id: Any = None
    url: Any = None
    host: Any = None
    karma: Any = None


class Found(NamedTuple):
    """A row of a file: its place ("line 3"), its id as given or by place, and what it holds.

    Of a Row `text`, `url` and `host` are strings; `karma` is as it was given.
    """

    place: str
    id: str | int
    row: Row | Drop


def read_texts(path: Path, name: str, rules: TextsSettings, odd: Odd) -> Iterator[Found]:
    """The file's rows in its order; `name` is what its rows are named by.

    Raises InputError for a file that is missing, torn or damaged, and for one that is none of the
    formats (see formats.py).
    """
    form = format_of(path, rules.text_field)
    own_ids, id_of = rules.ids == "given", _id_attribute(rules.id_field)
    mended: Counter[str] = Counter()
    told_fields = form in ("parquet", "table")
    if form == "empty":
        odd[_EMPTY, name] += 1
    if form.startswith("JSON") and named_as(path) == "text":
        odd[_JSON_IN_TEXT, name] += 1
    for place, row in _rows(path, form, rules, mended):
        given = given_id(getattr(row, id_of)) if isinstance(row, Row) and own_ids else None
        if given is None and own_ids and isinstance(row, Row) and form != "text":
            odd[_NO_ID, name] += 1
        id = f"{name}:{place.split()[1]}" if given is None else given
        found = row if isinstance(row, Drop) else _checked(row, name, rules.text_field, odd)
        if found is _NO_TEXT:
            detail = f"it has no `{rules.text_field}`"
            if not told_fields:
                detail, told_fields = _without_text(path, place, rules.text_field), True
            found = Drop(_NO_TEXT.reason, detail)
        yield Found(place, id, found)
    for what, count in mended.items():
        odd[what, name] += count


@cache
def row_kind(text_field: str, id_field: str) -> type[Row]:
    """A Row whose `text` and `id` are read from these fields."""
    if (text_field, id_field) == ("text", "id"):
        return Row
    renamed = (
        {"text": text_field} if id_field in OTHER_FIELDS else {"text": text_field, "id": id_field}
    )
    own = [(field, Any, None) for field in Row.__struct_fields__]
    made: Any = msgspec.defstruct("_Row", own, bases=(Row,), rename=renamed)
    kind: type[Row] = made
    return kind


def _id_attribute(id_field: str) -> str:
    """Where a Row has its id: the URL may be it, and is the URL too."""
    return id_field if id_field in OTHER_FIELDS else "id"


def _rows(
    path: Path, form: str, rules: TextsSettings, mended: Counter[str]
) -> Iterator[tuple[str, Row | Drop]]:
    kind = row_kind(rules.text_field, rules.id_field)
    match form:
        case "parquet":
            mend = "name the column that holds it by --text-field"
            yield from parquet_rows(path, kind, (rules.text_field,), mend)
        case "JSON array":
            try:
                yield from array_rows(path, kind, mended)
            except InputError as error:
                if not isinstance(error.__cause__, UnicodeDecodeError):
                    raise
                name = charset_of(path).name.upper()
                mend = f"`iconv -f {name} -t UTF-8 FILE > NEW` mends most."
                raise InputError(path, error.place, error.problem, mend) from None
        case "JSON lines":
            with Lines(path) as lines:
                decode = FileDecoder(path, mended)
                yield from json_rows(enumerate(lines, 1), kind, mended, decode)
        case "table":
            for number, values in table_rows(path, rules.text_field, mended):
                row = values if isinstance(values, Drop) else msgspec.convert(values, kind)
                yield f"row {number}", row
        case "text":
            yield from documents_in(path, mended)


def _checked(row: Row, name: str, text_field: str, odd: Odd) -> Row | Drop:
    if row.text is None:
        return _NO_TEXT
    if isinstance(row.text, bytes):
        return Drop(Reason.CHARSET_UNKNOWN, f"its `{text_field}` is binary, and not UTF-8")
    if not isinstance(row.text, str):
        return Drop(Reason.TEXT_MISSING, f"its `{text_field}` is of type {type(row.text).__name__}")
    if _is_blank(row.text):
        return Drop(Reason.EMPTY_TEXT)
    for field in ("url", "host"):
        value = getattr(row, field)
        if not isinstance(value, str):
            missing = value is None or value != value  # NaN, as pandas has it
            odd[_NO_ADDRESS, name] += not missing
            setattr(row, field, "")
    return row


def _is_blank(text: str) -> bool:
    """Whether nothing of the text is seen; most texts show it by their first characters."""
    return not any(without_ignorable(piece).strip() for piece in (text[:99], text))


def _without_text(path: Path, place: str, text_field: str) -> str:
    """What a row has in the place of its text, and which field may be meant."""
    fields = fields_at(path, place)
    if text_field in fields:
        return f"its `{text_field}` is null"
    strings = {name: value for name, value in fields.items() if isinstance(value, str)}
    longest = max(
        strings.keys() - {"id", "url", "host"}, key=lambda name: len(strings[name]), default=""
    )
    mend = f"; --text-field {longest} takes that one" if longest else ""
    names = f"; its fields are {', '.join(fields)[:200]}" if fields else ""
    mend = mend if longest.isidentifier() else _mend_of_nested(fields, text_field)
    return f"it has no `{text_field}`{names}{mend}"


def _mend_of_nested(fields: dict[str, Any], text_field: str) -> str:
    """How to lift a text out of an object within the row; "" where there is none."""
    name = text_field.rpartition(".")[2]
    for outer, value in fields.items():
        within = isinstance(value, dict) and isinstance(value.get(name), str)
        if within and name.isidentifier() and outer.isidentifier():
            return f"; `jq -c '.{name} = .{outer}.{name}' FILE > NEW.jsonl` lifts that of `{outer}`"
    return ""


def given_id(value: Any) -> str | int | None:
    """The id that a row gives; None where it gives none: null, blank, NaN, a boolean, a list.

    A whole number is one whatever its type: pandas makes 17.0 of 17 where another row has none.
    Bytes are text where they are UTF-8, else hexadecimal digits.
    """
    match value:
        case bool():
            return None
        case int():
            return value
        case str():
            return value if value.strip() else None
        case float() if math.isfinite(value):
            return int(value) if value.is_integer() else str(value)
        case Decimal() if value.is_finite():
            return int(value) if value == value.to_integral_value() else str(value)
        case bytes():
            return value.hex() or None
        case UUID():
            return str(value)
    return None


def whole_number(value: Any) -> int | None:
    """A whole number whatever its type, 0 where there is none; None for what is another thing.

    "null" and its like are none, and "1,234" has thousands (see links/loose.py).
    """
    if value is None or (isinstance(value, str) and loose.is_null(value)):
        return 0
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        return 0 if math.isnan(value) else None
    return loose.whole(value, WHOLE_MAX + 1)


def documents_in(path: Path, mended: Counter[str]) -> Iterator[tuple[str, Row | Drop]]:
    """The documents of a text file, with their places ("document 3"); `mended` counts what was odd.

    Raises InputError for one of more than DOCUMENT_BYTES_MAX, and as Lines does.
    """
    number = 0
    decode = FileDecoder(path, mended)
    with Lines(path) as file:
        try:
            for number, piece in enumerate(_between(file.chunks(), END_OF_TEXT), 1):
                found = decode(piece)
                if isinstance(found, Drop):
                    yield f"document {number}", found
                elif text := found.strip("\r\n"):
                    mended[_MARKUP] += bool(_TAGS.match(text))
                    mended[_JSON_AS_TEXT] += bool(_JSON.match(text))
                    mended[_TABLE] += _is_like_a_table(text)
                    yield f"document {number}", Row(text)
        except OverflowError:
            problem = f"this document has more than {DOCUMENT_BYTES_MAX >> 20} MiB"
            mend = f"Separate its parts by {END_OF_TEXT}."
            raise InputError(path, f"document {number + 1}", problem, mend) from None


def _is_like_a_table(text: str) -> bool:
    """Whether all of the first lines have equally many tabs, or of other separators two or more."""
    lines = set(text[: 1 << 16].splitlines()[:TABLE_LINES])
    for separator, least in (("\t", 1), (";", 2), (",", 2)):
        counts = {line.count(separator) - line.count(f"{separator} ") for line in lines}
        if len(lines) >= TABLE_LINES_MIN and len(counts) == 1 and min(counts) >= least:
            return True
    return False


def _between(chunks: Iterable[bytes], separator: str) -> Iterator[bytes]:
    """What lies between separators. In UTF-16 each piece begins with a byte order mark.

    Raises OverflowError for one of more than DOCUMENT_BYTES_MAX.
    """
    waiting, mark = bytearray(), b""
    cut = separator.encode()
    for number, chunk in enumerate(chunks):
        if number == 0 and (codec := wide_codec(chunk)):
            mark, cut = "\ufeff".encode(codec), separator.encode(codec)
        seen = max(0, len(waiting) - len(cut) + 1)
        waiting += chunk
        while (at := waiting.find(cut, seen)) >= 0:
            yield mark + waiting[:at]
            del waiting[: at + len(cut)]
            seen = 0
        if len(waiting) > DOCUMENT_BYTES_MAX:
            raise OverflowError
    yield mark + waiting


def fallen(name: str, rows: int, drops: Counter[str], first: str) -> str:
    """The message of a quality gate where most of a file's rows were dropped, else "".

    Where they are in several encodings, MIXED_SHARE_MAX of them are enough: iconv helps them all.
    `first` is the place of the first drop, and what is known of it.
    """
    dropped, reason = sum(drops.values()), Reason.OTHER_CHARSET
    if dropped > FALLEN_SHARE_MAX * rows:
        reason = Reason(drops.most_common(1)[0][0])
    elif drops[reason] <= MIXED_SHARE_MAX * rows:
        return ""
    return (
        f"{name}: {dropped:,} of {rows:,} rows were dropped, {drops[reason]:,} of them as {reason} "
        f"({reason.sentence}) The first: {first}"
    )


def told(odd: Odd) -> list[str]:
    """A sentence for each kind of odd thing, with the first of its files."""
    sums: dict[str, Counter[str]] = {}
    for (what, name), count in sorted(odd.items()):
        if count:
            sums.setdefault(what, Counter())[name] += count
    return [_sentence(what, counts) for what, counts in sums.items()]


def _sentence(what: str, counts: Counter[str]) -> str:
    first, others = next(iter(counts)), len(counts) - 1
    kind, _, charset = what.partition(" ") if what.startswith((CHARSET, GUESS)) else (what, "", "")
    files = first + (f" and {others:,} more" if others else "")
    return f"{files}: {_SENTENCES[kind]}{charset and ' '}{charset} ({sum(counts.values()):,})"
