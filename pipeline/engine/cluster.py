"""What a cluster needs that the driver's own workers have anyway.

Of its processes: the same versions as the driver, a sight of the store, and a pool of workers that
fits their share of the machine. Of a job there: an end, also where nobody is left to end it.
"""

import logging
import multiprocessing
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from pipeline.engine import names, probe
from pipeline.engine.task import Task
from pipeline.errors import SettingsError, StageError
from pipeline.settings import EngineSettings

ALIKE = ("python", "webtext", "apache-beam")
CANCEL_AFTER_S = 5.0  # from a request to stop; more than a part's patience on a disk

_checked: set[tuple[str, str, str]] = set()  # run, stage and step that this process may work for


def here() -> dict[str, str]:
    """What every process of a build must have alike, whatever its step."""
    versions: dict[str, str] = probe.tell(ALIKE)["versions"]
    return versions


def libraries(versions: Mapping[str, str]) -> dict[str, str]:
    """Those of a step's versions that are of libraries, as the driver sees them.

    The others, such as the digest of a model that webtext brings, go with webtext's own version.
    """
    told = probe.tell(versions)["versions"]
    return {name: version for name, version in versions.items() if told[name]}


def check_alike(task: Task) -> None:
    """Raise StageError unless this process is as the driver is, and sees the build."""
    key = (task.run, task.stage, task.step.name)
    if key in _checked:
        return
    wanted = {**task.driver, **task.libraries}
    told = probe.tell(wanted)
    if task.run and not task.store.stat(names.run(task.run)):
        told["blind"] = "it is not there"
    if what := difference(f"a worker on {told['host']}", told, wanted, task.store.place):
        raise StageError(what)
    _checked.add(key)


def difference(who: str, told: Mapping[str, Any], wanted: Mapping[str, str], place: str) -> str:
    """In what a process is not as the driver, with the mend; "" if it is. See `probe.tell`."""
    again = "and run the same command to go on"
    for name, version in wanted.items():
        if (found := told["versions"].get(name, "")) != version:
            return (
                f"{who} has {name} {found or 'not at all'}, the driver {version or 'not at all'}; "
                f"install the same on all machines, {again}"
            )
    if told["fault"]:
        return (
            f"{who} cannot import webtext ({told['fault']}); install it there as on the driver's "
            f"machine, {again}"
        )
    if told["blind"]:
        return (
            f"{who} does not see the build in {place} ({told['blind']}); give all machines that "
            f"folder under the same path, or that bucket with its credentials, {again}"
        )
    return ""


def share_of(engine: EngineSettings) -> EngineSettings:
    """The settings for a pool in this process: of a Dask worker's threads and memory."""
    if "distributed" not in sys.modules:
        return engine
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:  # this process is no worker of Dask's
        return engine
    # A worker under a nanny is a daemon, which may have no children. Ours die with it all the same.
    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    threads = worker.state.nthreads
    limit = getattr(worker.memory_manager, "memory_limit", None) or sys.maxsize
    fitting = limit // engine.worker_memory_bytes
    if not fitting:
        raise StageError(
            f"a worker on {socket.gethostname()} has {limit >> 20} MiB of memory, and "
            f"engine.worker_memory_bytes allows one page {engine.worker_memory_bytes >> 20} MiB; "
            "start workers with more (--memory-limit), or set it lower"
        )
    return replace(engine, workers=engine.workers or min(threads, fitting))


def dask_options(engine: EngineSettings) -> list[str]:
    """Options of Beam's DaskRunner; SettingsError where there is no scheduler to go to."""
    if not engine.scheduler:
        raise SettingsError(
            "engine.runner is dask, and engine.scheduler names no cluster; start one with `dask "
            "scheduler` and `dask worker`, and give the address that it prints"
        )
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise SettingsError(
            "engine.runner is dask, which needs the extra: pip install '.[dask]'"
        ) from None
    # A scheduler that goes is told by the step that it leaves, in one sentence.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # One part a partition; the default puts 128 of them, one after the other, in one.
    return [f"--dask_client_address={engine.scheduler}", "--dask_partition_size=1"]


def quieten(engine: EngineSettings) -> None:
    """Keep what other libraries log off stderr: what stops a build is told in its own words."""
    if engine.runner == "local":
        return
    with suppress(ImportError):
        import distributed  # noqa: F401 (it sets levels and handlers of its own)
    for name in (None, "apache_beam", "distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    threading.excepthook = _tell_of_thread


def _tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    """Beam's threads end by an error when a job service goes; the job itself says so too."""
    if not failed.exc_type.__module__.startswith("grpc"):
        threading.__excepthook__(failed)


@contextmanager
def job_at_work(task: Task, pipeline: Any, look: Callable[[Task], object]) -> Iterator[Any]:
    """Start a pipeline. Its job is cancelled where a request to stop is not heard there.

    `look` is called now and then: the StageError that it raises ends the job, and is raised here.
    StageError too where a Dask scheduler forgot it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the size of a graph, and of versions (see difference)
        try:
            job = pipeline.run()
        except OSError as error:
            if task.engine.runner != "dask":
                raise
            raise _gone(task) from error
    watch = _Watch(task, job, look)
    if task.engine.runner != "local":
        watch.start()
    try:
        yield job
        if not watch.found and any(future.cancelled() for future in getattr(job, "futures", ())):
            raise _gone(task)
    finally:
        watch.end()
        if client := getattr(job, "client", None):  # Dask's: each job opens one
            client.close()
        if watch.found:
            raise watch.found


def _gone(task: Task) -> StageError:
    return StageError(
        f"the Dask scheduler at {task.engine.scheduler} is gone, or was restarted; what is done is "
        "kept: start scheduler and workers, and run the same command with the address as "
        "engine.scheduler"
    )


class _Watch(threading.Thread):
    """Looks after a job on a cluster, and ends it where parts cannot.

    Parts stop by themselves within seconds; those that are queued for nobody never start.
    """

    def __init__(self, task: Task, job: Any, look: Callable[[Task], object]) -> None:
        super().__init__(name="watch of a job")
        self.found: StageError | None = None
        self._task, self._job, self._look = task, job, look
        self._over = threading.Event()

    def end(self) -> None:
        """The job is over."""
        self._over.set()
        if self.ident:
            self.join()

    def run(self) -> None:
        asked_s = 0.0
        while not self._over.wait(max(1.0, self._task.store.patience_s)):
            if not self._task.stopping():
                self._see()
                continue
            asked_s = asked_s or time.monotonic()
            if time.monotonic() - asked_s >= CANCEL_AFTER_S:
                with suppress(Exception):  # the cluster may be gone
                    self._job.cancel()
                return

    def _see(self) -> None:
        try:
            self._look(self._task)
        except StageError as error:
            self.found = error
            self._task.stop.make("the workers are not as the driver")
        except OSError:  # a scheduler that is gone is told by the job itself
            return
