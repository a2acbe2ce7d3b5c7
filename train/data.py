"""Token shards: their files, what is known of their documents, and the held-out windows.

Three layouts are read: the folder that `webtext shards` writes (`pipeline/tokens/shards.py`
describes it), llm.c's `NAME_train_000000.bin` with their header, and nanoGPT's headerless train.bin
and val.bin, with the meta.pkl of characters. Of the last two the name says the split (plain.py).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from train.errors import DataError
from train.plain import (
    HEADER_BYTES,
    LOOKED_AT_BYTES,
    characters,
    not_16_bit,
    split_of,
    told,
    width_of,
)

MAGIC, VERSION = 20240520, 1  # llm.c's .bin: 256 int32, then uint16 tokens
INDEX_MAGIC, INDEX_HEADER_BYTES = b"WTIDX\0\0\1", 64
GPT2_VOCAB, GPT2_EOT = 50_257, 50_256  # of files that do not say
UNIGRAM_TOKENS = 4_000_000  # are enough to know how often each comes

Ints = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class TokenFile:
    """One file of tokens; `offset` is where they start, in bytes."""

    path: Path
    split: str
    offset: int
    tokens: int
    vocab_size: int

    def read(self, start: int, count: int) -> Tokens:
        """Tokens start to start + count."""
        with self.path.open("rb") as file:
            file.seek(self.offset + 2 * start)
            return self.checked(np.frombuffer(file.read(2 * count), "<u2"), start)

    def checked(self, tokens: Tokens, start: int) -> Tokens:
        """The tokens that were read from `start` on; DataError if one is not in the vocabulary."""
        if tokens.size and tokens.max() >= self.vocab_size:
            at = start + int(np.argmax(tokens >= self.vocab_size))
            raise DataError(
                f"{self.path}: token {at} is {tokens[at - start]}, the vocabulary has "
                f"{self.vocab_size}; the file is damaged, or of another tokenizer"
            )
        return tokens


@dataclass(frozen=True)
class Shards:
    """The token files of a folder and what is known of them. `digest` names their content.

    `eot_id` is None where tokens are characters; `notes` are sentences for people.
    """

    folder: Path
    files: tuple[TokenFile, ...]
    vocab_size: int
    eot_id: int | None
    text_bytes: dict[str, int]  # by split; empty where the files do not say
    digest: str
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[TokenFile, ...]:
        """The files of one split, in reading order."""
        return tuple(f for f in self.files if f.split == name)

    def tokens(self, name: str) -> int:
        """Tokens of one split, end-of-text tokens included."""
        return sum(f.tokens for f in self.split(name))


def open_shards(folder: Path) -> Shards:
    """The shards of a folder, or of shards/ in it; DataError names what is missing or broken."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `webtext shards` writes one")
    folder = _holder(folder)
    about_path = folder / "shards.json"
    if not about_path.exists():
        return _open_plain(folder)
    try:
        about: dict[str, Any] = json.loads(about_path.read_text(encoding="utf-8"))
        _check_types(about)
        listed = [(folder / f["name"], f["split"], f["tokens"]) for f in about["files"]]
        digest = _digest(
            about["vocab_size"], about["eot_id"], [f["xxh3_128"] for f in about["files"]]
        )
        eot_id = about["eot_id"]
        text_bytes = {name: s["text_bytes"] for name, s in about["splits"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{about_path}: not a list of shards ({error!r}); write it anew") from None
    files = []
    for path, split, tokens in listed:
        file = _token_file(path, split, about["vocab_size"])
        if file.tokens != tokens:
            raise DataError(
                f"{path}: holds {file.tokens} tokens, shards.json says {tokens}; write it anew"
            )
        files.append(file)
    return Shards(folder, tuple(files), about["vocab_size"], eot_id, text_bytes, digest)


def _holder(folder: Path) -> Path:
    """The folder of the shards: this one, or shards/ in that of `webtext shards` or a build."""
    within = folder / "shards"
    is_within = not (folder / "shards.json").exists() and (within / "shards.json").exists()
    return within if is_within else folder


def _check_types(about: dict[str, Any]) -> None:
    """ValueError by the first value of shards.json that is not of its type or range."""
    size = about["vocab_size"]
    rules = [
        ("vocab_size", size, type(size) is int and 0 < size <= 1 << 16),
        ("eot_id", end := about["eot_id"], type(end) is type(size) is int and 0 <= end < size),
    ]
    for f in about["files"]:
        rules.append(("name", f["name"], type(f["name"]) is str))
        rules.append(("split", f["split"], f["split"] in ("train", "val")))
        rules.append(("tokens", f["tokens"], type(f["tokens"]) is int))
    for name, split in about["splits"].items():
        held = split["text_bytes"]
        rules.append((f"text_bytes of {name}", held, type(held) is int and held >= 0))
    for name, value, holds in rules:
        if not holds:
            raise ValueError(f"{name} is {value!r}")


def _open_plain(folder: Path) -> Shards:
    """Files that only have names: llm.c's or nanoGPT's, of GPT-2's vocabulary or of characters."""
    meta = characters(folder)
    vocab_size, eot_id = (meta.vocab_size, None) if meta else (GPT2_VOCAB, GPT2_EOT)
    split_by_path = {path: split_of(path) for path in sorted(folder.glob("*.bin"))}
    files = tuple(
        _token_file(path, split, vocab_size)
        for split in ("train", "val")
        for path, its_split in split_by_path.items()
        if its_split == split
    )
    unread = [path for path, split in split_by_path.items() if split not in ("train", "val")]
    unread += sorted(
        path
        for path in folder.iterdir()
        if path.suffix != ".bin"
        and path.suffix.lower() in (".bin", ".npy")  # of nanoGPT's lectures
    )
    notes = [*told(unread), *(note for file in files for note in _doubts(file))]
    if not files:
        told_of = f" ({'; '.join(notes)})" if notes else ""
        raise DataError(
            f"{folder}: neither shards.json nor a .bin file with train in its name is there; is it "
            f"a folder of shards?{told_of}"
        )
    # Known by sizes and the edges of each file: reading gigabytes would hold up a start.
    edges = [
        hashlib.sha256(f.read(0, 4096).tobytes() + f.read(max(0, f.tokens - 4096), 4096).tobytes())
        for f in files
    ]
    content = [
        f"{f.path.name} {f.tokens} {edge.hexdigest()}" for f, edge in zip(files, edges, strict=True)
    ]
    digest = _digest(vocab_size, eot_id, content)
    return Shards(folder, files, vocab_size, eot_id, {}, digest, tuple(notes))


def _digest(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _doubts(file: TokenFile) -> Iterator[str]:
    """What of a file that is read looks wrong, but may be so."""
    if not file.tokens:
        yield f"{file.path.name} holds no token"
    with file.path.open("rb") as opened:
        if width := width_of(_places(opened, file.offset)):
            yield (
                f"{file.path.name} has a header of 16-bit tokens, but looks as if it held "
                f"{width}-bit ones: every second is next to nothing"
            )


def _places(file: BinaryIO, offset: int) -> list[bytes]:
    """Bytes of the beginning, the middle and the end, each from a multiple of 8 after offset."""
    whole = file.seek(0, os.SEEK_END) - offset
    starts = sorted({share * max(0, whole - LOOKED_AT_BYTES) // 16 * 8 for share in (0, 1, 2)})
    places = []
    for start in starts:
        file.seek(offset + start)
        places.append(file.read(LOOKED_AT_BYTES))
    return places


def _token_file(path: Path, split: str, vocab_size: int) -> TokenFile:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            raw, *later = _places(file, 0)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; write it anew") from None
    head = np.frombuffer(raw[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0"), "<i4")
    if head[0] != MAGIC:
        if problem := not_16_bit(raw, size, later):
            raise DataError(f"{path}: holds {problem}")
        return TokenFile(path, split, 0, size // 2, vocab_size)
    if head[1] != VERSION:
        raise DataError(f"{path}: version {head[1]} of the format; version {VERSION} is known")
    if HEADER_BYTES + 2 * int(head[2]) != size:
        held = (size - HEADER_BYTES) // 2
        raise DataError(
            f"{path}: the header promises {head[2]} tokens, the file holds {held}; copy it anew"
        )
    return TokenFile(path, split, HEADER_BYTES, int(head[2]), vocab_size)


def unigram_entropy(shards: Shards) -> float:
    """Entropy in nats of single training tokens: the loss of a model that knows only how often each
    comes. A loss above it after warm-up says that something is wrong. Counts about UNIGRAM_TOKENS.
    """
    files = shards.split("train")
    counts = np.zeros(1 << 16, np.int64)
    for file in files:
        counts += np.bincount(file.read(0, UNIGRAM_TOKENS // len(files)), minlength=1 << 16)
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


@dataclass(frozen=True)
class Documents:
    """What a file's index says: the first token of each document, then the file's end; ids."""

    starts: npt.NDArray[np.uint64]
    ids: bytes  # 16 a document

    def at(self, token: npt.ArrayLike) -> Ints:
        """The number of the document that holds each of the tokens, from 0."""
        wanted = np.asarray(token, np.uint64)
        return np.maximum(0, np.searchsorted(self.starts, wanted, "right") - 1)


def documents_of(file: TokenFile) -> Documents | None:
    """The index beside a file; None where there is none, DataError where it is cut."""
    path = file.path.with_suffix(".idx")
    if not path.exists():
        return None
    raw = path.read_bytes()
    if raw[:8] != INDEX_MAGIC:
        return None
    count = int.from_bytes(raw[16:24], "little")
    if len(raw) != (size := INDEX_HEADER_BYTES + 8 * (2 * count + 1) + 16 * count):
        raise DataError(
            f"{path}: {len(raw):,} bytes, and its {count:,} documents need {size:,}; copy it anew"
        )
    starts = np.frombuffer(raw, "<u8", count + 1, INDEX_HEADER_BYTES)
    ids_at = INDEX_HEADER_BYTES + 8 * (2 * count + 1)
    return Documents(starts, raw[ids_at : ids_at + 16 * count])


@dataclass(frozen=True)
class Window:
    """n_ctx + 1 tokens of a file, from token `start`."""

    file: TokenFile
    start: int


def documents_in(windows: Sequence[Window], tokens: int) -> list[tuple[str, str]]:
    """Id and URL of each document that windows of so many tokens have a part of, file by file.

    None of a file without an index; "" for the URL where no list of them is beside the file.
    """
    found: list[tuple[str, str]] = []
    for file in dict.fromkeys(window.file for window in windows):
        index = documents_of(file)
        if index is None:
            continue
        edges = [index.at([w.start, w.start + tokens - 1]) for w in windows if w.file == file]
        numbers = sorted({n for first, last in edges for n in range(first, last + 1)})
        numbers = [n for n in numbers if n < len(index.ids) // 16]
        urls = _lines(file.path.with_suffix(".urls.txt"), set(numbers))
        found += [(index.ids[16 * n : 16 * n + 16].hex(), urls.get(n, "")) for n in numbers]
    return found


def _lines(path: Path, numbers: set[int]) -> dict[int, str]:
    """Lines of a text file by their number (a line ends at "\\n" alone); none without it."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
        return {n: line.removesuffix("\n") for n, line in enumerate(lines) if n in numbers}


def held_out_places(
    files: tuple[TokenFile, ...], n_ctx: int, tokens: int = 0
) -> Iterator[tuple[TokenFile, int]]:
    """File and first token of each window of `held_out`."""
    windows = [len(range(0, f.tokens - 1, n_ctx)) for f in files]
    whole = sum(windows)
    count = min(whole, max(1, tokens // n_ctx)) if tokens else whole
    file = before = 0
    for i in range(count):
        window = i * whole // count
        while window - before >= windows[file]:
            before += windows[file]
            file += 1
        yield files[file], (window - before) * n_ctx


def held_out(files: tuple[TokenFile, ...], n_ctx: int, tokens: int = 0) -> Iterator[Tokens]:
    """Windows of up to n_ctx + 1 tokens in file order, in which each token but the first of a file
    is a target exactly once. With `tokens`, only windows evenly spread until about so many targets.
    """
    for file, start in held_out_places(files, n_ctx, tokens):
        yield file.read(start, min(n_ctx + 1, file.tokens - start))
