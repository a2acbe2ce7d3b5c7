"""Runs a step's missing parts with Apache Beam: the only file that imports it.

What crosses a Beam boundary are parts and Arrow batches, never single rows (a row through a
shuffle costs 46 us and 535 B). `local` is Beam's own FnApiRunner in memory: its threads only hand
parts on, the work happens in the worker pool. `dask` and any other engine run the same transforms
in processes of their own, on any machine that sees the store; each has a pool as the driver has.

A part that fails says so in the store (failures.py), and the others are asked to stop.
"""

import importlib
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import worker_pool_main
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor

from pipeline.engine.cluster import check_alike, dask_options, job_at_work, quieten, share_of
from pipeline.engine.exchange import Batches, from_bytes, read_batches, to_bytes
from pipeline.engine.pool import Pool
from pipeline.engine.stage import Part, Record
from pipeline.engine.store import Store
from pipeline.engine.task import Task, pool_of, run_part
from pipeline.engine.workers import DaskWorkers
from pipeline.errors import SettingsError
from pipeline.settings import EngineSettings

REFUSED = {
    "DirectRunner": "it may download another engine and switch to it by itself",
    "PrismRunner": "it downloads its engine when it starts",
    "BundleBasedDirectRunner": "it holds every row in memory",
}
QUEUED_PER_WORKER = 4
logging.getLogger("apache_beam").setLevel(logging.ERROR)


class RunParts(beam.PTransform):  # type: ignore[misc]
    """Parts, as planned, to the fingerprints of those that were done."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self._task = task

    def expand(self, parts: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return (
            parts
            | "Spread parts" >> beam.Reshuffle()
            | f"Run {self._task.label}" >> beam.ParDo(_DoPart(self._task))
        )


class ShuffleReduce(beam.PTransform):  # type: ignore[misc]
    """Map parts of an exchange to reduced buckets, by the runner's own shuffle."""

    def __init__(self, task: Task, parts: dict[int, Part]) -> None:
        super().__init__()
        self._task, self._parts = task, parts

    def expand(self, sources: beam.PCollection) -> beam.PCollection:  # noqa: D102
        return (
            sources
            | "Spread map parts" >> beam.Reshuffle()
            | "Cut into buckets" >> beam.ParDo(_SendBuckets(self._task.store, set(self._parts)))
            | "Bring equal keys together" >> beam.GroupByKey()
            | f"Reduce {self._task.label}" >> beam.ParDo(_ReduceBucket(self._task, self._parts))
        )


class _DoPart(beam.DoFn):  # type: ignore[misc]
    def __init__(self, task: Task) -> None:
        self._task = task

    def process(self, part: Part) -> Iterator[str]:
        yield from _guarded(self._task, part, None)


class _SendBuckets(beam.DoFn):  # type: ignore[misc]
    def __init__(self, store: Store, wanted: set[int]) -> None:
        self._store, self._wanted = store, wanted

    def process(self, source: tuple[str, Record]) -> Iterator[tuple[int, tuple[str, bytes]]]:
        name, record = source
        for bucket in sorted(self._wanted):
            where = record.buckets.get(str(bucket), [])
            for batch in read_batches(self._store, record.table, where):
                yield bucket, (name, to_bytes(batch))


class _ReduceBucket(beam.DoFn):  # type: ignore[misc]
    def __init__(self, task: Task, parts: dict[int, Part]) -> None:
        self._task, self._parts = task, parts

    def process(self, bucket: tuple[int, Iterable[tuple[str, bytes]]]) -> Iterator[str]:
        number, values = bucket
        batches = _ShuffledBatches(list(values))
        yield from _guarded(self._task, self._parts[number], batches)


@dataclass(frozen=True)
class _ShuffledBatches:
    values: list[tuple[str, bytes]]

    def __call__(self) -> Batches:
        for name, data in self.values:
            for batch in from_bytes(data):
                yield name, batch


# The pool of this process: parts find it here, since Beam copies what a DoFn holds. The driver
# sets it before a run; a worker of a distributed engine makes its own when it first needs one.
_pool: Pool | None = None
_in_driver = False  # whether this process is the driver, not a cluster's
_pool_lock = threading.Lock()


def _guarded(task: Task, part: Part, batches: _ShuffledBatches | None) -> Iterator[str]:
    try:
        if not _in_driver:
            check_alike(task)
        if _is_stopping(task):
            return
        pool = _pool_here(task)
        if pool is not None and batches is None and task.runs_in_worker:
            pool.run(run_part, task, part)
        else:
            run_part(task, part, batches=batches, pool=None if task.runs_in_worker else pool)
    except BaseException as error:  # noqa: BLE001 (raised again by the driver, with its type)
        task.fail(part, error, traceback.format_exc())
    else:
        yield part.fingerprint


_stops: dict[str, tuple[float, bool]] = {}  # by run: when this process last looked, what it saw


def _is_stopping(task: Task) -> bool:
    """Whether no new part should start, as of a short time ago: a part looks again as it starts."""
    looked_s, seen = _stops.get(task.run, (-math.inf, False))
    if time.monotonic() - looked_s >= task.store.patience_s:
        seen = task.stopping()
        _stops[task.run] = time.monotonic(), seen
    return seen


def _pool_here(task: Task) -> Pool | None:
    global _pool
    with _pool_lock:
        if _pool is None and not (_in_driver and task.runs_in_worker):
            _pool = pool_of(share_of(task.engine))
    return _pool


class Runner:
    """A Beam runner, pinned by the settings: a context manager.

    `pool` is the driver's, None where it does no part; `say` is told what people should know.
    """

    def __init__(
        self, engine: EngineSettings, pool: Pool | None, say: Callable[[str], object] = bool
    ) -> None:
        self.engine = engine
        self._pool = pool
        self._options = list(engine.runner_options)
        quieten(engine)
        if engine.runner == "dask":
            self._options += dask_options(engine)
        if engine.runner == "local":
            self._options.append("--direct_running_mode=in_memory")
            if any("multi_processing" in option for option in engine.runner_options):
                raise SettingsError(
                    "engine.runner_options asks for multi_processing, which takes three times the "
                    "memory and does not hear Ctrl-C; set engine.workers instead"
                )
        _runner_class(engine.runner)  # refuses early
        self._workers: DaskWorkers | None = None
        if engine.runner == "dask":
            from apache_beam.runners.dask.dask_runner import DaskOptions

            timeout_s = PipelineOptions(self._options).view_as(DaskOptions).timeout
            self._workers = DaskWorkers(engine.scheduler, timeout_s, say)

    def __enter__(self) -> "Runner":
        global _pool, _in_driver
        _pool, _in_driver = self._pool, True
        return self

    def __exit__(self, *_: object) -> None:
        global _pool, _in_driver
        _pool, _in_driver = None, False
        if self._workers:
            self._workers.close()

    def run(self, task: Task, parts: list[Part], sources: Mapping[str, Sequence[Record]]) -> None:
        """Do these parts; those that fail have told the task, those that stop have done nothing.

        `sources` are the map parts of an exchange, by input.
        """
        if self._workers:
            self._workers.wait(task)
            if task.stopping():
                return
        # Dask's own shuffle plans by map parts x map parts: 16 s for 300, before it starts.
        shuffle = self.engine.exchange == "shuffle" or (
            self.engine.exchange == "auto" and self.engine.runner not in ("local", "dask")
        )
        shuffle = shuffle and bool(sources)
        pipeline = beam.Pipeline(
            runner=_runner_class(self.engine.runner)(),
            options=PipelineOptions(self._options + self._in_flight(task, parts, shuffle)),
        )
        if shuffle:
            named = [(name, record) for name, found in sources.items() for record in found]
            numbered = {part.number: part for part in parts}
            done = pipeline | "Map parts" >> beam.Create(named)
            done | "Exchange" >> ShuffleReduce(task, numbered)
        else:
            done = pipeline | "Missing parts" >> beam.Create(parts)
            done | "Parts" >> RunParts(task)
        look = self._workers.look if self._workers else bool
        with job_at_work(task, pipeline, look) as job:
            job.wait_until_finish()
        if shuffle:
            # A bucket that got no row never came out of the shuffle; it is a part all the same.
            for part in parts:
                if not part.source.tables and not task.stopping():
                    list(_guarded(task, part, _ShuffledBatches([])))

    def _in_flight(self, task: Task, parts: list[Part], shuffle: bool) -> list[str]:
        """How many of Beam's threads hand out parts.

        It deals them out beforehand, so parts for workers get enough threads that the pool's queue,
        not the deal, decides which worker does the next one.
        """
        if self.engine.runner != "local":
            return []
        threads = self.engine.parts_in_flight
        if self._pool and task.runs_in_worker and not shuffle:
            threads = max(threads, min(len(parts), QUEUED_PER_WORKER * self._pool.workers))
        return [f"--direct_num_workers={threads}"]


_PINGS = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0)]  # Beam's


class _LoopbackWorkers(BeamFnExternalWorkerPoolServicer):  # type: ignore[misc]
    """What Beam's LOOPBACK starts in the driver, on loopback: Beam's own takes code from anybody.

    It listens on all of the machine's addresses.
    """

    @classmethod
    def start(cls, use_process: bool = False, **more: Any) -> tuple[str, Any]:
        """The address, and the server, which Beam stops."""
        server = worker_pool_main.grpc.server(
            thread_pool_executor.shared_unbounded_instance(), options=_PINGS
        )
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        workers = cls(use_process=use_process, **more)
        beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(workers, server)
        server.start()
        return address, server


def _runner_class(name: str) -> type:
    if name == "local":
        found: type = FnApiRunner
        return found
    if name == "dask":
        name = "apache_beam.runners.dask.dask_runner.DaskRunner"
    if name == "portable":
        worker_pool_main.BeamFnExternalWorkerPoolServicer = _LoopbackWorkers
        name = "apache_beam.runners.portability.portable_runner.PortableRunner"
    module, _, leaf = name.rpartition(".")
    if leaf in REFUSED:
        raise SettingsError(f"engine.runner {leaf} is refused: {REFUSED[leaf]}. Use local")
    try:
        found = getattr(importlib.import_module(module), leaf)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(
            f"engine.runner is {name!r}, which cannot be loaded ({error}); "
            "known: local, dask, portable, or the path of a class"
        ) from None
    return found
