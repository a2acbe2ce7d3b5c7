"""The stage that stands in for the corpus where anyone's files are its texts.

read    files -> texts    many small files are one part; ids that repeat stop it at the end
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.engine.digest import digest_of, file_digest
from pipeline.engine.stage import Output, Part, PartWriter, Stage, Step
from pipeline.errors import InputError
from pipeline.inputs import input_names
from pipeline.reasons import Drop
from pipeline.settings import TextsSettings
from pipeline.texts import Odd, fallen, read_texts, told
from pipeline.tokens.texts import TEXT, text_of

UNIT = "documents"
# A part costs 80 ms (files, fsync, a process's turn), reading a small file 1 ms.
SMALL_BYTES = 1 << 20
FILES_PER_PART = 100
BATCH_ROWS = 256
BATCH_CHARS = 4 << 20  # a batch is written when it has so many, or so many rows
IDS_AT_ONCE = 1 << 25  # hashes of 8 bytes that are compared in memory
# What is read of a file, with how people know the row: by its file and place, and by its own id.
READ = pa.schema([*TEXT, ("place", pa.string()), ("name", pa.string())])
Say = Callable[[str], None]


def texts_stage(
    paths: Sequence[Path],
    digest: Callable[[Path], str],
    rules: TextsSettings = TextsSettings(),
    say: Say = lambda _: None,
) -> Stage:
    """Anyone's files in the corpus's place, for the commands that work without a build.

    A file that is named twice counts once. `digest` gives a large file's digest; `say` is told once
    what was odd. The stage raises InputError for ids that repeat.
    """
    files = input_names(paths)
    step = Step(
        name="read",
        version=3,
        settings=rules,
        plan=partial(_plan, files, digest),
        work=_Read(rules),
        schema=READ,
    )
    return Stage("corpus", UNIT, (step,), finish=partial(_finish, say), check=_gates)


@dataclass(frozen=True)
class ToRead:
    """Files, each by the name that its rows have."""

    files: list[tuple[str, Path]]


def _plan(files: dict[str, Path], digest: Callable[[Path], str]) -> list[Part[ToRead]]:
    parts: list[Part[ToRead]] = []
    for names in _groups(files):
        # The names are in the rows: in ids, and where a drop says its place.
        content = [
            [name, file_digest(files[name]) if len(names) > 1 else digest(files[name])]
            for name in names
        ]
        label = names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
        source = ToRead([(name, files[name]) for name in names])
        parts.append(Part(len(parts), label, digest_of(content), source))
    return parts


def _groups(files: dict[str, Path]) -> Iterator[list[str]]:
    """Small files together, a large one by itself."""
    group: list[str] = []
    for name, path in files.items():
        if path.stat().st_size >= SMALL_BYTES:
            yield [name]
            continue
        group.append(name)
        if len(group) == FILES_PER_PART:
            yield group
            group = []
    if group:
        yield group


@dataclass(frozen=True)
class _Read:
    """A part's files to texts and drops."""

    rules: TextsSettings

    def __call__(self, part: Part[ToRead], out: PartWriter) -> None:
        odd: Odd = Counter()
        gates: list[str] = []
        out.book(UNIT)  # a part may have no row
        for name, path in part.source.files:
            gates += self._file(name, path, odd, out)
        out.note("odd", [[what, name, count] for (what, name), count in odd.items()])
        out.note("gates", gates)

    def _file(self, name: str, path: Path, odd: Odd, out: PartWriter) -> list[str]:
        """Writes a file's rows; the messages of its quality gate."""
        batch: list[dict[str, Any]] = []
        rows = chars = 0
        first = ""
        drops: Counter[str] = Counter()
        for found in read_texts(path, name, self.rules, odd):
            rows += 1
            where = f"{name}, {found.place}"
            text = text_of(found)
            if isinstance(text, Drop):
                drops[text.reason] += 1
                detail = f"{where}: {text.detail}" if text.detail else where
                first = first or detail
                out.drop(UNIT, text.reason, id=str(found.id), detail=detail)
                continue
            columns = {column: getattr(text, column) for column in TEXT.names}
            batch.append({**columns, "place": where, "name": str(found.id)})
            chars += len(text.text)
            if len(batch) == BATCH_ROWS or chars >= BATCH_CHARS:
                out.heartbeat(where)
                out.write_rows(batch)
                batch, chars = [], 0
        out.write_rows(batch)
        out.book(UNIT, rows_in=rows, rows_out=rows - drops.total())
        message = fallen(name, rows, drops, first)
        return [message] if message else []


def _gates(read: Output) -> list[str]:
    return [gate for part in read.parts for gate in part.notes["gates"]]


def _finish(say: Say, read: Output) -> dict[str, bytes]:
    """Say what was odd; InputError for an id that repeats. Nothing further is published."""
    odd: Odd = Counter()
    for part in read.parts:
        for what, name, count in part.notes["odd"]:
            odd[what, name] += count
    for sentence in told(odd):
        say(sentence)
    _refuse_twins(read)
    return {}


def _refuse_twins(read: Output) -> None:
    """InputError for two rows of one id, with their places.

    Hashes of the ids are compared, in as many passes as keep them to IDS_AT_ONCE in memory; what
    seems equal is then looked at itself.
    """
    passes = -(-sum(part.rows for part in read.parts) // IDS_AT_ONCE)
    for number in range(passes):
        chunks = (_hashes(ids) for ids in _columns(read, ["id"]))
        taken = [hashes[hashes % np.uint64(passes) == number] for hashes in chunks]
        hashes = np.concatenate(taken)
        hashes.sort()
        twins = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
        if twins:
            _refuse_first(read, twins)


def _refuse_first(read: Output, twins: set[int]) -> None:
    first: dict[str, str] = {}
    for batch in _columns(read, ["id", "place", "name"]):
        alike = np.isin(_hashes(batch), list(twins))
        for row in batch.filter(pa.array(alike)).to_pylist():
            if row["id"] in first:
                raise InputError(
                    row["place"],
                    "",
                    f"its id {row['name'][:80]!r} is that of {first[row['id']]} too",
                    "Give each text an id of its own, or name all by file and line: --ids place",
                )
            first[row["id"]] = row["place"]


def _columns(read: Output, names: list[str]) -> Iterator[pa.RecordBatch]:
    for part in read.parts:
        yield from read.store.batches(part.table, 1 << 16, names)


def _hashes(batch: pa.RecordBatch) -> Any:
    """The first 64 of the 128 bits of each id."""
    digits = "".join(batch.column("id").to_pylist())
    return np.frombuffer(bytes.fromhex(digits), np.uint64)[::2]
