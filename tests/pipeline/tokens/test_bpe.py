"""Merges are those of Hugging Face's trainer, and of a plain one that is easily read."""

import json
from collections import Counter
from itertools import pairwise
from random import Random

import numpy as np
import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers, trainers

from pipeline.tokens import bpe
from pipeline.tokens.bpe import BYTES, Counts, learn
from pipeline.tokens.pretokens import pretokens
from pipeline.tokens.tokenizer import spell

LETTERS = ("ab", "a", "abc", "ab ", "aé-", "the qu")
Learnt = tuple[list[bytes], list[tuple[bytes, bytes]]]


def counts_of(counted: dict[bytes, int]) -> Counts:
    words = Random(1).sample(sorted(counted), len(counted))  # their order must not matter
    return Counts(
        np.frombuffer(b"".join(words), np.uint8),
        np.cumsum([len(word) for word in words], dtype=np.int64),
        np.array([counted[word] for word in words], np.int64),
    )


def counted(texts: list[str]) -> Counter[bytes]:
    return Counter(pretokens(texts)[0].to_pylist())


def plain(counts: dict[bytes, int], vocab_size: int, min_frequency: int) -> Learnt:
    """BPE as one writes it down: count all pairs, merge the best, again."""
    tokens = [bytes([byte]) for byte in BYTES]
    ids = {token: i for i, token in enumerate(tokens)}
    words = [([bytes([byte]) for byte in word], count) for word, count in counts.items()]
    merges: list[tuple[bytes, bytes]] = []
    while len(tokens) < vocab_size:
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, count in words:
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        left, right = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        if pairs[left, right] < max(1, min_frequency):
            break
        assert left + right not in ids
        ids[left + right] = len(tokens)
        tokens.append(left + right)
        merges.append((left, right))
        words = [(merged(word, left, right), count) for word, count in words]
    return tokens, merges


def merged(word: list[bytes], left: bytes, right: bytes) -> list[bytes]:
    made: list[bytes] = []
    for token in word:
        if made and made[-1] == left and token == right:
            made[-1] = left + right
        else:
            made.append(token)
    return made


def hugging_face(texts: list[str], vocab_size: int, min_frequency: int, token_bytes: int) -> Learnt:
    learner = tokenizers.Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        max_token_length=token_bytes or None,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learner.train_from_iterator(texts, trainer)
    model = json.loads(learner.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [tuple(each) for each in model["merges"]]


def spelt(learnt: Learnt) -> Learnt:
    tokens, merges = learnt
    return [spell(token) for token in tokens], [(spell(a), spell(b)) for a, b in merges]


@st.composite
def texts(draw: st.DrawFn) -> list[str]:
    letters = draw(st.sampled_from(LETTERS))
    words = st.text(letters, min_size=1, max_size=draw(st.sampled_from([3, 9, 40])))
    return draw(st.lists(st.lists(words, max_size=12).map(" ".join), max_size=8))


@given(
    texts(),
    st.integers(256, 500),
    st.integers(0, 4),
    st.sampled_from([0, 0, 3, 4, 7]),
    st.sampled_from([0, 2, bpe.FEW]),
)
def test_merges_are_hugging_faces(given, vocab_size, min_frequency, token_bytes, few):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "FEW", few)
        learnt = learn(counts_of(counted(given)), vocab_size, min_frequency, token_bytes)
    assert spelt(learnt) == hugging_face(given, vocab_size, min_frequency, token_bytes)


@given(
    texts(),
    st.integers(256, 400),
    st.integers(1, 3),
    st.sampled_from([1, 3, 30]),
    st.sampled_from([0, 2, bpe.FEW]),
)
def test_merges_do_not_depend_on_the_floors(given, vocab_size, min_frequency, first, few):
    counts = counts_of(counted(given))
    wanted = learn(counts, vocab_size, min_frequency)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bpe, "FIRST_FLOOR", first)
        patch.setattr(bpe, "FLOORS", 2)
        patch.setattr(bpe, "GROUPS", 3)
        patch.setattr(bpe, "FEW", few)
        assert learn(counts, vocab_size, min_frequency) == wanted


@pytest.mark.slow
def test_ids_of_all_16_bits_are_told_apart():
    counts = {bytes([a, b]): 10**6 - (a << 8 | b) for a in range(256) for b in range(160)}
    wanted = sorted(counts, key=counts.__getitem__, reverse=True)
    late = wanted[-9:]
    counts |= {pair + bytes([200 + i]): 9 for i, pair in enumerate(late)}
    counts |= {late[0] + late[1]: 99}
    tokens, merges = learn(counts_of(counts), 65_535, 5)
    assert set(tokens[256 : 256 + len(wanted)]) == set(wanted)
    assert tokens[256 + len(wanted) :][0] == late[0] + late[1]
    assert [left for left, _ in merges[-9:]] == late
    assert len(tokens) == 256 + len(wanted) + 10


@given(texts(), st.integers(256, 400), st.integers(0, 3))
def test_merges_are_the_plain_ones_and_no_two_make_the_same_token(given, vocab_size, frequency):
    counts = counted(given)
    assert learn(counts_of(counts), vocab_size, frequency) == plain(counts, vocab_size, frequency)


def test_counts_above_32_and_53_bits_are_exact():
    huge = 2**60
    counts = {b"ab": huge + 1, b"cd": huge, b"xy": 2**33, b"pq": 2**33 + 1}
    tokens, merges = learn(counts_of(counts), 260, 2)
    assert merges == [(b"a", b"b"), (b"c", b"d"), (b"p", b"q"), (b"x", b"y")]
    assert tokens[256:] == [b"ab", b"cd", b"pq", b"xy"]
    # Three times 2^31 in 32 bits is 2^31 below nought.
    counts = {b"ab": 2**31, b"abc": 2**31, b"zab": 2**31, b"cc": 2**32}
    assert learn(counts_of(counts), 258, 2)[1] == [(b"a", b"b"), (b"c", b"c")]


def test_ties_go_to_the_smallest_pair_of_ids():
    # Ids are in the order of GPT-2's letters: "!" is 0, a space, written as U+0120, is 220.
    counts = {b" a": 5, b"zz": 5, b"!!": 5}
    assert learn(counts_of(counts), 260, 2)[1] == [(b"!", b"!"), (b"z", b"z"), (b" ", b"a")]


def test_no_counts_give_the_bytes():
    tokens, merges = learn(counts_of({}), 5000, 2)
    assert (len(tokens), merges) == (256, [])


@pytest.mark.parametrize("vocab_size", [0, 1, 255, 256])
def test_a_vocabulary_of_the_bytes_or_less_learns_nothing(vocab_size):
    assert learn(counts_of({b"ab": 9}), vocab_size, 2)[1] == []


def test_what_is_told_of_the_merges_can_end_the_training():
    def told(merges: int) -> None:
        if merges == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(counts_of({b"abcdefgh": 9}), 5000, 2, told=told)


def test_one_pretoken_of_megabytes_takes_no_longer_than_many():
    word = Random(3).choices(b"ACGT", k=1 << 20)
    tokens, _ = learn(counts_of({bytes(word): 1}), 600, 2)
    assert len(tokens) == 600
