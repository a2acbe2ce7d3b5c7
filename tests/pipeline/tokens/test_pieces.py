import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.tokens.encode import SAMPLES, Encoder
from pipeline.tokens.pieces import cut, joined
from pipeline.tokens.tokenizer import END_OF_TEXT, train

ENCODER = Encoder(
    train([*SAMPLES, "it's what they'll say, don't 123 the theory of the other"] * 3, 500, 2)
)
TURNS = ("'s", "'", " ", "  ", "\n", "\r\n", "\t", "\u00a0", "\x1c", "\x85", "1", "½", "中", "a")
PIECES = st.sampled_from([*TURNS, ".", END_OF_TEXT])
TEXTS = st.lists(st.one_of(st.text(max_size=8), PIECES), max_size=30).map("".join)


def ids_of(pieces):
    return [i for piece in pieces for i in ENCODER.encode(piece).tolist()]


@given(TEXTS, st.integers(1, 20))
def test_the_ids_of_pieces_are_the_ids_of_the_text(text, size):
    pieces = list(cut(text, size))
    assert "".join(pieces) == text
    assert ids_of(pieces) == ENCODER.encode(text).tolist()


@given(TEXTS, st.integers(1, 20))
def test_chunks_of_a_text_are_joined_at_borders(text, size):
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    pieces = list(joined(chunks))
    assert "".join(pieces) == text
    assert ids_of(pieces) == ENCODER.encode(text).tolist()


@pytest.mark.parametrize(("text", "count"), [("a b " * 100, 41), ("a" * 400, 1), (" " * 400, 1)])
def test_a_text_is_cut_where_there_are_borders(text, count):
    assert len(list(cut(text, 9))) == count
