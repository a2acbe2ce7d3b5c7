"""URLs inside URLs: redirectors, archives, caches, mail filters and translators, taken off.

A post through `google.com/url?url=...` is a post of the page behind it. Only forms are known here
that always hold the page's own address, at paths that do nothing else: a search for a URL stays a
search, and a button that shares one (`twitter.com/intent/tweet?url=`) the site's own page;
Facebook's sharer alone is a wrapper, for it shows the page and nothing else. Shorteners (t.co,
lnkd.in) and codes (archive.is/AbCdE) stay: what is behind them is known only after the fetch.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pipeline.links.canonical import Canonical, decoded


class Inner(NamedTuple):
    """The URL inside, and the time of the capture where the wrapper is a web archive."""

    url: str
    capture_hint_s: int | None = None


Unwrapper = Callable[[Canonical], Inner | None]

# web.archive.org/web/20140101000000/URL, /web/2014*/URL, /web/*/URL, /web/URL, /save/URL, /URL
_ARCHIVE_PATH = re.compile(
    r"/(?:(?:web|wayback|liveweb)/)?"
    r"(?:(\d{4,14})\*?(?:[a-z]{2}_)?/|\*/|save/(?:_embed/)?)?(.+)",
    re.IGNORECASE,
)
_ON_ARCHIVE_ORG = re.compile(r"/(?:web|wayback|liveweb)/", re.IGNORECASE)
# archive.is/20140101000000/URL, /2014.01.01-000000/URL, /newest/URL, /o/CODE/URL, /URL
_ARCHIVE_TODAY_PATH = re.compile(
    r"/(?:(\d{4,14}|\d{4}\.\d\d\.\d\d-\d{6})/|(?:newest|oldest|timegate|o/\w+)/)?(.+)"
)
_AMP_PATH = re.compile(r"/(?:amp|[cvir])/(s/)?([^/]+\.[^/]+(?:/.*)?)")
_GOOGLE = re.compile(
    r"(?:(www|news|translate|images|encrypted|ipv4|m)\.)?google\.(?:com?\.)?[a-z]{2,3}"
)
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_CACHED = re.compile(r"cache:(?:[\w-]+:(?!//))?(.+)", re.IGNORECASE)
_SCHEME = re.compile(r"(https?):/{1,2}(?=[^/])", re.IGNORECASE)
_DISQUS_HASH = re.compile(r":[A-Za-z0-9_-]{20,}$")
_YAHOO = re.compile(r"\*{1,2}(https?(?::|%3a).+)", re.IGNORECASE)
_PORT_LABEL = re.compile(r"(.+)\.(\d{2,5})")
# A host that stands where an address is due: example.com, //example.com:8080/page, 192.0.2.1/page.
_HOST_FIRST = re.compile(
    r"(?://)?((?:(?:[\w%-]+\.)+[^\W\d_][\w-]+|\d{1,3}(?:\.\d{1,3}){3})\.?(?::\d{1,5})?(?:[/?#].*)?)",
    re.DOTALL,
)


def unwrapper(host: str) -> Unwrapper | None:
    """What takes the wrapping of this host off; None: the host wraps nothing."""
    if _IPV4.fullmatch(host):
        return _google_by_number
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
    """The URL in the first of these query parameters that holds one, best with its scheme."""

    def from_parameter(page: Canonical) -> Inner | None:
        values = dict(part.partition("=")[::2] for part in _query(page).split("&"))
        found = [decoded(values[name]) for name in names if name in values]
        return next(
            (i for form in (_absolute, _schemeless) for text in found if (i := form(text))), None
        )

    return from_parameter


def _at(paths: str, *names: str) -> Unwrapper:
    """As `_parameter`, at these paths alone (separated by spaces), with or without a last slash."""
    known, from_parameter = frozenset(paths.split()), _parameter(*names)

    def at_path(page: Canonical) -> Inner | None:
        return from_parameter(page) if page.path.rstrip("/") in known else None

    return at_path


def _whole_query(page: Canonical) -> Inner | None:
    """href.li/?http://example.com/, deviantart.com/users/outgoing?http://example.com/"""
    known = page.path in ("/", "/users/outgoing", "/jump.php")
    address = decoded(_query(page)) if known else ""
    return _absolute(_query(page)) or _schemeless(address) if known else None


def _whole_path(page: Canonical) -> Inner | None:
    """outline.com/https://example.com/; its short codes say nothing and stay."""
    return _absolute(_after_host(page))


def _google(page: Canonical) -> Inner | None:
    if page.path.startswith("/amp/"):
        return _amp(page)
    if page.path == "/search":
        return _google_cache(page)
    return _GOOGLE_PATHS(page) or _GOOGLE_IMAGES(page)


def _google_news(page: Canonical) -> Inner | None:
    """news.google.com/news/url?sa=t&url=http://example.com/, also below an edition."""
    return _GOOGLE_NEWS_URL(page) if page.path.endswith("news/url") else None


def _google_by_number(page: Canonical) -> Inner | None:
    """74.125.113.132/search?q=cache:CODE:example.com/page: the cache and the translator until 2012.

    No list of Google's addresses is needed: others have no such queries.
    """
    return _google_cache(page) if page.path == "/search" else _GOOGLE_FRAMES(page)


def _google_cache(page: Canonical) -> Inner | None:
    """webcache.googleusercontent.com/search?q=cache:CODE:example.com/page+words"""
    values = dict(part.partition("=")[::2] for part in _query(page).split("&"))
    address = re.split(r"\+|%20", values.get("q", ""))[0]
    match = _CACHED.fullmatch(decoded(address))
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
    match = _ARCHIVE_PATH.fullmatch("/" + _after_host(page))
    if match and not match[1] and "/" not in match[2]:
        return None  # web.archive.org/web/web.php
    return _archived(match)


def _archive_org(page: Canonical) -> Inner | None:
    """archive.org/web/20130401120000/http://example.com/; its own pages are at other paths."""
    return _web_archive(page) if _ON_ARCHIVE_ORG.match(page.path) else None


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
    if not page.path.startswith("/linkfilter/") and page.path != "/linkfilter":
        return None
    return _parameter("url", "u")(page) or _absolute(_after_host(page)[len("linkfilter/") :])


def _proofpoint(page: Canonical) -> Inner | None:
    """urldefense.proofpoint.com/v2/url?u=https-3A__example.com_page; v1 is percent-encoded."""
    if page.path == "/v1/url":
        return _parameter("u")(page)
    if page.path != "/v2/url":
        return None
    values = dict(part.partition("=")[::2] for part in _query(page).split("&"))
    return _absolute(decoded(values.get("u", "").replace("-", "%").replace("_", "/")))


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
    return _schemeless(name + "/" + _after_host(page))


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


def _query(page: Canonical) -> str:
    return page.url.partition("?")[2].partition("#")[0]


def _absolute(text: str) -> Inner | None:
    """An http(s) URL, also percent-encoded once more or with a slash lost (http:/example.com)."""
    if "%" in text[:6]:  # http%3A, https%3A
        text = decoded(text)
    match = _SCHEME.match(text)
    return Inner(f"{match[1].lower()}://{text[match.end() :]}") if match else None


def _schemeless(text: str) -> Inner | None:
    """An address that begins with its host; mailto:a@example.com and words are none."""
    match = _HOST_FIRST.fullmatch(text)
    return Inner("http://" + match[1]) if match else None


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


_GOOGLE_PATHS = _at(
    "/url /news/url /gwt/x /gwt/n /interstitial /translate /translate_c /translate_p",
    "url", "q", "u",
)  # fmt: skip
_GOOGLE_IMAGES = _at("/imgres /imglanding", "imgrefurl")  # the page; `imgurl` is its picture
_GOOGLE_FRAMES = _at("/translate_c /translate_p", "u")
_GOOGLE_NEWS_URL = _parameter("url", "q")
_GOOGLE_TRANSLATE = _parameter("u")
_FACEBOOK_PATHS = _at("/l.php /flx/warn /sharer.php /sharer/sharer.php /share.php", "u")
_LINKEDIN = _at("/redir/redirect /redir/suspicious-page /redir /redirect /safety/go", "url")
_VK = _at("/away.php /away", "to")
_CJ = _parameter("url")  # Commission Junction, under five names

# By host, with and without `www.`.
_BY_HOST: dict[str, Unwrapper] = {
    "out.reddit.com": _parameter("url"),
    "t.umblr.com": _parameter("z"),
    "l.instagram.com": _parameter("u"),
    "l.messenger.com": _parameter("u"),
    "l.threads.net": _parameter("u"),
    "l.wl.co": _at("/l", "u"),
    "plus.google.com": _at("/url", "q", "url"),
    "plus.url.google.com": _at("/url", "q", "url"),
    "scholar.google.com": _at("/scholar_url", "url", "q"),
    "googleweblight.com": _parameter("lite_url", "u"),
    "webcache.googleusercontent.com": _google_cache,
    "translate.googleusercontent.com": _parameter("u"),
    "microsofttranslator.com": _at("/bv.aspx /BV.aspx", "a"),
    "translatetheweb.com": _parameter("a"),
    "translate.yandex.com": _at("/translate", "url"),
    "babelfish.yahoo.com": _at("/translate_url /translate_url_content", "trurl", "url"),
    "babelfish.altavista.com": _at(
        "/babelfish/trurl_pagecontent /babelfish/tr /tr", "trurl", "url"
    ),
    "web.archive.org": _web_archive,
    "wayback.archive.org": _web_archive,
    "replay.web.archive.org": _web_archive,
    "classic-web.archive.org": _web_archive,
    "web-beta.archive.org": _web_archive,
    "archive.org": _archive_org,
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
    "duckduckgo.com": _at("/l", "uddg"),
    "r.duckduckgo.com": _at("/l", "uddg"),
    "medium.com": _at("/r", "url"),
    "t.me": _at("/iv", "url"),
    "link.zhihu.com": _parameter("target"),
    "link.csdn.net": _parameter("target"),
    "getpocket.com": _at("/redirect", "url"),
    "instapaper.com": _at("/text", "u"),
    "viewtext.org": _at("/article", "url"),
    "readability.com": _at("/read /m", "url"),
    "mobilizer.instapaper.com": _at("/m /text", "u"),
    "go.redirectingat.com": _parameter("url"),
    "go.skimresources.com": _parameter("url"),
    "click.linksynergy.com": _parameter("murl", "RD_PARM1"),
    "awin1.com": _at("/cread.php", "ued", "p"),
    "rover.ebay.com": _parameter("mpre"),
    "anrdoezrs.net": _CJ,
    "dpbolvw.net": _CJ,
    "jdoqocy.com": _CJ,
    "kqzyfj.com": _CJ,
    "tkqlhce.com": _CJ,
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
