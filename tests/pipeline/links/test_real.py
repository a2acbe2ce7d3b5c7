"""The rules on real months, and on synthetic ones that come with their truth."""

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from pipeline.lines import Lines
from pipeline.links.loose import whole
from pipeline.links.select import Dropped, Post, ReadRules, Selector, UrlRules
from pipeline.links.submission import SCORE_MAX, Submission, parse_line
from pipeline.settings import LinksSettings

pytestmark = pytest.mark.real
RULES = ReadRules.of(LinksSettings(date_max=date(2029, 12, 31)))
URLS = UrlRules(RULES)
csv.field_size_limit(2**20)

# A row of the truth has a kind (what the line is), a note (what is wrong with its fields) and a
# variant (how the page's URL was changed). These are the reasons that each may get besides being
# kept; for a page, also those that its own URL brings along (`OWN`), whatever the variant.
OWN = {"file_extension", "media_host", "social_host", "wikipedia", "reddit_internal"}
BY_KIND = {
    "page": OWN,
    "page-deleted-author": OWN,
    "page-repeat-line": OWN | {"self_post"},
    "crosspost": OWN,
    "dead-link": {"file_extension"},  # the .pdf and .zip among them
    "self": {"self_post"},
    "self-deleted": {"self_post"},
    "self-removed": {"self_post"},
    "self-with-link": {"self_post"},
    "media": {"media_host", "social_host"},
    "reddit-link": {"reddit_internal"},
    "bad-url": {"url_missing", "url_invalid", "scheme_not_http", "host_private", "url_credentials"},
    "broken": {"line_invalid", "line_not_object"},
}
NEVER_KEPT = set(BY_KIND) - {
    "page",
    "page-deleted-author",
    "page-repeat-line",
    "crosspost",
    "dead-link",
}
BY_NOTE = {
    "no-score": {"score_missing"},
    "null-score": {"score_missing"},
    "no-url": {"url_missing"},
    "null-url": {"url_missing"},
    "null-time": {"time_invalid"},
}
# Variants that are other addresses on purpose: mobile hosts, and a slash after an index file.
OTHER_LINK = {"mobile-host": 198, "slash": 1}
# `www.` before an IP address is no host name: its last label is a number (WHATWG).
SPOILT_BY_VARIANT = {("www", "url_invalid"): 1}


def truth(data: Path) -> Iterator[tuple[dict[str, str], Post | Dropped]]:
    """Each line of the synthetic dumps: what it is, and what the rules say."""
    rows = defaultdict(list)
    with gzip.open(data / "reddit/submissions_truth.tsv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            rows[row["file"]].append(row)
    for name, of_file in rows.items():
        selector = Selector(RULES)
        with Lines(data / "reddit" / name) as lines:
            for row, line in zip(of_file, lines, strict=True):
                yield row, selector.judge(line)


@pytest.fixture(scope="module")
def judged(shared_data: Path) -> list[tuple[dict[str, str], Post | Dropped]]:
    return list(truth(shared_data))


@pytest.mark.parametrize(("month", "posts"), [("2005-06", 83), ("2005-07", 757)])
def test_the_score_rule_alone_gives_the_posts_of_an_independent_list(
    month: str, posts: int, shared_data: Path
) -> None:
    ours: Counter[tuple[str, str, int]] = Counter()
    with Lines(shared_data / f"reddit/RS_v2_{month}.xz") as lines:
        for line in lines:
            post = parse_line(line)
            assert isinstance(post, Submission)
            karma = whole(post.score, SCORE_MAX)
            if karma is not None and karma >= LinksSettings().karma_min:
                ours[post.url, post.subreddit, karma] += 1
    with gzip.open(shared_data / f"reddit/urk/RS_v2_{month}.urk.json-00.gz") as file:
        listed = [json.loads(line) for line in file]
    assert ours.total() == posts
    assert ours == Counter((row["u"], row["r"], row["k"]) for row in listed)


def test_every_row_of_the_truth_is_kept_or_dropped_for_a_named_reason(
    judged: list[tuple[dict[str, str], Post | Dropped]],
) -> None:
    spoilt: Counter[tuple[str, str]] = Counter()
    assert len(judged) == 14_036
    for row, verdict in judged:
        if isinstance(verdict, Post):
            assert row["kind"] not in NEVER_KEPT, row
            assert row["note"] not in BY_NOTE, row
            assert verdict.karma == int(row["score"])
            assert verdict.post_id == row["id"]
        elif verdict.reason not in BY_KIND[row["kind"]] | BY_NOTE.get(row["note"], set()):
            spoilt[row["variant"], verdict.reason.value] += 1
    assert spoilt == SPOILT_BY_VARIANT


def test_a_kept_post_leads_to_the_page_that_the_truth_names(
    judged: list[tuple[dict[str, str], Post | Dropped]],
) -> None:
    other: Counter[str] = Counter()
    kept = 0
    for row, verdict in judged:
        if isinstance(verdict, Post) and row["page"] not in ("", "(parent)"):
            kept += 1
            if verdict.target.id != URLS.target(row["page"]).id:
                other[row["variant"]] += 1
            if row["variant"] == "web-archive":
                assert verdict.target.capture_hint_s == 1559347200  # 2019-06-01
    assert kept == 8_495
    assert other == OTHER_LINK


def test_a_page_is_dropped_only_for_what_its_own_url_is(
    judged: list[tuple[dict[str, str], Post | Dropped]],
) -> None:
    for row, verdict in judged:
        if row["kind"] == "page" and isinstance(verdict, Dropped) and verdict.reason in OWN:
            assert URLS.target(row["page"]).reason is verdict.reason, row


def test_the_pages_with_enough_karma_are_kept_but_for_named_reasons(
    judged: list[tuple[dict[str, str], Post | Dropped]], shared_data: Path
) -> None:
    with gzip.open(shared_data / "pages/index.tsv.gz", "rt", newline="") as file:
        pages = {row["url"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    kept, wanted = set(), defaultdict(set)
    for row, verdict in judged:
        if isinstance(verdict, Post) and verdict.karma >= 3:
            kept.add(verdict.target.id)
        if row["page"] in pages and row["score"].isdigit() and int(row["score"]) >= 3:
            why = verdict.reason.value if isinstance(verdict, Dropped) else row["variant"]
            wanted[row["page"]].add(why)
    lost = {page for page in wanted if URLS.target(page).id not in kept}
    assert (len(pages), len(wanted), len(lost)) == (2_855, 1_446, 76)
    assert sum(URLS.target(page).id in kept for page in pages) == 1_383
    # Named only in the text of a self post, posted by a mobile host alone, a field missing, …
    explained = OWN | {"self_post", "mobile-host", "score_missing", "url_missing", "time_invalid"}
    assert set().union(*(wanted[page] for page in lost)) <= explained
