"""A small corpus of ours and a tokenizer trained on it, shared by the tests of tokens."""

import random

import pytest

from pipeline.tokens.encode import Encoder
from pipeline.tokens.tokenizer import Tokenizer, train

WORDS = (
    "the of and to in that it was his with as for had you not be her on at by which have or from "
    "this him but all she they were my are me one their so an said them we who would been will "
    "no when there if more out up into do any your what has man could other than our some very "
    "time upon about may its only now like little then can should made did us such great before"
).split()


def text_of(seed: int, words: int = 120) -> str:
    """A made-up text with punctuation, numbers, accents, code and line breaks."""
    rng = random.Random(seed)
    pieces = []
    for i in range(words):
        word = rng.choice(WORDS)
        pieces.append(word.capitalize() if i % 9 == 0 else word)
        if rng.random() < 0.1:
            pieces[-1] += rng.choice(
                [",", ".", "!\n\n", " - ", "'s", "…", " é", " 中文", "\t", "  x=1;"]
            )
    return " ".join(pieces) + f" {rng.randrange(10**6)}."


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return [text_of(seed) for seed in range(200)]


@pytest.fixture(scope="session")
def tokenizer(texts: list[str]) -> Tokenizer:
    return train(texts, vocab_size=700, min_frequency=2)


@pytest.fixture(scope="session")
def encoder(tokenizer: Tokenizer) -> Encoder:
    return Encoder(tokenizer)
