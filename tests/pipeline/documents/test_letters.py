"""Charsets told by their letters, over sentences of our own in many languages."""

from collections import Counter

import pytest
from sentences import SENTENCES

from pipeline.documents.letters import LAST_RESORT, codec_of, fit_of, guess

EVERY = [(language, codec) for language, (codecs, _) in SENTENCES.items() for codec in codecs]
SINGLE_RIGHT_MIN = 336  # of 343; may be raised, and is not lowered without a reason


def as_read(text: str, codec: str) -> tuple[str, str]:
    """The text as far as the charset has its characters, and what is read of its bytes."""
    body = text.encode(codec, "ignore")
    return body.decode(codec), body.decode(codec_of(guess(body, old=True).name), "replace")


@pytest.mark.parametrize(("language", "codec"), EVERY)
@pytest.mark.parametrize("times", [1, 30])
def test_a_text_of_four_sentences_is_read_in_its_charset(
    language: str, codec: str, times: int
) -> None:
    meant, found = as_read("\n".join(SENTENCES[language][1] * times), codec)
    assert found == meant


def test_nearly_all_single_sentences_are_read_right() -> None:
    tried = Counter(
        meant == found
        for language, codec in EVERY
        for sentence in SENTENCES[language][1]
        for meant, found in [as_read(sentence, codec)]
        if not meant.isascii()
    )
    assert tried[True] >= SINGLE_RIGHT_MIN
    assert tried.total() == 343


@pytest.mark.parametrize(
    ("right", "wrong", "text"),
    [
        ("iso-8859-2", "windows-1250", "Sąsiad poszedł wziąć źrebię i jeszcze śpi"),
        ("windows-1250", "iso-8859-2", "Žába šla k tůni"),
        ("macintosh", "windows-1252", "Der Müller fährt über die Brücke"),
        ("cp850", "windows-1252", "Der Müller fährt über die Brücke"),
        ("koi8-r", "windows-1251", "Дети бежали к реке"),
        ("iso-8859-5", "koi8-r", "Дети бежали к реке"),
        ("gbk", "big5", "邻居说他要到晚上才能来"),
        ("euc-kr", "gbk", "이웃은 밭에 아직 일이 남아"),
    ],
)
def test_text_fits_the_charset_that_it_is_in(right: str, wrong: str, text: str) -> None:
    body = text.encode(codec_of(right))
    assert fit_of(body, right) >= 0.95
    assert guess(body * 4, old=True).name == right
    assert fit_of(body, wrong) < 0.95 or (right, wrong) == ("euc-kr", "gbk")


def test_what_tells_nothing_is_the_last_resort_and_not_sure() -> None:
    for body in (b"", b"plain", b"caf\xe9", b"\xbf"):
        found = guess(body)
        assert (found.name, found.is_sure) == (LAST_RESORT, False)


def test_charsets_that_no_page_has_are_only_found_where_they_are_asked_for() -> None:
    body = "\n".join(SENTENCES["de"][1]).encode("cp850")
    assert guess(body, old=True).name == "cp850"
    assert guess(body).name == LAST_RESORT


def test_a_sample_that_is_cut_within_a_character_is_told() -> None:
    body = "".join(SENTENCES["zh"][1] * 9).encode("gbk")
    assert {guess(body[: len(body) - cut]).name for cut in (0, 1, 2, 3)} == {"gbk"}
