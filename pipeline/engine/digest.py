"""Digests: of rows (what a stage holds, whatever the order), of files, of settings.

A row's digest is xxh3_128 over its MessagePack array of column values, in schema order. A table's
is the sum of its rows' modulo 2^128: it does not depend on order, parts, workers or the file
format's version, and two halves add up to the whole.
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import xxhash

from pipeline.bucket_file import BucketFile, InputFile
from pipeline.engine.store import Store

MODULUS = 1 << 128
SAVE_EVERY_S = 5.0
BATCH_ROWS = 8192  # a row is some ten times larger as Python objects than in Arrow
encode = msgspec.msgpack.Encoder().encode  # one value as bytes that depend on nothing else


def rows_digest(table: pa.Table) -> int:
    """Sum of the digests of all rows, all columns, modulo 2^128."""
    digest, total = xxhash.xxh3_128_intdigest, 0
    for batch in table.to_batches(max_chunksize=BATCH_ROWS):
        columns = [column.to_pylist() for column in batch.columns]
        total += sum(digest(encode(row)) for row in zip(*columns, strict=True))
    return total % MODULUS


def sum_digests(digests: Iterable[str]) -> str:
    """Sum modulo 2^128 of digests in hexadecimal."""
    return hex_digest(sum(int(digest, 16) for digest in digests))


def hex_digest(value: int) -> str:
    """32 hexadecimal digits."""
    return f"{value % MODULUS:032x}"


def digest_of(value: Any) -> str:
    """Digest of plain data, dates and dataclasses included; dictionaries by sorted keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain)
    # A path that is not UTF-8 holds its bytes as halves of surrogate pairs.
    return xxhash.xxh3_128_hexdigest(text.encode("utf-8", "surrogatepass"))


def file_digest(path: InputFile, heartbeat: Callable[[], None] = lambda: None) -> str:
    """xxh3_128 of a file's bytes; `heartbeat` is called for every MiB, and may raise to stop.

    A file in a bucket is not read for it: place, size and ETag stand for its bytes.
    """
    if isinstance(path, BucketFile):
        return digest_of(path.identity)
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            hasher.update(chunk)
            heartbeat()
    return hasher.hexdigest()


class FileDigests:
    """Digests of input files, remembered by path, size and time in a JSON file of the build.

    So an unchanged dump of 20 GB is read for its digest once, and a build that moves, or whose
    inputs move, is still known by content. What is new is written every few seconds, and by `save`.
    """

    def __init__(
        self, store: Store, name: str, heartbeat: Callable[[], None] = lambda: None
    ) -> None:
        self._store, self._name, self._heartbeat = store, name, heartbeat
        self._saved = time.monotonic()
        self._changed = False
        try:
            self._known: dict[str, list[Any]] = store.read_json(name) or {}
        except ValueError:
            self._known = {}

    def digest(self, path: InputFile) -> str:
        """The file's digest; read only if its size or modification time changed."""
        if isinstance(path, BucketFile):
            return file_digest(path)
        stat = path.stat()
        key = str(path.resolve())
        match self._known.get(key):
            case [stat.st_size, stat.st_mtime_ns, str(digest)]:
                return digest
        digest = file_digest(path, self._heartbeat)
        self._known[key] = [stat.st_size, stat.st_mtime_ns, digest]
        self._changed = True
        if time.monotonic() > self._saved + SAVE_EVERY_S:
            self.save()
        return digest

    def save(self) -> None:
        """Write what is new."""
        if self._changed:
            self._store.write_json(self._name, self._known, durably=False)
        self._saved, self._changed = time.monotonic(), False


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)  # their own order changes from run to run
    if isinstance(value, date | Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no digest: {value!r}")
