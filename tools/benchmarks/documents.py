"""Pages per CPU-second of the stage `documents`, beside a plain trafilatura loop.

    python -m tools.benchmarks.documents pages-*.warc.gz [--every 4] [--rounds 3]

The plain loop is what one writes first: fastwarc's records, `trafilatura.extract(body,
include_comments=False)`. The stage reads the same records through the engine, with all its guards,
cleaning, language, title and date, in one worker process. Both sides run at the same time, each in
processes of its own, so that what else the machine does weighs on both.

Two figures for the stage: the CPU time of its parts (driver and items, as the records book it;
loading the language model is in it, once a worker), and that of the whole process tree with all
that it takes to start (Beam, imports), which a long run spreads over many pages. Records whose body
is chunked or compressed are left out: the plain loop cannot read them.
"""

import argparse
import json
import logging
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import trafilatura
from fastwarc.warc import ArchiveIterator, WarcRecordType

from pipeline.documents.stage import documents_stage
from pipeline.engine.build import Build
from pipeline.engine.stage import Part, PartWriter, Stage, Step
from pipeline.inputs import input_names
from pipeline.pages.warc import records
from pipeline.records import PAGE
from pipeline.settings import DocumentsSettings, EngineSettings

ENCODINGS = ("content-encoding", "transfer-encoding")


def plain_bodies(warcs: list[Path], every: int) -> Iterator[tuple[Path, int, bytes]]:
    """File, offset and body of every so many-th page whose body is neither packed nor empty."""
    number = 0
    for path in warcs:
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                headers = {name.lower() for name, _ in record.http_headers.items()}
                if "html" not in (record.http_content_type or "") or headers & {*ENCODINGS}:
                    continue
                number += 1
                if number % every == 0:
                    yield path, record.stream_pos, record.reader.read()


def run_plain(warcs: list[Path], every: int) -> dict[str, float]:
    """Pages, kept pages and CPU seconds of the plain loop."""
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    trafilatura.extract("<html><body><p>Warm up.</p></body></html>")
    pages = kept = 0
    started_s = time.process_time()
    for _, _, body in plain_bodies(warcs, every):
        pages += 1
        kept += bool(trafilatura.extract(body, include_comments=False))
    return {"pages": pages, "kept": kept, "cpu_s": time.process_time() - started_s}


@dataclass(frozen=True)
class Captured:
    """Stands in for the stage `pages`: every record that the plain loop reads too."""

    warcs: tuple[Path, ...]
    every: int

    def __call__(self, part: Part[None], out: PartWriter) -> None:
        """One row a record."""
        names = {path: name for name, path in input_names(self.warcs).items()}
        lengths = {
            (path, found.offset): found.length for path in self.warcs for found in records(path)
        }
        rows: list[dict[str, Any]] = [
            {
                **dict.fromkeys(PAGE.names),
                **{"id": f"{offset:032x}", "url": "http://example.com/", "outcome": "captured"},
                **{"final_url": "http://example.com/", "warc": names[path.absolute()]},
                **{"offset": offset, "length": lengths[path, offset]},
            }
            for path, offset, _ in plain_bodies(list(self.warcs), self.every)
        ]
        out.write_rows(rows)
        out.book("links", rows_in=len(rows), rows_out=len(rows))


def run_stage(warcs: list[Path], every: int) -> dict[str, float]:
    """Pages, kept pages and CPU seconds of the stage: of its parts, and of all its processes."""
    step: Step[None] = Step(
        "pages",
        1,
        lambda: [Part(0, "all", "0")],
        Captured(tuple(warcs), every),
        PAGE,
        runs="items",
    )
    engine = EngineSettings(workers=1, free_disk_min_bytes=0)
    with tempfile.TemporaryDirectory() as folder:
        with Build(Path(folder), engine, quiet=True) as build:
            build.run(Stage("pages", "links", (step,), gives="pages"))
            before_s = tree_cpu_s()
            rules = DocumentsSettings(languages=())  # the plain loop keeps all languages too
            output = build.run(documents_stage(rules, input_names(warcs), build.files.digest))
        parts = output.parts
        return {
            "pages": sum(info.ledgers["pages"].rows_in for info in parts),
            "kept": sum(info.rows for info in parts),
            "cpu_s": sum(info.cpu_s for info in parts),
            "tree_cpu_s": tree_cpu_s() - before_s,
        }


def tree_cpu_s() -> float:
    """CPU seconds of this process and of those children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(args: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """Run both sides at the same time, each in a process of its own."""
    sides = []
    for side in ("plain", "stage"):
        command = [sys.executable, "-m", "tools.benchmarks.documents", "--side", side]
        command += ["--every", str(args.every), *map(str, args.warcs)]
        sides.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    plain, stage = (json.loads(side.communicate()[0].splitlines()[-1]) for side in sides)
    return plain, stage


def main() -> None:
    """Print one line a round, and the median ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("warcs", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=4, help="take every so many-th page")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["plain", "stage"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        run = run_plain if args.side == "plain" else run_stage
        print(json.dumps(run(args.warcs, args.every)))
        return
    print("pages    plain loop         documents          ratio   with all starts")
    ratios = []
    for _ in range(args.rounds):
        plain, stage = measure(args)
        ratios.append(plain["cpu_s"] / stage["cpu_s"])
        both = (
            f"{side['cpu_s']:6.1f} s {side['pages'] / side['cpu_s']:5.1f}/s"
            for side in (plain, stage)
        )
        print(
            f"{stage['pages']:5.0f}",
            *both,
            f"{ratios[-1]:.2f}  {stage['tree_cpu_s']:8.1f} s",
            sep="   ",
        )
    print(f"median ratio {median(ratios):.2f} (goal 0.9)")


if __name__ == "__main__":
    main()
