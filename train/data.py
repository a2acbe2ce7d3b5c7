"""Token shards, and the order in which a run sees them.

Sample i of a run is a pure function of (seed, i): a keyed permutation, computed where it is needed,
says which window of T + 1 tokens it is. So the position of a run is its step number, and any number
of ranks or micro-batches sees the same global batches. No table of an epoch's order is ever built.

Three layouts are read, all through pread: the folder that `webtext shards` writes (shards.json; the
format is described there), llm.c's `*train*.bin` / `*val*.bin` with their header, and nanoGPT's
headerless train.bin / val.bin.
"""

import hashlib
import json
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.errors import DataError
from train.permutation import Permutation

MAGIC, VERSION, HEADER_BYTES = 20240520, 1, 1024  # llm.c's .bin: 256 int32, then uint16 tokens
INDEX_MAGIC, INDEX_HEADER_BYTES = b"WTIDX\0\0\1", 64
ALIVE_S = 5.0  # how often a wait for the reading thread looks whether there is one
BLOCK = 4096  # samples whose places are computed at once: one by one numpy costs ten times as much
GPT2_VOCAB, GPT2_EOT = 50_257, 50_256  # of files that do not say

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
    """The token files of a folder and what is known of them. `digest` names their content."""

    folder: Path
    files: tuple[TokenFile, ...]
    vocab_size: int
    eot_id: int | None
    text_bytes: dict[str, int]  # by split; empty where the files do not say
    digest: str

    def split(self, name: str) -> tuple[TokenFile, ...]:
        """The files of one split, in reading order."""
        return tuple(f for f in self.files if f.split == name)

    def tokens(self, name: str) -> int:
        """Tokens of one split, end-of-text tokens included."""
        return sum(f.tokens for f in self.split(name))


def open_shards(folder: Path) -> Shards:
    """The shards of a folder; DataError names the file that is missing, torn or unknown."""
    about_path = folder / "shards.json"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; `webtext shards` writes one")
    if not about_path.exists():
        return _open_plain(folder)
    try:
        about: dict[str, Any] = json.loads(about_path.read_text(encoding="utf-8"))
        listed = [(folder / f["name"], f["split"], f["tokens"]) for f in about["files"]]
        digest = _digest(
            about["vocab_size"], about["eot_id"], [f["xxh3_128"] for f in about["files"]]
        )
        text_bytes = {name: s["text_bytes"] for name, s in about["splits"].items()}
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{about_path}: not a list of shards ({error!r}); write it anew") from None
    files = []
    for path, split, tokens in listed:
        file = _token_file(path, split, about["vocab_size"])
        if file.tokens != tokens:
            raise DataError(
                f"{path}: holds {file.tokens} tokens, shards.json says {tokens}; write it anew"
            )
        files.append(file)
    return Shards(folder, tuple(files), about["vocab_size"], about["eot_id"], text_bytes, digest)


def _open_plain(folder: Path) -> Shards:
    """Files that only have names: llm.c's or nanoGPT's, with GPT-2's vocabulary."""
    files = tuple(
        _token_file(path, split, GPT2_VOCAB)
        for split in ("train", "val")
        for path in sorted(folder.glob(f"*{split}*.bin"))
    )
    if not files:
        raise DataError(
            f"{folder}: neither shards.json nor *train*.bin is there; is it a folder of shards?"
        )
    # Known by sizes and the edges of each file: reading gigabytes would hold up a start.
    edges = [
        hashlib.sha256(f.read(0, 4096).tobytes() + f.read(max(0, f.tokens - 4096), 4096).tobytes())
        for f in files
    ]
    content = [
        f"{f.path.name} {f.tokens} {edge.hexdigest()}" for f, edge in zip(files, edges, strict=True)
    ]
    return Shards(folder, files, GPT2_VOCAB, GPT2_EOT, {}, _digest(GPT2_VOCAB, GPT2_EOT, content))


def _digest(*content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _token_file(path: Path, split: str, vocab_size: int) -> TokenFile:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = np.frombuffer(file.read(HEADER_BYTES).ljust(HEADER_BYTES, b"\0"), "<i4")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; write it anew") from None
    if head[0] != MAGIC:
        return TokenFile(path, split, 0, size // 2, vocab_size)
    if head[1] != VERSION:
        raise DataError(f"{path}: version {head[1]} of the format; version {VERSION} is known")
    if HEADER_BYTES + 2 * int(head[2]) != size:
        held = (size - HEADER_BYTES) // 2
        raise DataError(
            f"{path}: the header promises {head[2]} tokens, the file holds {held}; copy it anew"
        )
    return TokenFile(path, split, HEADER_BYTES, int(head[2]), vocab_size)


def unigram_entropy(shards: Shards, tokens_max: int = 4_000_000) -> float:
    """Entropy in nats of single training tokens: the loss of a model that knows only how often each
    comes. A loss above it after warm-up says that something is wrong. Counts about `tokens_max`.
    """
    files = shards.split("train")
    counts = np.zeros(1 << 16, np.int64)
    for file in files:
        counts += np.bincount(file.read(0, tokens_max // len(files)), minlength=1 << 16)
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
    """The index beside a file; None where there is none."""
    path = file.path.with_suffix(".idx")
    if not path.exists():
        return None
    raw = path.read_bytes()
    if raw[:8] != INDEX_MAGIC:
        return None
    count = int.from_bytes(raw[16:24], "little")
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
    with path.open(encoding="utf-8", newline="\n") as lines:
        return {n: line.removesuffix("\n") for n, line in enumerate(lines) if n in numbers}


class Batches:
    """Global batch `step` is samples step * rows to (step + 1) * rows; a rank takes its slice.

    Each epoch visits `epoch_windows` windows once, in its own order and with all borders moved by
    its own shift, so that no token is always the first of its window.
    """

    def __init__(
        self,
        files: tuple[TokenFile, ...],
        n_ctx: int,
        rows: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if rows % ranks:
            raise ValueError(f"{rows} sequences cannot be shared by {ranks} ranks")
        self.n_ctx, self.rows, self.seed = n_ctx, rows, seed
        self.rank_rows = rows // ranks
        self.first_row = rank * self.rank_rows
        self.files = files
        self.tokens = np.array([f.tokens for f in files], np.int64)
        # Files of a few windows lose too much to a shift: they keep their borders.
        shifted, whole = (int(self._windows(s)[-1]) for s in (n_ctx - 1, 0))
        self.shifts = n_ctx if shifted > 0.9 * whole else 1
        self.epoch_windows = int(self._windows(self.shifts - 1)[-1])
        if self.epoch_windows < 1:
            raise DataError(
                f"{sum(self.tokens)} training tokens in {len(files)} files hold no window of "
                f"{n_ctx + 1}; take a smaller --n-ctx or more data"
            )
        self._handles = [os.open(f.path, os.O_RDONLY) for f in files]
        self._epochs: dict[int, tuple[Permutation, int, Ints]] = {}
        self._blocks: dict[int, list[tuple[int, int]]] = {}
        self._vocab_size = min(f.vocab_size for f in files)

    def close(self) -> None:
        """Close the files."""
        while self._handles:
            os.close(self._handles.pop())

    def windows(self, step: int) -> list[Window]:
        """The windows of a step's global batch, in order."""
        places = self._places(step * self.rows, self.rows)
        return [Window(self.files[file], start) for file, start in places]

    def batch(self, step: int) -> Tokens:
        """This rank's (rows, n_ctx + 1) tokens of a step."""
        row_bytes = 2 * (self.n_ctx + 1)
        raw = np.empty(self.rank_rows * row_bytes, np.uint8)
        room, at = raw.data, 0
        places = self._places(step * self.rows + self.first_row, self.rank_rows)
        for number, start in places:
            file = self.files[number]
            wanted = file.offset + 2 * start
            if os.preadv(self._handles[number], [room[at : at + row_bytes]], wanted) != row_bytes:
                raise DataError(f"{file.path}: ended before byte {wanted + row_bytes}; was it cut?")
            at += row_bytes
        batch: Tokens = raw.view("<u2").reshape(self.rank_rows, self.n_ctx + 1)
        if batch.max() >= self._vocab_size:  # tell which file it is
            for row, (number, start) in zip(batch, places, strict=True):
                self.files[number].checked(row, start)
        return batch

    def _windows(self, shift: int) -> Ints:
        """Running number of windows before each file, and the total, if all start `shift` in."""
        return np.concatenate(
            ([0], np.cumsum(np.maximum(0, (self.tokens - 1 - shift) // self.n_ctx)))
        )

    def _epoch(self, epoch: int) -> tuple[Permutation, int, Ints]:
        found = self._epochs.get(epoch)
        if found is None:
            digest = hashlib.blake2b(repr((self.seed, epoch)).encode(), digest_size=8).digest()
            shift = int.from_bytes(digest, "little") % self.shifts
            order = Permutation(self.epoch_windows, self.seed, epoch)
            found = order, shift, self._windows(shift)
            before = {e: v for e, v in self._epochs.items() if e == epoch - 1}
            self._epochs = {**before, epoch: found}
        return found

    def _places(self, first: int, count: int) -> list[tuple[int, int]]:
        """File and first token of samples first to first + count."""
        places: list[tuple[int, int]] = []
        while len(places) < count:
            block, at = divmod(first + len(places), BLOCK)
            places += self._block(block)[at : at + count - len(places)]
        return places

    def _block(self, number: int) -> list[tuple[int, int]]:
        """File and first token of BLOCK samples; those of the block before are kept as well."""
        found = self._blocks.get(number)  # the loop and the reading thread both ask
        if found is None:
            found = self._computed(number * BLOCK)
            before = {n: v for n, v in self._blocks.items() if n == number - 1}
            self._blocks = {**before, number: found}
        return found

    def _computed(self, first: int) -> list[tuple[int, int]]:
        epochs, index = np.divmod(np.arange(first, first + BLOCK), self.epoch_windows)
        places: list[tuple[int, int]] = []
        for epoch in np.unique(epochs).tolist():  # ascending, as the samples are
            order, shift, before = self._epoch(epoch)
            window = order(index[epochs == epoch])
            file = np.searchsorted(before, window, "right") - 1
            start = (window - before[file]) * self.n_ctx + shift
            places += zip(file.tolist(), start.tolist(), strict=True)
        return places


def prefetched(batches: Batches, start: int, depth: int = 2) -> Iterator[Tokens]:
    """Batches from step `start` on, read ahead in a thread; its errors are raised here."""
    ready: queue.Queue[Tokens | BaseException] = queue.Queue(depth)
    closed = threading.Event()

    def put(item: Tokens | BaseException) -> None:
        while not closed.is_set():
            try:
                return ready.put(item, timeout=0.2)
            except queue.Full:
                pass

    def read() -> None:
        step = start
        try:
            while not closed.is_set():
                put(batches.batch(step))
                step += 1
        except (DataError, OSError) as error:
            put(error)

    reader = threading.Thread(target=read, name="batches", daemon=True)
    reader.start()
    try:
        while True:
            try:
                item = ready.get(timeout=ALIVE_S)
            except queue.Empty:
                if reader.is_alive():
                    continue
                raise RuntimeError(
                    "the thread that reads batches died of the error above"
                ) from None
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()
        reader.join()


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
