"""What a tokenizer makes of texts: the figures by which one tells whether it is any good."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipeline.rows import without_surrogates
from pipeline.tokens.encode import Encoder
from pipeline.tokens.pieces import cut
from pipeline.tokens.tokenizer import GPT2_DIGEST, Tokenizer, hugging_face
from pipeline.tokens.tokenizer_json import Read, never_made

Kind = Literal["prose", "code"]
Encode = Callable[[str], npt.NDArray[Any]]

PIECE_CHARS = 4096  # is prose or code as a whole
# Of the characters that are seen. Above it are, of pieces of this size, 93 % of Python's library
# and 95 % of C headers, 1 % of web pages and none of books.
CODE_SIGNS_MIN = 0.05
_CODE_SIGNS = re.compile(r"[{}()\[\]<>=;_|&*+#$@\\]")
# Languages without spaces between words, for which tokens a word say nothing.
WITHOUT_WORDS = frozenset("zh wuu yue ja th lo km my".split())
LONGEST, NAMED = 10, 20
_ROUND_CHARS = 4096  # code points that are encoded at once


def kind_of(text: str) -> Kind:
    """Whether a piece of text is prose or code, by the share of signs that code has more of."""
    seen = len(text) - sum(text.count(blank) for blank in " \n\t\r")
    return "code" if len(_CODE_SIGNS.findall(text)) >= CODE_SIGNS_MIN * max(1, seen) else "prose"


@dataclass
class Sums:
    """Counts of some texts: UTF-8 bytes, tokens, and words as white space parts them.

    `words`, and the `word_tokens` that they have, are those of languages with spaces between words.
    """

    text_bytes: int = 0
    tokens: int = 0
    words: int = 0
    word_tokens: int = 0

    @property
    def bytes_per_token(self) -> float:
        """The measure of how far a tokenizer compresses; more is better."""
        return self.text_bytes / self.tokens if self.tokens else 0.0

    @property
    def tokens_per_word(self) -> float:
        """Also called fertility; less is better."""
        return self.word_tokens / self.words if self.words else 0.0


@dataclass
class Evaluation:
    """The sums of the texts that were added, by language and kind, and how often each id came."""

    tokenizer: Tokenizer
    encode: Encode
    all: Sums = field(default_factory=Sums)
    by_language: dict[str, Sums] = field(default_factory=dict)
    by_kind: dict[Kind, Sums] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.uses = np.zeros(self.tokenizer.vocab_size, np.int64)

    def add(self, text: str, language: str) -> None:
        """Count a text; `language` is its code, "" where none is known."""
        has_words = language not in WITHOUT_WORDS
        for piece in cut(without_surrogates(text), PIECE_CHARS):
            ids = self.encode(piece)
            self.uses += np.bincount(ids, minlength=len(self.uses))
            sums = (
                self.all,
                self.by_language.setdefault(language, Sums()),
                self.by_kind.setdefault(kind_of(piece), Sums()),
            )
            for each in sums:
                each.text_bytes += len(piece.encode())
                each.tokens += len(ids)
                each.words += len(piece.split()) if has_words else 0
                each.word_tokens += len(ids) if has_words else 0

    @property
    def unused(self) -> list[int]:
        """The ids that no text gave; end-of-text, which none can give, is not one of them."""
        return [i for i in np.flatnonzero(self.uses == 0).tolist() if i != self.tokenizer.eot_id]

    @property
    def used_share(self) -> float:
        """Of the vocabulary without end-of-text."""
        return 1 - len(self.unused) / (self.tokenizer.vocab_size - 1)

    @property
    def single_byte_share(self) -> float:
        """Of the tokens of the texts: those that are one byte."""
        single = [len(token) == 1 for token in self.tokenizer.tokens]
        return float(self.uses[single].sum() / max(1, self.all.tokens))


def encode_by(read: Read) -> Encode:
    """How a tokenizer encodes; where tiktoken would give other ids, by Hugging Face's library."""
    if not read.problem:
        return Encoder(read.tokenizer).encode
    own = hugging_face(read.tokenizer)
    own.encode_special_tokens = True
    return lambda text: np.array(own.encode(text, add_special_tokens=False).ids, np.int64)


def longest(tokenizer: Tokenizer) -> list[int]:
    """The ids of the longest tokens, the longest first."""
    ids = range(tokenizer.eot_id)
    return sorted(ids, key=lambda i: (-len(tokenizer.tokens[i]), i))[:LONGEST]


def made_by_nothing(tokenizer: Tokenizer) -> list[int]:
    """The ids of tokens that no text can give."""
    return [number for number, _ in never_made(tokenizer)]


def broken_bytes(tokenizer: Tokenizer) -> list[int]:
    """The bytes that have no token of their own."""
    return sorted(set(range(256)) - {token[0] for token in tokenizer.tokens if len(token) == 1})


def broken_characters(tokenizer: Tokenizer, encode: Encode) -> list[int]:
    """The code points that are another text once they were encoded and decoded."""
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    broken: list[int] = []
    for start in range(0, len(points), _ROUND_CHARS):
        some = points[start : start + _ROUND_CHARS]
        if not _comes_back(tokenizer, encode, "".join(map(chr, some))):
            broken += [c for c in some if not _comes_back(tokenizer, encode, chr(c))]
    return broken


def _comes_back(tokenizer: Tokenizer, encode: Encode, text: str) -> bool:
    return b"".join(tokenizer.tokens[i] for i in encode(text).tolist()) == text.encode()


def shown(token: bytes) -> str:
    r"""A token as text in quotes; what is no UTF-8 or cannot be seen is written as \xe4 or \n."""
    return "'" + "".join(_visible(token.decode("utf-8", "surrogateescape"))) + "'"


def _visible(text: str) -> Iterator[str]:
    for letter in text:
        if "\udc80" <= letter <= "\udcff":
            yield f"\\x{ord(letter) - 0xDC00:02x}"
        elif letter in "\\'" or letter.isprintable():
            yield letter
        else:
            yield letter.encode("unicode_escape").decode()


def named(tokenizer: Tokenizer) -> str:
    """What is known of where a tokenizer comes from."""
    return "GPT-2's own" if tokenizer.digest == GPT2_DIGEST else ""


def as_dict(found: Evaluation, problem: str, *, whole: bool = True) -> dict[str, Any]:
    """The figures as JSON; without `whole`, the texts' alone."""
    tokenizer = found.tokenizer
    figures = {
        "digest": tokenizer.digest,
        "known_as": named(tokenizer),
        "vocab_size": tokenizer.vocab_size,
        **_sums(found.all),
        "used_share": round(found.used_share, 6),
        "unused_ids": found.unused,
        "unused_first": [_token(tokenizer, i) for i in found.unused[:NAMED]],
        "single_byte_share": round(found.single_byte_share, 6),
        "longest": [_token(tokenizer, i) for i in longest(tokenizer)],
        "by_language": _all_sums(found.by_language.items()),
        "by_kind": _all_sums(found.by_kind.items()),
    }
    if whole:
        made = made_by_nothing(tokenizer)
        figures |= {
            "made_by_nothing": made,
            "made_by_nothing_first": [_token(tokenizer, i) for i in made[:NAMED]],
            "broken_bytes": broken_bytes(tokenizer),
            "broken_characters": broken_characters(tokenizer, found.encode),
            "problem": problem,
        }
    return figures


def _token(tokenizer: Tokenizer, number: int) -> dict[str, Any]:
    token = tokenizer.tokens[number]
    return {"id": number, "bytes": len(token), "token": shown(token)}


def _all_sums(groups: Iterable[tuple[str, Sums]]) -> dict[str, dict[str, Any]]:
    by_size: Sequence[tuple[str, Sums]] = sorted(groups, key=lambda group: -group[1].text_bytes)
    return {name: _sums(sums) for name, sums in by_size}


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "text_bytes": sums.text_bytes,
        "tokens": sums.tokens,
        "bytes_per_token": round(sums.bytes_per_token, 4),
        "tokens_per_word": round(sums.tokens_per_word, 4),
    }
