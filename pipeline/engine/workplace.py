"""Where a stage is made: one run's store, lock, signals, log and runner."""

import logging
import os
import platform
import threading
import traceback
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pipeline.engine import failures, names
from pipeline.engine.control import Run, Signals, check_disk, check_fixed
from pipeline.engine.digest import FileDigests
from pipeline.engine.manifest import FORMAT, Manifest, published, read_manifest
from pipeline.engine.memory import keep_little, spare_pandas, without
from pipeline.engine.parts import AnyPart
from pipeline.engine.pool import Pool
from pipeline.engine.progress import Progress, Standing
from pipeline.engine.stage import Output
from pipeline.engine.store import Disk
from pipeline.engine.stores import open_store
from pipeline.engine.task import Task, pool_of, renew_workers
from pipeline.errors import SettingsError, StageError, WebtextError
from pipeline.settings import EngineSettings

if TYPE_CHECKING:
    from pipeline.engine.runner import Runner

DISK_PATIENCE_S = 2.0
# For data frames, Hadoop, its own files in S3 and a database: 42 MB where they are installed.
UNUSED_BY_BEAM = ("bson", "boto3", "pandas", "pymongo", "requests")


class Workplace:
    """A build's store, lock, signals, log and runner, for one run. Use as a context manager.

    `place` is a folder, or a URI: s3://BUCKET/PREFIX?endpoint_override=HOST:PORT&scheme=http.

    `redo` names stages that are made anew although they were costly, or although nothing changed;
    `replay` those whose parts with faults (items that broke their limits) are done once more.
    `keep_versions` accepts results of other library versions.
    """

    def __init__(
        self,
        place: str | Path,
        engine: EngineSettings | None = None,
        *,
        redo: Iterable[str] = (),
        replay: Iterable[str] = (),
        keep_versions: bool = False,
        quiet: bool = False,
    ) -> None:
        keep_little()
        spare_pandas()
        self.engine = engine or EngineSettings()
        self.store = open_store(place, self.engine.scratch)
        self.redo = frozenset(redo)
        self.replay = frozenset(replay)
        self.keep_versions = keep_versions
        self.gates: list[str] = []  # quality gates that fail in the stages of this run
        self.id = names.new_attempt()
        self.progress = Progress(quiet=quiet)
        self.log = self.store.log(self.id)
        self.files = FileDigests(self.store, names.INPUTS, self.check_signals)
        self._run = Run(self.store, self.id)
        self._signals = Signals()
        self._runner: Runner | None = None
        self._pool: Pool | None = None
        self._kind: tuple[str, tuple[str, ...]] = ("", ())  # of step that the workers are for

    def __enter__(self) -> Self:
        try:
            self._stack = self._opened()
        except OSError as error:
            raise SettingsError(f"cannot build in {self.store.place}: {error}") from None
        self.log.write("run", runner=self.engine.runner, pid=os.getpid(), versions=_versions())
        return self

    def _opened(self) -> ExitStack:
        with ExitStack() as stack:
            stack.enter_context(self.store.locked())
            check_fixed(self.store, FORMAT)
            self.store.sweep()
            stack.callback(self.store.sweep)
            self._check_disk()
            stack.enter_context(self._signals)
            stack.callback(self.files.save)
            self._run.begin()
            stack.callback(self._run.end)
            stack.callback(self.progress.close)
            return stack.pop_all()

    def __exit__(self, kind: object, error: BaseException | None, stack: object) -> None:
        if error is not None:
            self.log.write("end", error=f"{type(error).__name__}: {error}")
        try:
            self._stack.close()
        except OSError as failed:  # the next run takes away what is left of this one
            if error is None:
                raise unable("the build's end", failed) from failed

    @property
    def folder(self) -> Path:
        """The folder of a build that is in one; SettingsError for a build in a bucket."""
        if isinstance(self.store, Disk):
            return self.store.folder
        raise SettingsError(f"{self.store.place} is in a bucket; this needs a build in a folder")

    @property
    def signal_received(self) -> int | None:
        """The signal that asked this build to stop, if one did."""
        return self._signals.received

    def check_signals(self) -> None:
        """Raise Stopped if a signal came."""
        self._signals.check()

    def output(self, name: str) -> Output:
        """A published stage as an input of the next."""
        return published(self.store, self.manifest(name))

    def manifest(self, name: str) -> Manifest:
        """The manifest of a published stage; StageError if it is not there."""
        manifest = read_manifest(self.store, name)
        if manifest is None:
            raise StageError(f"{self.store.place} has no stage {name}; run webtext build first")
        return manifest

    def show(self, standing: Standing) -> None:
        """Tell people, and the store, how far work is that is in no parts."""
        self.progress.show(self._run, standing)

    def run_parts(self, task: Task, parts: list[AnyPart]) -> None:
        """Do a step's missing parts; raises what the first failed part raised, or Stopped."""
        self._check_disk(DISK_PATIENCE_S)
        task.stop.withdraw()
        crash = self._drive(task, parts)
        failed = failures.take(self.store, self.id)
        for each in failed:
            self.log.write(
                "fault", step=task.label, part=each.part, error=str(each.error), stack=each.stack
            )
        self.check_signals()
        for each in failed:
            raise _told(task, each.part, each.error, self.log.place)
        if isinstance(crash, WebtextError):
            raise crash
        if crash:
            stack = "".join(traceback.format_exception(crash))
            self.log.write("fault", step=task.label, error=str(crash), stack=stack)
            first = (str(crash).strip() or type(crash).__name__).splitlines()[0][:200]
            raise StageError(
                f"{task.label}: the runner failed: {first} (all of it is in {self.log.place}). "
                "What is done is kept; run the same command to go on"
            ) from crash

    def _check_disk(self, patience_s: float = 0) -> None:
        self.store.scratch.mkdir(parents=True, exist_ok=True)
        check_disk(self.store.scratch, self.engine.free_disk_min_bytes, patience_s)

    def _drive(self, task: Task, parts: list[AnyPart]) -> BaseException | None:
        """Beam runs in a thread of its own, so that the main thread hears signals.

        Whatever happens here, that thread is joined before the lock is let go.
        """
        runner, crash = self._started_runner(task), list[BaseException]()

        def drive() -> None:
            try:
                runner.run(task, parts)
            except BaseException as error:  # noqa: BLE001 (raised in the main thread)
                crash.append(error)

        thread = threading.Thread(target=drive, name="runner")
        thread.start()
        try:
            while thread.is_alive():
                thread.join(0.1)
                if self.signal_received is not None and not task.stop.is_made():
                    task.stop.make("a signal")
                self.progress.update(self._run)
        except BaseException:
            task.stop.make("the driver failed")
            raise
        finally:
            thread.join()
        return crash[0] if crash else None

    def _started_runner(self, task: Task) -> "Runner":
        """The runner, with workers that carry nothing over from another stage."""
        kind = task.stage, getattr(task.step, "shared", ())
        if self._runner is None:
            # Workers first: they start while Beam is imported, which takes a second. Of Dask the
            # driver needs none: it does no part.
            if self.engine.runner != "dask":
                self._pool = self._stack.enter_context(pool_of(self.engine, task.step))
            logging.disable(logging.WARNING)  # Beam misses libraries of Google's, out loud
            with without(*(UNUSED_BY_BEAM if self.engine.runner == "local" else ())):
                from pipeline.engine.runner import Runner

            logging.disable(logging.NOTSET)
            runner = Runner(self.engine, self._pool, self.progress.say)
            self._runner = self._stack.enter_context(runner)
        elif self._pool and kind != self._kind:
            renew_workers(self._pool, task.step)
        self._kind = kind
        return self._runner


def _told(task: Task, label: str, error: Exception, log: str) -> Exception:
    """A part's failure as people are told it: what is not an error of ours names the part."""
    if isinstance(error, OSError):
        return unable(f"{task.label}, part {label}", error)
    if isinstance(error, RuntimeError):
        return StageError(f"{task.label}, part {label}: {error} (the stack is in {log})")
    return error


def unable(where: str, error: OSError) -> StageError:
    """What to tell of a failure of the store or of the machine."""
    return StageError(f"{where}: {error}. What is done is kept; run the same command to go on")


def _versions() -> dict[str, str]:
    """What the log keeps of the machine; what shapes rows is in the steps' own versions."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in ("webtext", "apache-beam", "pyarrow", "pebble"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
