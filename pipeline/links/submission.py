"""One line of a dump to one submission: the dozen fields we need, of every era.

Everything is typed Any on purpose: an odd value is for the rules to judge (`select.py`), not a
fault. Fields by era: `url_overridden_by_dest` from 2020-05, `promoted` from 2008-09,
`removed_by_category` from 2019-09; `created_utc` is a string 2014-01 to 2015-11 and a float in
Arctic Shift's files; `score` is null in rows of 2017-10/11. User names are never read.
"""

import math
from typing import Any

import msgspec

from pipeline.reasons import Reason
from pipeline.records import Drop

SCORE_MAX = 2**31  # Reddit's largest scores are below a million
TIME_MAX_S = 2**33  # the year 2242


class Submission(msgspec.Struct, gc=False, rename={"meta": "_meta"}):
    """A line's fields as they stand there. In the order of the dumps, which decodes fastest."""

    meta: Any = None  # Arctic Shift's: when the score was read again, whether the post was deleted
    created_utc: Any = None
    domain: Any = None
    hide_score: Any = None
    id: Any = None
    is_self: Any = None
    over_18: Any = None
    promoted: Any = None
    quarantine: Any = None
    removed_by_category: Any = None
    retrieved_on: Any = None
    retrieved_utc: Any = None
    score: Any = None
    subreddit: Any = None
    updated_on: Any = None
    url: Any = None
    url_overridden_by_dest: Any = None


_decode = msgspec.json.Decoder(Submission).decode


def parse_line(line: bytes) -> Submission | Drop:
    """The submission on a line, or line_invalid or line_not_object."""
    try:
        # Fields that we do not read are not checked by the decoder, so the bytes are.
        if not line.isascii():
            line.decode()
        return _decode(line)
    except UnicodeDecodeError as error:
        return Drop(Reason.LINE_INVALID, f"no UTF-8 at byte {error.start}")
    except (msgspec.DecodeError, RecursionError) as error:
        return _no_object(line, str(error))


def whole(value: Any, limit: int) -> int | None:
    """An integer within the limit, also one that is written as a float; None: no such number."""
    if type(value) is not int:
        if type(value) is not float or not math.isfinite(value):
            return None
        value = int(value)
    return value if -limit < value < limit else None


def number_of(value: Any) -> int | None:
    """A time that is written as a float or a string; None: no number."""
    if type(value) is str and value.removesuffix(".0").isdecimal() and len(value) < 20:
        return int(value.removesuffix(".0"))
    return whole(value, TIME_MAX_S)


def text_of(value: Any) -> str:
    """A string as it is, anything else as ""."""
    return value if type(value) is str else ""


def is_self_post(post: Submission) -> bool:
    """Whether it is a text post, by either of the two fields that say so."""
    domain = post.domain
    return post.is_self is True or (type(domain) is str and domain.startswith("self."))


def score_read_s(post: Submission) -> int | None:
    """When the post's score was read; None: the dump does not say.

    Arctic Shift reads new posts within seconds, and again later; the score is that of the later
    time, unless `_meta` says that there was none.
    """
    seen = post.updated_on or post.retrieved_on or post.retrieved_utc
    if type(post.meta) is dict:
        seen = post.meta.get("retrieved_2nd_on") or seen
    return None if seen is None else whole(seen, TIME_MAX_S)


def was_removed(post: Submission) -> str:
    """By whom the post was removed, or ""."""
    if post.removed_by_category:
        return str(post.removed_by_category)
    if type(post.meta) is dict and post.meta.get("was_deleted_later"):
        return "author"
    return ""


def _no_object(line: bytes, problem: str) -> Drop:
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Drop(Reason.LINE_INVALID, problem if line.strip() else "an empty line")
    if isinstance(value, dict):
        return Drop(Reason.LINE_INVALID, problem)
    return Drop(Reason.LINE_NOT_OBJECT, type(value).__name__)
