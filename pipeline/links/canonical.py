"""One outbound URL in two forms: what is fetched (`url`), and what duplicates share (`key`).

Parsing is WHATWG's (can_ada), as browsers do it; a few merges on top. Both forms: HTML entities,
tabs, dot segments, case of scheme and host, default port, punycode, percent-encoding, fragments
but `#!`, tracking parameters (an exact list), empty queries, `;jsessionid`, credentials; invisible
characters at either end, however they are spelt, a scheme before the scheme (`http://https//`), an
encoded scheme (`http%3A%2F%2F`), and the words of a Markdown link.
Key only: scheme, `www.`, index files, trailing slash. Never merged, since pages differ by them:
order of parameters, repeated or empty values, case of the path, mobile hosts, other ports,
`?12345`, `ref=`, `id=`, `source=`. courlan and w3lib merge some of those; OpenWebText's two
clones key by plain equality.

About half of Reddit's URLs are canonical but for the key: a regular expression recognises them
and saves the parser (1.4 instead of 5 us a URL); a property test holds both paths equal.
"""

import re
from functools import lru_cache
from html import unescape
from urllib.parse import quote, unquote

import can_ada
import msgspec
import xxhash

from pipeline.reasons import Drop, Reason

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
_AMPERSAND = re.compile(r"&(?:amp;)+")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'))
# `&#x200B;`, `&#39;`: as a fragment it would cut the address; the last may have lost its semicolon.
_NUMERIC_ENTITY = re.compile(r"&#(?:x[0-9a-f]{1,6}|[0-9]{1,7})(?:;|$)", re.IGNORECASE)
# `&nbsp;`, and as editors encode it: `%26nbsp%3B`, `%26%23x200B%3B`.
_ENTITY_AT_END = re.compile(
    r"(?:&|%26)((?:#|%23)(?:x[0-9a-f]{1,6}|[0-9]{1,7})|[a-z]{2,16})(?:;|%3B)$", re.IGNORECASE
)
_NAMED_ENTITY = re.compile(r"&[a-z]{2,16};", re.IGNORECASE)
_INDEX_FILES = frozenset(
    f"{name}.{suffix}"
    for name in ("index", "default")
    for suffix in "htm html shtm shtml php asp aspx jsp cfm".split()
)
_SESSION = re.compile(r";jsessionid=[^/?#;]*", re.IGNORECASE)
# What WHATWG leaves and RFC 3986 would write otherwise: characters that it has nowhere in a path or
# query, escapes in lower case, and escapes of unreserved characters (letters, digits, - . _ ~).
_UNTIDY = re.compile(
    r"[\[\]|^`{}\\]|%(?:[0-9A-F][a-f]|[a-f][0-9A-Fa-f]"
    r"|2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])"
)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What nobody sees and a copied address may begin or end with: controls, spaces, soft hyphens,
# zero-width characters, marks of direction, fillers. Within an address they may have a meaning (a
# zero-width non-joiner in a Persian title), so there they stay.
_INVISIBLE = frozenset(
    chr(code)
    for span in """
    0-20 7f-a0 ad-ad 34f-34f 61c-61c 115f-1160 1680-1680 17b4-17b5 180b-180e 2000-200f 2028-202f
    205f-206f 3000-3000 3164-3164 feff-feff ffa0-ffa0 fff9-fffb
    """.split()
    for code in range(int(span.partition("-")[0], 16), int(span.partition("-")[2], 16) + 1)
)
_INVISIBLE_ENCODED = frozenset(quote(char) for char in _INVISIBLE if char != " ")
_ENCODED_CHARS = (9, 6, 3)  # how long those are
_ENTITY_CHARS_MAX = 24
_STARTS = _INVISIBLE | {"&"}
_ENDS = _INVISIBLE | {";"}  # what an invisible character's spelling may end with, and `%3B`
# `http://http://`, `http://https//`, `http:http://`, `http://www.http://`, `http://htp://`: the
# inner scheme is meant. A host named `http` is none that the world can reach.
_DOUBLED = re.compile(
    r"https?(?::[/\\]*+|[/\\]{2})\s*+(?:www\.)?+h{0,2}+t{1,3}+p(s?)(?:(?::|%3a)[/\\]+|[/\\]{2,})"
    r"(?=[^/\\\s])",
    re.IGNORECASE,
)
# `http%3A%2F%2F`, also behind a scheme: the whole address was encoded, once or twice.
_ENCODED = re.compile(
    r"(?:https?:[/\\]*)?(https?)%((?:25)*)3a(?:%(?:25)*2f)+(?=[^%/])", re.IGNORECASE
)
# `[words](http://x.com/)` as Markdown writes it, with or without its ends.
_MARKDOWN = re.compile(r"[^?#]*\]\((https?://.+?)\)?", re.IGNORECASE)
_NO_UTF8 = re.compile("[\udc80-\udcff]")
# A URL in which WHATWG parsing changes nothing but the case of scheme and host, if the host is a
# plain name (`_plain_host`). Not in it, so for the parser: `%`, `;`, `#!`, `&#`, ports,
# credentials, and what needs percent-encoding. Another fragment is left out. `++` and `*+` never
# backtrack.
_CLEAN = re.compile(
    r"([hH][tT][tT][pP][sS]?)://([A-Za-z0-9.-]++)(/[A-Za-z0-9._~!$()*+,=:@/&-]*+)?"
    r"(?:\?([A-Za-z0-9._~!$()*+,=:@/&?-]*+))?((?<!&)#(?!!)[!-~]*+)?"
)
_PLAIN_HOST = re.compile(r"[a-z0-9.-]*[a-z0-9-]\.(?!https?$)[a-z]+")
_HOSTS_CACHED = 1 << 17  # some 30 MB when full; a month of Reddit links to about 300,000 hosts
_ROUNDS_MAX = 8  # each round undoes one nested escape; real URLs need at most two


class Canonical(msgspec.Struct, frozen=True, gc=False):
    """A parsed http(s) URL. `host` is as in `url` (with `www.`); `path` starts with a slash."""

    url: str
    key: str
    host: str
    path: str
    credentials: bool = False  # the original had a user name or password; `url` has none


def canonical(url: str, chars_max: int = 0) -> Canonical | Drop:
    """The URL's two forms, or why it has none: url_invalid, url_too_long, scheme_not_http.

    `chars_max` limits the canonical URL; 0: no limit. The host may still be private or senseless
    (`domains.py` judges hosts). Idempotent: `canonical(c.url)` gives the same url and key.
    """
    page = _if_clean(url) or canonical_slow(url, chars_max)
    if chars_max and type(page) is Canonical and len(page.url) > chars_max:
        return Drop(Reason.URL_TOO_LONG, f"{len(page.url)} characters")
    return page


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
        if page.url == url or _if_clean(page.url):
            return Canonical(page.url, page.key, page.host, page.path, credentials)
        url = page.url
    return Drop(Reason.URL_INVALID, "escapes within escapes")


def _if_clean(url: str) -> Canonical | None:
    """The forms of a URL that the parser would hardly change; None: it must see this one."""
    clean = _CLEAN.fullmatch(url)
    if clean is None:
        return None
    scheme, name, path, query, fragment = clean.groups()
    host, bare = _plain_host(name)
    if not bare or (path and "/." in path):
        return None
    if path and query is None and fragment is None and host == name and scheme.islower():
        return Canonical(url, bare + _merged_path(path), host, path)
    path = path or "/"
    query = _without_tracking(query or "")
    mark = "?" + query if query else ""
    key = f"{bare}{_merged_path(path, mark)}{mark}"
    return Canonical(f"{scheme.lower()}://{host}{path}{mark}", key, host, path)


@lru_cache(_HOSTS_CACHED)
def _plain_host(name: str) -> tuple[str, str]:
    """The host in lower case and as keys have it; "" unless the parser would do no more to it."""
    host = name.lower()
    if _PLAIN_HOST.fullmatch(host) is None or "xn--" in host:
        return "", ""
    return host, _bare(host)


def _bare(host: str) -> str:
    return host[4:] if host.startswith("www.") and "." in host[4:] else host


def _one_round(url: str, chars_max: int) -> Canonical | Drop:
    if "&" in url:
        if "&amp;" in url:
            url = _AMPERSAND.sub("&", url)
        for entity, char in _ENTITIES:
            url = url.replace(entity, char)
        if "&#" in url:
            url = _NUMERIC_ENTITY.sub(_character, url)
    if url and (url[0] in _STARTS or url[-1] in _ENDS or "%" in url[-9:]):
        url = _seen(url)
    if doubled := _DOUBLED.match(url):
        url = f"http{doubled[1]}://{url[doubled.end() :]}"
    if "](" in url and (linked := _MARKDOWN.fullmatch(url)):
        url = linked[1]
    try:
        parsed = can_ada.parse(url)
    except (ValueError, TypeError) as error:  # TypeError: a lone surrogate is no Unicode text
        if encoded := _ENCODED.match(url):
            rest = url[encoded.end() :]
            for _ in range(1 + len(encoded[2]) // 2):
                rest = decoded(rest)
            return _one_round(f"{encoded[1]}://{rest}", chars_max)
        return Drop(Reason.URL_INVALID, str(error).partition("\n")[0])
    scheme = parsed.protocol
    if scheme not in ("http:", "https:"):
        if chars_max and len(url) > chars_max:
            return Drop(Reason.URL_TOO_LONG, f"{len(url)} characters")
        return Drop(Reason.SCHEME_NOT_HTTP, scheme)
    host = parsed.hostname.removesuffix(".")
    port = ":" + parsed.port if parsed.port else ""
    path = parsed.pathname
    if ";" in path:
        path = _SESSION.sub("", path)
    query = _without_tracking(parsed.search[1:])
    mark = "?" + query if query else ""
    if _UNTIDY.search(path + mark):
        path, mark = _UNTIDY.sub(_tidy, path), _UNTIDY.sub(_tidy, mark)
    fragment = parsed.hash if parsed.hash.startswith("#!") else ""
    whole = f"{scheme}//{host}{port}{path}{mark}{fragment}"
    if chars_max and len(whole) > chars_max:
        return Drop(Reason.URL_TOO_LONG, f"{len(whole)} characters")
    key = f"{_bare(host)}{port}{_merged_path(path, mark)}{mark}{fragment}"
    return Canonical(whole, key, host, path, parsed.has_credentials())


def decoded(text: str) -> str:
    """Without percent-encoding; bytes that are no UTF-8 keep theirs."""
    return _NO_UTF8.sub(
        lambda char: f"%{ord(char[0]) - 0xDC00:02X}", unquote(text, errors="surrogateescape")
    )


def _character(entity: re.Match[str]) -> str:
    return unescape(entity[0].rstrip(";") + ";")


def _seen(url: str) -> str:
    """The URL without invisible characters at its ends."""
    start, end = 0, len(url)
    while start < end and (url[start] in _INVISIBLE or url[start] == "&"):
        entity = _NAMED_ENTITY.match(url, start)
        if url[start] == "&" and (not entity or unescape(entity[0]) not in _INVISIBLE):
            break
        start = entity.end() if entity else start + 1
    while start < end and (size := _invisible_chars(url, end)):
        end -= size
    return url[start:end]


def _invisible_chars(url: str, end: int) -> int:
    """How long the spelling of an invisible character is that ends there; 0: there is none."""
    if url[end - 1] in _INVISIBLE:
        return 1
    for size in _ENCODED_CHARS:
        if url[end - size : end].upper() in _INVISIBLE_ENCODED:
            return size
    entity = _ENTITY_AT_END.search(url[max(0, end - _ENTITY_CHARS_MAX) : end])
    if entity and unescape(f"&{entity[1].replace('%23', '#')};") in _INVISIBLE:
        return len(entity[0])
    return 0


def _merged_path(path: str, query: str = "") -> str:
    """The path without index file and trailing slash; an index file with a query is a program."""
    if path[-1] == "/":
        return path[:-1] or "/"
    if not query and "." in path:
        folder, _, name = path.rpartition("/")
        if name.lower() in _INDEX_FILES:
            return folder or "/"
    return path


def _without_tracking(query: str) -> str:
    if not query:
        return query
    return "&".join([part for part in query.split("&") if part and not _is_tracking(part)])


def _is_tracking(part: str) -> bool:
    name = part.partition("=")[0].lower()
    return name in TRACKING_PARAMETERS or name.startswith(TRACKING_PREFIX)


def _tidy(match: re.Match[str]) -> str:
    text = match[0]
    byte = int(text[1:], 16) if text[0] == "%" else ord(text)
    return chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
