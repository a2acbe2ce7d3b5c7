"""Text that is served as HTML and is another kind of file: JSON, scripts, feeds, other XML.

The MIME Sniffing standard (mimesniff.spec.whatwg.org, 7.3) tells feeds from HTML by the first
element. For the rest it has no rule: a browser shows whatever is called text/html. Here a page is
called none only where its beginning is sure; what begins with markup or with prose is a page.
"""

import json
import re

_COMMENTS = {"//": "\n", "/*": "*/"}
_SPACE = " \t\r\n\f\ufeff"
# A page whose first script or style lost its tags still has its own head on a line of its own.
_HEAD = re.compile(r"(?mi)^[ \t]*+(?:<!doctype\s+html|<html|<head\b|<body|</script|</style)")
_JSON_START = re.compile(
    r"\{\s*+(?:\"[^\"\n]{0,200}\"\s*+:|\})|\[\s*+(?:\{\s*+\"|\[\s*+[\[{\"\d]|\"[^\"\n]{0,200}\"\s*+,)"
)
# Before JSON that no other site's script is meant to read.
_JSON_GUARD = re.compile(r"(?:\)\]\}'?,?|while\s*\(1\);?|for\s*\(;;\);?)\s*+(?=[\[{])")
# Strings, since to compile them takes a fifth of the time of a page by hand, and nearly every page
# begins with markup; `re` remembers those that are asked.
_SCRIPT = r"""(?x)
    ["']use\ strict["']
    | (?:var|let|const)\s+[\w$]{1,99}\s*+(?:=[^=]|[,;])
    | (?:async\s+)?function\s*+[\w$]{0,99}\s*+\([\w$\s,]{0,999}\)\s*+\{
    | [;!+(]{1,3}\s*+(?:async\s*+)?(?:function\b|\([\w$\s,]{0,999}\)\s*+=>)
    | (?:window|document|self|module|exports|jQuery|\$)
      (?:\.[\w$]{1,99}){0,9}\s*+(?:=[^=]|\(\s*+["'\w$({])
    | [\w$]{1,99}(?:\.[\w$]{1,99}){1,9}\s*+=\s*+(?:function\b|new\s|[\[{"'\d]|[\w$.]{1,99}\s*\|\|)
    | [\w$]{1,99}(?:\.[\w$]{1,99}){0,9}\(\s*+(?:\{|\[\s*+[{\["']|function\b)
    | import\s++[^"'<;]{0,500}["'][^"'<\n]{1,200}["']\s*+[;\n]
    | export\s+(?:(?:default|const|function|class)\b|\*\s*+(?:as\s|from\b)|\{[\w$\s,]{0,999}\})
    | if\s*+\(\s*+!?(?:typeof|window|self|top|document)\b
    | try\s*+\{
    | [(!]\s*+(?:window|self|globalThis|this|document|top|parent)(?:\.[\w$]|\[["'])
    | (?:window|self|globalThis|this|exports)\[["'][^"'\n]{1,99}["']\]\s*+=[^=]
    | class\s+[\w$]{1,99}(?:\s+extends\s+[\w$.]{1,99})?\s*+\{
    | throw\s+new\s+[\w$.]{1,99}\s*+\(
    | typeof\s+[\w$.]{1,99}\s*+[!=]==?\s*+["']
    """
# Statements that prose may begin with too: sure only where the text also ends as a script does.
_STATEMENT = r"""(?x)
    [\w$]{1,99}\s*+=\s*+(?:\[|(?:"[^"\n]*+"|'[^'\n]*+')\s*+[;,+]|\{\s*+["'\w$}]|function\b|new\s|\(\s*+function\b)
    | new\s+[\w$.]{1,99}\s*+\(
    | [\w$]{1,99}(?:\.[\w$]{1,99}){0,9}\s*+\(\s*+["'\[]
    | [\w$.]{1,99}\s*+&&\s*+[\w$.]{1,99}\s*+\(
    | (?:if|for|while|switch)\s*+\([^<>\n]{1,200}\)\s*+\{
    | \(?[\w$]{1,99}\s*+=>\s*+[{(]
    """
_STATEMENT_ENDS = (";", "}", ")", "]", "*/")
_END_CHARS = 1000
_STYLE = (
    r"@(?:charset\s*+[\"']|(?:import|namespace)\s+(?:url\(|[\"'])"
    r"|(?:font-face|page)\s*+\{|(?:media|supports|layer|container|(?:-[a-z]+-)?keyframes)\s[^{<]{1,200}\{)"
    r"|(?:[a-zA-Z.#*:\[][^{}<;]{0,500}\{\s*+\}\s*+){0,9}"
    r"[a-zA-Z.#*:\[][^{}<;]{0,500}\{\s*+[*_]?(?:[a-z-]{2,40}|[A-Z-]{2,40})\s*+:"
    r"\s*+(?:[^;{}<\"']|\"[^\"\n]*+\"|'[^'\n]*+'){1,500}[;}]"
)
_SOURCE = (
    r"#!\s*+/(?:usr|bin|opt)/|#\s*+include\s*+[<\"]|diff --git |\\documentclass\b"
    r"|BEGIN:VC|-----BEGIN "
)
_BETWEEN = re.compile(r"[\s;,\ufeff]*+")
_ELEMENT = re.compile(r"<([A-Za-z_][\w.:-]{0,99})(?=[\s/>])")
# A document type with declarations of its own, up to their end.
_SUBSET = re.compile(
    r"<!DOCTYPE\s(?:[^\[\]\"'<>]++|\"[^\"]*+\"|'[^']*+')*+\["
    r"(?:[^\]\"'<]++|\"[^\"]*+\"|'[^']*+'|<!--.*?-->|<\?.*?\?>|<(?!!--|\?))*+\]",
    re.IGNORECASE | re.DOTALL,
)
_FEEDS = {"rss": "RSS", "feed": "Atom", "atom:feed": "Atom", "rdf:rdf": "RSS"}
_RDF_FEED = ("http://purl.org/rss/1.0/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#")
# Roots that mean the same with and without an XML declaration before them.
_XML_ROOTS = frozenset("urlset sitemapindex opml kml svg plist".split())
# With an XML declaration any root but these is no page.
_HTML_ROOTS = frozenset(
    "html head body title meta link base script style noscript div p span center font table tr td"
    " h1 h2 h3 h4 h5 h6 ul ol li dl a b i u em strong br hr img form article section main header"
    " nav footer aside pre blockquote frameset iframe wml small big address fieldset".split()
)


def other_kind(html: str) -> str:
    """Name the kind of file that this text is, "" where it is a page or nothing sure."""
    start = html.lstrip(_SPACE)
    if start.startswith("<"):
        return _xml_kind(start)
    if guard := _JSON_GUARD.match(start):
        start = start[guard.end() :]
    if _is_json(start):
        return "JSON"
    code = _after_comments(start)
    for kind, pattern in (("JavaScript", _SCRIPT), ("CSS", _STYLE), ("source code", _SOURCE)):
        if re.match(pattern, code) and not _HEAD.search(code):
            return kind
    if re.match(_STATEMENT, code) and _ends_as_script(code) and not _HEAD.search(code):
        return "JavaScript"
    return ""


def _ends_as_script(code: str) -> bool:
    end = code[-_END_CHARS:].rstrip(_SPACE)
    return end.endswith(_STATEMENT_ENDS) or end[end.rfind("\n") + 1 :].lstrip().startswith("//")


def _is_json(text: str) -> bool:
    """Tell one value, or one a line, from a page that begins with brackets."""
    decoder, at = json.JSONDecoder(), 0
    while text.startswith(("{", "["), at):
        try:
            _, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):  # cut off, or nearly JSON
            return bool(_JSON_START.match(text, at)) and not _HEAD.search(text)
        between = _BETWEEN.match(text, at)
        at = between.end() if between else at
    return at > 0 and at == len(text)


def _after_comments(text: str) -> str:
    at = 0
    while (end := _COMMENTS.get(text[at : at + 2])) and (found := text.find(end, at + 2)) >= 0:
        at = found + len(end)
        while at < len(text) and text[at] in _SPACE:
            at += 1
    return text[at:]


def _xml_kind(text: str) -> str:
    """What the first element says, past comments, declarations and instructions (mimesniff 7.3)."""
    at, declared, seen = 0, False, False
    while opening := next((mark for mark in ("<!--", "<!", "<?") if text.startswith(mark, at)), ""):
        if opening == "<!" and re.match(r"(?i)<!doctype\s+html\b", text[at : at + 40]):
            return ""
        declared |= text.startswith("<?xml", at)
        start = at + len(opening)
        if opening == "<!" and not seen:
            seen = True  # a document has one type: to look for more takes time without end
            subset = _SUBSET.match(text, at)
            start = subset.end() if subset else start
        end = {"<!--": "-->", "<!": ">", "<?": "?>"}[opening]
        found = text.find(end, start)
        if found < 0:
            return ""
        at = found + len(end)
        while at < len(text) and text[at] in _SPACE:
            at += 1
    element = _ELEMENT.match(text, at)
    if not element:
        return ""
    name = element[1].lower()
    if name in _FEEDS and (name != "rdf:rdf" or all(mark in text for mark in _RDF_FEED)):
        return _FEEDS[name]
    if name == "svg" and text[text.rfind("</svg>") :].removeprefix("</svg>").strip():
        return ""  # a fragment that begins with a drawing
    if name in _XML_ROOTS or (declared and name.split(":")[-1] not in _HTML_ROOTS):
        return f"XML ({element[1]})"
    return ""
