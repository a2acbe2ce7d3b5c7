"""Words as numbers: they are the words of `\\w+`, and a text holds its own blocks."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.blocks import words as module
from pipeline.documents.blocks.page import Page, codes_of, limits_of, text_of
from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.words import BlockWords, count, member, words_of
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


def test_of_two_copies_the_one_that_is_no_link_counts():
    hashes, offsets = blocks_of("How to build it", "other words stand here", "How to build it")
    other = words_of("How to build it other words")
    assert member(hashes, offsets, other).tolist() == pytest.approx([1, 0, 0.3])
    menu = np.array([True, False, False])
    assert member(hashes, offsets, other, menu).tolist() == pytest.approx([0.3, 0, 1])


def test_a_short_block_reads_on_into_one_that_is_near():
    other = words_of("Offers we have what you need")
    far = ["x y z w"] * 6
    for between, shares in ((1, [1]), (6, [0])):
        hashes, offsets = blocks_of("Offers", *far[:between], "we have what you need")
        assert member(hashes, offsets, other).tolist()[:1] == shares
    hashes, offsets = blocks_of("a", "b", "c", "d", "e")
    assert member(hashes, offsets, words_of("a b c d e")).tolist() == [1] * 5


@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5), min_size=1, max_size=6),
    st.lists(st.sampled_from("abcdef"), max_size=12),
)
def test_of_a_page_of_few_blocks_each_has_a_share(blocks, other):
    hashes, offsets = blocks_of(*map(" ".join, blocks))
    shares = member(hashes, offsets, words_of(" ".join(other)))
    assert ((shares >= 0) & (shares <= 1)).all()


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


PIECE = st.text(
    st.one_of(st.sampled_from("aA1, .|\n"), st.characters(exclude_categories=("Cs",))), max_size=9
)
# Of a block: no piece is white space alone, as none begins one.
BLOCK = st.lists(st.tuples(PIECE, st.integers(0, 7)), max_size=4).map(
    lambda some: [("x", 0), *some]
)
WORDS = ["share", "comment", "read", "by", "Posted", "nothing"]


def page_of(blocks):
    pieces = [piece for block in blocks for piece in block]
    sizes = np.array([len(text) for text, _ in pieces], np.int64)
    starts = np.cumsum([0, *map(len, blocks)])
    numbers = np.zeros((14, len(blocks)), np.int64)  # of elements and blocks; not asked for
    return Page(
        *numbers,
        starts=starts,
        codes=codes_of("".join(text for text, _ in pieces)),
        sizes=sizes,
        flags=np.array([flags for _, flags in pieces], np.uint8),
        plain_kinds=set(),
        limits=limits_of(sizes, starts),
    )


@pytest.mark.skipif(not module.compiled, reason="no compiler was at hand at the installation")
@given(st.lists(BLOCK, min_size=1, max_size=5), st.lists(st.sampled_from(WORDS), max_size=40))
def test_compiled_counts_are_those_of_numpy(blocks, known):
    page = page_of([*blocks, [(" ".join(known) + "!", 2)]])
    by_c, text = count(page, "share it"), text_of(page.codes)
    words = words_of(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compiled", None)
        by_numpy = count(page, "share it")
        assert words.tolist() == words_of(text).tolist()
    for name in BlockWords.__slots__:
        assert getattr(by_c, name).tolist() == getattr(by_numpy, name).tolist(), name


def test_the_words_of_two_blocks_are_apart():
    counts = count(segment(parse("<body><p>one</p><p>two</p></body>")), "")
    assert counts.words.tolist() == [1, 1]
    assert counts.hashes.tolist() == words_of("one two").tolist()
