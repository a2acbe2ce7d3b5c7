"""A byte-level BPE tokenizer as GPT-2's, and its training.

Ids 0 to 255 are the bytes, then come the merges in the order in which they were learnt, and
`<|endoftext|>` is added last, so it is the last id, as in GPT-2. Training is Hugging Face's
`BpeTrainer`: highest count first, ties to the smallest pair of ids. The result depends on the set
of texts alone, not on their order, nor on threads or hash seeds.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import tokenizers
import xxhash
from tokenizers import AddedToken, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"
# OpenAI's own: the digest of the tokenizer that encoder.json and vocab.bpe hold.
GPT2_DIGEST = "e98a91d953a0c97781b97302570a6db6"


@dataclass(frozen=True)
class Tokenizer:
    """A vocabulary and its merges. `tokens` are by id, the last is end-of-text; merges by rank."""

    tokens: tuple[bytes, ...]
    merges: tuple[tuple[bytes, bytes], ...]

    @property
    def vocab_size(self) -> int:
        """Number of ids, end-of-text included."""
        return len(self.tokens)

    @property
    def eot_id(self) -> int:
        """The id of end-of-text: the last one."""
        return len(self.tokens) - 1

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits of tokens and merges, whatever the files' layout."""
        digest = xxhash.xxh3_128()
        for part in (*self.tokens, b"", *(side for merge in self.merges for side in merge)):
            digest.update(len(part).to_bytes(4, "little") + part)
        return digest.hexdigest()


def train(texts: Iterable[str], vocab_size: int, min_frequency: int) -> Tokenizer:
    """A tokenizer of at most `vocab_size` ids, end-of-text included.

    It has fewer when the texts have no further pair that occurs `min_frequency` times. A literal
    `<|endoftext|>` in a text is ordinary text.
    """
    learner = tokenizers.Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    learner.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab_size - 1,  # end-of-text comes after
            min_frequency=min_frequency,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    model = json.loads(learner.to_str())["model"]
    return from_hugging_face(model["vocab"] | {END_OF_TEXT: len(model["vocab"])}, model["merges"])


def hugging_face(tokenizer: Tokenizer) -> tokenizers.Tokenizer:
    """The tokenizer as Hugging Face's class, with end-of-text as its one special token."""
    vocab, merges = spelt(tokenizer)
    made = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return made


def from_hugging_face(vocab: Mapping[str, int], merges: Iterable[tuple[str, str]]) -> Tokenizer:
    """From Hugging Face's spelling: ids of 0 to n - 1, of which the last is end-of-text."""
    tokens = sorted(vocab, key=vocab.__getitem__)
    return Tokenizer(
        tokens=(*map(_unspell, tokens[:-1]), END_OF_TEXT.encode()),
        merges=tuple((_unspell(left), _unspell(right)) for left, right in merges),
    )


def spelt(tokenizer: Tokenizer) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges in Hugging Face's spelling, end-of-text included as it is."""
    vocab = {spell(token): i for i, token in enumerate(tokenizer.tokens[:-1])}
    vocab[END_OF_TEXT] = tokenizer.eot_id
    return vocab, [(spell(left), spell(right)) for left, right in tokenizer.merges]


def _letters() -> dict[int, str]:
    """GPT-2 writes each byte as one printable letter: itself, or one from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = (byte for byte in range(256) if byte not in printable)
    moved = {byte: chr(256 + i) for i, byte in enumerate(others)}
    return {byte: moved.get(byte, chr(byte)) for byte in range(256)}


LETTER_OF_BYTE = _letters()
_BYTE_OF_LETTER = {letter: byte for byte, letter in LETTER_OF_BYTE.items()}


def spell(token: bytes) -> str:
    """A token in Hugging Face's spelling, a letter for each byte."""
    return "".join(LETTER_OF_BYTE[byte] for byte in token)


def _unspell(token: str) -> bytes:
    return bytes(_BYTE_OF_LETTER[letter] for letter in token)
