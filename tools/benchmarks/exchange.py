"""Synthetic links deduplicated by key, through both transports of the exchange.

    python -m tools.benchmarks.exchange [--rows 5000000] [--transports files shuffle] [--json]
    python -m tools.benchmarks.exchange --map-parts 100 20000 --buckets 256

The second form is about many small map parts: how many files and ranges are read, and how much
memory the driver takes.
"""

import argparse
import json
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.build import Build
from pipeline.engine.parts import AnyPart
from pipeline.engine.ranges import MapPart, places
from pipeline.engine.stage import Exchange, Part, PartWriter, ReduceStep, Stage, Step
from pipeline.engine.task import Task
from pipeline.settings import EngineSettings
from tools.benchmarks.measure import measure, show

SCHEMA = pa.schema(
    [("key", pa.string()), ("url", pa.string()), ("karma", pa.int64()), ("posts", pa.int64())]
)
PART_ROWS = 500_000
BATCH_ROWS = 50_000
FEW_ROWS = 20
KEYS_PER_ROW = 0.9  # drawn at random: three of five rows have a key of their own


def main(words: Sequence[str] | None = None) -> None:
    """Print the table, or with --json all that was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--transports", nargs="*", default=["files", "shuffle"])
    parser.add_argument("--map-parts", type=int, nargs="*", help="so many parts of 20 rows")
    parser.add_argument("--buckets", type=int, default=256, help="with --map-parts")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    if options.map_parts:
        show_many(options.map_parts, options.buckets)
        return
    found = {}
    for transport in options.transports:
        with tempfile.TemporaryDirectory() as folder:
            found[transport] = measure(
                "tools.benchmarks.exchange:run", folder, transport, options.rows
            )
    if options.json:
        print(json.dumps({name: asdict(usage) for name, usage in found.items()}, indent=1))
        return
    show(
        ["transport", "seconds", "CPU-s", "largest process MB", "tree MB", "rows", "digest"],
        [
            [
                transport,
                f"{usage.wall_s:.1f}",
                f"{usage.cpu_s:.1f}",
                f"{usage.process_bytes / 1e6:.0f}",
                f"{usage.tree_bytes / 1e6:.0f}",
                f"{usage.result['rows']:,}",
                usage.result["digest"],
            ]
            for transport, usage in found.items()
        ],
    )


def show_many(map_parts: Sequence[int], buckets: int) -> None:
    """Print what many map parts cost."""
    rows = []
    for parts in map_parts:
        with tempfile.TemporaryDirectory() as folder:
            usage = measure("tools.benchmarks.exchange:many", folder, parts, buckets)
        cost = f"{usage.wall_s:.1f}", f"{usage.cpu_s:.1f}", f"{usage.tree_bytes / 1e6:.0f}"
        rows.append([f"{parts:,} x {buckets}", *cost, *map(str, usage.result.values())])
    columns = ("seconds", "CPU-s", "tree MB", "driver MB", "files", "ranges read", "digest")
    show(["map parts x buckets", *columns], rows)


def many(folder: str, map_parts: int, buckets: int) -> dict[str, object]:
    """Group rows of so many map parts; memory of the driver, files and ranges that were read."""
    read = Step("read", 1, partial(_plan_few, map_parts), few, SCHEMA, exchange=Exchange("key"))
    steps = (read, ReduceStep("group", 1, "key", group, SCHEMA, (read,)))
    settings = EngineSettings(exchange="files", buckets=buckets, free_disk_min_bytes=0)
    with _Seen(Path(folder), settings, quiet=True) as build:
        digest = build.run(Stage("links", "posts", steps)).digest
    driver_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    ranges = sum(len(list(places(part, range(buckets), buckets))) for part in build.read)
    return {"driver": driver_mb, "files": len(build.read), "ranges": ranges, "digest": digest}


class _Seen(Build):
    """A build that keeps what its ReduceStep reads."""

    read: Sequence[MapPart] = ()

    def run_parts(self, task: Task, parts: list[AnyPart]) -> None:
        """Look, and do as ever."""
        self.read = task.map_parts.get("read", ())
        super().run_parts(task, parts)


def _plan_few(map_parts: int) -> list[Part[int]]:
    return [Part(number, f"part {number}", str(number), number) for number in range(map_parts)]


def few(part: Part[int], out: PartWriter) -> None:
    """A part of a few rows."""
    out.write(links(part.source * FEW_ROWS, (part.source + 1) * FEW_ROWS, 10 * FEW_ROWS))
    out.book("posts", rows_in=FEW_ROWS, rows_out=FEW_ROWS)


def run(folder: str, transport: str, rows: int) -> dict[str, object]:
    """Deduplicate so many links by this transport: rows out, digest."""
    settings = EngineSettings(exchange=transport, free_disk_min_bytes=0)  # type: ignore[arg-type]
    read = Step("read", 1, partial(_plan, rows), Read(rows), SCHEMA, exchange=Exchange("key"))
    stage = Stage("links", "posts", (read, ReduceStep("group", 1, "key", group, SCHEMA, (read,))))
    with Build(Path(folder), settings, quiet=True) as build:
        output = build.run(stage)
    return {"rows": output.ledgers["posts"].rows_out, "digest": output.digest}


@dataclass(frozen=True)
class Links:
    """The links of a part, from this number on."""

    start: int


def _plan(rows: int) -> list[Part[Links]]:
    return [
        Part(number, f"part {number}", str(start), Links(start))
        for number, start in enumerate(range(0, rows, PART_ROWS))
    ]


@dataclass(frozen=True)
class Read:
    """Makes up a part's links."""

    rows: int

    def __call__(self, part: Part[Links], out: PartWriter) -> None:
        """Write them batch by batch, as the stage links does."""
        start = part.source.start
        end = min(start + PART_ROWS, self.rows)
        for first in range(start, end, BATCH_ROWS):
            out.write(links(first, min(first + BATCH_ROWS, end), self.rows))
            out.heartbeat()
        out.book("posts", rows_in=end - start, rows_out=end - start)


def links(start: int, end: int, rows: int) -> pa.Table:
    """Rows of links by their numbers: the same for every transport."""
    random = np.random.default_rng(start)
    pages = random.integers(0, int(rows * KEYS_PER_ROW), end - start).tolist()
    keys = pa.array([f"host-{page % 9973}.example.com/articles/{page:012d}" for page in pages])
    return pa.table(
        {
            "key": keys,
            "url": pc.binary_join_element_wise("https://www.", keys, ""),
            "karma": random.integers(0, 500, end - start),
            "posts": np.ones(end - start, np.int64),
        },
        schema=SCHEMA,
    )


def group(table: pa.Table, out: PartWriter) -> None:
    """Links by key: the first URL, the highest karma, the number of posts."""
    starts = np.zeros(0, np.int64)
    if table.num_rows:
        changes = pc.not_equal(table["key"].slice(1), table["key"].slice(0, table.num_rows - 1))
        starts = np.flatnonzero(np.append(True, changes.to_numpy()))
        firsts = table.select(["key", "url"]).take(starts)
        karma = np.maximum.reduceat(table["karma"].to_numpy(), starts)
        posts = np.add.reduceat(table["posts"].to_numpy(), starts)
        out.write(firsts.append_column("karma", [karma]).append_column("posts", [posts]))
    merged = table.num_rows - len(starts)
    out.book("posts", rows_in=table.num_rows, rows_out=len(starts), merged=merged)


if __name__ == "__main__":
    main()
