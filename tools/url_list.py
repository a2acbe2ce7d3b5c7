"""A plain list of the kept links' URLs, one a line: what other people's crawlers read.

    parts -> runs, sorted by link id -> one file, merged

The list is in the order of the links' ids, which come from the URLs alone, so equal links give an
equal file, whatever the parts and buckets were. Runs lie on disk: 45 million URLs (WebText's) are
4 GB, of which two runs at most are in memory.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.bucket_file import InputFile
from pipeline.engine.files import remove_tree, rename_durably
from pipeline.errors import SettingsError
from pipeline.links.group import KEPT
from pipeline.row_files import check_place
from tools.places import Place

RUN_ROWS = 1 << 20  # about 100 MB
BATCH_ROWS = 1 << 14


def check_target(target: Path, inputs: Sequence[InputFile], out: Place) -> None:
    """Raise SettingsError, before any work, for a place where the list cannot stand."""
    place = target.resolve()
    check_place("--urls", target)
    if place in {path.resolve() for path in inputs}:
        raise SettingsError(f"--urls {target} is one of the dumps; name another file")
    if isinstance(out, Path) and place.is_relative_to((out / "links").resolve()):
        raise SettingsError(f"--urls {target} lies in a folder that is replaced; name another file")
    target.parent.mkdir(parents=True, exist_ok=True)


def write_urls(
    parts: Iterable[Path], target: Path, heartbeat: Callable[[], None], run_rows: int = RUN_ROWS
) -> int:
    """Write the URLs of the kept links in these tables; how many. The file is whole or not there.

    `heartbeat` is called now and then, and may raise to stop.
    """
    scratch = target.with_name(f".{target.name}.aside")
    remove_tree(scratch)  # of a run that was killed
    scratch.mkdir()
    try:
        runs = list(_runs(parts, scratch, heartbeat, run_rows))
        count = 0
        with (scratch / "urls").open("w", encoding="utf-8", newline="\n") as file:
            for count, (_, url) in enumerate(heapq.merge(*map(_rows, runs)), 1):
                file.write(url + "\n")
                if count % BATCH_ROWS == 0:
                    heartbeat()
        rename_durably(scratch / "urls", target)
    finally:
        remove_tree(scratch)
    return count


def _runs(
    parts: Iterable[Path], scratch: Path, heartbeat: Callable[[], None], run_rows: int
) -> Iterator[Path]:
    """Files of so many kept links each, sorted by id."""
    waiting: list[pa.Table] = []
    number = rows = 0
    for links in _kept(parts):
        heartbeat()
        waiting.append(links)
        rows += links.num_rows
        if rows >= run_rows:
            yield _run(waiting, scratch / f"{number}.arrow")
            waiting, rows, number = [], 0, number + 1
    if rows:
        yield _run(waiting, scratch / f"{number}.arrow")


def _kept(parts: Iterable[Path]) -> Iterator[pa.Table]:
    for path in parts:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=["id", "url", "verdict"]):
                links = pa.Table.from_batches([batch])
                yield links.filter(pc.equal(links["verdict"], KEPT)).select(["id", "url"])


def _run(tables: Sequence[pa.Table], path: Path) -> Path:
    table = pa.concat_tables(tables).sort_by("id")
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=BATCH_ROWS)
    return path


def _rows(run: Path) -> Iterator[tuple[str, str]]:
    with pa.memory_map(str(run)) as source:
        reader = pa.ipc.open_file(source)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
