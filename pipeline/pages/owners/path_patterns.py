"""Paths and the patterns that match them, as robots.txt writes both (RFC 9309, 2.2.2 and 2.2.3).

`*` stands for any characters, `$` at the end for the end of the path; else a pattern is a prefix.
Matching takes time by the length of the path, whatever the pattern: it is found piece by piece.
"""

import re
from urllib.parse import quote

_AFTER_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT = "".join(chr(code) for code in range(0x21, 0x7F))  # the rest is escaped as UTF-8


def path_of(url: str) -> str:
    """The path of a URL with its query, in the form in which paths are compared.

    Needless escapes are undone, all others made: two spellings of one path are equal.
    """
    rest = _AFTER_AUTHORITY.sub("", url, count=1).partition("#")[0]
    path = _normal(rest if rest.startswith("/") else f"/{rest}")
    return path.replace("*", "%2A").replace("$", "%24")


def pattern_of(text: str) -> str:
    """A pattern as an owner wrote it, in the same form."""
    pattern = _normal(text)
    return pattern[:-1].replace("$", "%24") + pattern[-1:]


def matches(pattern: str, path: str) -> bool:
    """Whether the pattern (of `pattern_of`) matches this path (of `path_of`)."""
    is_whole = pattern.endswith("$")
    first, *pieces = (pattern[:-1] if is_whole else pattern).split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    if not pieces:
        return not is_whole or at == len(path)
    *between, last = pieces
    for piece in between:
        at = path.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    if is_whole:
        return path.endswith(last) and len(path) - len(last) >= at
    return path.find(last, at) >= 0


def _normal(path: str) -> str:
    return quote(_ESCAPE.sub(_unescaped, path), safe=_KEPT)


def _unescaped(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()
