"""`webtext look`: the first rows of any file or folder of ours: no notebook is needed for them.

What a file is, its bytes say. Each kind gives tables, a table gives rows, and a row is a dict of
whole values; show_rows.py cuts them for people. Only what is shown is read: the first pages of a
Parquet file, the first documents of a token file.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.parts import DROPS
from pipeline.engine.store import Store
from pipeline.engine.stores import open_store
from pipeline.errors import InputError, SettingsError
from pipeline.lines import Lines
from pipeline.pages.warc import records
from tools.flow import SHOWN
from tools.look_tokens import documents_of, index_rows, is_tokens, tokenizer_rows
from tools.places import Place, Uri, above
from tools.runs import is_run
from tools.stores import builds_below, published_file

HEAD_BYTES = 1 << 12
JSON_BYTES_MAX = 64 << 20  # of a file that is read whole: manifests, a tokenizer.json
SAFETENSORS_HEADER_MAX = 100 << 20  # the format's own limit
Row = dict[str, Any]
Files = Mapping[str, Callable[[], pq.ParquetFile]]  # of Parquet, by the places that people know


@dataclass(frozen=True)
class Table:
    """Rows under a name; `count` is how many there are in all, None where that is not known.

    `note` says what else one should know of them, such as how many a stage kept.
    """

    name: str
    rows: Iterable[Row]
    count: int | None = None
    note: str = ""


def tables(path: Place, *, drops: bool = False) -> list[Table]:
    """What a file or folder holds; `drops` asks for the dropped rows of a stage or a build.

    Raises SettingsError for a path that is not there or holds nothing of ours, InputError for a
    damaged file, both when called or while rows are read.
    """
    if isinstance(path, Uri):
        return _in_bucket(path, drops)
    if not path.exists():
        raise SettingsError(f"{path}: no such file or folder; name one that webtext made")
    found = _of_folder(path, drops) if path.is_dir() else [_of_file(path)]
    if not found:
        raise _nothing(path, drops, "a build, a stage's folder, or a file")
    if drops and path.is_file():
        raise SettingsError(f"{path} is a file; --drops takes a build, or a stage's folder")
    return found


def _nothing(place: Place, drops: bool, wanted: str) -> SettingsError:
    what = "no dropped rows" if drops else "nothing that look knows"
    return SettingsError(f"{place} holds {what}{builds_below(place) or f'; name {wanted}'}")


def _in_bucket(uri: Uri, drops: bool) -> list[Table]:
    """The tables of a build, or of one of its stages: those that its manifests name."""
    store = open_store(uri)
    found = [table for name in SHOWN for table in _published(store, name, drops)]
    if not found:
        build, stage = above(uri)
        found = _published(open_store(build), stage, drops) if stage in SHOWN else []
    if not found:
        raise _nothing(uri, drops, "a build or a stage in the bucket")
    return found


def _published(store: Store, stage: str, drops: bool) -> list[Table]:
    """A published stage's rows: of tokens the table of their documents, of a tokenizer itself."""
    manifest = read_manifest(store, stage)
    if manifest is None:
        return []
    if drops:
        return _drops_of(store, manifest)
    if name := published_file(store, manifest, "tokenizer.json"):
        return [Table("tokenizer.json", tokenizer_rows(store.local(name)))]
    names = [part.table for part in manifest.parts if part.has_rows]
    table = _of_parquet(stage, _in_store(store, names))
    return [replace(table, note=_about_kept(manifest, table.count))] if names else []


def _in_store(store: Store, names: Iterable[str]) -> Files:
    return {f"{store.place}/{name}": partial(store.parquet, name) for name in names}


def _of_folder(folder: Path, drops: bool) -> list[Table]:
    if is_run(folder):
        return [_of_file(folder / name) for name in ("run.json", "log.jsonl")]
    stages = [folder / name for name in SHOWN if (folder / name).is_dir()]
    if stages:
        shown = stages if drops else list(filter(_holds_rows, stages))
        return [table for stage in shown for table in _of_stage(stage, drops)]
    return _of_stage(folder, drops)


def _holds_rows(stage: Path) -> bool:
    """Whether more than manifests is there: `webtext shards` copies no texts into its corpus."""
    return any(path.is_file() and path.suffix != ".json" for path in stage.iterdir())


def _of_stage(folder: Path, drops: bool) -> list[Table]:
    manifest = _manifest_of(folder)
    if drops:
        return _drops_of(open_store(folder.absolute().parent), manifest) if manifest else []
    if (folder / "shards.json").exists():
        files = sorted(folder.glob("*_*.bin"))
        rows = (row for file in files for row in documents_of(file))
        return [Table(folder.name, rows, _documents(folder / "shards.json"))]
    if (folder / "tokenizer.json").exists():
        return [_of_file(folder / "tokenizer.json")]
    files = sorted(folder.glob("*.parquet"))
    if files:
        table = _of_parquet(folder.name, _here(files))
        return [replace(table, note=_about_kept(manifest, table.count))]
    names = ("*.bin", "*.jsonl", "*.safetensors", "*.json")
    return [_of_file(path) for name in names for path in sorted(folder.glob(name))]


def _manifest_of(stage: Path) -> Manifest | None:
    return read_manifest(open_store(stage.absolute().parent), stage.absolute().name)


def _drops_of(store: Store, manifest: Manifest) -> list[Table]:
    names = (part.file(DROPS) for part in manifest.all_parts if DROPS in part.files)
    table = _of_parquet(f"drops of {manifest.stage}", _in_store(store, names))
    return [replace(table, note=_about_drops(manifest, table.count))]


def _about_kept(manifest: Manifest | None, rows: int | None) -> str:
    """Links and pages have rows of those that were dropped too, which a column tells."""
    ledger = manifest.ledgers.get(manifest.unit) if manifest else None
    return f"{ledger.rows_out:,} of them kept" if ledger and ledger.rows_out != rows else ""


def _about_drops(manifest: Manifest, rows: int | None) -> str:
    """What was dropped, by unit, where that is not the number of rows."""
    counts = {unit: led.dropped for unit, led in manifest.ledgers.items() if led.dropped}
    if len(counts) < 2 and sum(counts.values()) == rows:
        return ""
    told = ", ".join(f"{count:,} {unit}" for unit, count in counts.items())
    return f"examples of {told}" if sum(counts.values()) != rows else told


def _documents(about: Path) -> int:
    splits = _object(about)["splits"].values()
    return sum(int(split["documents"]) for split in splits)


def _of_file(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(path, "", f"cannot be read: {error.strerror}", "Check it.") from None
    if head.startswith(b"PAR1"):
        return _of_parquet(path.name, _here([path]))
    if head.startswith(b"WTIDX"):
        return Table(path.name, index_rows(path))
    if is_tokens(path, head):
        return Table(path.name, documents_of(path))
    if path.suffix == ".safetensors":
        return Table(path.name, _tensors(path))
    if path.suffix in (".json", ".safetensors"):
        return Table(path.name, _of_json(path))
    if path.name.endswith((".warc", ".warc.gz", ".warc.zst")) or head.startswith(b"WARC/"):
        return Table(path.name, _records(path))
    return Table(path.name, _lines(path))


def _here(paths: Iterable[Path]) -> Files:
    return {str(path): partial(pq.ParquetFile, path) for path in paths}


def _of_parquet(name: str, files: Files) -> Table:
    count = 0
    for place, opened in files.items():
        with _damage_told(place), opened() as file:
            count += file.metadata.num_rows
    rows = (row for place, opened in files.items() for row in _parquet_rows(place, opened))
    return Table(name, rows, count)


def _parquet_rows(place: str, opened: Callable[[], pq.ParquetFile]) -> Iterator[Row]:
    with _damage_told(place), opened() as file:
        for batch in file.iter_batches(16):
            yield from batch.to_pylist()


@contextmanager
def _damage_told(place: str) -> Iterator[None]:
    try:
        yield
    except pa.ArrowException as error:
        mend = "Name another, or make it again."
        raise InputError(place, "", f"damaged Parquet ({error})", mend) from None


def _lines(path: Path) -> Iterator[Row]:
    """Lines as their objects, and those that are none as {"line"}; packed or plain."""
    with Lines(path, accept_torn=True) as lines:
        for number, line in enumerate(lines):
            if number == 0 and line.startswith(b"WARC/"):  # packed, under another name
                yield from _records(path)
                return
            if number == 0 and b"\0" in line:
                mend = "Name a table, lines, tokens or a manifest of webtext."
                raise InputError(path, "", "a binary file that look does not know", mend)
            text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            try:
                row = json.loads(text)
            except (ValueError, RecursionError):
                row = None
            yield row if isinstance(row, dict) else {"line": text}
    if lines.torn:
        yield {"fault": lines.torn}


def _of_json(path: Path) -> Iterator[Row]:
    """The rows of a JSON file: its one object, each of a list, or the entries of a tokenizer."""
    value = _object(path)
    if _is_tokenizer(value):
        yield from tokenizer_rows(path)
    elif isinstance(value, list):
        yield from (row if isinstance(row, dict) else {"value": row} for row in value)
    else:
        yield value if isinstance(value, dict) else {"value": value}


def _is_tokenizer(value: Any) -> bool:
    model = value.get("model") if isinstance(value, dict) else None
    return isinstance(model, dict) and "merges" in model


def _object(path: Path) -> Any:
    if path.stat().st_size > JSON_BYTES_MAX:
        raise InputError(path, "", "too large to be read as one JSON value", "Write it as lines.")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(path, "", f"not valid JSON: {error}", "Write it again.") from None


def _tensors(path: Path) -> Iterator[Row]:
    """The tensors of weights, by the header alone: its length in 8 bytes, then JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, SAFETENSORS_HEADER_MAX))
    try:
        header = json.loads(text)
        found = [
            {"tensor": name, "dtype": about["dtype"], "shape": about["shape"]}
            for name, about in header.items()
            if name != "__metadata__"
        ]
    except (ValueError, TypeError, KeyError) as error:
        told = f"it has no header of weights ({error})"
        raise InputError(path, "byte 8", told, "Save it again.") from None
    yield from found


def _records(path: Path) -> Iterator[Row]:
    for record in records(path, accept_torn=True):
        yield {
            "offset": record.offset,
            "length": record.length,
            "type": record.kind,
            "url": record.headers.get("warc-target-uri", ""),
            "date": record.headers.get("warc-date", ""),
            "fault": record.fault,
        }


def first(table: Table, rows: int) -> Iterator[Row]:
    """The first rows of a table; 0 takes all."""
    return islice(table.rows, min(rows, sys.maxsize) or None)


def plain(value: Any) -> Any:
    """The value with null for each number that JSON has not: NaN and the infinities."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def titled(table: Table, shown: int) -> str:
    """What stands above the rows of a table."""
    if table.count == 0:
        return f"{table.name}: none"
    note = f", {table.note}" if table.note else ""
    if table.count is None or table.count == shown:
        return f"{table.name}{note}"
    return f"{table.name}: {shown:,} of {table.count:,} rows{note}"
