"""`webtext extract --out`: anyone's pages, WARC files and JSON lines to documents, without links.

Every page, record of a WARC file and line becomes a row of OUT or a line of OUT.drops.jsonl; the
counts on stdout add up. by_hand.py is the same command without --out. The work is a build in
.OUT.work beside OUT, so it is resumed after any kill; OUT is put in place when all is done, and the
folder goes.
"""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.bucket_file import BucketFile, InputFile
from pipeline.documents.files_stage import SCHEMA, UNIT, files_stage
from pipeline.documents.kinds import files_of, kind_of
from pipeline.engine import names
from pipeline.engine.build import Build
from pipeline.engine.ledger import Ledger
from pipeline.engine.parts import DROPS
from pipeline.errors import InputError, SettingsError, printable
from pipeline.row_files import check_name, is_parquet, packed
from pipeline.scratch import scratch_in
from pipeline.settings import Settings
from tools.given import copied
from tools.inputs import files_at
from tools.places import Place, Uri

BATCH_ROWS = 500
DROP_COLUMNS = ("id", "url", "reason", "detail")


def extract_files(inputs: Sequence[Place], out: Path, settings: Settings, *, as_json: bool) -> int:
    """Extract all pages of `inputs` into `out`; prints the counts; 1 if no page gave a text.

    Raises SettingsError and InputError before anything is written where a name is not as needed.
    Whatever it raises, an earlier `out` stays as it was, and what is done is kept for the next try.
    """
    drops_path = out.with_name(out.name + ".drops.jsonl")
    files = _checked(inputs, out, drops_path)
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.work")
    with scratch_in(out.absolute().parent) as scratch, Build(work, settings.engine) as build:
        files = [_lines_here(file, scratch) for file in files]
        # Of a run that ended before its result was in place. Its parts are taken over where they
        # still fit; as a published stage it could ask for --redo, which is not ours.
        build.unpublish("documents")
        stage = files_stage(
            files, settings.documents, settings.pages, build.files.digest, build.check_signals
        )
        made = build.run(stage)
        local, parts = build.store.local, made.parts
        results = {
            drops_path: ([local(part.file(DROPS)) for part in parts], DROP_COLUMNS),
            out: ([local(part.table) for part in parts], SCHEMA.names),
        }
        for path, (tables, columns) in results.items():
            _write(work / f"new-{path.name}", tables, columns, build.check_signals)
        for path in results:
            (work / f"new-{path.name}").replace(path)
        # The records go first: without them a folder is begun anew.
        build.store.remove_folder(names.RECORDS)
        build.unpublish("documents")
    shutil.rmtree(work, ignore_errors=True)
    ledger = made.ledgers.get(UNIT, Ledger())
    print(json.dumps(_counts(ledger)) if as_json else _told(ledger, drops_path))
    if not ledger.rows_out:
        print(f"webtext: no page gave a text; {drops_path} says why", file=sys.stderr)
    return 0 if ledger.rows_out else 1


def _checked(inputs: Sequence[Place], out: Path, drops_path: Path) -> list[InputFile]:
    """The files to read; raises for a name that is not as needed."""
    if not inputs:
        raise SettingsError("name at least one file or folder")
    check_name("--out", out)
    # Results of an earlier run in one of the folders are no input.
    files: list[InputFile] = []
    for given in inputs:
        files += files_at(given) if isinstance(given, Uri) else files_of(given, (out, drops_path))
    for path in files:
        if isinstance(path, BucketFile):
            continue
        if not path.is_file():
            mend = "With --out files are read more than once: save it to a file first."
            raise InputError(path, "", "it is not a regular file", mend)
        if out.exists() and out.samefile(path):
            raise SettingsError(f"--out {out} is an input too; give it another name")
    return files


def _lines_here(file: InputFile, scratch: Path) -> InputFile:
    """JSON lines in a bucket as a copy: each of their parts reads from the beginning."""
    if isinstance(file, BucketFile) and kind_of(file) == "lines":
        return copied(file, scratch)
    return file


def _counts(ledger: Ledger) -> dict[str, Any]:
    return {"rows_in": ledger.rows_in, "rows_out": ledger.rows_out, "drops": dict(ledger.drops)}


def _told(ledger: Ledger, drops_path: Path) -> str:
    """1,204 records: 1,003 documents, 201 dropped (120 too_short, 81 other_language), in FILE."""
    dropped = sum(ledger.drops.values())
    most_first = sorted(ledger.drops.items(), key=lambda drop: (-drop[1], drop[0]))
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in most_first)
    told = f"{ledger.rows_in:,} records: {ledger.rows_out:,} documents, {dropped:,} dropped"
    where = f", in {printable(drops_path)}" if ledger.rows_out else ""  # else stderr tells it
    return f"{told} ({reasons}){where}" if reasons else told


def _write(
    path: Path, tables: Iterable[Path], columns: Sequence[str], heartbeat: Callable[[], None]
) -> None:
    """Rows of Parquet files as JSON lines (plain, gzip, zstd) or Parquet, by the name's ending."""
    rows = _batches(tables, columns, heartbeat)
    if is_parquet(path):
        with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
            for batch in rows:
                writer.write_batch(batch)
    else:
        with packed(path, path.name) as lines:
            for row in (row for batch in rows for row in batch.to_pylist()):
                lines.write(msgspec.json.encode(row) + b"\n")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _batches(
    tables: Iterable[Path], columns: Sequence[str], heartbeat: Callable[[], None]
) -> Iterator[pa.RecordBatch]:
    for path in tables:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
                heartbeat()
                yield batch
