"""Parts: the unit of work and of loss, one to three minutes each.

A part's files are written aside, fsynced and renamed; then its sidecar, `.meta/part-00017.json`,
which is the commit: a part without a sidecar does not exist. A part's rows are a function of its
inputs, so a part done twice is harmless. (fsync and rename cost about 1.2 ms a part.)

`PartWriter` is all that a stage's work sees of the engine: it writes rows, books the ledger, keeps
the drops, and says how far it is.
"""

import json
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.engine import digest
from pipeline.engine.drops import DropWriter
from pipeline.engine.exchange import BucketWriter, Exchange
from pipeline.engine.files import remove_tree, rename_durably, write_durably
from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.pool import Pool
from pipeline.errors import WebtextError, printable
from pipeline.reasons import FAULTS, Reason

T = TypeVar("T")
HEARTBEAT_S = 5.0
STOP_CHECK_S = 0.2
# Rows are gathered to row groups of about this size: one can be read at a time.
ROW_GROUP_BYTES = 16 << 20


class PartStopped(WebtextError):  # noqa: N818 (a request that was granted, not an error)
    """The build was asked to stop while this part was at work; nothing of it was committed."""


@dataclass(frozen=True)
class Part:
    """One unit of work, as planned.

    `digest` is that of the content it reads; `source` is what its work needs to find it (paths,
    ranges) and shapes no row; `label` names it for people.
    """

    number: int
    label: str
    digest: str
    source: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A label is written and printed, and a file's name may be no text."""
        object.__setattr__(self, "label", printable(self.label))


@dataclass(frozen=True)
class PartInfo:
    """One committed part, as read from its sidecar."""

    number: int
    label: str
    fingerprint: str
    digest: str
    rows: int
    ledgers: Ledgers
    files: dict[str, dict[str, Any]]  # by name: bytes, xxh3_128
    notes: dict[str, Any]
    faults: list[dict[str, str]]  # drops by the limits on an item: unit, id, url, reason, detail
    cpu_s: float
    wall_s: float
    retries: int
    buckets: dict[str, list[list[int]]]  # of an exchange: [batch, rows, bytes] by bucket
    folder: Path

    @property
    def path(self) -> Path:
        """The part's table."""
        tables = engine_files(self.number)[:2]  # what else starts with part- is the stage's own
        return self.folder / next(name for name in tables if name in self.files)

    def to_json(self) -> dict[str, Any]:
        """Plain form, without the folder: a part may move with its build."""
        plain = {name: value for name, value in vars(self).items() if name != "folder"}
        plain["ledgers"] = {unit: ledger.to_json() for unit, ledger in self.ledgers.items()}
        return plain

    @staticmethod
    def from_json(data: Mapping[str, Any], folder: Path) -> "PartInfo":
        """The reverse of `to_json`."""
        ledgers = {unit: Ledger.from_json(led) for unit, led in data["ledgers"].items()}
        return PartInfo(**{**data, "ledgers": ledgers}, folder=folder)

    def read(self, columns: list[str] | None = None) -> pa.Table:
        """The part's rows; `columns` names those that are needed."""
        return pq.read_table(self.path, columns=columns)


def engine_files(number: int) -> tuple[str, ...]:
    """The names of a part's own files, of which it has some; a stage may add files of its own."""
    table, meta = f"part-{number:05d}", f"-{number:05d}.parquet"
    return f"{table}.parquet", f"{table}.arrow", f".meta/drops{meta}", f".meta/hashes{meta}"


def sidecar_path(folder: Path, number: int) -> Path:
    """Where the sidecar of a part lies."""
    return folder / ".meta" / f"part-{number:05d}.json"


def heartbeat_path(folder: Path, number: int) -> Path:
    """Where a part at work says how far it is."""
    return folder / ".aside" / f"heartbeat-{number:05d}.json"


def read_heartbeats(folder: Path) -> list[dict[str, Any]]:
    """The parts at work in a step's folder, by number: part, item, rows."""
    heartbeats = []
    for path in sorted((folder / ".aside").glob("heartbeat-*.json")):
        with suppress(FileNotFoundError):  # a part that is finished takes its own away
            heartbeats.append(json.loads(path.read_text()))
    return heartbeats


def read_sidecars(folder: Path) -> list[PartInfo]:
    """All committed parts of a step's folder, by number."""
    return [read_sidecar(path) for path in sorted((folder / ".meta").glob("part-*.json"))]


def read_sidecar(path: Path) -> PartInfo:
    """One committed part."""
    return PartInfo.from_json(json.loads(path.read_text()), path.parent.parent)


class PartWriter:
    """What a stage's work writes one part with. Used as a context manager by the engine alone."""

    def __init__(
        self,
        folder: Path,
        part: Part,
        schema: pa.Schema,
        *,
        fingerprint: str = "",
        exchange: Exchange | None = None,
        buckets: int = 1,
        sampled_drops: bool = False,
        stopping: Callable[[], bool] = bool,
        pool: Pool | None = None,
    ) -> None:
        self.folder = folder
        self.schema = schema
        self._part = part
        self._fingerprint = fingerprint
        self._stopping = stopping
        self._pool = pool
        self._aside = folder / ".aside" / f"{part.number:05d}-{os.getpid()}"
        self._aside.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, Path] = {}
        self._ledgers: Ledgers = defaultdict(Ledger)
        self._notes: dict[str, Any] = {}
        self._faults: list[dict[str, str]] = []
        self._digest = 0
        self._rows = 0
        self._cpu_items_s = 0.0
        self._retries = 0
        self._started = time.monotonic()
        self._cpu_started = _cpu_s()
        self._next_heartbeat = 0.0
        self._next_stop_check = 0.0
        name = f"part-{part.number:05d}"
        hashes = self.file(f".meta/hashes-{part.number:05d}.parquet") if sampled_drops else None
        self._drops = DropWriter(self.file(f".meta/drops-{part.number:05d}.parquet"), hashes)
        self._table: BucketWriter | _ParquetWriter
        if exchange:
            self._table = BucketWriter(self.file(f"{name}.arrow"), schema, exchange, buckets)
        else:
            self._table = _ParquetWriter(self.file(f"{name}.parquet"), schema)

    def write(self, table: pa.Table) -> None:
        """Add rows; columns are taken by name and must fit the step's schema."""
        table = table.select(self.schema.names).cast(self.schema)
        self._digest += digest.rows_digest(table)
        self._rows += table.num_rows
        self._table.write(table)

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows given as dictionaries."""
        self.write(pa.Table.from_pylist(list(rows), schema=self.schema))

    def book(self, unit: str, *, rows_in: int = 0, rows_out: int = 0, merged: int = 0) -> None:
        """Book rows of a unit. At commit, rows in = rows out + merged + drops must hold."""
        ledger = self._ledgers[unit]
        ledger.rows_in += rows_in
        ledger.rows_out += rows_out
        ledger.merged += merged

    def drop(
        self,
        unit: str,
        reason: Reason,
        *,
        id: str = "",
        url: str = "",
        detail: str = "",
        count: int = 1,
    ) -> None:
        """Book a drop of `count` rows and keep one row that explains it."""
        row = {"unit": unit, "id": id, "url": url, "reason": reason.value, "detail": detail}
        self._ledgers[unit].drops[reason.value] += count
        self._drops.add(**row)
        if reason in FAULTS:
            self._faults.append(row)

    def file(self, name: str) -> Path:
        """Where to write a further file of this part; it is committed with it under `name`."""
        path = self._aside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files[name] = path
        return path

    def note(self, key: str, value: Any) -> None:
        """Keep a JSON fact in the part's sidecar, for the manifest and the report."""
        self._notes[key] = value

    def heartbeat(self, item: str = "") -> None:
        """Say how far the part is; raises PartStopped if the build was asked to stop."""
        now = time.monotonic()
        if now >= self._next_stop_check:
            self._next_stop_check = now + STOP_CHECK_S
            self._check_stop()
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + HEARTBEAT_S
            heartbeat = {"part": self._part.label, "item": item, "rows": self._rows}
            aside = self._aside / "heartbeat.json"
            aside.write_text(json.dumps(heartbeat))
            aside.replace(heartbeat_path(self.folder, self._part.number))

    @property
    def pool(self) -> "PartPool":
        """Worker processes for hostile items; only for steps that run "items"."""
        if self._pool is None:
            raise AssertionError("this step does not run items: it has no pool")
        return PartPool(self._pool, self)

    def add_item(self, cpu_s: float, tries: int) -> None:
        """Count CPU seconds and tries that workers spent on one of this part's items."""
        self._cpu_items_s += cpu_s
        self._retries += tries - 1

    def commit(self) -> PartInfo:
        """Make the part exist: check its ledgers, fsync and rename its files, then the sidecar."""
        for unit, ledger in self._ledgers.items():
            ledger.check(f"part {self._part.label}, {unit}")
        buckets = self._table.close()
        self._drops.close()
        digest_sum = self._digest
        files = {}
        for name, path in self._files.items():
            if not path.exists():
                continue
            checksum = digest.file_digest(path)
            files[name] = {"bytes": path.stat().st_size, "xxh3_128": checksum}
            if not name.startswith(("part-", ".meta/")):
                digest_sum += xxhash.xxh3_128_intdigest(f"{name}\0{checksum}".encode())
            rename_durably(path, self.folder / name)
        info = PartInfo(
            number=self._part.number,
            label=self._part.label,
            fingerprint=self._fingerprint,
            digest=digest.hex_digest(digest_sum),
            rows=self._rows,
            ledgers=self._ledgers,
            files=files,
            notes=self._notes,
            faults=self._faults,
            cpu_s=round(_cpu_s() - self._cpu_started + self._cpu_items_s, 3),
            wall_s=round(time.monotonic() - self._started, 3),
            retries=self._retries,
            buckets=buckets,
            folder=self.folder,
        )
        write_durably(sidecar_path(self.folder, info.number), json.dumps(info.to_json()))
        self._clear()
        return info

    def abandon(self) -> None:
        """Leave nothing of an unfinished part."""
        for closing in (self._table.close, self._drops.close):
            with suppress(Exception):  # whatever broke the part may break its writers too
                closing()
        self._clear()

    def _check_stop(self) -> None:
        if self._stopping():
            raise PartStopped(f"part {self._part.label} was asked to stop")

    def _clear(self) -> None:
        heartbeat_path(self.folder, self._part.number).unlink(missing_ok=True)
        remove_tree(self._aside)


class PartPool:
    """The pool as one part's work sees it: its CPU seconds and heartbeats are the part's."""

    def __init__(self, pool: Pool, writer: PartWriter) -> None:
        self._pool, self._writer = pool, writer

    def map(self, function: Callable[[T], Any], items: Iterable[T]) -> Iterator[Any]:
        """`function(item)` or a Fault, for each item in order; see `Pool.map`."""
        writer = self._writer
        results = self._pool.map(function, items, writer.add_item, writer.heartbeat)
        for number, result in enumerate(results):
            writer.heartbeat(f"item {number}")
            yield result


class _ParquetWriter:
    """Rows to one Parquet file, in row groups of about ROW_GROUP_BYTES."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd", compression_level=3)
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._bytes = 0

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._bytes += table.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> dict[str, list[list[int]]]:
        self._flush()
        self._writer.close()
        return {}

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting).combine_chunks())
        self._waiting, self._bytes = [], 0


def _cpu_s() -> float:
    # A worker does one part at a time, in its main thread; the driver has a thread for each.
    alone = threading.current_thread() is threading.main_thread()
    return time.process_time() if alone else time.thread_time()
