"""What a ReduceStep's buckets read: their ranges of all map parts, joined where these are too many.

    20,000 map parts x 160 buckets are 3.2 million ranges; joined to 625 files, 100,000

A group of neighbouring map parts becomes one file, bucket by bucket: each of them is read once,
from its start to its end. Joined parts have records as all parts have, so a kill loses none. They
are made only where a bucket is missing, and go when the stage is published. A runner that shuffles
reads each map part once anyway: nothing is joined for it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from pipeline.engine import names
from pipeline.engine.digest import digest_of
from pipeline.engine.exchange import Exchange, shuffles
from pipeline.engine.parts import AnyPart, Committed, Part
from pipeline.engine.ranges import Bucket, MapPart, Place, places
from pipeline.engine.stage import Output, Step
from pipeline.engine.task import Task
from pipeline.engine.workplace import Workplace
from pipeline.engine.writer import PartWriter
from pipeline.errors import StageError

Group = tuple[MapPart, ...]
RANGES_MAX = 100_000  # that the buckets of a step read, all together
VERSION = 1  # of joined files


def with_ranges(
    build: Workplace, task: Task, missing: Sequence[AnyPart], inputs: Sequence[Output]
) -> list[AnyPart]:
    """The missing buckets of a ReduceStep, each with the ranges that it reads."""
    buckets = task.engine.buckets
    found: dict[int, list[Place]] = defaultdict(list)
    if not shuffles(task.engine):
        numbers = [part.number for part in missing]
        for name, parts in _joined(build, task, inputs).items():
            for part in parts:
                for number, place in places(name, part, numbers, buckets):
                    found[number].append(place)
    return [
        replace(part, source=Bucket(part.number, buckets, tuple(found[part.number])))
        for part in missing
    ]


def _joined(build: Workplace, task: Task, inputs: Sequence[Output]) -> dict[str, list[MapPart]]:
    """The map parts of each input, joined where buckets would read too many ranges."""
    found = {input.name: [part.map_part for part in input.parts if part.rows] for input in inputs}
    files_max = max(1, RANGES_MAX // task.engine.buckets)
    files = sum(map(len, found.values()))
    if files > files_max:
        size = -(-files // files_max)
        for name, parts in found.items():
            if len(parts) > 1:
                starts = range(0, len(parts), size)
                groups = [tuple(parts[start : start + size]) for start in starts]
                found[name] = _join(build, task, name, groups)
    return found


def _join(build: Workplace, task: Task, name: str, groups: Sequence[Group]) -> list[MapPart]:
    """Groups of an input's map parts to one each, by a step of its own in workers."""
    # A group is in as many buckets as each of its parts at least.
    buckets = min(task.engine.buckets, *(part.buckets for group in groups for part in group))
    step = Step(
        name=f"{task.step.name}.{name}",
        version=VERSION,
        plan=_planned_here,
        work=join,
        schema=task.schemas[name],
        exchange=Exchange(task.key),
    )
    parts = _plan(task.stage, step, groups, buckets)
    committed = _committed(build, task.stage, step, parts)
    done = {record.fingerprint for record in committed.in_order()}
    build.progress.begin(task.stage, step.name, parts, committed)
    if missing := [part for part in parts if part.fingerprint not in done]:
        engine = replace(task.engine, buckets=buckets)
        build.run_parts(replace(task, step=step, engine=engine, schemas={}), missing, {})
    records = committed.in_order()
    if len(records) < len(parts):
        raise StageError(
            f"{task.stage}: {step.name}: the runner ended without {len(parts) - len(records)} of "
            f"{len(parts)} parts. What is done is kept; run the same command to go on"
        )
    build.progress.end({})
    return [record.map_part for record in records]


def _plan(
    stage: str, step: Step[Group], groups: Sequence[Group], buckets: int
) -> list[Part[Group]]:
    own, parts, first = [stage, step.name, VERSION, buckets], [], 0
    for number, group in enumerate(groups):
        digest = digest_of([part.digest for part in group])
        label = f"map parts {first} to {first + len(group) - 1}"
        parts.append(Part(number, label, digest, group, digest_of([*own, digest])))
        first += len(group)
    return parts


def join(part: Part[Group], out: PartWriter) -> None:
    """A group of map parts to one."""
    for number, each in enumerate(part.source):
        out.heartbeat(f"map part {number}")
        out.join(each)


def _committed(
    build: Workplace, stage: str, step: Step[Group], parts: Sequence[AnyPart]
) -> Committed:
    """The records of joined parts, without those whose files are gone or cut."""
    store, committed = build.store, Committed(build.store, stage, step.name, parts)
    if not (records := committed.refresh()):
        return committed
    sizes = {entry.name: entry.bytes for entry in store.entries(names.DATA)}
    lost = [
        names.record(stage, step.name, record.fingerprint)
        for record in records
        if any(sizes.get(file.name) != file.bytes for file in record.files.values())
    ]
    store.remove(lost)
    return Committed(store, stage, step.name, parts) if lost else committed


def _planned_here(*inputs: object) -> list[AnyPart]:
    raise AssertionError("joined parts are planned from map parts")
