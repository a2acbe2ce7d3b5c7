"""Reads a tokenizer.json: its tokens without a library, and text to ids and back with one."""

import codecs
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from train.errors import SettingsError
from train.runs import TOKENIZER, TokenizerFile

MEND = "copy it anew, or give another: --tokenizer PATH"
VOCABULARY, MERGES, END = "vocab.json", "merges.txt", "<|endoftext|>"  # of GPT-2's folders


def tokenizer_at(place: Path) -> TokenizerFile | None:
    """A tokenizer.json, or that of a folder; where it has none, of its vocab.json and merges.txt.

    None where nothing of this is. Raises SettingsError for a pair that is none.
    """
    path = place / TOKENIZER if place.is_dir() else place
    if path.is_file():
        return TokenizerFile(path, path.read_bytes())
    vocab, merges = path.with_name(VOCABULARY), path.with_name(MERGES)
    return _of_pair(vocab, merges) if vocab.is_file() and merges.is_file() else None


def _of_pair(vocab: Path, merges: Path) -> TokenizerFile:
    """GPT-2's byte-level BPE as a tokenizer.json; its one special token is the end of text."""
    try:
        ids = json.loads(vocab.read_text(encoding="utf-8"))
        lines = merges.read_text(encoding="utf-8").splitlines()
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{vocab}, {merges.name}: cannot be read ({error}); {MEND}") from None
    if not isinstance(ids, dict) or not all(type(one) is int for one in ids.values()):
        raise SettingsError(f"{vocab}: no object of tokens with their ids; {MEND}")
    end = {"id": ids.get(END), "content": END, "special": True, "normalized": False}
    end |= dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
    bytewise = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    pairs = [line for line in lines if line and not line.startswith("#version")]
    about = {
        "version": "1.0", "added_tokens": [end] if END in ids else [], "pre_tokenizer": bytewise,
        "decoder": bytewise, "model": {"type": "BPE", "vocab": ids, "merges": pairs},
    }  # fmt: skip
    return TokenizerFile(vocab, json.dumps(about).encode())


def tokens_of(tokenizer: TokenizerFile) -> dict[str, int]:
    """Every token of a tokenizer.json and its id, added ones too; SettingsError if it is none."""
    about = _read(tokenizer)
    try:
        vocab = about["model"]["vocab"]
        if isinstance(vocab, list):  # Unigram's: pieces with their scores, in the order of ids
            vocab = {piece: at for at, (piece, _) in enumerate(vocab)}
        added = {str(one["content"]): int(one["id"]) for one in about.get("added_tokens") or []}
        return {str(token): int(at) for token, at in vocab.items()} | added
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _refusal(tokenizer.path, _told_model(about, error)) from None


def check_size(tokenizer: TokenizerFile, vocab_size: int) -> dict[str, int]:
    """Its tokens and their ids; SettingsError if they reach further than a model's, or less far."""
    held = tokens_of(tokenizer)
    if (found := 1 + max(held.values(), default=-1)) != vocab_size:
        raise SettingsError(
            f"{tokenizer.path} has {found:,} ids, the model {vocab_size:,}: it belongs to another; "
            "give the tokenizer.json that its shards were written with: --tokenizer PATH"
        )
    return held


def check_tokenizer(tokenizer: TokenizerFile, vocab_size: int) -> None:
    """SettingsError unless its size fits, and its form too where the library is there."""
    check_size(tokenizer, vocab_size)
    if find_spec("tokenizers"):
        Text(tokenizer.path, tokenizer.content)


def for_text(tokenizer: TokenizerFile) -> bytes:
    """What it holds without what is for batches and for training: that cuts, fills up and garbles.

    As it is, where there is nothing of the kind.
    """
    about = _read(tokenizer)
    model = about.get("model") or {}
    if not (about.get("truncation") or about.get("padding") or model.get("dropout")):
        return tokenizer.content
    about |= {"truncation": None, "padding": None}
    about["model"] = model | {"dropout": None} if "dropout" in model else model
    return json.dumps(about).encode()


def _read(tokenizer: TokenizerFile) -> dict[str, Any]:
    if tokenizer.content.startswith(codecs.BOM_UTF8):
        raise _refusal(tokenizer.path, "it begins with a byte order mark (BOM); save it without")
    try:
        about = json.loads(tokenizer.content.decode())
    except RecursionError:
        raise _refusal(tokenizer.path, "it is nested too deeply") from None
    except ValueError as error:
        raise _refusal(tokenizer.path, str(error)) from None
    if not isinstance(about, dict) or not isinstance(about.get("model"), dict):
        raise _refusal(tokenizer.path, "it holds no object with a model")
    return about


def _told_model(about: dict[str, Any], error: Exception) -> str:
    kind = about["model"].get("type")
    return f"of its model, {kind or 'without a type'}, no list of tokens can be read: {error!r}"


def _refusal(path: Path, why: str) -> SettingsError:
    return SettingsError(f"{path}: not a tokenizer.json of the tokenizers library ({why}); {MEND}")


class Text:
    """Text to ids and back by a tokenizer.json (the `tokenizers` library, needed for text only)."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """`content` is what `path` holds, or would hold; None reads it."""
        try:
            from tokenizers import Tokenizer
        except ImportError:
            raise SettingsError(
                "text needs the tokenizers library: pip install tokenizers"
            ) from None
        self._path = path
        held = for_text(TokenizerFile(path, path.read_bytes() if content is None else content))
        try:
            self._tokenizer: Any = Tokenizer.from_str(held.decode())
        # The library knows no other exception of its own than Exception.
        except Exception as error:  # noqa: BLE001
            raise _refusal(path, str(error)) from None

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included."""
        size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        return size

    def encode(self, text: str) -> list[int]:
        """Token ids; a literal end-of-text mark in the text is ordinary text.

        Raises SettingsError for text that the tokenizer has no tokens for.
        """
        self._tokenizer.encode_special_tokens = True
        try:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        except Exception as error:  # noqa: BLE001 (as above)
            raise SettingsError(
                f"{self._path}: has no tokens for the text {text[:40]!r} ({error}); give text that "
                "it knows"
            ) from None
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids; an unfinished UTF-8 sequence reads as U+FFFD."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def token(self, token_id: int) -> str:
        """A token as the tokenizer spells it, such as Ġthe for " the"; "" for an id without one."""
        return str(self._tokenizer.id_to_token(token_id) or "")


def text_for(tokenizer: TokenizerFile, vocab_size: int) -> Text:
    """The tokenizer of a model of so many ids; SettingsError if it has another number of them."""
    check_size(tokenizer, vocab_size)
    return Text(tokenizer.path, tokenizer.content)
