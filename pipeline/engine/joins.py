"""The map parts that a ReduceStep reads, joined where its buckets would read too many ranges.

    20,000 map parts x 160 buckets are 3.2 million ranges; joined to 625 files, 100,000

A group of neighbouring map parts becomes one file, bucket by bucket: each of them is read once,
from its start to its end. Joined parts have records as all parts have, so a kill loses none. They
are made only where a bucket is missing, and go when the stage is published. A runner that shuffles
reads each map part once anyway: nothing is joined for it.
"""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.engine import names
from pipeline.engine.digest import digest_of
from pipeline.engine.exchange import Exchange, shuffles
from pipeline.engine.parts import AnyPart, Committed, Part, Record, read_record
from pipeline.engine.stage import Output, Step
from pipeline.engine.task import Task
from pipeline.engine.workplace import Workplace
from pipeline.engine.writer import PartWriter
from pipeline.errors import StageError

RANGES_MAX = 100_000  # that the buckets of a step read, all together
VERSION = 1  # of joined files
Group = tuple[str, ...]  # the names of map parts' records


def with_map_parts(build: Workplace, task: Task, inputs: Sequence[Output]) -> Task:
    """The task of a ReduceStep with what it reads: made first, where map parts are joined."""
    found = {input.name: [part for part in input.parts if part.rows] for input in inputs}
    files_max = max(1, RANGES_MAX // task.engine.buckets)
    files = sum(map(len, found.values()))
    if files > files_max and not shuffles(task.engine):
        size = -(-files // files_max)
        found = {name: _joined(build, task, name, parts, size) for name, parts in found.items()}
    map_parts = {name: [part.map_part for part in parts] for name, parts in found.items()}
    return replace(task, map_parts=map_parts)


def _joined(
    build: Workplace, task: Task, name: str, map_parts: list[Record], size: int
) -> list[Record]:
    """An input's map parts, so many joined to one, by a step of its own."""
    if len(map_parts) < 2:
        return map_parts
    # A joined part is in as many buckets as each of its own at least.
    buckets = min(task.engine.buckets, *(part.map_part.buckets for part in map_parts))
    step = Step(
        name=f"{task.step.name}.{name}",
        version=VERSION,
        plan=_planned_here,
        work=join,
        schema=task.schemas[name],
        exchange=Exchange(task.key),
    )
    parts = _plan(task.stage, step.name, name, map_parts, size, buckets)
    committed = _committed(build, task.stage, step.name, parts)
    done = {record.fingerprint for record in committed.in_order()}
    build.progress.begin(task.stage, step.name, parts, committed)
    if missing := [part for part in parts if part.fingerprint not in done]:
        engine = replace(task.engine, buckets=buckets)
        build.run_parts(replace(task, step=step, engine=engine, schemas={}), missing)
    records = committed.in_order()
    if len(records) < len(parts):
        raise StageError(
            f"{task.stage}: {step.name}: the runner ended without {len(parts) - len(records)} of "
            f"{len(parts)} parts. What is done is kept; run the same command to go on"
        )
    build.progress.end({})
    return records


def _plan(
    stage: str, step: str, name: str, map_parts: Sequence[Record], size: int, buckets: int
) -> list[Part[Group]]:
    own = [stage, step, VERSION, buckets]
    parts: list[Part[Group]] = []
    for first in range(0, len(map_parts), size):
        group = map_parts[first : first + size]
        digest = digest_of([part.digest for part in group])
        label = f"map parts {first} to {first + len(group) - 1}"
        records = tuple(names.record(stage, name, part.fingerprint) for part in group)
        parts.append(Part(len(parts), label, digest, records, digest_of([*own, digest])))
    return parts


def join(part: Part[Group], out: PartWriter) -> None:
    """A group of map parts to one."""
    for name in part.source:
        out.heartbeat(name)
        record = read_record(out.store, name)
        if record is None:
            raise StageError(f"{name} is gone; run the same command to make its part again")
        out.join(record.map_part)


def _committed(build: Workplace, stage: str, step: str, parts: Sequence[AnyPart]) -> Committed:
    """The records of joined parts, without those whose files are gone or cut."""
    store, committed = build.store, Committed(build.store, stage, step, parts)
    if not (records := committed.refresh()):
        return committed
    sizes = {entry.name: entry.bytes for entry in store.entries(names.DATA)}
    lost = [
        names.record(stage, step, record.fingerprint)
        for record in records
        if any(sizes.get(file.name) != file.bytes for file in record.files.values())
    ]
    store.remove(lost)
    return Committed(store, stage, step, parts) if lost else committed


def _planned_here() -> list[AnyPart]:
    raise AssertionError("joined parts are planned from map parts")
