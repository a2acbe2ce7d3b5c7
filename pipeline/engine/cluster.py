"""What a process of a cluster needs that the driver's own workers have anyway.

The same versions as the driver, a sight of the store, and a pool of workers that fits its share of
the machine.
"""

import logging
import multiprocessing
import platform
import socket
import sys
import unicodedata
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from pipeline.engine import names
from pipeline.engine.task import Task
from pipeline.errors import SettingsError, StageError
from pipeline.settings import EngineSettings

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
    memory = engine.worker_memory_bytes
    if limit := getattr(worker.memory_manager, "memory_limit", None):
        memory = min(memory, limit // threads)
    return replace(engine, workers=engine.workers or threads, worker_memory_bytes=memory)


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


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
