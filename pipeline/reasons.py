"""Every reason for which a row can be dropped, with the sentence that people read.

The name is what tables, ledgers and `webtext status` hold; the sentence is what the report and
`webtext why` show. A row gets one reason: the first that holds, in the order listed here.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why a row left the flow; `.sentence` is the explanation shown to people."""

    sentence: str

    def __new__(cls, name: str, sentence: str = "") -> Self:
        """Make the member's value its name; the sentence rides along."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.sentence = sentence
        return member

    # links: one submission each
    LINE_INVALID = "line_invalid", "The dump's line is not valid JSON."
    LINE_NOT_OBJECT = "line_not_object", "The dump's line is JSON, but not an object."
    COMMENT = (
        "comment",
        "A comment: its dumps (RC_*) hold no links, those of submissions (RS_*) do.",
    )
    OTHER_OBJECT = "other_object", "No submission: an account, a message, a subreddit or an award."
    URL_MISSING = "url_missing", "The submission has no URL."
    TIME_INVALID = "time_invalid", "The submission's time is missing or cannot be read as a time."
    OUTSIDE_DATES = "outside_dates", "The submission is outside the dates that were asked for."
    FLAG_INVALID = "flag_invalid", "A mark such as over_18 is neither true nor false."
    SELF_POST = "self_post", "A text post: it links to nothing but itself."
    SCORE_MISSING = "score_missing", "The submission's score is missing or no whole number."
    SCORE_HIDDEN = "score_hidden", "The submission's score was hidden when it was read."
    PROMOTED = "promoted", "An advertisement."
    QUARANTINED = "quarantined", "From a quarantined subreddit."
    REMOVED = "removed", "Removed by a moderator, an administrator or its author."
    OVER_18 = "over_18", "Marked as not safe for work."
    SUBREDDIT_BLOCKED = "subreddit_blocked", "From a subreddit on the blocklist."
    URL_INVALID = "url_invalid", "The URL cannot be parsed."
    URL_TOO_LONG = "url_too_long", "The URL is longer than the limit."
    SCHEME_NOT_HTTP = "scheme_not_http", "The URL is neither http nor https."
    HOST_INVALID = "host_invalid", "The URL's host is no public host name or address."
    HOST_PRIVATE = "host_private", "The URL's host is a private or local address."
    URL_CREDENTIALS = "url_credentials", "The URL carries a user name or a password."
    REDDIT_INTERNAL = "reddit_internal", "The link stays within Reddit."
    MEDIA_HOST = "media_host", "A host of images, video or sound."
    SOCIAL_HOST = "social_host", "A social network."
    FILE_EXTENSION = "file_extension", "The URL ends like a file that is no web page."
    DOMAIN_BLOCKED = "domain_blocked", "The domain is on the blocklist."
    WIKIPEDIA = "wikipedia", "Wikipedia: WebText leaves it out, since much else is tested on it."
    REMOVED_BY_REQUEST = "removed_by_request", "Removed on request."
    KARMA_LOW = "karma_low", "The link's karma is below karma_min."

    # pages: one link each
    NOT_CAPTURED = "not_captured", "No capture of this URL is in the sources."
    PORT_NOT_ALLOWED = "port_not_allowed", "The address names a port that may not be asked."
    ROBOTS_UNAVAILABLE = (
        "robots_unavailable",
        "The host's robots.txt could not be had, so nothing may be fetched for now.",
    )
    HOST_NOT_FOUND = "host_not_found", "The host's name has no address any more."
    DNS_FAILED = "dns_failed", "The host's address could not be looked up."
    CONNECT_FAILED = "connect_failed", "The host took no connection."
    TLS_FAILED = "tls_failed", "The host's certificate is not valid, or TLS failed."
    ANSWER_TIMED_OUT = "answer_timed_out", "The server's answer took longer than the limit."
    CONNECTION_LOST = (
        "connection_lost",
        "The connection broke before the server's answer was whole.",
    )
    HOST_FAILING = "host_failing", "The host failed so often in a row that it is left alone."
    HTTP_INVALID = "http_invalid", "The server's answer is not HTTP."
    HEADER_TOO_LARGE = "header_too_large", "The headers of the answer are larger than the limit."
    SERVER_BUSY = "server_busy", "The server asked to come back later."
    SERVER_ERROR = "server_error", "The server failed."
    REDIRECT_LOST = "redirect_lost", "A redirect leads to a URL that was not captured."
    REDIRECT_LOOP = "redirect_loop", "The redirects go in a circle, or there are too many."
    STATUS_ERROR = "status_error", "The server answered with an error status."
    REVISIT_LOST = "revisit_lost", "The capture refers to an earlier one that is not there."
    # pages: one link each, of captures of others (Common Crawl, Wayback)
    NOT_IN_INDEX = "not_in_index", "The index of the archive has no capture of this URL."
    TOO_FAR = "too_far", "All captures are farther from the post than pages.max_distance_days."
    TRUNCATED = "truncated", "The archive has only a page that it cut short."
    INDEX_WRONG = "index_wrong", "The capture does not lie where the archive's index says."
    DIGEST_MISMATCH = "digest_mismatch", "The capture has not the digest that the archive states."
    RANGE_FAILED = "range_failed", "The capture could not be read from the archive."
    # pages: what the owner of the page asks (see pipeline/pages/owners/preferences.py)
    ROBOTS_DISALLOWED = "robots_disallowed", "The site's robots.txt disallows the page for us."
    AI_AGENTS_DISALLOWED = (
        "ai_agents_disallowed",
        "The site's robots.txt disallows the page for crawlers that collect for training.",
    )
    NOAI = "noai", 'A robots tag of the page says "noai": no use for AI.'
    NOIMAGEAI = "noimageai", 'A robots tag of the page says "noimageai": no use of images for AI.'
    TDM_RESERVED = "tdm_reserved", "The rights to text and data mining are reserved."
    CONTENT_SIGNAL = (
        "content_signal",
        'The robots.txt says "ai-train=no" (Content-Signal): no training.',
    )
    CONTENT_USAGE = (
        "content_usage",
        'The page or robots.txt says "train-ai=n" (Content-Usage): no training.',
    )
    # pages: one WARC record each; the last two are also outcomes of links
    OTHER_CAPTURE = (
        "other_capture",
        "Another capture of this URL was better, or nearer in time.",
    )
    NOT_LINKED = "not_linked", "No kept link leads to this record."
    NOT_A_PAGE = "not_a_page", "The record is not a web page (request, metadata, image, PDF)."
    UNREADABLE = "unreadable", "The record is damaged, one piece of several, or not HTTP."

    # documents: one page each
    PAGE_EMPTY = "page_empty", "The response has no body."
    BODY_TOO_LARGE = (
        "body_too_large",
        "The body is larger than the limit, before or after decoding.",
    )
    BODY_UNDECODABLE = "body_undecodable", "The transfer or content encoding is damaged or unknown."
    NOT_HTML = "not_html", "The bytes are another kind of file, whatever the header says."
    CHARSET_UNKNOWN = "charset_unknown", "The bytes are text in no encoding that could be found."
    TOO_MANY_TAGS = "too_many_tags", "The page has more tags than the limit."
    TOO_DEEP = "too_deep", "The page nests elements deeper than the limit."
    TOO_MANY_ATTRIBUTES = "too_many_attributes", "One tag, or the page, has too many attributes."
    TOO_MANY_CELLS = "too_many_cells", "The page's tables, or one row, have too many cells."
    EXTRACTION_FAILED = "extraction_failed", "The extractor raised an error on this page."
    TIMED_OUT = "timed_out", "The page took more time than the limit."
    CRASHED = "crashed", "The page crashed the process that worked on it."
    OUT_OF_MEMORY = "out_of_memory", "The page needed more memory than the limit."
    NO_TEXT = "no_text", "The extractor found no main text."
    TOO_SHORT = "too_short", "The text is shorter than the limit."
    TOO_LONG = "too_long", "The text is longer than the limit."
    WALL_NOT_FOUND = "wall_not_found", 'The page says "not found", though its status is 200.'
    WALL_MOVED = "wall_moved", "The page says only that it moved."
    WALL_LOGIN = "wall_login", "The page asks to log in or to subscribe, and shows little else."
    WALL_CONSENT = "wall_consent", "The page asks for consent to cookies, and shows little else."
    WALL_SCRIPT = (
        "wall_script",
        "The page asks for JavaScript or another browser.",
    )
    WALL_CHALLENGE = (
        "wall_challenge",
        "The page denies access, or asks if one is human.",
    )
    WALL_PARKED = "wall_parked", "A parked domain, an empty site or a server's own page."
    WALL_ERROR = "wall_error", "The page shows an error of the site, though its status is 200."
    OTHER_LANGUAGE = "other_language", "The text is not in a language that was asked for."
    LANGUAGE_UNSURE = "language_unsure", "The text's language cannot be told."

    # corpus: one document each
    WIKIPEDIA_DOMAIN = "wikipedia_domain", "The page came from Wikipedia or a sister project."
    WIKIPEDIA_MIRROR = "wikipedia_mirror", "The page came from a known mirror of Wikipedia."
    WIKIPEDIA_MARK = "wikipedia_mark", "The text says that it came from Wikipedia."
    LITTLE_PROSE = (
        "little_prose",
        "The text is a menu, a listing or a table: it has too few function words or sentences.",
    )
    REPETITIVE = "repetitive", "Too much of the text stands in it more than once."
    ODD_WORDS = "odd_words", "The words are too long or too short, or signs instead of words."
    SAME_URL = "same_url", "Another link led to the same final URL."
    EXACT_COPY = "exact_copy", "The normalised text equals that of a kept document."
    NEAR_COPY = "near_copy", "The text is a near copy of a kept document."
    # corpus: one line each, of a document that is kept
    BOILERPLATE = "boilerplate", "The line stands at the edge of many pages of its host."

    # tokenizer: one pre-token each
    PRETOKEN_RARE = "pretoken_rare", "The pre-token occurs less often than the limit."

    # texts of anyone's
    OTHER_CHARSET = "other_charset", "The row does not read in the encoding of its file."
    TEXT_MISSING = "text_missing", "The row has no text."
    EMPTY_TEXT = "empty_text", "The text has no word in it."


# Limits that stand far above the deterministic budgets: another machine, or another hour, may keep
# a row that is dropped for one of them.
FAULTS = frozenset({Reason.TIMED_OUT, Reason.CRASHED, Reason.OUT_OF_MEMORY})


@dataclass(frozen=True, slots=True)
class Drop:
    """A row that leaves the flow, and why. `detail` is for people: a value, a limit, a position."""

    reason: Reason
    detail: str = ""
