"""Runs a step's missing parts with Apache Beam: the only file that imports it.

What crosses a Beam boundary are parts and Arrow batches, never single rows (a row through a
shuffle costs 46 us and 535 B). `local` is Beam's own FnApiRunner in memory. It deals elements out
to its threads beforehand, so there all parts are one element, and threads of ours take the next one
when they are free (see BENCHMARKS.md, Engine); the work happens in the worker pool. `dask` and any
other engine run the same transforms in processes of their own, on any machine that sees the store;
each has a pool as the driver has.

A part that fails says so in the store (failures.py), and the others are asked to stop.
"""

import importlib
import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import worker_pool_main
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer
from apache_beam.utils import thread_pool_executor

from pipeline.engine.cluster import check_alike, dask_options, job_at_work, quieten, share_of
from pipeline.engine.exchange import Batches, shuffles
from pipeline.engine.parts import AnyPart
from pipeline.engine.pool import Pool
from pipeline.engine.ranges import Bucket, MapPart, places, read_range
from pipeline.engine.task import Task, pool_of, run_part
from pipeline.engine.workers import DaskWorkers
from pipeline.errors import SettingsError
from pipeline.settings import EngineSettings

REFUSED = {
    "DirectRunner": "it may download another engine and switch to it by itself",
    "PrismRunner": "it downloads its engine when it starts",
    "BundleBasedDirectRunner": "it holds every row in memory",
}
QUEUED_PER_WORKER = 2  # parts: one at work, and one that waits for it to end
# Of the local runner: Beam copies an element some times before it is begun.
PARTS_PER_JOB = 1_000
_Cell = tuple[str, bytes, bool]  # input, cell, whether it has no rows of other buckets
logging.getLogger("apache_beam").setLevel(logging.ERROR)


class DoParts(beam.PTransform):  # type: ignore[misc]
    """A step: its missing parts, each done where a worker is free.

    `threads` do them, all in one process; with None the runner spreads them over its own.
    """

    def __init__(self, task: Task, parts: Sequence[AnyPart], threads: int | None) -> None:
        super().__init__()
        self._task, self._parts, self._threads = task, parts, threads

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:  # noqa: D102
        do = beam.ParDo(_DoParts(self._task, self._threads))
        if self._threads:
            return pipeline | "Missing parts" >> beam.Create([self._parts]) | "Do" >> do
        alone = [[part] for part in self._parts]
        return (
            pipeline
            | "Missing parts" >> beam.Create(alone)
            | "Spread" >> beam.Reshuffle()
            | "Do" >> do
        )


class ShuffleParts(beam.PTransform):  # type: ignore[misc]
    """A ReduceStep: the map parts that it reads, brought together by the runner's own shuffle."""

    def __init__(self, task: Task, parts: Sequence[AnyPart]) -> None:
        super().__init__()
        self._task, self._parts = replace(task, map_parts={}), {part.number: part for part in parts}
        self._map_parts: list[tuple[str, MapPart | None]] = [("", None)]  # see _SendBuckets
        self._map_parts += [
            (name, part) for name in task.map_parts for part in task.map_parts[name]
        ]

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:  # noqa: D102
        return (
            pipeline
            | "Map parts" >> beam.Create(self._map_parts)
            | "Spread" >> beam.Reshuffle()
            | "Cut into buckets" >> beam.ParDo(_SendBuckets(self._task, self._parts))
            | "Bring equal keys together" >> beam.GroupByKey()
            | "Reduce" >> beam.ParDo(_ReduceBucket(self._task, self._parts))
        )


class _DoParts(beam.DoFn):  # type: ignore[misc]
    def __init__(self, task: Task, threads: int | None) -> None:
        self._do, self._threads = partial(_guarded, task, batches=None), threads

    def process(self, parts: Any) -> Iterator[str]:  # Beam's type checks know no generic class
        if not self._threads:  # a thread of the runner's own, by which Dask knows its worker
            for part in parts:
                yield from self._do(part)
            return
        with ThreadPoolExecutor(self._threads, "part") as threads:
            for done in threads.map(self._do, parts):
                yield from done


class _SendBuckets(beam.DoFn):  # type: ignore[misc]
    def __init__(self, task: Task, wanted: Iterable[int]) -> None:
        self._task, self._wanted = task, sorted(wanted)

    def process(self, source: tuple[str, MapPart | None]) -> Iterator[tuple[int, _Cell | None]]:
        name, part = source
        if part is None:  # a bucket without rows is a part too
            yield from ((number, None) for number in self._wanted)
            return
        for number, place in places(part, self._wanted, self._task.engine.buckets):
            for cell in read_range(self._task.store, place):
                yield number, (name, cell.to_pybytes(), place.whole)


class _ReduceBucket(beam.DoFn):  # type: ignore[misc]
    def __init__(self, task: Task, parts: dict[int, AnyPart]) -> None:
        self._task, self._parts = task, parts

    def process(self, bucket: tuple[int, Iterable[_Cell | None]]) -> Iterator[str]:
        number, cells = bucket
        part = self._parts[number]
        yield from _guarded(self._task, part, _rows(self._task.bucket(part), cells))


def _rows(bucket: Bucket, cells: Iterable[_Cell | None]) -> Batches:
    for name, cell, whole in filter(None, cells):
        yield from bucket.rows_of(name, pa.py_buffer(cell), whole)


# The pool of this process: parts find it here, since Beam copies what a DoFn holds. The driver
# sets it before a run; a worker of a distributed engine makes its own when it first needs one.
_pool: Pool | None = None
_in_driver = False  # whether this process is the driver, not a cluster's
_pool_lock = threading.Lock()


def _guarded(task: Task, part: AnyPart, batches: Batches | None) -> list[str]:
    """The fingerprint of a part that was done; a failure is told to the driver by the store."""
    try:
        if not _in_driver:
            check_alike(task)
        if _is_stopping(task):
            return []
        pool = _pool_here(task)
        if pool is not None and batches is None and task.runs_in_worker:
            pool.run(run_part, task, part)
        else:
            run_part(task, part, batches=batches, pool=None if task.runs_in_worker else pool)
    except BaseException as error:  # noqa: BLE001 (raised again by the driver, with its type)
        task.fail(part, error, traceback.format_exc())
        return []
    return [part.fingerprint]


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
            shuffling = f"--direct_num_workers={engine.parts_in_flight}"
            self._options += ["--direct_running_mode=in_memory", shuffling]
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

    def run(self, task: Task, parts: list[AnyPart]) -> None:
        """Do these parts; those that fail have told the task, those that stop have done nothing."""
        if self._workers:
            self._workers.wait(task)
        shuffle = bool(task.map_parts) and shuffles(self.engine)
        a_job = len(parts) if shuffle or self.engine.runner != "local" else PARTS_PER_JOB
        for first in range(0, len(parts), a_job):
            if not task.stopping():
                self._run_job(task, parts[first : first + a_job], shuffle)

    def _run_job(self, task: Task, parts: list[AnyPart], shuffle: bool) -> None:
        pipeline = beam.Pipeline(
            runner=_runner_class(self.engine.runner)(), options=PipelineOptions(self._options)
        )
        step = ShuffleParts(task, parts) if shuffle else DoParts(task, parts, self._threads(task))
        pipeline | task.label >> step
        look = self._workers.look if self._workers else bool
        with job_at_work(task, pipeline, look) as job:
            job.wait_until_finish()

    def _threads(self, task: Task) -> int | None:
        """How many parts are under way in this process; None where that is the runner's affair."""
        if self.engine.runner != "local":
            return None
        if self._pool and task.runs_in_worker:
            return QUEUED_PER_WORKER * self._pool.workers
        return self.engine.parts_in_flight


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
