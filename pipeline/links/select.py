"""Which submissions count: each gets one reason, the first in the order of `reasons.py`, or none.

Karma is not asked for here. It is a property of a link, of all its posts together, and applied
when they have met (`group.py`), so that the rule can change without reading a dump again.
"""

import re
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache, partial
from typing import NamedTuple

import msgspec

from pipeline.errors import SettingsError
from pipeline.links.canonical import Canonical, canonical, link_id
from pipeline.links.domains import HostFacts, host_facts
from pipeline.links.loose import TIME_MAX_S, seconds, whole
from pipeline.links.submission import (
    SCORE_MAX,
    Submission,
    id_of,
    is_comment,
    is_remade,
    parse_kindly,
    parse_line,
    score_read_s,
    url_of,
    was_removed,
)
from pipeline.reasons import Drop, Reason
from pipeline.settings import LinksSettings

WRAPPERS_MAX = 3  # how deep URLs inside URLs are unwrapped
HOSTS_CACHED = 1 << 17  # some 60 MB when full; a month of Reddit links to about 300,000 hosts
DAY_S = 86_400
LINES_LOOKED_AT = 1000  # of a dump, for columns that only tables have

# What the path of a page does not end in. Text and XML may be pages and are judged by content.
FILE_EXTENSIONS = frozenset(
    """
    jpg jpeg png gif gifv bmp tif tiff webp svg ico psd raw heic
    mp4 webm mov avi mkv flv wmv mpg mpeg m4v 3gp ogv swf asx m3u8
    mp3 ogg oga wav flac m4a wma aac mid midi m3u pls opus
    pdf doc docx xls xlsx ppt pptx pps ppsx odt ods odp rtf epub mobi ps eps djvu csv
    zip gz tgz bz2 xz 7z rar tar iso dmg exe msi apk deb rpm jar bin torrent cab pkg
    rss atom json css js ics
    """.split()
)


@dataclass(frozen=True)
class ReadRules:
    """The settings that decide over single posts: `LinksSettings` without those for links."""

    date_min: date
    date_max: date
    over_18: bool
    accept_removed: bool
    accept_torn: bool
    url_chars_max: int
    blocked_domains: tuple[str, ...]
    blocked_subreddits: tuple[str, ...]
    removed_by_request: tuple[str, ...]

    @staticmethod
    def of(settings: LinksSettings) -> "ReadRules":
        """The part of the settings that shapes single posts."""
        return ReadRules(**{f.name: getattr(settings, f.name) for f in fields(ReadRules)})


class Target(msgspec.Struct, frozen=True, gc=False):
    """What a submission leads to; `id` and the fields after it are empty where that is no link."""

    reason: Reason | None  # the first that speaks against the URL by itself
    detail: str = ""
    id: str = ""
    key: str = ""
    url: str = ""
    via: str = ""  # hosts that it was unwrapped from, the outermost first, with spaces between
    capture_hint_s: int | None = None


class Post(msgspec.Struct, frozen=True, gc=False):
    """A submission that counts: a row of the exchange by link id."""

    target: Target
    karma: int
    created_s: int
    post_id: str
    subreddit: str
    over_18: bool


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """A submission that does not. `id` is the link's; the post's where there is no URL.

    A URL without a link has no id: the drop is then found again by the URL as it was posted.
    """

    reason: Reason
    id: str = ""
    url: str = ""
    detail: str = ""
    mark: Reason | None = (
        None  # what holds for all copies of the post `post_id`, in other dumps too
    )
    post_id: str = ""


class Selector:
    """Applies the rules to lines, and counts how old the scores are. One for each dump."""

    def __init__(self, rules: ReadRules) -> None:
        self._first_s = _midnight_s(rules.date_min)
        self._end_s = _midnight_s(rules.date_max + timedelta(days=1))
        self._over_18 = rules.over_18
        self._accept_removed = rules.accept_removed
        self._subreddits = frozenset(
            name.lower().removeprefix("r/") for name in rules.blocked_subreddits
        )
        self._target = UrlRules(rules).target
        self._parse = self._parse_first
        self._lines_to_look_at = LINES_LOOKED_AT
        self._ages: dict[int, list[int]] = {}  # by day: posts whose score age is known, below a day

    def judge(self, line: bytes) -> Post | Dropped:
        """The post on a line of a dump, or the one reason why it does not count."""
        post = self._parse(line)
        if isinstance(post, Drop):
            return Dropped(post.reason, detail=post.detail)
        url = url_of(post)
        if not url:
            if is_comment(line):
                return Dropped(Reason.COMMENT, id_of(post))
            return self._dropped(post, "", Reason.URL_MISSING, "")
        created = post.created_utc
        if type(created) is not int:
            created = seconds(created)
        if created is None or not 0 < created < TIME_MAX_S:
            return self._dropped(post, url, Reason.TIME_INVALID, repr(post.created_utc)[:40])
        if not self._first_s <= created < self._end_s:
            return Dropped(Reason.OUTSIDE_DATES, self._target(url).id, url, f"posted at {created}")
        if post.doubt:
            return self._dropped(post, url, Reason.FLAG_INVALID, post.doubt)
        self._count_age(post, created)
        if post.is_self or (post.domain and post.domain.startswith("self.")):
            return Dropped(Reason.SELF_POST, url=url)
        karma = post.score
        if type(karma) is not int or not -SCORE_MAX < karma < SCORE_MAX:
            karma = whole(karma, SCORE_MAX)
        if karma is None:
            return self._dropped(post, url, Reason.SCORE_MISSING, repr(post.score)[:40])
        against = self._reason_against(post)
        if against is not None:
            return self._dropped(post, url, *against)
        target = self._target(url)
        if target.reason is not None:
            return Dropped(target.reason, target.id, url, target.detail)
        return Post(target, karma, created, id_of(post), post.subreddit or "", post.over_18 is True)

    def _parse_first(self, line: bytes) -> Submission | Drop:
        """Parses, and settles on the first lines whether this is a table made of dumps."""
        self._lines_to_look_at -= 1
        if is_remade(line):
            self._parse = parse_kindly
            return parse_kindly(line)
        if not self._lines_to_look_at:
            self._parse = parse_line
        return parse_line(line)

    def score_ages(self) -> dict[str, list[int]]:
        """By month of posting: posts whose score's age is known, and those below a day of them."""
        months: dict[str, list[int]] = {}
        for day, counts in sorted(self._ages.items()):
            month = datetime.fromtimestamp(day * DAY_S, UTC).strftime("%Y-%m")
            known, young = months.get(month, (0, 0))
            months[month] = [known + counts[0], young + counts[1]]
        return months

    def _reason_against(self, post: Submission) -> tuple[Reason, str] | None:
        if post.hide_score is True:
            return Reason.SCORE_HIDDEN, ""
        if (mark := self._mark(post)) is not None:
            return mark
        if self._subreddits and (post.subreddit or "").lower() in self._subreddits:
            return Reason.SUBREDDIT_BLOCKED, post.subreddit or ""
        return None

    def _mark(self, post: Submission) -> tuple[Reason, str] | None:
        """What speaks against the post itself, in whichever of its copies it stands."""
        if post.promoted:
            return Reason.PROMOTED, ""
        if post.quarantine:
            return Reason.QUARANTINED, ""
        if not self._accept_removed and (removed_by := was_removed(post)):
            return Reason.REMOVED, removed_by
        if post.over_18 and not self._over_18:
            return Reason.OVER_18, ""
        return None

    def _count_age(self, post: Submission, created: int) -> None:
        seen = post.retrieved_on
        if type(seen) is not int or post.updated_on or post.meta:  # else it is the only one: faster
            seen = score_read_s(post)
        if seen is not None:
            day = created // DAY_S
            counts = self._ages.get(day)
            if counts is None:
                counts = self._ages[day] = [0, 0]
            counts[0] += 1
            counts[1] += seen - created < DAY_S

    def _dropped(self, post: Submission, url: str, reason: Reason, detail: str) -> Dropped:
        """With the link's id where there is one, so that `webtext why URL` finds the drop."""
        post_id = id_of(post)
        mark = self._mark(post) if post_id else None
        return Dropped(
            reason,
            self._target(url).id if url else post_id,
            url,
            detail,
            mark[0] if mark else None,
            post_id,
        )


class UrlRules:
    """What a URL alone decides. Raises SettingsError for a senseless removed_by_request."""

    def __init__(self, rules: ReadRules) -> None:
        self._chars_max = rules.url_chars_max
        blocked = frozenset(name.lower().removeprefix("www.") for name in rules.blocked_domains)
        hosts, self._removed = _removed(rules.removed_by_request)
        self._facts = lru_cache(HOSTS_CACHED)(partial(host_facts, blocked=blocked, removed=hosts))

    def target(self, url: str) -> Target:
        """The link that a posted URL leads to, with the first reason against it if there is one."""
        page = canonical(url, self._chars_max)
        if isinstance(page, Drop):
            if url.startswith("/") and not url.startswith("//"):
                return Target(Reason.REDDIT_INTERNAL, "relative to reddit.com")
            return Target(page.reason, page.detail)
        via, hint = "", None
        facts = self._facts(page.host)
        if facts.unwrap is not None:
            within, via, hint = self._unwrapped(page)
            if isinstance(within, Drop):
                return Target(within.reason, within.detail)
            page = within
            facts = self._facts(page.host)
        id = link_id(page.key)
        if facts.innocent and "." not in page.path and not page.credentials and not self._removed:
            return Target(None, "", id, page.key, page.url, via, hint)  # most of them: faster
        reason, detail = self._reason_against(page, facts, id)
        return Target(reason, detail, id, page.key, page.url, via, hint)

    def _reason_against(
        self, page: Canonical, facts: HostFacts, id: str
    ) -> tuple[Reason | None, str]:
        if facts.unreachable is not None:
            return facts.unreachable, page.host
        if page.credentials:
            return Reason.URL_CREDENTIALS, page.host
        if facts.listed is not None:
            return facts.listed, page.host
        if "." in page.path and (extension := file_extension(page.path)):
            return Reason.FILE_EXTENSION, extension
        if facts.blocked is not None:
            return facts.blocked, page.host
        if self._removed and not self._removed.isdisjoint((id, page.key)):
            return Reason.REMOVED_BY_REQUEST, ""
        return None, ""

    def _unwrapped(self, page: Canonical) -> tuple[Canonical | Drop, str, int | None]:
        """The innermost URL, what it was unwrapped from, and an archive's time of capture."""
        via: list[str] = []
        hint = None
        for _ in range(WRAPPERS_MAX):
            unwrap = self._facts(page.host).unwrap
            inner = unwrap(page) if unwrap else None
            if inner is None:
                break
            via.append(page.host)
            hint = hint or inner.capture_hint_s
            within = canonical(inner.url, self._chars_max)
            if isinstance(within, Drop):
                return within, " ".join(via), hint
            page = within
        return page, " ".join(via), hint


def file_extension(path: str) -> str:
    """The extension by which a URL's path says that it is no web page, or ""."""
    name = path.rpartition("/")[2]
    if "." not in name or ":" in name:  # MediaWiki's File:Map.png is a page about a picture
        return ""
    extension = name.rpartition(".")[2].lower()
    return extension if extension in FILE_EXTENSIONS else ""


class Explained(NamedTuple):
    """What the rules say of one URL; `key`, `id`, `url` are "" where it has no canonical form."""

    key: str
    id: str
    url: str
    reason: Reason | None


def why_url(url: str, rules: ReadRules) -> Explained:
    """What a posted URL leads to and what by itself speaks against it: for `webtext why`."""
    target = UrlRules(rules).target(url)
    return Explained(target.key, target.id, target.url, target.reason)


def _removed(entries: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """Hosts that were removed on request, and keys and ids of single links."""
    hosts, links = set(), set()
    for entry in entries:
        page = canonical(entry if "://" in entry else f"http://{entry}")
        if re.fullmatch(r"[0-9a-f]{32}", entry.lower()):
            links.add(entry.lower())
        elif isinstance(page, Drop) or "." not in page.host:
            raise SettingsError(
                f"links.removed_by_request: {entry!r} is neither a URL, a host nor a link id"
            )
        elif "/" in entry:
            links.add(page.key)
        else:
            hosts.add(page.host.removeprefix("www."))
    return frozenset(hosts), frozenset(links)


def _midnight_s(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
