"""The media type of a response, as the Fetch standard extracts it (fetch.spec.whatwg.org, 2.2.2).

All Content-Type lines and all members of their lists are read; the last that parses is taken, and
`*/*` is none. Type and subtype must be tokens, so what has no slash, or stands in quotes as a
whole, is no type: the bytes decide then, as in a browser.
"""

import re

from pipeline.pages.warc import Headers, all_values

# Members of a list: commas in quoted strings are not between two. A quote may lack its end.
_MEMBER = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))++')
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"({_TOKEN}/{_TOKEN})[\t\n\r ]*(?:;|\Z)")
_PARAMETER = re.compile(rf'[\t\n\r ]*({_TOKEN})=(?:"((?:[^"\\]|\\.)*+)[^;]*|([^;"]*))(?:;|\Z)')
_BETWEEN = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*+(?:"|\\?\Z))*+(?:;|\Z)')


def media_type(headers: Headers) -> tuple[str, str]:
    """The type in lower case without parameters, and its charset as written; "" where none is."""
    essence = charset = ""
    for member in _MEMBER.findall(all_values(headers, "content-type")):
        if not (found := _TYPE.match(member.strip("\t\n\r "))) or found[1] == "*/*":
            continue
        told = _charset(member.strip("\t\n\r "), found.end())
        if found[1].lower() != essence:
            charset = ""
        essence, charset = found[1].lower(), told or charset
    return essence, charset


def content_type(headers: Headers) -> str:
    """One Content-Type that says what all lines say: `type; charset=X`.

    Where that has no charset, the lines as they are: `text/html charset=X` is no type, and says it.
    """
    essence, charset = media_type(headers)
    return f"{essence}; charset={charset}" if charset else all_values(headers, "content-type")


def _charset(member: str, at: int) -> str:
    """The first parameter of this name after the type, which ends at `at`."""
    while at < len(member):
        found = _PARAMETER.match(member, at)
        if found and found[1].lower() == "charset":
            quoted, plain = found[2], found[3]
            value = re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain.rstrip("\t\n\r ")
            if value:
                return value
        at = found.end() if found else max(at + 1, _BETWEEN.match(member, at).end())  # type: ignore[union-attr]
    return ""
