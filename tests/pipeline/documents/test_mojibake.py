import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.mojibake import _SUSPECT, Repaired, _without_ascii, repair

SENTENCES = {
    "en": "It’s “quoted” — 20 °C, £5 and 3 m²…",
    "fr": "L’été, à Orléans : « où êtes-vous ? » Ça va, cœur, 5 €.",
    "pt": "Não perca a promoção: maçã, irmã, avó, pão. SÃO PAULO É AQUI.",
    "es": "El niño español — ¿dónde está? ¡Aquí! Nº 5, 2ª.",
    "de": "Größe, Übermut, Äpfel, „Straße“.",
    "it": "Perché la città è così? Più «là».",
    "pl": "Zażółć gęślą jaźń — „pieśń”.",
    "cs": "Příliš žluťoučký kůň úpěl „ódy“.",
    "hu": "Árvíztűrő tükörfúrógép – „őszi”.",
    "ro": "Țara “casă” și pâine, „în” câmp.",
    "tr": "Şişli’de güneş, çığ, ağaç; İstanbul…",
    "vi": "Tôi là người Việt Nam, “châu Âu”, TÔI LÀ NGƯỜI VIỆT “ÂU” Â, Ă, Đ.",
    "sv": "På ön: Åsa, Örjan, ”Älg”.",
    "is": "Þórður, það, æði.",
    "ru": "Вчера мы пели «песни» у костра — до утра… №5",
    "uk": "Ґанок, їжа, єнот – “так”, компанії.",
    "el": "Χθες ήμασταν στα βουνά… «ναι»",
    "he": "אתמול היינו בהרים – “כן”.",
    "ar": "كنا أمس في الجبال، “نعم”.",
    "ja": "昨日、私たちは山に行きました。",
    "ko": "어제 우리는 산에 갔습니다.",
    "zh": "昨天我们在山里，“唱歌”。",
}
MEANT = [
    "NÃO PERCA A PROMOÇÃO DE VERÃO",
    "IRMÃ DO CÉU, A MANHÃ É DE SOL",
    "A MARCA MAÇÃ®, A IRMÃ© E A MANHÃ·",
    "“NÃO”, disse. NÃO… «NÃO» ‘NÃ’",
    "GRÂCE À “L’ÂME”, voilà… là–bas, déjà»",
    "“CHÂU Â” Â… Ă” ă…",
    "casă” și “țară… â”",
    "±5 °C ×² (a×³) ×Ø",
    "10€ à 20€, é€",
    "CAFÉ® CAFÉ™ NIÑO® ESPAÑ‘A",
    "GÖTEBORG “Ö” Å… ß“",
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿ",
    "±¹¹«ÃÑ¸®½Ç ÇÏ´Ü Ä«ÇÇ¶óÀÌÅÍ",  # Korean, read by a wrong charset
    "â€",
    "Р“Ростех”, РС–232",
]


def misread(text, codec):
    """UTF-8 read by another charset; bytes that it lacks as C1 control characters, as browsers."""
    return "".join(
        bytes([byte]).decode(codec, "ignore") or chr(byte) for byte in text.encode("utf-8")
    )


@pytest.mark.parametrize("language", SENTENCES)
def test_text_that_is_right_stays(language):
    text = SENTENCES[language]
    assert repair(text) == Repaired(text)


@pytest.mark.parametrize("text", MEANT)
def test_what_only_looks_as_if_encoded_twice_stays(text):
    assert repair(text).text == text


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
@pytest.mark.parametrize("language", SENTENCES)
def test_text_that_was_encoded_twice_is_read_again(language, codec):
    found = repair(misread(SENTENCES[language], codec))
    assert found.text == SENTENCES[language]
    assert found.repaired > 0
    assert found.left == 0


@pytest.mark.parametrize("language", ["en", "fr", "pt", "de", "ru", "ja"])
def test_text_that_was_encoded_three_times_is_too(language):
    found = repair(misread(misread(SENTENCES[language], "cp1252"), "cp1252"))
    assert found.text == SENTENCES[language]


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1251", "It’s “here”, Привет"),
        ("cp1250", "été, là – “ici”"),
        ("mac_roman", "It’s “here”"),
        ("mac_roman", "été café"),
    ],
)
def test_other_charsets_than_latin_1_are_seen_through(codec, text):
    assert repair(misread(text, codec)).text == text


@pytest.mark.parametrize(
    ("text", "repaired"),
    [
        ("Â£50", "£50"),
        ("25Â°C, 3 mÂ²", "25°C, 3 m²"),
        ("EspaÃ±a", "España"),
        ("JÃ–RG", "JÖRG"),
        ("Ã\xa0 la carte", "à la carte"),
        ("JOHNSONâ€™SÂ®", "JOHNSON’S®"),
        ("âœ… ðŸ˜Š", "✅ 😊"),
        ("â€œWhat?â€\x9d", "“What?”"),
        ("<b title='cafÃ©'>été</b>", "<b title='café'>été</b>"),
    ],
)
def test_more_than_quotation_marks_is_repaired(text, repaired):
    assert repair(text).text == repaired


def test_a_line_that_is_right_does_not_save_its_neighbour_nor_the_other_way_round():
    found = repair("été â€¦\nIt’s cafÃ©\n<p>NÃO, MAÇÃ®</p>")
    assert found.text == "été …\nIt’s café\n<p>NÃO, MAÇÃ®</p>"
    assert (found.repaired, found.left) == (2, 1)


def test_what_lost_a_byte_is_left_and_counted():
    assert repair('signsâ€"Libra') == Repaired('signsâ€"Libra', 0, 1)


@given(st.text(alphabet="ÂÃâÅÐ€™œ\x9d‚©±Р° a<\n"))
def test_repairing_twice_changes_nothing_more(text):
    once = repair(repair(text).text)
    assert repair(once.text).text == once.text


@given(st.text())
def test_nothing_raises_and_no_control_character_comes_of_it(text):
    made = set(repair(text).text) - set(text)
    assert not any("\x7f" <= character < "\xa0" or character == "\ufffd" for character in made)


# A repair costs 12 us a line: the suite's time limit ends what is not bounded.
@pytest.mark.parametrize("piece", ["â€™\n", "MAÇÃ® ", "Ã©", "Ã©<", "вЂ™\n", "â€"])
def test_a_page_full_of_it_costs_no_more_than_its_bound(piece):
    found = repair(piece * (8_000_000 // len(piece)))
    assert found.left > 0


@given(st.text(alphabet="Ââ€™éРµ├ a<\n\x00\x80\ud800", max_size=12))
def test_what_is_suspect_is_so_without_ascii_and_signs_that_stand_apart_are_not(text):
    assert bool(_SUSPECT.search(_without_ascii(text))) == bool(_SUSPECT.search(text))
