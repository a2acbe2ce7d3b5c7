"""JSON as people's programs write it, read as what it means where that is sure.

NaN, control characters within strings (a raw tab, ISO-2022-JP's escapes), numbers of any length,
a comma behind a line's object, and the sign of RFC 7464 before it. What JSON itself allows is read
elsewhere, at full speed.
"""

import json
from typing import Any

DIGITS_MAX = 4300  # Python's limit for whole numbers as text


def whole_number(digits: str) -> int | float:
    """The number that these digits are; one of more than DIGITS_MAX is infinite."""
    return int(digits) if len(digits) <= DIGITS_MAX else float(digits)


DECODER = json.JSONDecoder(strict=False, parse_int=whole_number)


def line_value(line: str) -> Any:
    """The value on a line. Raises ValueError and RecursionError as `json.loads` does."""
    return DECODER.decode(line.strip("\ufeff\x1e \t\r\n").removesuffix(","))
