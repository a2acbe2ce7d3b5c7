"""The charset that a page declares in its own first bytes.

As in the HTML standard's "prescan a byte stream to determine its encoding" (13.2.3.2): comments
declare nothing, a `<meta>` only by `charset`, or by `content` beside http-equiv=Content-Type; the
first whose label is known counts, and only after all of them an XML declaration, where the page
begins with it. Other than there, what stands in a script, style or title is no tag, as it is none
in the tree from which browsers correct the prescan.
"""

import re

from pipeline.documents.labels import NAME_OF_LABEL

# Browsers look at 1,024 bytes, and start again where <meta> comes later, however late. The tags
# after the first bytes are read only where one of them may declare a charset.
SEARCH_BYTES = 8192
LATE_BYTES = 1 << 20
_LATE = re.compile(rb"<meta\b[^<>]{0,500}?charset[^<>]{0,100}>?", re.IGNORECASE)

_TAG = re.compile(r"<(?:(!--)|(/?[a-zA-Z][^\s/>]*+)|[!/?])")
_RAW = frozenset("script style title textarea xmp".split())
_ATTRIBUTE = re.compile(
    r"[\s/]*+([^\s/>][^\s/>=]*+)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>][^\s>]*+)?))?"
)
_CONTENT = re.compile(r"charset\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s;\"'][^\s;]*+))", re.I)
_XML = re.compile(r"<\?xml\s[^>]*?\bencoding\s*+=\s*+(?:\"([^\"<>]*+)\"|'([^'<>]*+)')")


def declared_charset(body: bytes) -> str:
    """Name the charset by the Encoding Standard, "" where the page names none that is known."""
    text = body[:SEARCH_BYTES].decode("latin-1")
    if label := _meta_charset(text):
        return label
    late = max((found.end() for found in _LATE.finditer(body, 0, LATE_BYTES)), default=0)
    if late > SEARCH_BYTES and (label := _meta_charset(body[:late].decode("latin-1"))):
        return label
    xml = _XML.match(text)
    return _name(xml[1] or xml[2]) if xml else ""


def _meta_charset(text: str) -> str:
    """What the first `<meta>` declares whose label is known, else ""."""
    at, lower = 0, text.lower()
    while found := _TAG.search(text, at):
        if found[1]:
            # "<!-->" is a whole comment.
            at = _after(text, "-->", found.start() + 2)
        elif not found[2]:
            at = _after(text, ">", found.end())
        else:
            attributes, at = _attributes(text, found.end())
            name = found[2].lower()
            if name == "meta" and (label := _declared(attributes)):
                return label
            if name in _RAW:
                at = _after(lower, f"</{name}", at) if at < len(text) else at
    return ""


def _after(text: str, end: str, at: int) -> int:
    found = text.find(end, at)
    return len(text) if found < 0 else found + len(end)


def _attributes(text: str, at: int) -> tuple[dict[str, str], int]:
    """The attributes from here to the tag's end, the first of each name, and the end's place."""
    attributes: dict[str, str] = {}
    while found := _ATTRIBUTE.match(text, at):
        value = found[2] or found[3] or found[4] or ""
        attributes.setdefault(found[1].lower(), value)
        at = found.end()
    return attributes, at


def _declared(attributes: dict[str, str]) -> str:
    if "charset" in attributes:
        return _name(attributes["charset"])
    if attributes.get("http-equiv", "").strip().lower() != "content-type":
        return ""
    found = _CONTENT.search(attributes.get("content", ""))
    return _name(found[1] or found[2] or found[3] or "") if found else ""


def _name(label: str) -> str:
    name = NAME_OF_LABEL.get(label.strip().lower(), "")
    # Whoever reads this in a <meta> does not read UTF-16: the standard takes it for UTF-8.
    return "utf-8" if name in ("utf-16be", "utf-16le") else name
