"""A page's bytes as text: which charset, by whose word, and what to do with the bytes that lie.

The order: byte order mark, valid UTF-8, the HTTP header, `<meta>`, nearly valid UTF-8, and last
the charset in which the text reads as a language that is written in it. Valid UTF-8 with other
than ASCII characters comes before the header, other than in a browser: a page in an old charset
is never valid UTF-8 by chance, while servers often claim iso-8859-1 for whatever they send.
"""

import codecs
import re
from dataclasses import dataclass

from pipeline.documents.budgets import without_raw_text
from pipeline.documents.labels import CODEC_OF_NAME, NAME_OF_LABEL
from pipeline.documents.letters import LAST_RESORT, guess
from pipeline.documents.mojibake import repair
from pipeline.documents.plain import utf_16
from pipeline.documents.prescan import declared_charset
from pipeline.reasons import Drop, Reason

# A label is believed where at most this share of the characters that are not ASCII is unreadable.
DAMAGE_MAX = 0.2
# A page that calls itself UTF-8 is that also where at most this share of its bytes is wrong.
DECLARED_DAMAGE_MAX = 0.001
CONTROL_SHARE_MAX = 0.01  # text in an old charset has none; binary files have 10 % and more
DETECTION_BYTES = 1500  # costs some 3 ms; only pages without a label pay

_HEADER = re.compile(r"(?:^|[;,\s])charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.\-]{2,40})", re.IGNORECASE)
_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xfe\xff": "utf-16be", b"\xff\xfe": "utf-16le"}
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_TAG_OR_SPACES = re.compile(rb"<[^<>]*+>|\s++")
_BAD_WORD = re.compile("\ufffd{3,}")
_C1 = re.compile(rb"\xc2[\x80-\x9f]")  # as UTF-8, where a search takes a tenth of the time
_C1_AS_WINDOWS = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
# Halves of a surrogate pair, each in three bytes of UTF-8: CESU-8, as Java and Oracle write it.
_PAIR = re.compile(rb"\xed([\xa0-\xaf][\x80-\xbf])\xed([\xb0-\xbf][\x80-\xbf])")
_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
# A semicolon may be missing.
_PAIR_REFERENCES = re.compile(
    r"&#(?:[xX]0*+([dD][89abAB][0-9a-fA-F]{2})(?![0-9a-fA-F])|0*+(5[56]\d{3})(?!\d));?+"
    r"&#(?:[xX]0*+([dD][c-fC-F][0-9a-fA-F]{2})(?![0-9a-fA-F])|0*+(5[67]\d{3})(?!\d));?+"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page's text, and the charset's name in the Encoding Standard ("ascii" where it is that)."""

    html: str
    charset: str
    repaired: int = 0  # places that had been encoded twice (mojibake.py)


def decode_text(body: bytes, content_type: str) -> Decoded | Drop:
    """Give back the body as text; `content_type` is the HTTP header's value, "" where absent.

    Unreadable bytes become U+FFFD, but a lone one in a UTF-8 page becomes what windows-1252 has
    there, as do C1 control characters: nobody writes those, and everybody pastes quotation marks.
    Drops: CHARSET_UNKNOWN, where the bytes read as no language and hold control characters.
    """
    for bom, name in _BOMS.items():
        if body.startswith(bom):
            rest = body[len(bom) :]
            return _decoded(_read_utf8(rest) if name == "utf-8" else _read(rest, name), name)
    if b"\0" in body and (unmarked := utf_16(body)):
        return _decoded(body.decode(CODEC_OF_NAME[unmarked], "replace"), unmarked)
    if body.isascii():
        if b"\x1b" in body and "iso-2022-jp" in _labels(body, content_type):
            return _decoded(body.decode("iso2022_jp", "replace"), "iso-2022-jp")
        return _decoded(body.decode("ascii"), "ascii")
    try:
        return _decoded(join_surrogates(body).decode("utf-8"), "utf-8")
    except UnicodeDecodeError:
        pass
    labels = _labels(body, content_type)
    for label in (*labels, "utf-8"):
        if (believed := _believed(body, label, is_declared=label in labels)) is not None:
            return _decoded(believed, label)
    if control_share(body) > CONTROL_SHARE_MAX:
        return Drop(Reason.CHARSET_UNKNOWN, "control characters")
    name = detect(body)
    return _decoded(_read(body, name), name)


def control_share(body: bytes) -> float:
    """The share of bytes that are control characters and neither white space nor escapes."""
    return len(_CONTROL.findall(body)) / max(1, len(body))


def detect(body: bytes) -> str:
    """Name the charset in which the text around the first high bytes reads best.

    windows-1252 where none does. Meant for pages that are neither labelled nor UTF-8.
    """
    markup = without_raw_text(body[:200_000].decode("latin-1")).encode("latin-1")
    if markup.isascii():
        markup = without_raw_text(body.decode("latin-1")).encode("latin-1")
    text = _TAG_OR_SPACES.sub(b" ", markup)
    first = next((at for at, byte in enumerate(text) if byte > 0x7F), 0)
    sample = text[max(0, first - 100) :][:DETECTION_BYTES]
    return guess(sample).name


def _decoded(html: str, name: str) -> Decoded:
    html = html.lstrip("\ufeff")  # pages that are put together have several marks
    html = _PAIR_REFERENCES.sub(_joined_references, html) if "&#" in html else html
    found = repair(html)
    html = found.text
    if not html.isascii() and _C1.search(html.encode("utf-8", "surrogatepass")):
        html = html.translate(_C1_AS_WINDOWS)
    return Decoded(html, name, found.repaired)


def _joined_references(found: re.Match[str]) -> str:
    high = int(found[1], 16) if found[1] else int(found[2])
    low = int(found[3], 16) if found[3] else int(found[4])
    if not (0xD800 <= high < 0xDC00 <= low < 0xE000):
        return found[0]
    return f"&#{0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00};"


def _labels(body: bytes, content_type: str) -> list[str]:
    """Name the charsets that the HTTP header and the page claim, as far as they are known."""
    header = _HEADER.search(content_type)
    names = [NAME_OF_LABEL.get(header[1].lower(), "") if header else "", declared_charset(body)]
    return [name for name in names if name]


def _read_utf8(body: bytes) -> str:
    return join_surrogates(body, halves=True).decode("utf-8", "webtext_lone_byte")


def join_surrogates(body: bytes, *, halves: bool = False) -> bytes:
    """CESU-8 as UTF-8: pairs as the characters that they mean, `halves` as one U+FFFD each."""
    if b"\xed" not in body:
        return body

    body = _PAIR.sub(_joined, body)
    return _HALF.sub("\ufffd".encode(), body) if halves else body


def _joined(found: re.Match[bytes]) -> bytes:
    halves = found[0].decode("utf-8", "surrogatepass")
    return halves.encode("utf-16", "surrogatepass").decode("utf-16").encode()


def _believed(body: bytes, name: str, *, is_declared: bool) -> str | None:
    """Decode by a label; None where so much is unreadable that the label must be wrong."""
    if name == "utf-8":
        return _believed_utf8(body, is_declared=is_declared)
    if name.startswith("utf-16") and b"\0" not in body:  # its markup has zeros
        return None
    html = _read(body, name)
    damage = html.count("\ufffd")
    readable = len(html) - len(html.encode("ascii", "ignore")) - damage
    return html if damage <= DAMAGE_MAX * (damage + readable) else None


def _believed_utf8(body: bytes, *, is_declared: bool) -> str | None:
    body = join_surrogates(body, halves=True)
    html = body.decode("utf-8", "replace")
    meant = body.count("\ufffd".encode())
    damage = html.count("\ufffd") - meant
    readable = len(html) - len(html.encode("ascii", "ignore")) - damage
    # UTF-8 sequences do not come about by chance, so half of them convince. Where there are fewer,
    # a few bad bytes here and there are an accident; whole words of them are another charset.
    if readable < damage and not (
        is_declared
        and damage <= DECLARED_DAMAGE_MAX * len(body)
        and 2 * sum(map(len, _BAD_WORD.findall(html))) <= damage
    ):
        return None
    return body.decode("utf-8", "webtext_lone_byte")


def _read(body: bytes, name: str) -> str:
    # The standard's windows-1252 reads every byte; Python's lacks five.
    return body.decode(CODEC_OF_NAME[name], "webtext_c1" if name == LAST_RESORT else "replace")


def _c1(error: UnicodeError) -> tuple[str, int]:
    """Read a byte as the C1 control character of its number."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


def _lone_byte(error: UnicodeError) -> tuple[str, int]:
    """Read one bad byte among ASCII as windows-1252, anything longer as U+FFFD."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    start, end = error.start, error.end
    around = error.object[max(0, start - 1) : start] + error.object[end : end + 1]
    if end - start == 1 and around.isascii():
        return error.object[start:end].decode("cp1252", "replace"), end
    return "\ufffd", end


codecs.register_error("webtext_c1", _c1)
codecs.register_error("webtext_lone_byte", _lone_byte)
