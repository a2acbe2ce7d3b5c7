"""Submissions that do not count, by the reason for which they should be dropped."""

from typing import Any

# URLs, each with its reason. {k} is a random key, {n} a random number.
ODD_URLS: tuple[tuple[str, str], ...] = (
    ("http://", "url_invalid"),
    ("http://[::1", "url_invalid"),
    ("not a url at all", "url_invalid"),
    ("//harbourpost.example/{k}", "url_invalid"),
    ("http://exa mple.example/{k}", "url_invalid"),
    ("https://www.valleyledger.example/" + "a-very-long-address/" * 120 + "{k}", "url_too_long"),
    ("ftp://files.example/pub/{k}", "scheme_not_http"),
    ("mailto:editor@valleyledger.example?subject={k}", "scheme_not_http"),
    ("javascript:alert({n})", "scheme_not_http"),
    ("magnet:?xt=urn:btih:{k}", "scheme_not_http"),
    ("http://300.1.2.3.4/{k}", "url_invalid"),
    ("http://exam!ple.example/{k}", "host_invalid"),
    ("http://127.0.0.1:8080/{k}", "host_private"),
    ("http://192.168.1.20/router/{k}", "host_private"),
    ("http://nas.local/{k}", "host_private"),
    ("http://localhost/{k}", "host_private"),
    ("http://[fe80::1]/{k}", "host_private"),
    ("http://user:secret@staff.example/{k}", "url_credentials"),
    ("https://www.reddit.com/r/travel/comments/{k}/", "reddit_internal"),
    ("https://redd.it/{k}", "reddit_internal"),
    ("/r/books/comments/{k}/a_question/", "reddit_internal"),
    ("https://np.reddit.com/r/AskReddit/comments/{k}/", "reddit_internal"),
    ("https://twitter.com/nobody/status/{n}", "social_host"),
    ("https://www.facebook.com/nobody/posts/{n}", "social_host"),
    ("https://nobody.tumblr.com/post/{n}", "social_host"),
    ("https://www.marshsurvey.example/data/{k}.pdf", "file_extension"),
    ("http://photos.example/{k}.jpg", "file_extension"),
    ("https://downloads.example/{k}.zip", "file_extension"),
    ("https://sounds.example/{k}.mp3?play=1", "file_extension"),
    ("https://spamfarm.example/offer/{k}", "domain_blocked"),
    ("http://cheap.spamfarm.example/{k}", "domain_blocked"),
    ("https://de.wikipedia.org/wiki/{k}", "wikipedia"),
    ("https://takedown.example/{k}", "removed_by_request"),
)
MEDIA_URLS = (
    "https://i.redd.it/{k}.jpg",
    "https://v.redd.it/{k}",
    "https://i.imgur.com/{k}.jpg",
    "https://imgur.com/a/{k}",
    "https://www.youtube.com/watch?v={k}",
    "https://youtu.be/{k}",
    "https://gfycat.com/{k}",
    "https://streamable.com/{k}",
    "https://open.spotify.com/track/{k}",
    "https://soundcloud.com/nobody/{k}",
)

# Fields of an otherwise good post of a page: what is changed, and the reason.
# Where a dump of the era has no such field it is not used (`since`: the year it came).
FIELD_FAULTS: tuple[tuple[dict[str, Any], str, int], ...] = (
    ({"url": None}, "url_missing", 2005),
    ({"url": "", "body": "A comment.", "link_id": "t3_a"}, "comment", 2005),
    ({"created_utc": None}, "time_invalid", 2005),
    ({"created_utc": "yesterday"}, "time_invalid", 2005),
    ({"score": None}, "score_missing", 2005),
    ({"over_18": "maybe"}, "flag_invalid", 2005),
    ({"hide_score": True}, "score_hidden", 2013),
    ({"promoted": True}, "promoted", 2008),
    ({"quarantine": True}, "quarantined", 2015),
    ({"removed_by_category": "moderator"}, "removed", 2019),
    ({"removed_by_category": "deleted", "author": "[deleted]"}, "removed", 2019),
    ({"over_18": True}, "over_18", 2005),
    ({"subreddit": "blocked_board"}, "subreddit_blocked", 2005),
)
# Field values that are odd and do not matter: these posts count.
HARMLESS: tuple[tuple[dict[str, Any], int], ...] = (
    ({"author": "[deleted]"}, 2005),
    ({"title": '日本語 \U0001f600 \x00 \ufffd "quoted" title'}, 2005),
    ({"domain": None, "author": None, "over_18": None}, 2005),
    ({"promoted": False, "quarantine": None, "removed_by_category": None}, 2019),
    ({"some_field_of_the_future": {"deep": [[[]]]}}, 2005),
)
BROKEN_LINES: tuple[tuple[str, str], ...] = (
    ("half", "line_invalid"),
    ("empty", "line_invalid"),
    ("zeros", "line_invalid"),
    ("bad_utf8", "line_invalid"),
    ("null", "line_not_object"),
    ("list", "line_not_object"),
    ("number", "line_not_object"),
)


def broken(line: bytes, kind: str) -> bytes:
    """A line broken in one of the ways of `BROKEN_LINES`."""
    return {
        "half": line[: len(line) // 2],
        "empty": b"",
        "zeros": bytes(64),
        "bad_utf8": line[:40] + b"\xff\xfe\xfa" + line[40:],
        "null": b"null",
        "list": b'["not", "an", "object"]',
        "number": b"1591000000",
    }[kind]
