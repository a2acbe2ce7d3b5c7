"""Fields that went through a database or a spreadsheet, read as what they mean.

JSON's own types are read elsewhere (`submission.py`), at full speed; here are the words, the
numbers written as text and the times of everything that has passed through SQL, CSV or pandas.
What has no sure meaning is None, or a ValueError for a flag: never a guess.
"""

import ast
import json
import math
import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

TIME_MAX_S = 2**33  # the year 2242
META_CHARS_MAX = 1000  # a real one has about 100; Python's parser is not made for hostile text

# How null is written: SQL, JavaScript, Python, pandas, MySQL's and PostgreSQL's text dumps.
NULL_WORDS = frozenset(["", *"null none nan nat nil na n/a <na> (null) undefined \\n".split()])
# "\x01" and "\x00" are MySQL's BIT(1).
_TRUE_WORDS = frozenset([*"true t yes y on 1 1.0".split(), "\x01"])
_FALSE_WORDS = frozenset([*"false f no n off 0 0.0".split(), "\x00"])

_PAIR = {"key", "value"}  # how Spark and DuckDB write a map's entries

_NUMBER = re.compile(
    r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d{1,25})(?:\.\d*)?(?:[eE][+-]?\d{1,2})?", re.ASCII
)
_THREE_DECIMALS = re.compile(r"[+-]?\d{1,3}\.\d{3}", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def is_null(text: str) -> bool:
    """Whether a text only says that there is nothing."""
    return text.strip().lower() in NULL_WORDS


def flag(value: Any) -> bool | None:
    """True, False, or None where nothing is said; ValueError for what is none of these."""
    if value is None or type(value) is bool:
        return value
    if type(value) is float and math.isnan(value):
        return None
    word = str(value).strip(" \t\r\n").lower() if type(value) in (str, int, float) else "?"
    if word in NULL_WORDS:
        return None
    if word in _TRUE_WORDS:
        return True
    if word in _FALSE_WORDS:
        return False
    raise ValueError(f"{value!r} is neither true nor false")


def whole(value: Any, limit: int) -> int | None:
    """A whole number below the limit on either side, also one written as a float or as text.

    "1,234" has thousands; "1.234" and "1.000" may have them too, or decimals, so they are none.
    """
    if type(value) is str:
        value = _decimal(value)
    if type(value) is float and not math.isfinite(value):
        return None
    if type(value) not in (int, float, Decimal) or value != int(value):
        return None
    return int(value) if -limit < value < limit else None


def seconds(value: Any) -> int | None:
    """A time in seconds since 1970, from a number, its digits, or a date in ISO 8601.

    A date without a zone is UTC, as `created_utc` says. "1.4E+09" was rounded by a spreadsheet, and
    "05/01/2014" has two readings: no time.
    """
    if type(value) is str:
        moment = _MOMENT.fullmatch(value.strip())
        value = _moment_s(*moment.groups("")) if moment else _decimal(value)
        if type(value) is Decimal and value.as_tuple().exponent > 0:  # type: ignore[operator]
            return None
    if type(value) not in (int, float, Decimal) or not math.isfinite(value):
        return None
    return int(value) if -TIME_MAX_S < value < TIME_MAX_S else None


def text(value: Any) -> str:
    """A string without spaces around, or the digits of a whole number.

    "" for anything else, and for broken Unicode.
    """
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is int:
        return str(value)
    found = joined(value).strip() if type(value) is str else ""
    return found if is_unicode(found) else ""


def joined(value: str) -> str:
    """The text with its surrogate pairs as characters; half a pair stays."""
    if is_unicode(value):
        return value
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def is_unicode(value: str) -> bool:
    """Whether the text can be written: no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(value: str) -> str:
    """The text, in which half a surrogate pair is an escape."""
    return value if is_unicode(value) else value.encode("utf-8", "backslashreplace").decode()


def mapping(value: Any) -> dict[str, Any]:
    """An object, also in a list, as pairs, or written as JSON or as Python prints it.

    Empty where there is none; ValueError for a text or a list that begins like one and cannot be
    read.
    """
    if type(value) is str and value.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = _python(value)
    if type(value) is dict:
        return value
    if type(value) in (list, tuple):
        return dict(pair for item in value for pair in _pairs(item))
    return {}


def _pairs(item: Any) -> list[tuple[str, Any]]:
    """What an element of a list says of an object: {"a": 1}, {"key": "a", "value": 1}, ["a", 1]."""
    if type(item) is dict:
        return [(str(item["key"]), item["value"])] if item.keys() == _PAIR else list(item.items())
    if type(item) in (list, tuple) and len(item) == 2 and type(item[0]) is str:
        return [(item[0], item[1])]
    if item is None:
        return []
    raise ValueError(f"{str(item)[:40]!r} is no object")


def _python(source: str) -> Any:
    if len(source) <= META_CHARS_MAX:
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return ast.literal_eval(source)
    raise ValueError(f"{source[:40]!r} cannot be read")


def _decimal(source: str) -> Decimal | None:
    digits = source.strip().replace("\u2212", "-")  # the typographer's minus
    if _NUMBER.fullmatch(digits) is None or _THREE_DECIMALS.fullmatch(digits):
        return None
    return Decimal(digits.replace(",", ""))


def _moment_s(day: str, time: str, zone: str) -> int | None:
    zone = zone if zone[:1] in ("+", "-") else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{zone}")
    except ValueError:
        return None
    return math.floor(moment.astimezone(UTC).timestamp())
