"""Submissions that link to the demo's web: how often, with what karma, by which variant of a URL.

Scores have a heavy tail, most posts stay below 3. Authors are numbers, titles come from the
grammar. Every post knows what should become of it.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tools.demo.grammar import Writer, below, choose
from tools.demo.oddities import FIELD_FAULTS, HARMLESS, MEDIA_URLS, ODD_URLS
from tools.demo.web import Target

KARMA_MIN = 3
OLD_YEAR, NEW_YEAR = 2012, 2020  # of the two dumps
_GENRES = ("news", "recipe", "forum", "travel", "review", "fiction", "nature", "howto")
_LETTERS = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789"


@dataclass(frozen=True)
class Post:
    """A submission before it takes the form of its era.

    It counts for the link `target` (an index), or is dropped for `reason`. `changes` are fields
    that differ from those of an ordinary post.
    """

    year: int
    url: str
    score: int
    title: str
    target: int = -1
    reason: str = ""
    is_self: bool = False
    text: str = ""
    changes: dict[str, Any] = field(default_factory=dict)


def plan(targets: Sequence[Target]) -> list[Post]:
    """All posts, in the order in which they were made; the same for the same targets."""
    posts = [*_of_targets(targets), *_faulty(targets), *_without_page(), *_odd()]
    draw = random.Random("order of posts")
    return [post for _, _, post in sorted((draw.random(), i, post) for i, post in enumerate(posts))]


def _of_targets(targets: Sequence[Target]) -> Iterator[Post]:
    """The posts of each link: the first has its highest karma."""
    for index, target in enumerate(targets):
        writer = Writer(random.Random(f"posts of {target.url}"))
        rng = writer.rng
        karma = _link_karma(rng) if target.karma is None else target.karma
        posts = 1 + int(rng.random() ** 4 * 7)
        year = OLD_YEAR if rng.random() < 0.2 else NEW_YEAR
        for number in range(posts):
            score = karma if number == 0 else min(karma, _score(rng))
            url = target.url if rng.random() < 0.6 else variant(target.url, rng)
            changes = choose(rng, HARMLESS) if rng.random() < 0.04 else ({}, 0)
            fitting = changes[0] if changes[1] <= year else {}
            yield Post(year, url, score, _title(writer), index, changes=fitting)
            year = NEW_YEAR if rng.random() < 0.8 else OLD_YEAR


def _faulty(targets: Sequence[Target]) -> Iterator[Post]:
    """Posts of pages with a field that disqualifies them: the links live without them."""
    writer = Writer(random.Random("faulty posts"))
    rng = writer.rng
    for changes, reason, since in FIELD_FAULTS:
        for _ in range(30 if reason == "over_18" else 6):
            year = OLD_YEAR if since <= OLD_YEAR and rng.random() < 0.3 else NEW_YEAR
            url = choose(rng, targets).url
            yield Post(year, url, _score(rng), _title(writer), reason=reason, changes=changes)
    for moment in (1346371200, 1346457599, 1593561600, 1593600000) * 3:
        year = OLD_YEAR if moment < 1500000000 else NEW_YEAR
        url, changes = choose(rng, targets).url, {"created_utc": moment}
        yield Post(year, url, 25, _title(writer), reason="outside_dates", changes=changes)


def _without_page() -> Iterator[Post]:
    """Text posts, pictures and films: the bulk of what is submitted."""
    writer = Writer(random.Random("posts without a page"))
    rng = writer.rng
    for _ in range(900):
        text = " ".join(writer.several(f"{choose(rng, ('travel.thought', 'forum.ask'))}", 3))
        state = rng.random()
        changes = {"author": "[deleted]"} if state < 0.1 else {}
        text = "[deleted]" if state < 0.05 else "[removed]" if state < 0.15 else text
        year = OLD_YEAR if rng.random() < 0.2 else NEW_YEAR
        yield Post(year, "", _score(rng), _title(writer), -1, "self_post", True, text, changes)
    for _ in range(1_000):
        url = filled(choose(rng, MEDIA_URLS), rng)
        year = OLD_YEAR if rng.random() < 0.15 else NEW_YEAR
        yield Post(year, url, _score(rng), _title(writer), reason="media_host")


def _odd() -> Iterator[Post]:
    writer = Writer(random.Random("odd posts"))
    rng = writer.rng
    for pattern, reason in ODD_URLS:
        often = reason in ("reddit_internal", "social_host", "file_extension")
        for _ in range(25 if often else 4):
            year = OLD_YEAR if rng.random() < 0.2 else NEW_YEAR
            yield Post(year, filled(pattern, rng), _score(rng), _title(writer), reason=reason)


def passing_links(count: int) -> list[Target]:
    """Links that hardly anyone voted for, to pages that nobody captured."""
    rng = random.Random("passing links")
    targets = []
    for _ in range(count):
        host = choose(rng, ("lukewarm", "some-blog", "another-shop", "my-new-channel", "dailyrant"))
        low = rng.random() < 0.96
        url = filled(f"https://{host}.example/{{k}}", rng)
        targets.append(
            Target(url, "not_captured", min(2, _score(rng)) if low else 3 + below(rng, 9))
        )
    return targets


def variant(url: str, rng: random.Random) -> str:
    """The same address as people post it: all of these have one key."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    swapped = "http" if scheme == "https" else "https"
    mark = "&" if "?" in url else "?"
    inner = quote(url, safe="")
    options = [
        f"{swapped}://{rest}",
        f"{scheme}://{host.upper()}{slash}{path}",
        f"{scheme}://{host}:{443 if scheme == 'https' else 80}{slash}{path}",
        f"{url}{mark}utm_source=reddit&utm_medium=social",
        f"{url}{mark}utm_source=reddit&amp;utm_campaign=share",
        f"{url}{mark}fbclid=IwAR{filled('{k}', rng)}",
        f"{url}#{choose(rng, ('comments', 'top', 'section-2', ':~:text=the'))}",
        f"  {url} ",
        f"https://www.google.com/url?sa=t&url={inner}&usg={filled('{k}', rng)}",
        f"https://l.facebook.com/l.php?u={inner}&h=AT0{filled('{k}', rng)}",
        f"https://out.reddit.com/t3_{rng.random():.6f}?url={inner}&token=AQAA",
        f"https://t.umblr.com/redirect?z={inner}&t=NzI",
        f"https://web.archive.org/web/20120915083000/{url}",
        f"https://www.google.com/amp/{'s/' if scheme == 'https' else ''}{rest}",
        f"https://translate.google.com/translate?sl=auto&tl=en&u={inner}",
        f"http://anonym.to/?{url}",
    ]
    if not host.startswith("www.") and host.count(".") == 1:
        options.append(f"{scheme}://www.{rest}")
    if "?" not in url:
        options.append(url.removesuffix("/") if url.endswith("/") else url + "/")
    return choose(rng, options)


def filled(pattern: str, rng: random.Random) -> str:
    """The pattern with keys for {k} and numbers for {n}."""
    key = "".join(choose(rng, _LETTERS) for _ in range(9))
    return pattern.replace("{k}", key).replace("{n}", str(10**9 + below(rng, 10**9)))


def _link_karma(rng: random.Random) -> int:
    """The highest score of an ordinary page's link: five of six are kept."""
    if rng.random() < 0.16:
        return below(rng, KARMA_MIN)
    return KARMA_MIN + int((1 - rng.random()) ** -1.4) - 1


def _score(rng: random.Random) -> int:
    """One post's score: two of three below 3, the rest with a heavy tail."""
    drawn = rng.random()
    if drawn < 0.66:
        return 0 if drawn < 0.12 else 1 if drawn < 0.52 else 2
    return min(90_000, 2 + int((1 - rng.random()) ** -1.6))


def _title(writer: Writer) -> str:
    writer.bound.clear()
    return writer.write(f"{choose(writer.rng, _GENRES)}.title")
