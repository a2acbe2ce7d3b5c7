"""An archive of pages that grows: what each source gave for each link, as WARC files and tables.

    <time>-<id>.warc.gz   a segment: requests, responses, and for each answer a metadata record
    <time>-<id>.cdxj      its index, for replay
    <time>-<id>.parquet   its answers, one row each (outcomes.ANSWER): the commit, written last

A segment that has no table is none. It is written on a local disk (`scratch`) and put into the
archive when it is large or old enough. What a killed process left there is put into the archive
by the next one: the metadata records tell all, so the segment is its own journal. At most the
answer that was being written is lost, after a power cut those of the last seconds.

Several processes may write into one archive, each with a scratch folder of its own.
"""

import fcntl
import json
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, BinaryIO, Protocol, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.bucket_file import InputFile
from pipeline.errors import BusyError, InputError, printable
from pipeline.pages.archive.answers import IdSet, answer_of, as_json, as_row, last_of_each
from pipeline.pages.archive.outcomes import ANSWER, Answer, Outcome, Source
from pipeline.pages.archive.warc_records import (
    ANSWER_TYPE,
    WarcRecord,
    cdxj_line,
    metadata_record,
    warcinfo_record,
)
from pipeline.pages.warc import Record, records, whole_record

WARC, INDEX, TABLE = ".warc.gz", ".cdxj", ".parquet"
SEGMENT_BYTES, SEGMENT_S, SEGMENT_ROWS = 256 << 20, 600.0, 50_000
SYNC_EVERY_BYTES = 8 << 20
# An answer's JSON: five redirects of 2 kB each, and what is known of preferences.
_ANSWER_BYTES_MAX = 1 << 20
_OWN = re.compile(r"\d{8}T\d{12}Z-[0-9a-f]{12}")
_NEEDED = ("id", "source", "outcome", "is_final", "answered_s")


class Files(Protocol):
    """Where an archive is kept: files by name, whole or not there."""

    place: str

    def add(self, path: Path, name: str) -> None:
        """Put a finished file there; `path` may be gone after it."""

    def names(self) -> Sequence[str]:
        """The names of all files."""

    def open(self, name: str) -> Any:
        """A file to read at any place, for pyarrow."""


class Folder:
    """Files in a folder of a disk."""

    def __init__(self, path: Path) -> None:
        self.path, self.place = path, printable(path)
        path.mkdir(parents=True, exist_ok=True)

    def add(self, path: Path, name: str) -> None:
        """Rename it, or copy it from another disk."""
        target = self.path / name
        if path.stat().st_dev == self.path.stat().st_dev:
            path.replace(target)
        else:
            aside = self.path / f".{name}.{os.getpid()}.aside"
            with path.open("rb") as source, aside.open("wb") as copy:
                while block := source.read(1 << 20):
                    copy.write(block)
                os.fsync(copy.fileno())
            aside.replace(target)
        _sync(self.path)

    def names(self) -> list[str]:
        """The names of its files, sorted."""
        return sorted(entry.name for entry in os.scandir(self.path) if entry.is_file())

    def open(self, name: str) -> BinaryIO:
        """The file, open for reading."""
        return (self.path / name).open("rb")


@dataclass
class _Segment:
    """A segment that is being written."""

    name: str
    path: Path
    descriptor: int
    started_s: float
    size: int = 0
    synced: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


class Archive:
    """Writes and reads an archive; a context manager, which holds the scratch folder's lock.

    `facts` go into each segment's warcinfo record (a user agent, a contact). `in_background`
    commits full segments in a thread of its own. May be used from several threads.
    """

    def __init__(
        self,
        files: Files,
        scratch: Path,
        *,
        facts: Mapping[str, str] | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        segment_s: float = SEGMENT_S,
        in_background: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files, self._scratch, self._facts = files, scratch, dict(facts or {})
        self._bytes_max, self._age_max_s, self._clock = segment_bytes, segment_s, clock
        self._segment: _Segment | None = None
        self._lock = Lock()
        self._held: int | None = None
        self._thread = ThreadPoolExecutor(1, "archive") if in_background else None
        self._committing: list[Future[None]] = []
        self.recovered: list[str] = []  # what was found of a killed process, in sentences

    def __enter__(self) -> Self:
        """Hold the scratch folder, and commit what a killed process left in it.

        Raises BusyError if another process writes there.
        """
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._held = os.open(self._scratch / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._held)
            raise BusyError(
                f"{printable(self._scratch)} is in use by another process; wait for it, or give "
                "this one another folder for its work"
            ) from None
        self._recover()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """Commit what is written; after an OSError the next process does so."""
        try:
            if not (kind and issubclass(kind, OSError)):
                self.flush()
        finally:
            if self._thread:
                self._thread.shutdown()
            if self._segment:
                os.close(self._segment.descriptor)
                self._segment = None
            if self._held is not None:
                os.close(self._held)

    def add(self, answer: Answer, found: Sequence[WarcRecord] = ()) -> None:
        """Append an answer, with the records that it rests on. They are written together.

        `answer.record_id` names one of `found`: where the page lies. Records from another archive
        are `found` as they are, with their own ids, dates and digests.
        """
        told = metadata_record(answer.url, self._clock(), as_json(answer), answer.record_id)
        with self._lock:
            segment = self._opened()
            lying = self._write(segment, [*found, told])
            segment.rows.append(as_row(answer, segment.name + WARC, lying.get(answer.record_id)))
        self.roll()

    def store(self, found: Sequence[WarcRecord]) -> None:
        """Append records that belong to no link alone, such as a robots.txt."""
        with self._lock:
            self._write(self._opened(), found)
        self.roll()

    def roll(self) -> None:
        """Commit the segment if it is large or old enough; to be called now and then."""
        with self._lock:
            segment = self._segment
            is_due = segment is not None and (
                segment.size >= self._bytes_max
                or len(segment.rows) >= SEGMENT_ROWS
                or self._clock() - segment.started_s >= self._age_max_s
            )
            if is_due:
                self._close()

    def flush(self) -> None:
        """Commit all that is written, and wait for it."""
        with self._lock:
            self._close()
            while self._committing:
                self._committing.pop(0).result()

    def answers(self, columns: Sequence[str] = _NEEDED) -> pa.Table:
        """The last answer of each source for each link, of all that is committed."""
        wanted = [name for name in ANSWER.names if name in {*columns, *_NEEDED}]
        tables = [ANSWER.empty_table().select(wanted), *self._tables(wanted)]
        return last_of_each(pa.concat_tables(tables)).select(list(columns))

    def settled(self, source: Source) -> IdSet:
        """The links that need not be asked for at this source.

        Those that have a page from whatever source, and those with a final answer of this one.
        """
        answers = self.answers()
        captured = pc.equal(answers["outcome"], Outcome.CAPTURED.value)
        final = pc.and_(answers["is_final"], pc.equal(answers["source"], source.value))
        return IdSet.of(answers.filter(pc.or_(captured, final))["id"])

    def unsettled(self, source: Source, until_s: int) -> IdSet:
        """The links of which the last answer of this source is not final, and came by `until_s`."""
        answers = self.answers()
        came = pc.less_equal(answers["answered_s"], until_s)
        is_open = pc.and_(pc.invert(answers["is_final"]), came)
        ours = pc.and_(is_open, pc.equal(answers["source"], source.value))
        return IdSet.of(answers.filter(ours)["id"])

    def _tables(self, columns: list[str]) -> Iterator[pa.Table]:
        for name in self._files.names():
            if name.endswith(TABLE) and _OWN.fullmatch(name.removesuffix(TABLE)):
                with self._files.open(name) as file:
                    yield pq.read_table(file, columns=columns)

    def _opened(self) -> _Segment:
        if self._segment is None:
            self._raise_failed()
            now = self._clock()
            moment = datetime.fromtimestamp(now, UTC)
            name = f"{moment:%Y%m%dT%H%M%S%fZ}-{uuid.uuid4().hex[:12]}"
            path = self._scratch / f"{name}{WARC}"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o644)
            self._segment = _Segment(name, path, descriptor, now)
            self._write(self._segment, [warcinfo_record(name + WARC, now, self._facts)])
        return self._segment

    def _write(self, segment: _Segment, found: Sequence[WarcRecord]) -> dict[str, tuple[int, int]]:
        """Append records by one system call, so that a kill cuts no group; where each lies."""
        lying, data = {}, []
        at = segment.size
        for record in found:
            packed = record.packed()
            lying[record.id] = (at, len(packed))
            if line := cdxj_line(record, at, len(packed), segment.name + WARC):
                segment.lines.append(line)
            data.append(packed)
            at += len(packed)
        whole = memoryview(b"".join(data))
        while whole:
            whole = whole[os.write(segment.descriptor, whole) :]
        segment.size = at
        if at - segment.synced >= SYNC_EVERY_BYTES:
            segment.synced = at
            self._sync_soon(segment)
        return lying

    def _sync_soon(self, segment: _Segment) -> None:
        if self._thread:
            self._committing.append(self._thread.submit(_sync, segment.path))
        else:
            os.fdatasync(segment.descriptor)

    def _close(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        os.close(segment.descriptor)
        if self._thread:
            self._raise_failed()
            self._committing.append(self._thread.submit(self._commit, segment))
        else:
            self._commit(segment)

    def _raise_failed(self) -> None:
        waiting = []
        for future in self._committing:
            if future.done():
                future.result()
            else:
                waiting.append(future)
        self._committing = waiting

    def _commit(self, segment: _Segment) -> None:
        """Put a segment into the archive; once its table is in scratch it only has to be moved."""
        _sync(segment.path)
        text = "".join(line + "\n" for line in sorted(segment.lines))
        index = self._scratch / f"{segment.name}{INDEX}"
        index.write_text(text, encoding="utf-8")
        _sync(index)
        aside = self._scratch / f"{segment.name}.aside"
        pq.write_table(pa.Table.from_pylist(segment.rows, schema=ANSWER), aside, compression="zstd")
        _sync(aside)
        aside.replace(self._scratch / f"{segment.name}{TABLE}")
        _sync(self._scratch)
        self._move(segment.name)

    def _move(self, name: str) -> None:
        for ending in (WARC, INDEX, TABLE):
            path = self._scratch / f"{name}{ending}"
            if path.exists():
                self._files.add(path, path.name)
                path.unlink(missing_ok=True)

    def _recover(self) -> None:
        """Commit what a killed process left, as far as it can be read."""
        for path in sorted(self._scratch.glob(f"*{TABLE}")):
            self._move(path.name.removesuffix(TABLE))
            self.recovered.append(f"{path.name}: its commit was begun, and is finished now")
        for path in sorted(self._scratch.glob(f"*{WARC}")):
            segment = recovered(path)
            if segment.rows or segment.lines:
                self._commit(segment)
            else:
                path.unlink()
            told = f"{path.name}: {len(segment.rows):,} answers of a run that was killed"
            lost = segment.synced - segment.size
            cut = f"; its last {lost:,} bytes were torn, and are fetched again" if lost else ""
            self.recovered.append(told + cut)
        for path in (*self._scratch.glob("*.aside"), *self._scratch.glob(f"*{INDEX}")):
            path.unlink()


def recovered(path: Path) -> _Segment:
    """A segment as its file tells it, which is cut after the last record that is whole.

    `size` is what is left of its bytes, `synced` what it had.
    """
    name, had = path.name.removesuffix(WARC), path.stat().st_size
    segment = _Segment(name, path, -1, 0.0, synced=had)
    lying: dict[str, tuple[int, int]] = {}
    for record in _readable(path):
        segment.size = record.offset + record.length
        fields = tuple(record.headers.items())
        written = WarcRecord(fields, record.block)
        lying[written.id] = (record.offset, record.length)
        if line := cdxj_line(written, record.offset, record.length, path.name):
            segment.lines.append(line)
        if answer := answer_in(path, record):
            segment.rows.append(as_row(answer, path.name, lying.get(answer.record_id)))
    if segment.size < had:
        os.truncate(path, segment.size)
    return segment


def answer_in(path: InputFile, record: Record) -> Answer | None:
    """The answer that a metadata record of ours holds; None for any other record."""
    if record.kind != "metadata" or record.headers.get("content-type") != ANSWER_TYPE:
        return None
    if len(record.block) < record.block_bytes:
        record = whole_record(path, record, _ANSWER_BYTES_MAX)
    try:
        return answer_of(json.loads(record.block))
    except (ValueError, KeyError, TypeError):
        return None  # another version's, or another's altogether


def _readable(path: Path) -> Iterator[Record]:
    """The records up to the first that cannot be read."""
    try:
        for record in records(path, accept_torn=True):
            if record.fault:
                return
            yield record
    except InputError:
        return  # it has not even a first record


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # committed, and moved, meanwhile
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
