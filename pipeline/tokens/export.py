"""A tokenizer as the files of others: Hugging Face's, OpenAI's, tiktoken's and llm.c's."""

import base64
import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pipeline.errors import SettingsError
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer, hugging_face, spelt

N_CTX = 1024  # GPT-2's context, what `tokenizer_config.json` states as the model's
LLM_C_MAGIC, LLM_C_VERSION = 20240328, 2  # llm.c's llmc/tokenizer.h
LLM_C_TOKEN_BYTES_MAX = 255  # it keeps the length in one byte


def files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """Each file's name and content, but OpenAI's, who names the same content in another way.

    llm.c's is left out where a token is too long for it.
    """
    forms = ["hugging-face", "tiktoken"]
    if too_long_for_llm_c(tokenizer) is None:
        forms.append("llm.c")
    return _files(tokenizer, forms)


def export(tokenizer: Tokenizer, folder: Path, forms: Iterable[str] = ()) -> list[str]:
    """Write the files of these FORMS (if none is named, `files`) into `folder`; their names.

    Raises SettingsError, before it writes anything, for a token that llm.c cannot hold.
    """
    made = _files(tokenizer, forms) or files(tokenizer)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return list(made)


def _files(tokenizer: Tokenizer, forms: Iterable[str]) -> dict[str, bytes]:
    return {name: content for form in forms for name, content in FORMS[form](tokenizer).items()}


def too_long_for_llm_c(tokenizer: Tokenizer) -> int | None:
    """The id of the first token of more than 255 bytes."""
    sizes = enumerate(map(len, tokenizer.tokens))
    return next((i for i, size in sizes if size > LLM_C_TOKEN_BYTES_MAX), None)


def _hugging_face(tokenizer: Tokenizer) -> dict[str, bytes]:
    """For tokenizers, and with the configuration for transformers; the pair for older readers."""
    vocab, merges = spelt(tokenizer)
    return {
        "tokenizer.json": hugging_face(tokenizer).to_str(pretty=True).encode(),
        "tokenizer_config.json": (json.dumps(_config(tokenizer), indent=2) + "\n").encode(),
        "vocab.json": json.dumps(vocab, ensure_ascii=False).encode(),
        "merges.txt": _merges(merges),
    }


def _openai(tokenizer: Tokenizer) -> dict[str, bytes]:
    """As OpenAI wrote them: of GPT-2's tokenizer they are its own two files to the byte."""
    vocab, merges = spelt(tokenizer)
    return {"encoder.json": json.dumps(vocab).encode(), "vocab.bpe": _merges(merges)}


def _merges(merges: Sequence[tuple[str, str]]) -> bytes:
    # The first line is what readers expect; there are real merges that start with "#" too.
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    return ("\n".join(lines) + "\n").encode()


def _tiktoken(tokenizer: Tokenizer) -> dict[str, bytes]:
    """Tokens in base64, each with its rank; its reader adds end-of-text as the last id."""
    lines = (b"%s %d\n" % (base64.b64encode(t), i) for i, t in enumerate(tokenizer.tokens[:-1]))
    return {"webtext.tiktoken": b"".join(lines)}


def _llm_c(tokenizer: Tokenizer) -> dict[str, bytes]:
    """llm.c's: 256 uint32, then for each id one byte of length and the token's bytes."""
    if (long := too_long_for_llm_c(tokenizer)) is not None:
        token = tokenizer.tokens[long]
        raise SettingsError(
            f"tokenizer.bin: token {token[:20]!r}… (id {long}) has {len(token)} bytes, and llm.c "
            f"holds {LLM_C_TOKEN_BYTES_MAX}; leave llm.c out, or train with shorter tokens"
        )
    head = (LLM_C_MAGIC, LLM_C_VERSION, tokenizer.vocab_size, tokenizer.eot_id)
    tokens = b"".join(bytes([len(token)]) + token for token in tokenizer.tokens)
    return {"tokenizer.bin": struct.pack("<256I", *head, *[0] * (256 - len(head))) + tokens}


def _config(tokenizer: Tokenizer) -> dict[str, Any]:
    """What transformers' AutoTokenizer reads beside `tokenizer.json`."""
    token = {"content": END_OF_TEXT, "lstrip": False, "normalized": False, "rstrip": False}
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(tokenizer.eot_id): token | {"single_word": False, "special": True}
        },
        "bos_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
        "eos_token": END_OF_TEXT,
        "model_max_length": N_CTX,
        "tokenizer_class": "GPT2TokenizerFast",
        "unk_token": END_OF_TEXT,
    }


# What each form is called, and the files that it has.
FORMS: Mapping[str, Callable[[Tokenizer], dict[str, bytes]]] = MappingProxyType(
    {
        "hugging-face": _hugging_face,
        "openai": _openai,
        "tiktoken": _tiktoken,
        "llm.c": _llm_c,
    }
)
