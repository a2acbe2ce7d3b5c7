import sys
import unicodedata
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.characters import without_ignorable
from pipeline.corpus import shingles
from pipeline.corpus.shingles import counted_sets, normalise, shingle_sets

TRICKY = [
    "",
    " \n\t ",
    "one",
    "one two three four",
    "one two three four five",
    "日本語テスト",
    "ภาษาไทย ง่าย",
    "x\u0301y a\u0300 \u0301lone mark",
    "日\u0301\u0302本x\u0301",
    "가나다 라마 바사",
    "नमस्ते दुनिया यह एक परीक्षण है",
    "ﬁne ＡＢＣ １２３ Ⅷ ½ ªº",
    "İstanbul ΣΑΣ ẞ",
    "\ud800 lone \udfff surrogates a b c d",
    "emoji 👩‍👩‍👧 and 🇩🇪 flags and more words",
]
GOLDEN_SHINGLES = [
    "0x426e8b2564035b31",
    "0x48a4bc5ab4dac8f3",
    "0x4a2c0cad113ab794",
    "0xbfff4fa345e76d02",
    "0xf83eff71f1a05e7b",
    "0x4c08d26e9c40525",
]
# Latin, digits, separators, combining marks, Thai, Han, kana, Hangul, Cyrillic: every class.
ALPHABET = "aAß1 .-_\n\u0301\u0e31\u0e01\u0e40漢字デ가жЖ²ﬁ"


@pytest.mark.parametrize(
    ("text", "shingles"),
    [
        ("", 0),
        ("... !", 0),
        ("one", 1),
        ("one, two; three four", 1),
        ("a b c d e", 1),
        ("a b c d e f", 2),
        ("a a a a a a a a", 1),  # a set: the same shingle four times
        ("日本語テスト", 2),  # each letter is a token
        ("don't stop", 1),
    ],
)
def test_a_text_has_a_shingle_for_each_five_tokens_and_a_short_one_has_one(
    text: str, shingles: int
) -> None:
    assert len(shingle_sets([text]).of(0)) == shingles


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The QUICK brown fox jumps over", "the quick, brown - fox: jumps over!"),
        ("ｆｕｌｌ width １２３ letters and digits", "full width 123 letters and digits"),
        ("cafe\u0301 au lait et du pain", "caf\u00e9 au lait et du pain"),
    ],
)
def test_case_width_composition_and_punctuation_do_not_matter(one: str, other: str) -> None:
    sets = shingle_sets([one, other])
    assert sets.of(0).tolist() == sets.of(1).tolist()


@pytest.mark.parametrize(
    "hidden",
    ["\u00ad", "\u034f", "\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\ufeff", "\ufe0f"],
)
def test_characters_that_are_not_seen_are_in_no_token(hidden: str) -> None:
    text = "the village council decided to repair the bridge \u26a1 in May"
    split = text.replace("e", f"e{hidden}")
    sets = shingle_sets([text, split, f"{hidden}bridge", "bridge", hidden])
    assert sets.of(0).tolist() == sets.of(1).tolist()
    assert sets.of(2).tolist() == sets.of(3).tolist()
    assert sets.of(4).tolist() == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 + 3", "5 - 3"),
        ("C", "C++"),
        ("C++", "C#"),
        ("x*y", "x/y"),
        ("a < b", "a > b"),
        ("10\u2076 kg", "106 kg"),
        ("\u00bd", "1\u20442"),
        ("H\u2082O", "H2O"),
        ("\u2460", "1"),
        ("$5", "\u20ac5"),
        ("5", "-5"),
        ("50", "50%"),
        ("good \U0001f44d", "good \U0001f44e"),
        ("one two", "one three"),
        ("ab c", "a bc"),
    ],
)
def test_short_texts_that_differ_in_signs_alone_are_told_apart(one: str, other: str) -> None:
    sets = shingle_sets([one, other])
    assert (len(sets.of(0)), len(sets.of(1))) == (1, 1)
    assert sets.of(0).tolist() != sets.of(1).tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello, World!", "hello world"),
        ("5+3", "5 + 3"),
        ("\u201cone\u201d (two)", "one two..."),
        ("\uff23\uff0b\uff0b", "c++"),
        ("caf\u00e9", "cafe\u0301"),
    ],
)
def test_short_texts_that_differ_in_punctuation_case_or_width_are_one(one: str, other: str) -> None:
    sets = shingle_sets([one, other])
    assert len(sets.of(0)) == 1
    assert sets.of(0).tolist() == sets.of(1).tolist()


def is_code(text: str) -> bool:
    """Whether a text's signs count, which the reference knows nothing of."""
    points, starts = shingles.code_points([normalise(text)])
    classes = shingles._classes()[points]
    return len(shingles._signs_of_code(classes, shingles._token_bounds(classes)[0], starts)) > 0


@pytest.mark.real
def test_shingle_sets_are_those_of_the_slow_reference(
    reference: ModuleType, shared_data: Path
) -> None:
    packed = (shared_data / "neardup" / "set-a" / "documents.jsonl.zst").read_bytes()
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(packed).split(b"\n")
    texts = [msgspec.json.decode(line)["text"] for line in lines[:-1:20]] + TRICKY
    texts = [text for text in texts if not is_code(text)]
    assert len(texts) > 380
    sets = shingle_sets(texts)
    # Characters that are not seen do not count; the reference knows nothing of that.
    slow = [reference.shingles(without_ignorable(text)) for text in texts]
    assert [len(sets.of(i)) for i in range(len(sets))] == [len(s) for s in slow]
    for i in range(1, len(texts)):
        assert len(np.intersect1d(sets.of(i), sets.of(i - 1))) == len(slow[i] & slow[i - 1])


@pytest.mark.real
@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=40), min_size=1, max_size=4))
def test_any_mixture_of_scripts_has_the_reference_s_shingles(
    reference: ModuleType, texts: list[str]
) -> None:
    texts = [text for text in texts if not is_code(text)]
    sets = shingle_sets(texts)
    for i, text in enumerate(texts):
        assert len(sets.of(i)) == len(reference.shingles(text))


@given(st.lists(st.text(ALPHABET, max_size=30), max_size=6))
def test_a_text_has_the_same_set_in_any_batch(texts: list[str]) -> None:
    together = shingle_sets(texts)
    assert len(together) == len(texts)
    for i, text in enumerate(texts):
        assert together.of(i).tolist() == shingle_sets([text]).of(0).tolist()


def test_batches_of_another_size_give_the_same_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{i} " + "some words and more of them " * (i % 7) + str(i) for i in range(50)]
    sets = shingle_sets(texts)
    monkeypatch.setattr(shingles, "_BATCH_CHARS", 100)
    again = shingle_sets(texts)
    assert again.hashes.tolist() == sets.hashes.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("total = total + price * count - discount", "total = total - price * count + discount"),
        ("if (a < b) { return a; } return b;", "if (a > b) { return a; } return b;"),
        ("x += 1; y += 2; z += 3", "x -= 1; y -= 2; z -= 3"),
        ("5 + 3 = 8\n9 - 4 = 5", "5 + 3 = 8\n9 + 4 = 5"),
        ("C, C++, C#, F#, J++", "C#, C, C++, J++, F#"),
    ],
)
def test_code_that_differs_in_signs_alone_is_told_apart(one: str, other: str) -> None:
    sets = shingle_sets([one, other])
    assert sets.of(0).tolist() != sets.of(1).tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "A plug-in for text-only pages, and/or images.",
            "a plug in for text only pages and or images",
        ),
        ("Prices rose by 5 % - the most in ten years.", "Prices rose by 5 the most in ten years"),
    ],
)
def test_signs_of_prose_do_not_matter(one: str, other: str) -> None:
    sets = shingle_sets([one, other])
    assert sets.of(0).tolist() == sets.of(1).tolist()


def test_a_text_s_neighbours_do_not_make_it_code() -> None:
    prose = "one two three four five six seven - eight"
    code = "a = b + c * d - e / f + g"
    sets = shingle_sets([code, prose, code])
    assert sets.of(1).tolist() == shingle_sets([prose]).of(0).tolist()
    assert sets.of(0).tolist() == sets.of(2).tolist() == shingle_sets([code]).of(0).tolist()


def test_shingles_are_counted_with_their_repeats() -> None:
    sets, counts = counted_sets(["a b c d e f", "la " * 12, "", "one"])
    assert counts.tolist() == [2, 8, 0, 1]
    assert np.diff(sets.offsets).tolist() == [2, 1, 0, 1]


def test_no_letter_mark_or_number_is_outside_the_table_of_classes() -> None:
    inside = {point for block in shingles._ASSIGNED for point in block}
    outside = [point for point in range(sys.maxunicode + 1) if point not in inside]
    assert not {unicodedata.category(chr(point))[0] for point in outside} & {"L", "M", "N"}


def test_hashes_are_what_they_were() -> None:
    """A change here makes other sketches: raise the version of the steps `sign` and `walk`."""
    sets = shingle_sets(["The quick brown fox jumps over the lazy dog", "漢字 and a word"])
    assert [hex(value) for value in sets.hashes.tolist()] == GOLDEN_SHINGLES


def test_normalising_twice_changes_no_token() -> None:
    for text in TRICKY:
        assert shingle_sets([normalise(text)]).of(0).tolist() == shingle_sets([text]).of(0).tolist()
