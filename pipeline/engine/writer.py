"""What a stage's work writes one part with: all that it sees of the engine.

A part's files are written in `scratch`, under a name that only this attempt has, and put in the
store; then the record, which is the commit. An attempt that finds a record there already takes its
files away again: its rows must be the same.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.engine import digest, names
from pipeline.engine.drops import DropWriter
from pipeline.engine.exchange import Exchange
from pipeline.engine.files import remove_tree
from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.memory import give_back
from pipeline.engine.parts import DROPS, HASHES, TABLE, AnyPart, File, Record, read_record
from pipeline.engine.pool import Pool
from pipeline.engine.ranges import BucketWriter, MapPart
from pipeline.engine.store import Store
from pipeline.errors import StageError, WebtextError
from pipeline.reasons import FAULTS, Reason

T = TypeVar("T")
HEARTBEAT_S = 5.0
# Rows are gathered to row groups of about this size: one can be read at a time.
ROW_GROUP_BYTES = 4 << 20


class PartStopped(WebtextError):  # noqa: N818 (a request that was granted, not an error)
    """The build was asked to stop while this part was at work; nothing of it was committed."""


class PartWriter:
    """Writes rows, books the ledger, keeps the drops, and says how far the part is.

    `store` holds what the part reads; `scratch` is a folder of this attempt alone. Made, committed
    and abandoned by the engine alone.
    """

    def __init__(
        self,
        store: Store,
        stage: str,
        step: str,
        part: AnyPart,
        schema: pa.Schema,
        *,
        run: str = "",
        exchange: Exchange | None = None,
        buckets: int = 1,
        sampled_drops: bool = False,
        content: tuple[str, ...] = (),
        stopping: Callable[[], bool] = bool,
        pool: Pool | None = None,
    ) -> None:
        self.store = store
        self.schema = schema
        self._stage, self._step, self._part = stage, step, part
        self._stopping = stopping
        self._pool = pool
        self._attempt = names.new_attempt()
        self.scratch = store.scratch / f"{part.fingerprint}-{self._attempt}"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self._heartbeat = f"{names.heartbeats(run)}/{part.fingerprint}-{self._attempt}.json"
        self._files: dict[str, Path] = {}
        self._side: set[str] = set()
        self._added: list[str] = []  # files in the store that no record names yet
        self._ledgers: Ledgers = defaultdict(Ledger)
        self._notes: dict[str, Any] = {}
        self._faults: list[dict[str, str]] = []
        self._digest = self._content = 0
        self._columns = list(content)
        self._rows = 0
        self._cpu_items_s = 0.0
        self._retries = 0
        self._started = time.monotonic()
        self._cpu_started = _cpu_s()
        self._next_heartbeat = self._started + store.first_heartbeat_s
        self._has_heartbeat = False
        self._next_stop_check = 0.0
        hashes = self._engine_file(HASHES, "hashes.parquet") if sampled_drops else None
        self._drops = DropWriter(self._engine_file(DROPS, "drops.parquet"), hashes)
        self._table: BucketWriter | _ParquetWriter
        if exchange:
            path = self._engine_file(TABLE, "arrow")
            self._table = BucketWriter(path, schema, exchange.key, buckets)
        else:
            self._table = _ParquetWriter(self._engine_file(TABLE, "parquet"), schema)

    def write(self, table: pa.Table) -> None:
        """Add rows; columns are taken by name and must fit the step's schema."""
        table = table.select(self.schema.names).cast(self.schema)
        self._digest += digest.rows_digest(table)
        if self._columns:
            self._content += digest.rows_digest(table.select(self._columns))
        self._rows += table.num_rows
        self._table.write(table)

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Add rows given as dictionaries."""
        self.write(pa.Table.from_pylist(list(rows), schema=self.schema))

    def join(self, part: MapPart) -> None:
        """Add the rows of a map part as they lie there, to a part of the same exchange."""
        assert isinstance(self._table, BucketWriter), "rows of map parts go to a map part"
        self._table.join(self.store, part)
        self._digest += int(part.digest, 16)
        self._rows += part.rows

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

    def fault(self, unit: str, **row: str) -> None:
        """Note a row that broke the limits on an item, where no drop tells it: for a replay."""
        self._faults.append({"unit": unit, **row})

    def file(self, role: str, *, side: bool = False) -> Path:
        """Where to write a further file of this part; it is committed with it under its role.

        Of the last step it is shown to people under that name. A `side` file is neither shown nor
        counted in the digest: its content is in the rows already.
        """
        path = self.scratch / role
        taken = role in (TABLE, DROPS, HASHES) or path in self._files.values()
        if "/" in role or (taken and self._files.get(role) != path):
            raise AssertionError(f"a part's own file cannot be called {role!r}")
        if side:
            self._side.add(role)
        return self._engine_file(role, role)

    def note(self, key: str, value: Any) -> None:
        """Keep a JSON fact in the part's record, for the manifest and the report."""
        self._notes[key] = value

    def add_note(self, key: str, value: Any) -> None:
        """Append a JSON fact to a list of them."""
        self._notes.setdefault(key, []).append(value)

    @property
    def rows(self) -> int:
        """How many rows were written so far."""
        return self._rows

    def heartbeat(self, item: str = "") -> None:
        """Say how far the part is; raises PartStopped if the build was asked to stop."""
        now = time.monotonic()
        if now >= self._next_stop_check:
            self._next_stop_check = now + self.store.patience_s
            if self._stopping():
                raise PartStopped(f"part {self._part.label} was asked to stop")
        if now >= self._next_heartbeat:
            self._next_heartbeat = now + max(HEARTBEAT_S, self.store.patience_s)
            self._has_heartbeat = True
            heartbeat = {"part": self._part.label, "item": item, "rows": self._rows}
            self.store.write_json(self._heartbeat, heartbeat, durably=False)

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

    def commit(self) -> Record:
        """Make the part exist: check its ledgers, put its files in the store, then its record.

        Where another attempt was first, its record stands, and StageError tells of other rows.
        """
        for unit, ledger in self._ledgers.items():
            ledger.check(f"part {self._part.label}, {unit}")
        ranges, row_groups = self._table.close()
        self._drops.close()
        files, own = self._written()
        found = digest.hex_digest(self._digest + own)
        name = names.record(self._stage, self._step, self._part.fingerprint)
        for role, file in files.items():
            self._added.append(file.name)
            self.store.add(self._files[role], file.name)
        record = Record(
            number=self._part.number,
            label=self._part.label,
            fingerprint=self._part.fingerprint,
            digest=found,
            content=digest.hex_digest(self._content + own) if self._columns else found,
            rows=self._rows,
            ledgers=self._ledgers,
            files=files,
            notes=self._notes,
            faults=self._faults,
            cpu_s=round(_cpu_s() - self._cpu_started + self._cpu_items_s, 3),
            wall_s=round(time.monotonic() - self._started, 3),
            retries=self._retries,
            ranges=ranges,
            row_groups=row_groups,
        )
        self._check_there(name, record)
        added, self._added = self._added, []  # from here on the record may name them
        try:
            self.store.write_json(name, record.to_json(), new=True)
        except FileExistsError:
            self._added = added
            record = self._first(name, found)
            self.store.remove(added)
        self._clear()
        return record

    def _first(self, name: str, found: str) -> Record:
        """What another attempt committed; StageError if it has other rows than this one."""
        what = f"{self._stage}: {self._step}, part {self._part.label}"
        record = read_record(self.store, name)
        if record is None:
            raise StageError(f"{what}: {name} came and went; run the same command to go on")
        if record.digest != found:
            raise StageError(
                f"{what} gave other rows than an earlier attempt, from the same inputs and "
                "settings; this is a defect of webtext"
            )
        self._check_there(name, record)
        return record

    def abandon(self) -> None:
        """Leave nothing of an unfinished part."""
        for closing in (self._table.leave, self._drops.close):
            with suppress(Exception):  # whatever broke the part may break its writers too
                closing()
        self.store.remove(self._added)
        self._clear()

    def _engine_file(self, role: str, ending: str) -> Path:
        path = self.scratch / ending
        self._files[role] = path
        return path

    def _written(self) -> tuple[dict[str, File], int]:
        """The files that were written, by role, and what a stage's own add to the digest."""
        files, own = {}, 0
        for role, path in self._files.items():
            if not path.exists():
                raise StageError(
                    f"{self._stage}: {self._step}, part {self._part.label}: {path} is gone before "
                    "it was committed; run the same command to go on"
                )
            checksum = digest.file_digest(path)
            side = role in self._side
            if not side and role not in (TABLE, DROPS, HASHES):
                own += xxhash.xxh3_128_intdigest(f"{role}\0{checksum}".encode())
            name = names.data(self._part.fingerprint, self._attempt, path.name)
            files[role] = File(name, path.stat().st_size, checksum, side)
        return files, own

    def _check_there(self, name: str, record: Record) -> None:
        """A record that names what is not there would look like a part."""
        for file in record.files.values():
            there = self.store.stat(file.name)
            if there is None or there.bytes != file.bytes:
                raise StageError(
                    f"{self._stage}: {self._step}, part {self._part.label}: {file.name} is not in "
                    f"{self.store.place} as it was written; remove {name} if it is there, and run "
                    "the same command"
                )

    def _clear(self) -> None:
        if self._has_heartbeat:
            self.store.remove([self._heartbeat])
        remove_tree(self.scratch)


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
        self._writer = pq.ParquetWriter(
            path, schema, compression="zstd", compression_level=3, write_page_checksum=True
        )
        self._schema = schema
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._groups: list[list[int]] = []

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._bytes += table.nbytes
        if self._bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> tuple[str, list[list[int]]]:
        self._flush()
        self._writer.close()
        return "", self._groups

    def leave(self) -> None:
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.concat_tables(self._waiting)
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
            self._groups.append([table.num_rows, table.nbytes])
            del table
        self._waiting, self._bytes = [], 0
        give_back()


def _cpu_s() -> float:
    # A worker does one part at a time, in its main thread; the driver has a thread for each.
    alone = threading.current_thread() is threading.main_thread()
    return time.process_time() if alone else time.thread_time()
