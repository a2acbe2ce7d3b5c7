"""URLs inside URLs: redirectors, archives, AMP caches and translators, taken off.

A post through `google.com/url?url=...` is a post of the page behind it. Shorteners stay: what is
behind them is known only after the fetch.
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
_AMP_PATH = re.compile(r"/(?:amp|[cvir])/(s/)?([^/]+\.[^/]+(?:/.*)?)")
_GOOGLE = re.compile(r"(?:www\.)?google\.(?:com?\.)?[a-z]{2,3}")
_SCHEME = re.compile(r"(https?):/{1,2}(?=[^/])", re.IGNORECASE)
_DISQUS_HASH = re.compile(r":[A-Za-z0-9_-]{20,}$")


def unwrapper(host: str) -> Unwrapper | None:
    """What takes the wrapping of this host off; None: the host wraps nothing."""
    if host in _BY_HOST:
        return _BY_HOST[host]
    if _GOOGLE.fullmatch(host):
        return _google
    if host.endswith(".cdn.ampproject.org"):
        return _amp
    if host.endswith(".translate.goog"):
        return _translate_goog
    return None


def _parameter(*names: str) -> Unwrapper:
    """The URL in the first of these query parameters that holds one."""

    def from_parameter(page: Canonical) -> Inner | None:
        values = dict(part.partition("=")[::2] for part in _query(page).split("&"))
        return next((i for name in names if (i := _absolute(unquote(values.get(name, ""))))), None)

    return from_parameter


def _whole_query(page: Canonical) -> Inner | None:
    """href.li/?http://example.com/"""
    return _absolute(_query(page))


def _google(page: Canonical) -> Inner | None:
    if page.path == "/url":
        return _parameter("url", "q")(page)
    return _amp(page) if page.path.startswith("/amp/") else None


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
    whole = page.path + page.url.partition(page.path)[2]
    match = _ARCHIVE_PATH.fullmatch(whole)
    if match is None:
        return None
    inner = _absolute(match[2]) or _schemeless(match[2])
    return inner._replace(capture_hint_s=_timestamp(match[1])) if inner else None


def _outline(page: Canonical) -> Inner | None:
    """outline.com/https://example.com/; its short codes say nothing and stay."""
    return _absolute(page.url.partition(page.host + "/")[2])


def _disqus(page: Canonical) -> Inner | None:
    """disq.us/url?url=http://example.com/:HASH"""
    inner = _parameter("url")(page)
    return inner and Inner(_DISQUS_HASH.sub("", inner.url))


def _translate_goog(page: Canonical) -> Inner | None:
    """en-wikipedia-org.translate.goog: a dash is a dot, two are a dash."""
    label = page.host.removesuffix(".translate.goog")
    host = label.replace("--", "\0").replace("-", ".").replace("\0", "-")
    query = "&".join(p for p in _query(page).split("&") if not p.startswith("_x_tr_"))
    return Inner(f"https://{host}{page.path}{'?' + query if query else ''}")


def _query(page: Canonical) -> str:
    return page.url.partition("?")[2].partition("#")[0]


def _absolute(text: str) -> Inner | None:
    """An http(s) URL, also percent-encoded once more or with a slash lost (http:/example.com)."""
    if "%" in text[:6]:  # http%3A, https%3A
        text = unquote(text)
    match = _SCHEME.match(text)
    return Inner(f"{match[1].lower()}://{text[match.end() :]}") if match else None


def _schemeless(text: str) -> Inner | None:
    host = text.partition("/")[0]
    return Inner("http://" + text) if "." in host and ":" not in host else None


def _timestamp(digits: str | None) -> int | None:
    """Seconds since 1970 of an archive's YYYYMMDDhhmmss, cut short or not; None: no such day."""
    if digits is None:
        return None
    full = digits + "00000101000000"[len(digits) :]
    try:  # not strptime: it takes 100 times as long
        moment = datetime.fromisoformat(f"{full[:8]}T{full[8:]}+00:00")
    except ValueError:
        return None
    return int(moment.timestamp())


_BY_HOST: dict[str, Unwrapper] = {
    "l.facebook.com": _parameter("u"),
    "lm.facebook.com": _parameter("u"),
    "out.reddit.com": _parameter("url"),
    "t.umblr.com": _parameter("z"),
    "web.archive.org": _web_archive,
    "wayback.archive.org": _web_archive,
    "cdn.ampproject.org": _amp,
    "translate.google.com": _parameter("u"),
    "translate.googleusercontent.com": _parameter("u"),
    "href.li": _whole_query,
    "anonym.to": _whole_query,
    "www.anonym.to": _whole_query,
    "outline.com": _outline,
    "www.outline.com": _outline,
    "disq.us": _disqus,
}
