"""What should become of the demo's submissions and links: what a build is compared with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.reasons import Reason
from tools.demo.posts import KARMA_MIN, Post
from tools.demo.web import Target

# What only the live web answers with, and what only the archives of others are.
_OF_THE_WEB = (
    *(Reason.PORT_NOT_ALLOWED, Reason.ROBOTS_UNAVAILABLE, Reason.HOST_NOT_FOUND),
    *(Reason.DNS_FAILED, Reason.CONNECT_FAILED, Reason.TLS_FAILED, Reason.ANSWER_TIMED_OUT),
    *(Reason.CONNECTION_LOST, Reason.HOST_FAILING, Reason.HTTP_INVALID, Reason.HEADER_TOO_LARGE),
    *(Reason.SERVER_BUSY, Reason.SERVER_ERROR),
)
_OF_ARCHIVES = (
    *(Reason.NOT_IN_INDEX, Reason.TOO_FAR, Reason.TRUNCATED, Reason.INDEX_WRONG),
    *(Reason.DIGEST_MISMATCH, Reason.RANGE_FAILED),
)
# Why the demo cannot show these.
UNREACHABLE: dict[Reason, str] = {
    **dict.fromkeys(_OF_THE_WEB, "its pages lie in a WARC file, and no server is asked"),
    **dict.fromkeys(_OF_ARCHIVES, "its pages lie in a WARC file, and no archive is asked"),
    Reason.OTHER_OBJECT: "accounts, messages and subreddits stand in dumps of their own",
    Reason.EXTRACTION_FAILED: "no page is known on which the extractor raises an error",
    Reason.TIMED_OUT: "the budgets drop every page that could hold an extractor up",
    Reason.CRASHED: "no page is known that ends a worker process",
    Reason.OUT_OF_MEMORY: "the caps on body and text keep every page far below the limit",
    Reason.TEXT_MISSING: "each document of a build has a text; only files of others may lack one",
    Reason.OTHER_CHARSET: "each page has its own charset; only files of others have one",
    Reason.PRETOKEN_RARE: "its tokenizer counts every pre-token, however rare",
    Reason.BOILERPLATE: "its profile cuts no lines",
    Reason.EMPTY_TEXT: "a text without words has no language either, and that is asked before",
}
# Reasons for single posts that a link's URL alone decides: such a link never comes into being.
_OF_POSTS = {"wikipedia"}


@dataclass(frozen=True)
class Expected:
    """The truth about one demo.

    `submissions` counts lines by what becomes of them: "kept" (one post of each kept link),
    "merged" (its others), or a reason. `links` says for each linked URL "kept" (its text is in the
    corpus), a reason, or reasons joined by "|" where any of them is right. `records` counts the
    records of the WARC files; None where a crawl makes them.
    """

    submissions: dict[str, int]
    links: dict[str, str]
    records: int | None

    def tables(self) -> dict[str, Any]:
        """Plain tables for JSON."""
        return asdict(self)


def expect(
    targets: Sequence[Target], posts: Sequence[Post], broken: Counter[str], records: int | None
) -> Expected:
    """The truth about these posts of these targets, and about lines that were broken."""
    karma: dict[int, int] = {}
    for post in posts:
        if post.target >= 0:
            karma[post.target] = max(post.score, karma.get(post.target, post.score))
    links = {}
    submissions = Counter(broken)
    for index, target in enumerate(targets):
        low = karma[index] < KARMA_MIN and target.expected not in _OF_POSTS
        links[target.url] = "karma_low" if low else target.expected
    seen: set[int] = set()
    for post in posts:
        if post.target < 0:
            submissions[post.reason] += 1
            continue
        end = links[targets[post.target].url]
        if end == "karma_low" or end in _OF_POSTS:
            submissions[end] += 1
        else:
            submissions["merged" if post.target in seen else "kept"] += 1
            seen.add(post.target)
    return Expected(dict(sorted(submissions.items())), links, records)
