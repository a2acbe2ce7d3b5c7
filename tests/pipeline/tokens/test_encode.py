import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StageError
from pipeline.rows import without_surrogates
from pipeline.tokens import encode
from pipeline.tokens.encode import (
    SAMPLES,
    WHITE_SPACE_MAX,
    Encoder,
    white_space_run,
)
from pipeline.tokens.tokenizer import END_OF_TEXT, hugging_face, train

ENCODER = Encoder(
    train([*SAMPLES, "it's what they'll say, don't 123 the theory of the other"] * 3, 500, 2)
)
HUGGING_FACE = hugging_face(ENCODER.tokenizer)
HUGGING_FACE.encode_special_tokens = True

# Text as hostile as hypothesis makes it, with the pieces at which the pattern turns.
PIECES = st.sampled_from(
    ["'s", "'ll", " ", "  ", "\n", "\r\n", "\t", "\u00a0", "1", "½", "中", "e\u0301", END_OF_TEXT]
)
TEXTS = st.lists(st.one_of(st.text(max_size=8), PIECES), max_size=20).map("".join)


@given(TEXTS)
def test_decoding_the_encoding_gives_the_text(text):
    assert ENCODER.decode(ENCODER.encode(text)) == text


@given(TEXTS)
def test_both_engines_give_the_same_ids(text):
    assert ENCODER.encode(text).tolist() == HUGGING_FACE.encode(text).ids


@given(st.text(st.characters(categories=["Cs", "Lu", "So"]), max_size=20))
def test_surrogates_become_what_utf8_can_hold(text):
    clean = without_surrogates(text)
    clean.encode("utf-8")
    assert ENCODER.decode(ENCODER.encode(text)) == clean


@pytest.mark.parametrize("filler", ["", " " * (WHITE_SPACE_MAX + 1)])
def test_a_literal_end_of_text_never_becomes_the_token(filler):
    ids = ENCODER.encode(f"a{END_OF_TEXT}{filler}b{END_OF_TEXT}")
    assert ENCODER.tokenizer.eot_id not in ids
    assert ENCODER.decode(ids) == f"a{END_OF_TEXT}{filler}b{END_OF_TEXT}"


@pytest.mark.parametrize("space", [" ", "\n", "\n ", "\u3000", "\x85", "\x1c"])
def test_a_million_white_space_characters_are_encoded(space):
    text = space * (1_000_000 // len(space)) + "x"
    ids = ENCODER.encode(text)
    assert ids.dtype == np.uint16
    assert ENCODER.decode(ids) == text


@pytest.mark.parametrize("character", ["a", "7", "-", "中", "\0"])
def test_a_very_long_word_is_encoded(character):
    text = character * 300_000
    assert ENCODER.decode(ENCODER.encode(text)) == text


def test_white_space_is_measured_by_its_longest_run():
    assert white_space_run("x" + " " * WHITE_SPACE_MAX) == WHITE_SPACE_MAX
    assert white_space_run(" x" * WHITE_SPACE_MAX) == 1
    assert white_space_run("x" * (WHITE_SPACE_MAX + 1)) == 0


def test_the_longest_run_that_tiktoken_gets_gives_the_ids_of_hugging_face():
    text = "a" + " \n" * (WHITE_SPACE_MAX // 2) + "b"
    assert white_space_run(text) == WHITE_SPACE_MAX
    assert ENCODER.encode(text).tolist() == HUGGING_FACE.encode(text).ids


def test_ids_cut_amid_a_character_decode_to_u_fffd():
    assert "\ufffd" in ENCODER.decode(ENCODER.encode("𐍈")[:1])


def test_engines_that_split_texts_in_two_ways_are_refused(monkeypatch):
    monkeypatch.setattr(encode, "PATTERN", r"\S+|\s+")
    with pytest.raises(StageError, match="tiktoken encodes"):
        Encoder(ENCODER.tokenizer)
