"""The lines of a file, whatever it is packed in: submission dumps, and anyone's texts.

The container is known by its first bytes: zstd (any window up to 2 GiB, as Pushshift's dumps from
2018 on need; several frames), xz, bzip2, gzip, or plain text. xz and bzip2 take as long to unpack
as to parse or longer, so a thread unpacks ahead; they let go of Python's lock. zstd takes a tenth
of the parsing, and handing its bytes from thread to thread costs half of what that could gain.

A torn or damaged file is an InputError with the byte offset in the file; with `accept_torn` its
whole lines up to there are given, and `Lines.torn` says where it ended.
"""

import bz2
import io
import lzma
import queue
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, Self

import zstandard

from pipeline.bucket_file import InputFile, unchanged
from pipeline.errors import InputError

WINDOW_BYTES_MAX = 2**31  # zstd's largest; the dumps were written with --long=31
LINE_BYTES_MAX = 64 << 20  # a longer line is no submission (40,000 characters) and no page's text
BUFFER_BYTES = 1 << 16  # plain bytes at a time: they stay in the processor's cache
CHUNK_BYTES = 1 << 20  # of what is not read by lines
HEAD_BYTES = 512  # tell what a file is
ZEROS_MIN = 64  # fewer may be a line of something
READ_BYTES = 1 << 16  # compressed bytes at a time
AHEAD_CHUNKS = 8  # unpacked chunks that may wait for the parser

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGIC = ((_ZSTD_MAGIC, "zstd"), (b"\xfd7zXZ\x00", "xz"), (b"BZh", "bzip2"), (b"\x1f\x8b", "gzip"))
_SUFFIXES = {".zst": "zstd", ".xz": "xz", ".bz2": "bzip2", ".gz": "gzip"}
# What comes instead of a file: a server's error, a pointer to it, the way to it.
_INSTEAD = (
    (re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"\s*<\?xml\b", re.IGNORECASE), "XML, as servers send for errors"),
    (
        re.compile(rb"d\d+:(?:announce|comment|creat|encoding|info|nodes)"),
        "a torrent file, not what it leads to",
    ),
    (re.compile(rb"version https://git-lfs"), "a pointer of Git LFS (`git lfs pull` follows it)"),
)
_AGAIN = "Get it again; for a dump, links.accept_torn uses what comes before"

# zstandard's reader ends a torn file without a word. So a frame of ours is read behind the last
# one: 64 zero bytes, run-length encoded (RFC 8878, 3.1.1). They come out if and only if the file
# ended between frames; the other reader that it has, which does tell, takes twice the time.
_END = bytes(64)
_END_FRAME = _ZSTD_MAGIC + bytes(
    [0x20, len(_END), len(_END) << 3 & 0xFF | 0b011, len(_END) >> 5, 0, 0]
)


class Lines:
    """Iterates over a file's lines as bytes, newline included. Use as a context manager, once."""

    def __init__(self, path: InputFile, *, accept_torn: bool = False) -> None:
        self.path = path
        self.accept_torn = accept_torn
        self.torn = ""  # where and how the file broke, if that was accepted
        self._kind = container(path)
        self._end = _END if self._kind == "zstd" else b""
        self._file = path.open("rb", buffering=0)
        self._ahead: _Ahead | None = None
        self._reader: io.BufferedReader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ahead:
            self._ahead.stop()
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        readline = partial(self._opened().readline, LINE_BYTES_MAX)
        last = b""
        with self._telling():
            for line in iter(readline, b""):
                if line[-1] == 10:  # "\n"
                    yield line
                elif len(line) >= LINE_BYTES_MAX:
                    problem = f"no line ends within {LINE_BYTES_MAX >> 20} MiB"
                    raise self._broken(problem, "Is it one object a line?")
                else:
                    last = line
            if last := self._without_end(last):
                yield last  # the last line of a whole file, without a newline

    def chunks(self, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        """The unpacked bytes in pieces of about `size`, whatever lines they hold."""
        read = partial(self._opened().read, size)
        kept = len(self._end)
        held = b""
        with self._telling():
            for chunk in iter(read, b""):
                held += chunk
                if len(held) > kept:
                    yield held[: len(held) - kept]
                    held = held[len(held) - kept :]
            if last := self._without_end(held):
                yield last

    def _opened(self) -> io.BufferedReader:
        # Kept until the file is closed: a reader that goes first warns of an unclosed file.
        self._reader = io.BufferedReader(self._plain(), BUFFER_BYTES)
        return self._reader

    def _without_end(self, last: bytes) -> bytes:
        if not last.endswith(self._end):
            raise self._broken("torn: the file ends within its compressed data", _AGAIN)
        return last.removesuffix(self._end)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Raises what breaks the file as an InputError, or keeps it where that is accepted."""
        with unchanged(self.path):
            try:
                try:
                    yield
                except zstandard.ZstdError as error:
                    raise self._broken(f"damaged: {error}", _AGAIN) from None
            except InputError as error:
                if not self.accept_torn:
                    raise
                self.torn = f"{error.place}: {error.problem}"

    def _plain(self) -> Any:
        """The unpacked bytes as a raw stream."""
        if self._kind == "plain":
            return self._file
        if self._kind == "zstd":
            source: Any = _WithEnd(self._file)
            unpacker = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX)
            return unpacker.stream_reader(source, read_across_frames=True)
        make = _DECOMPRESSORS[self._kind]
        self._ahead = _Ahead(_decompressed(self.path, self._file, make))
        return _Readable(self._ahead)

    def _broken(self, problem: str, mend: str) -> InputError:
        return InputError(self.path, f"byte {self._file.tell()}", problem, mend)


def container(path: InputFile) -> str:
    """zstd, xz, bzip2, gzip or plain, by the first bytes; an empty file is a plain one of no lines.

    Raises InputError for a missing file, for one that is not what its name says, and for
    `.zst_blocks`.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(path, "", f"cannot be read: {error.strerror}", "Check the path") from None
    if path.suffix == ".zst_blocks" or (head[4:8] == _ZSTD_MAGIC and head[:4] != _ZSTD_MAGIC):
        raise InputError(
            path,
            "byte 0",
            "this is a .zst_blocks file, another format (torrents of 2023-04 to 2024-03)",
            "Convert it with its publisher's script, or take the .zst of the same month",
        )
    if not head:
        return "plain"
    found = next((name for magic, name in _MAGIC if head.startswith(magic)), "plain")
    if head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50:  # a skippable frame of zstd's
        found = "zstd"
    named = _SUFFIXES.get(path.suffix.lower(), found)
    if named != found:
        it_is = f"it is {what}" if (what := told(head)) else f"it starts with {head[:8]!r}"
        problem = f"named like a {named} file, but "
        problem += f"its bytes are {found}" if found != "plain" else it_is
        raise InputError(path, "byte 0", problem, "Rename it or download it again")
    return found


def told(head: bytes) -> str:
    """What a file is that came instead of the one that was meant, by its first bytes, or ""."""
    if len(head) >= ZEROS_MIN and not head.strip(b"\0"):
        return "all zero bytes, as a download leaves that did not get so far"
    return next((what for sign, what in _INSTEAD if sign.match(head)), "")


class _WithEnd:
    """A zstd file with our end frame behind it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = _END_FRAME

    def read(self, size: int) -> bytes:
        """The next bytes; the end frame once, where the file ends."""
        if chunk := self._file.read(size):
            return chunk
        rest, self._rest = self._rest, b""
        return rest


def _decompressed(path: InputFile, file: BinaryIO, make: Callable[[], Any]) -> Iterator[bytes]:
    """All streams of a file (xz, bzip2, gzip), one after the other; they all must be whole."""
    stream, begun = make(), False
    while chunk := file.read(READ_BYTES):
        while chunk:
            offset = file.tell() - len(chunk)
            try:
                plain = stream.decompress(chunk)
            except (lzma.LZMAError, OSError, EOFError, zlib.error, ValueError) as error:
                place = f"in the {len(chunk):,} bytes from byte {offset}"
                raise InputError(path, place, f"damaged: {error}", _AGAIN) from None
            begun = True
            if plain:
                yield plain
            if not stream.eof:
                break
            chunk = stream.unused_data.lstrip(b"\0")  # gzip and xz may be padded with zeros
            stream, begun = make(), False
    if begun:
        problem = "torn: the file ends within its compressed data"
        raise InputError(path, f"byte {file.tell()}", problem, _AGAIN)


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "xz": lzma.LZMADecompressor,
    "bzip2": bz2.BZ2Decompressor,
    "gzip": partial(zlib.decompressobj, wbits=zlib.MAX_WBITS | 16),
}


class _Ahead:
    """Runs an iterator of chunks in a thread, some chunks ahead of who takes them."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.error: Exception | None = None
        self._chunks = chunks
        self._waiting: queue.Queue[bytes] = queue.Queue(AHEAD_CHUNKS)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="unpack", daemon=True)
        self._thread.start()

    def take(self) -> bytes:
        """The next chunk; empty at the end. Raises what the thread raised."""
        chunk = self._waiting.get()
        if not chunk and self.error:
            raise self.error
        return chunk

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
    """Chunks as a raw stream, for BufferedReader, whose lines are the fastest there are."""

    def __init__(self, chunks: _Ahead) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """Always: the one thing it does."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Bytes of the present chunk; 0 at the end."""
        if not self._rest and not self._ended:
            self._rest = memoryview(self._chunks.take())
            self._ended = not self._rest
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
