"""Tokens by rank without merges, as tiktoken and llm.c keep them, and the merges they stand for.

Who knows ranks alone joins the two neighbours that make the token of the lowest rank. A token's own
bytes, joined so by the tokens before it, come to two parts: its merge.
"""

import base64
import binascii
import re
import struct
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from pipeline.errors import InputError
from pipeline.tokens.export import LLM_C_MAGIC, LLM_C_VERSION
from pipeline.tokens.tokenizer import END_OF_TEXT, spell
from pipeline.tokens.tokenizer_json import MEND, Read, checked, refusal

_LINE = re.compile(rb"([A-Za-z0-9+/]+={0,2}) (\d{1,9})\r?")
_LLM_C_HEAD = struct.Struct("<256I")
GPT2_SIZE = 50_257  # llm.c's first version holds GPT-2's tokenizer alone


def is_tiktoken(head: bytes) -> bool:
    """Whether a file that begins so has a token in base64 and a rank in its first line."""
    return _LINE.fullmatch(head.partition(b"\n")[0]) is not None


def is_llm_c(head: bytes) -> bool:
    """Whether a file that begins so is llm.c's tokenizer.bin."""
    return head[:4] == LLM_C_MAGIC.to_bytes(4, "little")


def read_tiktoken(path: Path, content: bytes) -> Read:
    """The tokenizer of a tiktoken file; end-of-text, which it does not hold, is added last.

    It does not name its pattern either: GPT-2's is taken. Raises InputError and SettingsError.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), 1):
        place = f"line {number}"
        try:
            found = _LINE.fullmatch(line)
            token = base64.b64decode(found[1], validate=True) if found else b""
        except binascii.Error:
            token = b""
        if not found or not token:
            problem = f"{line[:40]!r} is not a token in base64 and its rank"
            raise InputError(path, place, problem, MEND)
        if token in ranks:
            raise InputError(path, place, f"token {token!r} is there twice", MEND)
        ranks[token] = int(found[2])
    return _of_ranks(path, ranks)


def read_llm_c(path: Path, content: bytes) -> Read:
    """The tokenizer of llm.c's tokenizer.bin. Raises InputError and SettingsError."""
    if len(content) < _LLM_C_HEAD.size:
        raise InputError(path, "", "is cut within its header of 1,024 bytes", MEND)
    _, version, size, end, *_ = _LLM_C_HEAD.unpack_from(content)
    if version == 1 and size == GPT2_SIZE:
        end = GPT2_SIZE - 1
    elif version != LLM_C_VERSION:
        raise InputError(path, "", f"is of version {version}, not {LLM_C_VERSION}", MEND)
    tokens: list[bytes] = []
    at = _LLM_C_HEAD.size
    while len(tokens) < size and at < len(content):
        tokens.append(content[at + 1 : at + 1 + content[at]])
        at += 1 + content[at]
    if len(tokens) < size or at != len(content):
        problem = f"its {size:,} tokens do not end with the file"
        raise InputError(path, f"token {len(tokens)}", problem, MEND)
    if end != size - 1 or tokens[end] != END_OF_TEXT.encode():
        raise refusal(path, f"its {END_OF_TEXT} is not the last id, {size - 1}")
    ranks = {token: i for i, token in enumerate(tokens[:-1])}
    if len(ranks) < len(tokens) - 1 or b"" in ranks:
        raise InputError(path, "", "a token is empty, or there twice", MEND)
    return _of_ranks(path, ranks)


def _of_ranks(path: Path, ranks: Mapping[bytes, int]) -> Read:
    parts = (_parts(token, ranks) for token in sorted(ranks, key=ranks.__getitem__))
    merges = [(spell(pair[0]), spell(pair[1])) for pair in parts if len(pair) == 2]
    return checked(path, {spell(token): rank for token, rank in ranks.items()}, merges)


def _parts(token: bytes, ranks: Mapping[bytes, int]) -> Sequence[bytes]:
    """What the tokens before this one make of its bytes: two parts, where a merge makes it."""
    parts, own = [token[i : i + 1] for i in range(len(token))], ranks[token]
    while len(parts) > 2:
        joined = (ranks.get(left + right, own) for left, right in pairwise(parts))
        rank, at = min((rank, at) for at, rank in enumerate(joined))
        if rank >= own:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts
