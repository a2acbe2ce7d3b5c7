"""The keys of many URLs at once: what `canonical` gives, mostly by regular expressions of RE2.

An index has many candidates for each link, so keys are most of the work. Nine of ten URLs are such
that their key is the URL without scheme, `www.` and last slash: Arrow makes those, three times as
fast as `canonical`, which makes the others. A property test holds both equal.
"""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.links.canonical import TRACKING_PARAMETERS, TRACKING_PREFIX, Canonical, canonical

_CHAR = r"[A-Za-z0-9._~!$()*+,=:@/&-]"
# Escapes that RFC 3986 wants, in capitals, and none among the last nine characters: there they may
# be an invisible character. Else `canonical` would change them.
_ESCAPED = r"%(?:2[0-9A-CF]|3[A-F]|[57][BCD]|[46]0|5E|7F|[0189A-F][0-9A-F])"
# No fragments, nor what else `canonical` may change; some path; no slash at the end of a query,
# which `_TAKEN_OFF` would take for the path's.
_PLAIN = (
    r"^https?://[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]+"
    rf"/(?:(?:{_CHAR}|\?|{_ESCAPED})*(?:{_CHAR}|\?){{9}}|(?:{_CHAR}|\?)+)$"
)
_INDEX_FILES = r"(?:index|default)\.(?:s?html?|php|aspx?|jsp|cfm)"
_TAKEN_OFF = rf"^https?://(?:www\.)?|/$|/(?i:{_INDEX_FILES})$"
_NAMES = "|".join(sorted(TRACKING_PARAMETERS)).replace(".", r"\.")
_NOT_PLAIN = (
    r"(?i)^https?://(?:[^/]*xn--|[^/]*\.https?/|www\.[^/.]*/)"  # punycode, x.http, www.com
    r"|//$|/\.|/\?|[?&]&"  # two slashes, dot segments, a slash before the query, empty parameters
    r"|^https?://[^/]*/(?:$|\?)|\?$|\?.*(?:/|&)$"  # no path; what ends with a query's own slash
    rf"|^https?://[^/]*/{_INDEX_FILES}$|\?.*/{_INDEX_FILES}$"  # the key has a slash
    rf"|[?&](?:{TRACKING_PREFIX}|(?:{_NAMES})(?:[=&]|$))"
)


def keys_of(urls: pa.Array) -> pa.Array:
    """The key of each URL, null where it has none; `urls` are strings without null."""
    plain = pc.match_substring_regex(urls, _PLAIN)
    others = pc.or_(pc.invert(plain), pc.match_substring_regex(urls, _NOT_PLAIN))
    keys = pc.replace_substring_regex(urls, _TAKEN_OFF, "")
    if not pc.any(others).as_py():
        return keys
    made = pa.array([_key(url) for url in urls.filter(others).to_pylist()], pa.string())
    return pc.replace_with_mask(keys, others, made)


def _key(url: str) -> str | None:
    page = canonical(url)
    return page.key if isinstance(page, Canonical) else None
