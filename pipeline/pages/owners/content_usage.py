"""The statement of preference of AIPREF: a dictionary of structured fields (RFC 9651, 3.2).

draft-ietf-aipref-vocab-08 (14 September 2026) has two categories, `train-ai` and `search`, each
`y` or `n`; other keys, other values and parameters are passed over. If any of it cannot be parsed,
nothing is said.
"""

import re

TRAIN_AI = "train-ai"

_KEY = r"[a-z*][a-z0-9_\-.*]*+"
_TOKEN = r"[A-Za-z*][A-Za-z0-9!#$%&'*+\-.^_`|~:/]*+"
_ITEM = (
    r"(?>-?(?:\d{1,12}\.\d{1,3}|\d{1,15})"  # a decimal, an integer
    r'|"(?:[ !#-\[\]-~]|\\["\\])*+"'  # a string
    rf"|{_TOKEN}"
    r"|:[A-Za-z0-9+/=]*+:"  # bytes
    r"|\?[01]"  # a boolean
    r"|@-?\d{1,15}"  # a date
    r'|%"(?:[ !#$&-~]|%[0-9a-f]{2})*+")'  # a display string
)
_PARAMETERS = rf"(?:;\x20*+{_KEY}(?:={_ITEM})?)*+"
_INNER_LIST = rf"\(\x20*+(?:{_ITEM}{_PARAMETERS}(?:\x20++|(?=\))))*+\)"
_MEMBER = re.compile(rf"({_KEY})(?:=({_ITEM}|{_INNER_LIST}))?{_PARAMETERS}")
_COMMA = re.compile(r"[ \t]*+,[ \t]*+")


def usage_of(value: str) -> dict[str, bool]:
    """What is allowed (True) and what is not, by category; categories left out are unsaid.

    `value` is a header's, its lines joined by commas, or that of a rule of robots.txt. Of a key
    that comes twice the last one holds, as RFC 9651 says.
    """
    said: dict[str, str] = {}
    value = value.strip(" ")
    at = 0
    while at < len(value):
        member = _MEMBER.match(value, at)
        if not member:
            return {}
        said[member[1]] = member[2] or "?1"
        at = member.end()
        if at < len(value):
            comma = _COMMA.match(value, at)
            if not comma or comma.end() == len(value):
                return {}
            at = comma.end()
    return {key: token == "y" for key, token in said.items() if token in ("y", "n")}
