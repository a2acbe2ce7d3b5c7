"""What tests read of a build: a stage's tables, its dropped rows, its folder."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.engine.drops import read_drops
from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.parts import Record
from pipeline.engine.stage import Output
from pipeline.engine.store import Disk


def manifest_of(build: Path, stage: str) -> Manifest:
    """The manifest of a published stage."""
    manifest = read_manifest(Disk(build), stage)
    assert manifest is not None, f"{build} has no stage {stage}"
    return manifest


def folder_of(output: Output) -> Path:
    """Where people find a published stage."""
    return Path(output.store.place) / output.name


def path_of(output: Output, part: Record) -> Path:
    """The file of a part's table."""
    return output.store.local(part.table)


def tables_of(output: Output, columns: list[str] | None = None) -> list[pa.Table]:
    """The tables of its parts."""
    return [output.store.table(part.table, columns) for part in output.parts]


def rows_of(output: Output, columns: list[str] | None = None) -> list[dict[str, Any]]:
    """All rows."""
    return [row for table in tables_of(output, columns) for row in table.to_pylist()]


def drops_of(output: Output) -> list[dict[str, Any]]:
    """The dropped rows of a published stage's steps."""
    return drops_in(Path(output.store.place), output.name)


def drops_in(build: Path, stage: str) -> list[dict[str, Any]]:
    """The dropped rows of a stage of a build."""
    rows: list[dict[str, Any]] = read_drops(
        Disk(build), manifest_of(build, stage).all_parts
    ).to_pylist()
    return rows


def kept_paths(build: Path, stage: str, step: str) -> list[Path]:
    """The files of the rows that a step keeps."""
    record = manifest_of(build, stage).record_of(step)
    assert record is not None
    return [Disk(build).local(part.table) for part in record.parts]
