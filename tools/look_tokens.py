"""Token files for `webtext look`: documents with their texts, where a tokenizer lies near."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError, WebtextError
from pipeline.tokens.shards import BIN_MAGIC, TOKEN, read_index, read_tokens
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer
from pipeline.tokens.tokenizer_files import load

# Where a tokenizer may lie, from the folder of a token file: in a build and in a command's --out it
# is a neighbour of the shards.
PLACES = ("tokenizer.json", "../tokenizer/tokenizer.json", "../tokenizer.json")
# Of a file without documents, or without a tokenizer that says where they begin.
PIECE_TOKENS = 256
Row = dict[str, Any]


def is_tokens(path: Path, head: bytes) -> bool:
    """Whether a file holds tokens: llm.c's, or a .bin without a header, as nanoGPT reads it."""
    return _has_header(head) or (path.suffix == ".bin" and path.name != "tokenizer.bin")


def documents_of(path: Path) -> Iterator[Row]:
    """The documents of a token file: id and URL by the files beside it, text by a tokenizer."""
    with path.open("rb") as file:
        has_header = _has_header(file.read(8))
    if not has_header and path.stat().st_size % TOKEN.itemsize:
        raise InputError(path, "", "its size is odd, and tokens have 2 bytes", "Write it again.")
    tokens = read_tokens(path) if has_header else np.memmap(path, TOKEN, "r")
    tokenizer = _tokenizer_near(path)
    index = path.with_suffix(".idx")
    known = read_index(index) if index.exists() else None
    starts = known.starts.tolist() if known else None
    urls = _lines_of(path.with_suffix(".urls.txt"))
    for number, (start, end) in enumerate(_borders(tokens, starts, tokenizer)):
        row: Row = {"shard": path.stem, "row": number, "start": start, "tokens": end - start}
        if known:
            row["id"] = known.ids[number]
        if url := next(urls, None):
            row["url"] = url
        ids = tokens[start:end]
        yield row | ({"text": _text(tokenizer, ids)} if tokenizer else {"ids": ids.tolist()})


def index_rows(path: Path) -> Iterator[Row]:
    """The documents of a .idx file."""
    index = read_index(path)
    for number, id in enumerate(index.ids):
        start, end = (int(index.starts[at]) for at in (number, number + 1))
        size = int(index.text_bytes[number])
        yield {"row": number, "id": id, "start": start, "tokens": end - start, "text_bytes": size}


def tokenizer_rows(path: Path) -> Iterator[Row]:
    """The tokens of a tokenizer.json that were learnt: the first are the commonest.

    The first row tells of the whole.
    """
    tokenizer = load(path)
    learnt = len(tokenizer.tokens) - len(tokenizer.merges) - 1
    yield {
        "id": None,
        "token": f"{tokenizer.vocab_size:,} tokens, {len(tokenizer.merges):,} merges; "
        f"{END_OF_TEXT} is {tokenizer.eot_id}",
    }
    for number, token in enumerate(tokenizer.tokens[learnt:], learnt):
        yield {"id": number, "token": token.decode("utf-8", "backslashreplace")}


def _has_header(head: bytes) -> bool:
    return int.from_bytes(head[:4], "little") == BIN_MAGIC


def _borders(
    tokens: npt.NDArray[np.uint16], starts: list[int] | None, tokenizer: Tokenizer | None
) -> Iterator[tuple[int, int]]:
    """Where documents begin and end: by the index, else by end-of-text, else every so often."""
    if starts is not None:
        yield from pairwise(starts)
        return
    begin = 0
    eot = tokenizer.eot_id if tokenizer else -1
    while begin < len(tokens):
        found = _next_eot(tokens, begin + 1, eot) if tokenizer else begin + PIECE_TOKENS
        end = min(found, len(tokens))
        yield begin, end
        begin = end


def _next_eot(tokens: npt.NDArray[np.uint16], begin: int, eot: int) -> int:
    step = 1 << 16
    for at in range(begin, len(tokens), step):
        hits = np.flatnonzero(tokens[at : at + step] == eot)
        if len(hits):
            return at + int(hits[0])
    return len(tokens)


def _text(tokenizer: Tokenizer, ids: npt.NDArray[np.uint16]) -> str:
    """The text of a document; an id that the tokenizer lacks is shown as <ID>."""
    size, eot = tokenizer.vocab_size, tokenizer.eot_id
    parts = (
        tokenizer.tokens[i] if i < size else f"<{i}>".encode() for i in ids.tolist() if i != eot
    )
    return b"".join(parts).decode("utf-8", "backslashreplace")


def _tokenizer_near(path: Path) -> Tokenizer | None:
    """The tokenizer of a token file: the nearest, if the shards do not say that it is another."""
    folder = path.absolute().parent
    return next((found for place in PLACES if (found := _of_shards(folder, place))), None)


@cache
def _of_shards(folder: Path, place: str) -> Tokenizer | None:
    try:
        tokenizer = load(folder / place)
        about = json.loads((folder / "shards.json").read_text(encoding="utf-8"))
    except FileNotFoundError:  # tokens of another trainer's
        return tokenizer
    except (WebtextError, ValueError):
        return None
    return tokenizer if about.get("tokenizer") == tokenizer.digest else None


def _lines_of(path: Path) -> Iterator[str]:
    if path.exists():
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            yield from (line.rstrip("\n") for line in lines)
