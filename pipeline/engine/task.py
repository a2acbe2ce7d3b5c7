"""One step at work: all that doing a part needs, in a form that travels to other processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.engine import failures, names
from pipeline.engine.control import StopRequest, check_disk
from pipeline.engine.exchange import Batches, slices
from pipeline.engine.failures import Failure
from pipeline.engine.limits import Limits
from pipeline.engine.memory import give_back
from pipeline.engine.parts import AnyPart
from pipeline.engine.pool import Pool
from pipeline.engine.ranges import Bucket, MapPart
from pipeline.engine.stage import AnyStep, ReduceStep, Step
from pipeline.engine.store import Store
from pipeline.engine.writer import PartStopped, PartWriter
from pipeline.settings import EngineSettings


@dataclass(frozen=True)
class Task:
    """A step of a stage, in one run.

    The step has neither plan nor inputs here: these concern the driver alone. Of a ReduceStep
    `schemas` are those of its inputs, in their order, and `map_parts` what it reads of them.
    """

    stage: str
    step: AnyStep
    store: Store
    engine: EngineSettings
    run: str
    driver: dict[str, str] = field(default_factory=dict)  # what workers must have alike
    libraries: dict[str, str] = field(default_factory=dict)  # of the step, which they must have too
    schemas: Mapping[str, pa.Schema] = field(default_factory=dict)
    map_parts: Mapping[str, Sequence[MapPart]] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The step as people know it."""
        return f"{self.stage}: {self.step.name}"

    def bucket(self, part: AnyPart) -> Bucket:
        """What a part of a ReduceStep reduces."""
        return Bucket(part.number, self.engine.buckets, self.key, self.schemas)

    @property
    def key(self) -> str:
        """The column by which the rows of a ReduceStep come together."""
        assert isinstance(self.step, ReduceStep)
        return self.step.key

    @property
    def runs_in_worker(self) -> bool:
        """Whether the whole part goes to a worker process."""
        return self.step.runs == "worker"

    @property
    def stop(self) -> StopRequest:
        """The run's request to stop."""
        return StopRequest(self.store, self.run)

    def stopping(self) -> bool:
        """Whether no new part should start: asked to stop, or a part has failed."""
        return failures.any_unwritten(self.run) or self.stop.is_made()

    def fail(self, part: AnyPart, error: BaseException, stack: str) -> None:
        """Tell the driver of a part's failure; the other parts see it and stop."""
        if isinstance(error, PartStopped):
            return
        told = error if isinstance(error, Exception) else RuntimeError(repr(error))
        name = f"{part.fingerprint}-{names.new_attempt()}"
        failures.tell(self.store, self.run, name, Failure(part.label, told, stack))
        self.stop.make("a part failed")


def pool_of(engine: EngineSettings, step: AnyStep | None = None) -> Pool:
    """A pool of workers as the settings have it; they share this module and what the step loads."""
    limits = Limits(engine.item_cpu_s, engine.item_wall_s, engine.worker_memory_bytes)
    return Pool(engine.workers, limits, engine.worker_items, preload=_shared(step))


def renew_workers(pool: Pool, step: AnyStep) -> None:
    """Go on with workers that are as small as they begin, and share what this step loads."""
    pool.replace_workers(_shared(step))
    give_back()


def _shared(step: AnyStep | None) -> tuple[str, ...]:
    return (__name__, *(step.shared if isinstance(step, Step) else ()))


def run_part(
    task: Task,
    part: AnyPart,
    *,
    batches: Batches | None = None,
    pool: Pool | None = None,
) -> None:
    """Do one part and commit it. `batches`: a bucket's rows, if a shuffle brought them here."""
    task.store.scratch.mkdir(parents=True, exist_ok=True)
    check_disk(task.store.scratch, task.engine.free_disk_min_bytes)
    step = task.step
    writer = PartWriter(
        task.store,
        task.stage,
        step.name,
        part,
        step.schema,
        run=task.run,
        exchange=step.exchange,
        buckets=task.engine.buckets,
        sampled_drops=step.sampled_drops,
        content=step.content,
        stopping=task.stopping,
        pool=pool,
    )
    try:
        writer.heartbeat()
        if isinstance(step, ReduceStep):
            _reduce(task, step, part, writer, batches)
        else:
            step.work(part, writer)
        writer.commit()
    except BaseException:
        writer.abandon()
        raise
    finally:
        give_back()


def _reduce(
    task: Task,
    step: ReduceStep,
    part: AnyPart,
    writer: PartWriter,
    batches: Batches | None,
) -> None:
    if batches is None:
        batches = task.bucket(part).read(task.store, task.map_parts)
    bytes_max = task.engine.bucket_bytes_max
    for tables in slices(batches, task.schemas, step.key, bytes_max, writer.scratch):
        writer.heartbeat()
        step.reduce(*tables.values(), out=writer)
