import numpy as np
import pytest

from pipeline.tokens.evaluate import (
    Evaluation,
    as_dict,
    broken_bytes,
    broken_characters,
    encode_by,
    kind_of,
    longest,
    made_by_nothing,
    named,
    shown,
)
from pipeline.tokens.tokenizer import END_OF_TEXT, GPT2_DIGEST, Tokenizer
from pipeline.tokens.tokenizer_json import Read

BYTES = tuple(bytes([byte]) for byte in range(256))
END = END_OF_TEXT.encode()
# "ab", "abab" (never made: "ab" and "ab" have no merge), and end-of-text.
SMALL = Tokenizer((*BYTES, b"ab", b"abab", END), ((b"a", b"b"),))
READ = Read(SMALL, "1 of its tokens are made by no merge")


@pytest.fixture
def found():
    evaluation = Evaluation(SMALL, encode_by(READ))
    evaluation.add("abab ab", "en")
    evaluation.add("\u4e2d", "zh")
    return evaluation


def test_tokens_bytes_and_words_are_counted(found):
    assert (found.all.tokens, found.all.text_bytes, found.all.words) == (4 + 3, 7 + 3, 2)
    assert found.all.bytes_per_token == 10 / 7
    assert found.by_language["en"].tokens_per_word == 2
    assert found.by_language["zh"].tokens_per_word == 0  # it has no spaces between words
    assert found.all.tokens_per_word == 2
    assert found.by_kind.keys() == {"prose"}


def test_the_share_in_use_and_the_ids_never_used(found):
    used = {256, 32, 0xE4, 0xB8, 0xAD}
    assert found.unused == sorted({*range(258)} - used)
    assert found.used_share == pytest.approx(5 / 258)
    assert found.single_byte_share == pytest.approx(4 / 7)


def test_tokens_that_nothing_makes_are_found_and_the_longest(found):
    assert made_by_nothing(SMALL) == [257]
    assert longest(SMALL)[:2] == [257, 256]
    figures = as_dict(found, READ.problem)
    assert figures["made_by_nothing"] == [257] and figures["problem"] == READ.problem
    assert figures["longest"][0] == {"id": 257, "bytes": 4, "token": "'abab'"}


def test_sums_do_not_depend_on_how_a_text_is_cut(tokenizer, encoder, texts, monkeypatch):
    sums = []
    for size in (40, 4096):
        monkeypatch.setattr("pipeline.tokens.evaluate.PIECE_CHARS", size)
        evaluation = Evaluation(tokenizer, encoder.encode)
        for text in texts[:20]:
            evaluation.add(text, "en")
        sums.append((evaluation.all, evaluation.uses.tolist()))
    assert sums[0] == sums[1]
    assert sums[0][0].tokens == sum(len(encoder.encode(text)) for text in texts[:20])


def test_every_byte_and_every_code_point_comes_back(tokenizer, encoder):
    assert broken_bytes(tokenizer) == []
    assert broken_characters(tokenizer, encoder.encode) == []


def test_a_character_that_does_not_come_back_is_named(encoder, tokenizer):
    def wrong(text):
        ids = encoder.encode(text)
        return np.where(ids == encoder.encode("\u00e9")[-1], 0, ids)

    broken = broken_characters(tokenizer, wrong)
    assert 0xE9 in broken and 0x41 not in broken


def test_a_lone_surrogate_counts_as_what_utf8_can_hold(tokenizer, encoder):
    evaluation = Evaluation(tokenizer, encoder.encode)
    evaluation.add("a\ud800", "")
    assert evaluation.all.text_bytes == 4


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            "It was the best of times, it was the worst of times; it was (as they say) long ago.",
            "prose",
        ),
        ("def f(x):\n    return [x**2 for _ in range(10)]\n", "code"),
        ("int main(void) { return a[i] == b->c; }", "code"),
        ("SELECT * FROM t WHERE (a = 1);", "code"),
        ("\u4e2d\u6587\u6ca1\u6709\u7a7a\u683c", "prose"),
    ],
)
def test_prose_and_code_are_told_apart(text, kind):
    assert kind_of(text) == kind


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (b" the", "' the'"),
        (b"\n\t", r"'\n\t'"),
        (b"\xe4\xb8", r"'\xe4\xb8'"),
        ("\u4e2d\u0301".encode(), "'\u4e2d\u0301'"),
        (b"it's", "'it's'"),
        (b"\x00", r"'\x00'"),
        ("\u200b".encode(), r"'\u200b'"),
    ],
)
def test_a_token_is_shown_as_one_can_read_it(token, text):
    assert shown(token) == text


def test_gpt2s_own_is_known_by_its_content(tokenizer):
    class Own(Tokenizer):
        digest = GPT2_DIGEST

    assert named(tokenizer) == "" and named(Own(SMALL.tokens, SMALL.merges)) == "GPT-2's own"
