"""Anyone's `tokenizer.json`, and what is wrong with a tokenizer of any form.

tiktoken knows no merges: it joins the two neighbours that make the token of the lowest id. So it
gives the ids of the file's own library exactly where

- every byte is a token, and the merges make every other token, each once, by ascending id;
- each token's own bytes are merged to that token.

For what a merge does to two neighbours does not depend on what stands around them: were there two
that make a token, but not by its merge, then the token's own bytes would stop at these two. The
first is counted, the second asked of Hugging Face's merging: 0.1 s for the whole of 50,257 tokens.

What gives no other ids is not looked at: a post-processor (it adds special tokens, which shards
have of their own), truncation, padding, `unk_token` and `byte_fallback` (no byte is unknown),
`ignore_merges` (it takes a token whole, which is what its merges come to).

Who only looks at a tokenizer (`webtext tokenizer eval`) may have one whose ids tiktoken does not
give: one with tokens that no merge makes, for example. What it has of these is told (Read).
"""

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from pipeline.errors import InputError, SettingsError
from pipeline.tokens.tokenizer import (
    END_OF_TEXT,
    LETTER_OF_BYTE,
    Tokenizer,
    from_hugging_face,
    hugging_face,
    spell,
)

IDS_MAX = 2**16  # what 16 bits tell apart
MEND = "Copy it anew, or save it again with the tokenizers library."
GPT2_SPLIT = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}

Pair = tuple[str, str]
T = TypeVar("T")


class _Added(msgspec.Struct):
    content: str
    id: int
    special: bool = False


class _File(msgspec.Struct):
    model: msgspec.Raw
    added_tokens: list[_Added] = []
    pre_tokenizer: dict[str, Any] | None = None
    normalizer: dict[str, Any] | None = None


class _Kind(msgspec.Struct):
    type: str | None = "BPE"  # files of before 2021 do not say


class _Model(msgspec.Struct):
    vocab: dict[str, int]
    merges: list[str | Pair]  # older files write a merge as "a b"
    dropout: float | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None


@dataclass(frozen=True)
class Read:
    """A tokenizer, and for what shards are not written with it: "" where they are."""

    tokenizer: Tokenizer
    problem: str


def read_json(path: Path, content: bytes) -> Read:
    """The tokenizer of a `tokenizer.json`.

    Raises InputError for a file that is cut or is no tokenizer.json, SettingsError unless it is a
    byte-level BPE in GPT-2's form whose one added token is a last `<|endoftext|>`.
    """
    file = _decoded(path, content, _File)
    if (kind := _decoded(path, file.model, _Kind).type) not in ("BPE", None):
        raise refusal(path, f"its model is {kind}, not BPE")
    model = _decoded(path, file.model, _Model)
    # OpenAI's file lists end-of-text among the model's own tokens, ours does too.
    vocab = {token: i for token, i in model.vocab.items() if token != END_OF_TEXT}
    end = model.vocab.get(END_OF_TEXT, len(vocab))
    for problem in _of_form(file, model, end, len(vocab)):
        raise refusal(path, problem)
    return checked(path, vocab, list(_pairs(path, model.merges)))


def checked(path: Path, vocab: Mapping[str, int], merges: Sequence[Pair]) -> Read:
    """The tokenizer of a vocabulary without end-of-text, which becomes its last id, and its merges.

    Raises SettingsError for what is no tokenizer of bytes with 16-bit ids.
    """
    for problem in chain(_of_vocabulary(vocab), _of_parts(vocab, merges)):
        raise refusal(path, problem)
    made = from_hugging_face({**vocab, END_OF_TEXT: len(vocab)}, merges)
    return Read(made, next(chain(_of_order(vocab, merges), _of_merging(made)), ""))


def _decoded(path: Path, content: bytes | msgspec.Raw, kind: type[T]) -> T:
    place = "model" if isinstance(content, msgspec.Raw) else ""
    if bytes(content).startswith(codecs.BOM_UTF8):
        raise InputError(path, place, "begins with a byte order mark (BOM); save it without", MEND)
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        raise InputError(path, place, f"not a tokenizer.json: {error}", MEND) from None
    except RecursionError:
        raise InputError(path, place, "is nested too deeply", MEND) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(path, place, f"not valid JSON: {error}", MEND) from None


def refusal(path: Path, problem: str) -> SettingsError:
    """What a tokenizer that cannot be used is refused by."""
    return SettingsError(f"{path}: {problem}; a byte-level BPE in GPT-2's form is needed")


def _pairs(path: Path, merges: Sequence[str | Pair]) -> Iterator[Pair]:
    """The two sides of each merge."""
    for number, merge in enumerate(merges):
        sides = merge.split(" ") if isinstance(merge, str) else merge
        if len(sides) != 2:
            raise InputError(path, f"merge {number}", f"{merge!r} is not of two tokens", MEND)
        yield sides[0], sides[1]


def _of_form(file: _File, model: _Model, end: int, last: int) -> Iterator[str]:
    """What makes other ids of a text than GPT-2's form does; `end` and `last` should be one id."""
    split = {"use_regex": True} | (file.pre_tokenizer or {})
    if {name: split.get(name) for name in GPT2_SPLIT} != GPT2_SPLIT:
        yield f"its pre-tokenizer is {split.get('type')}, or not with GPT-2's options"
    if file.normalizer:
        yield "it normalises texts, so they could not be decoded as they were"
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if value := getattr(model, name):
            yield f"its {name} is {value!r}, and GPT-2's has none"
    added = [(token.content, token.id) for token in file.added_tokens]
    if added != [(END_OF_TEXT, last)] or end != last:
        yield f"its added tokens are not just {END_OF_TEXT} as the last id, {last}"
    elif not file.added_tokens[0].special:
        yield f"its {END_OF_TEXT} is not special: in a text it would be taken for an end"


def _of_vocabulary(vocab: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with tokens and ids, end-of-text left out."""
    if len(vocab) >= IDS_MAX:
        yield f"it has {len(vocab) + 1:,} ids, and shards hold 16-bit ones"
    ids = set(vocab.values())
    if gaps := set(range(len(vocab))) - ids:
        yield f"its ids have gaps: {len(vocab):,} tokens, and none of them has id {min(gaps)}"
    letters = set(LETTER_OF_BYTE.values())
    if missing := letters - vocab.keys():
        yield f"{len(missing)} of the 256 bytes have no token"
    if odd := [token for token in vocab if not letters.issuperset(token)]:
        yield f"{_named(odd[0], vocab)} is not spelt in GPT-2's letters for bytes"


def _of_parts(vocab: Mapping[str, int], merges: Sequence[Pair]) -> Iterator[str]:
    """Merges of what is no token, or to what is none."""
    for number, (left, right) in enumerate(merges):
        if not {left, right, left + right} <= vocab.keys():
            yield f"merge {number}, {left!r} and {right!r}, is not of tokens or makes no token"


def _of_order(vocab: Mapping[str, int], merges: Sequence[Pair]) -> Iterator[str]:
    """Where the merges do not make all tokens of several bytes, each once, by ascending id."""
    before, made = -1, set()
    for number, (left, right) in enumerate(merges):
        made.add(left + right)
        if vocab[left + right] <= before:
            yield (
                f"merge {number} makes {_named(left + right, vocab)}, and the one before made id "
                f"{before}: tiktoken needs merges in the order of their ids"
            )
        before = vocab[left + right]
    if orphans := sorted(vocab.keys() - made - set(LETTER_OF_BYTE.values()), key=vocab.__getitem__):
        yield f"{len(orphans):,} of its tokens are made by no merge: {_named(orphans[0], vocab)}"


def _of_merging(made: Tokenizer) -> Iterator[str]:
    for number, found in never_made(made):
        token = spell(made.tokens[number])
        yield f"token {token!r} (id {number}) is never made: its bytes are merged to {found}"


def never_made(tokenizer: Tokenizer) -> Iterator[tuple[int, list[str]]]:
    """The ids of tokens whose own bytes are merged to others, and to which: no text has them."""
    merge = hugging_face(tokenizer).model.tokenize
    for number, token in enumerate(map(spell, tokenizer.tokens[:-1])):
        found = [one.value for one in merge(token)]
        if found != [token]:
            yield number, found


def _named(token: str, vocab: Mapping[str, int]) -> str:
    return f"token {token!r} (id {vocab[token]})"
