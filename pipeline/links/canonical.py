"""One outbound URL in two forms: what is fetched (`url`), and what duplicates share (`key`).

Parsing is WHATWG's (can_ada), as browsers do it; a few merges on top. Both forms: HTML entities,
tabs, dot segments, case of scheme and host, default port, punycode, percent-encoding, fragments
but `#!`, tracking parameters (an exact list), empty queries, `;jsessionid`, credentials.
Key only: scheme, `www.`, index files, trailing slash. Never merged, since pages differ by them:
order of parameters, repeated or empty values, case of the path, mobile hosts, other ports,
`?12345`, `ref=`, `id=`, `source=`. courlan and w3lib merge some of those; OpenWebText's two
clones key by plain equality.

About half of Reddit's URLs are canonical but for the key: a regular expression recognises them
and saves the parser (1.4 instead of 5 us a URL); a property test holds both paths equal.
"""

import re
from typing import NamedTuple

import can_ada
import xxhash

from pipeline.reasons import Reason
from pipeline.records import Drop

# Names that only say where a click came from. Generic words (ref, source, cid, mod) are not here:
# they select content on many sites.
TRACKING_PARAMETERS = frozenset(
    """
    gclid gclsrc dclid gbraid wbraid gad_source _ga _gl fbclid msclkid twclid ttclid igshid igsh
    mibextid yclid ysclid mc_cid mc_eid mkt_tok _hsenc _hsmi __hssc __hstc __hsfp hsctatracking
    vero_id vero_conv oly_anon_id oly_enc_id wickedid srsltid s_cid ncid cmpid icid ito smid
    smprod smtyp xtor wt_mc_id wt.mc_id cm_mmc ref_src ref_url fb_action_ids fb_action_types
    fb_source fb_ref __twitter_impression amp_js_v amp_gsa usqp guccounter guce_referrer
    guce_referrer_sig soc_src soc_trk __tn__
    pk_campaign pk_kwd pk_keyword pk_source pk_medium pk_content pk_cid
    mtm_campaign mtm_keyword mtm_kwd mtm_source mtm_medium mtm_content mtm_cid mtm_group
    mtm_placement hsa_acc hsa_cam hsa_grp hsa_ad hsa_src hsa_tgt hsa_kw hsa_mt hsa_net hsa_ver
    itm_source itm_medium itm_campaign itm_content itm_term
    """.split()
)
TRACKING_PREFIX = "utm_"  # Google's own namespace; sites add names of theirs to it

# Reddit's API escapes these in URLs. `html.unescape` would read `&copy=1` as a sign.
_ENTITIES = (("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"))
_INDEX = re.compile(r"/(?:index|default)\.(?:s?html?|php|aspx?|jsp|cfm)$", re.IGNORECASE)
_SESSION = re.compile(r";jsessionid=[^/?#;]*", re.IGNORECASE)
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# RFC 3986 has these nowhere in a path or query, and WHATWG leaves some of them as they are.
_UNWISE = re.compile(r'[\[\]|^`{}\\"<>]')
# A URL in which WHATWG parsing changes nothing. Not in it, so for the parser: `%`, `;`, a port,
# a fragment, punycode, credentials, hosts ending in a number, and what needs percent-encoding.
_CLEAN = re.compile(
    r"(https?://(?:www\.(?=[^/]*\.))?)([a-z0-9.-]*[a-z0-9-]\.[a-z]+)"
    r"(/[A-Za-z0-9._~!$()*+,=:@/&-]*)?(?:\?([A-Za-z0-9._~!$()*+,=:@/&?-]+))?"
)
_ROUNDS_MAX = 8  # each round undoes one nested escape; real URLs need at most two


class Canonical(NamedTuple):
    """A parsed http(s) URL. `host` is as in `url` (with `www.`); `path` starts with a slash."""

    url: str
    key: str
    host: str
    path: str
    credentials: bool  # the original had a user name or password; `url` has none


def canonical(url: str, chars_max: int = 0) -> Canonical | Drop:
    """The URL's two forms, or why it has none: url_invalid, url_too_long, scheme_not_http.

    `chars_max` limits the canonical URL; 0: no limit. The host may still be private or senseless
    (`domains.py` judges hosts). Idempotent: `canonical(c.url)` gives the same url and key.
    """
    clean = _CLEAN.fullmatch(url)
    if clean is not None:
        page = _from_clean(url, clean)
        if page is not None:
            if chars_max and len(page.url) > chars_max:
                return Drop(Reason.URL_TOO_LONG, f"{len(page.url)} characters")
            return page
    return canonical_slow(url, chars_max)


def link_id(key: str) -> str:
    """The id of a link: 32 hexadecimal digits, xxh3_128 of its key."""
    return xxhash.xxh3_128_hexdigest(key.encode())


def canonical_slow(url: str, chars_max: int = 0) -> Canonical | Drop:
    """As `canonical`, for any URL and always through the parser."""
    credentials = False
    for _ in range(_ROUNDS_MAX):
        page = _one_round(url, chars_max)
        if isinstance(page, Drop):
            return page
        credentials = credentials or page.credentials
        if page.url == url or _is_clean(page.url):
            return page._replace(credentials=credentials)
        url = page.url
    return Drop(Reason.URL_INVALID, "escapes within escapes")


def _is_clean(url: str) -> bool:
    """Whether another round would change nothing, for a URL that was through one."""
    return _CLEAN.fullmatch(url) is not None and "/." not in url and "xn--" not in url


def _from_clean(url: str, clean: re.Match[str]) -> Canonical | None:
    """The canonical forms of a URL that matched `_CLEAN`; None: the parser must see it."""
    start, host, path, query = clean.groups()
    if "xn--" in host or "/." in (path or ""):
        return None
    if query is None:
        if path is None:
            path = "/"
            url += path
        key = host + _merged_path(path)
    else:
        kept = _without_tracking(query)
        path = path or "/"
        if kept != query:
            query = kept
            url = f"{start}{host}{path}?{kept}" if kept else f"{start}{host}{path}"
        elif clean.start(3) < 0:
            url = f"{start}{host}{path}?{query}"
        key = f"{host}{_merged_path(path, query)}?{query}" if query else host + _merged_path(path)
    if len(start) > 8:  # "http://www." or "https://www."
        host = "www." + host
    return Canonical(url, key, host, path, False)


def _one_round(url: str, chars_max: int) -> Canonical | Drop:
    if "&" in url:
        for entity, char in _ENTITIES:
            url = url.replace(entity, char)
    try:
        parsed = can_ada.parse(url)
    except (ValueError, TypeError) as error:  # TypeError: a lone surrogate is no Unicode text
        return Drop(Reason.URL_INVALID, str(error).partition("\n")[0])
    scheme = parsed.protocol
    if scheme not in ("http:", "https:"):
        if chars_max and len(url) > chars_max:
            return Drop(Reason.URL_TOO_LONG, f"{len(url)} characters")
        return Drop(Reason.SCHEME_NOT_HTTP, scheme)
    host = parsed.hostname.removesuffix(".")
    port = ":" + parsed.port if parsed.port else ""
    path = _escapes(_SESSION.sub("", parsed.pathname))
    query = _escapes(_without_tracking(parsed.search[1:]))
    mark = "?" + query if query else ""
    fragment = parsed.hash if parsed.hash.startswith("#!") else ""
    whole = f"{scheme}//{host}{port}{path}{mark}{fragment}"
    if chars_max and len(whole) > chars_max:
        return Drop(Reason.URL_TOO_LONG, f"{len(whole)} characters")
    bare = host[4:] if host.startswith("www.") and "." in host[4:] else host
    key = f"{bare}{port}{_merged_path(path, query)}{mark}{fragment}"
    return Canonical(whole, key, host, path, parsed.has_credentials())


def _merged_path(path: str, query: str = "") -> str:
    """The path without index file and trailing slash; an index file with a query is a program."""
    if not query and "." in path:
        path = _INDEX.sub("/", path)
    return path[:-1] if path.endswith("/") and path != "/" else path


def _without_tracking(query: str) -> str:
    if "=" not in query and "&" not in query:
        return "" if _is_tracking(query) else query
    return "&".join([part for part in query.split("&") if part and not _is_tracking(part)])


def _is_tracking(part: str) -> bool:
    name = part.partition("=")[0].lower()
    return name in TRACKING_PARAMETERS or name.startswith(TRACKING_PREFIX)


def _escapes(text: str) -> str:
    """Percent-encoding as RFC 3986 has it: unreserved bytes plain, digits in upper case."""
    if "%" in text:
        text = _ESCAPE.sub(_escape, text)
    return _UNWISE.sub(lambda match: f"%{ord(match[0]):02X}", text)


def _escape(match: re.Match[str]) -> str:
    byte = int(match[0][1:], 16)
    return chr(byte) if byte in _UNRESERVED else match[0].upper()
