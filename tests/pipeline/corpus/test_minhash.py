import sys
import unicodedata
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest
import zstandard
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.characters import without_ignorable
from pipeline.corpus import minhash
from pipeline.corpus.minhash import N_PERM, band_keys, normalise, shingle_sets, signatures

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
GOLDEN_SIGNATURE = "0x159bbff396"
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
    assert len(shingle_sets([text])[0]) == shingles


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
    assert sets[0].tolist() == sets[1].tolist()


@pytest.mark.parametrize(
    "hidden",
    ["\u00ad", "\u034f", "\u200b", "\u200c", "\u200d", "\u200e", "\u2060", "\ufeff", "\ufe0f"],
)
def test_characters_that_are_not_seen_are_in_no_token(hidden: str) -> None:
    text = "the village council decided to repair the bridge \u26a1 in May"
    split = text.replace("e", f"e{hidden}")
    sets = shingle_sets([text, split, f"{hidden}bridge", "bridge", hidden])
    assert sets[0].tolist() == sets[1].tolist()
    assert sets[2].tolist() == sets[3].tolist()
    assert sets[4].tolist() == []


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
    assert (len(sets[0]), len(sets[1])) == (1, 1)
    assert sets[0].tolist() != sets[1].tolist()


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
    assert len(sets[0]) == 1
    assert sets[0].tolist() == sets[1].tolist()


@pytest.mark.real
def test_shingle_sets_are_those_of_the_slow_reference(
    reference: ModuleType, shared_data: Path
) -> None:
    packed = (shared_data / "neardup" / "set-a" / "documents.jsonl.zst").read_bytes()
    lines = zstandard.ZstdDecompressor().decompressobj().decompress(packed).split(b"\n")
    texts = [msgspec.json.decode(line)["text"] for line in lines[:-1:20]] + TRICKY
    sets = shingle_sets(texts)
    # Characters that are not seen do not count; the reference knows nothing of that.
    slow = [reference.shingles(without_ignorable(text)) for text in texts]
    assert [len(sets[i]) for i in range(len(sets))] == [len(s) for s in slow]
    for i in range(1, len(texts)):
        assert len(np.intersect1d(sets[i], sets[i - 1])) == len(slow[i] & slow[i - 1])


@pytest.mark.real
@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(ALPHABET, max_size=40), min_size=1, max_size=4))
def test_any_mixture_of_scripts_has_the_reference_s_shingles(
    reference: ModuleType, texts: list[str]
) -> None:
    sets = shingle_sets(texts)
    for i, text in enumerate(texts):
        assert len(sets[i]) == len(reference.shingles(text))


@given(st.lists(st.text(ALPHABET, max_size=30), max_size=6))
def test_a_text_has_the_same_set_in_any_batch(texts: list[str]) -> None:
    together = shingle_sets(texts)
    assert len(together) == len(texts)
    for i, text in enumerate(texts):
        assert together[i].tolist() == shingle_sets([text])[0].tolist()


def test_batches_of_another_size_give_the_same_sets_and_signatures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [f"{i} " + "some words and more of them " * (i % 7) + str(i) for i in range(50)]
    sets = shingle_sets(texts)
    signed = signatures(sets)
    monkeypatch.setattr(minhash, "_BATCH_CHARS", 100)
    monkeypatch.setattr(minhash, "_BATCH_SHINGLES", 10)
    again = shingle_sets(texts)
    assert again.hashes.tolist() == sets.hashes.tolist()
    assert (signatures(again) == signed).all()


def test_signatures_are_those_of_datasketch() -> None:
    texts = [*TRICKY, *(" ".join(f"w{i * j % 97}" for j in range(300)) for i in range(20))]
    sets = shingle_sets(texts)
    signed = signatures(sets)
    for i in range(len(texts)):
        theirs = MinHash(N_PERM, hashfunc=lambda hashed: hashed)
        upper = (sets[i] >> np.uint64(32)).tolist()
        if upper:
            theirs.update_batch(upper)
        assert np.array_equal(signed[i], theirs.hashvalues)


def test_band_keys_are_equal_exactly_where_all_rows_of_the_band_are() -> None:
    signed = np.arange(2 * N_PERM, dtype=np.uint32).reshape(2, N_PERM)
    signed[1, 4:8] = signed[0, 4:8]  # the second of 32 bands
    signed[1, 8:11] = signed[0, 8:11]  # three of the four rows of the third
    keys = band_keys(signed, 32, 4)
    assert np.flatnonzero(keys[:, 0] == keys[:, 1]).tolist() == [1]


def test_no_letter_mark_or_number_is_outside_the_table_of_classes() -> None:
    inside = {point for block in minhash._ASSIGNED for point in block}
    outside = [point for point in range(sys.maxunicode + 1) if point not in inside]
    assert not {unicodedata.category(chr(point))[0] for point in outside} & {"L", "M", "N"}


def test_hashes_are_what_they_were() -> None:
    """A change here makes other sketches: raise the version of the steps `sign` and `walk`."""
    sets = shingle_sets(["The quick brown fox jumps over the lazy dog", "漢字 and a word"])
    assert [hex(value) for value in sets.hashes.tolist()] == GOLDEN_SHINGLES
    assert hex(int(signatures(sets)[0].astype(np.uint64).sum())) == GOLDEN_SIGNATURE


def test_normalising_twice_changes_no_token() -> None:
    for text in TRICKY:
        assert shingle_sets([normalise(text)])[0].tolist() == shingle_sets([text])[0].tolist()
