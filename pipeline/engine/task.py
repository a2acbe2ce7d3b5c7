"""One step at work: all that doing a part needs, in a form that travels to other processes."""

import pickle
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipeline.engine import exchange
from pipeline.engine.control import StopFlag, check_disk
from pipeline.engine.exchange import Batches, read_batches
from pipeline.engine.limits import Limits
from pipeline.engine.parts import PartInfo, PartStopped, PartWriter, sidecar_path
from pipeline.engine.pool import Pool
from pipeline.engine.stage import AnyStep, Part, ReduceStep
from pipeline.errors import WebtextError
from pipeline.settings import EngineSettings

Failure = tuple[str, Exception, str]  # the part's label, what it raised, the stack

# Failures of this process that the disk was too full to take, by step's folder.
_unwritten: dict[Path, list[Failure]] = defaultdict(list)


@dataclass(frozen=True)
class Task:
    """A step in its work folder. `sources` are the map parts that a ReduceStep reads, by input."""

    label: str
    step: AnyStep
    folder: Path
    engine: EngineSettings
    fingerprints: dict[int, str]  # by part number
    sources: dict[str, tuple[PartInfo, ...]] = field(default_factory=dict)
    schemas: dict[str, pa.Schema] = field(default_factory=dict)

    @property
    def runs_in_worker(self) -> bool:
        """Whether the whole part goes to a worker process."""
        return self.step.runs == "worker"

    @property
    def stop(self) -> StopFlag:
        """The build's request to stop: beside the work folders."""
        return StopFlag(self.folder.parent / "stop")

    @property
    def _failures(self) -> Path:
        return self.folder / ".aside" / "failures"

    def stopping(self) -> bool:
        """Whether no new part should start: asked to stop, or a part has failed."""
        failed = self.folder in _unwritten or any(self._failures.glob("*.pickle"))
        return failed or self.stop.is_set()

    def committed(self, part: Part) -> bool:
        """Whether the part exists. (Sidecars of another plan are removed before a step starts.)"""
        return sidecar_path(self.folder, part.number).exists()

    def fail(self, part: Part, error: BaseException, stack: str) -> None:
        """Tell the driver of a part's failure; the other parts see it and stop."""
        if isinstance(error, PartStopped):
            return
        if not isinstance(error, WebtextError | OSError):
            error = RuntimeError(f"{type(error).__name__}: {error}")
        failure = (part.label, error, stack)
        aside = self._failures / f"{part.number:05d}.aside"
        try:
            self._failures.mkdir(parents=True, exist_ok=True)
            aside.write_bytes(pickle.dumps(failure))
            aside.replace(aside.with_suffix(".pickle"))
        except OSError:
            _unwritten[self.folder].append(failure)

    def take_failures(self) -> list[Failure]:
        """Failures so far; those that are kept in memory are told once."""
        written = [pickle.loads(p.read_bytes()) for p in sorted(self._failures.glob("*.pickle"))]
        return written + _unwritten.pop(self.folder, [])


def pool_of(engine: EngineSettings) -> Pool:
    """A pool of workers as the settings have it; they import this module as they start."""
    limits = Limits(engine.item_cpu_s, engine.item_wall_s, engine.worker_memory_bytes)
    return Pool(engine.workers, limits, engine.worker_items, preload=(__name__,))


def run_part(
    task: Task,
    part: Part,
    *,
    batches: Callable[[], Batches] | None = None,
    pool: Pool | None = None,
) -> None:
    """Do one part and commit it. `batches`: a bucket's rows, if a shuffle brought them here."""
    check_disk(task.folder, task.engine.free_disk_min_bytes)
    step = task.step
    writer = PartWriter(
        task.folder,
        part,
        step.schema,
        fingerprint=task.fingerprints[part.number],
        exchange=step.exchange,
        buckets=task.engine.buckets,
        sampled_drops=step.sampled_drops,
        stopping=task.stopping,
        pool=pool,
    )
    try:
        writer.heartbeat()
        if isinstance(step, ReduceStep):
            _reduce(task, step, part, writer, batches or _FileBatches(task, part.number))
        else:
            step.work(part, writer)
        writer.commit()
    except BaseException:
        writer.abandon()
        raise


def _reduce(
    task: Task, step: ReduceStep, part: Part, writer: PartWriter, batches: Callable[[], Batches]
) -> None:
    size = sum(
        entry[2]
        for infos in task.sources.values()
        for info in infos
        for entry in info.buckets.get(str(part.number), [])
    )
    for tables in exchange.slices(
        batches, task.schemas, step.key, size, task.engine.bucket_bytes_max
    ):
        writer.heartbeat()
        step.reduce(tables, writer)


@dataclass(frozen=True)
class _FileBatches:
    task: Task
    bucket: int

    def __call__(self) -> Batches:
        for name, infos in self.task.sources.items():
            for info in infos:
                for batch in read_batches(info.path, info.buckets, self.bucket):
                    yield name, batch
