"""What a cluster needs that the driver's own workers have anyway.

Of its processes: the same versions as the driver, a sight of the store, and a pool of workers that
fits their share of the machine. Of a job there: an end, also where nobody is left to end it.
"""

import logging
import multiprocessing
import platform
import socket
import sys
import threading
import time
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pipeline.engine import names
from pipeline.engine.task import Task
from pipeline.errors import SettingsError, StageError
from pipeline.settings import EngineSettings

CANCEL_AFTER_S = 5.0  # from a request to stop; more than a part's patience on a disk

_checked: set[tuple[str, str, str]] = set()  # run, stage and step that this process may work for


def here() -> dict[str, str]:
    """What every process of a build must have alike, whatever its step."""
    return {"python": ".".join(platform.python_version_tuple()[:2]), "webtext": _version("webtext")}


def check_alike(task: Task) -> None:
    """Raise StageError unless this process is as the driver is, and sees the build."""
    key = (task.run, task.stage, task.step.name)
    if key in _checked:
        return
    host = socket.gethostname()
    for name, wanted in {**task.driver, **task.step.versions}.items():
        if (found := {**here(), "unicode": unicodedata.unidata_version}.get(name)) is None:
            found = _version(name)
        if found != wanted:
            raise StageError(
                f"a worker on {host} has {name} {found or 'not at all'}, the driver {wanted}; "
                "install the same on all machines, and run the same command to go on"
            )
    if task.run and not task.store.stat(names.run(task.run)):
        raise StageError(
            f"a worker on {host} does not see the build in {task.store.place}; give all machines "
            "that folder under the same path, or build in a bucket"
        )
    _checked.add(key)


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
def job_at_work(task: Task, pipeline: Any) -> Iterator[Any]:
    """Start a pipeline. Its job is cancelled where a request to stop is not heard there.

    StageError where a Dask scheduler forgot it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the size of a graph, and of versions (see check_alike)
        job = pipeline.run()
    over = threading.Event()
    watch = threading.Thread(target=_cancel_if_deaf, args=(task, job, over), name="watch of a job")
    if task.engine.runner != "local":
        watch.start()
    try:
        yield job
        if any(future.cancelled() for future in getattr(job, "futures", ())):
            raise StageError(
                f"the Dask scheduler at {task.engine.scheduler} is gone, or was restarted; start "
                "scheduler and workers, and name its address as engine.scheduler"
            )
    finally:
        over.set()
        if watch.ident:
            watch.join()
        if client := getattr(job, "client", None):  # Dask's: each job opens one
            client.close()


def _cancel_if_deaf(task: Task, job: Any, over: threading.Event) -> None:
    """Parts stop by themselves within seconds; those that are queued for nobody never start."""
    asked_s = 0.0
    while not over.wait(max(1.0, task.store.patience_s)):
        if not task.stopping():
            continue
        asked_s = asked_s or time.monotonic()
        if time.monotonic() - asked_s >= CANCEL_AFTER_S:
            with suppress(Exception):  # the cluster may be gone
                job.cancel()
            return


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
