"""Drops are rows too: a file of each part tells for each what it was and why it left.

Submissions come in hundreds of millions; for those a sample is kept whole (the lowest hashes of
each reason, so it does not depend on order), and for all of them the 8-byte hash of the id with
the reason, so that `webtext why` can still answer for each.
"""

import heapq
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.engine.parts import DROPS, HASHES, Record
from pipeline.engine.store import Store
from pipeline.records import DROP

SAMPLE = 100  # rows kept whole for each reason of each part
FLUSH_ROWS = 20_000
# Signed, since Parquet's statistics and filters of unsigned 64 bits end at 2^63.
HASHED = pa.schema([("hash", pa.int64()), ("reason", pa.dictionary(pa.int8(), pa.string()))])


class DropWriter:
    """Writes a part's dropped rows: all of them; with `hashes_path` a sample, and all hashes."""

    def __init__(self, path: Path, hashes_path: Path | None) -> None:
        self._writer = pq.ParquetWriter(path, DROP, compression="zstd")
        self._rows: list[tuple[str, ...]] = []
        self._hashes_path = hashes_path
        self._lowest: dict[str, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        self._hashes: dict[str, array[int]] = defaultdict(partial(array, "Q"))  # 8 bytes a drop
        self._open = True

    def add(self, unit: str, id: str, url: str, reason: str, detail: str) -> None:
        """Keep one dropped row; when sampled, perhaps only the hash of its id (or URL)."""
        row = (unit, id, url, reason, detail)
        if self._hashes_path is None:
            self._rows.append(row)
            if len(self._rows) >= FLUSH_ROWS:
                self._flush()
            return
        hashed = xxhash.xxh3_64_intdigest((id or url).encode())
        self._hashes[reason].append(hashed)
        lowest = self._lowest[reason]
        if len(lowest) < SAMPLE:
            heapq.heappush(lowest, (-hashed, row))
        elif -hashed > lowest[0][0]:
            heapq.heapreplace(lowest, (-hashed, row))

    def close(self) -> None:
        """Write what is left, and the hashes."""
        if not self._open:
            return
        self._open = False
        if self._hashes_path is not None:
            self._rows = sorted(row for rows in self._lowest.values() for _, row in rows)
            self._write_hashes(self._hashes_path)
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [()] * len(DROP)
        arrays = [pa.array(column, pa.string()) for column in columns]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=DROP))
        self._rows = []

    def _write_hashes(self, path: Path) -> None:
        reasons = sorted(self._hashes)
        hashes = [np.frombuffer(self._hashes[reason], np.int64) for reason in reasons]
        codes = np.repeat(np.arange(len(reasons), dtype=np.int8), [len(h) for h in hashes])
        values = np.concatenate(hashes) if hashes else np.zeros(0, np.int64)
        order = np.argsort(values, kind="stable")  # sorted: a look-up reads one row group
        reason_column = pa.DictionaryArray.from_arrays(codes[order], pa.array(reasons, pa.string()))
        table = pa.Table.from_arrays([pa.array(values[order]), reason_column], schema=HASHED)
        pq.write_table(table, path, compression="zstd")


def read_drops(store: Store, records: Iterable[Record]) -> pa.Table:
    """All dropped rows of these parts that are kept whole."""
    tables = [store.table(r.file(DROPS)) for r in records if DROPS in r.files]
    return pa.concat_tables(tables or [DROP.empty_table()])


def reasons_of(store: Store, records: Iterable[Record], id: str) -> Counter[str]:
    """The reasons for which rows with this id were dropped, from the hashes of a sampled step."""
    hashed = int(np.uint64(xxhash.xxh3_64_intdigest(id.encode())).view(np.int64))
    found: Counter[str] = Counter()
    for record in records:
        if HASHES in record.files:
            table = store.table(record.file(HASHES), filters=[("hash", "==", hashed)])
            found.update(table["reason"].to_pylist())
    return found
