"""Pre-tokens are those of Hugging Face, of every text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from pipeline.tokens import pretokens as module
from pipeline.tokens.encode import SAMPLES
from pipeline.tokens.pretokens import BYTES_MAX, batches, pretokens
from pipeline.tokens.tokenizer import spell
from tools.training.pretoken_classes import lines

GPT2 = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
# What the pattern tells apart: contractions and what looks so, spaces of all kinds, marks, digits
# of other scripts, characters of two to four bytes.
TRAPS = (
    *("'", "'s", "'ll", "'re", "s", "t", "l", "v", "e", "S", "LL", "ſ"),
    *(" ", "  ", "\n", "\t", "\x1c", "\x85", "\u00a0", "\u3000", "\u200b", "\x00"),
    *("a", "Z", "1", "½", "٣", "Ⅷ", "中", "é", "\u0301", "😀", "\U0001f1e6", "!", "-"),
    "<|endoftext|>",
)  # fmt: skip


def theirs(text: str) -> list[str]:
    return [piece for piece, _ in GPT2.pre_tokenize_str(text)]


def ours(texts: list[str]) -> list[str]:
    return [spell(piece) for piece in pretokens(texts)[0].to_pylist()]


@given(st.lists(st.one_of(st.lists(st.sampled_from(TRAPS)).map("".join), st.text()), max_size=4))
def test_pretokens_are_hugging_faces_of_each_text_by_itself(texts):
    texts = [re.sub("[\ud800-\udfff]", "\ufffd", text) for text in texts]
    assert ours(texts) == [piece for text in texts for piece in theirs(text)]


@pytest.mark.parametrize("text", SAMPLES)
def test_pretokens_of_samples(text):
    assert ours([text]) == theirs(text)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("it's", [b"it", b"'s"]),
        ("it''s", [b"it", b"''", b"s"]),
        ("it 's", [b"it", b" '", b"s"]),
        ("'ll", [b"'ll"]),
        ("'l", [b"'", b"l"]),
        ("a  b", [b"a", b" ", b" b"]),
        ("a\n\nb \n", [b"a", b"\n", b"\n", b"b", b" \n"]),
        ("\ud800", ["\ufffd".encode()]),
        (" " * 5 + "x", [b" " * 4, b" x"]),
    ],
)
def test_texts_and_their_pretokens(text, pieces):
    assert pretokens([text])[0].to_pylist() == pieces


def test_no_pretoken_spans_two_texts():
    assert pretokens(["ab ", " cd", "", "e"])[0].to_pylist() == [b"ab", b" ", b" cd", b"e"]


def test_a_pretoken_that_is_too_long_is_cut_between_characters():
    texts = ["x" + "中" * 5, "yes 😀", "a" * 12]
    found, cut = pretokens(texts, bytes_max=5)
    assert found.to_pylist() == [
        *(b"x\xe4\xb8\xad", "中".encode(), "中".encode(), "中".encode(), "中".encode()),
        *(b"yes", " 😀".encode()),
        *(b"aaaaa", b"aaaaa", b"aa"),
    ]
    assert cut == 2


def test_a_million_spaces_are_few_pretokens():
    found, cut = pretokens([" " * 1_000_000 + "x"])
    assert sorted(set(map(len, found.to_pylist())))[-1] == BYTES_MAX
    assert b"".join(found.to_pylist()) == b" " * 1_000_000 + b"x"
    assert cut == 1


def test_batches_hold_all_texts_in_their_order(monkeypatch):
    monkeypatch.setattr(module, "BATCH_CHARS", 3)
    assert list(batches(["a", "bb", "", "cccc", "d"])) == [["a", "bb"], ["", "cccc"], ["d"]]


@pytest.mark.slow
def test_classes_of_characters_are_those_of_the_library():
    content = module.CLASSES_FILE.read_text().splitlines()
    assert content == lines(), "python -m tools.training.pretoken_classes makes the file anew"
