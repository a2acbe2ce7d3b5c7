import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.charset import Decoded, decode_text, detect
from pipeline.documents.labels import NAME_OF_LABEL
from pipeline.documents.mojibake import repair
from pipeline.reasons import Reason

FRENCH = (
    "<p>L'été dernier, nous avons marché près de la forêt ; où étiez-vous ? À Orléans, là-bas, "
    "les élèves répètent leur leçon de français chaque matinée.</p>"
) * 3
SAMPLES = {
    "windows-1252": FRENCH,
    "windows-1250": "<p>Zażółć gęślą jaźń. Wczoraj byliśmy w górach i śpiewaliśmy pieśni.</p>" * 4,
    "windows-1251": "<p>Вчера мы были в горах и пели песни у костра до самого утра.</p>" * 4,
    "koi8-r": "<p>Вчера мы были в горах и пели песни у костра до самого утра.</p>" * 4,
    "windows-1253": "<p>Χθες ήμασταν στα βουνά και τραγουδούσαμε μέχρι το πρωί.</p>" * 4,
    "windows-1255": "<p>אתמול היינו בהרים ושרנו שירים ליד המדורה עד הבוקר.</p>" * 4,
    "windows-1256": "<p>كنا أمس في الجبال وغنينا الأغاني بجانب النار حتى الصباح.</p>" * 4,
    "windows-874": "<p>เมื่อวานเราอยู่บนภูเขาและร้องเพลงข้างกองไฟจนถึงเช้า</p>" * 4,
    "shift_jis": "<p>昨日、私たちは山に行き、朝まで焚き火のそばで歌を歌いました。</p>" * 4,
    "euc-jp": "<p>昨日、私たちは山に行き、朝まで焚き火のそばで歌を歌いました。</p>" * 4,
    "gbk": "<p>昨天我们在山里，在篝火旁唱歌直到早晨，大家都很高兴。</p>" * 4,
    "big5": "<p>昨天我們在山裡，在營火旁唱歌直到早晨，大家都很高興。</p>" * 4,
    "euc-kr": "<p>어제 우리는 산에 가서 아침까지 모닥불 옆에서 노래를 불렀습니다.</p>" * 4,
}


def encode(name, text):
    codec = {"windows-874": "cp874", "gbk": "gb18030"}.get(name, name)
    return text.encode(codec)


def test_a_byte_order_mark_comes_before_all():
    body = codecs.BOM_UTF16_LE + FRENCH.encode("utf-16-le")
    assert decode_text(body, "text/html; charset=utf-8") == Decoded(FRENCH, "utf-16le")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_header_names_the_charset(name):
    found = decode_text(encode(name, SAMPLES[name]), f"text/html; charset={name}")
    assert found == Decoded(SAMPLES[name], name)


@pytest.mark.parametrize("name", SAMPLES)
def test_without_a_label_the_charset_is_found_in_which_the_text_reads(name):
    assert detect(encode(name, SAMPLES[name])) == name


def test_the_header_comes_before_meta():
    body = b"<meta charset=windows-1251>" + FRENCH.encode("cp1252")
    assert decode_text(body, 'text/html; charset="ISO-8859-1"').charset == "windows-1252"


@pytest.mark.parametrize(
    "label",
    [
        b'<META content="text/html; charset=windows-1251" http-equiv=Content-Type>',
        b"<meta charset='WINDOWS-1251'/>",
        b'<?xml version="1.0" encoding="windows-1251"?>',
        b"<!--" + b"x" * 3000 + b"--><meta charset = cp1251>",
    ],
)
def test_meta_names_the_charset(label):
    body = label + SAMPLES["windows-1251"].encode("cp1251")
    found = decode_text(body, "text/html")
    assert found.charset == "windows-1251"
    assert found.html.endswith(SAMPLES["windows-1251"])


def test_valid_utf_8_comes_before_a_header_that_says_otherwise():
    found = decode_text(FRENCH.encode(), "text/html; charset=iso-8859-1")
    assert found == Decoded(FRENCH, "utf-8")


def test_pure_ascii_needs_no_label():
    assert decode_text(b"<p>plain", "text/html; charset=gbk") == Decoded("<p>plain", "ascii")


def test_iso_2022_jp_is_ascii_by_its_bytes_and_is_read_by_its_label():
    body = SAMPLES["euc-jp"].encode("iso2022_jp")
    found = decode_text(body, "text/html; charset=iso-2022-jp")
    assert found == Decoded(SAMPLES["euc-jp"], "iso-2022-jp")


@pytest.mark.parametrize(("codec", "name"), [("utf-16-le", "utf-16le"), ("utf-16-be", "utf-16be")])
def test_utf_16_without_a_mark_is_told_by_its_zeros(codec, name):
    assert decode_text(FRENCH.encode(codec), "") == Decoded(FRENCH, name)


def test_meta_that_claims_utf_16_means_utf_8():
    found = decode_text(b"<meta charset=utf-16>" + FRENCH.encode() + b"\x96", "")
    assert found.charset == "utf-8"


@pytest.mark.parametrize("content_type", ["", "text/html; charset=utf-8"])
def test_one_bad_byte_in_a_utf_8_page_makes_no_mojibake(content_type):
    body = FRENCH.encode() + b"<p>don\x92t" + FRENCH.encode()
    assert decode_text(body, content_type) == Decoded(f"{FRENCH}<p>don’t{FRENCH}", "utf-8")


def test_a_character_that_was_cut_becomes_one_replacement():
    body = FRENCH.encode() + "日".encode()[:2] + b"..." + FRENCH.encode()
    assert decode_text(body, "").html == f"{FRENCH}\ufffd...{FRENCH}"


def test_a_label_of_utf_8_over_windows_1252_is_not_believed():
    found = decode_text(FRENCH.encode("cp1252"), "text/html; charset=utf-8")
    assert found == Decoded(FRENCH, "windows-1252")


def test_a_label_under_which_little_is_readable_is_not_believed():
    body = SAMPLES["windows-1251"].encode("cp1251")
    assert decode_text(body, "text/html; charset=euc-jp").charset == "windows-1251"


def test_quotation_marks_of_windows_survive_a_wrong_label():
    body = b"<p>\x93It\x92s Z\xfcrich\x94"
    for label in ("iso-8859-1", "iso-8859-2", "iso-8859-15", "windows-1252", "none"):
        found = decode_text(body, f"text/html; charset={label}")
        assert found.html == "<p>“It’s Zürich”"


@pytest.mark.parametrize("wrong", ["cp1252", "latin-1"])
def test_a_page_that_was_encoded_twice_is_read_twice(wrong):
    text = "It’s “Zürich” — naïve… 日本 "
    if wrong == "cp1252":  # which has no character for five bytes; browsers give C1 there
        twice = "".join(
            bytes([b]).decode("cp1252", "ignore") or chr(b) for b in text.encode("utf-8")
        )
    else:
        twice = text.encode("utf-8").decode(wrong)
    assert decode_text(f"<p>{twice}".encode(), "") == Decoded(f"<p>{text}", "utf-8", repaired=9)


def test_utf_8_in_the_middle_of_a_windows_1252_page_is_read_too():
    body = "<p>café “here”".encode("cp1252") + " and “there” ".encode()
    body += "naïve Übermut, élève, façade".encode("cp1252")
    found = decode_text(body, "text/html; charset=windows-1252")
    assert found.html == "<p>café “here” and “there” naïve Übermut, élève, façade"


@pytest.mark.parametrize("text", ["château, NÃO, Â, pâté «â»", "ÃO É", "â, €"])
def test_letters_that_look_like_a_wrong_encoding_stay(text):
    assert decode_text(text.encode(), "") == Decoded(text, "utf-8")


def test_unknown_labels_are_passed_over():
    body = b"<meta charset=koi8-r>" + SAMPLES["koi8-r"].encode("koi8-r")
    assert decode_text(body, "text/html; charset=x-nonsense").charset == "koi8-r"


def test_bytes_that_are_no_text_are_dropped():
    body = bytes(range(256)) * 20
    assert decode_text(body, "text/html").reason is Reason.CHARSET_UNKNOWN


def test_no_label_reaches_a_codec_that_is_no_charset():
    for label in ("idna", "rot13", "base64", "unicode_escape", "utf-7", "zip", "punycode"):
        assert label not in NAME_OF_LABEL


def test_labels_mean_what_the_encoding_standard_says():
    for label, name in {
        "latin1": "windows-1252",
        "us-ascii": "windows-1252",
        "gb2312": "gbk",
        "ks_c_5601-1987": "euc-kr",
        "tis-620": "windows-874",
        "iso-8859-9": "windows-1254",
        "x-sjis": "shift_jis",
        "unicode-1-1-utf-8": "utf-8",
    }.items():
        assert NAME_OF_LABEL[label] == name


@given(st.binary(max_size=200), st.sampled_from(["", *sorted(NAME_OF_LABEL)]))
def test_no_bytes_make_the_decoder_raise(body, label):
    found = decode_text(body, f"text/html; charset={label}")
    assert (
        not isinstance(found, Decoded)
        or found.charset == "ascii"
        or found.charset in (NAME_OF_LABEL.values())
    )


@given(st.text())
def test_utf_8_comes_back_as_it_was(text):
    text = repair(text.translate(dict.fromkeys(range(0x80, 0xA0))).lstrip("\ufeff")).text
    body = text.encode("utf-8", "ignore")
    if b"\0" not in body and b"\x1b" not in body:
        assert decode_text(body, "").html == body.decode()


ENGLISH = "<p>The village council decided to repair the wooden bridge across the river.</p>"


def cesu_8(text):
    """As Java writes it: each UTF-16 unit of its own in UTF-8."""
    units = text.encode("utf-16-le")
    pairs = zip(units[::2], units[1::2], strict=True)
    return b"".join(chr(low + 256 * high).encode("utf-8", "surrogatepass") for low, high in pairs)


@pytest.mark.parametrize("content_type", ["", "text/html; charset=utf-8", "text/html; charset=l1"])
@pytest.mark.parametrize("text", ["smile \U0001f600 and", "\U0001f600" * 99, "日本 é \U0010ffff"])
def test_surrogate_pairs_encoded_as_utf_8_are_what_they_mean(text, content_type):
    found = decode_text(cesu_8(ENGLISH + text), content_type)
    assert found == Decoded(ENGLISH + text, "utf-8")


def test_pairs_are_joined_before_wrong_bytes_are_counted():
    body = cesu_8("\U0001f600" * 9) + ENGLISH.encode() + b"\x92s" + b"\xff\xfe\xfd" * 2
    assert decode_text(body, "text/html; charset=utf-8").charset == "utf-8"


def test_half_a_pair_is_one_replacement():
    body = FRENCH.encode() + b"\xed\xa0\xbd." + FRENCH.encode()
    assert decode_text(body, "").html == f"{FRENCH}\ufffd.{FRENCH}"


def test_pairs_written_as_references_are_one_character():
    found = decode_text(b"<p>&#55357;&#56832; &#xD83D;&#xDE00; &#55357;. &#56832;&#55357;", "")
    assert found.html == "<p>&#128512; &#128512; &#55357;. &#56832;&#55357;"


@pytest.mark.parametrize(
    ("html", "read"),
    [
        ("&#xD83D&#xDE00", "&#128512;"),
        ("&#55357&#56832;", "&#128512;"),
        ("&#x0d83d;&#x00de00!", "&#128512;!"),
        ("&#xD83D&#xDE00F", "&#xD83D&#xDE00F"),  # one number of five digits
        ("&#553571&#56832;", "&#553571&#56832;"),
        ("&#xD83D &#xDE00", "&#xD83D &#xDE00"),
    ],
)
def test_the_semicolons_of_such_pairs_may_be_missing(html, read):
    assert decode_text(html.encode(), "").html == read


def test_a_late_meta_is_found_where_a_script_or_a_comment_stands_before_it():
    for before in ("<!--" + "x" * 9_000 + "<meta charset=gbk>-->", "<style>" + "a{}" * 9_000):
        page = f"<head>{before}</style><meta charset=koi8-r><p>" + SAMPLES["koi8-r"]
        assert decode_text(page.encode("koi8-r"), "").charset == "koi8-r"


@pytest.mark.parametrize("name", ["windows-1251", "windows-1252", "shift_jis"])
@pytest.mark.parametrize("script", ["", "é" * 900])
def test_a_page_without_a_label_is_read_by_what_is_not_ascii_however_late(name, script):
    start = b"<script>" + script.encode("latin-1") + b"</script><p>" + b"An English text. " * 20_000
    assert decode_text(start + encode(name, SAMPLES[name]), "").charset == name


def test_a_label_of_utf_16_is_not_believed_over_bytes_without_a_zero():
    found = decode_text(FRENCH.encode("cp1252") + b"!" * (len(FRENCH) % 2), "a; charset=utf-16")
    assert found.charset == "windows-1252"
    wide = ("中文" * 400 + "<p>").encode("utf-16-le")
    assert decode_text(wide, "a; charset=utf-16").charset == "utf-16le"


def test_several_byte_order_marks_are_none_of_the_text():
    marks = codecs.BOM_UTF8 * 3
    assert decode_text(marks + FRENCH.encode(), "").html == FRENCH


@pytest.mark.parametrize("name", ["shift_jis", "euc-jp"])
def test_a_few_japanese_words_in_an_english_page_are_no_latin_letters(name):
    page = "<p>" + ENGLISH * 4 + " (すもももももも, a saying) " + ENGLISH * 4
    found = decode_text(page.encode(name), "")
    assert (found.charset, found.html, found.repaired) == (name, page, 0)


@pytest.mark.parametrize("name", ["euc-kr", "gbk", "windows-1251", "shift_jis"])
def test_bytes_like_pairs_in_other_charsets_stay(name):
    found = decode_text(
        encode(name, SAMPLES[name]) + b"\xed\xa1\xa1\xed\xb0\xa1", f"a;charset={name}"
    )
    assert found.charset == name


def test_a_few_wrong_bytes_here_and_there_are_an_accident_on_a_page_declared_as_utf_8():
    piece = (ENGLISH * 50).encode()
    found = decode_text(
        piece.join([b"", b"\x92", b"\xe9", b"\xff\xfe", "日".encode()]), "a;charset=utf-8"
    )
    assert found == Decoded((ENGLISH * 50).join(["", "’", "é", "\ufffd\ufffd", "日"]), "utf-8")


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "text/html"])
@pytest.mark.parametrize("often", [1, 20, 400])
def test_a_page_in_windows_1251_that_calls_itself_utf_8_is_not_ruined(often, content_type):
    russian = SAMPLES["windows-1251"]
    body = b"<meta charset=utf-8>" + b" " * 20 * often + russian.encode("cp1251")
    found = decode_text(body, content_type)
    assert found.charset == "windows-1251"
    assert russian in found.html


def test_a_word_in_another_charset_is_no_accident():
    body = (ENGLISH * 200).encode() + "Привет".encode("cp1251")
    assert "\ufffd" not in decode_text(body, "text/html; charset=utf-8").html


def test_replacement_characters_that_the_page_itself_holds_are_no_damage():
    body = ("\ufffd" * 9 + ENGLISH).encode() + b"don\x92t"
    assert decode_text(body, "text/html; charset=utf-8").charset == "utf-8"


@pytest.mark.parametrize(
    "label",
    [
        b"<!-- <meta charset=windows-1251> -->",
        b"<meta name=description content='How to set charset=windows-1251'>",
        b"<p><?xml version='1.0' encoding='windows-1251'?>",
    ],
)
def test_what_declares_nothing_is_passed_over(label):
    body = label + b"<meta charset=windows-1252>" + FRENCH.encode("cp1252")
    assert decode_text(body, "text/html").charset == "windows-1252"


@given(st.binary(max_size=300), st.sampled_from(["", "text/html; charset=utf-8", "a;charset=gbk"]))
def test_decoding_is_a_function_of_bytes_and_header_alone(body, content_type):
    first = decode_text(body, content_type)
    decode_text(FRENCH.encode("cp1252"), "")
    assert decode_text(bytes(body), content_type) == first


# What takes more than linear time in these would take hours: the suite's time limit ends it.
@pytest.mark.parametrize(
    "piece",
    [
        *(b"<script ", b"<meta ", b"charset =", b"\x93<", b"\xe9 ", b"<meta charset='", b"<!--"),
        *(b"\xed\xa0\x80", b"&#55357;", b"\xc3\x83\xc2\xa9", b"\xc3\xa2\xe2\x82\xac\n", b"\x01"),
    ],
)
def test_time_is_linear_in_the_page(piece):
    decode_text(piece * (2_000_000 // len(piece)) + b"\xff", "")
    decode_text(piece * (2_000_000 // len(piece)), "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("header", "meta"),
    [
        ("right", "right"),
        ("right", ""),
        ("", "right"),
        ("", ""),
        ("utf-8", ""),
        ("", "utf-8"),
        ("utf-8", "utf-8"),
        ("utf-8", "right"),
        ("right", "utf-8"),
        ("right", "iso-8859-1"),
        ("x-unknown", "right"),
        ("none", "none"),
    ],
)
@pytest.mark.parametrize(
    ("codec", "label", "text"),
    [
        ("cp1252", "windows-1252", FRENCH),
        ("cp1251", "windows-1251", SAMPLES["windows-1251"]),
        ("gb18030", "gb18030", SAMPLES["gbk"].replace("大家", "大家€𠮷")),
        ("shift_jis", "shift_jis", SAMPLES["shift_jis"]),
        ("euc-jp", "euc-jp", SAMPLES["euc-jp"]),
        ("utf-16", "utf-16", SAMPLES["shift_jis"]),
        ("utf-16-be", "utf-16be", FRENCH),
    ],
)
def test_whatever_the_labels_say_the_text_is_read(codec, label, text, header, meta):
    label_of = {"right": label}
    head = f"<html><meta charset={label_of.get(meta, meta)}>" if meta else "<html>"
    content_type = f"text/html; charset={label_of.get(header, header)}" if header else "text/html"
    found = decode_text((head + text).encode(codec), content_type)
    assert found.html == head + text
