"""Writes submissions as Reddit's dumps had them in September 2012 and in June 2020."""

import bz2
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import zstandard

from tools.demo.grammar import below, choose
from tools.demo.oddities import BROKEN_LINES, broken
from tools.demo.posts import NEW_YEAR, OLD_YEAR, Post

OLD_FILE, NEW_FILE = "RS_2012-09.bz2", "RS_2020-06.zst"
SEPTEMBER_2012_S, JUNE_2020_S, MONTH_S = 1_346_457_600, 1_590_969_600, 30 * 86_400
_SUBREDDITS = (
    "news worldnews todayilearned Cooking recipes travel solotravel DIY woodworking BuyItForLife"
    " gardening birding books shortstories offbeat technology Python programming learnpython"
    " bicycling fixit history nature UpliftingNews AskReddit"
).split()
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"


def write_dumps(folder: Path, posts: Sequence[Post]) -> tuple[list[Path], Counter[str]]:
    """Write both files; gives their paths and how many lines were broken, by reason."""
    faults: Counter[str] = Counter()
    old, new = folder / OLD_FILE, folder / NEW_FILE
    with bz2.open(old, "wb") as file:
        for line in _lines([p for p in posts if p.year == OLD_YEAR], OLD_YEAR, faults):
            file.write(line + b"\n")
    # The window that Pushshift used; small tables, so that writing needs no gigabytes.
    parameters = zstandard.ZstdCompressionParameters.from_level(
        6, window_log=31, hash_log=20, chain_log=20, enable_ldm=False
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    with new.open("wb") as raw, compressor.stream_writer(raw, closefd=False) as stream:
        for line in _lines([p for p in posts if p.year == NEW_YEAR], NEW_YEAR, faults):
            stream.write(line + b"\n")
    return [old, new], faults


def _lines(posts: Sequence[Post], year: int, faults: Counter[str]) -> Iterator[bytes]:
    """The month's lines in order of time; some are followed by a broken copy."""
    rng = random.Random(f"dump of {year}")
    form, start = (_form_2012, SEPTEMBER_2012_S) if year == OLD_YEAR else (_form_2020, JUNE_2020_S)
    separators = (", ", ": ") if year == OLD_YEAR else (",", ":")
    every = max(1, len(posts) // (4 * len(BROKEN_LINES)))
    for number, post in enumerate(posts):
        created_s = start + (number + 1) * MONTH_S // (len(posts) + 2)
        fields = form(post, created_s, number, rng) | post.changes
        line = json.dumps(fields, separators=separators, ensure_ascii=number % 2 == 0).encode()
        yield line
        if number % every == every - 1:
            kind, reason = BROKEN_LINES[number // every % len(BROKEN_LINES)]
            faults[reason] += 1
            yield broken(line, kind)


def _shared(post: Post, created_s: int, post_id: str, rng: random.Random) -> dict[str, Any]:
    """The fields of both eras."""
    subreddit = choose(rng, _SUBREDDITS)
    slug = "_".join("".join(c if c.isalnum() else " " for c in post.title.lower()).split())[:50]
    permalink = f"/r/{subreddit}/comments/{post_id}/{slug}/"
    link = f"https://www.reddit.com{permalink}" if post.is_self else post.url
    return {
        "author": f"demo_user_{below(rng, 4_000)}",
        "author_flair_css_class": None,
        "author_flair_text": None,
        "created_utc": created_s,
        "distinguished": None,
        "domain": f"self.{subreddit}" if post.is_self else _domain(post.url),
        "edited": False,
        "gilded": 0,
        "id": post_id,
        "is_self": post.is_self,
        "link_flair_css_class": None,
        "link_flair_text": None,
        "media": None,
        "media_embed": {},
        "num_comments": max(0, post.score) // 3,
        "over_18": False,
        "permalink": permalink,
        "score": post.score,
        "secure_media": None,
        "secure_media_embed": {},
        "selftext": post.text,
        "stickied": False,
        "subreddit": subreddit,
        "thumbnail": "self" if post.is_self else "default",
        "title": post.title,
        "url": link,
    }


def _form_2012(post: Post, created_s: int, number: int, rng: random.Random) -> dict[str, Any]:
    ups = max(post.score, 0) + below(rng, 1 + abs(post.score))
    fields = _shared(post, created_s, _base36(18_000_000 + 3 * number), rng)
    return fields | {
        "banned_by": None,
        "created_utc": str(created_s) if number % 3 == 0 else created_s,
        "downs": ups - post.score,
        "mod_reports": [],
        "report_reasons": None,
        "retrieved_on": 1_413_177_000 + below(rng, 100_000),
        "selftext_html": None,
        "subreddit_id": "t5_2qh0u",
        "ups": ups,
        "user_reports": [],
    }


def _form_2020(post: Post, created_s: int, number: int, rng: random.Random) -> dict[str, Any]:
    post_id = _base36(1_000_000_000 + 7 * number)
    fields = _shared(post, created_s, post_id, rng) | {
        "all_awardings": [],
        "archived": False,
        "author_fullname": "t2_" + _base36(below(rng, 10**9)),
        "contest_mode": False,
        "hide_score": False,
        "is_crosspostable": True,
        "is_robot_indexable": True,
        "is_video": "v.redd.it" in post.url,
        "locked": False,
        "num_crossposts": 0,
        "pinned": False,
        "promoted": False,
        "quarantine": False,
        "removed_by_category": None,
        "retrieved_on": created_s + 86_400 * (20 + below(rng, 60)),
        "spoiler": False,
        "subreddit_subscribers": 1_000 + below(rng, 10**7),
        "subreddit_type": "public",
        "total_awards_received": 0,
        "upvote_ratio": round(0.5 + rng.random() / 2, 2),
    }
    if post.is_self:
        return fields
    if "url" not in post.changes:
        fields["url_overridden_by_dest"] = post.url
    if post.target >= 0 and rng.random() < 0.08:
        # A crosspost: its URL may name the parent's thread, and the real one stands beside it.
        parent = _base36(1_000_000_000 - below(rng, 10**6))
        fields["crosspost_parent"] = "t3_" + parent
        fields["crosspost_parent_list"] = [{"id": parent, "url": post.url, "score": post.score + 5}]
        fields["url"] = f"/r/{choose(rng, _SUBREDDITS)}/comments/{parent}/"
    return fields


def _domain(url: str) -> str:
    host = url.partition("://")[2].partition("/")[0].lower()
    return host.removeprefix("www.")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits or "0"
