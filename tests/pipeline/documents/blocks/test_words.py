"""Words as numbers: they are the words of `\\w+`, and a text holds its own blocks."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.words import count, member, once, words_of
from pipeline.documents.tree import parse

TEXTS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs",)), max_size=60)


def blocks_of(*lines):
    """Words of blocks, and where each begins."""
    words = [words_of(line) for line in lines]
    return np.concatenate(words), np.cumsum([0, *map(len, words)])


@given(TEXTS)
def test_there_are_as_many_words_as_a_pattern_finds(text):
    assert len(words_of(text)) == len(re.findall(r"\w+", text))


@given(TEXTS, TEXTS)
def test_words_are_the_same_wherever_they_stand(text, before):
    words = words_of(text)
    assert words_of(f"{before} {text}").tolist()[len(words_of(before)) :] == words.tolist()


def test_case_is_no_difference_and_letters_are():
    assert words_of("Bridge").tolist() == words_of("bRIDGE").tolist()
    assert len({*words_of("bridge bridges ridge egdirb édition").tolist()}) == 5


@given(st.lists(st.sampled_from("river bridge May, water; council stone".split()), min_size=4))
def test_a_text_holds_all_of_itself(words):
    text = " ".join(words)
    hashes, offsets = blocks_of(text)
    assert member(hashes, offsets, words_of(text)).tolist() == [1.0]


@pytest.mark.parametrize(
    ("lines", "other", "shares"),
    [
        (["one two three four five"], "zero one two three four", [0.8]),
        (["one two three four"], "four three two one zero", [0]),
        (["one two three four"], "", [0]),
        # A short block counts where the text reads on from a block of it, or into one.
        (["a b c d e", "Read", "f g h i"], "a b c d e read f g h i", [1, 1, 1]),
        (["a b c d e", "Share", "f g h i"], "a b c d e f g h i", [1, 0, 1]),
        # Of two copies the text has one.
        (["a b c d", "x y z w", "a b c d"], "a b c d x y z w", [1, 1, 0.3]),
        (["a b c d", "a b c d"], "a b c d q a b c d", [1, 1]),
    ],
)
def test_the_share_of_a_block_that_stands_in_another_text(lines, other, shares):
    hashes, offsets = blocks_of(*lines)
    assert member(hashes, offsets, words_of(other)).tolist() == pytest.approx(shares)


def test_counts_of_blocks():
    body = '<h1>The Bridge</h1><p>In 1952, <a href="/x">they built</a> it. </p><p>|</p>'
    counts = count(segment(parse(f"<body>{body}</body>")), "Bridge news")
    assert counts.words.tolist() == [2, 5, 0]
    assert counts.link_words.tolist() == [0, 2, 0]
    assert counts.commas.tolist() == [0, 1, 0]
    assert counts.digits.tolist() == [0, 4, 0]
    assert counts.capitals.tolist() == [2, 1, 0]
    assert counts.title_words.tolist() == [1, 0, 0]
    assert counts.separators.tolist() == [0, 0, 1]
    assert [chr(code) for code in counts.last] == ["e", ".", "|"]
    assert counts.copies.tolist() == [1, 1, 1]


def test_the_words_of_two_blocks_are_apart():
    counts = count(segment(parse("<body><p>one</p><p>two</p></body>")), "")
    assert counts.words.tolist() == [1, 1]
    assert counts.hashes.tolist() == words_of("one two").tolist()


SIGNATURE = "<p class=sig>Bridges are my whole life.</p>"
POSTS = "".join(f"<div class=post><p>Post {n}.</p><p>I agree.</p>{SIGNATURE}</div>" for n in "abc")


@pytest.mark.parametrize(("is_thread", "times"), [(True, 1), (False, 3)])
def test_a_line_that_each_post_of_a_thread_has_again_stands_once(is_thread, times):
    page = segment(parse(f"<html><body>{POSTS}</body></html>"))
    blocks = once(page, count(page, ""), range(len(page.elements)), is_thread=is_thread)
    lines = [page.text(block) for block in blocks]
    assert lines.count("Bridges are my whole life.") == times
    assert lines.count("I agree.") == 3
