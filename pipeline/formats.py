"""What a file of texts is, told by its bytes: Parquet, JSON lines or array, table, text, nothing.

The name decides only where the bytes leave a choice: a file called .jsonl whose lines are all
broken is JSON lines, and one called .txt that holds one object over several lines is text. What is
none of these (an archive, JSON in UTF-16) is an InputError that says what to do.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pipeline.bucket_file import InputFile
from pipeline.errors import InputError
from pipeline.lines import Lines
from pipeline.loose_json import line_value

Format = Literal["parquet", "JSON lines", "JSON array", "table", "text", "empty"]

HEAD_BYTES = 1 << 16  # the format is told by these; only a longer first line is read on
LINES_TRIED = 20  # are looked at
FAR_BYTES = 4 << 20  # as far as is read on where lines are longer than the head
WIDE_ZEROS_MIN, WIDE_ZEROS_MAX = 0.4, 0.1  # UTF-16 has zeros in every other byte, text in none
UTF32_ZEROS_MIN = 0.7  # UTF-32 in three of four
UTF7_RUNS_MIN = 5  # letters in UTF-7; fewer may be signs and digits by chance

_PACKED = (".gz", ".bz2", ".xz", ".zst")
_NAMED = {
    **dict.fromkeys((".jsonl", ".jsonlines", ".ndjson", ".jl", ".json"), "JSON"),
    **dict.fromkeys((".txt", ".text", ".md"), "text"),
    **dict.fromkeys((".csv", ".tsv"), "a table"),
}
# (at which byte, what stands there, what the file is, what to do with a file of texts)
FOREIGN = (
    (0, b"PK\x03\x04", "a zip archive", "Unpack it"),
    (0, b"7z\xbc\xaf", "a 7z archive", "Unpack it"),
    (257, b"ustar", "a tar archive", "Unpack it"),
    (0, b"PAR1", "a Parquet file within another container", "Unpack it"),
    (0, b"\x04\x22\x4d\x18", "compressed by lz4", "Decompress it"),
    (0, b"ARROW1", "an Arrow file", "Write it as Parquet"),
    (
        0,
        b"\xff\xff\xff\xff",
        "a stream of Arrow, as `save_to_disk` writes it",
        "Write it as Parquet",
    ),
    (0, b"FEA1", "a Feather file", "Write it as Parquet"),
    (0, b"ORC", "an ORC file", "Write it as Parquet"),
    (0, b"\x80\x04\x95", "a pickle", "Write its texts as Parquet or JSON lines"),
    (0, b"\x80\x05\x95", "a pickle", "Write its texts as Parquet or JSON lines"),
    (0, b"Obj\x01", "an Avro file", "Write it as Parquet or JSON lines"),
    (0, b"SQLite format 3", "a database", "Export its texts as JSON lines"),
    (0, b"%PDF-", "a PDF", "Take its text out with another program"),
    (0, b"WARC/", "a WARC file", "`webtext extract` makes texts of it"),
    (0, b"{\\rtf", "rich text (RTF)", "Save it as plain text in UTF-8"),
    (0, b"\xd0\xcf\x11\xe0", "a document of Word 97", "Save it as plain text in UTF-8"),
    *(
        (0, magic, f"compressed twice ({kind} within)", "Decompress it once")
        for magic, kind in (
            (b"\x1f\x8b\x08", "gzip"),
            (b"\x28\xb5\x2f\xfd", "zstd"),
            (b"\xfd7zXZ\0", "xz"),
            (b"BZh91AY&SY", "bzip2"),
        )
    ),
)
_MARKS = (  # those of UTF-32 begin like those of UTF-16
    (b"\xff\xfe\0\0", "utf-32-le"),
    (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_KOREAN = b"\x1b$)C"
_UTF7 = re.compile(r"\+[A-Za-z0-9+/]{3,}-")
ARRAY = re.compile(r'\[[\s,]*\{\s*["}]')  # of objects
_OBJECT = re.compile(r'\{\s*"((?:[^"\\]|\\.)*)"\s*:\s*(\[?)')
_GOES_ON = re.compile(r'\}\s*\{\s*"|[\[{,]\s*$')  # two objects on a line, one on several
_HEADER = re.compile(r'"?[\w.-]*"?(?:[,;\t]"?[\w.-]*"?)+')  # of a table
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f]")
CONTROL_SHARE_MAX = 0.01  # text has none or a few; binary files have 10 % and more
MEND_LINES = "`jq -c . FILE > NEW.jsonl` writes one object a line"


def format_of(path: Path, text_field: str = "text") -> Format:
    """What the file holds. Raises InputError for what is none of the formats, and as Lines does.

    `text_field` is the field of the texts, by which rows are known where the name says nothing.
    """
    if path.is_file() and path.stat().st_size == 0:
        return "empty"
    if starts_as_parquet(path):
        return "parquet"
    head = next(_chunks(path, HEAD_BYTES), b"")
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        return "empty" if len(head) < HEAD_BYTES else "text"
    for start, magic, what, mend in FOREIGN:
        if head.startswith(magic, start):
            raise InputError(path, "", f"it is {what}", mend + ".")
    codec = wide_codec(head)
    text = head.decode(codec or _escape_codec(head), "replace").lstrip("\ufeff \t\r\n")
    if not text:
        return "empty"
    if unread := codec if codec.startswith("utf-32") else _foreign_escapes(head, text):
        raise _to_utf8(path, "it is in {}, and must be in UTF-8", unread)
    named = named_as(path)
    is_table = _is_table(text, named, text_field)
    if codec and is_table:
        raise _to_utf8(path, "it is a table in {}, and must be in UTF-8", codec)
    if is_table:
        return "table"
    if codec and (named == "JSON" or _OBJECT.match(text) or ARRAY.match(text)):
        raise _to_utf8(path, "it is JSON in UTF-16, and must be in UTF-8", codec)
    if named == "JSON" or text[0] in "{[" or _is_mostly_rows(_lines(path, text, head), text_field):
        return _json_format(path, text, head, named, text_field)
    if len(_CONTROL.findall(text)) > CONTROL_SHARE_MAX * len(text):
        raise InputError(path, "", "it is a binary file", "Name files of texts.")
    return "text"


def named_as(path: Path) -> str:
    """What the name's ending says: "JSON", "text", "a table", or "" where it says none of these."""
    return _NAMED.get(ending_of(path), "")


def ending_of(path: Path) -> str:
    """The name's ending in lower case, without those of packing: ".jsonl" of "A.JSONL.gz"."""
    endings = [ending.lower() for ending in path.suffixes]
    while endings and endings[-1] in _PACKED:
        endings.pop()
    return endings[-1] if endings else ""


def wide_codec(head: bytes) -> str:
    """The codec of UTF-16 or UTF-32 where a file begins like that, marked or not; else ""."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return codec
    if head.count(0) > UTF32_ZEROS_MIN * len(head):
        first, last = (head[at::4].count(0) < WIDE_ZEROS_MAX * len(head) / 4 for at in (0, 3))
        return "utf-32-le" if first else "utf-32-be" if last else ""
    half = max(1, len(head) // 2)
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if odd > WIDE_ZEROS_MIN and even < WIDE_ZEROS_MAX:
        return "utf-16-le"
    return "utf-16-be" if even > WIDE_ZEROS_MIN and odd < WIDE_ZEROS_MAX else ""


def _escape_codec(head: bytes) -> str:
    return "iso2022_jp" if b"\x1b$" in head else "utf-8"


def _foreign_escapes(head: bytes, text: str) -> str:
    """utf-7 where letters are written as in it (`+AOk-` for é), iso-2022-kr by its mark; or ""."""
    if _KOREAN in head:
        return "iso-2022-kr"
    runs = _UTF7.findall(text) if text.isascii() else []
    found = len(runs) >= UTF7_RUNS_MIN and all(map(_is_letter_of_utf7, runs))
    return "utf-7" if found else ""


def _is_letter_of_utf7(run: str) -> bool:
    try:
        return not run.encode().decode("utf-7").isascii()
    except UnicodeDecodeError:
        return False


def _to_utf8(path: Path, problem: str, codec: str) -> InputError:
    mend = f"`iconv -f {codec.upper()} -t UTF-8 FILE > NEW` makes it so."
    return InputError(path, "", problem.format(codec.upper()), mend)


def starts_as_parquet(path: InputFile) -> bool:
    """Whether the file's first bytes are Parquet's; no, where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False  # Lines says why it cannot be read


def _chunks(path: Path, size: int) -> Iterator[bytes]:
    with Lines(path) as file:
        yield from file.chunks(size)


def _is_table(text: str, named: str, text_field: str) -> bool:
    """By its name, or by a header that names the column of texts."""
    header, _, rest = text.partition("\n")
    header = header.strip()
    columns = re.split(r"[,;\t]", header.lower().replace('"', ""))
    has_header = bool(rest and _HEADER.fullmatch(header)) and text_field.lower() in columns
    return named == "a table" or has_header


def _json_format(path: Path, text: str, head: bytes, named: str, text_field: str) -> Format:
    """JSON lines, an array, or text that only looks like it; other JSON is refused."""
    if ARRAY.match(text) or (named == "JSON" and text.startswith("[")):
        return "JSON array"
    tried = _lines(path, text, head)
    rows = [row for line in tried if (row := _object(line)) is not None]
    if named == "text":  # of which some begins with a brace by chance
        return "JSON lines" if _is_mostly_rows(tried, text_field) else "text"
    if len(tried) == 1 and rows and text_field not in rows[0]:
        _refuse_list_within(path, rows[0])
    started = _OBJECT.match(text)
    if not started or _object(tried[0]):
        return "JSON lines" if rows or named == "JSON" else "text"
    goes_on = _GOES_ON.search(tried[0])
    if not (goes_on and started[2]) and _is_mostly_rows(tried, text_field):
        return "JSON lines"  # the first of whose rows is broken
    if all(map(_OBJECT.match, tried)) and not goes_on:
        return "JSON lines"  # all of which are broken, as far as was looked
    if started[2]:
        raise _list_within(path, started[1])
    mend = MEND_LINES + ("." if named else "; if it is text, name it .txt.")
    raise InputError(path, "line 1", "its objects are not one a line", mend)


def _is_mostly_rows(lines: list[str], text_field: str) -> bool:
    """Whether more than half of the lines are objects with a text."""
    rows = [row for line in lines if (row := _object(line)) is not None and text_field in row]
    return 2 * len(rows) > len(lines)


def _lines(path: Path, text: str, head: bytes) -> list[str]:
    """The first lines that are not blank, as far as the head holds them whole.

    Where it holds one at most, the file is read on, but not for ever.
    """
    lines = text.split("\n")
    if len(head) >= HEAD_BYTES:
        lines.pop()  # cut where the head ends
        if len(lines) < 2 and text[0] in "{[":
            lines = _far_lines(path)
    return [line for line in lines if line.strip()][:LINES_TRIED]


def _far_lines(path: Path) -> list[str]:
    """Lines from within FAR_BYTES, and the first one in any case."""
    found: list[str] = []
    read = 0
    with Lines(path) as lines:
        for line in lines:
            read += len(line)
            if (found and read > FAR_BYTES) or len(found) == LINES_TRIED:
                break
            if line.strip():
                found.append(line.decode("utf-8", "replace").lstrip("\ufeff"))
    return found


def _object(line: str) -> dict[str, Any] | None:
    """The line's object; None where it is none, or empty."""
    try:
        row = line_value(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and row else None


def _refuse_list_within(path: Path, row: dict[str, Any]) -> None:
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            raise _list_within(path, key)


def _list_within(path: Path, key: str) -> InputError:
    problem = f"it is one JSON object, whose rows are in a list, {key!r}"
    mend = f"`jq -c '.[{json.dumps(key)}][]' FILE > NEW.jsonl` writes one object a line."
    return InputError(path, "line 1", problem, mend)
