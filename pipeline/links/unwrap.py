"""URLs inside URLs: redirectors, archives, caches, mail filters and translators, taken off.

A post through `google.com/url?url=...` is a post of the page behind it. Only forms are known here
that always hold the page's own address, at paths that do nothing else: a search for a URL stays a
search. Shorteners (t.co, lnkd.in) and codes (archive.is/AbCdE) stay: what is behind them is known
only after the fetch.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote

from pipeline.links.canonical import Canonical


class Inner(NamedTuple):
    """The URL inside, and the time of the capture where the wrapper is a web archive."""

    url: str
    capture_hint_s: int | None = None


Unwrapper = Callable[[Canonical], Inner | None]

_ARCHIVE_PATH = re.compile(r"/web/(?:(\d{4,14})\*?(?:[a-z]{2}_)?|\*)/(.+)", re.IGNORECASE)
# archive.is/20140101000000/URL, /2014.01.01-000000/URL, /newest/URL, /o/CODE/URL, /URL
_ARCHIVE_TODAY_PATH = re.compile(
    r"/(?:(\d{4,14}|\d{4}\.\d\d\.\d\d-\d{6})/|(?:newest|oldest|timegate|o/\w+)/)?(.+)"
)
_AMP_PATH = re.compile(r"/(?:amp|[cvir])/(s/)?([^/]+\.[^/]+(?:/.*)?)")
_GOOGLE = re.compile(r"(?:(www|news|translate)\.)?google\.(?:com?\.)?[a-z]{2,3}")
_CACHED = re.compile(r"cache:(?:[\w-]+:(?!//))?(.+)", re.IGNORECASE)
_SCHEME = re.compile(r"(https?):/{1,2}(?=[^/])", re.IGNORECASE)
_DISQUS_HASH = re.compile(r":[A-Za-z0-9_-]{20,}$")
_YAHOO = re.compile(r"\*{1,2}(https?(?::|%3a).+)", re.IGNORECASE)
_PORT_LABEL = re.compile(r"(.+)\.(\d{2,5})")
_NO_UTF8 = re.compile("[\udc80-\udcff]")


def unwrapper(host: str) -> Unwrapper | None:
    """What takes the wrapping of this host off; None: the host wraps nothing."""
    if match := _GOOGLE.fullmatch(host):
        return {"news": _google_news, "translate": _GOOGLE_TRANSLATE}.get(match[1], _google)
    name = host.removeprefix("www.")
    if name in _BY_HOST:
        return _BY_HOST[name]
    while name:
        if name in _BY_DOMAIN:
            return _BY_DOMAIN[name]
        name = name.partition(".")[2]
    return None


def _parameter(*names: str) -> Unwrapper:
    """The URL in the first of these query parameters that holds one."""

    def from_parameter(page: Canonical) -> Inner | None:
        values = dict(part.partition("=")[::2] for part in _query(page).split("&"))
        return next((i for name in names if (i := _absolute(_decoded(values.get(name, ""))))), None)

    return from_parameter


def _at(paths: str, *names: str) -> Unwrapper:
    """As `_parameter`, at these paths alone (separated by spaces)."""
    known, from_parameter = frozenset(paths.split()), _parameter(*names)

    def at_path(page: Canonical) -> Inner | None:
        return from_parameter(page) if page.path in known else None

    return at_path


def _whole_query(page: Canonical) -> Inner | None:
    """href.li/?http://example.com/, deviantart.com/users/outgoing?http://example.com/"""
    known = page.path in ("/", "/users/outgoing", "/jump.php")
    return _absolute(_query(page)) if known else None


def _whole_path(page: Canonical) -> Inner | None:
    """outline.com/https://example.com/; its short codes say nothing and stay."""
    return _absolute(_after_host(page))


def _google(page: Canonical) -> Inner | None:
    if page.path.startswith("/amp/"):
        return _amp(page)
    return _google_cache(page) if page.path == "/search" else _GOOGLE_PATHS(page)


def _google_news(page: Canonical) -> Inner | None:
    """news.google.com/news/url?sa=t&url=http://example.com/, also below an edition."""
    return _GOOGLE_NEWS_URL(page) if page.path.endswith("news/url") else None


def _google_cache(page: Canonical) -> Inner | None:
    """webcache.googleusercontent.com/search?q=cache:CODE:example.com/page+words"""
    values = dict(part.partition("=")[::2] for part in _query(page).split("&"))
    address = re.split(r"\+|%20", values.get("q", ""))[0]
    match = _CACHED.fullmatch(_decoded(address))
    return (_absolute(match[1]) or _schemeless(match[1])) if match else None


def _amp(page: Canonical) -> Inner | None:
    """google.com/amp/s/example.com/page; the `s` stands for https."""
    match = _AMP_PATH.fullmatch(page.path)
    if match is None:
        return None
    scheme = "https" if match[1] else "http"
    query = _query(page)
    return Inner(f"{scheme}://{match[2]}{'?' + query if query else ''}")


def _web_archive(page: Canonical) -> Inner | None:
    """web.archive.org/web/20130401120000/http://example.com/; `*` and `2013*` are calendars."""
    return _archived(_ARCHIVE_PATH.fullmatch("/" + _after_host(page)))


def _archive_today(page: Canonical) -> Inner | None:
    """archive.is/20130401120000/http://example.com/ and its other forms with an address."""
    match = _ARCHIVE_TODAY_PATH.fullmatch("/" + _after_host(page))
    if match and not match[1] and not _absolute(match[2]):
        return _parameter("url")(page)  # archive.is/?run=1&url=…; else a code
    return _archived(match)


def _archived(match: re.Match[str] | None) -> Inner | None:
    inner = match and (_absolute(match[2]) or _schemeless(match[2]))
    return inner._replace(capture_hint_s=_timestamp(match[1])) if match and inner else None


def _disqus(page: Canonical) -> Inner | None:
    """disq.us/url?url=http://example.com/:HASH"""
    inner = _parameter("url")(page)
    return inner and Inner(_DISQUS_HASH.sub("", inner.url))


def _facebook(page: Canonical) -> Inner | None:
    """facebook.com/l.php?u=…, and facebook.com/l/CODE;example.com/page of 2010."""
    if page.path.startswith("/l/"):
        address = re.split(r";|%3B", _after_host(page), maxsplit=1)[1:]
        return (_absolute(address[0]) or _schemeless(address[0])) if address else None
    return _FACEBOOK_PATHS(page)


def _steam(page: Canonical) -> Inner | None:
    """steamcommunity.com/linkfilter/?url=http://example.com/, or the address as its path"""
    if not page.path.startswith("/linkfilter/"):
        return None
    return _parameter("url", "u")(page) or _absolute(_after_host(page)[len("linkfilter/") :])


def _proofpoint(page: Canonical) -> Inner | None:
    """urldefense.proofpoint.com/v2/url?u=https-3A__example.com_page; v1 is percent-encoded."""
    if page.path == "/v1/url":
        return _parameter("u")(page)
    if page.path != "/v2/url":
        return None
    values = dict(part.partition("=")[::2] for part in _query(page).split("&"))
    return _absolute(_decoded(values.get("u", "").replace("-", "%").replace("_", "/")))


def _yahoo(page: Canonical) -> Inner | None:
    """rds.yahoo.com/…/**http%3A//example.com/"""
    match = _YAHOO.search(page.url)
    return _absolute(match[1]) if match else None


def _coral(page: Canonical) -> Inner | None:
    """example.com.nyud.net/page, the CoralCDN; a port is a label: example.com.8080.nyud.net."""
    name = page.host.removesuffix(".nyud.net").removesuffix(".nyucd.net")
    if name == page.host:
        return None
    if port := _PORT_LABEL.fullmatch(name):
        name = f"{port[1]}:{port[2]}"
    return _schemeless(name + "/" + _after_host(page), port=True)


def _translate_goog(page: Canonical) -> Inner | None:
    """en-wikipedia-org.translate.goog: a dash is a dot, two are a dash."""
    label = page.host.removesuffix(".translate.goog")
    if label == page.host:
        return None
    host = label.replace("--", "\0").replace("-", ".").replace("\0", "-")
    query = "&".join(p for p in _query(page).split("&") if not p.startswith("_x_tr_"))
    return Inner(f"https://{host}{page.path}{'?' + query if query else ''}")


def _after_host(page: Canonical) -> str:
    """Path and query without the first slash."""
    return page.url.partition("://")[2].partition("/")[2]


def _decoded(text: str) -> str:
    """Without percent-encoding; bytes that are no UTF-8 keep theirs."""
    return _NO_UTF8.sub(
        lambda char: f"%{ord(char[0]) - 0xDC00:02X}", unquote(text, errors="surrogateescape")
    )


def _query(page: Canonical) -> str:
    return page.url.partition("?")[2].partition("#")[0]


def _absolute(text: str) -> Inner | None:
    """An http(s) URL, also percent-encoded once more or with a slash lost (http:/example.com)."""
    if "%" in text[:6]:  # http%3A, https%3A
        text = _decoded(text)
    match = _SCHEME.match(text)
    return Inner(f"{match[1].lower()}://{text[match.end() :]}") if match else None


def _schemeless(text: str, *, port: bool = False) -> Inner | None:
    host = text.partition("/")[0]
    return Inner("http://" + text) if "." in host and (port or ":" not in host) else None


def _timestamp(digits: str | None) -> int | None:
    """Seconds since 1970 of an archive's YYYYMMDDhhmmss, cut short or not; None: no such day."""
    if digits is None:
        return None
    digits = digits.replace(".", "").replace("-", "")
    full = digits + "00000101000000"[len(digits) :]
    try:  # not strptime: it takes 100 times as long
        moment = datetime.fromisoformat(f"{full[:8]}T{full[8:]}+00:00")
    except ValueError:
        return None
    return int(moment.timestamp())


_GOOGLE_PATHS = _at("/url /news/url /gwt/x /gwt/n /interstitial", "url", "q", "u")
_GOOGLE_NEWS_URL = _parameter("url", "q")
_GOOGLE_TRANSLATE = _parameter("u")
_FACEBOOK_PATHS = _at("/l.php /flx/warn/ /sharer.php /sharer/sharer.php /share.php", "u")
_LINKEDIN = _at("/redir/redirect /redir /safety/go", "url")
_VK = _at("/away.php", "to")

# By host, with and without `www.`.
_BY_HOST: dict[str, Unwrapper] = {
    "out.reddit.com": _parameter("url"),
    "t.umblr.com": _parameter("z"),
    "l.instagram.com": _parameter("u"),
    "l.messenger.com": _parameter("u"),
    "l.threads.net": _parameter("u"),
    "plus.google.com": _at("/url", "q", "url"),
    "plus.url.google.com": _at("/url", "q", "url"),
    "scholar.google.com": _at("/scholar_url", "url", "q"),
    "googleweblight.com": _parameter("lite_url", "u"),
    "webcache.googleusercontent.com": _google_cache,
    "translate.googleusercontent.com": _parameter("u"),
    "microsofttranslator.com": _at("/bv.aspx /BV.aspx", "a"),
    "translate.yandex.com": _at("/translate", "url"),
    "web.archive.org": _web_archive,
    "wayback.archive.org": _web_archive,
    "liveweb.archive.org": _whole_path,
    "webcitation.org": _at("/query", "url"),
    "href.li": _whole_query,
    "anonym.to": _whole_query,
    "anonymz.com": _whole_query,
    "anon.to": _whole_query,
    "nullrefer.com": _whole_query,
    "blankrefer.com": _whole_query,
    "hiderefer.com": _whole_query,
    "dereferer.org": _whole_query,
    "outline.com": _whole_path,
    "12ft.io": _whole_path,
    "via.hypothes.is": _whole_path,
    "disq.us": _disqus,
    "redirect.disqus.com": _disqus,
    "exit.sc": _parameter("url"),
    "gate.sc": _parameter("url"),
    "slack-redir.net": _at("/link", "url"),
    "duckduckgo.com": _at("/l/", "uddg"),
    "r.duckduckgo.com": _at("/l/", "uddg"),
    "medium.com": _at("/r/", "url"),
    "t.me": _at("/iv", "url"),
    "link.zhihu.com": _parameter("target"),
    "link.csdn.net": _parameter("target"),
    "getpocket.com": _at("/redirect", "url"),
    "instapaper.com": _at("/text", "u"),
    "viewtext.org": _at("/article", "url"),
    "go.redirectingat.com": _parameter("url"),
    "redirect.viglink.com": _parameter("u"),
    "deviantart.com": _whole_query,
    "pixiv.net": _whole_query,
    "urldefense.proofpoint.com": _proofpoint,
    "urldefense.com": _proofpoint,
}
# By domain, with all of its subdomains.
_BY_DOMAIN: dict[str, Unwrapper] = {
    **{f"archive.{end}": _archive_today for end in "is today ph fo li md vn ec".split()},
    "cdn.ampproject.org": _amp,
    "facebook.com": _facebook,
    "linkedin.com": _LINKEDIN,
    "nyucd.net": _coral,
    "nyud.net": _coral,
    "rd.yahoo.com": _yahoo,
    "rds.yahoo.com": _yahoo,
    "safelinks.protection.outlook.com": _parameter("url"),
    "steamcommunity.com": _steam,
    "translate.goog": _translate_goog,
    "vk.com": _VK,
    "vkontakte.ru": _VK,
    "youtube.com": _at("/redirect", "q", "url"),
}
