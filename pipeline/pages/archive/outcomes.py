"""What became of a link at one source: the outcomes, and the row that an archive has for each.

A final outcome ends the search at its source; any other may be tried again, by the same command.
Every outcome but `captured` is a reason of `reasons.py`, whose sentence people read.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import pyarrow as pa

from pipeline.reasons import Reason


class Source(StrEnum):
    """Where an answer comes from."""

    LIVE = "live"
    COMMON_CRAWL = "commoncrawl"
    WAYBACK = "wayback"


class Outcome(StrEnum):
    """What a source gave for a link; `.is_final` unless asking again may give another answer."""

    is_final: bool

    def __new__(cls, name: str, is_final: bool = True) -> Self:
        """Make the member's value its name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.is_final = is_final
        return member

    @property
    def reason(self) -> Reason | None:
        """The reason why there is no page; None where there is one."""
        return None if self is Outcome.CAPTURED else Reason(self.value)

    CAPTURED = "captured"
    NOT_CAPTURED = "not_captured"
    # By the address, before any request; of a redirect as well.
    URL_INVALID = "url_invalid"
    URL_TOO_LONG = "url_too_long"
    URL_CREDENTIALS = "url_credentials"
    SCHEME_NOT_HTTP = "scheme_not_http"
    HOST_INVALID = "host_invalid"
    HOST_PRIVATE = "host_private"
    PORT_NOT_ALLOWED = "port_not_allowed"
    # By the owner's word.
    ROBOTS_UNAVAILABLE = "robots_unavailable", False
    ROBOTS_DISALLOWED = "robots_disallowed"
    AI_AGENTS_DISALLOWED = "ai_agents_disallowed"
    NOAI = "noai"
    NOIMAGEAI = "noimageai"
    TDM_RESERVED = "tdm_reserved"
    CONTENT_SIGNAL = "content_signal"
    CONTENT_USAGE = "content_usage"
    # By the network.
    HOST_NOT_FOUND = "host_not_found"
    DNS_FAILED = "dns_failed", False
    CONNECT_FAILED = "connect_failed", False
    TLS_FAILED = "tls_failed"
    ANSWER_TIMED_OUT = "answer_timed_out", False
    CONNECTION_LOST = "connection_lost", False
    HOST_FAILING = "host_failing", False
    # By the answer.
    HTTP_INVALID = "http_invalid"
    HEADER_TOO_LARGE = "header_too_large"
    BODY_TOO_LARGE = "body_too_large"
    BODY_UNDECODABLE = "body_undecodable"
    PAGE_EMPTY = "page_empty"
    SERVER_BUSY = "server_busy", False
    SERVER_ERROR = "server_error", False
    STATUS_ERROR = "status_error"
    NOT_A_PAGE = "not_a_page"
    REDIRECT_LOOP = "redirect_loop"
    REDIRECT_LOST = "redirect_lost"
    REVISIT_LOST = "revisit_lost"
    UNREADABLE = "unreadable"
    # By another's archive.
    NOT_IN_INDEX = "not_in_index"
    TOO_FAR = "too_far"
    TRUNCATED = "truncated"
    INDEX_WRONG = "index_wrong"
    DIGEST_MISMATCH = "digest_mismatch"
    RANGE_FAILED = "range_failed", False


# One row for each answer: a link may have several of one source, of which the last counts.
ANSWER = pa.schema(
    [
        ("id", pa.string()),  # of the link
        ("key", pa.string()),
        ("url", pa.string()),
        ("source", pa.string()),
        ("outcome", pa.string()),
        ("is_final", pa.bool_()),
        ("status", pa.int32()),  # of the last response; 0 where there was none
        ("captured_s", pa.int64()),  # when the page was as it is; None without a response
        ("answered_s", pa.int64()),  # when the source was asked
        ("distance_s", pa.int64()),  # from the first post to the capture; None where unknown
        ("final_url", pa.string()),  # where the redirects led, "" if they did not begin
        ("redirects", pa.int32()),
        ("payload_digest", pa.string()),
        ("preferences", pa.string()),  # the owner's (preferences.py); "" where unknown
        ("detail", pa.string()),
        ("segment", pa.string()),  # the WARC file of the page, "" where there is no response
        ("offset", pa.int64()),
        ("length", pa.int64()),  # compressed bytes
    ]
)


@dataclass(frozen=True, slots=True)
class Hop:
    """A redirect on a link's way: the URL that answered, with which status."""

    url: str
    status: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source gave for a link; the columns are explained at ANSWER.

    `first_post_s` is that of the link, None where unknown. `redirects` are the hops before
    `final_url`. `record_id` names the WARC record that answers, "" where there is none.
    `preferences` is the text that `Preferences` writes and reads, "" if nothing is known.
    """

    id: str
    key: str
    url: str
    source: Source
    outcome: Outcome
    answered_s: int
    first_post_s: int | None = None
    captured_s: int | None = None
    status: int = 0
    final_url: str = ""
    redirects: tuple[Hop, ...] = ()
    record_id: str = ""
    payload_digest: str = ""
    preferences: str = ""
    detail: str = ""

    @property
    def distance_s(self) -> int | None:
        """Seconds from the link's first post to the capture; below 0 before it."""
        if self.captured_s is None or self.first_post_s is None:
            return None
        return self.captured_s - self.first_post_s
