"""One line of a dump to one submission: the fields that we need, of every era.

A line whose fields have JSON's own types is decoded in one go (msgspec). Whatever that refuses is
read once more, slowly and kindly: half a surrogate pair, NaN or a control character in a field
that nobody reads, booleans as words, numbers as text (`loose.py`).

Tables that were made of dumps have columns that no dump has (`_meta.removal_type`, `is_deleted`).
Who asks the fast decoder for them pays 5 % on every line, so `is_remade` tells such a file by its
first lines, and `parse_kindly` reads all of it.

Fields by era: `url_overridden_by_dest` from 2020-05, `promoted` from 2008-09,
`removed_by_category` from 2019-09; `created_utc` is a string 2014-01 to 2015-11 and a float in
Arctic Shift's files; `score` is null in rows of 2017-10/11. User names are never kept.
"""

import re
from typing import Any

import msgspec

from pipeline.links import loose
from pipeline.loose_json import DECODER
from pipeline.reasons import Drop, Reason

SHORT_CHARS = 16
SCORE_MAX = 2**31  # Reddit's largest scores are below a million


class Meta(msgspec.Struct, gc=False):
    """What Arctic Shift adds: it reads each post twice, within seconds and a day or more later."""

    removal_type: str | None = None
    retrieved_2nd_on: int | float | None = None
    was_deleted_later: bool | None = None
    was_initially_deleted: bool | None = None


class Submission(msgspec.Struct, gc=False, rename={"meta": "_meta", "doubt": "(doubt)"}):
    """A line's fields, None where it has none. In the order of the dumps, which decodes fastest."""

    meta: Meta | None = None
    banned_by: Any = None
    created_utc: int | float | str | None = None
    domain: str | None = None
    hide_score: bool | None = None
    id: str | None = None
    is_self: bool | None = None
    over_18: bool | None = None
    promoted: bool | None = None
    quarantine: bool | None = None
    removal_reason: Any = None
    removed: bool | None = None
    removed_by: Any = None
    removed_by_category: Any = None
    retrieved_on: int | float | None = None
    retrieved_utc: int | float | None = None
    score: int | float | str | None = None
    selftext: str | None = None
    spam: bool | None = None
    subreddit: str | None = None
    title: str | None = None
    updated_on: int | float | None = None
    url: str | None = None
    url_overridden_by_dest: str | None = None
    doubt: str = ""  # a flag that is neither true nor false, for people


_FLAGS = ("hide_score", "is_self", "over_18", "promoted", "quarantine", "removed", "spam")
_META_FLAGS = ("was_deleted_later", "was_initially_deleted")
_TIMES = ("retrieved_on", "retrieved_utc", "updated_on")
_TEXTS = ("domain", "id", "selftext", "subreddit", "title")
_URLS = ("url", "url_overridden_by_dest")
_AS_THEY_ARE = ("banned_by", "removal_reason", "removed_by", "removed_by_category")

# What stands in place of the title or the text of a post that was taken away; "removed by reddit"
# goes on with the reason. A title may begin with [removed]; a tombstone says nothing else.
_TOMBSTONE = re.compile(
    r"[\W_]*\[\W*(?:(?:deleted|removed)(?:\s+by\s+(?:the\s+)?"
    r"(?:user|author|poster|op|reddit|admins?|administrators?|mods?|moderators?))?\W*\]\W*"
    r"|removed\s+by\s+reddit\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_TOMBSTONE_CHARS = 200
# What one may begin with: its bracket, space, Markdown's escape or emphasis, invisible characters.
_TOMBSTONE_STARTS = frozenset("[ \t\r\n\\*_~`\xa0\u200b\ufeff\u2060")

# Of tables that were made of dumps: `_meta` as columns of its own, and flags of other names. An
# author named [removed] is their way too; [deleted] is an account that went, and its posts stand.
_META_PREFIXES = ("", "_meta.", "_meta_", "_meta__", "meta.", "meta_", "meta__")
_META_NAMES = ("removal_type", "retrieved_2nd_on", "was_deleted_later", "was_initially_deleted")
_META_COLUMNS = {prefix + name: name for prefix in _META_PREFIXES for name in _META_NAMES}
_MORE_FLAGS = ("deleted", "is_deleted", "is_removed")
_TABLE_COLUMNS = frozenset([*_META_COLUMNS, *_MORE_FLAGS])

# Reddit's full names: t1_ a comment, t2_ an account, t3_ a submission, t4_ a message ...
_FULL_NAME = re.compile(r"(t[1-6])_(\w+)", re.ASCII)
_IN_PERMALINK = re.compile(r"/comments/(\w+)(?:/|$)", re.ASCII)

_decode = msgspec.json.Decoder(Submission).decode


# What a table's row is read for.
FIELDS = (
    *(_FLAGS + _TIMES + _TEXTS + _URLS + _AS_THEY_ARE),
    *"_meta author body created_utc link_id name parent_id permalink score".split(),
    *sorted(_TABLE_COLUMNS),
)


class _Names(msgspec.Struct, gc=False):
    name: Any = None
    permalink: Any = None


_decode_names = msgspec.json.Decoder(_Names).decode
_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def parse_line(line: bytes) -> Submission | Drop:
    """The submission on a line, or line_invalid, line_not_object, comment or other_object."""
    try:
        # Fields that we do not read are not checked by the decoder, so the bytes are.
        if not line.isascii():
            line.decode()
        post = _decode(line)
        if post.id and "_" not in post.id:
            return post
        names = _decode_names(line)
        return _named(post, names.name, names.permalink)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return parse_kindly(line)


def parse_kindly(line: bytes) -> Submission | Drop:
    """As `parse_line`, in a fifth of the speed, with the columns that tables add."""
    fields = _fields(line)
    if isinstance(fields, Drop):
        return fields
    return _named(_read_kindly(fields), fields.get("name"), fields.get("permalink"))


def is_remade(line: bytes) -> bool:
    """Whether a line has fields that tables have and no dump has, so that all want kindness."""
    try:
        raw = _decode_raw(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False  # it is read kindly anyway
    return not _TABLE_COLUMNS.isdisjoint(raw) or bytes(raw.get("author", b"")) == b'"[removed]"'


def is_comment(line: bytes) -> bool:
    """Whether a line without a URL is a comment, which has a text and the post that it is under."""
    fields = _fields(line)
    return not isinstance(fields, Drop) and bool(
        fields.get("body") is not None and (fields.get("link_id") or fields.get("parent_id"))
    )


def url_of(post: Submission) -> str:
    """The URL that the post leads to, or ""."""
    url = post.url_overridden_by_dest or post.url or ""
    if len(url) < SHORT_CHARS:  # else it is no word for null
        named = (post.url_overridden_by_dest, post.url)
        url = next((url for url in named if url and not loose.is_null(url)), "")
    return url


def id_of(post: Submission) -> str:
    """The post's id as in its address, or ""."""
    id = post.id
    return id if id and id.lower() not in loose.NULL_WORDS else ""


def _named(post: Submission, name: Any, permalink: Any) -> Submission | Drop:
    """The post with the id that its full name or address says; a Drop for another kind of thing."""
    found = _FULL_NAME.fullmatch(post.id or loose.text(name))
    if found and found[1] != "t3":
        reason = Reason.COMMENT if found[1] == "t1" else Reason.OTHER_OBJECT
        return Drop(reason, found[0])
    if found:
        post.id = found[2]
    elif not post.id and (found := _IN_PERMALINK.search(loose.text(permalink))):
        post.id = found[1]
    return post


def score_read_s(post: Submission) -> int | None:
    """When the post's score was read; None: the dump does not say.

    Arctic Shift reads new posts within seconds, and again later; the score is that of the later
    time, unless `_meta` says that there was none.
    """
    seen = post.updated_on or post.retrieved_on or post.retrieved_utc
    if post.meta is not None:
        seen = post.meta.retrieved_2nd_on or seen
    return seen if type(seen) is int else loose.seconds(seen)


def was_removed(post: Submission) -> str:
    """By whom or by what sign the post was removed, or "". Names of moderators stay unsaid.

    A post that was gone when it was first read counts as removed, even if it came back: a removal
    in any copy of a post wins.
    """
    if meta := post.meta:
        if meta.removal_type and (who := _sign(meta.removal_type)):
            return who
        if meta.was_deleted_later or meta.was_initially_deleted:
            return "deleted later" if meta.was_deleted_later else "deleted at first"
    if post.removed_by_category and (who := _sign(post.removed_by_category)):
        return who
    if (text := post.title) and text[0] in _TOMBSTONE_STARTS and _is_tombstone(text):
        return text.strip()[:40]
    if (text := post.selftext) and text[0] in _TOMBSTONE_STARTS and _is_tombstone(text):
        return text.strip()[:40]
    if post.banned_by or post.removal_reason or post.removed or post.removed_by or post.spam:
        for name in ("banned_by", "removal_reason", "removed", "removed_by", "spam"):
            if _sign(getattr(post, name)):
                return name
    return ""


def _is_tombstone(text: str) -> bool:
    return _TOMBSTONE.fullmatch(text[:_TOMBSTONE_CHARS]) is not None


def _sign(value: Any) -> str:
    """What a field says that is empty unless there was a removal; "" also for words for no."""
    try:
        said = loose.flag(value)
    except ValueError:
        return str(value)[:40] if loose.is_unicode(str(value)) else "?"
    return "removed" if said else ""


def _fields(line: bytes) -> dict[str, Any] | Drop:
    """The object on a line, by a parser that takes all that others write for JSON."""
    try:
        value = DECODER.decode(line.decode("utf-8-sig", "surrogatepass"))
    except UnicodeDecodeError as error:
        return Drop(Reason.LINE_INVALID, f"no UTF-8 at byte {error.start}")
    except RecursionError:
        return Drop(Reason.LINE_INVALID, "nested too deep")
    except ValueError as error:
        return Drop(Reason.LINE_INVALID, str(error) if line.strip() else "an empty line")
    if not isinstance(value, dict):
        return Drop(Reason.LINE_NOT_OBJECT, type(value).__name__)
    return value


def _read_kindly(fields: dict[str, Any]) -> Submission:
    """The submission that these fields mean; `doubt` names the first flag without a meaning."""
    values: dict[str, Any] = {name: fields.get(name) for name in _AS_THEY_ARE}
    doubts = []
    for name in _FLAGS:
        try:
            values[name] = loose.flag(fields.get(name))
        except ValueError as error:
            doubts.append(f"{name}: {error}")
    if fields.get("author") == "[removed]" or any(_sign(fields.get(name)) for name in _MORE_FLAGS):
        values["removed"] = True
    for name in _TIMES:
        values[name] = loose.seconds(fields.get(name))
    for name in _TEXTS:
        values[name] = loose.text(fields.get(name))
    for name in _URLS:
        url = fields.get(name)
        values[name] = loose.joined(url) if type(url) is str else None
    try:
        values["meta"] = _meta(_meta_of(fields))
    except ValueError as error:
        doubts.append(f"_meta: {error}")
    return Submission(
        created_utc=_scalar(fields.get("created_utc")),
        score=_scalar(fields.get("score")),
        doubt=doubts[0][:80] if doubts else "",
        **values,
    )


def _scalar(value: Any) -> int | float | str | None:
    """A number or text as it is: what makes no sense is shown when it is judged."""
    return value if value is None or type(value) in (int, float, str) else repr(value)


def _meta_of(fields: dict[str, Any]) -> dict[str, Any]:
    """`_meta`, whole or as columns; ValueError for what cannot be read."""
    found = {name: fields[key] for key, name in _META_COLUMNS.items() if key in fields}
    return found | loose.mapping(fields.get("_meta"))


def _meta(fields: dict[str, Any]) -> Meta:
    kind = fields.get("removal_type")
    return Meta(
        removal_type=None if kind is None else _sign(kind),
        retrieved_2nd_on=loose.seconds(fields.get("retrieved_2nd_on")),
        **{name: loose.flag(fields.get(name)) for name in _META_FLAGS},
    )
