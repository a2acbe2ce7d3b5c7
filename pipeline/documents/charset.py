"""A page's bytes as text: which charset, by whose word, and what to do with the bytes that lie.

The order: byte order mark, valid UTF-8, the HTTP header, `<meta>`, nearly valid UTF-8, and last
the charset in which the text reads as a language that is written in it. Valid UTF-8 with other
than ASCII characters comes before the header, other than in a browser: a page in an old charset
is never valid UTF-8 by chance, while servers often claim iso-8859-1 for whatever they send.
"""

import codecs
import re
from dataclasses import dataclass

import charset_normalizer

from pipeline.documents.budgets import without_raw_text
from pipeline.documents.language import classify
from pipeline.reasons import Reason
from pipeline.records import Drop

META_SEARCH_BYTES = 8192  # browsers look at 1,024 and start again where <meta> comes later
# A label is believed where at most this share of the characters that are not ASCII is unreadable.
DAMAGE_MAX = 0.2
CONTROL_SHARE_MAX = 0.01  # text in an old charset has none; binary files have 10 % and more
DETECTION_BYTES = 1500  # costs some 5 ms; only pages without a label pay
KANA_SHARE_MIN = 0.1  # Japanese is half kana; other text read as Japanese has hardly any
LAST_RESORT = "windows-1252"

# The Encoding Standard's labels (encoding.spec.whatwg.org, 4.2): name, Python's codec, labels.
# A codec may be wider than the name (iso-8859-1 means windows-1252): the standard says so, or, in
# Chinese, Japanese and Korean, browsers' tables do.
_ENCODINGS = """
utf-8 utf_8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8
ibm866 cp866 866 cp866 csibm866 ibm866
iso-8859-2 iso8859_2 csisolatin2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2
iso-8859-3 iso8859_3 csisolatin3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3
iso-8859-4 iso8859_4 csisolatin4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4
iso-8859-5 iso8859_5 csisolatincyrillic cyrillic iso-ir-144 iso8859-5 iso88595 iso_8859-5
iso-8859-5 iso8859_5 iso_8859-5:1988
iso-8859-6 iso8859_6 arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114
iso-8859-6 iso8859_6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6
iso-8859-6 iso8859_6 iso_8859-6:1987
iso-8859-7 iso8859_7 csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso8859-7 iso88597
iso-8859-7 iso8859_7 iso_8859-7 iso_8859-7:1987 sun_eu_greek
iso-8859-8 iso8859_8 csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso8859-8 iso88598
iso-8859-8 iso8859_8 iso_8859-8 iso_8859-8:1988 visual
iso-8859-8-i iso8859_8 csiso88598i logical
iso-8859-10 iso8859_10 csisolatin6 iso-ir-157 iso8859-10 iso885910 l6 latin6
iso-8859-13 iso8859_13 iso8859-13 iso885913
iso-8859-14 iso8859_14 iso8859-14 iso885914
iso-8859-15 iso8859_15 csisolatin9 iso8859-15 iso885915 iso_8859-15 l9
iso-8859-16 iso8859_16
koi8-r koi8_r cskoi8r koi koi8 koi8_r
koi8-u koi8_u koi8-ru
macintosh mac_roman csmacintosh mac x-mac-roman
windows-874 cp874 dos-874 iso-8859-11 iso8859-11 iso885911 tis-620
windows-1250 cp1250 cp1250 x-cp1250
windows-1251 cp1251 cp1251 x-cp1251
windows-1252 cp1252 ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100
windows-1252 cp1252 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii x-cp1252
windows-1252 cp1252 x-user-defined
windows-1253 cp1253 cp1253 x-cp1253
windows-1254 cp1254 cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9
windows-1254 cp1254 iso_8859-9:1989 l5 latin5 x-cp1254
windows-1255 cp1255 cp1255 x-cp1255
windows-1256 cp1256 cp1256 x-cp1256
windows-1257 cp1257 cp1257 x-cp1257
windows-1258 cp1258 cp1258 x-cp1258
x-mac-cyrillic mac_cyrillic x-mac-ukrainian
gbk gb18030 chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 iso-ir-58 x-gbk
gb18030 gb18030
big5 big5hkscs big5-hkscs cn-big5 csbig5 x-x-big5
euc-jp euc_jp cseucpkdfmtjapanese x-euc-jp
iso-2022-jp iso2022_jp csiso2022jp
shift_jis cp932 csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis
euc-kr cp949 cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601
euc-kr cp949 windows-949
utf-16be utf_16_be unicodefffe
utf-16le utf_16_le csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16
"""

# For pages without a label. In Latin letters the charset is the one in which the text reads as a
# language that is written in it; English first, where all of them read alike. Other scripts read
# as "their" language by the wrong charset too; there charset-normalizer is good, but for Shift_JIS.
# (On Latin pages it is not: it calls most of those that are windows-1252 by label something else.)
_LATIN = {
    "windows-1252": {"en", "de", "fr", "es", "pt", "it", "nl", "sv", "da", "no", "fi", "is", "ca"},
    "windows-1250": {"pl", "cs", "sk", "hu", "hr", "sl", "bs", "ro", "sq"},
    "iso-8859-2": {"pl", "cs", "sk", "hu", "hr", "sl", "bs", "ro"},
    "windows-1254": {"tr", "az"},
    "windows-1257": {"lt", "lv", "et"},
    "windows-1258": {"vi"},
}
_OTHER_SCRIPTS = (
    "windows-1251 koi8-r ibm866 windows-1253 windows-1255 windows-1256 windows-874 gbk big5 euc-kr"
).split()
LATIN_SHARE_MAX = 0.3  # of high bytes among those that are letters

_LABEL = r"charset\s*=\s*[\"']?\s*([a-zA-Z0-9_:.\-]{2,40})"
_HEADER = re.compile(_LABEL, re.IGNORECASE)
_META = re.compile(
    rb"<meta\b[^>]{0,400}?" + _LABEL.encode() + rb"|<\?xml\b[^>]{0,200}?\bencoding\s*=\s*[\"']"
    rb"([a-zA-Z0-9_:.\-]{2,40})",
    re.IGNORECASE,
)
_BOMS = {b"\xef\xbb\xbf": "utf-8", b"\xfe\xff": "utf-16be", b"\xff\xfe": "utf-16le"}
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_TAG_OR_SPACES = re.compile(rb"<[^<>]*+>|\s++")
_KANA = re.compile("[\u3041-\u30fe]")
_C1 = re.compile("[\x80-\x9f]")
_C1_AS_WINDOWS = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
# Bytes by the characters that they are read as, in Latin-1 or windows-1252.
_BYTE_OF = {chr(code): code for code in range(0x80, 0x100)} | {
    character: code for code, character in _C1_AS_WINDOWS.items() if character
}
_FOLLOWING = "[" + "".join(character for character, code in _BYTE_OF.items() if code < 0xC0) + "]"
_TWICE_ENCODED = re.compile(f"[Â-ß]{_FOLLOWING}|[à-ï]{_FOLLOWING}{{2}}|[ð-ô]{_FOLLOWING}{{3}}")


def _read_table() -> tuple[dict[str, str], dict[str, str]]:
    names, codec_of = {}, {}
    for line in _ENCODINGS.strip().splitlines():
        name, codec, *labels = line.split()
        codec_of[name] = codec
        names.update(dict.fromkeys([name, *labels], name))
    return names, codec_of


NAME_OF_LABEL, _CODEC_OF_NAME = _read_table()


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page's text, and the charset's name in the Encoding Standard ("ascii" where it is that)."""

    html: str
    charset: str


def decode_text(body: bytes, content_type: str) -> Decoded | Drop:
    """Give back the body as text; `content_type` is the HTTP header's value, "" where absent.

    Unreadable bytes become U+FFFD, but a lone one in a UTF-8 page becomes what windows-1252 has
    there, as do C1 control characters: nobody writes those, and everybody pastes quotation marks.
    Drops: CHARSET_UNKNOWN, where the bytes read as no language and hold control characters.
    """
    for bom, name in _BOMS.items():
        if body.startswith(bom):
            return _decoded(body[len(bom) :].decode(_CODEC_OF_NAME[name], "replace"), name)
    if b"\0" in body and (unmarked := _utf16(body)):
        return _decoded(body.decode(_CODEC_OF_NAME[unmarked], "replace"), unmarked)
    if body.isascii():
        if b"\x1b" in body and "iso-2022-jp" in _labels(body, content_type):
            return _decoded(body.decode("iso2022_jp", "replace"), "iso-2022-jp")
        return Decoded(body.decode("ascii"), "ascii")
    try:
        html = body.decode("utf-8")
        # The usual page is done here: only these bytes begin what there may be to mend.
        mend = b"\xc2" in body or b"\xc3\xa2" in body
        return _decoded(html, "utf-8") if mend else Decoded(html, "utf-8")
    except UnicodeDecodeError:
        pass
    for label in (*_labels(body, content_type), "utf-8"):
        if (believed := _believed(body, label)) is not None:
            return _decoded(believed, label)
    if len(_CONTROL.findall(body)) > CONTROL_SHARE_MAX * len(body):
        return Drop(Reason.CHARSET_UNKNOWN, "control characters")
    name = detect(body)
    return _decoded(_read(body, name), name)


def detect(body: bytes) -> str:
    """Name the charset in which the text around the first high bytes reads best.

    windows-1252 where none does. Meant for pages that are neither labelled nor UTF-8.
    """
    markup = without_raw_text(body[:200_000].decode("latin-1")).encode("latin-1")
    text = _TAG_OR_SPACES.sub(b" ", markup)
    first = next((at for at, byte in enumerate(text) if byte > 0x7F), 0)
    sample = text[max(0, first - 100) :][:DETECTION_BYTES]
    letters = sum(byte > 0x7F or chr(byte).isalpha() for byte in sample)
    if sum(byte > 0x7F for byte in sample) > LATIN_SHARE_MAX * letters:
        return _detect_other_script(sample)
    best, best_score = LAST_RESORT, 0.0
    for name, languages in _LATIN.items():
        reading = sample.decode(_CODEC_OF_NAME[name], "replace")
        damage = reading.count("\ufffd") / max(1, len(reading))
        language, score = classify(reading)
        if language in languages and score - damage > best_score:
            best, best_score = name, score - damage
    return best


def _detect_other_script(sample: bytes) -> str:
    for name in ("shift_jis", "euc-jp"):
        reading = sample.decode(_CODEC_OF_NAME[name], "replace")
        if len(_KANA.findall(reading)) > KANA_SHARE_MIN * len(reading):
            return name
    name_of_codec = {_CODEC_OF_NAME[name]: name for name in _OTHER_SCRIPTS}
    found = charset_normalizer.from_bytes(sample, cp_isolation=list(name_of_codec)).best()
    return name_of_codec[found.encoding] if found else LAST_RESORT


def undo_double_encoding(html: str) -> str:
    """Read again what was UTF-8, was read as windows-1252 or Latin-1, and was saved as UTF-8.

    Only on pages where that happened to a quotation mark or dash: "â€" occurs in no language. One
    page in a hundred has some.
    """
    if "â€" not in html and "â\x80" not in html:
        return html
    return _TWICE_ENCODED.sub(_once_encoded, html)


def _once_encoded(found: re.Match[str]) -> str:
    try:
        return bytes(map(_BYTE_OF.__getitem__, found[0])).decode("utf-8")
    except UnicodeDecodeError:
        return found[0]


def _decoded(html: str, name: str) -> Decoded:
    html = undo_double_encoding(html)
    if _C1.search(html):
        html = html.translate(_C1_AS_WINDOWS)
    return Decoded(html, name)


def _labels(body: bytes, content_type: str) -> list[str]:
    """Name the charsets that the HTTP header and `<meta>` claim, as far as they are known."""
    header = _HEADER.search(content_type)
    names = [NAME_OF_LABEL.get(header[1].lower())] if header else []
    if meta := _META.search(body, 0, META_SEARCH_BYTES):
        name = NAME_OF_LABEL.get((meta[1] or meta[2]).decode("ascii").lower())
        # Whoever reads this in a <meta> does not read UTF-16: the standard takes it for UTF-8.
        names.append("utf-8" if name in ("utf-16be", "utf-16le") else name)
    return [name for name in names if name]


def _utf16(body: bytes) -> str | None:
    """Tell UTF-16 without a mark by its zeros: markup has one in every other byte."""
    even, odd = body[0:4096:2].count(0), body[1:4096:2].count(0)
    half = max(1, min(len(body), 4096) // 2)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16le"
    if even > 0.4 * half and odd < 0.1 * half:
        return "utf-16be"
    return None


def _believed(body: bytes, name: str) -> str | None:
    """Decode by a label; None where so much is unreadable that the label must be wrong."""
    html = _read(body, name)
    damage = html.count("\ufffd")
    readable = len(html) - len(html.encode("ascii", "ignore")) - damage
    if name != "utf-8":
        return html if damage <= DAMAGE_MAX * (damage + readable) else None
    # UTF-8 sequences do not come about by chance, so half of them convince.
    return body.decode("utf-8", "webtext_lone_byte") if readable >= damage else None


def _read(body: bytes, name: str) -> str:
    # The standard's windows-1252 reads every byte; Python's lacks five.
    return body.decode(_CODEC_OF_NAME[name], "webtext_c1" if name == LAST_RESORT else "replace")


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
