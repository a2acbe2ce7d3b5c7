"""The order in which a run sees its tokens.

Sample i of a run is a pure function of (seed, i): a keyed permutation, computed where it is needed,
says which window of T + 1 tokens it is. So the position of a run is its step number, and any number
of ranks or micro-batches sees the same global batches. No table of an epoch's order is ever built.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Generator

import numpy as np

from train.data import Ints, TokenFile, Tokens, Window
from train.errors import DataError
from train.permutation import Permutation

BLOCK = 4096  # samples whose places are computed at once: one by one numpy costs ten times as much
AHEAD = 2  # batches that are read before they are wanted
ALIVE_S = 5.0  # how often a wait for the reading thread looks whether there is one


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
        self.shifts = _shifts(self.tokens, n_ctx)
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
        return np.concatenate(([0], np.cumsum(_windows(self.tokens, self.n_ctx, shift))))

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


def unseen(files: tuple[TokenFile, ...], n_ctx: int) -> tuple[int, int]:
    """Training tokens that no epoch shows, and how many files are not shown at all.

    Windows lie in one file each, so files shorter than one are lost, and the ends of files where
    borders stay. Where they move, some of the last windows are lost in every epoch that has more.
    """
    tokens = np.array([f.tokens for f in files], np.int64)
    shifts = _shifts(tokens, n_ctx)
    epoch_windows = int(_windows(tokens, n_ctx, shifts - 1).sum())
    first, end = np.full(len(files), n_ctx), np.zeros(len(files), np.int64)
    for shift in range(shifts):
        windows = _windows(tokens, n_ctx, shift)
        shown = np.clip(epoch_windows - (np.cumsum(windows) - windows), 0, windows)
        # Windows of two shifts overlap, for none is shorter than a shift: their union is one piece.
        first = np.where(shown > 0, np.minimum(first, shift), first)
        end = np.where(shown > 0, np.maximum(end, shift + n_ctx * shown + 1), end)
    seen = np.maximum(0, end - first)
    return int((tokens - seen).sum()), int((seen == 0).sum())


def _windows(tokens: Ints, n_ctx: int, shift: int) -> Ints:
    """How many windows each file has, if they start `shift` in."""
    return np.maximum(0, (tokens - 1 - shift) // n_ctx)


def _shifts(tokens: Ints, n_ctx: int) -> int:
    """By how many places borders may move: files of a few windows lose too much, and keep them."""
    shifted, whole = (int(_windows(tokens, n_ctx, s).sum()) for s in (n_ctx - 1, 0))
    return n_ctx if shifted > 0.9 * whole else 1


def prefetched(batches: Batches, start: int) -> Generator[Tokens, None, None]:
    """Batches from step `start` on, read ahead in a thread; its errors are raised here."""
    ready: queue.Queue[Tokens | BaseException] = queue.Queue(AHEAD)
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
        except (DataError, OSError, MemoryError) as error:
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
