"""The lines of a submission dump, whatever it is packed in.

The container is known by its first bytes: zstd (any window up to 2 GiB, as Pushshift's dumps from
2018 on need; several frames), xz, bzip2, gzip, or plain text. A thread decompresses ahead while
the caller parses: all four libraries let go of Python's lock.

A torn or damaged file is an InputError with the byte offset in the file; with `accept_torn` its
lines up to there are given, and `Lines.torn` says where it ended.
"""

import bz2
import io
import lzma
import queue
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import zstandard

from pipeline.errors import InputError

WINDOW_BYTES_MAX = 2**31  # zstd's largest; the dumps were written with --long=31
READ_BYTES = 1 << 17
LINE_BYTES_MAX = 256 << 20  # a longer line is no submission: their text has 40,000 characters
AHEAD_CHUNKS = 8  # decompressed chunks that may wait for the parser; some 3 MB each
CHUNK_BYTES = 1 << 20

_MAGIC = (
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x1f\x8b", "gzip"),
)
_SUFFIXES = {".zst": "zstd", ".xz": "xz", ".bz2": "bzip2", ".gz": "gzip"}
_FAULTS = (zstandard.ZstdError, lzma.LZMAError, OSError, EOFError, zlib.error, ValueError)


class Lines:
    """Iterates over a dump's lines as bytes, newline included. Use as a context manager."""

    def __init__(self, path: Path, *, accept_torn: bool = False) -> None:
        self.path = path
        self.accept_torn = accept_torn
        self.torn = ""  # where and how the file broke, if that was accepted
        self._chunks = _Ahead(_plain_bytes(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._chunks.stop()

    def __iter__(self) -> Iterator[bytes]:
        reader = io.BufferedReader(_Readable(self.path, self._chunks), CHUNK_BYTES)
        yield from reader
        error = self._chunks.error
        if error is None:
            return
        if not self.accept_torn or not isinstance(error, InputError):
            raise error
        self.torn = f"{error.place}: {error.problem}"


def container(path: Path) -> str:
    """zstd, xz, bzip2, gzip or plain, by the first bytes.

    Raises InputError for a missing or empty file, for one that is not what its name says, and for
    `.zst_blocks`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise InputError(path, "", f"cannot be read: {error.strerror}", "Check the path") from None
    if path.suffix == ".zst_blocks" or (head[4:8] == _MAGIC[0][0] and head[:4] != head[4:8]):
        raise InputError(
            path,
            "byte 0",
            "this is a .zst_blocks file, another format (torrents of 2023-04 to 2024-03)",
            "Convert it with its publisher's script, or take the .zst of the same month",
        )
    if not head:
        raise InputError(path, "byte 0", "the file is empty", "Download it again")
    found = next((name for magic, name in _MAGIC if head.startswith(magic)), "plain")
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:  # a skippable frame of zstd's
        found = "zstd"
    named = _SUFFIXES.get(path.suffix, found)
    if named != found:
        what = f"its bytes are {found}" if found != "plain" else f"it starts with {head!r}"
        raise InputError(
            path,
            "byte 0",
            f"named like a {named} file, but {what}",
            "Rename it or download it again",
        )
    return found


def _plain_bytes(path: Path) -> Iterator[bytes]:
    """The decompressed bytes, in chunks of any size."""
    kind = container(path)
    with path.open("rb") as file:
        if kind == "plain":
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
        else:
            yield from _decompressed(path, file, _DECOMPRESSORS[kind])


def _decompressed(path: Path, file: BinaryIO, make: Callable[[], Any]) -> Iterator[bytes]:
    """All frames of a file, one after the other; they all must be whole."""
    frame, begun, offset = make(), False, 0
    while chunk := file.read(READ_BYTES):
        while chunk:
            try:
                plain = frame.decompress(chunk)
            except _FAULTS as error:
                raise InputError(
                    path,
                    f"byte {offset} or in the {len(chunk):,} after it",
                    f"damaged: {error}",
                    "Download it again, or set links.accept_torn to use what comes before",
                ) from None
            begun = True
            if plain:
                yield plain
            if not frame.eof:
                break
            chunk = frame.unused_data.lstrip(b"\0")  # gzip and xz may be padded with zeros
            frame, begun = make(), False
            offset = file.tell() - len(chunk)
        offset = file.tell()
    if begun:
        raise InputError(
            path,
            f"byte {offset}",
            "torn: the file ends within its compressed data",
            "Download it again, or set links.accept_torn to use what is there",
        )


def _zstd() -> Any:
    return zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX).decompressobj()


def _gzip() -> Any:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "zstd": _zstd,
    "xz": lzma.LZMADecompressor,
    "bzip2": bz2.BZ2Decompressor,
    "gzip": _gzip,
}


class _Ahead:
    """Runs an iterator of chunks in a thread, some chunks ahead of who takes them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.error: Exception | None = None
        self._chunks = chunks
        self._waiting: queue.Queue[bytes] = queue.Queue(AHEAD_CHUNKS)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="decompress", daemon=True)
        self._thread.start()

    def take(self) -> bytes:
        """The next chunk; empty at the end, when `error` tells how it ended."""
        return self._waiting.get()

    def stop(self) -> None:
        """End the thread; chunks that wait are thrown away."""
        self._stopping = True
        while self._thread.is_alive():
            try:
                self._waiting.get(timeout=0.05)
            except queue.Empty:
                continue

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if self._stopping:
                    return
                self._waiting.put(chunk)
        except (InputError, OSError, MemoryError) as error:
            self.error = error
        finally:
            self._waiting.put(b"")


class _Readable(io.RawIOBase):
    """The chunks as a raw stream, for BufferedReader, whose lines are the fastest there are."""

    def __init__(self, path: Path, chunks: _Ahead) -> None:
        self._path, self._chunks = path, chunks
        self._rest = memoryview(b"")
        self._line_bytes = 0
        self._ended = False

    def readable(self) -> bool:
        """Always: the one thing it does."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Bytes of the present chunk; 0 at the end."""
        if not self._rest and not self._ended:
            self._rest = memoryview(self._next())
            self._ended = not self._rest
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _next(self) -> bytes:
        chunk = self._chunks.take()
        last = chunk.rfind(b"\n")
        self._line_bytes = self._line_bytes + len(chunk) if last < 0 else len(chunk) - last
        if self._line_bytes > LINE_BYTES_MAX:
            raise InputError(
                self._path,
                "",
                f"no line ends within {LINE_BYTES_MAX >> 20} MiB",
                "Is it a dump, with one JSON object a line?",
            )
        return chunk
